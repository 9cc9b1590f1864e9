//! `POST …/deposit` and `POST …/withdraw`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{OpenRequest, Options};
use bursar_ports::Permission;

use super::TransferBody;
use crate::{
    answer::{self, Manner},
    call::Call,
    fields::{Names, Prose, name},
    problem::Problem,
};

/// The longest comment, in characters.
pub(crate) const COMMENT_MAX: usize = 1_000;

pub(super) async fn deposit(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::BackofficeWrite)?;
    let (wanted, options) = read(&call)?;
    let answer = call.app().deposit(&grant, wanted, options).await?;
    answer::money(Manner::of(&answer), &TransferBody::of(&answer.transfer))
}

pub(super) async fn withdraw(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::BackofficeWrite)?;
    let (wanted, options) = read(&call)?;
    let answer = call.app().withdraw(&grant, wanted, options).await?;
    answer::money(Manner::of(&answer), &TransferBody::of(&answer.transfer))
}

fn read(call: &Call) -> Result<(OpenRequest, Options), Problem> {
    let mut fields = call.fields(Names::AnyCase)?;
    let user = fields.user_id(name!("userId"));
    let asset = fields.asset_id(name!("assetId"));
    let amount = fields.amount(name!("amount"));
    let comment = fields.text(name!("comment"), COMMENT_MAX, Prose::Lines);
    let callback_url = fields.callback_url(name!("callbackUrl"), call.app().callback_urls());
    let options = call.options(&mut fields);
    let read = || {
        let wanted = OpenRequest {
            user: user?,
            asset: asset?,
            amount: amount?,
            comment,
            callback_url,
        };
        Some((wanted, options?))
    };
    fields.finish(read())
}

//! `POST …/withdraw-confirm` and `POST …/withdraw-cancel`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{FinishRequest, Options};
use bursar_ports::Permission;

use super::TransferBody;
use crate::{
    answer::{self, Manner},
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

pub(super) async fn confirm(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::BackofficeConfirm)?;
    let (wanted, options) = read(&call)?;
    let answer = call
        .app()
        .confirm_withdrawal(&grant, wanted, options)
        .await?;
    answer::money(Manner::of(&answer), &TransferBody::of(&answer.transfer))
}

pub(super) async fn cancel(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::BackofficeWrite)?;
    let (wanted, options) = read(&call)?;
    let answer = call
        .app()
        .cancel_withdrawal(&grant, wanted, options)
        .await?;
    answer::money(Manner::of(&answer), &TransferBody::of(&answer.transfer))
}

fn read(call: &Call) -> Result<(FinishRequest, Options), Problem> {
    let mut fields = call.fields(Names::AnyCase)?;
    let user = fields.user_id(name!("userId"));
    let transfer = fields.transfer_id(name!("transferId"));
    let callback_url = fields.callback_url(name!("callbackUrl"), call.app().callback_urls());
    let options = call.options(&mut fields);
    let read = || {
        let wanted = FinishRequest {
            user: user?,
            transfer: transfer?.0,
            callback_url,
            digest: None,
        };
        Some((wanted, options?))
    };
    fields.finish(read())
}

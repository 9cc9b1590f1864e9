//! `POST /internal-transfer`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{CallbackUrlPolicy, InternalCall, InternalRequest, Options};

use super::TransferBody;
use crate::{
    answer::{self, Manner},
    call::Call,
    fields::{Fields, Names, Prose, name},
    problem::Problem,
};

/// The longest recipient or identifier, in characters.
const NAME_MAX: usize = 255;
/// The longest note, in characters.
const NOTE_MAX: usize = 1_000;

pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.admit(InternalCall::Create, 1).await?;
    let (wanted, options) = read(&call)?;
    let answer = call.app().send(&grant, wanted, options).await?;
    answer::money(Manner::of(&answer), &TransferBody::of(&answer.transfer)?)
}

fn read(call: &Call) -> Result<(InternalRequest, Options), Problem> {
    let mut fields = call.fields(Names::Exact)?;
    let wanted = read_transfer(&mut fields, call.app().callback_urls());
    let options = call.options(&mut fields);
    fields.finish(wanted.zip(options))
}

/// The fields of one transfer: a body, or an item of a bulk.
pub(super) fn read_transfer(
    fields: &mut Fields<'_>,
    callback_urls: &CallbackUrlPolicy,
) -> Option<InternalRequest> {
    let currency = fields.asset_id(name!("currency_code"));
    let amount = fields.amount(name!("amount"));
    let recipient = fields.required_text(name!("recipient"), NAME_MAX);
    let callback_url = fields.callback_url(name!("callback_url"), callback_urls);
    let custom_id = fields.text(name!("custom_id"), NAME_MAX, Prose::Line);
    let note = fields.text(name!("note"), NOTE_MAX, Prose::Lines);
    let address_book_code = fields.text(name!("address_book_code"), NAME_MAX, Prose::Line);
    Some(InternalRequest {
        currency: currency?,
        amount: amount?,
        recipient: recipient?,
        address_book_code: address_book_code.filter(|code| !code.is_empty()),
        callback_url,
        custom_id,
        note,
    })
}

//! `POST /internal-transfer`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{InternalCall, InternalRequest, Options};

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
    let currency = fields.asset_id(name!("currency_code"));
    let amount = fields.amount(name!("amount"));
    let recipient = fields.required_text(name!("recipient"), NAME_MAX);
    let callback_url = fields.callback_url(name!("callback_url"), call.app().callback_urls());
    let custom_id = fields.text(name!("custom_id"), NAME_MAX, Prose::Line);
    let note = fields.text(name!("note"), NOTE_MAX, Prose::Lines);
    refuse_address_book(&mut fields);
    let options = call.options(&mut fields);
    let read = || {
        let wanted = InternalRequest {
            currency: currency?,
            amount: amount?,
            recipient: recipient?,
            callback_url,
            custom_id,
            note,
        };
        Some((wanted, options?))
    };
    fields.finish(read())
}

/// Nobody has an address book yet, so no entry can belong to the sender.
fn refuse_address_book(fields: &mut Fields<'_>) {
    let name = name!("address_book_code");
    let given = fields.text(name, NAME_MAX, Prose::Line);
    if given.is_some_and(|code| !code.is_empty()) {
        let detail = "is not an entry of your address book for this recipient";
        fields.error(name.name, "address_book_code.mismatch", detail);
    }
}

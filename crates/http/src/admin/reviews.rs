//! `POST /admin/v1/transfers/{id}/approve`, `/reject` and `/reverse`.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::{Answer, Options, ReversalRequest, ReviewRequest};
use bursar_domain::Transfer;
use bursar_ports::Permission;
use data_encoding::HEXLOWER_PERMISSIVE;

use super::transfer::TransferBody;
use crate::{
    answer::{self, Manner},
    call::Call,
    fields::{Names, Prose, name},
    problem::Problem,
};

/// The longest comment, in characters.
const COMMENT_MAX: usize = 1_000;

pub(super) async fn approve(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::BackofficeApprove)?;
    let (wanted, options) = read_review(&call)?;
    let answer = call.app().approve(&grant, wanted, options).await?;
    body(&call, &answer)
}

pub(super) async fn reject(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::BackofficeApprove)?;
    let (wanted, options) = read_review(&call)?;
    let answer = call.app().reject(&grant, wanted, options).await?;
    body(&call, &answer)
}

pub(super) async fn reverse(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut fields = call.fields(Names::Strict)?;
    let transfer = fields.also(call.transfer_id());
    let amount = fields.optional_amount(name!("amount"));
    let return_fee = fields.boolean(name!("return_fee"));
    let comment = fields.required(name!("comment"), |fields, name| {
        let comment = fields.text(name, COMMENT_MAX, Prose::Lines);
        comment.filter(|comment| !comment.is_empty())
    });
    let options = call.options(&mut fields);
    let read = || {
        let wanted = ReversalRequest {
            transfer: transfer?,
            amount,
            return_fee: return_fee?,
            comment: comment?,
            digest: None,
        };
        Some((wanted, options?))
    };
    let (wanted, options) = fields.finish(read())?;
    let answer = call.app().reverse(&grant, wanted, options).await?;
    body(&call, &answer)
}

/// No body, or `{}`, or the digest of what the operator was shown.
fn read_review(call: &Call) -> Result<(ReviewRequest, Options), Problem> {
    let mut fields = call.optional_fields(Names::Strict)?;
    let transfer = fields.also(call.transfer_id());
    let digest = fields.text(name!("digest"), 64, Prose::Line);
    let digest = digest.and_then(|text| {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let digest = bytes.and_then(|bytes| bytes.try_into().ok());
        if digest.is_none() {
            let detail = "must be 64 hexadecimal digits";
            fields.error("digest", "digest.invalid", detail);
        }
        digest
    });
    let options = call.options(&mut fields);
    let read = || {
        let wanted = ReviewRequest {
            transfer: transfer?,
            digest,
        };
        Some((wanted, options?))
    };
    fields.finish(read())
}

fn body(call: &Call, answer: &Answer<Transfer>) -> Result<HttpResponse, Problem> {
    let code = call.app().code_of(&answer.transfer);
    let body = TransferBody::of(&answer.transfer, code.as_deref());
    answer::money(Manner::of(answer), &body)
}

//! `GET /internal-transfer/{code}`.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::InternalCall;

use super::TransferBody;
use crate::{answer, call::Call, problem::Problem};

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.admit(InternalCall::Get, 1).await?;
    let view = call
        .app()
        .find_internal(&grant, call.segment("code"))
        .await?;
    answer::json(&TransferBody::of(&view)?)
}

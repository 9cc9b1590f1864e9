//! `GET /internal-transfer/{code}`.

use actix_web::{HttpRequest, HttpResponse};
use bursar_ports::Permission;

use super::TransferBody;
use crate::{answer, call::Call, problem::Problem};

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_user(Permission::AllowTransfer)?;
    let view = call
        .app()
        .find_internal(&grant, call.segment("code"))
        .await?;
    answer::json(&TransferBody::of(&view)?)
}

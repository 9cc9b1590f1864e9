//! `POST /callback-tests`: a callback on demand, so that a receiver can be tried.

use actix_web::{HttpRequest, HttpResponse, web, web::ServiceConfig};
use bursar_app::CallbackTest;
use bursar_ports::Permission;
use serde::Serialize;

use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
    routes::path,
};

pub(crate) fn mount(service: &mut ServiceConfig) {
    for all in ["/callback-tests", "/api/v1/callback-tests"] {
        service.service(path(all, "POST").route(web::post().to(test)));
    }
}

#[derive(Serialize)]
pub(crate) struct TestBody {
    id: String,
    outcome: &'static str,
    http_status: Option<u16>,
    duration_ms: i64,
}

impl TestBody {
    pub(crate) fn of(tested: &CallbackTest) -> Self {
        Self {
            id: tested.id.to_string(),
            outcome: tested.outcome,
            http_status: tested.http_status,
            duration_ms: tested.duration_ms,
        }
    }
}

async fn test(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant_user(Permission::AllowTransfer)?;
    let mut fields = call.fields(Names::Exact)?;
    let url = fields.required_callback_url(name!("callback_url"), call.app().callback_urls());
    let url = fields.finish(url)?;
    let tested = call.app().test_own_callback(&grant, url).await?;
    answer::json(&TestBody::of(&tested))
}

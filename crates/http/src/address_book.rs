//! `/address-book`: what a user calls the recipients of transfers (contract §2).

use actix_web::{HttpRequest, HttpResponse, web, web::ServiceConfig};
use bursar_app::NewAddress;
use bursar_ports::{AddressBookEntry, Permission};
use serde::Serialize;

use crate::{
    answer,
    call::Call,
    fields::{Fields, Names, Prose, name},
    problem::Problem,
    routes::{get, path},
};

/// The longest recipient or label, in characters.
const TEXT_MAX: usize = 255;

pub(crate) fn mount(service: &mut ServiceConfig) {
    for (all, one) in [
        ("/address-book", "/address-book/{code}"),
        ("/api/v1/address-book", "/api/v1/address-book/{code}"),
    ] {
        service
            .service(
                path(all, "GET, HEAD, POST")
                    .route(web::post().to(add))
                    .route(get().to(list)),
            )
            .service(path(one, "DELETE").route(web::delete().to(remove)));
    }
}

#[derive(Serialize)]
struct EntryBody<'a> {
    code: &'a str,
    recipient: &'a str,
    label: Option<&'a str>,
    created_at: String,
}

impl<'a> EntryBody<'a> {
    fn of(entry: &'a AddressBookEntry) -> Self {
        Self {
            code: &entry.code,
            recipient: &entry.recipient,
            label: entry.label.as_deref(),
            created_at: entry.created_at.to_seconds_text(),
        }
    }
}

async fn add(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant_user(Permission::AllowTransfer)?;
    let new = read(&call)?;
    let entry = call.app().add_address(&grant, new).await?;
    answer::json(&EntryBody::of(&entry))
}

fn read(call: &Call) -> Result<NewAddress, Problem> {
    let mut fields = call.fields(Names::Exact)?;
    let code = fields.text(name!("code"), AddressBookEntry::CODE_MAX, Prose::Line);
    let code = code.filter(|code| !code.is_empty());
    check_code(&mut fields, code.as_deref());
    let recipient = fields.required_text(name!("recipient"), TEXT_MAX);
    let label = fields.text(name!("label"), TEXT_MAX, Prose::Line);
    let read = || {
        Some(NewAddress {
            code,
            recipient: recipient?,
            label,
        })
    };
    fields.finish(read())
}

fn check_code(fields: &mut Fields<'_>, code: Option<&str>) {
    if code.is_some_and(|code| !AddressBookEntry::is_code(code)) {
        let detail = "must be letters, digits, '.', '_' and '-', beginning with a letter or digit";
        fields.error("code", "code.invalid", detail);
    }
}

async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_user(Permission::AllowTransfer)?;
    let entries = call.app().list_addresses(&grant).await?;
    let rows: Vec<_> = entries.iter().map(EntryBody::of).collect();
    answer::json(&rows)
}

async fn remove(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_user(Permission::AllowTransfer)?;
    call.app()
        .remove_address(&grant, call.segment("code"))
        .await?;
    Ok(answer::empty())
}

//! `/admin/v1/access-keys`. A secret is shown once, in the answer that issues it.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::NewAccessKey;
use bursar_domain::Timestamp;
use bursar_ports::{AccessKey, IpRange, Permission};
use serde::Serialize;

use super::page::{List, Page};
use crate::{
    answer,
    call::Call,
    fields::{Fields, Names, name},
    problem::Problem,
};

/// The highest rate limit that a key may have of its own.
const REQUESTS_PER_MINUTE_MAX: u32 = 1_000_000;
/// How many address ranges a key may have.
const RANGES_MAX: usize = 100;

#[derive(Serialize)]
struct KeyBody<'a> {
    access_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<&'a str>,
    user_id: String,
    permissions: Vec<&'static str>,
    allowed_ips: Vec<String>,
    requests_per_minute: Option<u32>,
    created_at: String,
    revoked_at: Option<String>,
}

impl<'a> KeyBody<'a> {
    fn of(key: &'a AccessKey) -> Self {
        Self {
            access_key: &key.access_key,
            secret_key: None,
            user_id: key.user.to_string(),
            permissions: key.permissions.iter().map(|one| one.as_str()).collect(),
            allowed_ips: key.allowed_ips.iter().map(IpRange::to_string).collect(),
            requests_per_minute: key.requests_per_minute,
            created_at: key.created_at.to_micros_text(),
            revoked_at: key.revoked_at.map(Timestamp::to_micros_text),
        }
    }
}

pub(super) async fn issue(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let new = read(&call)?;
    let issued = call.app().issue_access_key(&grant, new).await?;
    answer::json(&KeyBody {
        secret_key: Some(&issued.secret),
        ..KeyBody::of(&issued.key)
    })
}

fn read(call: &Call) -> Result<NewAccessKey, Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let user = fields.user_id(name!("user_id"));
    let permissions = fields.permissions(name!("permissions"));
    let permissions = fields.judged(permissions, |permissions| {
        NewAccessKey::check_permissions(permissions)
    });
    let allowed_ips = read_ranges(&mut fields);
    let limit = name!("requests_per_minute");
    let requests_per_minute = fields.optional_integer(limit, 1, REQUESTS_PER_MINUTE_MAX);
    let read = || {
        Some(NewAccessKey {
            user: user?,
            permissions: permissions?,
            allowed_ips,
            requests_per_minute,
        })
    };
    fields.finish(read())
}

fn read_ranges(fields: &mut Fields<'_>) -> Vec<IpRange> {
    const CODE: &str = "allowed_ips.invalid";
    let name = name!("allowed_ips");
    let texts = fields.strings(name).unwrap_or_default();
    if texts.len() > RANGES_MAX {
        fields.error(name.name, CODE, "must have at most 100 ranges");
        return vec![];
    }
    let mut ranges = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(range) => ranges.push(range),
            Err(_) => fields.error(name.name, CODE, "must be IP addresses or CIDR ranges"),
        }
    }
    ranges
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut query = call.query(Names::Strict)?;
    let user = query.user_id(name!("user_id"));
    let page = Page::read(call.app(), &mut query, "access-keys", |key| {
        Some(key.to_owned())
    });
    let page = query.finish(Some(page))?;
    let mut keys = call
        .app()
        .list_access_keys(&grant, user, page.after.clone(), page.fetch())
        .await?;
    let next_cursor = page.cut(&mut keys, |key| key.access_key.clone());
    let data = keys.iter().map(KeyBody::of).collect();
    answer::json(&List { data, next_cursor })
}

pub(super) async fn revoke(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    call.without_parameters()?;
    let key = call.segment("key").to_owned();
    call.app().revoke_access_key(&grant, key).await?;
    Ok(answer::empty())
}

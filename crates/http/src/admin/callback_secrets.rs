//! `/admin/v1/callback-secrets`. A secret is shown once, in the answer that issues it.

use actix_web::{HttpRequest, HttpResponse, web};
use bursar_app::NewCallbackSecret;
use bursar_domain::{ActorId, Subscriber, Timestamp, UserId};
use bursar_ports::{Permission, StoredCallbackSecret};
use serde::Serialize;
use uuid::Uuid;

use super::page::{List, Page};
use crate::{
    answer,
    call::Call,
    fields::{Fields, Names, Prose, name},
    problem::Problem,
};

/// The longest subject, in characters.
const SUBJECT_MAX: usize = 255;
const NOT_BOTH: &str = "cannot be given together with user_id";

#[derive(Serialize)]
struct SecretBody<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    user_id: Option<String>,
    subject: Option<&'a str>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

impl<'a> SecretBody<'a> {
    fn of(stored: &'a StoredCallbackSecret) -> Self {
        let (user_id, subject) = match &stored.subscriber {
            Subscriber::User(user) => (Some(user.to_string()), None),
            Subscriber::Client(client) => (None, Some(client.as_str())),
        };
        Self {
            id: stored.id.to_string(),
            secret: None,
            user_id,
            subject,
            created_at: stored.created_at.to_micros_text(),
            expires_at: stored.expires_at.map(Timestamp::to_micros_text),
            revoked_at: stored.revoked_at.map(Timestamp::to_micros_text),
        }
    }
}

/// Whom two names mean, of which one is to be given.
fn subscriber(user: Option<UserId>, subject: Option<String>) -> Option<Subscriber> {
    let client = |subject: String| Subscriber::Client(ActorId::new(subject));
    user.map(Subscriber::User).or_else(|| subject.map(client))
}

pub(super) async fn issue(
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = Call::write(request, payload).await?;
    let grant = call.grant(Permission::Admin)?;
    let new = read(&call)?;
    let issued = call.app().issue_callback_secret(&grant, new).await?;
    answer::json(&SecretBody {
        secret: Some(&issued.text),
        ..SecretBody::of(&issued.stored)
    })
}

/// Whom `user_id` or `subject` names; exactly one of them must be there.
pub(super) fn read_subscriber(fields: &mut Fields<'_>) -> Option<Subscriber> {
    let (user_id, subject) = (name!("user_id"), name!("subject"));
    let user = fields.optional_user_id(user_id);
    let client = fields.text(subject, SUBJECT_MAX, Prose::Line);
    let client = client.filter(|text| !text.is_empty());
    if user.is_some() && client.is_some() {
        fields.error(subject.name, subject.invalid, NOT_BOTH);
    }
    let subscriber = subscriber(user, client);
    if subscriber.is_none() && fields.is_well() {
        let detail = "is required, unless there is a subject";
        fields.error(user_id.name, user_id.missed, detail);
    }
    subscriber
}

fn read(call: &Call) -> Result<NewCallbackSecret, Problem> {
    let mut fields = call.fields(Names::Strict)?;
    let subscriber = read_subscriber(&mut fields);
    let new = subscriber.map(|subscriber| NewCallbackSecret {
        subscriber,
        secret: None,
    });
    fields.finish(new)
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let mut query = call.query(Names::Strict)?;
    let user = query.user_id(name!("user_id"));
    let subject = name!("subject");
    let client = query.text(subject, &[], SUBJECT_MAX);
    if user.is_some() && client.is_some() {
        query.error(subject.name, subject.invalid, NOT_BOTH);
    }
    let page = Page::read(call.app(), &mut query, "callback-secrets", |key| {
        Uuid::parse_str(key).ok()
    });
    let page = query.finish(Some(page))?;
    let mut secrets = call
        .app()
        .list_callback_secrets(&grant, subscriber(user, client), page.after, page.fetch())
        .await?;
    let next_cursor = page.cut(&mut secrets, |secret| secret.id.to_string());
    let data = secrets.iter().map(SecretBody::of).collect();
    answer::json(&List { data, next_cursor })
}

pub(super) async fn revoke(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant(Permission::Admin)?;
    let id = call.only(call.guid())?;
    call.app().revoke_callback_secret(&grant, id).await?;
    Ok(answer::empty())
}

//! `/admin/v1/balances`: of one user, or of the exchange itself; now, or as of a time.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::{Grant, UserBalance};
use bursar_domain::{Asset, Owner, Timestamp};
use bursar_ports::{AccountBalance, LedgerOwner};
use serde::Serialize;

use super::{
    money::plain,
    page::{List, Page},
};
use crate::{
    answer,
    call::Call,
    fields::{Names, name},
    problem::Problem,
};

#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'static str>,
    asset: String,
    available: String,
    held: String,
    updated_at: Option<String>,
}

impl Row {
    fn of_user(balance: &UserBalance) -> Self {
        let scale = balance.asset.scale;
        Self {
            owner: None,
            asset: balance.asset.id.to_string(),
            available: balance.available.to_plain(scale),
            held: balance.held.to_plain(scale),
            updated_at: balance.updated_at.map(Timestamp::to_micros_text),
        }
    }

    fn of_system(balance: &AccountBalance, asset: &Asset) -> Result<Self, Problem> {
        let touched = balance.updated_at != Timestamp::EPOCH;
        Ok(Self {
            owner: Some(owner(balance.account.owner)),
            asset: asset.id.to_string(),
            available: plain(balance.available, asset.scale)?,
            held: plain(balance.held, asset.scale)?,
            updated_at: touched.then(|| balance.updated_at.to_micros_text()),
        })
    }

    /// Tells the row from every other row of its list, in the list's order.
    fn key(&self) -> String {
        format!("{} {}", self.asset, self.owner.unwrap_or_default())
    }
}

/// What the admin API calls the owner of an account.
pub(super) const fn owner(owner: Owner) -> &'static str {
    match owner {
        Owner::User(_) => "user",
        Owner::Fees => "fees",
        Owner::World => "world",
    }
}

/// There are as many rows as assets, or a few times that, so the use case gives all of them.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let (whose, as_of, page) = read(&call)?;
    let mut rows = fetch(&call, &grant, whose, as_of).await?;
    rows.sort_by_key(Row::key);
    rows.retain(|row| page.after.as_ref().is_none_or(|after| row.key() > *after));
    let next_cursor = page.cut(&mut rows, Row::key);
    answer::json(&List {
        data: rows,
        next_cursor,
    })
}

async fn fetch(
    call: &Call,
    grant: &Grant,
    whose: LedgerOwner,
    as_of: Option<Timestamp>,
) -> Result<Vec<Row>, Problem> {
    let app = call.app();
    match whose {
        LedgerOwner::User(user) => {
            let balances = match as_of {
                Some(at) => app.list_user_balances_at(grant, user, at).await?,
                None => app.list_user_balances(grant, user).await?,
            };
            Ok(balances.iter().map(Row::of_user).collect())
        }
        LedgerOwner::System => {
            let balances = match as_of {
                Some(at) => app.list_system_balances_at(grant, at).await?,
                None => app.list_system_balances(grant).await?,
            };
            balances
                .iter()
                .map(|(balance, asset)| Row::of_system(balance, asset))
                .collect()
        }
    }
}

/// LedgerOwner balances, and as of when if not of now.
type Asked<'a> = (LedgerOwner, Option<Timestamp>, Page<'a, String>);

fn read(call: &Call) -> Result<Asked<'_>, Problem> {
    let mut query = call.query(Names::Strict)?;
    let system = |text: &str| (text == "system").then_some(());
    let owner = query.one_of(name!("owner"), system, "system");
    let user = if owner.is_some() {
        query.user_id(name!("user_id"))
    } else {
        query.required_user_id(name!("user_id"))
    };
    if owner.is_some() && user.is_some() {
        let detail = "cannot be given together with user_id";
        query.error("owner", "owner.invalid", detail);
    }
    let as_of = query.time(name!("as_of"));
    let page = Page::read(call.app(), &mut query, "balances", |key| {
        Some(key.to_owned())
    });
    let whose = user.map_or(LedgerOwner::System, LedgerOwner::User);
    query.finish(Some((whose, as_of, page)))
}

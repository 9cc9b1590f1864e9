//! The demo's assets, users, credentials and money, made through the use cases like anybody's.
//! Loading twice changes nothing.

use anyhow::{Context, anyhow};
use bursar_app::{App, Grant, NewAccessKey, NewToken, OpenRequest, Options, Principal};
use bursar_domain::{
    ActorId, Asset, AssetId, BigDecimal, DecimalAmount, IdempotencyKey, Scale, Subscriber, User,
    UserId, UserStatus,
};
use bursar_ports::{Expected, Permission};
use uuid::Uuid;

use super::{Secrets, callback_secrets::share, operators};

/// Ten years: a demo is found again after a long time.
const TTL_SECONDS: u32 = 10 * 365 * 86_400;

struct DemoAsset {
    id: &'static str,
    name: &'static str,
    scale: u8,
    /// In usd; none for usd itself.
    rate: Option<&'static str>,
}

const ASSETS: [DemoAsset; 4] = [
    DemoAsset {
        id: "usd",
        name: "US dollar",
        scale: 2,
        rate: None,
    },
    DemoAsset {
        id: "btc",
        name: "Bitcoin",
        scale: 8,
        rate: Some("65000"),
    },
    DemoAsset {
        id: "eth",
        name: "Ether",
        scale: 18,
        rate: Some("3200"),
    },
    DemoAsset {
        id: "usdt",
        name: "Tether",
        scale: 6,
        rate: Some("1"),
    },
];

/// A token of the back office.
pub(super) struct Operator {
    /// Its name among the secrets.
    pub(super) token: &'static str,
    subject: &'static str,
    permissions: &'static [Permission],
}

pub(super) const OPERATORS: [Operator; 3] = [
    Operator {
        token: "ADMIN_TOKEN",
        subject: "admin",
        permissions: &Permission::ALL,
    },
    Operator {
        token: "BACKOFFICE_TOKEN",
        subject: "backoffice",
        permissions: &[
            Permission::BackofficeRead,
            Permission::BackofficeWrite,
            Permission::BackofficeConfirm,
        ],
    },
    Operator {
        token: "READONLY_TOKEN",
        subject: "readonly",
        permissions: &[Permission::BackofficeRead],
    },
];

/// What signs callbacks, among the secrets: as it is for the back office, behind a user's name for
/// that user.
pub(super) const CALLBACK_SECRET: &str = "CALLBACK_SECRET";

/// A user of the demo.
pub(super) struct DemoUser {
    pub(super) name: &'static str,
    pub(super) id: &'static str,
    /// What it begins with, by asset.
    money: &'static [(&'static str, &'static str)],
}

impl DemoUser {
    pub(super) fn email(&self) -> String {
        format!("{}@example.com", self.name)
    }
}

/// Alice's and Bob's ids are those of the documents' examples. Carol has no money.
pub(super) const USERS: [DemoUser; 3] = [
    DemoUser {
        name: "alice",
        id: "942fe02b-e9b9-6e9e-7c82-85d74f3234d4",
        money: &[
            ("btc", "10"),
            ("eth", "100"),
            ("usd", "100000"),
            ("usdt", "50000"),
        ],
    },
    DemoUser {
        name: "bob",
        id: "ab9ac3d2-879d-02de-a53e-720d78414f0a",
        money: &[
            ("btc", "1"),
            ("eth", "10"),
            ("usd", "10000"),
            ("usdt", "5000"),
        ],
    },
    DemoUser {
        name: "carol",
        id: "3ae2608c-499d-a883-95e8-c46fd5d19076",
        money: &[],
    },
];

const USER_PERMISSIONS: [Permission; 2] = [Permission::AllowTransfer, Permission::AllowBalance];

/// Makes what is not there yet; credentials that were issued before stay valid.
pub(crate) async fn load(app: &App, secrets: &mut Secrets) -> anyhow::Result<()> {
    let operator = Principal::local_operator();
    let admin = operator.grant(Permission::Admin)?;
    for asset in &ASSETS {
        put_asset(app, &admin, asset).await?;
    }
    for operator in &OPERATORS {
        let permissions = operator.permissions.to_vec();
        let new = token(operator.subject, None, permissions);
        keep_token(app, &admin, secrets, operator.token, new).await?;
    }
    operators::keep(app, &admin, secrets).await?;
    let office = ["backoffice", "admin"].map(|subject| Subscriber::Client(ActorId::new(subject)));
    share(app, &admin, secrets, CALLBACK_SECRET, office.to_vec()).await?;
    let writer = operator.grant(Permission::BackofficeWrite)?;
    for user in &USERS {
        let id = UserId::new(Uuid::parse_str(user.id)?);
        put_user(app, &admin, user, id).await?;
        let name = user.name.to_ascii_uppercase();
        let new = token(user.name, Some(id), USER_PERMISSIONS.to_vec());
        keep_token(app, &admin, secrets, &format!("{name}_TOKEN"), new).await?;
        keep_access_key(app, &admin, secrets, &name, id).await?;
        let signer = format!("{name}_{CALLBACK_SECRET}");
        let own = vec![Subscriber::User(id)];
        share(app, &admin, secrets, &signer, own).await?;
        for (asset, amount) in user.money {
            fund(app, &writer, user, id, asset, amount).await?;
        }
    }
    Ok(())
}

async fn put_asset(app: &App, admin: &Grant, demo: &DemoAsset) -> anyhow::Result<()> {
    let asset = Asset {
        id: AssetId::parse(demo.id)?,
        name: demo.name.to_owned(),
        scale: Scale::try_new(demo.scale)?,
        can_deposit: true,
        can_withdraw: true,
        can_transfer: true,
    };
    // What somebody changed since the first start stays changed.
    if app.find_asset(admin, asset.id).await.is_ok() {
        return Ok(());
    }
    let asset = app.put_asset(admin, asset, Expected::Anything).await?;
    if let Some(rate) = demo.rate {
        let rate: BigDecimal = rate.parse().context("a rate of the demo is malformed")?;
        app.put_rate(admin, asset.id, rate, None, Expected::Anything)
            .await?;
    }
    Ok(())
}

async fn put_user(app: &App, admin: &Grant, demo: &DemoUser, id: UserId) -> anyhow::Result<()> {
    if app.find_user(admin, id).await.is_ok() {
        return Ok(());
    }
    let user = User {
        id,
        username: demo.name.to_owned(),
        email: demo.email(),
        roles: vec!["trader".to_owned()],
        status: UserStatus::Active,
    };
    app.put_user(admin, user).await?;
    Ok(())
}

fn token(subject: &str, user: Option<UserId>, permissions: Vec<Permission>) -> NewToken {
    NewToken {
        subject: subject.to_owned(),
        user,
        permissions,
        ttl_seconds: TTL_SECONDS,
    }
}

async fn keep_token(
    app: &App,
    admin: &Grant,
    secrets: &mut Secrets,
    name: &str,
    new: NewToken,
) -> anyhow::Result<()> {
    if let Some(kept) = secrets.get(name)
        && app.authenticate_bearer(kept).await.is_ok()
    {
        return Ok(());
    }
    let issued = app.issue_token(admin, new).await?;
    secrets.set(name, issued.secret);
    Ok(())
}

async fn keep_access_key(
    app: &App,
    admin: &Grant,
    secrets: &mut Secrets,
    name: &str,
    user: UserId,
) -> anyhow::Result<()> {
    let (public, secret) = (format!("{name}_ACCESS_KEY"), format!("{name}_SECRET_KEY"));
    if let Some(kept) = secrets.get(&public) {
        let kept = app
            .list_access_keys(admin, Some(user), None, u32::MAX)
            .await?
            .into_iter()
            .find(|key| key.access_key == kept && key.revoked_at.is_none());
        if kept.is_some() {
            return Ok(());
        }
    }
    let new = NewAccessKey {
        user,
        permissions: USER_PERMISSIONS.to_vec(),
        allowed_ips: vec![],
        requests_per_minute: None,
    };
    let issued = app.issue_access_key(admin, new).await?;
    secrets.set(&public, issued.key.access_key);
    secrets.set(&secret, issued.secret);
    Ok(())
}

/// A deposit with a key of its own: made once, however often the demo is started.
async fn fund(
    app: &App,
    writer: &Grant,
    demo: &DemoUser,
    user: UserId,
    asset: &str,
    amount: &str,
) -> anyhow::Result<()> {
    let request = OpenRequest {
        user,
        asset: AssetId::parse(asset)?,
        amount: DecimalAmount::parse(amount)?,
        comment: Some("demo".to_owned()),
        callback_url: None,
    };
    let key = IdempotencyKey::parse(&format!("demo-{}-{asset}", demo.name))?;
    let options = Options {
        key: Some(key),
        wait: true,
    };
    app.deposit(writer, request, options)
        .await
        .map_err(|error| anyhow!(error).context(format!("{}'s {asset}", demo.name)))?;
    Ok(())
}

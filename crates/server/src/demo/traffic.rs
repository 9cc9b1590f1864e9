//! A little traffic of the demo's own, so that whoever tries it sees a living exchange.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use bursar_app::{
    App, Error, FinishRequest, InternalRequest, OpenRequest, Options, Origin, Principal,
};
use bursar_domain::{AssetId, DecimalAmount, TransferId, UserId};
use bursar_ports::Permission;
use uuid::Uuid;

use super::exchange::{DemoUser, USERS};

/// How long the pause after each transfer is, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 800..3_000;
/// How many withdrawals are left for whoever sits at the console; beyond that somebody else sees to the
/// oldest one.
const LEFT_OPEN: usize = 12;
/// What is moved: an asset, and the most of it, in its hundredths.
const ASSETS: [(&str, u32); 4] = [("usd", 50_000), ("usdt", 20_000), ("eth", 300), ("btc", 8)];

/// Money on its way.
struct Traffic {
    app: App,
    /// Withdrawals that were made here and that somebody has to confirm, the oldest first.
    open: VecDeque<(UserId, TransferId)>,
}

/// Lets money move until it is dropped.
pub(crate) async fn flow(app: App) -> Infallible {
    let mut traffic = Traffic {
        app,
        open: VecDeque::new(),
    };
    loop {
        // Users run out of money, and operators freeze them: that is part of it.
        if let Err(error) = traffic.step().await {
            tracing::debug!(%error, "the demo's traffic was refused");
        }
        let pause = rand::random_range(PAUSE_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

impl Traffic {
    async fn step(&mut self) -> Result<(), Error> {
        let user = rand::random_range(0..USERS.len());
        let asset = ASSETS.get(rand::random_range(0..ASSETS.len()));
        let (Some((user, other)), Some((asset, most))) = (pair(user), asset) else {
            return Ok(());
        };
        let hundredths = rand::random_range(1..=*most);
        let amount = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let what = rand::random_range(0..10);
        match what {
            0..5 => self.pay(user, other, asset, &amount).await,
            5..7 => self.deposit(user, asset, &amount).await,
            _ => self.withdraw(user, asset, &amount).await,
        }
    }

    async fn pay(
        &self,
        from: &DemoUser,
        to: &DemoUser,
        asset: &str,
        amount: &str,
    ) -> Result<(), Error> {
        let principal = Principal {
            subject: from.name.to_owned(),
            user: Some(id(from)?),
            permissions: vec![Permission::AllowTransfer],
            requests_per_minute: None,
            origin: Origin {
                credential: "traffic".to_owned(),
                request_id: "traffic".to_owned(),
                address: "local".to_owned(),
            },
        };
        let grant = principal.grant(Permission::AllowTransfer)?;
        let request = InternalRequest {
            currency: asset_id(asset)?,
            amount: decimal(amount)?,
            recipient: to.email(),
            address_book_code: None,
            callback_url: None,
            custom_id: None,
            note: None,
        };
        self.app.send(&grant, request, settled()).await?;
        Ok(())
    }

    async fn deposit(&self, user: &DemoUser, asset: &str, amount: &str) -> Result<(), Error> {
        let writer = Principal::local_operator().grant(Permission::BackofficeWrite)?;
        let request = opened(user, asset, amount)?;
        self.app.deposit(&writer, request, settled()).await?;
        Ok(())
    }

    async fn withdraw(&mut self, user: &DemoUser, asset: &str, amount: &str) -> Result<(), Error> {
        let writer = Principal::local_operator().grant(Permission::BackofficeWrite)?;
        let request = opened(user, asset, amount)?;
        let made = self.app.withdraw(&writer, request, settled()).await?;
        self.open.push_back((id(user)?, made.transfer.id()));
        if self.open.len() <= LEFT_OPEN {
            return Ok(());
        }
        let Some((user, transfer)) = self.open.pop_front() else {
            return Ok(());
        };
        let confirmer = Principal::local_operator().grant(Permission::BackofficeConfirm)?;
        let request = FinishRequest {
            user,
            transfer: Some(transfer),
            callback_url: None,
            digest: None,
        };
        let done = self.app.confirm_withdrawal(&confirmer, request, settled());
        done.await?;
        Ok(())
    }
}

/// A user, and the one whom it pays.
fn pair(user: usize) -> Option<(&'static DemoUser, &'static DemoUser)> {
    let other = user.saturating_add(1).checked_rem(USERS.len())?;
    Some((USERS.get(user)?, USERS.get(other)?))
}

fn settled() -> Options {
    Options {
        key: None,
        wait: true,
    }
}

fn opened(user: &DemoUser, asset: &str, amount: &str) -> Result<OpenRequest, Error> {
    Ok(OpenRequest {
        user: id(user)?,
        asset: asset_id(asset)?,
        amount: decimal(amount)?,
        comment: None,
        callback_url: None,
    })
}

const MALFORMED: Error = Error::Internal("the demo's traffic is malformed");

fn id(user: &DemoUser) -> Result<UserId, Error> {
    let id = Uuid::parse_str(user.id).map_err(|_| MALFORMED)?;
    Ok(UserId::new(id))
}

fn asset_id(asset: &str) -> Result<AssetId, Error> {
    AssetId::parse(asset).map_err(|_| MALFORMED)
}

fn decimal(amount: &str) -> Result<DecimalAmount, Error> {
    DecimalAmount::parse(amount).map_err(|_| MALFORMED)
}

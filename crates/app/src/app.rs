//! The application: its ports and settings in one place.

use std::sync::Arc;

use bursar_domain::{Asset, AssetId, PayoutRoute, RootRate, Terms, Timestamp};
use bursar_ports::{
    AddressBook, AssetRate, AuditLog, BookIntegrity, CallbackLog, CallbackSecrets, Clock,
    CredentialStore, Directory, EventFeed, Exports, Figures, IdSource, IdentityProvider, Notifier,
    Operators, PasswordHasher, RateLimiter, ReplayGuard, RuleBook, Tasks, TokenVerifier,
    TransferQuery, TransferStore, WorkQueue,
};

use crate::{
    BooksSeen, BreakersSeen, CallbackUrlPolicy, Error, Keyring, Limits, Missing, Payouts,
    SessionSettings, credential_tries::KnownCredentials, recipient_tries::Turns,
};

/// Everything the application needs from the outside.
#[derive(Clone)]
pub struct Ports {
    /// Transfers and balances.
    pub store: Arc<dyn TransferStore>,
    /// Lists.
    pub query: Arc<dyn TransferQuery>,
    /// Everything that lists and the ledger have.
    pub exports: Arc<dyn Exports>,
    /// Users, assets and rates.
    pub directory: Arc<dyn Directory>,
    /// Whom users pay again and again.
    pub address_book: Arc<dyn AddressBook>,
    /// Who carries test callbacks.
    pub notifier: Arc<dyn Notifier>,
    /// Callbacks, as operators see them.
    pub callback_log: Arc<dyn CallbackLog>,
    /// What waits for operators, and who is at it.
    pub work_queue: Arc<dyn WorkQueue>,
    /// How much waits and moved.
    pub figures: Arc<dyn Figures>,
    /// Who did what.
    pub audit_log: Arc<dyn AuditLog>,
    /// What happened, in order.
    pub events: Arc<dyn EventFeed>,
    /// Issued credentials.
    pub credentials: Arc<dyn CredentialStore>,
    /// Whether the books are what they must be.
    pub integrity: Arc<dyn BookIntegrity>,
    /// What the watch of this process last saw of them.
    pub books_seen: BooksSeen,
    /// The hosts that this process delivers nothing to but probes.
    pub breakers_seen: BreakersSeen,
    /// What signs callbacks.
    pub callback_secrets: Arc<dyn CallbackSecrets>,
    /// Tokens of another issuer; none when they are not accepted.
    pub token_verifier: Option<Arc<dyn TokenVerifier>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids and random bytes.
    pub ids: Arc<dyn IdSource>,
    /// Work after the answer.
    pub tasks: Arc<dyn Tasks>,
    /// Limits that all replicas keep together.
    pub limiter: Arc<dyn RateLimiter>,
    /// Limits that each replica keeps by itself.
    pub local_limiter: Arc<dyn RateLimiter>,
    /// Signatures that were used.
    pub replay_guard: Arc<dyn ReplayGuard>,
    /// Fees, limits and stops.
    pub rule_book: Arc<dyn RuleBook>,
    /// Who pays withdrawals out; none when whoever confirms sees to it.
    pub payouts: Option<Payouts>,
    /// Who may sign in to the console, and who has.
    pub operators: Arc<dyn Operators>,
    /// What hashes their passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Where they may sign in instead; none when there is no such place.
    pub identity_provider: Option<Arc<dyn IdentityProvider>>,
}

/// What an operator of Bursar decides once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The asset in which the value of transfers is told.
    pub root_asset: AssetId,
    /// Which callback URLs are accepted.
    pub callback_urls: CallbackUrlPolicy,
    /// How often things may happen.
    pub limits: Limits,
    /// What becomes of transfers that wait, and who pays no fees.
    pub transfers: TransferSettings,
    /// How long sessions of the console last.
    pub sessions: SessionSettings,
}

/// What becomes of transfers that wait, and who pays no fees.
#[derive(Clone, Debug, Default)]
pub struct TransferSettings {
    /// Users with any of these roles pay no fees.
    pub fee_free_roles: Vec<String>,
    /// How long a withdrawal waits for somebody to confirm it, in milliseconds; for ever, when there
    /// is none.
    pub withdrawal_lifetime_ms: Option<i64>,
    /// How long a transfer waits for a second operator, in milliseconds; for ever, when there is
    /// none.
    pub approval_lifetime_ms: Option<i64>,
    /// How long before a withdrawal expires the event feed tells of it, in milliseconds.
    pub expiring_notice_ms: i64,
    /// What pays confirmed withdrawals out.
    pub payout: PayoutRoute,
}

impl TransferSettings {
    /// What is decided about a transfer that is made now.
    pub(crate) fn terms(&self, owner_roles: &[String], now: Timestamp) -> Terms {
        let pays_fee = !owner_roles
            .iter()
            .any(|role| self.fee_free_roles.contains(role));
        Terms {
            pays_fee,
            expires_at: later(now, self.withdrawal_lifetime_ms),
            approval_expires_at: self.approval_expires_at(now),
        }
    }

    /// When a transfer fails that waits for a second operator from now on.
    pub(crate) fn approval_expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        later(now, self.approval_lifetime_ms)
    }
}

fn later(now: Timestamp, lifetime_ms: Option<i64>) -> Option<Timestamp> {
    lifetime_ms.map(|ms| now.plus_micros(ms.saturating_mul(1_000)))
}

/// The application. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub(crate) ports: Ports,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) known_credentials: Arc<KnownCredentials>,
    pub(crate) turns: Arc<Turns>,
}

impl App {
    /// Puts the parts together.
    pub fn new(ports: Ports, keyring: Arc<Keyring>, settings: Settings) -> Self {
        Self {
            ports,
            keyring,
            settings: Arc::new(settings),
            known_credentials: Arc::default(),
            turns: Arc::default(),
        }
    }

    /// Which callback URLs are accepted.
    pub fn callback_urls(&self) -> &CallbackUrlPolicy {
        &self.settings.callback_urls
    }

    /// The asset in which the value of transfers is told.
    pub fn root_asset(&self) -> AssetId {
        self.settings.root_asset
    }

    /// Bytes from a cryptographic random generator, for what the edges must name.
    pub fn random_bytes(&self) -> [u8; 32] {
        self.ports.ids.random_bytes()
    }

    /// The secrets from the configuration.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be reached.
    pub async fn ready(&self) -> Result<(), Error> {
        Ok(self.ports.store.ready().await?)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    pub(crate) async fn asset(&self, id: AssetId, missing: Missing) -> Result<Asset, Error> {
        self.ports
            .directory
            .find_asset(id)
            .await?
            .ok_or(Error::NotFound(missing))
    }

    /// What somebody said that one of an asset is worth; nobody needs to say it of the root asset.
    pub(crate) async fn rate_of(&self, asset: AssetId) -> Result<Option<AssetRate>, Error> {
        Ok(self.ports.directory.find_rate(asset).await?)
    }

    /// What an asset is worth in the root asset right now, as a transfer keeps it.
    pub(crate) async fn root_rate(&self, asset: AssetId) -> Result<Option<RootRate>, Error> {
        let root = self.settings.root_asset;
        let (rate, source, rated_at) = if asset == root {
            (1.into(), None, None)
        } else {
            match self.rate_of(asset).await? {
                Some(found) => (found.rate, Some(found.source), Some(found.rated_at)),
                None => return Ok(None),
            }
        };
        let root_asset = self.ports.directory.find_asset(root).await?;
        Ok(root_asset.map(|root| RootRate {
            asset: root.id,
            scale: root.scale,
            rate,
            source: source.filter(|source| !source.is_empty()),
            rated_at,
        }))
    }
}

#[cfg(test)]
mod tests;

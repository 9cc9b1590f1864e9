//! The application: its ports and settings in one place.

use std::sync::Arc;

use bursar_domain::{Asset, AssetId, BigDecimal, RootRate, Timestamp};
use bursar_ports::{
    AddressBook, BookIntegrity, CallbackLog, CallbackSecrets, Clock, CredentialStore, Directory,
    IdSource, Notifier, RateLimiter, ReplayGuard, Tasks, TokenVerifier, TransferQuery,
    TransferStore,
};

use crate::{
    CallbackUrlPolicy, Error, Keyring, Limits, Missing, credential_tries::KnownCredentials,
    recipient_tries::Turns,
};

/// Everything the application needs from the outside.
#[derive(Clone)]
pub struct Ports {
    /// Transfers and balances.
    pub store: Arc<dyn TransferStore>,
    /// Lists.
    pub query: Arc<dyn TransferQuery>,
    /// Users, assets and rates.
    pub directory: Arc<dyn Directory>,
    /// Whom users pay again and again.
    pub address_book: Arc<dyn AddressBook>,
    /// Who carries test callbacks.
    pub notifier: Arc<dyn Notifier>,
    /// Callbacks, as operators see them.
    pub callback_log: Arc<dyn CallbackLog>,
    /// Issued credentials.
    pub credentials: Arc<dyn CredentialStore>,
    /// Whether the books are what they must be.
    pub integrity: Arc<dyn BookIntegrity>,
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

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    pub(crate) async fn asset(&self, id: AssetId, missing: Missing) -> Result<Asset, Error> {
        self.ports
            .directory
            .find_asset(id)
            .await?
            .ok_or(Error::NotFound(missing))
    }

    /// What somebody said that one of an asset is worth; the root asset is worth itself.
    pub(crate) async fn rate_of(&self, asset: AssetId) -> Result<Option<BigDecimal>, Error> {
        if asset == self.settings.root_asset {
            return Ok(Some(1.into()));
        }
        Ok(self.ports.directory.find_rate(asset).await?)
    }

    /// What an asset is worth in the root asset right now, as a transfer keeps it.
    pub(crate) async fn root_rate(&self, asset: AssetId) -> Result<Option<RootRate>, Error> {
        let Some(rate) = self.rate_of(asset).await? else {
            return Ok(None);
        };
        let root = self.settings.root_asset;
        let root_asset = self.ports.directory.find_asset(root).await?;
        Ok(root_asset.map(|root| RootRate {
            asset: root.id,
            scale: root.scale,
            rate,
        }))
    }
}

#[cfg(test)]
mod tests;

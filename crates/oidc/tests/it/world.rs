//! A provider, the adapter that knows it, and a sign-in from its beginning to its end.

use std::{sync::Arc, time::Duration};

use bursar_jwt::JwksAlgorithm;
use bursar_oidc::{OidcConfig, OidcProvider};
use bursar_ports::{
    BeginIdentification, Clock, EndIdentification, Identified, Identity, IdentityProvider,
    StoreError,
};
use bursar_testkit::{
    FixedClock, IdentityProviderServer,
    identity_provider::{CLIENT_ID, CLIENT_SECRET},
};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use url::Url;

pub(crate) const CALLBACK: &str = "http://127.0.0.1:8080/console/sign-in/provider/callback";
const RETRY: Duration = Duration::from_millis(20);
/// Longer than any test takes: what is found out sooner is not found out by this.
const SELDOM: Duration = Duration::from_secs(3_600);
const OFTEN: Duration = Duration::from_millis(20);
const VERIFIER: &str = "a-verifier-of-these-tests-which-is-long-enough";
pub(crate) const NONCE: &str = "nonce-of-this-sign-in";

pub(crate) struct World {
    pub(crate) server: IdentityProviderServer,
    pub(crate) provider: Arc<OidcProvider>,
    refresh: JoinHandle<()>,
}

pub(crate) fn config(issuer: &str) -> OidcConfig {
    OidcConfig {
        issuer: issuer.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.into(),
        redirect_url: Url::parse(CALLBACK).expect("it is a URL"),
        algorithms: vec![JwksAlgorithm::Rs256],
        scopes: vec!["openid".to_owned(), "profile".to_owned()],
        acr: None,
        allow_http: true,
    }
}

/// Now, on the tests' clock, in seconds.
pub(crate) fn now() -> i64 {
    FixedClock::START.as_micros() / 1_000_000
}

impl World {
    /// With a provider that is known.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut OidcConfig)) -> Self {
        let world = Self::unknown(change, |_| {}).await;
        world.is_known().await;
        world
    }

    /// With a provider that is known, and whose document is looked at again and again.
    pub(crate) async fn watchful() -> Self {
        let world = Self::looking(OFTEN, |_| {}, |_| {}).await;
        world.is_known().await;
        world
    }

    /// With a provider that may not be gone by.
    pub(crate) async fn unknown(
        change: impl FnOnce(&mut OidcConfig),
        prepare: impl FnOnce(&IdentityProviderServer),
    ) -> Self {
        Self::looking(SELDOM, change, prepare).await
    }

    async fn looking(
        look: Duration,
        change: impl FnOnce(&mut OidcConfig),
        prepare: impl FnOnce(&IdentityProviderServer),
    ) -> Self {
        let clock = Arc::new(FixedClock::default());
        let told = Arc::clone(&clock);
        let server =
            IdentityProviderServer::start(move || told.now().as_micros() / 1_000_000).await;
        prepare(&server);
        let mut config = config(server.issuer());
        change(&mut config);
        let (provider, refresh) = OidcProvider::try_new(config, clock).expect("TLS can be set up");
        Self {
            server,
            provider: Arc::new(provider),
            refresh: tokio::spawn(refresh.retrying_after(RETRY).looking_after(look).run()),
        }
    }

    pub(crate) async fn is_known(&self) {
        let known = async {
            while self.begin().await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let known = tokio::time::timeout(Duration::from_secs(30), known).await;
        assert!(known.is_ok(), "nobody knows the provider");
    }

    pub(crate) async fn begin(&self) -> Result<String, StoreError> {
        let challenge = data_encoding(&Sha256::digest(VERIFIER));
        let begin = BeginIdentification {
            state: "state-of-this-sign-in".to_owned(),
            nonce: NONCE.to_owned(),
            challenge,
        };
        self.provider.begin(begin).await
    }

    /// What a browser brings back.
    pub(crate) async fn comes_back(&self) -> EndIdentification {
        let location = self.begin().await.expect("the provider is known");
        let back = self.server.signed_in(&location);
        let of = |name: &str| {
            let mut pairs = back.query_pairs();
            let found = pairs.find(|(found, _)| found == name);
            found.map(|(_, value)| value.into_owned())
        };
        assert_eq!(of("state").as_deref(), Some("state-of-this-sign-in"));
        EndIdentification {
            code: of("code").expect("the provider gives a code"),
            issuer: of("iss"),
            nonce: NONCE.to_owned(),
            verifier: VERIFIER.to_owned(),
        }
    }

    pub(crate) async fn sign_in(&self) -> Result<Identified, StoreError> {
        let end = self.comes_back().await;
        self.provider.end(end).await
    }

    /// Signs in, and is somebody.
    #[track_caller]
    pub(crate) fn identity(&self, subject: &str) -> Identified {
        Identified::As(Identity {
            issuer: self.server.issuer().to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// Signs in in vain; why.
    pub(crate) async fn refused(&self) -> String {
        match self.sign_in().await {
            Ok(Identified::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.refresh.abort();
    }
}

fn data_encoding(bytes: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(bytes)
}

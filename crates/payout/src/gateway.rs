//! One try of one payout.

use std::time::Duration;

use async_trait::async_trait;
use bursar_domain::Timestamp;
use bursar_ports::{CallbackSecret, PayoutAnswer, PayoutGateway, PayoutOrder, SignedMessage};
use bursar_webhook::{
    SignatureHeaders, TOLERANCE, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, sign, verify,
};
use reqwest::{
    Client,
    header::{ACCEPT, CONTENT_TYPE},
    redirect, retry,
};
use serde::Serialize;
use url::Url;

use crate::answer;

/// How long making a connection may take at most.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// An answer has some dozen bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where payouts are ordered.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The gateway.
    pub url: Url,
    /// What both sides sign with.
    pub secret: CallbackSecret,
    /// How long a whole try may take.
    pub timeout: Duration,
}

/// Why payouts cannot be ordered at all.
#[derive(Debug, thiserror::Error)]
#[error("the client for the gateway cannot be made; are the system's CA certificates installed?")]
pub struct GatewayError(#[source] reqwest::Error);

/// Orders payouts over HTTP.
#[derive(Debug)]
pub struct HttpGateway {
    client: Client,
    config: GatewayConfig,
}

/// What an order says on the wire. The same bytes on every try.
#[derive(Serialize)]
struct Body<'a> {
    id: i64,
    asset: &'a str,
    amount: &'a str,
    user_id: String,
    comment: Option<&'a str>,
    created_at: String,
}

impl HttpGateway {
    /// A gateway at the configured place.
    ///
    /// # Errors
    /// [`GatewayError`] when TLS cannot be set up.
    pub fn try_new(config: GatewayConfig) -> Result<Self, GatewayError> {
        let client = Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(CONNECT_MAX))
            .redirect(redirect::Policy::none())
            .no_proxy()
            // A try is one request: when to send another is decided where the leases are.
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            .user_agent(concat!("Bursar/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(GatewayError)?;
        Ok(Self { client, config })
    }

    async fn ask(&self, order: &PayoutOrder) -> Result<PayoutAnswer, &'static str> {
        let body = body(order)?;
        let id = format!("payout_{}", order.id);
        let timestamp = order.at.as_micros().div_euclid(1_000_000);
        let secrets = std::slice::from_ref(&self.config.secret);
        let signature = sign(&id, timestamp, &body, secrets).ok_or("unsigned")?;
        let failed = |error: reqwest::Error| what(&error);
        let mut response = self
            .client
            .post(self.config.url.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(WEBHOOK_ID, id)
            .header(WEBHOOK_TIMESTAMP, timestamp)
            .header(WEBHOOK_SIGNATURE, signature)
            .body(body)
            .send()
            .await
            .map_err(failed)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err("too_large");
            }
        }
        Ok(answer::read(status, &bytes))
    }
}

#[async_trait]
impl PayoutGateway for HttpGateway {
    async fn pay(&self, order: PayoutOrder) -> PayoutAnswer {
        match self.ask(&order).await {
            Ok(answer) => answer,
            Err(what) => PayoutAnswer::Unknown { what },
        }
    }

    fn try_max_ms(&self) -> i64 {
        i64::try_from(self.config.timeout.as_millis()).unwrap_or(i64::MAX)
    }

    fn is_genuine(&self, message: &SignedMessage, now: Timestamp) -> bool {
        let headers = SignatureHeaders {
            id: &message.id,
            timestamp: &message.timestamp,
            signature: &message.signature,
        };
        let secrets = std::slice::from_ref(&self.config.secret);
        verify(headers, &message.body, secrets, now, TOLERANCE).is_ok()
    }
}

fn body(order: &PayoutOrder) -> Result<Vec<u8>, &'static str> {
    let body = Body {
        id: order.id.get(),
        asset: order.asset.as_str(),
        amount: &order.amount,
        user_id: order.user.to_string(),
        comment: order.comment.as_deref(),
        created_at: order.created_at.to_micros_text(),
    };
    serde_json::to_vec(&body).map_err(|_| "unsigned")
}

/// What went wrong, in one fixed word.
fn what(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else {
        "broken"
    }
}

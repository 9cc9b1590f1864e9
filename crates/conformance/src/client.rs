//! Requests as clauses write them.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, header::CONTENT_TYPE};

use crate::{answer::Answer, signing::AccessKey};

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Speaks to a deployment with some credentials, or with none.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client can be made");
        Self {
            http,
            base: base.to_owned(),
            headers: vec![],
        }
    }

    /// The same with a bearer token.
    pub(crate) fn bearer(&self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The same with one more header on every request.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same with an idempotency key.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    /// The same that waits for the settlement.
    pub(crate) fn waiting(&self) -> Self {
        self.with("prefer", "wait")
    }

    /// The same that signs this one request.
    pub(crate) fn signed(&self, key: &AccessKey, path: &str, body: &str) -> Self {
        let mut client = self.clone();
        client.headers.extend(key.sign(path, body));
        client
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl ToString) -> Answer {
        let body = body.to_string().into_bytes();
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.post_bytes(path, body.to_string().into_bytes()).await
    }

    pub(crate) async fn post_bytes(&self, path: &str, body: Vec<u8>) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Sends a request; a body is said to be JSON unless a header says otherwise.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let mut request = self.request(method, path);
        let typed = self.headers.iter().any(|(name, _)| name == "content-type");
        if let Some(body) = body {
            if !typed {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            request = request.body(body);
        }
        let response = request.send().await.expect("the deployment answers");
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.expect("the answer is whole"),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }
}

//! Requests as clauses write them.

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder,
    header::{ACCEPT, CONTENT_TYPE},
};

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

    /// What a stream of events says until it has said all lines of an event that contains this.
    pub(crate) async fn stream(&self, path: &str, until: &str) -> Answer {
        let request = self.request(Method::GET, path);
        let request = request.header(ACCEPT, "text/event-stream");
        let mut response = request.send().await.expect("the deployment answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut text = String::new();
        let is_said = |text: &str| {
            let said = text.split_once(until);
            said.is_some_and(|(_, rest)| rest.contains("\n\n"))
        };
        while !is_said(&text) {
            let chunk = response.chunk().await.expect("the stream is whole");
            let chunk = chunk.unwrap_or_else(|| panic!("it ended: {text}"));
            text.push_str(std::str::from_utf8(&chunk).expect("a stream is text"));
        }
        Answer {
            status,
            headers,
            text,
        }
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

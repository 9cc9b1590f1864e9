//! A client of the service, and its answers to the byte.

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use serde_json::Value;

/// Longer than any answer takes, shorter than a hanging test may.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Speaks to one replica, with or without a token.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(base: String) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .retry(reqwest::retry::never())
            .build()
            .unwrap();
        Self {
            http,
            base,
            token: None,
        }
    }

    /// The same client with these credentials.
    pub(super) fn with(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    /// Gets; an error means that no whole answer came.
    pub(super) async fn try_get(&self, path: &str) -> reqwest::Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request(Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await.unwrap()
    }

    /// An answer whose body is read piece by piece.
    pub(super) async fn open(&self, path: &str) -> reqwest::Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await.unwrap()
    }

    pub(super) async fn put(&self, path: &str, body: impl Into<String>) -> Answer {
        let request = self.request(Method::PUT, path);
        let request = request.header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.into())).await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.post_with(path, body, &[]).await
    }

    pub(super) async fn post_with(
        &self,
        path: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_post(path, body, headers).await.unwrap()
    }

    /// Posts JSON; an error means that no whole answer came.
    pub(super) async fn try_post(
        &self,
        path: &str,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(Method::POST, path);
        // Given once, because a header that is given again is added, not replaced.
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        if !typed {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into())).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// The answer, which must be a 200.
    #[track_caller]
    pub(super) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/json"));
        self
    }

    /// The answer, which must be a problem with this status and code.
    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}", self.text);
        assert_eq!(problem["status"], status, "{}", self.text);
        assert_eq!(problem["type"], format!("urn:bursar:problem:{code}"));
        assert_eq!(
            problem["instance"],
            self.header("x-request-id").unwrap(),
            "{}",
            self.text
        );
        self
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// A member that is a text.
    #[track_caller]
    pub(super) fn text_of(&self, key: &str) -> String {
        self.json()[key].as_str().unwrap().to_owned()
    }

    /// What the transfer is called: its code or its id.
    #[track_caller]
    pub(super) fn name(&self) -> String {
        let body = self.json();
        match body["code"].as_str() {
            Some(code) => code.to_owned(),
            None => body["id"].as_i64().unwrap().to_string(),
        }
    }

    /// The transfers that the answer names: one, or those of a bulk.
    #[track_caller]
    pub(super) fn names(&self) -> Vec<String> {
        let body = self.json();
        let Some(results) = body["results"].as_array() else {
            return vec![self.name()];
        };
        let codes = results.iter().filter_map(|one| one["code"].as_str());
        codes.map(str::to_owned).collect()
    }

    /// What states they are in.
    #[track_caller]
    pub(super) fn statuses(&self) -> Vec<String> {
        let body = self.json();
        let results = body["results"].as_array().map(Vec::as_slice);
        let all = results.unwrap_or(std::slice::from_ref(&body)).iter();
        all.map(|one| one["status"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }
}

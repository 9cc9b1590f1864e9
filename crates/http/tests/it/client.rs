//! Requests as a test writes them, and answers as it reads them.

use actix_web::{
    dev::Payload,
    http::{Method, StatusCode, header::HeaderMap},
    test::TestRequest,
};

/// A request on its way.
pub(crate) struct Sent {
    pub(crate) request: TestRequest,
    pub(crate) payload: Option<Payload>,
}

impl Sent {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let request = TestRequest::default().method(method).uri(path);
        Self {
            request: request.insert_header(("X-Request-Id", "req-1")),
            payload: None,
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn post(path: &str, body: &str) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    pub(crate) fn put(path: &str, body: &str) -> Self {
        Self::new(Method::PUT, path).json(body)
    }

    fn json(self, body: &str) -> Self {
        self.header("Content-Type", "application/json")
            .raw(body.as_bytes())
    }

    /// Sends these bytes and says nothing about them.
    pub(crate) fn raw(mut self, body: &[u8]) -> Self {
        self.request = self
            .request
            .insert_header(("Content-Length", body.len()))
            .set_payload(body.to_vec());
        self
    }

    /// Sends a body piece by piece.
    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Adds a header or replaces it.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.insert_header((name, value));
        self
    }

    /// Adds a header beside those of the same name.
    pub(crate) fn also(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.append_header((name, value));
        self
    }

    /// Comes from this address.
    pub(crate) fn from(mut self, address: &str) -> Self {
        let address = address.parse().expect("the test gives an address");
        self.request = self.request.peer_addr(address);
        self
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// One member of an object; null when it is not there.
    pub(crate) fn member(&self, key: &str) -> serde_json::Value {
        self.json().get(key).cloned().unwrap_or_default()
    }

    /// A member that is a text.
    pub(crate) fn text(&self, key: &str) -> String {
        let text = self.member(key).as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{key} is no text in {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("the service sends text in headers"))
    }

    /// The code of a refusal, once everything that all refusals share was checked.
    pub(crate) fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(self.member("status"), self.status, "{self:?}");
        let instance = self.text("instance");
        assert_eq!(Some(instance.as_str()), self.header("x-request-id"));
        let code = self.text("code");
        assert_eq!(self.text("type"), format!("urn:bursar:problem:{code}"));
        assert!(!self.text("title").is_empty(), "{self:?}");
        assert!(self.text("detail").ends_with('.'), "{self:?}");
        code
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The wrong fields of a refusal with their codes.
    pub(crate) fn wrong_fields(&self) -> Vec<(String, String)> {
        let errors = self.member("errors");
        let errors = errors.as_array().expect("errors are a list");
        let text = |error: &serde_json::Value, key: &str| {
            let text = error.get(key).and_then(serde_json::Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        errors
            .iter()
            .map(|error| (text(error, "field"), text(error, "code")))
            .collect()
    }

    /// Insists on success.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK.as_u16(), "{}", self.body);
        self
    }
}

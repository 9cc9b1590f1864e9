//! What a browser does: it keeps cookies, sends forms and follows nothing by itself.

use std::{collections::BTreeMap, time::Duration};

use bursar_app::TotpSecret;
use bursar_domain::Timestamp;
use reqwest::{
    RequestBuilder, StatusCode,
    header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE},
};

use super::super::{
    process::{Ended, run},
    service::{Service, environment},
};

/// A page that was sent.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// A page with this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.text);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Where the browser is sent on to.
    #[track_caller]
    pub(crate) fn leads_to(self, path: &str) -> Self {
        assert_eq!(self.status, 303, "{}", self.text);
        assert_eq!(self.header(LOCATION.as_str()), path);
        self
    }

    /// The cookies that it sets, as they are sent.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let all = self.headers.get_all(SET_COOKIE).iter();
        all.map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    /// The value of the first hidden field with this name.
    #[track_caller]
    pub(crate) fn hidden(&self, name: &str) -> String {
        let begin = format!("type=\"hidden\" name=\"{name}\" value=\"");
        let (_, rest) = self.text.split_once(&begin).expect("the field is there");
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A browser with its cookies.
#[derive(Clone)]
pub(crate) struct Browser {
    http: reqwest::Client,
    base: String,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn of(service: &Service) -> Self {
        Self::at(service.client().address())
    }

    /// One that visits this host and port.
    pub(crate) fn at(address: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            http,
            base: format!("http://{address}"),
            cookies: BTreeMap::new(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Page {
        let request = self.http.get(format!("{}{path}", self.base));
        self.send(request, headers).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_with(path, fields, &[]).await
    }

    pub(crate) async fn post_with(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Page {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        self.send(request, headers).await
    }

    async fn send(&mut self, mut request: RequestBuilder, headers: &[(&str, &str)]) -> Page {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let response = request.send().await.unwrap();
        let page = Page {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        };
        for cookie in page.cookies() {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }

    /// Opens the form and sends it with these.
    pub(crate) async fn try_sign_in(&mut self, name: &str, password: &str, code: &str) -> Page {
        let form = self.get("/console/sign-in").await.is(200);
        let csrf = form.hidden("csrf");
        let fields = [
            ("csrf", csrf.as_str()),
            ("name", name),
            ("password", password),
            ("code", code),
        ];
        self.post("/console/sign-in", &fields).await
    }

    /// Signs an operator in.
    pub(crate) async fn sign_in(&mut self, operator: &Operator) {
        let code = operator.code();
        let page = self.try_sign_in(&operator.name, &operator.password, &code);
        page.await.leads_to("/console");
    }

    /// Whether somebody is signed in.
    pub(crate) async fn is_in(&mut self) -> bool {
        let page = self.get("/console/sessions").await;
        match page.status.as_u16() {
            200 => true,
            303 => {
                page.leads_to("/console/sign-in?next=%2Fconsole%2Fsessions");
                false
            }
            status => panic!("{status}: {}", page.text),
        }
    }
}

/// A text as a form carries it.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Who signs in.
pub(crate) struct Operator {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) totp: TotpSecret,
}

impl Operator {
    /// Makes one by the command line.
    pub(crate) async fn create(url: &str, name: &str, permissions: &str) -> Self {
        let made = operator(url, &["create", name, "--permissions", permissions]).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let value = |key: &str| {
            let mut lines = made.stdout.lines();
            let found = lines.find_map(|line| line.strip_prefix(&format!("{key}=")));
            found
                .unwrap_or_else(|| panic!("no {key}: {}", made.stdout))
                .to_owned()
        };
        let secret = value("totp_secret");
        assert!(value("totp_uri").contains(&format!("secret={secret}&")));
        Self {
            name: value("operator"),
            password: value("password"),
            totp: TotpSecret::parse(&secret).unwrap(),
        }
    }

    /// What is shown now.
    pub(crate) fn code(&self) -> String {
        self.totp.code_at(now())
    }

    /// What is shown next, which is taken already.
    pub(crate) fn next_code(&self) -> String {
        self.totp.code_at(now().plus_micros(30_000_000))
    }
}

fn now() -> Timestamp {
    let micros = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    Timestamp::from_micros(micros.try_into().unwrap())
}

/// Runs `bursar operator …`.
pub(crate) async fn operator(url: &str, arguments: &[&str]) -> Ended {
    run(&[&["operator"], arguments].concat(), &environment(url)).await
}

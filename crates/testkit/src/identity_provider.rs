//! An identity provider of a test's own: real HTTP, real signatures, OpenID Connect's authorization code
//! flow. It does what such a provider must (codes are good once, for the client that they were given to,
//! and with the verifier alone), unless a test has it lie.

mod http;
mod token;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};
use url::{Url, form_urlencoded};

use self::http::{Answer, Request};
pub use self::token::Signature;

/// What the provider knows the console as. It must be escaped where it is sent.
pub const CLIENT_ID: &str = "bursar:console";
/// What shows it that it is the console. So must this.
pub const CLIENT_SECRET: &str = "a secret+of/tests%";

/// What the provider says and does from now on. Claims, headers and members of the document that are
/// null are left out.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// Who signs in.
    pub subject: String,
    /// Claims that are different from those that are good.
    pub claims: Value,
    /// The same for the header of the ID token.
    pub header: Value,
    /// By what the ID token is signed.
    pub signature: Signature,
    /// The same for the discovery document.
    pub document: Value,
    /// The error that browsers come back with, instead of a code.
    pub error: Option<String>,
    /// `iss` that browsers come back with; none = it is not told.
    pub told_issuer: Option<String>,
    /// Status and body of the answer to any code.
    pub token_answer: Option<(u16, String)>,
}

struct Kept {
    conduct: Conduct,
    /// What each code was given for: the query of the browser's request.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    given: u32,
    /// How the client of each request for tokens showed who it is.
    redeemed: Vec<&'static str>,
}

type Now = Box<dyn Fn() -> i64 + Send + Sync>;

struct Shared {
    issuer: String,
    kept: Mutex<Kept>,
    now: Now,
}

/// A running provider; it ends with its value.
pub struct IdentityProviderServer {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl IdentityProviderServer {
    /// Starts one that goes by this clock, in seconds since the epoch. Its name is `localhost`, so that
    /// a browser takes it for another site than `127.0.0.1`.
    pub async fn start(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let issuer = format!("http://localhost:{port}");
        let conduct = Conduct {
            subject: "subject-7".to_owned(),
            claims: json!({}),
            header: json!({}),
            signature: Signature::Own,
            document: json!({}),
            error: None,
            told_issuer: Some(issuer.clone()),
            token_answer: None,
        };
        let shared = Arc::new(Shared {
            issuer,
            kept: Mutex::new(Kept {
                conduct,
                codes: BTreeMap::new(),
                given: 0,
                redeemed: vec![],
            }),
            now: Box::new(now),
        });
        let answers = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answers = Arc::clone(&answers);
                tokio::spawn(http::serve(stream, move |request| answers.answer(&request)));
            }
        });
        Self { shared, serving }
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Has it do something else from now on.
    pub fn conduct(&self, change: impl FnOnce(&mut Conduct)) {
        change(&mut self.shared.kept().conduct);
    }

    /// How the clients showed who they are that asked for tokens so far.
    pub fn redeemed(&self) -> Vec<&'static str> {
        self.shared.kept().redeemed.clone()
    }

    /// Where a browser comes back to that was sent here, once somebody has signed in.
    pub fn signed_in(&self, location: &str) -> Url {
        let location = Url::parse(location).expect("it is a URL");
        let asked = pairs(location.query().unwrap_or_default());
        self.shared.give_code(&asked)
    }
}

impl Drop for IdentityProviderServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for IdentityProviderServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityProviderServer")
            .field("issuer", &self.shared.issuer)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no holder of the lock panics")
    }

    fn answer(&self, request: &Request) -> Answer {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        match (request.method.as_str(), path) {
            ("GET", "/.well-known/openid-configuration") => Answer::json(200, &self.document()),
            ("GET", "/jwks") => Answer::json(200, &token::jwks()),
            ("GET", "/authorize") => Answer::page(&format!(
                "<!DOCTYPE html><html lang=\"en\"><title>A provider</title><h1>A provider</h1>\
                 <form action=\"/continue?{}\" method=\"post\">\
                 <button id=\"continue\">Continue</button></form></html>",
                query.replace('&', "&amp;")
            )),
            // As providers do it, after a form of their own.
            ("POST", "/continue") => Answer::found(self.give_code(&pairs(query)).as_str()),
            ("POST", "/token") => self.redeem(request),
            _ => Answer::json(404, &json!({})),
        }
    }

    fn document(&self) -> Value {
        let issuer = &self.issuer;
        let document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": true,
        });
        changed(document, &self.kept().conduct.document)
    }

    fn give_code(&self, asked: &BTreeMap<String, String>) -> Url {
        let mut kept = self.kept();
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked.get(name).map(String::as_str), Some(value), "{name}");
        }
        let of = |name: &str| asked.get(name).unwrap_or_else(|| panic!("no {name}"));
        let mut back = Url::parse(of("redirect_uri")).expect("it is a URL");
        back.query_pairs_mut().append_pair("state", of("state"));
        if let Some(error) = &kept.conduct.error {
            back.query_pairs_mut().append_pair("error", error);
        } else {
            kept.given += 1;
            let code = format!("code-{}", kept.given);
            back.query_pairs_mut().append_pair("code", &code);
            kept.codes.insert(code, asked.clone());
        }
        if let Some(issuer) = &kept.conduct.told_issuer {
            back.query_pairs_mut().append_pair("iss", issuer);
        }
        back
    }

    fn redeem(&self, request: &Request) -> Answer {
        let sent = pairs(&request.body);
        let of = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
        let wrong = |status, error: &str| Answer::json(status, &json!({"error": error}));
        let Some(how) = client(request, &sent) else {
            return wrong(401, "invalid_client");
        };
        let mut kept = self.kept();
        kept.redeemed.push(how);
        // Good once, whatever comes of it.
        let given = kept.codes.remove(of("code"));
        if let Some((status, body)) = &kept.conduct.token_answer {
            return Answer::text(*status, body);
        }
        let Some(given) = given else {
            return wrong(400, "invalid_grant");
        };
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(of("code_verifier")));
        let fits = given.get("code_challenge") == Some(&challenge)
            && given.get("redirect_uri").map(String::as_str) == Some(of("redirect_uri"))
            && of("grant_type") == "authorization_code";
        if !fits {
            return wrong(400, "invalid_grant");
        }
        let now = (self.now)();
        let claims = json!({
            "iss": self.issuer, "sub": kept.conduct.subject, "aud": CLIENT_ID,
            "exp": now + 300, "iat": now, "nonce": given.get("nonce"),
            "acr": given.get("acr_values"), "email": "anna@example.com",
            "preferred_username": "anna",
        });
        let claims = changed(claims, &kept.conduct.claims);
        let id_token = kept.conduct.signature.token(&kept.conduct.header, &claims);
        let tokens = json!({
            "access_token": "nobody-uses-this", "token_type": "Bearer", "id_token": id_token,
        });
        Answer::json(200, &tokens)
    }
}

/// How a client shows who it is, if it is ours.
fn client(request: &Request, sent: &BTreeMap<String, String>) -> Option<&'static str> {
    if let Some(header) = request.headers.get("authorization") {
        let pair = BASE64
            .decode(header.strip_prefix("Basic ")?.as_bytes())
            .ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (id, secret) = pair.split_once(':')?;
        let plain = |text: &str| pairs(&format!("x={text}")).remove("x");
        let is_ours = plain(id)? == CLIENT_ID && plain(secret)? == CLIENT_SECRET;
        return is_ours.then_some("client_secret_basic");
    }
    let is_ours =
        sent.get("client_id")? == CLIENT_ID && sent.get("client_secret")? == CLIENT_SECRET;
    is_ours.then_some("client_secret_post")
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// An object with some members changed; null takes one away.
fn changed(mut object: Value, changes: &Value) -> Value {
    let (Some(members), Some(changes)) = (object.as_object_mut(), changes.as_object()) else {
        panic!("they are objects");
    };
    for (name, value) in changes {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    object
}

//! `bursar callback listen`: prints and verifies what arrives on a port of this machine.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::{KeepAlive, StatusCode, header::HeaderMap},
    web::{Bytes, Data, PayloadConfig, to},
};
use anyhow::Context;
use bursar_callback::{
    SignatureHeaders, TOLERANCE, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, verify,
};
use bursar_domain::Timestamp;
use bursar_ports::{CallbackSecret, Clock};
use tokio::sync::Notify;

use super::say;
use crate::{
    cli::{ListenArgs, callback_secret},
    shutdown::Signals,
    system::SystemClock,
};

/// Larger bodies than any callback has are refused.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Where the secret is when the command line has none.
const SECRET_VARIABLE: &str = "BURSAR_CALLBACK_SECRET";
/// What is shown of a callback's head.
const SHOWN: [&str; 5] = [
    WEBHOOK_ID,
    WEBHOOK_TIMESTAMP,
    WEBHOOK_SIGNATURE,
    "content-type",
    "user-agent",
];

/// What the listener knows, shared by its threads.
struct Listener {
    secrets: Vec<CallbackSecret>,
    status: StatusCode,
    count_max: Option<u32>,
    seen: Mutex<Seen>,
    /// Enough has arrived, or nobody reads what is printed.
    done: Notify,
}

#[derive(Default)]
struct Seen {
    count: u32,
    /// How often each `webhook-id` has arrived.
    ids: HashMap<String, u32>,
    broken: Option<anyhow::Error>,
}

/// Listens until a signal comes or enough has arrived.
pub(crate) async fn listen(args: ListenArgs) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let listeners = bind(args.port)
        .with_context(|| format!("port {} of this machine cannot be listened on", args.port))?;
    let first = listeners.first().and_then(|one| one.local_addr().ok());
    let listener = Arc::new(Listener {
        secrets: secrets(args.secrets)?,
        status: args.status,
        count_max: args.count,
        seen: Mutex::default(),
        done: Notify::new(),
    });
    let shared = Data::from(Arc::clone(&listener));
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(PayloadConfig::new(BODY_BYTES_MAX))
            .default_service(to(take))
    })
    .workers(1)
    .keep_alive(KeepAlive::Disabled)
    .disable_signals();
    for one in listeners {
        server = server.listen(one).context("the listener cannot be used")?;
    }
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    tell(first, &listener);
    tokio::select! {
        () = signals.wait() => {}
        () = listener.done.notified() => {}
    }
    handle.stop(true).await;
    running.await?.context("the listener ended by itself")?;
    let broken = listener.lock().broken.take();
    broken.map_or(Ok(()), Err)
}

/// The secrets that were given, else the environment's; an empty variable counts as none.
fn secrets(given: Vec<CallbackSecret>) -> anyhow::Result<Vec<CallbackSecret>> {
    let text = std::env::var(SECRET_VARIABLE).unwrap_or_default();
    if !given.is_empty() || text.is_empty() {
        return Ok(given);
    }
    let secret = callback_secret(&text).map_err(anyhow::Error::msg);
    Ok(vec![secret.context(SECRET_VARIABLE)?])
}

/// This machine only, whichever way its name is resolved.
fn bind(port: u16) -> io::Result<Vec<TcpListener>> {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let port = v4.local_addr()?.port();
    // A machine may be without IPv6.
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok();
    Ok([Some(v4), v6].into_iter().flatten().collect())
}

/// Standard output is for callbacks alone.
fn tell(address: Option<SocketAddr>, listener: &Listener) {
    let address = address.map_or(String::new(), |address| address.to_string());
    let checks = match listener.secrets.len() {
        0 => "without a secret: nothing is verified (--secret whsec_…)".to_owned(),
        1 => "verifying with one secret".to_owned(),
        count => format!("verifying with any of {count} secrets"),
    };
    let text = format!("listening on http://{address} (any path), {checks}; Ctrl-C ends\n");
    // Nobody is left to tell when standard error is closed.
    drop(io::Write::write_all(&mut io::stderr(), text.as_bytes()));
}

async fn take(request: HttpRequest, body: Bytes, listener: Data<Listener>) -> HttpResponse {
    let now = SystemClock.now();
    let mut seen = listener.lock();
    let text = listener.describe(&request, &body, now, &mut seen);
    seen.count = seen.count.saturating_add(1);
    if let Err(error) = say(&text) {
        seen.broken = Some(error);
    }
    let enough = listener.count_max.is_some_and(|max| seen.count >= max);
    if enough || seen.broken.is_some() {
        listener.done.notify_one();
    }
    HttpResponse::new(listener.status)
}

impl Listener {
    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything about one callback, its body as it arrived.
    fn describe(
        &self,
        request: &HttpRequest,
        body: &[u8],
        now: Timestamp,
        seen: &mut Seen,
    ) -> String {
        let headers = request.headers();
        let verified = match self.check(headers, body, now) {
            _ if self.secrets.is_empty() => "not verified: no secret was given".to_owned(),
            Ok(()) => "verified".to_owned(),
            Err(why) => format!("NOT VERIFIED: {why}"),
        };
        let repetition = match text(headers, WEBHOOK_ID) {
            None => "without a webhook-id".to_owned(),
            Some(id) => {
                let times = seen.ids.entry(id.to_owned()).or_default();
                *times = times.saturating_add(1);
                match *times {
                    1 => "first time".to_owned(),
                    again => format!("again: {again} times now"),
                }
            }
        };
        let (method, path) = (request.method(), request.path());
        let status = self.status.as_u16();
        let mut lines = vec![
            format!("{method} {path} {verified}; {repetition}; answered {status}"),
            format!("  {:<18} {now}", "received"),
        ];
        for name in SHOWN {
            let value = text(headers, name).unwrap_or("(missing)");
            lines.push(format!("  {name:<18} {value}"));
        }
        lines.push(String::from_utf8_lossy(body).into_owned());
        lines.push("\n".to_owned());
        // What could move a terminal's cursor is in no callback of Bursar's.
        lines
            .join("\n")
            .replace(|char: char| char.is_control() && char != '\n', "\u{fffd}")
    }

    fn check(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), String> {
        let header = |name| text(headers, name).ok_or_else(|| format!("{name} is missing"));
        let signed = SignatureHeaders {
            id: header(WEBHOOK_ID)?,
            timestamp: header(WEBHOOK_TIMESTAMP)?,
            signature: header(WEBHOOK_SIGNATURE)?,
        };
        verify(signed, body, &self.secrets, now, TOLERANCE).map_err(|why| why.to_string())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

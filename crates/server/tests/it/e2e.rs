//! The built binary from outside: a real HTTP client, a real PostgreSQL, real signals.
//!
//! * `process` starts the binary and ends it whatever becomes of the test; `service` and
//!   `demo_process` know how `bursar serve` and `bursar demo` tell where they are.
//! * `client` speaks to it, `receiver` takes its callbacks, `books` looks into its database and
//!   audits it, `verifiers` judge signatures, `exchange` gives it assets, users and money, `issuer` signs JWTs for it, `gateway`
//!   pays withdrawals out, `load` and `steady` keep it busy with what `call`
//!   makes, `history` judges what its clients saw.
//! * `relay` and `hole` stand before the database, `haproxy` before replicas.
//!
//! Nothing here sleeps for a fixed time: [`eventually`] waits for a condition and gives up in the
//! end. Only loopback addresses are used.

mod books;
mod call;
mod client;
mod demo_process;
#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "it is written for other people's programs"
)]
mod documented_verify;
mod exchange;
mod gateway;
mod haproxy;
mod history;
mod hole;
mod issuer;
mod load;
mod nodes;
mod process;
mod receiver;
mod service;
mod sound;
mod steady;
mod trial;
mod verifiers;

mod address_book;
mod after_restore;
mod amounts;
mod audit;
mod bulk;
mod callback_listen;
mod callback_secrets;
mod callbacks;
#[cfg(feature = "failpoints")]
mod chaos;
mod cluster;
mod configuration;
mod console;
mod crash;
mod database_crash;
mod demo;
mod events;
mod expiry;
mod exports;
mod failover;
#[cfg(feature = "failpoints")]
mod failpoints;
mod fees;
mod imports;
mod jwt;
mod keys;
mod killed_dispatchers;
mod lanes;
mod limits;
mod logs;
mod model;
mod overload;
mod payouts;
mod permissions;
mod recipient_logs;
mod recipient_timing;
mod recipients;
mod refusals;
mod replicas;
mod reseal;
mod reversals;
mod rolling;
mod second_operator;
mod shutdown;
mod signatures;
mod stops;
mod tour;
mod upgrade;
mod user_limits;
mod verify;
mod verify_record;

use std::time::{Duration, Instant};

/// Long enough for a busy machine; nothing that works ever takes it.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer.
async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask).await
}

async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The text with every digit replaced, to compare the form of times and codes.
fn shape(text: &str) -> String {
    text.replace(|c: char| c.is_ascii_digit(), "9")
}

/// How times look in the back-office API.
const MICROS: &str = "9999-99-99T99:99:99.999999Z";
/// How times look in the internal-transfer API.
const SECONDS: &str = "9999-99-99T99:99:99Z";

/// A decimal text in units of 10^-18.
fn units(text: &str) -> i128 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{whole}{fraction:0<18}");
    sign * padded.parse::<i128>().unwrap()
}

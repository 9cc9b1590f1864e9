//! Everything that reads what strangers send, each as a function of bytes that panics when something
//! is wrong: for the tests here, which need nothing but the stable toolchain, and for libFuzzer
//! (`libfuzzer`, a workspace of its own).
//!
//! * `values`: amounts, times, keys, codes and cursors, each held against rules that are written down a
//!   second time here.
//! * `addresses`: URLs of callbacks, and where they may lead.
//! * `requests`: every body and every query that `docs/openapi.json` has, and credentials, through the
//!   real routes.
//! * [`mutate`]: inputs made from the corpus, the same ones in every run.

mod addresses;
pub mod mutate;
mod requests;
mod values;

use bursar_testkit::fakes;

// The small exchange that the tests of `http` talk to.
#[expect(dead_code, reason = "the tests of http need more of it")]
#[path = "../../http/tests/it/client.rs"]
mod client;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "a test of its own needs more of it")
)]
#[path = "../../http/tests/it/documented.rs"]
mod documented;
#[expect(dead_code, reason = "the tests of http need more of it")]
#[path = "../../http/tests/it/world.rs"]
mod world;

/// Panics when something is wrong with what it is fed with.
pub type Feed = Box<dyn Fn(&[u8])>;

/// Something that is fed with bytes.
pub struct Target {
    /// What it is called, and so is the folder of its corpus.
    pub name: String,
    /// What reads them.
    pub feed: Feed,
    /// How much more one input of it costs than one of the others.
    pub weight: usize,
}

impl Target {
    fn light(name: &str, feed: fn(&[u8])) -> Self {
        Self {
            name: name.to_owned(),
            feed: Box::new(feed),
            weight: 1,
        }
    }
}

/// All of them.
pub fn targets() -> Vec<Target> {
    let mut all = vec![
        Target::light("amount", values::amount),
        Target::light("amount-token", values::amount_token),
        Target::light("asset", values::asset),
        Target::light("callback-secret", values::callback_secret),
        Target::light("cursor", values::cursor),
        Target::light("idempotency-key", values::idempotency_key),
        Target::light("time", values::time),
        Target::light("transfer-code", values::transfer_code),
        Target::light("address", addresses::address),
        Target::light("callback-url", addresses::callback_url),
        Target::light("ip-range", addresses::ip_range),
    ];
    all.extend(requests::targets());
    all
}

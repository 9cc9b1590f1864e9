//! Settings of how requests are taken.

use super::{Default, PLAIN, Setting};

pub(in crate::config) const WORKERS: Setting = Setting {
    key: "http.workers",
    default: Default::Missing("one per processor"),
    form: "threads, 1 to 1,024",
    example: "4",
    help: "Threads that serve requests.",
    ..PLAIN
};

pub(in crate::config) const HEAD_TIMEOUT: Setting = Setting {
    key: "http.head_timeout_ms",
    default: Default::Value("5000"),
    form: "milliseconds, 100 to 60,000",
    example: "5000",
    help: "How long the head of a request may take to arrive.",
    ..PLAIN
};

pub(in crate::config) const BODY_TIMEOUT: Setting = Setting {
    key: "http.body_timeout_ms",
    default: Default::Value("5000"),
    form: "milliseconds, 100 to 300,000",
    example: "5000",
    help: "How long the body of a request may take to arrive.",
    ..PLAIN
};

pub(in crate::config) const KEEP_ALIVE: Setting = Setting {
    key: "http.keep_alive_ms",
    default: Default::Value("15000"),
    form: "milliseconds, 0 to 600,000",
    example: "15000",
    help: "How long an idle connection is kept; 0 closes it after each answer.",
    ..PLAIN
};

pub(in crate::config) const UNREAD_TIMEOUT: Setting = Setting {
    key: "http.unread_timeout_ms",
    default: Default::Value("60000"),
    form: "milliseconds, 1,000 to 600,000",
    example: "60000",
    help: "How long a client may leave unread what it was sent, before its connection is closed. \
           Linux keeps to it; elsewhere nothing does.",
    ..PLAIN
};

pub(in crate::config) const EVENT_STREAMS: Setting = Setting {
    key: "http.event_streams",
    default: Default::Value("32"),
    form: "streams, 1 to 1,000",
    example: "32",
    help: "How many streams of the event feed may be open at once; one more is answered with 503. \
           Each reads every event from the database.",
    ..PLAIN
};

pub(in crate::config) const TRUSTED_PROXIES: Setting = Setting {
    key: "http.trusted_proxies",
    default: Default::Missing("no proxy is trusted, and the client is whoever connects"),
    form: "IP addresses, such as `10.0.0.5`, and CIDR ranges, such as `10.0.0.0/29`; no names",
    example: "10.0.0.5",
    list: true,
    help: "The proxies whose `X-Forwarded-For` is believed. The client is then the last address in \
           it that is none of these; access keys' address lists, limits and the log go by it. Every \
           one of them must append the address that it was called from. Name each by its address \
           where you can: of a range, whoever sends from within it is believed, so it must have \
           nothing but such proxies in it. `Forwarded` is not read.",
    ..PLAIN
};

//! Settings of payouts.

use super::{Default, PLAIN, Setting};

pub(in crate::config) const URL: Setting = Setting {
    key: "payout.url",
    default: Default::Missing("whoever confirms a withdrawal has seen to its payout"),
    form: "`https` URL; `http` to this machine, or in development",
    example: "https://payouts.exchange.example/orders",
    help: "The gateway that pays confirmed withdrawals out. With it a confirmed withdrawal stays \
           `AwaitingConfirmation` until the gateway has paid or refused. `PAYOUTS.md` tells what a \
           gateway must do.",
    ..PLAIN
};

pub(in crate::config) const SECRET: Setting = Setting {
    key: "payout.secret",
    default: Default::Missing("required with `payout.url`"),
    form: "`whsec_` and the base64 of 32 bytes",
    example: "whsec_REPLACE_WITH_BASE64_OF_32_RANDOM_BYTES",
    secret: true,
    help: "Signs the orders to the gateway and what it says. Whoever has it can end payouts, so \
           it is for the gateway alone. `echo \"whsec_$(openssl rand -base64 32)\"` makes one.",
    ..PLAIN
};

pub(in crate::config) const TIMEOUT: Setting = Setting {
    key: "payout.timeout_ms",
    default: Default::Value("10000"),
    form: "milliseconds, 100 to 60000",
    example: "10000",
    help: "How long the gateway may take to answer an order. Without an answer it is asked again.",
    ..PLAIN
};

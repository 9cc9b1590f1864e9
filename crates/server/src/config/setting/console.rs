//! Settings of the console.

use super::{Default, PLAIN, Setting};

pub(in crate::config) const ENABLED: Setting = Setting {
    key: "console.enabled",
    default: Default::Value("true"),
    form: "`true` or `false`",
    example: "true",
    help: "Whether the console for operators is served below `/console`. Nobody can sign in before \
           `bursar operator create` has made an operator.",
    ..PLAIN
};

pub(in crate::config) const IDLE: Setting = Setting {
    key: "console.idle_s",
    default: Default::Value("1800"),
    form: "seconds, 300 to 86400",
    example: "1800",
    help: "How long an operator may leave a session of the console alone before it ends.",
    ..PLAIN
};

pub(in crate::config) const SESSION: Setting = Setting {
    key: "console.session_s",
    default: Default::Value("43200"),
    form: "seconds, 300 to 604800",
    example: "43200",
    help: "How long a session of the console lasts, however busy it is.",
    ..PLAIN
};

pub(in crate::config) const SECURE_COOKIES: Setting = Setting {
    key: "console.secure_cookies",
    default: Default::ByProfile {
        production: "true",
        development: "false",
    },
    form: "`true` or `false`",
    example: "true",
    help: "Whether browsers reach the console over TLS. Its cookies are then `Secure` and their \
           names begin with `__Host-`, and over plain http nobody can sign in. Set it to `false` only \
           where nothing but this machine's own network lies between browser and console.",
    ..PLAIN
};

pub(in crate::config) const SECOND_LOOK_ABOVE: Setting = Setting {
    key: "console.second_look_above",
    default: Default::Missing("nothing is asked for once more"),
    form: "an amount of the root asset",
    example: "10000",
    help: "Beyond this much of the root asset, the console asks once more before it confirms or \
           approves, on a page of its own; and for what has no value in the root asset too. Change it \
           together with `root_asset`.",
    ..PLAIN
};

pub(in crate::config) const PASSWORD_SIGN_IN: Setting = Setting {
    key: "console.password_sign_in",
    default: Default::Value("true"),
    form: "`true` or `false`",
    example: "true",
    help: "Whether operators may sign in with a password and a code. With `false` they sign in at the \
           identity provider (`oidc.issuer`) and nowhere else; sessions that are open stay so.",
    ..PLAIN
};

//! The settings of JWT access tokens.

use super::{Default, PLAIN, Setting};

const OFF: Default =
    Default::Missing("JWTs are not accepted, unless another `jwt` setting is given");

pub(in crate::config) const ISSUER: Setting = Setting {
    key: "jwt.issuer",
    default: OFF,
    form: "text",
    example: "https://id.example.com/",
    help: "What `iss` of a JWT access token must be, to the byte. With any of `jwt.issuer`, \
           `jwt.audience`, `jwt.algorithms`, `jwt.jwks_url`, `jwt.jwks_file` and `jwt.secret` JWTs \
           are accepted, and then issuer, audience, algorithms and exactly one of the last three \
           must be given.",
    ..PLAIN
};

pub(in crate::config) const AUDIENCE: Setting = Setting {
    key: "jwt.audience",
    default: OFF,
    form: "texts; several are allowed",
    example: "bursar",
    list: true,
    help: "What `aud` must be, or have among others: one of these names of this service.",
    ..PLAIN
};

pub(in crate::config) const ALGORITHMS: Setting = Setting {
    key: "jwt.algorithms",
    default: OFF,
    form: "`RS256`, `ES256`, `EdDSA`, or `HS256` alone",
    example: "RS256",
    list: true,
    help: "The algorithms that are accepted, whatever a token says. `HS256` goes with `jwt.secret` \
           and with nothing else, the others with a JWKS: a public key can then never be taken for \
           a secret.",
    ..PLAIN
};

pub(in crate::config) const JWKS_URL: Setting = Setting {
    key: "jwt.jwks_url",
    default: OFF,
    form: "`https` URL",
    example: "https://id.example.com/.well-known/jwks.json",
    help: "Where the issuer publishes its keys. Redirects are not followed. Plain `http` is \
           accepted in development, from this machine.",
    ..PLAIN
};

pub(in crate::config) const JWKS_FILE: Setting = Setting {
    key: "jwt.jwks_file",
    default: OFF,
    form: "path",
    example: "/etc/bursar/jwks.json",
    help: "The issuer's keys in a file, instead of `jwt.jwks_url`. A file that is replaced is read \
           again.",
    ..PLAIN
};

pub(in crate::config) const SECRET: Setting = Setting {
    key: "jwt.secret",
    default: OFF,
    form: "text of at least 32 bytes",
    example: "REPLACE_WITH_AT_LEAST_32_RANDOM_BYTES",
    secret: true,
    help: "The secret shared with the issuer, for `HS256`, instead of a JWKS; the bytes of the \
           text are the key. Whoever has it can issue tokens, so prefer a JWKS.",
    ..PLAIN
};

pub(in crate::config) const LEEWAY: Setting = Setting {
    key: "jwt.leeway_seconds",
    default: Default::Value("5"),
    form: "seconds, 0 to 30",
    example: "5",
    help: "How far the issuer's clock may be from this one's, for `exp` and `nbf`.",
    ..PLAIN
};

pub(in crate::config) const USER_CLAIM: Setting = Setting {
    key: "jwt.user_claim",
    default: Default::Value("user_id"),
    form: "name of a claim",
    example: "user_id",
    help: "The claim with the GUID of the user a token acts for. A token with it is that user's \
           and never an operator's, whatever else it says; one without it acts for no user. With \
           `sub`, tokens whose subject is a GUID are users'.",
    ..PLAIN
};

pub(in crate::config) const REFRESH: Setting = Setting {
    key: "jwt.refresh_seconds",
    default: Default::Value("300"),
    form: "seconds, 30 to 86,400",
    example: "300",
    help: "How often the JWKS is fetched anew. A key that is not in it is looked for at once, at \
           most once a minute. The last good set counts while fetching fails.",
    ..PLAIN
};

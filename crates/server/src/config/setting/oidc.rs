//! The settings of the identity provider.

use super::{Default, PLAIN, Setting};

const REQUIRED: Default = Default::Missing("required with `oidc.issuer`");

pub(in crate::config) const ISSUER: Setting = Setting {
    key: "oidc.issuer",
    default: Default::Missing("operators sign in with passwords and codes alone"),
    form: "`https` URL",
    example: "https://id.example.com",
    help: "The OpenID Connect provider at which operators of the console may sign in, exactly as its \
           discovery document (`/.well-known/openid-configuration` below this address) says it. Plain \
           `http` is accepted in development, from this machine.",
    ..PLAIN
};

pub(in crate::config) const CLIENT_ID: Setting = Setting {
    key: "oidc.client_id",
    default: REQUIRED,
    form: "text",
    example: "bursar-console",
    help: "What the provider knows the console as. An ID token must be for this client.",
    ..PLAIN
};

pub(in crate::config) const CLIENT_SECRET: Setting = Setting {
    key: "oidc.client_secret",
    default: REQUIRED,
    form: "text",
    example: "REPLACE_WITH_WHAT_THE_PROVIDER_GAVE",
    secret: true,
    help: "What shows the provider that it is the console: `client_secret_basic`, or \
           `client_secret_post` where the provider takes nothing else.",
    ..PLAIN
};

pub(in crate::config) const REDIRECT_URL: Setting = Setting {
    key: "oidc.redirect_url",
    default: REQUIRED,
    form: "`https` URL that ends in `/console/sign-in/provider/callback`",
    example: "https://bursar.example.com/console/sign-in/provider/callback",
    help: "Where the provider sends browsers back to: the console's address as operators see it, and \
           registered at the provider exactly so. Plain `http` is accepted in development, to this \
           machine.",
    ..PLAIN
};

pub(in crate::config) const LABEL: Setting = Setting {
    key: "oidc.label",
    default: Default::Missing("the issuer's host"),
    form: "text, 1 to 64 characters",
    example: "Example ID",
    help: "What the button says: *Sign in with* and this.",
    ..PLAIN
};

pub(in crate::config) const ALGORITHMS: Setting = Setting {
    key: "oidc.algorithms",
    default: Default::Value("RS256"),
    form: "`RS256`, `ES256`, `EdDSA`; several are allowed",
    example: "RS256",
    list: true,
    help: "The algorithms of ID tokens that are accepted, whatever a token says.",
    ..PLAIN
};

pub(in crate::config) const SCOPES: Setting = Setting {
    key: "oidc.scopes",
    default: Default::Value("openid"),
    form: "names; several are allowed, `openid` among them",
    example: "openid",
    list: true,
    help: "What is asked for. Nothing but who somebody is, and how that was shown, is ever looked at.",
    ..PLAIN
};

pub(in crate::config) const ACR: Setting = Setting {
    key: "oidc.acr",
    default: Default::Missing("the provider decides what is enough"),
    form: "text",
    example: "phr",
    help: "How operators must have shown the provider who they are: it is asked for this \
           (`acr_values`), and its ID token must say it (`acr`). Second factors are the provider's to \
           ask for; here nobody is asked for another one.",
    ..PLAIN
};

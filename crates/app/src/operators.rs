//! Who signs in to the console: accounts, signing in, and what a session is good for.
//!
//! A sign-in needs a name, a password and a code, or the word of the exchange's identity provider. Of
//! the former, whatever is wrong, the answer is the same, and so is the work behind it. A try is
//! counted before it opens anything or is answered, so that many at once are not more than one after
//! the other.

mod accounts;
mod identities;
mod opening;
mod provider;
mod sessions;
mod sign_in;
mod totp;

use std::net::IpAddr;

use bursar_ports::Permission;

pub use accounts::{IssuedOperator, NewOperator};
pub use identities::NewLinkedOperator;
pub use opening::OpenedSession;
pub use provider::{
    BegunSignIn, ProviderAnswer, ProviderSeed, ProviderSignIn, ProviderSignInError,
};
pub use sessions::{SessionSettings, SignedIn, csrf_token};
pub use sign_in::{SignIn, SignInError};
pub use totp::TotpSecret;

/// What an operator may be given. The others are about a user's own money.
const OPERATORS_PERMISSIONS: [Permission; 5] = [
    Permission::BackofficeRead,
    Permission::BackofficeWrite,
    Permission::BackofficeConfirm,
    Permission::BackofficeApprove,
    Permission::Admin,
];

/// A request of somebody whose credentials are still to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the request.
    pub request_id: String,
    /// Where it comes from, when that is known.
    pub address: Option<IpAddr>,
}

/// How the audit log names an operator.
pub(crate) fn operator_target(name: &str) -> String {
    format!("operator:{name}")
}

#[cfg(test)]
mod tests;

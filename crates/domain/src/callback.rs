//! Callbacks as they are decided: which URL hears of which state.

use std::fmt;

use uuid::Uuid;

use crate::{ActorId, Status, UserId};

/// What made a callback due. One delivery per (transfer, operation, URL): of what is reversed in several
/// parts, the original's URL hears of the first by [`Operation::Reverse`], and of each by its own
/// [`Operation::Create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// The transfer was created.
    Create,
    /// It settled by itself.
    Settle,
    /// It was confirmed, or a confirm was refused.
    Confirm,
    /// It was cancelled, or a cancel was refused.
    Cancel,
    /// It failed without anybody asking.
    Fail,
    /// A second operator approved or rejected it.
    Review,
    /// The payout ended, one way or the other.
    Payout,
    /// Some or all of it was reversed.
    Reverse,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Settle,
        Self::Confirm,
        Self::Cancel,
        Self::Fail,
        Self::Review,
        Self::Payout,
        Self::Reverse,
    ];

    /// The name in the database and in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Settle => "settle",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Fail => "fail",
            Self::Review => "review",
            Self::Payout => "payout",
            Self::Reverse => "reverse",
        }
    }

    /// The operation with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.as_str() == name)
    }
}

/// Who gave a callback's URL: whose secret signs it, and whose share of all deliveries it takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subscriber {
    /// A user, by whichever of its credentials.
    User(UserId),
    /// A client of the back office.
    Client(ActorId),
}

impl Subscriber {
    /// The subscriber with this name, as [`fmt::Display`] writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        let (kind, who) = name.split_once(':')?;
        match kind {
            "user" => Uuid::try_parse(who)
                .ok()
                .map(|id| Self::User(UserId::new(id))),
            "client" if !who.is_empty() => Some(Self::Client(ActorId::new(who))),
            _ => None,
        }
    }
}

impl fmt::Display for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Client(client) => write!(f, "client:{}", client.as_str()),
        }
    }
}

/// A callback that becomes due with a change. Everything else in its body comes from the transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackDraft {
    /// What made it due.
    pub operation: Operation,
    /// Where it goes.
    pub url: String,
    /// Who gave the URL.
    pub subscriber: Subscriber,
    /// The status that its body tells.
    pub status: Status,
    /// What `ErrorDetails` says; none when all went well.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They stand in databases: none may ever change.
    #[test]
    fn operations_keep_their_names() {
        let names = Operation::ALL.map(Operation::as_str);
        let written = [
            "create", "settle", "confirm", "cancel", "fail", "review", "payout", "reverse",
        ];
        assert_eq!(names, written);
        let read = names.map(Operation::from_name);
        assert_eq!(read, Operation::ALL.map(Some));
        assert_eq!(Operation::from_name("Create"), None);
    }

    #[test]
    fn a_subscriber_is_found_by_its_name_alone() {
        let user = Subscriber::User(UserId::new(Uuid::from_u128(7)));
        let client = Subscriber::Client(ActorId::new("office:2"));
        for subscriber in [user, client] {
            let name = subscriber.to_string();
            assert_eq!(Subscriber::from_name(&name), Some(subscriber));
        }
        for nobody in ["", "client", "client:", "user:", "user:7", "operator:anna"] {
            assert_eq!(Subscriber::from_name(nobody), None, "{nobody}");
        }
    }
}

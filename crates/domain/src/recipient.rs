//! Whom a sender names, and who that is (contract §2).

use uuid::Uuid;

use crate::{User, UserId, UserStatus, fold_name};

/// How a sender names a recipient. The first thing that a text can be is what it is: an id, else
/// an email or username, which cannot be taken for each other because only one of them has an `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientName {
    /// By id.
    Id(UserId),
    /// By email or username, as typed.
    Alias(String),
}

impl RecipientName {
    /// Reads what was typed. A UUID in any spelling is an id and nothing else, for no username is
    /// another user's id.
    pub fn parse(typed: &str) -> Self {
        Uuid::parse_str(typed).map_or_else(
            |_| Self::Alias(typed.to_owned()),
            |id| Self::Id(UserId::new(id)),
        )
    }

    /// What the sender is shown: an alias as typed, an id in one spelling, so that it does not tell
    /// whether there is such a user.
    pub fn shown(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Alias(typed) => typed.clone(),
        }
    }

    /// Whether both say the same, whoever that is and whether or not anybody is called so.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Id(one), Self::Id(two)) => one == two,
            (Self::Alias(one), Self::Alias(two)) => fold_name(one) == fold_name(two),
            (Self::Id(_), Self::Alias(_)) | (Self::Alias(_), Self::Id(_)) => false,
        }
    }

    /// The recipient of a transfer from `sender`, given who answers to the name.
    ///
    /// A user who cannot be paid is as good as nobody from here on: not only is the answer the same
    /// one, but so is everything that is done to find it. A stop that comes later is judged with
    /// the accounts locked, when the money would move. Oneself is oneself in any state.
    pub fn recipient(self, answers: Option<&User>, sender: UserId) -> Recipient {
        let user = answers
            .filter(|user| user.status == UserStatus::Active || user.id == sender)
            .map(|user| user.id);
        match (user, self) {
            (Some(user), Self::Id(_)) => Recipient::Id(user),
            (Some(user), Self::Alias(typed)) => Recipient::Alias { typed, user },
            (None, name) => Recipient::Unknown {
                typed: name.shown(),
            },
        }
    }
}

/// Whom the sender named, and who that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A user named by id.
    Id(UserId),
    /// A user named by username or email.
    Alias {
        /// What the sender typed.
        typed: String,
        /// Who that is.
        user: UserId,
    },
    /// Nobody who can be paid answers to what the sender typed.
    Unknown {
        /// What the sender typed.
        typed: String,
    },
}

impl Recipient {
    /// The user, when there is one.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Id(user) | Self::Alias { user, .. } => Some(*user),
            Self::Unknown { .. } => None,
        }
    }

    /// What was typed, unless it was the user's id.
    pub fn typed(&self) -> Option<&str> {
        match self {
            Self::Id(_) => None,
            Self::Alias { typed, .. } | Self::Unknown { typed } => Some(typed),
        }
    }

    /// What the sender is shown: an alias turns into an id only once money has moved, so that
    /// nobody can turn an address into a user id without paying (contract §2).
    pub fn shown(&self, succeeded: bool) -> String {
        match self {
            Self::Id(user) => user.to_string(),
            Self::Alias { user, .. } if succeeded => user.to_string(),
            Self::Alias { typed, .. } | Self::Unknown { typed } => typed.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: UserId = UserId::new(Uuid::from_u128(0xa));
    const BEN: UserId = UserId::new(Uuid::from_u128(0xb));

    fn user(status: UserStatus) -> User {
        User {
            id: BEN,
            username: "ben".to_owned(),
            email: "ben@example.com".to_owned(),
            roles: vec![],
            status,
        }
    }

    fn spellings(id: UserId) -> [String; 4] {
        let plain = id.to_string();
        [
            plain.to_uppercase(),
            plain.replace('-', ""),
            format!("{{{plain}}}"),
            format!("urn:uuid:{plain}"),
        ]
    }

    #[test]
    fn an_id_in_any_spelling_is_an_id_and_shown_in_one() {
        for typed in spellings(BEN) {
            let name = RecipientName::parse(&typed);
            assert_eq!(name, RecipientName::Id(BEN), "{typed}");
            assert_eq!(name.shown(), BEN.to_string());
        }
        let alias = RecipientName::parse("Ben@Example.com");
        assert_eq!(alias.shown(), "Ben@Example.com");
    }

    #[test]
    fn names_that_say_the_same_differ_in_case_or_in_the_spelling_of_an_id() {
        let same = |one: &str, two: &str| {
            RecipientName::parse(one).says_the_same(&RecipientName::parse(two))
        };
        for typed in spellings(BEN) {
            assert!(same(&typed, &BEN.to_string()), "{typed}");
            assert!(!same(&typed, &ANNA.to_string()), "{typed}");
            assert!(!same(&typed, "ben"), "{typed}");
        }
        assert!(same("Ben@Example.com", "bEN@example.COM"));
        assert!(same("ÄNNE", "änne"));
        assert!(!same("ben", "ben@example.com"));
    }

    #[test]
    fn whoever_cannot_be_paid_is_as_good_as_nobody() {
        for typed in ["ben@example.com", &BEN.to_string()] {
            let name = RecipientName::parse(typed);
            let nobody = name.clone().recipient(None, ANNA);
            assert_eq!(nobody.typed(), Some(typed));
            for status in [UserStatus::Frozen, UserStatus::Terminated] {
                let stopped = name.clone().recipient(Some(&user(status)), ANNA);
                assert_eq!(stopped, nobody, "{status:?}");
            }
            let active = name.recipient(Some(&user(UserStatus::Active)), ANNA);
            assert_eq!(active.user(), Some(BEN));
            assert_eq!(active.shown(false), typed);
            assert_eq!(active.shown(true), BEN.to_string());
        }
    }

    #[test]
    fn oneself_is_oneself_in_any_state() {
        for status in UserStatus::ALL {
            for typed in ["ben", &BEN.to_string()] {
                let name = RecipientName::parse(typed);
                let oneself = name.recipient(Some(&user(status)), BEN);
                assert_eq!(oneself.user(), Some(BEN), "{status:?}");
            }
        }
    }
}

//! Users, as far as moving money needs to know them.

use std::str::FromStr;

use uuid::Uuid;

use crate::UserId;

/// Whether a user may move money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum UserStatus {
    /// May move money.
    Active,
    /// Stopped for now: nothing comes in or goes out, but for reversals and what was paid out before.
    Frozen,
    /// Stopped for good.
    Terminated,
}

impl UserStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Frozen, Self::Terminated];

    /// The name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Frozen => "Frozen",
            Self::Terminated => "Terminated",
        }
    }
}

impl FromStr for UserStatus {
    type Err = InvalidUser;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(InvalidUser::Status)
    }
}

/// A user of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The name, unique without regard to case.
    pub username: String,
    /// The email address, unique without regard to case; empty when there is none.
    pub email: String,
    /// The roles, the main one first.
    pub roles: Vec<String>,
    /// Whether the user may move money.
    pub status: UserStatus,
}

impl User {
    /// The longest username, email or role, in characters.
    pub const TEXT_MAX: usize = 255;

    /// Checks what must hold so that a recipient typed as id, email or username names one user
    /// (contract §2): a username has no `@` and is nobody else's id; an email has one.
    ///
    /// # Errors
    /// [`InvalidUser`] names the first field that is wrong; [`User::faults`] names all.
    pub fn validate(&self) -> Result<(), InvalidUser> {
        self.faults().into_iter().next().map_or(Ok(()), Err)
    }

    /// What is wrong with each field that does not pass [`User::validate`].
    pub fn faults(&self) -> Vec<InvalidUser> {
        [
            Self::check_username(self.id, &self.username),
            Self::check_email(&self.email),
            Self::check_roles(&self.roles),
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect()
    }

    /// Checks the name that the user with this id wants. No name is a UUID but one's own, whether
    /// or not somebody has that id today: a user who is created later is never in its way.
    ///
    /// # Errors
    /// [`InvalidUser::Username`] or [`InvalidUser::UsernameIsId`].
    pub fn check_username(id: UserId, name: &str) -> Result<(), InvalidUser> {
        if name.is_empty() || name.contains('@') || too_long(name) || unclean(name) {
            return Err(InvalidUser::Username);
        }
        match Uuid::parse_str(name) {
            Ok(other) if other != id.as_uuid() => Err(InvalidUser::UsernameIsId),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Checks an email address; a user may have none.
    ///
    /// # Errors
    /// [`InvalidUser::Email`].
    pub fn check_email(email: &str) -> Result<(), InvalidUser> {
        let has_form = email.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        });
        let clean = !too_long(email) && !email.contains(char::is_whitespace);
        if email.is_empty() || has_form && clean && !unclean(email) {
            Ok(())
        } else {
            Err(InvalidUser::Email)
        }
    }

    /// Checks roles.
    ///
    /// # Errors
    /// [`InvalidUser::Roles`].
    pub fn check_roles(roles: &[String]) -> Result<(), InvalidUser> {
        let wrong = |role: &String| role.is_empty() || too_long(role) || unclean(role);
        if roles.iter().any(wrong) {
            Err(InvalidUser::Roles)
        } else {
            Ok(())
        }
    }
}

/// The form in which usernames and emails are compared: what is equal in it is the same name.
/// Folded here, so that it does not depend on the locale of any database.
pub fn fold_name(name: &str) -> String {
    name.to_lowercase()
}

fn too_long(text: &str) -> bool {
    text.chars().count() > User::TEXT_MAX
}

fn unclean(text: &str) -> bool {
    text.trim() != text || text.chars().any(char::is_control)
}

/// What is wrong with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUser {
    /// Empty, too long, or with characters that a username cannot have.
    #[error("a username has 1 to 255 characters and no '@'")]
    Username,
    /// A UUID that is not the user's own id.
    #[error("a username cannot be the id of another user")]
    UsernameIsId,
    /// Not empty and not an address.
    #[error("an email is empty or an address of at most 255 characters")]
    Email,
    /// An empty or overlong role.
    #[error("a role has 1 to 255 characters")]
    Roles,
    /// Not one of the three.
    #[error("a status is Active, Frozen or Terminated")]
    Status,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        let id = Uuid::from_u128(7);
        User {
            id: UserId::new(id),
            username: id.to_string(),
            email: String::new(),
            roles: vec![],
            status: UserStatus::Active,
        }
    }

    #[test]
    fn a_user_may_be_called_by_its_own_id_but_nobody_elses() {
        assert_eq!(user().validate(), Ok(()));
        let other = User {
            username: Uuid::from_u128(8).to_string(),
            ..user()
        };
        assert_eq!(other.validate(), Err(InvalidUser::UsernameIsId));
    }

    #[test]
    fn names_that_could_be_taken_for_something_else_are_refused() {
        for name in ["", "a@b", " a", "a\n", &"x".repeat(256)] {
            let other = User {
                username: name.to_owned(),
                ..user()
            };
            assert_eq!(other.validate(), Err(InvalidUser::Username), "{name:?}");
        }
        for email in [
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a\u{7f}@b",
            &format!("a@{}", "x".repeat(255)),
        ] {
            let other = User {
                email: email.to_owned(),
                ..user()
            };
            assert_eq!(other.validate(), Err(InvalidUser::Email), "{email:?}");
        }
        for role in ["", " a", "a\u{7f}", &"x".repeat(256)] {
            let other = User {
                roles: vec!["maker".to_owned(), role.to_owned()],
                ..user()
            };
            assert_eq!(other.validate(), Err(InvalidUser::Roles), "{role:?}");
        }
    }

    #[test]
    fn names_may_have_255_characters() {
        let longest = "ä".repeat(255);
        let other = User {
            username: longest.clone(),
            email: format!("a@{}", "ö".repeat(253)),
            roles: vec![longest],
            ..user()
        };
        assert_eq!(other.validate(), Ok(()));
    }

    #[test]
    fn an_email_is_an_address_or_none() {
        for email in ["", "a@b", "anna.o'neil+x@example.com", "ä@ö.example"] {
            assert_eq!(User::check_email(email), Ok(()), "{email:?}");
        }
    }

    #[test]
    fn every_wrong_field_is_named_once_and_in_order() {
        let other = User {
            username: String::new(),
            email: "a".to_owned(),
            roles: vec![String::new(), String::new()],
            ..user()
        };
        let faults = [
            InvalidUser::Username,
            InvalidUser::Email,
            InvalidUser::Roles,
        ];
        assert_eq!(other.faults(), faults);
        assert_eq!(user().faults(), []);
    }

    #[test]
    fn statuses_round_trip() {
        for status in UserStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("active".parse::<UserStatus>(), Err(InvalidUser::Status));
    }
}

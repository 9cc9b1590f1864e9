//! Typed identifiers.

use std::fmt;

use uuid::Uuid;

/// A user of the exchange: the GUID of both documented APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct UserId(Uuid);

impl UserId {
    /// Wraps a UUID that is known to name a user.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID inside.
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The numeric id of a transfer, below 2^53 so that every JSON reader keeps it exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct TransferId(i64);

impl TransferId {
    /// The largest id: 2^53 − 1.
    pub const MAX: i64 = (1 << 53) - 1;

    /// Accepts ids from 1 to [`TransferId::MAX`].
    ///
    /// # Errors
    /// [`IdOutOfRange`] for anything else.
    pub const fn try_new(id: i64) -> Result<Self, IdOutOfRange> {
        if id >= 1 && id <= Self::MAX {
            Ok(Self(id))
        } else {
            Err(IdOutOfRange(id))
        }
    }

    /// The number inside.
    pub const fn get(self) -> i64 {
        self.0
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for TransferId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = <i64 as serde::Deserialize>::deserialize(deserializer)?;
        Self::try_new(id).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that is not a transfer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not between 1 and 2^53 - 1")]
pub struct IdOutOfRange(pub i64);

/// How many times a transfer changed; 1 when it is created. Guards every update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Version(i32);

impl Version {
    /// The version of a transfer that was just created.
    pub const FIRST: Self = Self(1);

    /// Wraps a version read back from a store.
    pub const fn new(version: i32) -> Self {
        Self(version)
    }

    /// The version after one more change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number inside.
    pub const fn get(self) -> i32 {
        self.0
    }
}

/// Who did something: the subject of a credential, as it is shown to operators.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct ActorId(String);

impl ActorId {
    /// Names an actor.
    pub fn new(subject: impl Into<String>) -> Self {
        Self(subject.into())
    }

    /// Bursar itself: what happens without anybody asking.
    pub fn system() -> Self {
        Self("bursar".to_owned())
    }

    /// The subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The 80 random bits behind an internal transfer's public code.
///
/// The code carries the encrypted id and these bits; both must fit the row, so a code can neither
/// be guessed nor tell how many transfers there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct CodeSalt([u8; 10]);

impl CodeSalt {
    /// Wraps ten random bytes.
    pub const fn new(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }

    /// The bytes inside.
    pub const fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }
}

impl fmt::Debug for CodeSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeSalt(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_has_a_number_that_json_can_carry() {
        for number in [1, 7, TransferId::MAX] {
            assert_eq!(TransferId::try_new(number).map(TransferId::get), Ok(number));
        }
        for number in [i64::MIN, -1, 0, TransferId::MAX + 1] {
            assert_eq!(TransferId::try_new(number), Err(IdOutOfRange(number)));
        }
    }

    /// With a salt and an id a code can be made.
    #[test]
    fn a_salt_is_shown_to_nobody() {
        assert_eq!(format!("{:?}", CodeSalt::new([7; 10])), "CodeSalt(..)");
    }
}

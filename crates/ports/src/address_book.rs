//! What users call the recipients that they pay again and again.

use async_trait::async_trait;
use bursar_domain::{Timestamp, UserId};

use crate::StoreError;

/// One entry of a user's address book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressBookEntry {
    /// Whose it is.
    pub user: UserId,
    /// Its name, unique among the user's.
    pub code: String,
    /// A user id, email or username, as typed. Whether anybody answers to it is never kept: an
    /// entry tells its owner nothing that the owner did not write.
    pub recipient: String,
    /// What the user wants to be reminded of.
    pub label: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
}

impl AddressBookEntry {
    /// The longest code, in characters.
    pub const CODE_MAX: usize = 64;

    /// Whether a text can be a code: letters, digits, `.`, `_` and `-`, the first one a letter or
    /// digit, so that it is a path segment that nobody rewrites.
    pub fn is_code(text: &str) -> bool {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=Self::CODE_MAX).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(inner)
    }
}

/// What became of adding an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum AddEntry {
    /// It is there.
    Added,
    /// The user has this entry with that code already; nothing was written.
    Exists(AddressBookEntry),
    /// The user has as many entries as one may have.
    Full,
}

/// Every user's address book. Nothing in it is looked up in the directory.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AddressBook: Send + Sync {
    /// Those of a user's entries that have one of these codes, in any order.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn find_many(
        &self,
        user: UserId,
        codes: Vec<String>,
    ) -> Result<Vec<AddressBookEntry>, StoreError>;

    /// A user's entries, newest first, then by code.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn list(&self, user: UserId) -> Result<Vec<AddressBookEntry>, StoreError>;

    /// Keeps a new entry unless its user has that code, or `entries_max` entries, already. Also
    /// when many are added at once the user never has more.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn add(&self, entry: AddressBookEntry, entries_max: u32) -> Result<AddEntry, StoreError>;

    /// Removes a user's entry; `false` when there is none with this code.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot answer.
    async fn remove(&self, user: UserId, code: String) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::AddressBookEntry;

    #[test]
    fn a_code_is_a_path_segment_that_nobody_rewrites() {
        for code in ["b", "7", "Bob.2_x-y", &"x".repeat(64)] {
            assert!(AddressBookEntry::is_code(code), "{code}");
        }
        for code in [
            "",
            ".",
            "..",
            "-b",
            "_b",
            "a/b",
            "a b",
            "a%20b",
            "ä",
            &"x".repeat(65),
        ] {
            assert!(!AddressBookEntry::is_code(code), "{code}");
        }
    }
}

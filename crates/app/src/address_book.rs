//! A user's address book (contract §2), and what an entry means for a transfer.

use std::collections::{BTreeSet, HashMap};

use bursar_domain::{RecipientName, User, UserId, UserStatus};
use bursar_ports::{AddEntry, AddressBookEntry, Permission};
use data_encoding::BASE32_NOPAD;

use crate::{App, Error, FieldError, Grant, Missing};

/// The most entries that a user may have.
const ENTRIES_MAX: u32 = 1_000;

/// An entry to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAddress {
    /// What to call it; made up when there is none.
    pub code: Option<String>,
    /// A user id, email or username, as typed.
    pub recipient: String,
    /// What the user wants to be reminded of.
    pub label: Option<String>,
}

impl App {
    /// Adds an entry; repeating it changes nothing. Whether the recipient exists is not looked at.
    ///
    /// # Errors
    /// [`Error::AddressBookCodeTaken`] when the user has another entry with that code,
    /// [`Error::AddressBookFull`] when there are too many.
    pub async fn add_address(
        &self,
        grant: &Grant,
        new: NewAddress,
    ) -> Result<AddressBookEntry, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let entry = AddressBookEntry {
            user,
            code: new.code.unwrap_or_else(|| self.new_code()),
            recipient: new.recipient,
            label: new.label,
            created_at: self.now(),
        };
        let book = &self.ports.address_book;
        match book.add(entry.clone(), ENTRIES_MAX).await? {
            AddEntry::Added => Ok(entry),
            AddEntry::Exists(had)
                if (&had.recipient, &had.label) == (&entry.recipient, &entry.label) =>
            {
                Ok(had)
            }
            AddEntry::Exists(_) => Err(Error::AddressBookCodeTaken),
            AddEntry::Full => Err(Error::AddressBookFull),
        }
    }

    /// A user's entries, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_addresses(&self, grant: &Grant) -> Result<Vec<AddressBookEntry>, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        Ok(self.ports.address_book.list(user).await?)
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the user has none with this code.
    pub async fn remove_address(&self, grant: &Grant, code: &str) -> Result<(), Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let removed = AddressBookEntry::is_code(code)
            && self
                .ports
                .address_book
                .remove(user, code.to_owned())
                .await?;
        if removed {
            Ok(())
        } else {
            Err(Error::NotFound(Missing::AddressBookEntry))
        }
    }

    /// For each recipient, whether the sender's entry with the code beside it is one for this
    /// recipient; no code agrees with anybody.
    ///
    /// An entry and a recipient that say the same agree, whoever that is and whether or not there
    /// is such a user. Otherwise both must be names of one user who can be paid: whoever cannot be
    /// paid is as good as nobody, and nobody is not the same as nobody.
    pub(crate) async fn address_book_agrees(
        &self,
        sender: UserId,
        named: &[(Option<&str>, &RecipientName)],
    ) -> Result<Vec<bool>, Error> {
        let codes = named.iter().filter_map(|(code, _)| *code);
        let entries = self.entries_with(sender, codes.collect()).await?;
        let agreement = |(code, recipient): &(Option<&str>, &RecipientName)| match code {
            None => Agreement::Yes,
            Some(code) => match entries.get(*code) {
                None => Agreement::No,
                Some(entered) if entered.says_the_same(recipient) => Agreement::Yes,
                Some(entered) => Agreement::IfOne(entered.clone(), (*recipient).clone()),
            },
        };
        let agreements: Vec<Agreement> = named.iter().map(agreement).collect();
        let names = agreements.iter().flat_map(Agreement::names).collect();
        let mut users = self.found(names).await?.into_iter().map(payable);
        let agrees = agreements.iter().map(|agreement| match agreement {
            Agreement::Yes => true,
            Agreement::No => false,
            Agreement::IfOne(..) => {
                let (one, other) = (users.next().flatten(), users.next().flatten());
                one.is_some() && one == other
            }
        });
        Ok(agrees.collect())
    }

    /// What the entries with these codes say, as far as there are such: one look-up for all of them.
    async fn entries_with(
        &self,
        user: UserId,
        codes: BTreeSet<&str>,
    ) -> Result<HashMap<String, RecipientName>, Error> {
        let codes: Vec<String> = codes
            .into_iter()
            .filter(|code| AddressBookEntry::is_code(code))
            .map(str::to_owned)
            .collect();
        if codes.is_empty() {
            return Ok(HashMap::new());
        }
        let entries = self.ports.address_book.find_many(user, codes).await?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.code, RecipientName::parse(&entry.recipient)))
            .collect())
    }

    /// Who answers to these names.
    pub(crate) async fn found(
        &self,
        names: Vec<RecipientName>,
    ) -> Result<Vec<Option<User>>, Error> {
        if names.is_empty() {
            return Ok(vec![]);
        }
        Ok(self.ports.directory.find_recipients(names).await?)
    }

    fn new_code(&self) -> String {
        let random = self.ports.ids.random_bytes();
        let (name, _) = random.split_at(15);
        format!("ADR{}", BASE32_NOPAD.encode(name))
    }
}

/// Whether an entry and a recipient agree.
enum Agreement {
    Yes,
    No,
    /// If one user answers to both.
    IfOne(RecipientName, RecipientName),
}

impl Agreement {
    /// The names about which it must be known who answers to them.
    fn names(&self) -> Vec<RecipientName> {
        match self {
            Self::Yes | Self::No => vec![],
            Self::IfOne(entered, recipient) => vec![entered.clone(), recipient.clone()],
        }
    }
}

fn payable(user: Option<User>) -> Option<UserId> {
    user.filter(|user| user.status == UserStatus::Active)
        .map(|user| user.id)
}

/// One answer for an entry that is not there, somebody else's, or for another recipient.
pub(crate) fn mismatch() -> FieldError {
    FieldError::new(
        "address_book_code",
        "address_book_code.mismatch",
        "is not an entry of your address book for this recipient",
    )
}

#[cfg(test)]
mod tests;

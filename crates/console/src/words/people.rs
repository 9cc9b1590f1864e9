//! Users by their names.

use std::collections::BTreeMap;

use bursar_domain::{Transfer, User, UserId, UserStatus};
use maud::{Markup, html};

use crate::{desk::Desk, fault::Fault};

/// The users of a page.
pub(crate) struct People(BTreeMap<UserId, User>);

impl People {
    /// Everybody whose business these transfers are.
    pub(crate) async fn of<'a>(
        desk: &Desk,
        transfers: impl IntoIterator<Item = &'a Transfer>,
    ) -> Result<Self, Fault> {
        let mut ids: Vec<UserId> = transfers.into_iter().flat_map(parties).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let users = desk.app().name_users(&desk.reader()?, ids).await?;
        Ok(Self(
            users.into_iter().map(|user| (user.id, user)).collect(),
        ))
    }

    /// What a user is called: by its id, where nobody knows it.
    pub(crate) fn name(&self, id: UserId) -> String {
        let known = self.0.get(&id).map(|user| user.username.clone());
        known.unwrap_or_else(|| id.to_string())
    }

    /// The user, if it is known.
    pub(crate) fn find(&self, id: UserId) -> Option<&User> {
        self.0.get(&id)
    }

    /// A name that leads to the user's page, with a word on users who are stopped.
    pub(crate) fn link(&self, id: UserId) -> Markup {
        let status = self.0.get(&id).map(|user| user.status);
        html! {
            a href={ "/console/users/" (id) } { (self.name(id)) }
            @match status {
                Some(UserStatus::Frozen) => { " " span class="badge bad" { "Frozen" } }
                Some(UserStatus::Terminated) => { " " span class="badge bad" { "Terminated" } }
                Some(UserStatus::Active) | None => {}
            }
        }
    }
}

/// The owner and the recipient of a transfer.
pub(crate) fn parties(transfer: &Transfer) -> impl Iterator<Item = UserId> {
    std::iter::once(transfer.owner()).chain(recipient(transfer))
}

/// Whom an internal transfer is for, if that is known.
pub(crate) fn recipient(transfer: &Transfer) -> Option<UserId> {
    match &transfer.parts().body {
        bursar_domain::Body::Internal { recipient, .. } => recipient.user(),
        bursar_domain::Body::Deposit { .. } | bursar_domain::Body::Withdrawal { .. } => None,
    }
}

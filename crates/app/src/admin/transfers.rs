//! Transfers of every kind, found by what an operator knows of them.

use bursar_domain::{
    Amount, AssetId, Body, CodeSalt, DecimalAmount, Kind, Status, Timestamp, Transfer, TransferId,
    UserId,
};
use bursar_ports::{ListPlace, TransferScan};

use super::READERS;
use crate::{App, Error, FieldError, Grant};

/// What an operator knows of the transfers it looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferSearch {
    /// The kind.
    pub kind: Option<Kind>,
    /// The status.
    pub status: Option<Status>,
    /// One of its users: the owner, or the recipient once it has succeeded.
    pub user: Option<UserId>,
    /// A part of the username or email of such a user.
    pub search: Option<String>,
    /// The asset.
    pub asset: Option<AssetId>,
    /// This amount of the asset or more.
    pub amount_min: Option<DecimalAmount>,
    /// This amount of the asset or less.
    pub amount_max: Option<DecimalAmount>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created at or before.
    pub to: Option<Timestamp>,
    /// The sender's own identifier.
    pub custom_id: Option<String>,
    /// The public code.
    pub code: Option<String>,
    /// The numeric id.
    pub id: Option<TransferId>,
    /// Only what comes after this place.
    pub after: Option<ListPlace>,
    /// How many.
    pub limit: u32,
}

impl TransferSearch {
    /// What is said of the asset where an amount has none in whose unit it could be compared.
    pub const ASSET_MISSED: &'static str = "is required with min_amount and max_amount";
}

/// A transfer with its public code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTransfer {
    /// The transfer.
    pub transfer: Transfer,
    /// Its public code, if it is an internal one.
    pub code: Option<String>,
}

/// A part of what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundTransfers {
    /// The transfers; fewer than asked for, even none, when few of those looked at match.
    pub transfers: Vec<FoundTransfer>,
    /// Where the next part begins; `None` when there is nothing more.
    pub next: Option<ListPlace>,
}

impl App {
    /// Transfers of every kind, newest first (creation, then id, both descending).
    ///
    /// # Errors
    /// [`Error::Invalid`] when an amount is given without its asset, or when `search` matches too
    /// many users; see [`Error`] for the rest.
    pub async fn search_transfers(
        &self,
        grant: &Grant,
        wanted: TransferSearch,
    ) -> Result<FoundTransfers, Error> {
        grant.require_any(&READERS)?;
        let Some((scan, salt)) = self.scan_for(wanted).await? else {
            return Ok(FoundTransfers::default());
        };
        let found = self.ports.query.scan_transfers(scan).await?;
        let transfers = found
            .transfers
            .into_iter()
            .filter(|transfer| salt.is_none_or(|salt| has_salt(transfer, salt)))
            .map(|transfer| FoundTransfer {
                code: self.code_of(&transfer),
                transfer,
            })
            .collect();
        Ok(FoundTransfers {
            transfers,
            next: found.next,
        })
    }

    /// What the store is to look for, and the salt that a found transfer must have. `None` when
    /// nothing can match.
    pub(super) async fn scan_for(
        &self,
        wanted: TransferSearch,
    ) -> Result<Option<(TransferScan, Option<CodeSalt>)>, Error> {
        let amounts = self.amounts_between(&wanted).await?;
        let named = self.named_transfer(&wanted);
        let (Some((amount_min, amount_max)), Some((id, salt))) = (amounts, named) else {
            return Ok(None);
        };
        let users = self.matching_users(wanted.search, wanted.user).await?;
        let scan = TransferScan {
            kind: wanted.kind,
            status: wanted.status,
            users,
            asset: wanted.asset,
            amount_min,
            amount_max,
            from: wanted.from,
            to: wanted.to,
            custom_id: wanted.custom_id,
            id,
            after: wanted.after,
            limit: wanted.limit,
        };
        Ok(Some((scan, salt)))
    }

    /// The bounds in the asset's smallest units. `None` when nothing can lie between them: there
    /// is no such asset.
    async fn amounts_between(
        &self,
        wanted: &TransferSearch,
    ) -> Result<Option<(Option<Amount>, Option<Amount>)>, Error> {
        if wanted.amount_min.is_none() && wanted.amount_max.is_none() {
            return Ok(Some((None, None)));
        }
        let Some(asset) = wanted.asset else {
            let detail = TransferSearch::ASSET_MISSED;
            let error = FieldError::new("asset", "asset.missed", detail);
            return Err(Error::Invalid(vec![error]));
        };
        let found = self.ports.directory.find_asset(asset).await?;
        Ok(found.map(|asset| {
            let min = wanted.amount_min.map(|min| min.neighbours(asset.scale).1);
            let max = wanted.amount_max.map(|max| max.neighbours(asset.scale).0);
            (min, max)
        }))
    }

    /// The one transfer that id and code name, with the code's salt. `None` when they can name
    /// none: the text is no code, or the two disagree.
    fn named_transfer(
        &self,
        wanted: &TransferSearch,
    ) -> Option<(Option<TransferId>, Option<CodeSalt>)> {
        let Some(code) = &wanted.code else {
            return Some((wanted.id, None));
        };
        let (id, salt) = self.keyring.read_transfer_code(code)?;
        let agree = wanted.id.is_none_or(|other| other == id);
        agree.then_some((Some(id), Some(salt)))
    }
}

pub(super) fn has_salt(transfer: &Transfer, wanted: CodeSalt) -> bool {
    match &transfer.parts().body {
        Body::Internal { salt, .. } => *salt == wanted,
        Body::Deposit { .. } | Body::Withdrawal { .. } => false,
    }
}

#[cfg(test)]
mod tests;

//! From requests to new transfers: the one path for single transfers and for the items of a bulk.
//!
//! [`check`] judges what a request says of itself, [`App::open_internal`] what it means together with its
//! recipient. Everything that is checked of an item belongs into one of the two. What both need to
//! know is looked up beforehand, for all items at once.

use std::collections::HashMap;

use bursar_domain::{
    Amount, Asset, AssetId, Change, CodeSalt, NewTransfer, Reason, Recipient, RecipientName,
    RootRate, Terms, Transfer, UserId,
};

use super::InternalRequest;
use crate::{
    App, Error, FieldError, Grant, Missing, address_book::mismatch, backoffice::amount_in,
};

/// Why a request makes no transfer, found before the money transaction or, in an atomic bulk, in
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemError {
    /// Fields that are wrong in themselves.
    Invalid(Vec<FieldError>),
    /// The entry of the sender's address book is not one for the recipient.
    AddressBookMismatch,
    /// Something it names does not exist.
    NotFound(Missing),
    /// A business rule refuses it.
    Refused(Reason),
    /// Nothing is wrong with it, as far as its sender may know, but its bulk was all or none.
    NotExecuted,
}

impl ItemError {
    /// Whether it rests on whom names mean, or on the address book. Both can change between a
    /// request and its repetition: what is bound to its key is answered all the same.
    pub(super) const fn rests_on_names(&self) -> bool {
        match self {
            Self::AddressBookMismatch | Self::Refused(_) => true,
            Self::Invalid(_) | Self::NotFound(_) | Self::NotExecuted => false,
        }
    }
}

impl From<ItemError> for Error {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::Invalid(fields) => Self::Invalid(fields),
            ItemError::AddressBookMismatch => Self::Invalid(vec![mismatch()]),
            ItemError::NotFound(missing) => Self::NotFound(missing),
            ItemError::Refused(reason) => Self::Refused {
                reason,
                replayed: false,
            },
            ItemError::NotExecuted => Self::Internal("a single request depends on no other"),
        }
    }
}

/// What became of preparing one request.
pub(super) type Prepared = Result<Change, ItemError>;

/// A request whose asset is known and whose amount fits it.
struct Checked {
    request: InternalRequest,
    recipient: RecipientName,
    asset: Asset,
    amount: Amount,
}

impl App {
    /// Makes new transfers out of one sender's requests, each in its place.
    pub(super) async fn prepare(
        &self,
        grant: &Grant,
        sender: UserId,
        requests: Vec<InternalRequest>,
    ) -> Result<Vec<Prepared>, Error> {
        let names: Vec<RecipientName> = requests
            .iter()
            .map(|request| RecipientName::parse(&request.recipient))
            .collect();
        let agrees = self.agreements(sender, &requests, &names).await?;
        let assets = self.assets_of(&requests, &agrees).await?;
        let rates = self.root_rates(assets.keys()).await?;
        let terms = self.terms_of(sender).await?;
        let checked: Vec<Result<Checked, ItemError>> = requests
            .into_iter()
            .zip(names)
            .zip(agrees)
            .map(|((request, name), agrees)| check(request, name, agrees, &assets))
            .collect();
        let names = checked.iter().flatten();
        let found = self
            .found(names.map(|item| item.recipient.clone()).collect())
            .await?;
        let mut found = found.into_iter();
        let mut prepared = Vec::with_capacity(checked.len());
        for item in checked {
            prepared.push(match item {
                Ok(item) => {
                    let user = found.next().ok_or(Error::Internal("a name was lost"))?;
                    let recipient = item.recipient.clone().recipient(user.as_ref(), sender);
                    let rate = rates.get(&item.asset.id).cloned().flatten();
                    self.open_internal(grant, sender, item, (recipient, rate, terms))
                        .await?
                }
                Err(error) => Err(error),
            });
        }
        Ok(prepared)
    }

    /// Whether each request agrees with the address book.
    async fn agreements(
        &self,
        sender: UserId,
        requests: &[InternalRequest],
        names: &[RecipientName],
    ) -> Result<Vec<bool>, Error> {
        let codes = requests
            .iter()
            .map(|request| request.address_book_code.as_deref());
        let named: Vec<_> = codes.zip(names).collect();
        self.address_book_agrees(sender, &named).await
    }

    /// A new transfer, unless it may not be.
    async fn open_internal(
        &self,
        grant: &Grant,
        sender: UserId,
        Checked {
            request,
            asset,
            amount,
            ..
        }: Checked,
        (recipient, root_rate, terms): (Recipient, Option<RootRate>, Terms),
    ) -> Result<Prepared, Error> {
        let new = NewTransfer {
            id: self.ports.ids.next_transfer_id().await?,
            asset: asset.id,
            scale: asset.scale,
            amount,
            fee: Amount::ZERO,
            note: request.note,
            callback_url: request.callback_url,
            created_by: grant.actor(),
            now: self.now(),
            root_rate,
            terms,
        };
        let salt = self.new_salt()?;
        let opened = Transfer::internal(new, sender, recipient, salt, request.custom_id);
        Ok(opened.map_err(ItemError::Refused))
    }

    /// What each asset is worth right now.
    async fn root_rates<'a>(
        &self,
        assets: impl Iterator<Item = &'a AssetId>,
    ) -> Result<HashMap<AssetId, Option<RootRate>>, Error> {
        let mut rates = HashMap::new();
        for asset in assets {
            rates.insert(*asset, self.root_rate(*asset).await?);
        }
        Ok(rates)
    }

    /// What is decided about a sender's transfers with the rules in force. Roles are only looked at
    /// where one of them pays no fees.
    async fn terms_of(&self, sender: UserId) -> Result<Terms, Error> {
        let settings = &self.settings.transfers;
        let sender = if settings.fee_free_roles.is_empty() {
            None
        } else {
            self.ports.directory.find_user(sender).await?
        };
        let roles = sender.map(|user| user.roles).unwrap_or_default();
        Ok(settings.terms(&roles, self.now()))
    }

    /// The assets that requests name, as far as there are such.
    async fn assets_of(
        &self,
        requests: &[InternalRequest],
        agrees: &[bool],
    ) -> Result<HashMap<AssetId, Asset>, Error> {
        let wanted = requests.iter().zip(agrees).filter(|(_, agrees)| **agrees);
        let mut ids: Vec<AssetId> = wanted.map(|(request, _)| request.currency).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        ids.sort_unstable();
        ids.dedup();
        let found = self.ports.directory.find_assets(ids).await?;
        Ok(found.into_iter().map(|asset| (asset.id, asset)).collect())
    }

    pub(crate) fn new_salt(&self) -> Result<CodeSalt, Error> {
        let random = self.ports.ids.random_bytes();
        let salt = random
            .first_chunk()
            .ok_or(Error::Internal("too few random bytes"))?;
        Ok(CodeSalt::new(*salt))
    }
}

/// What can be said of a request before its recipient is looked up.
fn check(
    request: InternalRequest,
    recipient: RecipientName,
    agrees: bool,
    assets: &HashMap<AssetId, Asset>,
) -> Result<Checked, ItemError> {
    if !agrees {
        return Err(ItemError::AddressBookMismatch);
    }
    let asset = assets
        .get(&request.currency)
        .ok_or(ItemError::NotFound(Missing::Currency))?;
    let amount = amount_in("amount", request.amount, asset.scale)
        .map_err(|error| ItemError::Invalid(vec![error]))?;
    Ok(Checked {
        asset: asset.clone(),
        amount,
        recipient,
        request,
    })
}

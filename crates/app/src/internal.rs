//! Transfers between users, and a user's own balances (contract §2).

use bursar_domain::{
    Amount, Asset, AssetId, Body, CodeSalt, DecimalAmount, IdempotencyClaim, NewTransfer,
    RecipientName, Timestamp, Transfer, UserId,
};
use bursar_ports::{InternalFilter, Permission};

use crate::{
    Answer, App, Error, Grant, Missing, Options, RecipientTurn, address_book::mismatch,
    backoffice::amount_in, idempotency::RequestFields,
};

/// A request to send money to another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalRequest {
    /// What.
    pub currency: AssetId,
    /// How much.
    pub amount: DecimalAmount,
    /// A user id, email or username, as typed.
    pub recipient: String,
    /// The entry of the sender's address book that must name the same user.
    pub address_book_code: Option<String>,
    /// Where the final state goes.
    pub callback_url: Option<String>,
    /// The sender's own identifier.
    pub custom_id: Option<String>,
    /// A note for the recipient.
    pub note: Option<String>,
}

/// An internal transfer as one of its two users sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalView {
    /// Its public code.
    pub code: String,
    /// The transfer.
    pub transfer: Transfer,
    /// Whether the sender is looking; the recipient sees neither `custom_id` nor `callback_url`.
    pub seen_by_sender: bool,
}

/// What a user has of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserBalance {
    /// The asset.
    pub asset: Asset,
    /// Free to be spent.
    pub available: Amount,
    /// Held for open withdrawals.
    pub held: Amount,
    /// When it last changed; never, for an account that nothing touched.
    pub updated_at: Option<Timestamp>,
}

impl App {
    /// Sends money to another user.
    ///
    /// # Errors
    /// See [`Error`]. An unknown recipient is no error: the transfer is rejected when it settles,
    /// so that nobody learns who has an account.
    pub async fn send(
        &self,
        grant: &Grant,
        request: InternalRequest,
        options: Options,
    ) -> Result<Answer<InternalView>, Error> {
        let sender = grant.require_user(Permission::AllowTransfer)?;
        let claim = options.key.clone().map(|key| {
            RequestFields::default()
                .with("currency_code", &request.currency)
                .with("amount", &request.amount)
                .with("recipient", &request.recipient)
                .with_optional("address_book_code", request.address_book_code.as_ref())
                .with_optional("callback_url", request.callback_url.as_ref())
                .with_optional("custom_id", request.custom_id.as_ref())
                .with_optional("note", request.note.as_ref())
                .claim(grant.principal(), "internal-transfer", key)
        });
        // Kept until it is known what became of the recipient.
        let turn = Some(self.require_recipient_tries(sender).await?);
        let recipient = RecipientName::parse(&request.recipient);
        let code = request.address_book_code;
        if !self.address_book_agrees(sender, code, &recipient).await? {
            let answer = self
                .again(mismatch(), claim.as_ref(), options.wait, turn)
                .await;
            // Not when the key tells what came of the request before.
            if matches!(answer, Err(Error::Invalid(_))) {
                self.note_failed_recipient(sender).await;
            }
            return self.answer_to(answer?, sender);
        }
        let asset = self.asset(request.currency, Missing::Currency).await?;
        let amount = amount_in("amount", request.amount, asset.scale)?;
        let found = self
            .ports
            .directory
            .find_recipient(recipient.clone())
            .await?;
        let recipient = recipient.recipient(found.as_ref(), sender);
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
            root_rate: None,
        };
        let opened =
            Transfer::internal(new, sender, recipient, self.new_salt()?, request.custom_id);
        let answer = match opened {
            Ok(change) => self.create(change, claim, options.wait, turn).await?,
            Err(reason) => {
                let replayed = false;
                let error = Error::Refused { reason, replayed };
                self.again(error, claim.as_ref(), options.wait, turn)
                    .await?
            }
        };
        self.answer_to(answer, sender)
    }

    /// A refusal that rests on whom names mean, or on the address book. Both can change between a
    /// request and its repetition: what is bound to its key is answered all the same.
    async fn again(
        &self,
        error: Error,
        claim: Option<&IdempotencyClaim>,
        wait: bool,
        turn: Option<RecipientTurn>,
    ) -> Result<Answer<Transfer>, Error> {
        match self.answered_before(claim).await? {
            Some(transfer) => Ok(self.conclude(transfer, true, wait, turn).await),
            None => Err(error),
        }
    }

    fn answer_to(
        &self,
        answer: Answer<Transfer>,
        sender: UserId,
    ) -> Result<Answer<InternalView>, Error> {
        Ok(Answer {
            transfer: self.view(answer.transfer, sender)?,
            replayed: answer.replayed,
            waited: answer.waited,
        })
    }

    /// One of a user's internal transfers, by its code.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a code that names none, and alike for one that the user may not see.
    pub async fn find_internal(&self, grant: &Grant, code: &str) -> Result<InternalView, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let missing = || Error::NotFound(Missing::Transfer);
        let (id, salt) = self.keyring.read_transfer_code(code).ok_or_else(missing)?;
        let transfer = self.ports.store.find(id).await?.ok_or_else(missing)?;
        let visible = match &transfer.parts().body {
            Body::Internal {
                sender,
                recipient,
                salt: had,
                ..
            } => {
                let received = recipient.user() == Some(user)
                    && transfer.status() == bursar_domain::Status::Success;
                *had == salt && (*sender == user || received)
            }
            Body::Deposit { .. } | Body::Withdrawal { .. } => false,
        };
        if visible {
            self.view(transfer, user)
        } else {
            Err(missing())
        }
    }

    /// A user's internal transfers, newest first. The user in `filter` is replaced by the caller.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list_internal(
        &self,
        grant: &Grant,
        filter: InternalFilter,
    ) -> Result<Vec<InternalView>, Error> {
        let user = grant.require_user(Permission::AllowTransfer)?;
        let transfers = self
            .ports
            .query
            .list_internal(InternalFilter { user, ..filter })
            .await?;
        transfers
            .into_iter()
            .map(|transfer| self.view(transfer, user))
            .collect()
    }

    /// What a user has of every asset, also of those it has nothing of.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn own_balances(&self, grant: &Grant) -> Result<Vec<UserBalance>, Error> {
        let user = grant.require_user(Permission::AllowBalance)?;
        self.balances_of(user).await
    }

    pub(crate) async fn balances_of(&self, user: UserId) -> Result<Vec<UserBalance>, Error> {
        let accounts = self.ports.query.list_user_balances(user).await?;
        let assets = self.ports.directory.list_assets().await?;
        let amount = |units| {
            Amount::try_from_units(units).map_err(|_| Error::Internal("a balance is out of range"))
        };
        assets
            .into_iter()
            .map(|asset| {
                let found = accounts
                    .iter()
                    .find(|balance| balance.account.asset == asset.id);
                Ok(UserBalance {
                    available: amount(found.map_or(0, |balance| balance.available))?,
                    held: amount(found.map_or(0, |balance| balance.held))?,
                    updated_at: found
                        .map(|balance| balance.updated_at)
                        .filter(|at| *at != Timestamp::EPOCH),
                    asset,
                })
            })
            .collect()
    }

    /// The public code of an internal transfer.
    pub(crate) fn code_of(&self, transfer: &Transfer) -> Option<String> {
        match &transfer.parts().body {
            Body::Internal { salt, .. } => Some(self.keyring.transfer_code(transfer.id(), salt)),
            Body::Deposit { .. } | Body::Withdrawal { .. } => None,
        }
    }

    fn view(&self, transfer: Transfer, viewer: UserId) -> Result<InternalView, Error> {
        let code = self
            .code_of(&transfer)
            .ok_or(Error::Internal("not an internal transfer"))?;
        Ok(InternalView {
            code,
            seen_by_sender: transfer.owner() == viewer,
            transfer,
        })
    }

    fn new_salt(&self) -> Result<CodeSalt, Error> {
        let random = self.ports.ids.random_bytes();
        let salt = random
            .first_chunk()
            .ok_or(Error::Internal("too few random bytes"))?;
        Ok(CodeSalt::new(*salt))
    }
}

#[cfg(test)]
mod tests;

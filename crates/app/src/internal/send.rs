//! Sending money to one other user.

use bursar_domain::{Commit, IdempotencyClaim, RecipientName, Transfer, UserId};
use bursar_ports::Permission;

use super::{InternalRequest, InternalView, prepare::Prepared};
use crate::{Answer, App, Error, Grant, Options, RecipientTurn, idempotency::RequestFields};

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
            let fields = RequestFields::default().with_transfer("", &request);
            fields.claim(grant.principal(), "internal-transfer", key)
        });
        // Kept until it is known what became of the recipient.
        let turn = self.require_recipient_tries(sender).await?;
        let prepared = self.prepare(grant, sender, vec![request]).await?;
        let prepared = prepared.into_iter().next();
        let prepared = prepared.ok_or(Error::Internal("a request was lost"))?;
        let sending = self
            .clone()
            .send_prepared(sender, prepared, claim, options.wait, turn);
        let Answer {
            transfer,
            replayed,
            waited,
        } = self.unbroken(sending).await?;
        Ok(Answer {
            transfer: self.view(transfer, sender)?,
            replayed,
            waited,
        })
    }

    /// Makes the transfer, or says why there is none.
    async fn send_prepared(
        self,
        sender: UserId,
        prepared: Prepared,
        claim: Option<IdempotencyClaim>,
        wait: bool,
        turn: RecipientTurn,
    ) -> Result<Answer<Transfer>, Error> {
        match prepared {
            Ok(change) => {
                let commit = Commit {
                    idempotency: claim,
                    ..Commit::new(change)
                };
                self.create(commit, wait, Some(turn)).await
            }
            Err(error) if error.rests_on_names() => {
                let Some(transfer) = self.answered_before(claim.as_ref()).await? else {
                    self.note_mismatches(sender, &[&error]).await;
                    return Err(error.into());
                };
                Ok(self.conclude(transfer, true, wait, Some(turn)).await)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl RequestFields {
    /// The fields of a transfer, each with this in front of its name. An id is the same one in any
    /// spelling.
    #[must_use]
    pub(super) fn with_transfer(self, prefix: &str, request: &InternalRequest) -> Self {
        let name = |name: &str| format!("{prefix}{name}");
        self.with(&name("currency_code"), &request.currency)
            .with(&name("amount"), &request.amount)
            .with(
                &name("recipient"),
                &RecipientName::parse(&request.recipient).shown(),
            )
            .with_optional(
                &name("address_book_code"),
                request.address_book_code.as_ref(),
            )
            .with_optional(&name("callback_url"), request.callback_url.as_ref())
            .with_optional(&name("custom_id"), request.custom_id.as_ref())
            .with_optional(&name("note"), request.note.as_ref())
    }
}

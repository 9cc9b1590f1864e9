//! Taking transfers back.

use bursar_domain::{
    Amount, Commit, DecimalAmount, IdempotencyClaim, NewTransfer, ReversalTerms, Terms, Transfer,
    TransferId,
};
use bursar_ports::Permission;

use crate::{
    Answer, App, Conflict, Error, Grant, Missing, Options,
    admin::is_other,
    backoffice::{amount_in, target_of},
    idempotency::RequestFields,
    settle::STALE_TRIES_MAX,
};

/// A request to take a transfer back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReversalRequest {
    /// The transfer; none when what was sent can name no transfer.
    pub transfer: Option<TransferId>,
    /// How much of its amount; none = all that is left of it.
    pub amount: Option<DecimalAmount>,
    /// Whether the same share of its fee goes back too.
    pub return_fee: bool,
    /// Why.
    pub comment: String,
    /// The [digest](crate::approval_digest) of what the operator was shown, if it was given: the transfer must be
    /// that when it is taken back.
    pub digest: Option<[u8; 32]>,
}

impl App {
    /// Takes a transfer back, in full or in part, by a new transfer.
    ///
    /// # Errors
    /// See [`Error`]; more than is left of it is refused as `reversal.exceeds_original`, and one that
    /// is not what was shown is [`Conflict::DigestMismatch`].
    pub async fn reverse(
        &self,
        grant: &Grant,
        request: ReversalRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        grant.require(Permission::Admin)?;
        let claim = claim(grant, &request, &options);
        let before = |transfer| Answer {
            transfer,
            replayed: true,
            waited: options.wait,
        };
        for _ in 0..STALE_TRIES_MAX {
            let missing = Error::NotFound(Missing::Transfer);
            let Some(id) = request.transfer else {
                return Err(missing);
            };
            // What it once was is money now.
            let original = self.ports.store.find_proven(id).await?.ok_or(missing)?;
            if is_other(request.digest, &original) {
                // What was asked for may be what has changed it.
                let answered = self.answered_before(claim.as_ref()).await?;
                return answered
                    .map_or(Err(Error::Conflict(Conflict::DigestMismatch)), |transfer| {
                        Ok(before(transfer))
                    });
            }
            let scale = original.parts().scale;
            let covers = request
                .amount
                .map(|amount| amount_in("amount", amount, scale));
            let covers = covers
                .transpose()
                .map_err(|error| Error::Invalid(vec![error]))?;
            let terms = ReversalTerms {
                covers,
                returns_fee: request.return_fee,
                salt: self.new_salt()?,
            };
            let new = self.reversing(grant, &original, &request).await?;
            let change = match original.reversal(new, terms) {
                Ok(change) => change,
                // What was asked for may have been done: then nothing is left of it.
                Err(reason) => match self.answered_before(claim.as_ref()).await? {
                    Some(transfer) => return Ok(before(transfer)),
                    None => {
                        return Err(Error::Refused {
                            reason,
                            replayed: false,
                        });
                    }
                },
            };
            let target = target_of(change.next.id());
            let commit = Commit {
                change,
                idempotency: claim.clone(),
                audit: Some(grant.audit("transfer.reverse", target)),
            };
            if let Some((transfer, replayed)) = self.commit_one(commit).await? {
                return Ok(Answer {
                    transfer,
                    replayed,
                    waited: options.wait,
                });
            }
        }
        Err(Error::Conflict(Conflict::Busy))
    }

    async fn reversing(
        &self,
        grant: &Grant,
        original: &Transfer,
        request: &ReversalRequest,
    ) -> Result<NewTransfer, Error> {
        let parts = original.parts();
        Ok(NewTransfer {
            id: self.ports.ids.next_transfer_id().await?,
            asset: parts.asset,
            scale: parts.scale,
            amount: parts.amount,
            fee: Amount::ZERO,
            note: Some(request.comment.clone()),
            callback_url: None,
            created_by: grant.actor(),
            now: self.now(),
            root_rate: self.root_rate(parts.asset).await?,
            terms: Terms::default(),
        })
    }
}

fn claim(grant: &Grant, request: &ReversalRequest, options: &Options) -> Option<IdempotencyClaim> {
    let key = options.key.clone()?;
    let transfer = request.transfer.map(|id| id.to_string());
    let amount = request.amount.map(|amount| amount.to_string());
    let fields = RequestFields::default()
        .with_optional("id", transfer.as_ref())
        .with_optional("amount", amount.as_ref())
        .with("return_fee", &request.return_fee)
        .with("comment", &request.comment);
    Some(fields.claim(grant.principal(), "reverse", key))
}

#[cfg(test)]
mod tests;

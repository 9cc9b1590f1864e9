//! Deposits and withdrawals on behalf of users (contract §1).

use bursar_domain::{
    Amount, AssetId, AuditDraft, Change, Command, Commit, DecimalAmount, Decision,
    IdempotencyClaim, Kind, NewTransfer, Reason, Transfer, TransferId, UserId,
};
use bursar_ports::Permission;
use serde_json::json;

use crate::{
    Answer, App, Conflict, Error, FieldError, Grant, Missing, Options, Original, admin::is_other,
    commit::Overtaken, idempotency::RequestFields, settle::STALE_TRIES_MAX,
};

/// A request to deposit or withdraw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Whose money.
    pub user: UserId,
    /// What.
    pub asset: AssetId,
    /// How much.
    pub amount: DecimalAmount,
    /// The operator's comment.
    pub comment: Option<String>,
    /// Where callbacks go.
    pub callback_url: Option<String>,
}

/// A request to confirm or cancel a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishRequest {
    /// Whose withdrawal.
    pub user: UserId,
    /// Which one; none when what was sent can name no transfer.
    pub transfer: Option<TransferId>,
    /// Where this operation's result goes.
    pub callback_url: Option<String>,
    /// The [digest](crate::approval_digest) of what the operator was shown, if it was given: the withdrawal must be
    /// that when it is confirmed or canceled.
    pub digest: Option<[u8; 32]>,
}

/// How a deposit and a withdrawal differ before they are made.
pub(crate) struct Opening {
    /// The operation that its key belongs to.
    operation: &'static str,
    /// What the audit log calls it.
    action: &'static str,
    begin: fn(NewTransfer, UserId) -> Result<Change, Reason>,
}

pub(crate) const DEPOSIT: Opening = Opening {
    operation: "deposit",
    action: "deposit.create",
    begin: Transfer::deposit,
};

pub(crate) const WITHDRAW: Opening = Opening {
    operation: "withdraw",
    action: "withdrawal.create",
    begin: Transfer::withdrawal,
};

impl App {
    /// Deposits money to a user.
    ///
    /// # Errors
    /// See [`Error`]; a user or asset that does not exist is [`Error::NotFound`].
    pub async fn deposit(
        &self,
        grant: &Grant,
        request: OpenRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        self.open(grant, DEPOSIT, request, options).await
    }

    /// Holds a user's money for a withdrawal.
    ///
    /// # Errors
    /// See [`Error`]; a user or asset that does not exist is [`Error::NotFound`].
    pub async fn withdraw(
        &self,
        grant: &Grant,
        request: OpenRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        self.open(grant, WITHDRAW, request, options).await
    }

    /// Pays a withdrawal out of its hold.
    ///
    /// # Errors
    /// See [`Error`]; another user's or unknown withdrawal is [`Error::NotFound`], and one that is not
    /// what was shown [`Conflict::DigestMismatch`].
    pub async fn confirm_withdrawal(
        &self,
        grant: &Grant,
        request: FinishRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        grant.require(Permission::BackofficeConfirm)?;
        let claim = finish_claim(grant, "withdraw-confirm", &request, &options);
        let callback_url = request.callback_url.clone();
        let command = Command::Confirm {
            by: grant.actor(),
            callback_url,
            route: self.settings.transfers.payout,
            approval_expires_at: self.settings.transfers.approval_expires_at(self.now()),
        };
        let action = "withdrawal.confirm";
        self.finish(grant, action, request, &command, claim, options.wait)
            .await
    }

    /// Gives a withdrawal's hold back.
    ///
    /// # Errors
    /// See [`Error`]; another user's or unknown withdrawal is [`Error::NotFound`], and one that is not
    /// what was shown [`Conflict::DigestMismatch`].
    pub async fn cancel_withdrawal(
        &self,
        grant: &Grant,
        request: FinishRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        grant.require(Permission::BackofficeWrite)?;
        let claim = finish_claim(grant, "withdraw-cancel", &request, &options);
        let callback_url = request.callback_url.clone();
        let command = Command::Cancel {
            by: grant.actor(),
            callback_url,
        };
        let action = "withdrawal.cancel";
        self.finish(grant, action, request, &command, claim, options.wait)
            .await
    }

    async fn open(
        &self,
        grant: &Grant,
        how: Opening,
        request: OpenRequest,
        options: Options,
    ) -> Result<Answer<Transfer>, Error> {
        grant.require(Permission::BackofficeWrite)?;
        let claim = open_claim(grant, how.operation, &request, &options);
        let commit = self.prepare_opening(grant, &how, request, claim).await?;
        self.create(commit, options.wait, None).await
    }

    /// What opens a deposit or withdrawal.
    pub(crate) async fn prepare_opening(
        &self,
        grant: &Grant,
        how: &Opening,
        request: OpenRequest,
        claim: Option<IdempotencyClaim>,
    ) -> Result<Commit, Error> {
        let user = request.user;
        let new = self.new_transfer(grant, request).await?;
        let change = (how.begin)(new, user).map_err(|reason| Error::Refused {
            reason,
            replayed: false,
        })?;
        let target = target_of(change.next.id());
        Ok(Commit {
            change,
            idempotency: claim,
            audit: Some(grant.audit(how.action, target)),
        })
    }

    async fn finish(
        &self,
        grant: &Grant,
        action: &'static str,
        request: FinishRequest,
        command: &Command,
        claim: Option<IdempotencyClaim>,
        wait: bool,
    ) -> Result<Answer<Transfer>, Error> {
        let answer = |transfer: Transfer, replayed| {
            let waited = wait && transfer.status().is_final();
            Ok(Answer {
                transfer,
                replayed,
                waited,
            })
        };
        let mut overtaken = Overtaken::default();
        for _ in 0..STALE_TRIES_MAX {
            let current = self.withdrawal_of(&request).await;
            let current = current.map_err(|error| overtaken.told(error))?;
            let named = Original::Id(current.id());
            // Whoever confirmed what is not over yet hears of its end.
            let tells = request.callback_url.is_some() && current.status().is_final();
            let (change, audit) = match current.decide(command, self.now()) {
                // It is not what the operator was shown.
                Ok(Decision::Apply(_)) if is_other(request.digest, &current) => {
                    return Err(Error::Conflict(Conflict::DigestMismatch));
                }
                Ok(Decision::Apply(change)) => {
                    (*change, Some(finish_audit(grant, action, &current)))
                }
                // Nothing to tell and no key to bind.
                Ok(Decision::AlreadyApplied) if !tells && claim.is_none() => {
                    return answer(current, false);
                }
                Ok(Decision::AlreadyApplied) => (current.acknowledge(command, None), None),
                Err(_) => {
                    if let Some(transfer) = self
                        .answered_before(claim.as_ref())
                        .await
                        .map_err(|error| overtaken.told(error))?
                    {
                        return answer(transfer, true);
                    }
                    let refused = self.refuse_finish(&current, command).await;
                    match refused.map_err(|error| overtaken.told(error))? {
                        Some(conflict) => return Err(Error::Conflict(conflict)),
                        None => continue,
                    }
                }
            };
            let commit = Commit {
                change,
                idempotency: claim.clone(),
                audit,
            };
            let committed = self.commit_one(commit).await;
            if let Some((transfer, replayed)) = committed.map_err(|error| overtaken.told(error))? {
                return answer(transfer, replayed);
            }
            overtaken.on(named);
        }
        Err(Error::Conflict(Conflict::Busy))
    }

    /// Tells the operation's own URL that it was refused; the transfer is untouched. There is no refusal
    /// when the transfer was changed meanwhile, as by its reversal or the end of its payout.
    async fn refuse_finish(
        &self,
        current: &Transfer,
        command: &Command,
    ) -> Result<Option<Conflict>, Error> {
        let conflict = Conflict::of(current);
        let told = current.acknowledge(command, Some(conflict.message().to_owned()));
        if !told.callbacks.is_empty() && self.commit_one(Commit::new(told)).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(conflict))
    }

    /// The withdrawal a request names, if it belongs to the user it names.
    async fn withdrawal_of(&self, request: &FinishRequest) -> Result<Transfer, Error> {
        let found = self.find_sent(request.transfer).await?;
        found
            .filter(|transfer| transfer.kind() == Kind::Withdrawal)
            .filter(|transfer| transfer.owner() == request.user)
            .ok_or(Error::NotFound(Missing::Transfer))
    }

    async fn new_transfer(
        &self,
        grant: &Grant,
        request: OpenRequest,
    ) -> Result<NewTransfer, Error> {
        let user = self.ports.directory.find_user(request.user).await?;
        let user = user.ok_or(Error::NotFound(Missing::User))?;
        let asset = self.asset(request.asset, Missing::Asset).await?;
        let amount = amount_in("amount", request.amount, asset.scale)
            .map_err(|error| Error::Invalid(vec![error]))?;
        Ok(NewTransfer {
            id: self.ports.ids.next_transfer_id().await?,
            asset: asset.id,
            scale: asset.scale,
            amount,
            fee: Amount::ZERO,
            note: request.comment,
            callback_url: request.callback_url,
            created_by: grant.actor(),
            now: self.now(),
            root_rate: self.root_rate(asset.id).await?,
            terms: self.settings.transfers.terms(&user.roles, self.now()),
        })
    }
}

/// An amount in smallest units, or the field error that the asset's scale makes of it.
pub(crate) fn amount_in(
    field: &str,
    amount: DecimalAmount,
    scale: bursar_domain::Scale,
) -> Result<Amount, FieldError> {
    amount
        .to_amount(scale)
        .map_err(|error| FieldError::new(field, "amount.too_precise", error.to_string()))
}

/// How the audit log names a transfer.
pub(crate) fn target_of(id: TransferId) -> String {
    format!("transfer:{id}")
}

/// A change of a transfer for the audit log, with where it stood before.
pub(crate) fn finish_audit(grant: &Grant, action: &'static str, current: &Transfer) -> AuditDraft {
    let before = json!({
        "version": current.version().get(),
        "status": current.status().as_str(),
    });
    AuditDraft {
        before: Some(before.to_string()),
        ..grant.audit(action, target_of(current.id()))
    }
}

fn open_claim(
    grant: &Grant,
    operation: &'static str,
    request: &OpenRequest,
    options: &Options,
) -> Option<IdempotencyClaim> {
    let key = options.key.clone()?;
    let fields = RequestFields::default()
        .with("userId", &request.user)
        .with("assetId", &request.asset)
        .with("amount", &request.amount)
        .with_optional("comment", request.comment.as_ref())
        .with_optional("callbackUrl", request.callback_url.as_ref());
    Some(fields.claim(grant.principal(), operation, key))
}

fn finish_claim(
    grant: &Grant,
    operation: &'static str,
    request: &FinishRequest,
    options: &Options,
) -> Option<IdempotencyClaim> {
    let key = options.key.clone()?;
    let transfer = request.transfer.map(|id| id.to_string());
    let fields = RequestFields::default()
        .with("userId", &request.user)
        .with_optional("transferId", transfer.as_ref())
        .with_optional("callbackUrl", request.callback_url.as_ref());
    Some(fields.claim(grant.principal(), operation, key))
}

#[cfg(test)]
mod tests;

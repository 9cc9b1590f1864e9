//! Sending money to many other users by one request.

mod memory;

use std::collections::HashMap;

use bursar_domain::{
    Bulk, BulkClaim, BulkMode, Change, IdempotencyClaim, ItemResult, Reason, Transfer, TransferId,
    UserId,
};
use bursar_ports::{BulkOutcome, Permission, StoreError};

use super::{InternalRequest, InternalView, ItemError, prepare::Prepared};
use crate::{
    Answer, App, Error, FieldError, Grant, Options, Original, RecipientTurn,
    idempotency::RequestFields,
};

/// A request to send money to many users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRequest {
    /// The transfers in order.
    pub items: Vec<Result<InternalRequest, WrongItem>>,
    /// All or none.
    pub atomic: bool,
}

/// An item that is wrong in form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongItem {
    /// What was sent: a repetition is one only if it has the same mistakes.
    pub sent: String,
    /// What is wrong with it.
    pub errors: Vec<FieldError>,
}

/// What came of each item, in order.
type Results = Vec<Result<InternalView, ItemError>>;

/// Who sends, and how. The turn is kept until it is known what became of the recipients.
struct Sending {
    sender: UserId,
    mode: BulkMode,
    wait: bool,
    turn: RecipientTurn,
}

impl App {
    /// Sends money to many users in one transaction. The results are in the order of the items.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::BulkRefused`] when all or none was asked for and some cannot be.
    pub async fn send_bulk(
        &self,
        grant: &Grant,
        request: BulkRequest,
        options: Options,
    ) -> Result<Answer<Vec<Result<InternalView, ItemError>>>, Error> {
        let sender = grant.require_user(Permission::AllowTransfer)?;
        let mode = if request.atomic {
            BulkMode::Atomic
        } else {
            BulkMode::Independent
        };
        let wait = options.wait;
        let claim = options.key.map(|key| {
            let fields = fields_of(&request);
            fields.claim(grant.principal(), "internal-transfer-bulk", key)
        });
        let sending = Sending {
            sender,
            mode,
            wait,
            turn: self.require_recipient_tries(sender).await?,
        };
        let prepared = self.prepare_items(grant, sender, request.items).await?;
        let sending = self.clone().send_prepared_bulk(sending, prepared, claim);
        self.unbroken(sending).await
    }

    /// Makes the transfers, or says why there are none.
    async fn send_prepared_bulk(
        self,
        sending: Sending,
        prepared: Vec<Prepared>,
        claim: Option<IdempotencyClaim>,
    ) -> Result<Answer<Results>, Error> {
        let mismatches = prepared.iter().filter(|item| is_mismatch(item)).count();
        if mismatches > 0 {
            // What is bound to the key is answered whatever the address book says now.
            if let Some(results) = self.results_before(claim.as_ref()).await? {
                return self.replay(sending, results).await;
            }
            if mismatches > sending.turn.left() {
                return Err(self.beyond_the_limit(&sending.turn).await);
            }
        }
        let stands = match sending.mode {
            BulkMode::Independent => prepared.iter().any(Result::is_ok),
            BulkMode::Atomic => prepared.iter().all(Result::is_ok),
        };
        if stands {
            self.commit_prepared(sending, prepared, claim).await
        } else {
            self.untried(sending, prepared, claim).await
        }
    }

    /// New transfers out of the items that are right in form, each in its place.
    async fn prepare_items(
        &self,
        grant: &Grant,
        sender: UserId,
        items: Vec<Result<InternalRequest, WrongItem>>,
    ) -> Result<Vec<Prepared>, Error> {
        let requests = items.iter().flatten().cloned().collect();
        let mut prepared = self.prepare(grant, sender, requests).await?.into_iter();
        items
            .into_iter()
            .map(|item| match item {
                Ok(_) => prepared.next().ok_or(Error::Internal("an item was lost")),
                Err(wrong) => Ok(Err(ItemError::Invalid(wrong.errors))),
            })
            .collect()
    }

    /// Nothing of it reaches the money transaction, unless an earlier request with the same key did.
    async fn untried(
        &self,
        sending: Sending,
        prepared: Vec<Prepared>,
        claim: Option<IdempotencyClaim>,
    ) -> Result<Answer<Results>, Error> {
        if let Some(results) = self.results_before(claim.as_ref()).await? {
            return self.replay(sending, results).await;
        }
        let wrong: Vec<&ItemError> = prepared.iter().filter_map(|i| i.as_ref().err()).collect();
        self.note_mismatches(sending.sender, &wrong).await;
        let errors = prepared.into_iter().map(|item| match item {
            Ok(_) => ItemError::NotExecuted,
            Err(error) => error,
        });
        match sending.mode {
            BulkMode::Independent => Ok(Answer {
                transfer: errors.map(Err).collect(),
                replayed: false,
                waited: false,
            }),
            BulkMode::Atomic => Err(Error::BulkRefused {
                results: errors.collect(),
                replayed: false,
            }),
        }
    }

    /// What an earlier request with the same key came to, item by item.
    async fn results_before(
        &self,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<Vec<ItemResult>>, Error> {
        let bound = self.bound_before(claim).await?;
        Ok(bound.and_then(|bound| bound.results))
    }

    async fn commit_prepared(
        &self,
        sending: Sending,
        prepared: Vec<Prepared>,
        claim: Option<IdempotencyClaim>,
    ) -> Result<Answer<Results>, Error> {
        let results = prepared.iter().map(remembered).collect();
        let tries = tries(&sending, &prepared);
        let at_once = sending.wait || sending.mode == BulkMode::Atomic || tries.is_some();
        let changes: Vec<Change> = prepared
            .iter()
            .flatten()
            .cloned()
            .map(|change| {
                if at_once {
                    change.settled_at_once()
                } else {
                    change
                }
            })
            .collect();
        let named = || self.codes_of(changes.iter().map(|change| &change.next));
        let bulk = Bulk {
            changes: changes.clone(),
            mode: sending.mode,
            unable_max: tries,
            idempotency: claim.map(|claim| BulkClaim { claim, results }),
        };
        match self.ports.store.commit_bulk(bulk).await {
            Ok(BulkOutcome::Committed(transfers)) => {
                self.committed(sending, prepared, transfers).await
            }
            Ok(BulkOutcome::Refused {
                reasons,
                recipients_unable,
            }) => {
                self.note_failed_recipients(sending.sender, recipients_unable)
                    .await;
                Err(Error::BulkRefused {
                    results: reasons.into_iter().map(refusal).collect(),
                    replayed: false,
                })
            }
            Ok(BulkOutcome::TooManyUnable) => Err(self.beyond_the_limit(&sending.turn).await),
            Ok(BulkOutcome::ReadOnly) => Err(Error::ReadOnly),
            Ok(BulkOutcome::Replayed { results }) => self.replay(sending, results).await,
            Ok(BulkOutcome::KeyReused { originals, fields }) => {
                let transfers = self.all_recorded(originals).await?;
                let codes = self.codes_of(transfers.iter());
                let original = (!codes.is_empty()).then_some(Original::Codes(codes));
                Err(Error::KeyReused { original, fields })
            }
            Err(source @ StoreError::OutcomeUnknown(_)) => Err(Error::OutcomeUnknown {
                transfer: Original::Codes(named()),
                source,
            }),
            Err(
                error @ (StoreError::Overloaded
                | StoreError::Standby
                | StoreError::Unavailable(_)
                | StoreError::Inconsistent { .. }),
            ) => Err(error.into()),
        }
    }

    async fn committed(
        &self,
        sending: Sending,
        prepared: Vec<Prepared>,
        transfers: Vec<Transfer>,
    ) -> Result<Answer<Results>, Error> {
        self.note_made(&transfers).await;
        let wrong: Vec<&ItemError> = prepared.iter().filter_map(|i| i.as_ref().err()).collect();
        self.note_mismatches(sending.sender, &wrong).await;
        let mut transfers = transfers.into_iter();
        let items = prepared
            .into_iter()
            .map(|item| match item {
                Ok(_) => transfers
                    .next()
                    .map(Ok)
                    .ok_or(Error::Internal("the store lost a transfer of a bulk")),
                Err(error) => Ok(Err(error)),
            })
            .collect::<Result<_, _>>()?;
        self.conclude_bulk(sending, items, false).await
    }

    /// What an earlier request with the same key came to, its transfers as they are now.
    async fn replay(
        &self,
        sending: Sending,
        results: Vec<ItemResult>,
    ) -> Result<Answer<Results>, Error> {
        let ids: Vec<TransferId> = results.iter().filter_map(ItemResult::made).collect();
        let recorded = self.all_recorded(ids).await;
        let recorded = recorded.map_err(Error::of_what_happened)?;
        let mut recorded: HashMap<TransferId, Transfer> = recorded
            .into_iter()
            .map(|transfer| (transfer.id(), transfer))
            .collect();
        let refused = sending.mode == BulkMode::Atomic && recorded.is_empty();
        let items: Vec<Result<Transfer, ItemError>> = results
            .into_iter()
            .map(|result| match result {
                ItemResult::Made(id) => recorded
                    .remove(&id)
                    .map(Ok)
                    .ok_or(Error::Internal("a transfer of a bulk is told twice")),
                ItemResult::Refused(refusal) => ItemError::recall(refusal).map(Err),
            })
            .collect::<Result<_, _>>()?;
        if refused {
            return Err(Error::BulkRefused {
                results: items.into_iter().filter_map(Result::err).collect(),
                replayed: true,
            });
        }
        self.conclude_bulk(sending, items, true).await
    }

    /// Sees to the settlement of transfers that exist and answers as the caller wishes.
    async fn conclude_bulk(
        &self,
        sending: Sending,
        mut items: Vec<Result<Transfer, ItemError>>,
        replayed: bool,
    ) -> Result<Answer<Results>, Error> {
        let is_open = |transfer: &&Transfer| !transfer.status().is_final();
        let open: Vec<Transfer> = items.iter().flatten().filter(is_open).cloned().collect();
        if sending.wait && !open.is_empty() {
            let mut settled = self.settle_all(open).await.into_iter();
            for transfer in items.iter_mut().flatten() {
                if is_open(&&*transfer)
                    && let Some(now) = settled.next()
                {
                    *transfer = now;
                }
            }
        } else if !open.is_empty() {
            self.settle_all_later(open, sending.turn);
        }
        let made = || items.iter().flatten();
        let waited = sending.wait && made().count() > 0 && !made().any(|one| is_open(&one));
        let results = items
            .into_iter()
            .map(|item| match item {
                Ok(transfer) => self.view(transfer, sending.sender).map(Ok),
                Err(error) => Ok(Err(error)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Answer {
            transfer: results,
            replayed,
            waited,
        })
    }

    /// Transfers that must exist because something refers to them, in any order.
    async fn all_recorded(&self, ids: Vec<TransferId>) -> Result<Vec<Transfer>, Error> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let wanted = ids.len();
        let found = self.ports.store.find_many(ids).await?;
        if found.len() == wanted {
            Ok(found)
        } else {
            Err(Error::Internal("a transfer that was recorded is gone"))
        }
    }

    fn codes_of<'a>(&self, transfers: impl Iterator<Item = &'a Transfer>) -> Vec<String> {
        transfers
            .filter_map(|transfer| self.code_of(transfer))
            .collect()
    }
}

/// The fields of a bulk in their normal form. What is wrong in form counts as it was sent.
pub(super) fn fields_of(request: &BulkRequest) -> RequestFields {
    let items = request.items.iter().enumerate();
    let fields = items.fold(RequestFields::default(), |fields, (at, item)| match item {
        Ok(item) => fields.with_transfer(&format!("transfers[{at}]."), item),
        Err(wrong) => fields.with(&format!("transfers[{at}]"), &wrong.sent),
    });
    fields.with("atomic", &request.atomic).brief()
}

/// What a key remembers of an item.
fn remembered(item: &Prepared) -> ItemResult {
    match item {
        Ok(change) => ItemResult::Made(change.next.id()),
        Err(error) => ItemResult::Refused(error.remember()),
    }
}

/// How many recipients may fail, of an independent bulk that has more. It is settled where it is
/// made, for nobody knows before who cannot be paid, and afterwards it is too late.
fn tries(sending: &Sending, prepared: &[Prepared]) -> Option<usize> {
    let mismatches = prepared.iter().filter(|item| is_mismatch(item)).count();
    let left = sending.turn.left().saturating_sub(mismatches);
    let more = prepared.iter().flatten().count() > left;
    (more && sending.mode == BulkMode::Independent).then_some(left)
}

/// Whether an item's entry of the address book does not fit its recipient.
fn is_mismatch(item: &Prepared) -> bool {
    matches!(item, Err(ItemError::AddressBookMismatch))
}

fn refusal(reason: Option<Reason>) -> ItemError {
    reason.map_or(ItemError::NotExecuted, ItemError::Refused)
}

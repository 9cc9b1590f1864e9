//! Transfer rows.

use bursar_domain::{
    ActorId, Amount, AssetId, Body, CodeSalt, Confirmation, DepositState, InternalState, Kind,
    Reason, Recipient, Reversal, Review, RootRate, Scale, Stage, Status, Transfer, TransferId,
    TransferParts, UserId, Version, WithdrawalState,
};
use bursar_ports::StoreError;
use diesel::{
    dsl,
    prelude::{
        ExpressionMethods as _, QueryDsl as _, QueryResult, Queryable, Selectable,
        SelectableHelper as _,
    },
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::{
    error::inconsistent,
    schema::transfers,
    seal::{Genuine, Seal, SealKeys, TransferFields},
    value::{At, Decimal, Figure},
};

/// A row of `transfers`. Whatever somebody has written there can be read, so that one row that is
/// none of Bursar's does not keep others from being read with it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = transfers)]
pub(crate) struct TransferRow {
    pub(crate) id: i64,
    pub(crate) version: i32,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) asset: String,
    pub(crate) scale: i16,
    pub(crate) amount: Figure,
    pub(crate) fee: Figure,
    pub(crate) user_id: Uuid,
    pub(crate) recipient_id: Option<Uuid>,
    pub(crate) recipient_typed: Option<String>,
    pub(crate) code_salt: Option<Vec<u8>>,
    pub(crate) custom_id: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) callback_url: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) created_by: String,
    pub(crate) finished_by: Option<String>,
    pub(crate) root_asset: Option<String>,
    pub(crate) root_scale: Option<i16>,
    pub(crate) root_rate: Option<Decimal>,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
    pub(crate) stage: Option<String>,
    pub(crate) expires_at: Option<At>,
    pub(crate) confirmed_by: Option<String>,
    pub(crate) confirm_url: Option<String>,
    pub(crate) reviewed_by: Option<String>,
    pub(crate) review_digest: Option<Vec<u8>>,
    pub(crate) reverses: Option<i64>,
    pub(crate) reversal_covers: Option<Figure>,
    pub(crate) reversal_fee: Option<Figure>,
    pub(crate) reversed: Figure,
    pub(crate) root_source: Option<String>,
    pub(crate) root_rated_at: Option<At>,
}

/// A row of `transfers` with what proves it: as whoever goes on from it must read it.
///
/// A change is decided by what was read, and what it makes of the transfer is sealed anew. Whatever
/// somebody has written into the database without the key must not get a seal that way.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = transfers)]
pub(crate) struct SealedRow {
    #[diesel(embed)]
    pub(crate) row: TransferRow,
    pub(crate) entry_refs: Vec<i64>,
    pub(crate) seal: Option<Seal>,
}

#[dsl::auto_type]
fn of_these(ids: Vec<i64>) -> _ {
    transfers::table.filter(transfers::id.eq_any(ids))
}

impl TransferRow {
    /// The rows of those of these transfers that there are, in no order.
    pub(crate) async fn load_many(
        connection: &AsyncPgConnection,
        ids: Vec<i64>,
    ) -> QueryResult<Vec<Self>> {
        let rows = of_these(ids).select(Self::as_select());
        rows.load(&mut &*connection).await
    }
}

impl SealedRow {
    /// The same as [`TransferRow::load_many`].
    pub(crate) async fn load_many(
        connection: &AsyncPgConnection,
        ids: Vec<i64>,
    ) -> QueryResult<Vec<Self>> {
        let rows = of_these(ids).select(Self::as_select());
        rows.load(&mut &*connection).await
    }

    pub(crate) const fn id(&self) -> i64 {
        self.row.id
    }

    /// The transfer, and what its seal is found to be.
    pub(crate) fn judge(self, seals: &SealKeys) -> Result<Judged, StoreError> {
        let Self {
            row,
            entry_refs,
            seal,
        } = self;
        let transfer = Transfer::try_from(row)?;
        let fields = TransferFields::of(&transfer);
        let genuine = seal
            .as_ref()
            .map(|seal| seals.judge_transfer(&fields, &entry_refs, seal));
        Ok(Judged {
            transfer,
            entry_refs,
            seal,
            genuine,
        })
    }

    /// The transfer, if Bursar wrote it so: for whoever changes it, pays it or tells of it. Without keys
    /// nothing is sealed, and nothing is judged.
    pub(crate) fn prove(self, seals: &SealKeys) -> Result<Transfer, StoreError> {
        self.judged(seals, false)
    }

    /// The same for whoever only looks: one that has ended may have no seal, or one of a key that is not
    /// configured any more.
    pub(crate) fn read(self, seals: &SealKeys) -> Result<Transfer, StoreError> {
        self.judged(seals, true)
    }

    fn judged(self, seals: &SealKeys, only_looks: bool) -> Result<Transfer, StoreError> {
        if seals.is_empty() {
            return Transfer::try_from(self.row);
        }
        let Judged {
            transfer, genuine, ..
        } = self.judge(seals)?;
        let fault = match genuine {
            Some(Genuine::Yes) => return Ok(transfer),
            Some(Genuine::No) => "its seal does not fit: somebody else has changed it",
            _ if only_looks && transfer.status().is_final() => return Ok(transfer),
            Some(Genuine::UnknownKey) => {
                "it is sealed with a master key that is not configured: put that behind the first \
                 one, or run bursar reseal where it is configured"
            }
            None => "it has no seal: see docs/OPERATIONS.md, Changing the master key",
        };
        let id = transfer.id();
        Err(inconsistent("transfers", format!("id {id}: {fault}")))
    }
}

/// A transfer, and what its row's seal is found to be.
pub(crate) struct Judged {
    transfer: Transfer,
    entry_refs: Vec<i64>,
    pub(crate) seal: Option<Seal>,
    /// None when it has none.
    pub(crate) genuine: Option<Genuine>,
}

impl Judged {
    /// The seal of the row as it is, under the first key.
    pub(crate) fn sealed_anew(&self, seals: &SealKeys) -> Option<Seal> {
        seals.transfer(&TransferFields::of(&self.transfer), &self.entry_refs)
    }
}

impl TryFrom<TransferRow> for Transfer {
    type Error = StoreError;

    fn try_from(row: TransferRow) -> Result<Self, StoreError> {
        let id = row.id;
        let parts = row.read();
        parts
            .map(Self::from_parts)
            .map_err(|column| inconsistent("transfers", format!("id {id}: {column}")))
    }
}

impl TransferRow {
    /// The parts, or the name of the first column that does not fit.
    fn read(self) -> Result<TransferParts, &'static str> {
        Ok(TransferParts {
            body: self.body()?,
            root_rate: self.root_rate()?,
            review: self.review()?,
            reversal: self.reversal()?,
            reversed: read_amount(self.reversed).ok_or("reversed")?,
            confirmed: self.confirmed_by.map(|by| Confirmation {
                by: ActorId::new(by),
                callback_url: self.confirm_url,
            }),
            expires_at: self.expires_at.map(|at| at.0),
            id: TransferId::try_new(self.id).map_err(|_| "id")?,
            version: Version::new(self.version),
            asset: AssetId::parse(&self.asset).map_err(|_| "asset")?,
            scale: read_scale(self.scale).ok_or("scale")?,
            amount: read_amount(self.amount).ok_or("amount")?,
            fee: read_amount(self.fee).ok_or("fee")?,
            note: self.note,
            callback_url: self.callback_url,
            created_by: ActorId::new(self.created_by),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
        })
    }

    fn root_rate(&self) -> Result<Option<RootRate>, &'static str> {
        match (&self.root_asset, self.root_scale, &self.root_rate) {
            (Some(asset), Some(scale), Some(Decimal(Some(rate)))) => Ok(Some(RootRate {
                asset: AssetId::parse(asset).map_err(|_| "root_asset")?,
                scale: read_scale(scale).ok_or("root_scale")?,
                rate: rate.clone(),
                source: self.root_source.clone(),
                rated_at: self.root_rated_at.map(|at| at.0),
            })),
            (None, None, None) => Ok(None),
            _ => Err("root_rate"),
        }
    }

    fn review(&self) -> Result<Option<Review>, &'static str> {
        match (&self.reviewed_by, self.review_digest.as_deref()) {
            (Some(by), Some(digest)) => Ok(Some(Review {
                by: ActorId::new(by.clone()),
                digest: digest.try_into().map_err(|_| "review_digest")?,
            })),
            (None, None) => Ok(None),
            _ => Err("reviewed_by"),
        }
    }

    fn reversal(&self) -> Result<Option<Reversal>, &'static str> {
        match (self.reverses, self.reversal_covers, self.reversal_fee) {
            (Some(of), Some(covers), Some(fee)) => Ok(Some(Reversal {
                of: TransferId::try_new(of).map_err(|_| "reverses")?,
                covers: read_amount(covers).ok_or("reversal_covers")?,
                fee_returned: read_amount(fee).ok_or("reversal_fee")?,
            })),
            (None, None, None) => Ok(None),
            _ => Err("reverses"),
        }
    }

    fn stage(&self) -> Result<Option<Stage>, &'static str> {
        let stage = self.stage.as_deref();
        stage
            .map(|stage| Stage::from_name(stage).ok_or("stage"))
            .transpose()
    }

    fn body(&self) -> Result<Body, &'static str> {
        let user = UserId::new(self.user_id);
        let status = Status::from_name(&self.state).ok_or("state")?;
        let reason = || {
            self.reason
                .as_deref()
                .and_then(Reason::from_code)
                .ok_or("reason")
        };
        let by = || {
            self.finished_by
                .clone()
                .map(ActorId::new)
                .ok_or("finished_by")
        };
        match Kind::from_name(&self.kind).ok_or("kind")? {
            Kind::Deposit => {
                let state = match status {
                    Status::Pending if self.stage()? == Some(Stage::Approval) => {
                        DepositState::AwaitingApproval
                    }
                    Status::Pending => DepositState::Pending,
                    Status::Completed => DepositState::Completed,
                    Status::Failed => DepositState::Failed { reason: reason()? },
                    Status::AwaitingConfirmation
                    | Status::Canceled
                    | Status::Success
                    | Status::Rejected => return Err("state"),
                };
                Ok(Body::Deposit { user, state })
            }
            Kind::Withdrawal => {
                let state = match status {
                    Status::AwaitingConfirmation => match self.stage()? {
                        Some(Stage::Approval) => WithdrawalState::AwaitingApproval,
                        Some(Stage::Payout) => WithdrawalState::PayingOut,
                        None => WithdrawalState::AwaitingConfirmation,
                    },
                    Status::Completed => WithdrawalState::Completed { by: by()? },
                    Status::Failed => WithdrawalState::Failed { reason: reason()? },
                    Status::Canceled => WithdrawalState::Canceled { by: by()? },
                    Status::Pending | Status::Success | Status::Rejected => return Err("state"),
                };
                Ok(Body::Withdrawal { user, state })
            }
            Kind::Internal => {
                let state = match status {
                    Status::Pending => InternalState::Pending,
                    Status::Success => InternalState::Success,
                    Status::Rejected => InternalState::Rejected { reason: reason()? },
                    Status::AwaitingConfirmation
                    | Status::Completed
                    | Status::Failed
                    | Status::Canceled => return Err("state"),
                };
                let salt = self
                    .code_salt
                    .as_deref()
                    .and_then(|salt| salt.try_into().ok());
                Ok(Body::Internal {
                    sender: user,
                    recipient: self.recipient()?,
                    salt: CodeSalt::new(salt.ok_or("code_salt")?),
                    custom_id: self.custom_id.clone(),
                    state,
                })
            }
        }
    }

    fn recipient(&self) -> Result<Recipient, &'static str> {
        match (self.recipient_id, self.recipient_typed.clone()) {
            (Some(user), None) => Ok(Recipient::Id(UserId::new(user))),
            (Some(user), Some(typed)) => Ok(Recipient::Alias {
                typed,
                user: UserId::new(user),
            }),
            (None, Some(typed)) => Ok(Recipient::Unknown { typed }),
            (None, None) => Err("recipient_id"),
        }
    }
}

fn read_amount(figure: Figure) -> Option<Amount> {
    figure
        .0
        .and_then(|units| Amount::try_from_units(units).ok())
}

pub(crate) fn read_scale(scale: i16) -> Option<Scale> {
    u8::try_from(scale)
        .ok()
        .and_then(|scale| Scale::try_new(scale).ok())
}

//! What clients ask for, and what they are told.

use bursar_app::{
    App, BulkRequest, Conflict, Error, FinishRequest, Grant, InternalRequest, OpenRequest, Options,
    Origin, Principal,
};
use bursar_domain::{AssetId, DecimalAmount, IdempotencyKey, Transfer, TransferId, UserId};
use bursar_ports::{Permission, StatementFilter, StoreError};

/// Somebody's money and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) user: UserId,
    pub(crate) asset: AssetId,
    pub(crate) whole: u32,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Deposit(Sum),
    Withdraw(Sum),
    Confirm(UserId, TransferId),
    Cancel(UserId, TransferId),
    Send(Sum, String),
    Bulk {
        sender: UserId,
        items: Vec<(Sum, String)>,
        atomic: bool,
    },
    Read(UserId),
}

/// A request, with all that makes it the same request when it is repeated.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) number: usize,
    pub(crate) what: What,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) wait: bool,
    pub(crate) url: Option<String>,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// These transfers are its work; of a bulk some items may have none.
    Made(Vec<Option<Transfer>>),
    /// It did not happen and never will.
    Refused(String),
    /// It did not happen now.
    NotExecuted,
    /// Nothing that is certain.
    Unknown,
    /// The last line of each account.
    Saw(Vec<(AssetId, i64)>),
    /// Something that must not be told.
    Broken(String),
}

impl Request {
    /// What marks its transfers.
    pub(crate) fn tag(&self) -> String {
        format!("op-{}", self.number)
    }

    fn item_tag(&self, item: usize) -> String {
        format!("op-{}.{item}", self.number)
    }

    fn options(&self) -> Options {
        Options {
            key: self.key.clone(),
            wait: self.wait,
        }
    }

    fn opening(&self, sum: &Sum) -> OpenRequest {
        OpenRequest {
            user: sum.user,
            asset: sum.asset,
            amount: DecimalAmount::parse(&sum.whole.to_string()).unwrap(),
            comment: Some(self.tag()),
            callback_url: self.url.clone(),
        }
    }

    fn finish(&self, user: UserId, transfer: TransferId) -> FinishRequest {
        FinishRequest {
            user,
            transfer: Some(transfer),
            callback_url: self.url.clone(),
            digest: None,
        }
    }

    fn payment(&self, sum: &Sum, recipient: &str, tag: String) -> InternalRequest {
        InternalRequest {
            currency: sum.asset,
            amount: DecimalAmount::parse(&sum.whole.to_string()).unwrap(),
            recipient: recipient.to_owned(),
            address_book_code: None,
            callback_url: self.url.clone(),
            custom_id: Some(tag.clone()),
            note: Some(tag),
        }
    }

    /// Lets an application do it.
    pub(crate) async fn perform(&self, app: &App) -> Told {
        let told = match &self.what {
            What::Deposit(sum) => app
                .deposit(
                    &operator(Permission::BackofficeWrite),
                    self.opening(sum),
                    self.options(),
                )
                .await
                .map(|answer| Told::Made(vec![Some(answer.transfer)])),
            What::Withdraw(sum) => app
                .withdraw(
                    &operator(Permission::BackofficeWrite),
                    self.opening(sum),
                    self.options(),
                )
                .await
                .map(|answer| Told::Made(vec![Some(answer.transfer)])),
            What::Confirm(user, id) => app
                .confirm_withdrawal(
                    &operator(Permission::BackofficeConfirm),
                    self.finish(*user, *id),
                    self.options(),
                )
                .await
                .map(|answer| Told::Made(vec![Some(answer.transfer)])),
            What::Cancel(user, id) => app
                .cancel_withdrawal(
                    &operator(Permission::BackofficeWrite),
                    self.finish(*user, *id),
                    self.options(),
                )
                .await
                .map(|answer| Told::Made(vec![Some(answer.transfer)])),
            What::Send(sum, recipient) => app
                .send(
                    &trader(sum.user),
                    self.payment(sum, recipient, self.tag()),
                    self.options(),
                )
                .await
                .map(|answer| Told::Made(vec![Some(answer.transfer.transfer)])),
            What::Bulk { sender, .. } => self.perform_bulk(app, *sender).await,
            What::Read(user) => read(app, *user).await,
        };
        told.unwrap_or_else(|error| of_error(&error))
    }

    async fn perform_bulk(&self, app: &App, sender: UserId) -> Result<Told, Error> {
        let What::Bulk { items, atomic, .. } = &self.what else {
            return Ok(Told::Broken("no bulk".to_owned()));
        };
        let payments = items.iter().enumerate();
        let request = BulkRequest {
            items: payments
                .map(|(item, (sum, recipient))| {
                    Ok(self.payment(sum, recipient, self.item_tag(item)))
                })
                .collect(),
            atomic: *atomic,
        };
        let answer = app
            .send_bulk(&trader(sender), request, self.options())
            .await?;
        let made = answer.transfer.into_iter();
        Ok(Told::Made(
            made.map(|item| item.ok().map(|view| view.transfer))
                .collect(),
        ))
    }
}

async fn read(app: &App, user: UserId) -> Result<Told, Error> {
    let filter = StatementFilter {
        user,
        asset: None,
        from: None,
        to: None,
        after: None,
        limit: 1_000,
    };
    let grant = operator(Permission::BackofficeRead);
    let statement = app.read_statement(&grant, filter).await?;
    let mut saw: Vec<(AssetId, i64)> = vec![];
    for line in statement.lines {
        let (asset, seq) = (line.record.line.account.asset, line.record.line.seq);
        match saw.iter_mut().find(|(known, _)| *known == asset) {
            Some((_, last)) => *last = seq,
            None => saw.push((asset, seq)),
        }
    }
    Ok(Told::Saw(saw))
}

/// What an error tells, as the contract has it: 4xx = not executed and never will, 503 = not now.
fn of_error(error: &Error) -> Told {
    match error {
        Error::Store(StoreError::OutcomeUnknown(_)) | Error::OutcomeUnknown { .. } => Told::Unknown,
        Error::Store(StoreError::Inconsistent { .. })
        | Error::Internal(_)
        | Error::KeyReused { .. } => Told::Broken(format!("{error:?}")),
        Error::Store(StoreError::Overloaded | StoreError::Standby | StoreError::Unavailable(_))
        | Error::ReadOnly
        | Error::RateLimited(_)
        | Error::Conflict(Conflict::Busy) => Told::NotExecuted,
        Error::Conflict(conflict) => Told::Refused(conflict.code().to_owned()),
        Error::Refused { reason, .. } => Told::Refused(reason.code().to_owned()),
        Error::BulkRefused { .. } => Told::Refused("bulk refused".to_owned()),
        Error::Unauthenticated(_)
        | Error::Forbidden(_)
        | Error::NoUser
        | Error::NotFound(_)
        | Error::Invalid(_)
        | Error::OverLimit { .. }
        | Error::SameOperator
        | Error::TakenByOther(_)
        | Error::EventsPruned { .. }
        | Error::EventsAhead { .. }
        | Error::Overtaken
        | Error::ScaleInUse
        | Error::UsernameTaken
        | Error::EmailTaken
        | Error::AddressBookCodeTaken
        | Error::AddressBookFull => Told::Refused(error.to_string()),
    }
}

fn operator(permission: Permission) -> Grant {
    Principal::local_operator().grant(permission).unwrap()
}

fn trader(user: UserId) -> Grant {
    let principal = Principal {
        subject: format!("trader of {user}"),
        user: Some(user),
        permissions: vec![Permission::AllowTransfer],
        requests_per_minute: None,
        origin: Origin {
            credential: "token:1".to_owned(),
            request_id: "request-1".to_owned(),
            address: "192.0.2.1".to_owned(),
        },
    };
    principal.grant(Permission::AllowTransfer).unwrap()
}

//! Values that tests need often, complete and valid, from the few things that matter to a test.

use std::hash::{DefaultHasher, Hash, Hasher};

use bursar_domain::{
    ActorId, Amount, Asset, AssetId, AuditDraft, Change, CodeSalt, Command, Commit, Decision,
    FieldValue, Fingerprint, IdempotencyClaim, IdempotencyKey, KeyScope, NewTransfer, PayoutRoute,
    Reason, Recipient, Scale, Terms, Timestamp, Transfer, TransferId, User, UserId, UserStatus,
};
use uuid::Uuid;

/// An asset id.
pub fn asset_id(id: &str) -> AssetId {
    AssetId::parse(id).expect("the test names a valid asset")
}

/// An asset that allows every kind of transfer.
pub fn asset(id: &str, scale: u8) -> Asset {
    Asset {
        id: asset_id(id),
        name: id.to_uppercase(),
        scale: Scale::try_new(scale).expect("the test gives a scale of at most 18"),
        can_deposit: true,
        can_withdraw: true,
        can_transfer: true,
    }
}

/// The user id with this number.
pub const fn user_id(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

/// An active user with a name and an email of its own.
pub fn user(id: UserId) -> User {
    let name = format!("user-{:x}", id.as_uuid().as_u128());
    User {
        id,
        email: format!("{name}@example.com"),
        username: name,
        roles: vec!["Trader".to_owned()],
        status: UserStatus::Active,
    }
}

/// The transfer id with this number.
pub fn transfer_id(number: i64) -> TransferId {
    TransferId::try_new(number).expect("the test gives an id between 1 and 2^53 - 1")
}

/// An amount of smallest units.
pub fn amount(units: i128) -> Amount {
    Amount::try_from_units(units).expect("the test gives an amount between 0 and 10^38 - 1")
}

/// A new transfer without fee, note, callback URL or rate.
pub fn new_transfer(id: TransferId, asset: &Asset, units: i128, now: Timestamp) -> NewTransfer {
    NewTransfer {
        id,
        asset: asset.id,
        scale: asset.scale,
        amount: amount(units),
        fee: Amount::ZERO,
        note: None,
        callback_url: None,
        created_by: ActorId::new("operator"),
        now,
        root_rate: None,
        terms: Terms::default(),
    }
}

/// A pending deposit.
pub fn deposit(new: NewTransfer, user: UserId) -> Change {
    Transfer::deposit(new, user).expect("the fee is less than the amount")
}

/// A withdrawal that awaits confirmation.
pub fn withdrawal(new: NewTransfer, user: UserId) -> Change {
    Transfer::withdrawal(new, user).expect("amount and fee fit an account")
}

/// A pending internal transfer between two users.
pub fn internal(new: NewTransfer, sender: UserId, recipient: UserId) -> Change {
    internal_to(new, sender, Recipient::Id(recipient))
}

/// A pending internal transfer to whoever the recipient names.
pub fn internal_to(new: NewTransfer, sender: UserId, recipient: Recipient) -> Change {
    let mut salt = [0; 10];
    for (byte, from) in salt.iter_mut().zip(new.id.get().to_be_bytes()) {
        *byte = from;
    }
    Transfer::internal(new, sender, recipient, CodeSalt::new(salt), None)
        .expect("sender and recipient differ, amount and fee fit an account")
}

/// Confirms, without a callback URL.
pub fn confirm() -> Command {
    Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: None,
        route: PayoutRoute::Manual,
        approval_expires_at: None,
    }
}

/// Confirms, and tells this URL.
pub fn confirm_telling(url: &str) -> Command {
    Command::Confirm {
        by: ActorId::new("confirmer"),
        callback_url: Some(url.to_owned()),
        route: PayoutRoute::Manual,
        approval_expires_at: None,
    }
}

/// Cancels, and tells this URL.
pub fn cancel_telling(url: &str) -> Command {
    Command::Cancel {
        by: ActorId::new("canceller"),
        callback_url: Some(url.to_owned()),
    }
}

/// Cancels, without a callback URL.
pub fn cancel() -> Command {
    Command::Cancel {
        by: ActorId::new("canceller"),
        callback_url: None,
    }
}

/// Ends without success.
pub const fn fail(reason: Reason) -> Command {
    Command::Fail { reason }
}

/// What a command that the state allows makes of a transfer.
pub fn step(transfer: &Transfer, command: &Command, now: Timestamp) -> Change {
    match transfer.decide(command, now) {
        Ok(Decision::Apply(change)) => *change,
        answer @ (Ok(Decision::AlreadyApplied) | Err(_)) => {
            panic!("the test expects that {command:?} applies, not {answer:?}")
        }
    }
}

/// A claim on `key` by one principal for one operation; requests with other fields have another
/// fingerprint.
pub fn claim(
    principal: &str,
    operation: &'static str,
    key: &str,
    fields: &[(&str, &str)],
) -> IdempotencyClaim {
    IdempotencyClaim {
        scope: KeyScope {
            principal: principal.to_owned(),
            operation,
        },
        key: IdempotencyKey::parse(key).expect("the test gives a valid key"),
        fingerprint: fingerprint(fields),
        fields: fields
            .iter()
            .map(|(name, value)| FieldValue {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
    }
}

/// A change with a claim on a key.
pub const fn keyed(change: Change, claim: IdempotencyClaim) -> Commit {
    Commit {
        change,
        idempotency: Some(claim),
        audit: None,
    }
}

/// What the audit log is to keep of an operator's change.
pub fn audit(action: &'static str, target: &str) -> AuditDraft {
    AuditDraft {
        actor: ActorId::new("operator"),
        credential: "token:1".to_owned(),
        request_id: "request-1".to_owned(),
        address: "192.0.2.1".to_owned(),
        action,
        target: target.to_owned(),
        before: None,
        after: None,
    }
}

/// Stands in for SHA-256: equal fields, equal bytes.
fn fingerprint(fields: &[(&str, &str)]) -> Fingerprint {
    let mut bytes = [0; 32];
    for (lane, chunk) in (0_u8..).zip(bytes.chunks_exact_mut(8)) {
        let mut hasher = DefaultHasher::new();
        (lane, fields).hash(&mut hasher);
        chunk.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    Fingerprint(bytes)
}

//! The bodies of callbacks, to the byte (contract §1 and §2).
//!
//! A body says nothing that could differ between two attempts of one callback: receivers tell
//! repetitions by their id and may keep what they saw first.

use bursar_domain::{Body, Reason, Recipient, Status, Timestamp, Transfer};
use bursar_ports::ClaimedCallback;
use serde_json::Value;

use crate::Keyring;

/// The body of a callback: compact JSON, the documented keys in their documented order.
pub(crate) fn render(callback: &ClaimedCallback, keyring: &Keyring) -> String {
    let transfer = &callback.transfer;
    match &transfer.parts().body {
        Body::Deposit { .. } => backoffice(callback, "Deposit", "Id"),
        Body::Withdrawal { .. } => backoffice(callback, "Withdrawal", "TransferId"),
        Body::Internal {
            recipient,
            salt,
            custom_id,
            ..
        } => {
            let code = keyring.transfer_code(transfer.id(), salt);
            internal(callback, &code, recipient, custom_id.as_deref())
        }
    }
}

fn backoffice(callback: &ClaimedCallback, kind: &str, id_key: &str) -> String {
    let parts = callback.transfer.parts();
    Object::default()
        .raw("Amount", &parts.amount.to_json_number(parts.scale))
        .text("Status", callback.status.as_str())
        .text("Asset", parts.asset.as_str())
        .text("Type", kind)
        .raw(id_key, &parts.id.to_string())
        .text("CreatedAt", &parts.created_at.to_micros_text())
        .raw("Fee", &parts.fee.to_json_number(parts.scale))
        .nullable("ErrorDetails", callback.error.as_deref())
        .end()
}

fn internal(
    callback: &ClaimedCallback,
    code: &str,
    recipient: &Recipient,
    custom_id: Option<&str>,
) -> String {
    let transfer: &Transfer = &callback.transfer;
    let parts = transfer.parts();
    let done_at = transfer.done_at().map(Timestamp::to_seconds_text);
    let reason = transfer.reason();
    let succeeded = callback.status == Status::Success;
    Object::default()
        .text("code", code)
        .nullable("custom_id", custom_id)
        .text("created_at", &parts.created_at.to_seconds_text())
        .text("updated_at", &parts.updated_at.to_seconds_text())
        .nullable("done_at", done_at.as_deref())
        .text("status", &callback.status.as_str().to_ascii_lowercase())
        .nullable("reason_code", reason.map(Reason::code))
        .nullable("reason_message", reason.map(Reason::message))
        .text("currency_code", &parts.asset.as_str().to_ascii_uppercase())
        .text("amount", &parts.amount.to_fixed(parts.scale))
        .text("fee_amount", &parts.fee.to_fixed(parts.scale))
        .text("sender", &transfer.owner().to_string())
        .text("recipient", &recipient.shown(succeeded))
        .nullable("note", parts.note.as_deref())
        .end()
}

/// A JSON object that keeps the order its keys were given in.
#[derive(Default)]
struct Object(String);

impl Object {
    /// A member whose value is JSON already.
    fn raw(mut self, key: &str, json: &str) -> Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        for part in ["\"", key, "\":", json] {
            self.0.push_str(part);
        }
        self
    }

    fn text(self, key: &str, text: &str) -> Self {
        self.raw(key, &Value::from(text).to_string())
    }

    fn nullable(self, key: &str, text: Option<&str>) -> Self {
        self.raw(key, &Value::from(text).to_string())
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bursar_domain::{
        ActorId, Amount, AssetId, CodeSalt, DepositState, InternalState, Operation, Scale,
        TransferId, TransferParts, UserId, Version, WithdrawalState,
    };
    use bursar_ports::{Lane, LeaseToken};
    use uuid::Uuid;

    use super::*;

    pub(crate) fn keyring() -> Keyring {
        Keyring::try_new([7; 32], vec![("k".to_owned(), [1; 32])]).unwrap()
    }

    fn user(n: u128) -> UserId {
        UserId::new(Uuid::from_u128(n))
    }

    /// A callback of the back-office sample: one bitcoin for or from somebody.
    pub(crate) fn callback(body: Body) -> ClaimedCallback {
        let scale = Scale::try_new(8).unwrap();
        let at = Timestamp::parse("2021-04-09T10:50:40.1164856Z").unwrap();
        let transfer = Transfer::from_parts(TransferParts {
            id: TransferId::try_new(1).unwrap(),
            version: Version::FIRST,
            asset: AssetId::parse("btc").unwrap(),
            scale,
            amount: Amount::try_from_units(100_000_000).unwrap(),
            fee: Amount::ZERO,
            note: None,
            callback_url: None,
            created_by: ActorId::system(),
            created_at: at,
            updated_at: at,
            root_rate: None,
            expires_at: None,
            confirmed: None,
            review: None,
            reversal: None,
            reversed: Amount::ZERO,
            body,
        });
        ClaimedCallback {
            id: Uuid::from_u128(1),
            lease: LeaseToken(Uuid::from_u128(2)),
            url: "https://example.com/callbacks".to_owned(),
            subscriber: transfer.subscriber(),
            lane: Lane {
                subscriber: transfer.subscriber().to_string(),
                host: "example.com:443".to_owned(),
            },
            due_since: transfer.parts().updated_at,
            operation: Operation::Settle,
            status: transfer.status(),
            error: None,
            attempts: 0,
            transfer,
        }
    }

    pub(crate) fn deposit(state: DepositState) -> ClaimedCallback {
        callback(Body::Deposit {
            user: user(1),
            state,
        })
    }

    fn internal_callback(recipient: Recipient, state: InternalState) -> ClaimedCallback {
        let mut claimed = callback(Body::Internal {
            sender: user(0x456),
            recipient,
            salt: CodeSalt::new([9; 10]),
            custom_id: Some("my-transfer-123".to_owned()),
            state,
        });
        let mut parts = claimed.transfer.into_parts();
        parts.amount = Amount::try_from_units(1_000_000).unwrap();
        parts.note = Some("Payment for services".to_owned());
        parts.created_at = Timestamp::parse("2023-01-15T14:30:15.999999Z").unwrap();
        parts.updated_at = Timestamp::parse("2023-01-15T14:35:20.5Z").unwrap();
        claimed.transfer = Transfer::from_parts(parts);
        claimed
    }

    #[test]
    fn a_deposit_is_told_as_documented() {
        assert_eq!(
            render(&deposit(DepositState::Completed), &keyring()),
            r#"{"Amount":1.0,"Status":"Completed","Asset":"btc","Type":"Deposit","Id":1,"CreatedAt":"2021-04-09T10:50:40.116485Z","Fee":0.0,"ErrorDetails":null}"#
        );
    }

    #[test]
    fn a_withdrawal_is_told_as_documented_with_the_status_of_its_callback() {
        let mut claimed = callback(Body::Withdrawal {
            user: user(1),
            state: WithdrawalState::Completed {
                by: ActorId::new("operator"),
            },
        });
        claimed.status = Status::AwaitingConfirmation;
        assert_eq!(
            render(&claimed, &keyring()),
            r#"{"Amount":1.0,"Status":"AwaitingConfirmation","Asset":"btc","Type":"Withdrawal","TransferId":1,"CreatedAt":"2021-04-09T10:50:40.116485Z","Fee":0.0,"ErrorDetails":null}"#
        );
    }

    #[test]
    fn a_refused_operation_is_told_as_failed_with_the_real_amount_and_the_error() {
        let mut claimed = callback(Body::Withdrawal {
            user: user(1),
            state: WithdrawalState::Canceled {
                by: ActorId::new("operator"),
            },
        });
        let mut parts = claimed.transfer.into_parts();
        parts.scale = Scale::MAX;
        parts.amount = Amount::try_from_units(1).unwrap();
        parts.fee = Amount::try_from_units(2_500_000_000_000_000_000).unwrap();
        claimed.transfer = Transfer::from_parts(parts);
        claimed.status = Status::Failed;
        claimed.error = Some("The transfer is already \"canceled\".\n".to_owned());
        assert_eq!(
            render(&claimed, &keyring()),
            r#"{"Amount":0.000000000000000001,"Status":"Failed","Asset":"btc","Type":"Withdrawal","TransferId":1,"CreatedAt":"2021-04-09T10:50:40.116485Z","Fee":2.5,"ErrorDetails":"The transfer is already \"canceled\".\n"}"#
        );
    }

    #[test]
    fn an_internal_transfer_is_told_with_its_fourteen_keys() {
        let recipient = Recipient::Id(user(0x123));
        let claimed = internal_callback(recipient, InternalState::Success);
        let code = keyring().transfer_code(claimed.transfer.id(), &CodeSalt::new([9; 10]));
        let expected = format!(
            r#"{{"code":"{code}","custom_id":"my-transfer-123","created_at":"2023-01-15T14:30:15Z","updated_at":"2023-01-15T14:35:20Z","done_at":"2023-01-15T14:35:20Z","status":"success","reason_code":null,"reason_message":null,"currency_code":"BTC","amount":"0.01000000","fee_amount":"0.00000000","sender":"00000000-0000-0000-0000-000000000456","recipient":"00000000-0000-0000-0000-000000000123","note":"Payment for services"}}"#
        );
        assert_eq!(render(&claimed, &keyring()), expected);
    }

    #[test]
    fn a_rejected_internal_transfer_shows_its_recipient_as_typed() {
        let recipient = Recipient::Alias {
            typed: "bob@example.com".to_owned(),
            user: user(0x123),
        };
        let reason = Reason::BalanceInsufficient;
        let mut claimed = internal_callback(recipient, InternalState::Rejected { reason });
        let mut parts = claimed.transfer.into_parts();
        parts.note = Some("naïve \u{1F4B0} \"\u{7}\\".to_owned());
        claimed.transfer = Transfer::from_parts(parts);
        let body = render(&claimed, &keyring());
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["status"], "rejected");
        assert_eq!(read["reason_code"], "balance.insufficient");
        assert_eq!(read["reason_message"], reason.message());
        assert_eq!(read["recipient"], "bob@example.com");
        assert_eq!(read["note"], "naïve \u{1F4B0} \"\u{7}\\");
        assert!(body.contains(r#""note":"naïve 💰 \"\u0007\\""#), "{body}");
    }
}

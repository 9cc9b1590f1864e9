use bigdecimal::BigDecimal;
use bursar_domain::Timestamp;
use uuid::Uuid;

use super::{message::Message, *};

fn keys(first: u8) -> SealKeys {
    SealKeys::new([[first; 32], [9; 32]])
}

const NAME: AccountName<'static> = AccountName {
    id: 7,
    owner_kind: "user",
    owner: Uuid::from_u128(3),
    asset: "btc",
};

fn line() -> Line {
    Line {
        account: 7,
        seq: 2,
        transfer: 5,
        available_delta: -3,
        held_delta: 3,
        available_after: 97,
        held_after: 3,
        created_at: Timestamp::from_micros(1_000_001),
    }
}

fn fields(rate: &BigDecimal) -> TransferFields<'_> {
    TransferFields {
        id: 1,
        version: 2,
        kind: "internal",
        state: "Success",
        asset: "btc",
        scale: 8,
        amount: 100,
        fee: 1,
        user: Uuid::from_u128(1),
        recipient: Some(Uuid::from_u128(2)),
        recipient_typed: None,
        code_salt: Some(&[1, 2, 3]),
        custom_id: Some("a"),
        note: None,
        callback_url: None,
        reason: None,
        created_by: "alice",
        finished_by: None,
        root_asset: Some("usd"),
        root_scale: Some(2),
        root_rate: Some(rate),
        created_at: Timestamp::from_micros(1),
        updated_at: Timestamp::from_micros(2),
        stage: None,
        expires_at: None,
        confirmed_by: None,
        confirm_url: None,
        reviewed_by: None,
        review_digest: None,
        reverses: None,
        reversal_covers: None,
        reversal_fee: None,
        reversed: 0,
        root_source: None,
        root_rated_at: None,
    }
}

#[test]
fn what_was_sealed_is_genuine_and_nothing_else_is() {
    let keys = keys(1);
    let seal = keys.entry(Link::First(NAME), &line()).unwrap();
    let judge = |link, line: &Line| keys.judge_entry(link, line, &seal);
    assert_eq!(judge(Link::First(NAME), &line()), Genuine::Yes);
    let other = Line { seq: 3, ..line() };
    assert_eq!(judge(Link::First(NAME), &other), Genuine::No);
    let other = AccountName {
        asset: "eth",
        ..NAME
    };
    assert_eq!(judge(Link::First(other), &line()), Genuine::No);
    assert_eq!(judge(Link::After(&seal), &line()), Genuine::No);
}

#[test]
fn a_seal_tells_its_key() {
    let old = keys(1);
    let seal = old.account(NAME).unwrap();
    assert_eq!(old.judge_account(NAME, &seal), Genuine::Yes);
    // It is behind the first one now.
    let rotated = SealKeys::new([[2; 32], [1; 32]]);
    assert_eq!(rotated.judge_account(NAME, &seal), Genuine::Yes);
    assert_eq!(keys(3).judge_account(NAME, &seal), Genuine::UnknownKey);
    for broken in [vec![], vec![1, 2, 3], seal.0[..19].to_vec()] {
        assert_eq!(old.judge_account(NAME, &Seal(broken)), Genuine::No);
    }
}

#[test]
fn a_longer_seal_is_none() {
    let keys = keys(1);
    let mut seal = keys.account(NAME).unwrap();
    assert_eq!(seal.0.len(), 20);
    seal.0.push(0);
    assert_eq!(keys.judge_account(NAME, &seal), Genuine::No);
}

#[test]
fn an_entry_behind_another_is_two_blocks() {
    let seal = keys(1).account(NAME).unwrap();
    let message = Message::of_entry(Link::After(&seal), &line());
    assert_eq!(message.as_bytes().len(), 2 * 64 - 9);
}

#[test]
fn long_values_are_told_by_their_length_too() {
    let one = BigDecimal::from(1);
    let mut seen = std::collections::BTreeSet::new();
    for length in [0, 1, 254, 255, 256, 1_000] {
        let note = "n".repeat(length);
        let fields = TransferFields {
            note: Some(&note),
            ..fields(&one)
        };
        let message = Message::of_transfer(&fields, &[]);
        assert!(seen.insert(message.as_bytes().to_vec()), "{length}");
    }
}

#[test]
fn without_a_key_nothing_is_sealed() {
    assert_eq!(SealKeys::default().account(NAME), None);
}

#[test]
fn null_and_empty_are_told_apart_and_columns_are_not_moved() {
    let one = BigDecimal::from(1);
    let sealed =
        |fields: &TransferFields<'_>| Message::of_transfer(fields, &[]).as_bytes().to_vec();
    let plain = sealed(&fields(&one));
    let changed = [
        TransferFields {
            note: Some(""),
            ..fields(&one)
        },
        TransferFields {
            custom_id: None,
            note: Some("a"),
            ..fields(&one)
        },
        TransferFields {
            kind: "internalS",
            state: "uccess",
            ..fields(&one)
        },
    ];
    for fields in &changed {
        assert_ne!(sealed(fields), plain, "{fields:?}");
    }
    assert_ne!(
        Message::of_transfer(&fields(&one), &[1, 1]).as_bytes(),
        plain
    );
}

/// What rows have by default in columns that came later.
#[test]
fn what_was_sealed_before_there_were_more_columns_is_still_genuine() {
    let one = BigDecimal::from(1);
    let sealed =
        |fields: &TransferFields<'_>| Message::of_transfer(fields, &[7, 1]).as_bytes().to_vec();
    let before = sealed(&fields(&one));
    // The last of the first columns, with its length: nothing comes after it.
    let mut last = vec![24, 16];
    last.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert!(before.ends_with(&last), "{before:?}");
    let since = sealed(&TransferFields {
        reversed: 1,
        ..fields(&one)
    });
    assert!(since.starts_with(&before) && since != before);
}

/// The database keeps the digits after the point that a number was written with, or not.
#[test]
fn a_rate_is_sealed_by_its_value() {
    let (short, long) = ("1.5".parse().unwrap(), "1.500".parse().unwrap());
    let sealed = |rate| Message::of_transfer(&fields(rate), &[]).as_bytes().to_vec();
    assert_eq!(sealed(&short), sealed(&long));
    assert_ne!(sealed(&short), sealed(&"15".parse().unwrap()));
}

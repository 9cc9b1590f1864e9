//! The value types as other services write and read them.

use std::fmt::Debug;

use bursar_domain::{
    ActorId, Amount, Asset, AssetId, CodeSalt, Kind, Scale, Timestamp, TransferId, User, UserId,
    UserStatus, Version,
};
use serde_json::{Value, json};

use crate::sample::{ALICE, NOW, amount, asset, btc, id};

fn assert_form<T>(value: &T, form: &Value)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(serde_json::to_value(value).expect("serialises"), *form);
    let back: T = serde_json::from_value(form.clone()).expect("deserialises");
    assert_eq!(back, *value);
}

fn assert_refused<T: serde::de::DeserializeOwned + Debug>(forms: &[Value]) {
    for form in forms {
        let read: Result<T, _> = serde_json::from_value(form.clone());
        assert!(read.is_err(), "{form} became {read:?}");
    }
}

#[test]
fn plain_values_have_plain_forms() {
    assert_form(&ALICE, &json!("00000000-0000-0000-0000-000000000001"));
    assert_form(&id(7), &json!(7));
    assert_form(&Version::new(3), &json!(3));
    assert_form(&ActorId::new("op"), &json!("op"));
    assert_form(&NOW, &json!(1_700_000_000_000_000_i64));
    assert_form(&btc(), &json!("btc"));
    assert_form(&Scale::MAX, &json!(18));
    assert_form(&CodeSalt::new([1; 10]), &json!(vec![1; 10]));
    let upper: AssetId = serde_json::from_value(json!("BTC")).expect("any case in");
    assert_eq!(upper, btc());
}

#[test]
fn amounts_are_text_because_json_numbers_are_not_exact_everywhere() {
    assert_form(&amount(0), &json!("0"));
    assert_form(
        &Amount::MAX,
        &json!("99999999999999999999999999999999999999"),
    );
}

#[test]
fn names_are_those_of_the_database_and_the_api() {
    for kind in Kind::ALL {
        assert_form(&kind, &json!(kind.as_str()));
    }
    for status in UserStatus::ALL {
        assert_form(&status, &json!(status.as_str()));
    }
}

#[test]
fn whole_things_round_trip() {
    let form = json!({
        "id": "btc", "name": "btc", "scale": 8,
        "can_deposit": true, "can_withdraw": true, "can_transfer": true,
    });
    assert_form::<Asset>(&asset(btc()), &form);
    let user = User {
        id: ALICE,
        username: "alice".to_owned(),
        email: String::new(),
        roles: vec!["Trader".to_owned()],
        status: UserStatus::Frozen,
    };
    let form = json!({
        "id": "00000000-0000-0000-0000-000000000001", "username": "alice", "email": "",
        "roles": ["Trader"], "status": "Frozen",
    });
    assert_form(&user, &form);
}

#[test]
fn what_no_constructor_accepts_cannot_be_read_either() {
    assert_refused::<TransferId>(&[json!(0), json!(-1), json!(1_i64 << 53), json!("1")]);
    assert_refused::<Amount>(&[
        json!("-1"),
        json!("100000000000000000000000000000000000000"),
        json!("1.5"),
        json!(""),
        json!(1),
    ]);
    assert_refused::<AssetId>(&[json!(""), json!("b tc"), json!("1234567890123456")]);
    assert_refused::<Scale>(&[json!(19), json!(-1)]);
    assert_refused::<UserId>(&[json!("alice"), json!(1)]);
    assert_refused::<Kind>(&[json!("Deposit"), json!("payout")]);
    assert_refused::<UserStatus>(&[json!("active")]);
    assert_refused::<Timestamp>(&[json!("2024-01-01T00:00:00Z")]);
}

//! Amounts against a reference that computes with arbitrary precision.

use std::str::FromStr;

use bigdecimal::num_bigint::Sign;
use bursar_domain::{Amount, BigDecimal, DecimalAmount, ParseAmountError, Scale};
use proptest::prelude::*;

use crate::properties::config;

/// The contract's string form.
const STRING_FORM: &str = r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,18})?";
/// What JSON allows as a number, and beyond what Bursar takes.
const NUMBER_FORM: &str = r"(0|[1-9][0-9]{0,20})(\.[0-9]{1,24})?[eE][+-]?[0-9]{1,2}";

fn scales() -> impl Strategy<Value = Scale> {
    (0_u8..=18).prop_map(|decimals| Scale::try_new(decimals).expect("at most 18"))
}

fn exact(text: &str) -> BigDecimal {
    BigDecimal::from_str(text).expect("a decimal number")
}

/// Whether a number is one that an amount can be.
fn fits(value: &BigDecimal) -> bool {
    let most = exact("999999999999999.999999999999999999");
    value.sign() == Sign::Plus
        && *value <= most
        && value.normalized().fractional_digit_count() <= 18
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_string_form_is_read_exactly_and_prints_what_it_reads(text in STRING_FORM) {
        match DecimalAmount::parse(&text) {
            Ok(amount) => {
                prop_assert_eq!(exact(&amount.to_string()), exact(&text));
                prop_assert_eq!(DecimalAmount::parse(&amount.to_string()), Ok(amount));
                prop_assert_eq!(DecimalAmount::parse_json_number(&text), Ok(amount));
            }
            Err(error) => {
                prop_assert_eq!(error, ParseAmountError::Zero);
                prop_assert_eq!(exact(&text), BigDecimal::from(0));
            }
        }
    }

    #[test]
    fn a_number_with_an_exponent_is_read_exactly_or_refused(text in NUMBER_FORM) {
        let value = exact(&text);
        let (_, exponent) = text.split_once(['e', 'E']).expect("it has one");
        let exponent: i32 = exponent.parse().expect("a small number");
        match DecimalAmount::parse_json_number(&text) {
            Ok(amount) => {
                prop_assert_eq!(exact(&amount.to_string()), value);
                prop_assert!(exponent.abs() <= 30);
            }
            Err(_) => prop_assert!(!fits(&value) || exponent.abs() > 30, "{text} fits"),
        }
        prop_assert_eq!(DecimalAmount::parse(&text), Err(ParseAmountError::Malformed));
    }

    #[test]
    fn no_text_does_harm(text in r"\PC*|[0-9.eE+-]{0,70}") {
        let as_string = DecimalAmount::parse(&text);
        let as_number = DecimalAmount::parse_json_number(&text);
        if let Ok(amount) = as_number {
            prop_assert_eq!(exact(&amount.to_string()), exact(&text));
        }
        if as_string.is_ok() {
            prop_assert_eq!(as_string, as_number);
        }
    }

    #[test]
    fn nothing_is_ever_rounded_to_a_scale(text in STRING_FORM, scale in scales()) {
        let Ok(decimal) = DecimalAmount::parse(&text) else {
            return Ok(());
        };
        let value = exact(&text);
        match decimal.to_amount(scale) {
            Ok(amount) => {
                prop_assert_eq!(amount.to_decimal(scale), value);
                for printed in [amount.to_plain(scale), amount.to_fixed(scale), amount.to_json_number(scale)] {
                    prop_assert_eq!(DecimalAmount::parse(&printed), Ok(decimal));
                }
            }
            Err(excess) => {
                prop_assert_eq!(excess.scale, scale);
                let digits = value.normalized().fractional_digit_count();
                prop_assert!(digits > i64::from(scale.get()));
            }
        }
    }

    #[test]
    fn the_printed_forms_have_their_shapes(units in 0..=Amount::MAX.units(), scale in scales()) {
        let amount = Amount::try_from_units(units).expect("in range");
        let decimals = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let (plain, fixed, number) =
            (amount.to_plain(scale), amount.to_fixed(scale), amount.to_json_number(scale));
        for printed in [&plain, &fixed, &number] {
            prop_assert_eq!(exact(printed), amount.to_decimal(scale));
            prop_assert!(printed.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        }
        prop_assert!(!plain.contains('.') || !plain.ends_with('0'));
        prop_assert_eq!(decimals(&fixed), usize::from(scale.get().max(8)));
        prop_assert!(decimals(&number) >= 1);
    }
}

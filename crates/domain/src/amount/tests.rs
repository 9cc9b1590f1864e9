use super::*;

fn scale(decimals: u8) -> Scale {
    Scale::try_new(decimals).unwrap()
}

fn plain(text: &str) -> String {
    DecimalAmount::parse(text).unwrap().to_string()
}

#[test]
fn strings_are_read_exactly() {
    for (text, value) in [
        ("1", "1"),
        ("1.0", "1"),
        ("0.123456789012345678", "0.123456789012345678"),
        (
            "999999999999999.999999999999999999",
            "999999999999999.999999999999999999",
        ),
        ("0.01000000", "0.01"),
    ] {
        assert_eq!(plain(text), value);
    }
}

#[test]
fn malformed_strings_are_refused() {
    use ParseAmountError::{Empty, Malformed, TooLarge, TooPrecise, Zero};
    for (text, error) in [
        ("", Empty),
        ("0", Zero),
        ("0.000", Zero),
        ("01", Malformed),
        ("00", Malformed),
        ("-1", Malformed),
        ("+1", Malformed),
        (" 1", Malformed),
        ("1 ", Malformed),
        ("1_000", Malformed),
        (".5", Malformed),
        ("5.", Malformed),
        (".", Malformed),
        ("1e3", Malformed),
        ("NaN", Malformed),
        ("Infinity", Malformed),
        ("1,5", Malformed),
        ("٣", Malformed),
        ("1.2.3", Malformed),
        ("0x10", Malformed),
        ("1000000000000000", TooLarge),
        ("0.1234567890123456789", TooPrecise),
    ] {
        assert_eq!(DecimalAmount::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn json_numbers_may_carry_a_small_exponent() {
    for (raw, value) in [
        ("1e-7", "0.0000001"),
        ("1E3", "1000"),
        ("1.5e+2", "150"),
        ("0.00012e4", "1.2"),
        ("1000000000000000e-15", "1"),
        ("1e-18", "0.000000000000000001"),
        ("12.50", "12.5"),
        (
            "999999999999999.999999999999999999",
            "999999999999999.999999999999999999",
        ),
    ] {
        assert_eq!(
            DecimalAmount::parse_json_number(raw).unwrap().to_string(),
            value,
            "{raw}"
        );
    }
}

#[test]
fn extreme_json_numbers_are_refused_by_their_text() {
    use ParseAmountError::{Exponent, Malformed, TooLarge, TooLong, TooPrecise, Zero};
    for (raw, error) in [
        ("1e400", Exponent),
        ("1e9223372036854775808", Exponent),
        ("1e31", Exponent),
        ("1e30", TooLarge),
        ("1e15", TooLarge),
        ("1e-19", TooPrecise),
        ("0e5", Zero),
        ("-1", Malformed),
        ("1e", Malformed),
        ("1e+", Malformed),
        ("1e5.0", Malformed),
        ("1e-30", TooPrecise),
    ] {
        assert_eq!(DecimalAmount::parse_json_number(raw), Err(error), "{raw}");
    }
    let long = "1".repeat(1_000_000);
    assert_eq!(DecimalAmount::parse_json_number(&long), Err(TooLong));
}

#[test]
fn an_amount_fits_its_scale_exactly_or_is_refused() {
    let amount = DecimalAmount::parse("0.12").unwrap();
    assert_eq!(amount.to_amount(scale(2)).unwrap().units(), 12);
    assert_eq!(
        amount.to_amount(scale(18)).unwrap().units(),
        120_000_000_000_000_000
    );
    assert_eq!(
        amount.to_amount(scale(1)),
        Err(ExcessPrecision { scale: scale(1) })
    );
    assert_eq!(
        amount.to_amount(scale(0)),
        Err(ExcessPrecision { scale: scale(0) })
    );
}

#[test]
fn the_three_forms_of_the_contract() {
    let one = Amount::try_from_units(100_000_000).unwrap();
    assert_eq!(one.to_plain(scale(8)), "1");
    assert_eq!(one.to_fixed(scale(8)), "1.00000000");
    assert_eq!(one.to_json_number(scale(8)), "1.0");
    let tiny = Amount::try_from_units(1).unwrap();
    assert_eq!(tiny.to_plain(scale(18)), "0.000000000000000001");
    assert_eq!(tiny.to_fixed(scale(18)), "0.000000000000000001");
    assert_eq!(tiny.to_json_number(scale(18)), "0.000000000000000001");
    assert_eq!(tiny.to_fixed(scale(2)), "0.01000000");
    assert_eq!(tiny.to_fixed(scale(0)), "1.00000000");
    assert_eq!(Amount::ZERO.to_plain(scale(2)), "0");
    assert_eq!(Amount::ZERO.to_json_number(scale(2)), "0.0");
}

#[test]
fn arithmetic_stops_at_both_ends() {
    let one = Amount::try_from_units(1).unwrap();
    assert_eq!(
        Amount::MAX.units(),
        99_999_999_999_999_999_999_999_999_999_999_999_999
    );
    assert_eq!(Amount::MAX.checked_add(one), Err(AmountOverflow));
    assert_eq!(Amount::ZERO.checked_sub(one), Err(AmountOverflow));
    assert_eq!(Amount::try_from_units(-1), Err(AmountOverflow));
    assert_eq!(
        Amount::MAX.checked_sub(one).unwrap().checked_add(one),
        Ok(Amount::MAX)
    );
}

#[test]
fn a_number_that_does_not_fit_lies_between_its_neighbours() {
    let neighbours = |number: &str, decimals| {
        let (below, above) = DecimalAmount::parse(number)
            .unwrap()
            .neighbours(scale(decimals));
        (below.units(), above.units())
    };
    assert_eq!(neighbours("0.01", 2), (1, 1));
    assert_eq!(neighbours("0.015", 2), (1, 2));
    assert_eq!(neighbours("0.000000000000000001", 0), (0, 1));
}

#[test]
fn a_json_number_has_64_bytes_at_most() {
    let padded = |zeros: usize| format!("0.1{}e1", "0".repeat(zeros));
    let longest = padded(59);
    assert_eq!(longest.len(), 64);
    let read = DecimalAmount::parse_json_number(&longest);
    assert_eq!(read.map(|one| one.to_string()), Ok("1".to_owned()));
    let read = DecimalAmount::parse_json_number(&padded(60));
    assert_eq!(read, Err(ParseAmountError::TooLong));
}

#[test]
fn a_decimal_is_the_same_number_for_products() {
    let rate = DecimalAmount::parse("65000.25").unwrap();
    assert_eq!(rate.to_decimal().normalized().to_string(), "65000.25");
}

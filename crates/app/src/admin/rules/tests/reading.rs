//! What is wrong with fees and limits, asset or no asset.

use super::*;

/// They are compared as they were given, also where the asset cannot have them.
#[test]
fn a_maximum_below_the_minimum_is_one_whatever_the_asset() {
    let (less, more) = (decimal("0.001"), decimal("0.002"));
    let fees = NewFees {
        min: more,
        max: Some(less),
        ..fees()
    };
    let limits = NewLimits {
        min_amount: Some(more),
        max_amount: Some(less),
        ..NO_LIMITS
    };
    let scale = usd().scale;
    let read = fees.read(scale).map_err(Error::Invalid);
    let expected = ["max.below_min", "min.too_precise", "max.too_precise"];
    assert_eq!(codes(read), expected);
    let read = limits.read(Kind::Withdrawal, scale);
    let expected = [
        "max_amount.below_min",
        "min_amount.too_precise",
        "max_amount.too_precise",
    ];
    assert_eq!(codes(read.map_err(Error::Invalid)), expected);
}

#[test]
fn what_a_kind_has_no_use_for_is_only_known_with_the_kind() {
    let limits = NewLimits {
        approval_above: Some(decimal("1")),
        ..daily("1")
    };
    for (kind, fields) in [
        (None, vec![]),
        (Some(Kind::Withdrawal), vec![]),
        (Some(Kind::Deposit), vec!["daily"]),
        (Some(Kind::Internal), vec!["approval_above"]),
    ] {
        let faults = limits.faults(kind).into_iter();
        let wrong: Vec<String> = faults.map(|fault| fault.field).collect();
        assert_eq!(wrong, fields, "{kind:?}");
    }
}

//! What the model's numbers look like on the wire, and the way back.

use bursar_testkit::model::{FeePlan, LimitPlan};
use serde_json::{Value, json};

use super::super::units;

/// Smallest units as a plain decimal.
pub(super) fn plain(amount: i128, scale: u8) -> String {
    let one = 10_i128.pow(u32::from(scale));
    let (whole, fraction) = (amount / one, amount % one);
    let width = usize::from(scale);
    if scale == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{fraction:0width$}")
    }
}

/// A plain decimal in smallest units.
pub(super) fn amount_of(text: &str, scale: u8) -> i128 {
    let unit = 10_i128.pow(18 - u32::from(scale));
    assert_eq!(
        units(text) % unit,
        0,
        "{text} has no more than {scale} decimals"
    );
    units(text) / unit
}

pub(super) fn fees(plan: &FeePlan, scale: u8) -> Value {
    json!({
        "percent": plain(plan.parts, 8),
        "min": plain(plan.min, scale),
        "max": plan.max.map(|max| plain(max, scale)),
        "absolute": plain(plan.absolute, scale),
    })
}

pub(super) fn limits(plan: &LimitPlan, scale: u8) -> Value {
    let plain = |units: Option<i128>| units.map(|units| plain(units, scale));
    json!({
        "min_amount": plain(plan.min),
        "max_amount": plain(plan.max),
        "daily": plain(plan.daily),
        "monthly": plain(plan.monthly),
        "approval_above": plain(plan.approval_above),
    })
}

//! Amounts: grouped for the eye by the style sheet alone, so that what is copied is the exact number.

use bursar_domain::{Amount, AssetId, Scale};
use maud::{Markup, html};

/// A number without its asset, its digits in groups. There is not one blank in it.
pub(crate) fn number(amount: Amount, scale: Scale) -> Markup {
    grouped(&amount.to_plain(scale))
}

/// A number that may be below zero.
pub(crate) fn signed(units: i128, scale: Scale) -> Markup {
    grouped(&signed_text(units, scale))
}

/// An amount with its asset.
pub(crate) fn money(amount: Amount, scale: Scale, asset: AssetId) -> Markup {
    html! { span class="m" { (number(amount, scale)) " " (unit(asset)) } }
}

/// What an asset is called.
pub(crate) fn unit(asset: AssetId) -> String {
    asset.as_str().to_ascii_uppercase()
}

fn signed_text(units: i128, scale: Scale) -> String {
    let beyond = || format!("{units} × 10^-{}", scale.get());
    let size = units.checked_abs().map(Amount::try_from_units);
    match size {
        Some(Ok(size)) if units < 0 => format!("-{}", size.to_plain(scale)),
        Some(Ok(size)) => size.to_plain(scale),
        Some(Err(_)) | None => beyond(),
    }
}

/// A plain decimal, its digits in groups of three from the point on: to the left always, to the right
/// where there are more than four.
pub(crate) fn grouped(plain: &str) -> Markup {
    let (whole, fraction) = match plain.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (plain, None),
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let first = match digits.len().checked_rem(3) {
        Some(0) | None => 3,
        Some(rest) => rest,
    };
    let (head, tail) = digits.split_at_checked(first).unwrap_or((digits, ""));
    html! {
        data value=(plain) {
            (sign) (head)
            @for group in groups(tail) { i { (group) } }
            @if let Some(fraction) = fraction {
                "."
                @if fraction.len() > 4 {
                    @for (place, group) in groups(fraction).enumerate() {
                        @if place == 0 { (group) } @else { i { (group) } }
                    }
                } @else { (fraction) }
            }
        }
    }
}

fn groups(digits: &str) -> impl Iterator<Item = &str> {
    let mut rest = digits;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (group, after) = rest.split_at_checked(3).unwrap_or((rest, ""));
        rest = after;
        Some(group)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(markup: &str) -> String {
        let mut text = String::new();
        let mut inside = false;
        for c in markup.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => text.push(c),
                _ => {}
            }
        }
        text
    }

    #[test]
    fn what_is_copied_is_the_exact_number() {
        let scale = Scale::try_new(8).unwrap();
        for (units, exact) in [
            (0, "0"),
            (1, "0.00000001"),
            (25_000_000, "0.25"),
            (123_456_789_012_345_678, "1234567890.12345678"),
            (100_000_000_000, "1000"),
            (-12_300_000_000, "-123"),
        ] {
            let markup = signed(units, scale).into_string();
            assert_eq!(text(&markup), exact);
            assert!(markup.contains(&format!("value=\"{exact}\"")), "{markup}");
        }
        let most = number(Amount::MAX, Scale::MAX).into_string();
        assert_eq!(text(&most), Amount::MAX.to_plain(Scale::MAX));
    }

    #[test]
    fn digits_are_grouped_from_the_point_on() {
        let markup = grouped("1234567.123456").into_string();
        let wanted = "<data value=\"1234567.123456\">1<i>234</i><i>567</i>.123<i>456</i></data>";
        assert_eq!(markup, wanted);
        assert_eq!(
            grouped("12.2345").into_string(),
            "<data value=\"12.2345\">12.2345</data>"
        );
    }
}

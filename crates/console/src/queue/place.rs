//! Where a page of the queue ends, as the address of the next one says it.

use bursar_domain::{BigDecimal, Timestamp, TransferId};
use bursar_ports::QueuePlace;

/// The longest value that is read, in characters.
const VALUE_MAX: usize = 120;

pub(super) fn text(place: &QueuePlace) -> String {
    match place {
        QueuePlace::Age { created_at, id } => format!("age_{}_{id}", created_at.as_micros()),
        QueuePlace::Value { value, id } => format!("value_{}_{id}", value.to_plain_string()),
    }
}

/// None for a text that no page has written.
pub(super) fn read(text: &str) -> Option<QueuePlace> {
    let (order, rest) = text.split_once('_')?;
    let (at, id) = rest.split_once('_')?;
    let id = TransferId::try_new(id.parse().ok()?).ok()?;
    match order {
        "age" => Some(QueuePlace::Age {
            created_at: Timestamp::from_micros(at.parse().ok()?),
            id,
        }),
        "value" => Some(QueuePlace::Value {
            value: decimal(at)?,
            id,
        }),
        _ => None,
    }
}

/// Digits alone: an exponent would make a number of any size out of a few characters.
fn decimal(text: &str) -> Option<BigDecimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    (plain && text.len() <= VALUE_MAX).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_and_nothing_else_does() {
        let id = TransferId::try_new(7).unwrap();
        let age = QueuePlace::Age {
            created_at: Timestamp::from_micros(-5),
            id,
        };
        let value = |text: &str| QueuePlace::Value {
            value: text.parse().unwrap(),
            id,
        };
        for place in [age, value("-1"), value("1250000000000000000000.5")] {
            assert_eq!(read(&text(&place)), Some(place));
        }
        for text in [
            "",
            "age_1",
            "age_x_7",
            "value_1e999999999_7",
            "size_1_7",
            "age_1_0",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

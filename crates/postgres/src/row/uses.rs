//! What a user has used of a limit, as a column keeps it: its epoch and the uses, oldest first, in
//! [postcard](https://postcard.jamesmunns.com/wire-format)'s format. Times are told as what lies
//! between them, so that uses of minutes take some ten bytes each.

use bursar_domain::{Amount, Timestamp, Usage};

/// Uses with the epoch of the limit that they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uses {
    pub(crate) epoch: i32,
    pub(crate) usage: Usage,
}

impl Uses {
    /// None for what no column can tell: times before 1970, or out of order.
    pub(crate) fn write(epoch: i32, usage: &Usage) -> Option<Vec<u8>> {
        let mut before = 0;
        let mut rows: Vec<(u64, u128)> = Vec::with_capacity(usage.uses().len());
        for (at, amount) in usage.uses() {
            let since = at.as_micros().checked_sub(before)?;
            let units = u128::try_from(amount.units()).ok()?;
            rows.push((u64::try_from(since).ok()?, units));
            before = at.as_micros();
        }
        postcard::to_allocvec(&(epoch, rows)).ok()
    }

    /// None when it is not what [`Uses::write`] writes.
    pub(crate) fn read(stored: &[u8]) -> Option<Self> {
        type Stored = (i32, Vec<(u64, u128)>);
        let ((epoch, rows), rest): (Stored, _) = postcard::take_from_bytes(stored).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let mut at = 0_i64;
        let mut uses = Vec::with_capacity(rows.len());
        for (since, units) in rows {
            at = at.checked_add_unsigned(since)?;
            let amount = Amount::try_from_units(units.try_into().ok()?).ok()?;
            uses.push((Timestamp::from_micros(at), amount));
        }
        Some(Self {
            epoch,
            usage: Usage::from_uses(uses),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(rows: &[(i64, i128)]) -> Usage {
        let amount = |units| Amount::try_from_units(units).unwrap();
        let rows = rows
            .iter()
            .map(|(at, units)| (Timestamp::from_micros(*at), amount(*units)));
        Usage::from_uses(rows.collect())
    }

    #[test]
    fn what_is_written_reads_back() {
        let far = 8_000_000_000_000_000;
        for (epoch, usage) in [
            (1, uses(&[])),
            (i32::MAX, uses(&[(0, 0), (1, 1), (1, 2)])),
            (7, uses(&[(far, Amount::MAX.units())])),
        ] {
            let written = Uses::write(epoch, &usage).unwrap();
            assert_eq!(Uses::read(&written), Some(Uses { epoch, usage }));
        }
    }

    #[test]
    fn a_use_takes_few_bytes() {
        let minutes = 300_000_000;
        let rows: Vec<(i64, i128)> = (0..648)
            .map(|number| (1_790_000_000_000_000 + number * minutes, 123_456_789))
            .collect();
        assert!(Uses::write(1, &uses(&rows)).unwrap().len() < 648 * 10);
    }

    #[test]
    fn what_cannot_be_told_is_not_written() {
        assert_eq!(Uses::write(1, &uses(&[(-1, 1)])), None);
        assert_eq!(Uses::write(1, &uses(&[(2, 1), (1, 1)])), None);
    }

    #[test]
    fn anything_else_is_told_apart() {
        let written = Uses::write(1, &uses(&[(5, 5)])).unwrap();
        let too_much = Amount::MAX.units().unsigned_abs() + 1;
        for stored in [
            vec![],
            written[..written.len() - 1].to_vec(),
            [written.as_slice(), &[0]].concat(),
            postcard::to_allocvec(&(1, vec![(u64::MAX, 1_u128)])).unwrap(),
            postcard::to_allocvec(&(1, vec![(1_u64, too_much)])).unwrap(),
        ] {
            assert_eq!(Uses::read(&stored), None, "{stored:?}");
        }
    }
}

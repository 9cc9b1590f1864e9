//! Signed figures of the books as text.

use bursar_domain::{Amount, Scale};

use crate::problem::Problem;

/// Smallest units as a plain decimal string. Only the accounts of the outside world and the lines
/// of the books are ever below zero.
pub(super) fn plain(units: i128, scale: Scale) -> Result<String, Problem> {
    let amount = i128::try_from(units.unsigned_abs())
        .ok()
        .and_then(|units| Amount::try_from_units(units).ok());
    let Some(amount) = amount else {
        tracing::error!(units, "a figure of the books is out of range");
        return Err(Problem::internal());
    };
    let sign = if units < 0 { "-" } else { "" };
    Ok(format!("{sign}{}", amount.to_plain(scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_sign() {
        let scale = Scale::try_new(2).unwrap();
        assert_eq!(plain(-150, scale).unwrap(), "-1.5");
        assert_eq!(plain(150, scale).unwrap(), "1.5");
        assert_eq!(plain(0, scale).unwrap(), "0");
        assert_eq!(plain(i128::MIN, scale).unwrap_err().code(), "internal");
    }
}

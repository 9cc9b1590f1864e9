//! Assets: what is moved.

use std::fmt;

use crate::Kind;

/// The identifier of an asset: 1 to 15 characters of `a-z`, `0-9`, `-`, `_` and `.`, beginning with
/// a letter or digit. Any case in, lower case inside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssetId {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl AssetId {
    /// The longest identifier, in bytes.
    pub const MAX_LEN: usize = 15;

    /// Reads an identifier in any case.
    ///
    /// # Errors
    /// [`ParseAssetIdError`] when the text is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, ParseAssetIdError> {
        let len = u8::try_from(text.len()).map_err(|_| ParseAssetIdError)?;
        let mut bytes = [0; Self::MAX_LEN];
        let target = bytes.get_mut(..text.len()).ok_or(ParseAssetIdError)?;
        target.copy_from_slice(text.as_bytes());
        target.make_ascii_lowercase();
        let well_formed = target.first().is_some_and(u8::is_ascii_alphanumeric)
            && target
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
        if well_formed {
            Ok(Self { bytes, len })
        } else {
            Err(ParseAssetIdError)
        }
    }

    /// The identifier in lower case.
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.len))
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssetId({self})")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for AssetId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for AssetId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A text that cannot name an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an asset id has 1 to 15 letters, digits, '-', '_' or '.' and begins with a letter or digit"
)]
pub struct ParseAssetIdError;

/// How many decimals an asset's smallest unit has: 0 to 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct Scale(u8);

impl Scale {
    /// Whole numbers alone.
    pub const ZERO: Self = Self(0);

    /// The finest scale.
    pub const MAX: Self = Self(18);

    /// Accepts 0 to 18.
    ///
    /// # Errors
    /// [`ScaleOutOfRange`] above that.
    pub const fn try_new(decimals: u8) -> Result<Self, ScaleOutOfRange> {
        if decimals <= Self::MAX.0 {
            Ok(Self(decimals))
        } else {
            Err(ScaleOutOfRange)
        }
    }

    /// The number of decimals.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// 10 to the power of the scale: how many smallest units make one.
    pub const fn units_per_one(self) -> i128 {
        10_i128.pow(
            #[expect(
                clippy::as_conversions,
                reason = "u8 to u32 is lossless; From is not const"
            )]
            {
                self.0 as u32
            },
        )
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Scale {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let decimals = <u8 as serde::Deserialize>::deserialize(deserializer)?;
        Self::try_new(decimals).map_err(serde::de::Error::custom)
    }
}

/// A scale above 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scale is between 0 and 18")]
pub struct ScaleOutOfRange;

/// The smallest unit of an asset at one of its scales. Amounts in two units that differ have nothing to
/// do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The asset.
    pub asset: AssetId,
    /// The scale that it has, or had.
    pub scale: Scale,
}

/// An asset and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Asset {
    /// Its identifier.
    pub id: AssetId,
    /// The name shown to people.
    pub name: String,
    /// Decimals of the smallest unit.
    pub scale: Scale,
    /// Whether deposits are accepted.
    pub can_deposit: bool,
    /// Whether withdrawals are accepted.
    pub can_withdraw: bool,
    /// Whether internal transfers are accepted.
    pub can_transfer: bool,
}

impl Asset {
    /// The unit in which amounts of it are counted, as long as it has this scale.
    pub const fn unit(&self) -> Unit {
        Unit {
            asset: self.id,
            scale: self.scale,
        }
    }

    /// Whether transfers of this kind are accepted.
    pub const fn allows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Deposit => self.can_deposit,
            Kind::Withdrawal => self.can_withdraw,
            Kind::Internal => self.can_transfer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_named_in_what_is_said_to_programmers() {
        let id = AssetId::parse("btc").unwrap();
        assert_eq!(format!("{id:?}"), "AssetId(btc)");
    }

    #[test]
    fn ids_are_read_in_any_case_and_kept_lower() {
        assert_eq!(AssetId::parse("BTC").unwrap().as_str(), "btc");
        assert_eq!(
            AssetId::parse("usd.t-2_x").unwrap().to_string(),
            "usd.t-2_x"
        );
        assert_eq!(
            AssetId::parse("123456789012345").unwrap().as_str().len(),
            15
        );
    }

    #[test]
    fn what_cannot_be_an_id_is_refused() {
        for text in [
            "",
            "1234567890123456",
            "b tc",
            "-btc",
            ".x",
            "bţc",
            "b/c",
            "btc\n",
        ] {
            assert_eq!(AssetId::parse(text), Err(ParseAssetIdError), "{text:?}");
        }
    }

    #[test]
    fn scales_end_at_eighteen() {
        assert_eq!(
            Scale::try_new(18).unwrap().units_per_one(),
            1_000_000_000_000_000_000
        );
        assert_eq!(Scale::try_new(0).unwrap().units_per_one(), 1);
        assert_eq!(Scale::try_new(19), Err(ScaleOutOfRange));
    }
}

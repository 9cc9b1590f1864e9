//! Flips a bit of a column, in one row of those that have a value there.

use bigdecimal::{BigDecimal, num_bigint::BigInt};
use bursar_domain::Timestamp;
use rand::{RngExt as _, rngs::StdRng};
use uuid::Uuid;

use super::Rows;
use crate::{
    seal::Seal,
    value::{At, Decimal, Figure},
};

/// Whether there was something to flip.
pub(super) type Flip = Box<dyn Fn(&mut Rows, &mut StdRng) -> bool>;

/// A value with bits.
trait Bits {
    fn flip(&mut self, random: &mut StdRng) -> bool;
}

macro_rules! integers {
    ($($integer:ty),+) => {
        $(
            impl Bits for $integer {
                fn flip(&mut self, random: &mut StdRng) -> bool {
                    *self ^= 1 << random.random_range(0..<$integer>::BITS);
                    true
                }
            }
        )+
    };
}

integers!(i16, i32, i64, i128);

impl Bits for Vec<u8> {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        if self.is_empty() {
            return false;
        }
        let at = random.random_range(0..self.len());
        self[at] ^= 1 << random.random_range(0..8);
        true
    }
}

impl Bits for String {
    /// The database takes nothing but UTF-8.
    fn flip(&mut self, random: &mut StdRng) -> bool {
        let mut bytes = self.clone().into_bytes();
        let flipped = bytes.flip(random);
        match Self::from_utf8(bytes) {
            Ok(text) if flipped => {
                *self = text;
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

impl Bits for Uuid {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        *self = Self::from_u128(self.as_u128() ^ (1 << random.random_range(0..128)));
        true
    }
}

impl Bits for Figure {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        self.0.flip(random)
    }
}

impl Bits for Decimal {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        let Some(decimal) = &self.0 else {
            return false;
        };
        let (digits, scale) = decimal.as_bigint_and_exponent();
        let bit = BigInt::from(1) << random.random_range(0..64_u32);
        self.0 = Some(BigDecimal::new(digits ^ bit, scale));
        true
    }
}

impl Bits for At {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        let mut micros = self.0.as_micros();
        micros.flip(random);
        self.0 = Timestamp::from_micros(micros);
        true
    }
}

impl Bits for Seal {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        self.0.flip(random)
    }
}

impl Bits for Vec<i64> {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        if self.is_empty() {
            return false;
        }
        let at = random.random_range(0..self.len());
        self[at].flip(random)
    }
}

impl<T: Bits> Bits for Option<T> {
    fn flip(&mut self, random: &mut StdRng) -> bool {
        self.as_mut().is_some_and(|value| value.flip(random))
    }
}

/// Every column of these tables that is proved.
macro_rules! columns {
    ($($table:ident: $($($column:ident).+)+;)+) => {
        vec![$($({
            let flip: Flip = Box::new(|rows, random| {
                // From any row on to the first one that has something to flip.
                let from = random.random_range(0..rows.$table.len());
                let (before, after) = rows.$table.split_at_mut(from);
                let mut turned = after.iter_mut().chain(before);
                turned.any(|row| row.$($column).+.flip(random))
            });
            (concat!(stringify!($table), ".", stringify!($($column).+)), flip)
        }),+),+]
    };
}

pub(super) fn columns() -> Vec<(&'static str, Flip)> {
    columns! {
        accounts: id owner_kind owner asset available held seq head;
        entries: account_id seq transfer_id available_delta held_delta available_after held_after
            created_at seal;
        transfers: row.id row.version row.kind row.state row.asset row.scale row.amount row.fee
            row.user_id row.recipient_id row.recipient_typed row.code_salt row.custom_id row.note
            row.callback_url row.reason row.created_by row.finished_by row.root_asset
            row.root_scale row.root_rate row.created_at row.updated_at row.stage row.expires_at
            row.confirmed_by row.confirm_url row.reviewed_by row.review_digest row.reverses
            row.reversal_covers row.reversal_fee row.reversed row.root_source row.root_rated_at
            entry_refs seal;
    }
}

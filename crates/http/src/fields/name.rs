//! Field names with the codes that are made of them.

/// A field or parameter as it is documented, and the stable codes of what can be wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    pub(crate) name: &'static str,
    pub(crate) missed: &'static str,
    pub(crate) invalid: &'static str,
    pub(crate) too_long: &'static str,
    pub(crate) out_of_range: &'static str,
    pub(crate) zero: &'static str,
    pub(crate) too_large: &'static str,
    pub(crate) too_precise: &'static str,
}

/// Makes a [`Name`] out of a literal.
macro_rules! name {
    ($name:literal) => {
        &$crate::fields::Name {
            name: $name,
            missed: concat!($name, ".missed"),
            invalid: concat!($name, ".invalid"),
            too_long: concat!($name, ".too_long"),
            out_of_range: concat!($name, ".out_of_range"),
            zero: concat!($name, ".zero"),
            too_large: concat!($name, ".too_large"),
            too_precise: concat!($name, ".too_precise"),
        }
    };
}

pub(crate) use name;

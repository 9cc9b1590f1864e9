//! Whether everybody was told what is true, and the books are what they must be.

mod books;
mod callbacks;
mod ends;
mod history;
#[cfg(test)]
mod tests;
mod told;

pub(crate) use self::books::books_hold;
use crate::{client::Record, replica::Cluster};

/// Judges a world that has come to rest.
pub(crate) fn judge(cluster: &Cluster, records: &[Record]) {
    books_hold(&cluster.bank);
    books::lives_are_right(&cluster.bank);
    told::judge(&cluster.bank, records);
    callbacks::judge(&cluster.bank, &cluster.receivers.heard());
    history::judge(&cluster.bank, records);
}

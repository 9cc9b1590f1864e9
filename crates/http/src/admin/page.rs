//! Lists of the admin API: `{"data": […], "next_cursor": …}`.
//!
//! A cursor is the key of the last row shown, with the name of its list, so that the cursor of one
//! list is refused by another. It is opaque to clients but no secret: it opens nothing.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use crate::{
    fields::{Name, name},
    query::Query,
};

/// How many rows a page may have.
const LIMIT_MAX: u32 = 200;

/// Where a page begins and how long it is.
#[derive(Debug)]
pub(super) struct Page<K> {
    list: &'static str,
    limit: u32,
    /// The key of the last row of the page before.
    pub(super) after: Option<K>,
}

impl<K> Page<K> {
    /// Reads `limit` and `cursor`. What is wrong with them is told with the other parameters.
    pub(super) fn read(
        query: &mut Query,
        list: &'static str,
        read_key: impl FnOnce(&str) -> Option<K>,
    ) -> Self {
        const CURSOR: &Name = name!("cursor");
        let limit = query.limit(name!("limit"), &[], LIMIT_MAX);
        let after = query.cursor(CURSOR).and_then(|cursor| {
            let key = open(list, &cursor).and_then(|key| read_key(&key));
            if key.is_none() {
                query.error(CURSOR.name, CURSOR.invalid, "is not a cursor of this list");
            }
            key
        });
        Self { list, limit, after }
    }

    /// One row more than is shown, to see whether there are any.
    pub(super) const fn fetch(&self) -> u32 {
        self.limit.saturating_add(1)
    }

    /// Cuts what was fetched down to the page, and makes the cursor of the next one if there is
    /// more.
    pub(super) fn cut<T>(
        &self,
        rows: &mut Vec<T>,
        key: impl FnOnce(&T) -> String,
    ) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        last.map(|row| seal(self.list, &key(row)))
    }
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct List<R> {
    /// Its rows.
    pub(super) data: Vec<R>,
    /// Where the next one begins, if there is one.
    pub(super) next_cursor: Option<String>,
}

fn seal(list: &str, key: &str) -> String {
    BASE64URL_NOPAD.encode(format!("{list}:{key}").as_bytes())
}

fn open(list: &str, cursor: &str) -> Option<String> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let key = text.strip_prefix(list)?.strip_prefix(':')?;
    Some(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_its_own_list() {
        let cursor = seal("users", "a:b");
        assert_eq!(open("users", &cursor), Some("a:b".to_owned()));
        for (list, text) in [
            ("tokens", cursor.as_str()),
            ("user", &cursor),
            ("users", "users:a"),
            ("users", "%%%"),
            ("users", "_w"),
        ] {
            assert_eq!(open(list, text), None, "{list} {text}");
        }
    }
}

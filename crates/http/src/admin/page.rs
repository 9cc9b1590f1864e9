//! Lists of the admin API: `{"data": […], "next_cursor": …}`.
//!
//! A cursor is the key of the last row looked at, authenticated together with the name and the
//! filters of its list: forged ones, and those of another list or of other filters, are refused.
//! `limit` may change from page to page.

use bursar_app::App;
use serde::Serialize;

use crate::{
    fields::{Name, name},
    query::Query,
};

/// How many rows a page may have.
const LIMIT_MAX: u32 = 200;

/// Where a page begins and how long it is.
pub(super) struct Page<'a, K> {
    app: &'a App,
    /// The list's name and filters.
    query: Vec<u8>,
    pub(super) limit: u32,
    /// The key of the last row of the page before.
    pub(super) after: Option<K>,
}

impl<'a, K> Page<'a, K> {
    /// Reads `limit` and `cursor`, after all filters have been read. What is wrong with them is
    /// told with the other parameters.
    pub(super) fn read(
        app: &'a App,
        query: &mut Query,
        list: &str,
        read_key: impl FnOnce(&str) -> Option<K>,
    ) -> Self {
        const CURSOR: &Name = name!("cursor");
        let this = described(list, query);
        let limit = query.limit(name!("limit"), &[], LIMIT_MAX);
        let after = query.cursor(CURSOR).and_then(|cursor| {
            let key = app.keyring().read_cursor(&this, &cursor);
            let key = key.and_then(|key| read_key(&key));
            if key.is_none() {
                let detail = "is not a cursor that this list gave for these filters";
                query.error(CURSOR.name, CURSOR.invalid, detail);
            }
            key
        });
        Self {
            app,
            query: this,
            limit,
            after,
        }
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
        last.map(|row| self.cursor(&key(row)))
    }

    /// The cursor of what comes after this key.
    pub(super) fn cursor(&self, key: &str) -> String {
        self.app.keyring().cursor(&self.query, key)
    }
}

/// A page of a list.
#[derive(Serialize)]
pub(crate) struct List<R> {
    /// Its rows.
    pub(super) data: Vec<R>,
    /// Where the next one begins, if there is one.
    pub(super) next_cursor: Option<String>,
}

impl<R> List<R> {
    /// A list that is never so long that it has pages.
    pub(crate) const fn whole(data: Vec<R>) -> Self {
        Self {
            data,
            next_cursor: None,
        }
    }
}

/// A list's name and filters, so that no two queries are described alike.
fn described(list: &str, query: &Query) -> Vec<u8> {
    let mut lines = vec![list.to_owned()];
    let filters = query.taken().into_iter();
    lines.extend(filters.map(|(name, value)| format!("{name}={}:{value}", value.len())));
    lines.join("\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Names;

    fn of(list: &str, text: &str) -> Vec<u8> {
        let mut query = Query::parse(text, Names::Strict).unwrap();
        query.text(name!("asset"), &[], 99);
        query.text(name!("search"), &[], 99);
        described(list, &query)
    }

    #[test]
    fn a_list_is_described_by_its_name_and_filters_in_any_order() {
        let query = of("transfers", "asset=btc&search=a");
        assert_eq!(query, of("transfers", "search=a&asset=btc"));
        assert_eq!(
            query,
            of("transfers", "search=%61&asset=btc&cursor=x&limit=3")
        );
        for (list, other) in [
            ("transfer", "asset=btc&search=a"),
            ("transfers", "asset=btc"),
            ("transfers", "asset=btc&search=A"),
            ("transfers", "asset=a&search=btc"),
            ("transfers", ""),
        ] {
            assert_ne!(query, of(list, other), "{list} {other}");
        }
    }
}

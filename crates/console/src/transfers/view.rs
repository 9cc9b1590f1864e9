//! What is asked for, as the address says it: a link with the same query shows the same view.

use bursar_app::{FieldError, TransferSearch};
use bursar_domain::{AssetId, DecimalAmount, Kind, Status, Timestamp, TransferId, UserId};
use bursar_ports::ListPlace;
use serde::Deserialize;
use uuid::Uuid;

use super::meaning::Meaning;
use crate::{
    links::{Link, said},
    lists::{Edge, moment, place_text, read_place},
    live::{New, Watch},
};

/// How many rows a page may have; the first unless it is said.
pub(super) const ROWS: [u32; 3] = [50, 100, 200];

/// The query of the address.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Asked {
    pub(super) q: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) asset: Option<String>,
    pub(super) min: Option<String>,
    pub(super) max: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) user: Option<String>,
    pub(super) rows: Option<String>,
    after: Option<String>,
}

/// A field that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrongField {
    pub(super) name: String,
    pub(super) detail: String,
}

impl From<FieldError> for WrongField {
    fn from(error: FieldError) -> Self {
        let name = match error.field.as_str() {
            "amount_min" => "min",
            "amount_max" => "max",
            "search" => "q",
            other => other,
        };
        Self {
            name: name.to_owned(),
            detail: error.detail,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct View {
    asked: Asked,
    pub(super) meaning: Meaning,
    kind: Option<Kind>,
    status: Option<Status>,
    asset: Option<AssetId>,
    min: Option<DecimalAmount>,
    max: Option<DecimalAmount>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    user: Option<UserId>,
    rows: u32,
    after: Option<ListPlace>,
}

struct Reader<'a> {
    wrong: Vec<WrongField>,
    asked: &'a Asked,
}

impl Reader<'_> {
    fn read<T>(
        &mut self,
        name: &str,
        text: Option<&String>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = said(text)?;
        read(text)
            .map_err(|detail| {
                let name = name.to_owned();
                self.wrong.push(WrongField { name, detail });
            })
            .ok()
    }
}

impl View {
    pub(super) fn read(asked: &Asked) -> Result<Self, Vec<WrongField>> {
        let mut reader = Reader {
            wrong: vec![],
            asked,
        };
        let it = reader.asked;
        let meaning = reader.read("q", it.q.as_ref(), |text| {
            Meaning::of(text).map_err(str::to_owned)
        });
        let view = Self {
            asked: asked.clone(),
            meaning: meaning.unwrap_or(Meaning::Nothing),
            kind: reader.read("kind", it.kind.as_ref(), |text| {
                Kind::from_name(text).ok_or_else(|| "is none of the three kinds".to_owned())
            }),
            status: reader.read("status", it.status.as_ref(), |text| {
                Status::from_name(text).ok_or_else(|| "is none of the statuses".to_owned())
            }),
            asset: reader.read("asset", it.asset.as_ref(), |text| {
                AssetId::parse(text).map_err(|error| error.to_string())
            }),
            min: reader.read("min", it.min.as_ref(), decimal),
            max: reader.read("max", it.max.as_ref(), decimal),
            from: reader.read("from", it.from.as_ref(), |text| day(text, Edge::First)),
            to: reader.read("to", it.to.as_ref(), |text| day(text, Edge::Last)),
            user: reader.read("user", it.user.as_ref(), |text| {
                let id = Uuid::try_parse(text).map(UserId::new);
                id.map_err(|_| {
                    "is the id of a user; names and emails go into the search box".to_owned()
                })
            }),
            rows: reader
                .read("rows", it.rows.as_ref(), rows)
                .unwrap_or_else(|| ROWS.first().copied().unwrap_or(50)),
            after: reader.read("after", it.after.as_ref(), |text| {
                place(text).ok_or_else(|| "is no place in this list".to_owned())
            }),
        };
        let ranged = said(it.min.as_ref()).is_some() || said(it.max.as_ref()).is_some();
        if ranged && view.asset.is_none() && !matches!(view.meaning, Meaning::Amount(..)) {
            reader.wrong.push(WrongField {
                name: "asset".to_owned(),
                detail: "must be chosen when amounts are given: say of what".to_owned(),
            });
        }
        reader.wrong.extend(view.disagreements());
        if reader.wrong.is_empty() {
            Ok(view)
        } else {
            Err(reader.wrong)
        }
    }

    /// The filters that say something else than the search box: neither counts more than the other.
    fn disagreements(&self) -> Vec<WrongField> {
        let says = |name: &str, detail: &str| WrongField {
            name: name.to_owned(),
            detail: format!("{detail}: take one of the two away"),
        };
        let mut wrong = vec![];
        match &self.meaning {
            Meaning::Amount(amount, asset, _) => {
                if self.asset.is_some_and(|other| other != *asset) {
                    wrong.push(says("asset", "is another one than in the search box"));
                }
                if self.min.is_some_and(|min| min > *amount) {
                    wrong.push(says("min", "is more than the amount in the search box"));
                }
                if self.max.is_some_and(|max| max < *amount) {
                    wrong.push(says("max", "is less than the amount in the search box"));
                }
            }
            Meaning::User(user, _) => {
                if self.user.is_some_and(|other| other != *user) {
                    wrong.push(says("user", "is another one than in the search box"));
                }
            }
            Meaning::Nothing
            | Meaning::Id(_)
            | Meaning::Code(_)
            | Meaning::Name(_)
            | Meaning::NameOnly(_)
            | Meaning::CustomId(_) => {}
        }
        wrong
    }

    /// What the use case is asked for.
    pub(super) fn search(&self, meaning: &Meaning) -> TransferSearch {
        let mut search = TransferSearch {
            kind: self.kind,
            status: self.status,
            user: self.user,
            asset: self.asset,
            amount_min: self.min,
            amount_max: self.max,
            from: self.from,
            to: self.to,
            after: self.after,
            limit: self.rows,
            ..TransferSearch::default()
        };
        match meaning {
            Meaning::Nothing => {}
            Meaning::Id(id) => search.id = Some(*id),
            Meaning::Code(code) => search.code = Some(code.clone()),
            Meaning::User(user, _) => search.user = Some(*user),
            Meaning::Name(name) | Meaning::NameOnly(name) => search.search = Some(name.clone()),
            Meaning::CustomId(custom) => search.custom_id = Some(custom.clone()),
            Meaning::Amount(amount, asset, _) => {
                search.asset = Some(*asset);
                search.amount_min = Some(*amount);
                search.amount_max = Some(*amount);
            }
        }
        search
    }

    /// The same view, from its beginning.
    pub(super) fn link(&self, path: &str) -> Link {
        self.linked(path, said(self.asked.q.as_ref()))
    }

    /// The same view, from where it begins now.
    pub(super) fn link_here(&self, path: &str) -> Link {
        let after = self.after.as_ref();
        self.link(path).with_some(
            "after",
            after.map(|place| place_text(place.created_at, place.id)),
        )
    }

    /// The same view with another text in the search box.
    pub(super) fn link_as(&self, q: &str) -> Link {
        self.linked("/console/transfers", Some(q))
    }

    fn linked(&self, path: &str, q: Option<&str>) -> Link {
        let asked = &self.asked;
        let mut link = Link::to(path).with_some("q", q);
        for (name, field) in [
            ("kind", &asked.kind),
            ("status", &asked.status),
            ("asset", &asked.asset),
            ("min", &asked.min),
            ("max", &asked.max),
            ("from", &asked.from),
            ("to", &asked.to),
            ("user", &asked.user),
            ("rows", &asked.rows),
        ] {
            link = link.with_some(name, said(field.as_ref()));
        }
        link
    }

    /// Whether nothing narrows it down.
    pub(super) fn is_all(&self) -> bool {
        self.kind.is_none() && self.asset.is_none() && self.is_of_all_else()
    }

    /// Whether nothing but kind and asset narrows it down.
    fn is_of_all_else(&self) -> bool {
        let narrowed = [
            self.status.is_some(),
            self.min.is_some(),
            self.max.is_some(),
            self.from.is_some(),
            self.to.is_some(),
            self.user.is_some(),
        ];
        self.meaning == Meaning::Nothing && !narrowed.contains(&true)
    }

    /// What the page is told while somebody looks at it.
    pub(super) fn watch(&self) -> Watch {
        let new = if self.after.is_some() {
            New::Elsewhere
        } else if self.is_of_all_else() {
            New::Counted
        } else {
            New::Perhaps
        };
        Watch::Transfers {
            kind: self.kind,
            asset: self.asset,
            new,
        }
    }
}

fn decimal(text: &str) -> Result<DecimalAmount, String> {
    DecimalAmount::parse(text).map_err(|error| error.to_string())
}

fn day(text: &str, edge: Edge) -> Result<Timestamp, String> {
    moment(text, edge).ok_or_else(|| {
        "is a day such as 2026-11-28, or an exact time such as 2026-11-28T14:00:00Z".to_owned()
    })
}

fn rows(text: &str) -> Result<u32, String> {
    let rows = text.parse().ok().filter(|rows| ROWS.contains(rows));
    rows.ok_or_else(|| "is 50, 100 or 200".to_owned())
}

fn place(text: &str) -> Option<ListPlace> {
    let id = |id: &str| TransferId::try_new(id.parse().ok()?).ok();
    let (created_at, id) = read_place(text, id)?;
    Some(ListPlace { created_at, id })
}

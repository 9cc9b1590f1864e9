//! What a page shows, as far as that decides what the page is told.

use std::collections::BTreeMap;

use bursar_domain::{AssetId, Kind, TransferId, Version};
use bursar_ports::OpenWork;
use serde::Deserialize;

use super::{recent::Step, told::Word};
use crate::links::{Link, said};

/// How many rows a page may have.
const ROWS_MAX: usize = 200;

/// What a page shows beside its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// How much waits and how much moved.
    Overview,
    /// What waits for an operator, of one asset or of all.
    Queue {
        work: OpenWork,
        asset: Option<AssetId>,
    },
    /// Transfers of a kind and an asset, or of all.
    Transfers {
        kind: Option<Kind>,
        asset: Option<AssetId>,
        new: New,
    },
    /// One transfer.
    Transfer,
}

/// What a list of transfers says of those that are made while somebody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum New {
    /// How many: nothing but kind and asset narrows it down.
    Counted,
    /// That there are some, which may or may not be in the view.
    Perhaps,
    /// Nothing: they are on another page.
    Elsewhere,
}

impl New {
    const ALL: [Self; 3] = [Self::Counted, Self::Perhaps, Self::Elsewhere];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Perhaps => "perhaps",
            Self::Elsewhere => "elsewhere",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|new| new.as_str() == name)
    }
}

/// The query of the stream's address.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Asked {
    pub(super) after: Option<i64>,
    page: Option<String>,
    work: Option<String>,
    kind: Option<String>,
    asset: Option<String>,
    new: Option<String>,
    rows: Option<String>,
}

impl Asked {
    /// The transfers on the page, each with the version that is shown of it: `5.1-7.2`, as script
    /// writes it.
    pub(super) fn rows(&self) -> BTreeMap<TransferId, Version> {
        let rows = self.rows.as_deref().unwrap_or_default().split('-');
        let rows = rows.filter_map(|row| {
            let (id, version) = row.split_once('.')?;
            let id = TransferId::try_new(id.parse().ok()?).ok()?;
            Some((id, Version::new(version.parse().ok()?)))
        });
        rows.take(ROWS_MAX).collect()
    }
}

impl Watch {
    /// The address of the stream that tells this page what happened after an event.
    pub(super) fn link(self, after: i64) -> Link {
        let link = Link::to("/console/events").with("after", after);
        match self {
            Self::Overview => link.with("page", "overview"),
            Self::Queue { work, asset } => link
                .with("page", "queue")
                .with("work", work.as_str())
                .with_some("asset", asset),
            Self::Transfers { kind, asset, new } => link
                .with("page", "transfers")
                .with_some("kind", kind.map(Kind::as_str))
                .with_some("asset", asset)
                .with("new", new.as_str()),
            Self::Transfer => link.with("page", "transfer"),
        }
    }

    /// None for an address that no page of ours has.
    pub(super) fn read(asked: &Asked) -> Option<Self> {
        let asset = said(asked.asset.as_ref()).map(AssetId::parse);
        let asset = asset.transpose().ok()?;
        Some(match asked.page.as_deref()? {
            "overview" => Self::Overview,
            "queue" => Self::Queue {
                work: OpenWork::from_name(asked.work.as_deref()?)?,
                asset,
            },
            "transfers" => Self::Transfers {
                kind: match said(asked.kind.as_ref()) {
                    Some(kind) => Some(Kind::from_name(kind)?),
                    None => None,
                },
                asset,
                new: New::from_name(asked.new.as_deref()?)?,
            },
            "transfer" => Self::Transfer,
            _ => return None,
        })
    }

    /// What the page is told of a step: nothing of what it shows already, nor of what it would not
    /// show.
    pub(super) fn word(self, step: &Step, rows: &BTreeMap<TransferId, Version>) -> Option<Word> {
        if let Some(shown) = rows.get(&step.transfer) {
            return (step.version > *shown).then_some(Word::Changed(step.transfer));
        }
        let of = |asset: Option<AssetId>| asset.is_none_or(|asset| asset == step.asset);
        match self {
            Self::Overview => Some(Word::Moved),
            Self::Queue { work, asset } => {
                let waits = step.waits_for == Some(work) && of(asset);
                waits.then_some(Word::New(step.transfer))
            }
            Self::Transfers { kind, asset, new } => {
                let is_of = of(asset) && kind.is_none_or(|kind| kind == step.kind);
                let is_made = is_of && step.version == Version::FIRST;
                match new {
                    New::Counted if is_made => Some(Word::New(step.transfer)),
                    New::Perhaps if is_made => Some(Word::Perhaps),
                    New::Counted | New::Perhaps | New::Elsewhere => None,
                }
            }
            Self::Transfer => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::web::Query;

    use super::*;

    const QUEUE: Watch = Watch::Queue {
        work: OpenWork::Approvals,
        asset: None,
    };

    fn id(id: i64) -> TransferId {
        TransferId::try_new(id).unwrap()
    }

    fn asset(name: &str) -> AssetId {
        AssetId::parse(name).unwrap()
    }

    /// A deposit of bitcoin that waits for a second operator.
    fn step(transfer: i64, version: i32) -> Step {
        Step {
            transfer: id(transfer),
            version: Version::new(version),
            kind: Kind::Deposit,
            asset: asset("btc"),
            waits_for: Some(OpenWork::Approvals),
        }
    }

    fn list(new: New) -> Watch {
        Watch::Transfers {
            kind: Some(Kind::Deposit),
            asset: Some(asset("btc")),
            new,
        }
    }

    #[test]
    fn an_address_says_what_the_page_shows() {
        let mut all = vec![Watch::Overview, QUEUE, Watch::Transfer];
        all.extend(New::ALL.map(list));
        for watch in all {
            let link = watch.link(17).to_string();
            let (path, query) = link.split_once('?').unwrap();
            let asked = Query::<Asked>::from_query(query).unwrap();
            assert_eq!((path, asked.after), ("/console/events", Some(17)));
            assert_eq!(Watch::read(&asked), Some(watch), "{link}");
        }
        for wrong in [
            "",
            "page=x",
            "page=queue",
            "page=queue&work=x",
            "page=transfers",
            "page=transfers&new=counted&kind=x",
            "page=overview&asset=!",
        ] {
            let asked = Query::<Asked>::from_query(wrong).unwrap();
            assert_eq!(Watch::read(&asked), None, "{wrong}");
        }
    }

    #[test]
    fn rows_are_known_by_their_versions() {
        let rows = |text: &str| {
            let rows = Some(text.to_owned());
            let asked = Asked {
                rows,
                ..Asked::default()
            };
            asked.rows()
        };
        let wanted = [(id(1), Version::FIRST), (id(2), Version::new(3))];
        assert_eq!(rows("1.1-2.3-x.1-4-0.1-5.x"), BTreeMap::from(wanted));
        assert!(rows("").is_empty());
        let many: Vec<String> = (1..=500).map(|id| format!("{id}.1")).collect();
        assert_eq!(rows(&many.join("-")).len(), ROWS_MAX);
    }

    #[test]
    fn what_a_page_shows_already_it_is_not_told() {
        let rows = BTreeMap::from([(id(1), Version::new(2))]);
        for watch in [Watch::Overview, QUEUE, Watch::Transfer, list(New::Counted)] {
            assert_eq!(watch.word(&step(1, 1), &rows), None);
            assert_eq!(watch.word(&step(1, 2), &rows), None);
            // The same step once more, at another version, is a change.
            let changed = Some(Word::Changed(id(1)));
            assert_eq!(watch.word(&step(1, 3), &rows), changed);
        }
    }

    #[test]
    fn only_what_would_be_in_the_view_is_new() {
        let none = BTreeMap::new();
        let new = |watch: Watch, step: &Step| watch.word(step, &none);
        assert_eq!(new(QUEUE, &step(1, 2)), Some(Word::New(id(1))));
        let queue = |work, name| Watch::Queue {
            work,
            asset: Some(asset(name)),
        };
        assert_eq!(new(queue(OpenWork::Approvals, "eth"), &step(1, 2)), None);
        assert_eq!(new(queue(OpenWork::Withdrawals, "btc"), &step(1, 2)), None);
        // What has moved on since then waits no longer.
        let gone = Step {
            waits_for: None,
            ..step(1, 1)
        };
        assert_eq!(new(QUEUE, &gone), None);
        assert_eq!(new(Watch::Overview, &gone), Some(Word::Moved));
        assert_eq!(new(Watch::Transfer, &gone), None);
        assert_eq!(new(list(New::Counted), &gone), Some(Word::New(id(1))));
        assert_eq!(new(list(New::Perhaps), &gone), Some(Word::Perhaps));
        assert_eq!(new(list(New::Elsewhere), &gone), None);
        assert_eq!(new(list(New::Counted), &step(1, 2)), None, "made before");
        let other = Step {
            kind: Kind::Internal,
            ..gone
        };
        assert_eq!(new(list(New::Counted), &other), None);
    }
}

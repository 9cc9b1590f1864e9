//! What a trial of a fault is made of: load while something dies, and the judgement of what its clients
//! were told and saw.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use bursar_audit::record::{self, Line};
use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde_json::Value;

use super::{
    PATIENCE,
    books::Books,
    call::{Call, Told},
    client::{Answer, Client},
    eventually_within,
    exchange::{BULK, CANCEL, CONFIRM, INTERNAL},
    history::{Before, Watch, assert_serializable},
    load::{Load, assert_kept, assert_shown},
};

/// Clients and readers of each replica.
pub(super) type Loads = Vec<(Load, Watch)>;

/// What was judged, and found right.
pub(super) struct Judged {
    pub(super) requests: usize,
    /// Requests that were refused for lack of money.
    pub(super) lacks: usize,
    pub(super) looks: usize,
    /// Answers that were held against what another replica showed right afterwards.
    pub(super) shown: usize,
    pub(super) races: Races,
    /// Requests that got no certain answer.
    pub(super) uncertain: usize,
    /// Of those, the ones that had happened.
    pub(super) happened: usize,
    /// Requests that were sent before something died and got no certain answer after it.
    pub(super) under_way: usize,
    /// Of those, the ones that had happened, and the ones of which nothing is there, not even a refusal.
    pub(super) landed: usize,
    pub(super) absent: usize,
    /// How long after that clients were answered again: the end of the longest pause.
    pub(super) back: Duration,
    /// When each request was sent that got a certain answer, and when that came.
    pub(super) certain: Vec<(Instant, Instant)>,
    /// The longest that anybody was kept waiting before being told that nobody knows.
    pub(super) waited: Duration,
    /// All of it, as it was held against the ledger.
    pub(super) record: Vec<Line>,
}

/// What clients did that is more than one request of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Races {
    /// Bulks that got a certain answer.
    pub(super) bulks: usize,
    /// Requests that were sent twice at once, and of which one was told what the other was.
    pub(super) doubles: usize,
    /// Withdrawals that were confirmed and canceled at once, and of which one was told that the other
    /// was faster.
    pub(super) rivals: usize,
}

impl Races {
    /// What there is of it in what the clients of one load were told.
    fn of(history: &[Told]) -> Self {
        let mut by_key: HashMap<&str, Vec<&Told>> = HashMap::new();
        for told in history {
            by_key.entry(told.call.key()).or_default().push(told);
        }
        let is_overtaken = |key: &str| {
            let told = by_key.get(key).into_iter().flatten();
            told.copied().any(Told::is_overtaken)
        };
        let bulks = history.iter().filter(|told| told.call.path() == BULK);
        let doubles = by_key.values().filter(|told| {
            let replayed = told.iter().filter(|told| told.is_replayed());
            told.len() == 2 && replayed.count() == 1
        });
        let rivals = history.iter().filter(|told| {
            let first = told.call.rival_of();
            first.is_some_and(|first| is_overtaken(first) != told.is_overtaken())
        });
        Self {
            bulks: bulks.filter(|told| told.is_certain()).count(),
            doubles: doubles.count(),
            rivals: rivals.count(),
        }
    }

    /// Adds those of another load.
    pub(super) fn add(&mut self, other: Self) {
        self.bulks += other.bulks;
        self.doubles += other.doubles;
        self.rivals += other.rivals;
    }
}

/// Waits until there are so many answers more, wherever they came from.
pub(super) async fn answered(loads: &[(Load, Watch)], more: usize) {
    answered_within(PATIENCE, loads, more).await;
}

/// The same with more patience, or less.
pub(super) async fn answered_within(patience: Duration, loads: &[(Load, Watch)], more: usize) {
    let count = || {
        loads
            .iter()
            .map(|(load, _)| load.count_answered())
            .sum::<usize>()
    };
    let enough = count() + more;
    eventually_within(patience, &format!("{more} answers"), async || {
        (count() >= enough).then_some(())
    })
    .await;
}

/// Ends the load and judges it: the books are right, what was answered is there, what was not happened
/// at most once, and nobody saw what could not be. Something died when it `struck`.
pub(super) async fn judged(
    loads: Loads,
    struck: Instant,
    before: &Before,
    client: &Client,
    books: &Books,
) -> Judged {
    let mut histories: Vec<Vec<Told>> = vec![];
    let mut looks = vec![];
    for (load, watch) in loads {
        histories.push(load.ended().await);
        looks.extend(watch.ended().await);
    }
    // Of books that are wrong it may be that nothing settles any more.
    books.audit().await;
    books.settled().await;
    let mut judged = counted(&histories, struck, books).await;
    judged.looks = looks.len();
    judged.shown = assert_shown(histories.iter().flatten());
    judged.record = assert_serializable(histories.iter().flatten(), &looks, before, books).await;
    judged.lacks = record::missing(&judged.record).count();
    for history in histories.iter().filter(|history| !history.is_empty()) {
        assert_kept(history, client, books).await;
    }
    books.settled().await;
    books.audit().await;
    judged
}

/// Keys, and whether something was made or ended with them: others are bound to refusals, or all items
/// of their bulks are.
const KEYS: &str = "
    SELECT key, refusal IS NULL AND (results IS NULL OR EXISTS (
        SELECT FROM json_array_elements(results) AS item WHERE json_typeof(item) = 'number'))
    FROM book_main.idempotency_keys";

async fn counted(histories: &[Vec<Told>], struck: Instant, books: &Books) -> Judged {
    let keys = books.rows(KEYS).await.into_iter();
    let keys: HashMap<String, bool> = keys.map(|row| (row[0].clone(), row[1] == "t")).collect();
    let all = histories.iter().flatten();
    let uncertain: Vec<&Told> = all.clone().filter(|told| !told.is_certain()).collect();
    let under_way = uncertain
        .iter()
        .filter(|told| told.sent < struck && struck < told.told);
    let happened = |told: &&&Told| keys.get(told.call.key()) == Some(&true);
    let is_absent = |told: &&&Told| !keys.contains_key(told.call.key());
    let certain = all.clone().filter(|told| told.is_certain());
    let certain: Vec<_> = certain.map(|told| (told.sent, told.told)).collect();
    let mut races = Races::default();
    for history in histories {
        races.add(Races::of(history));
    }
    Judged {
        requests: all.count(),
        lacks: 0,
        looks: 0,
        shown: 0,
        races,
        uncertain: uncertain.len(),
        happened: uncertain.iter().filter(happened).count(),
        under_way: under_way.clone().count(),
        landed: under_way.clone().filter(happened).count(),
        absent: under_way.filter(is_absent).count(),
        back: back(&certain, struck),
        certain,
        waited: uncertain
            .iter()
            .map(|told| told.told - told.sent)
            .max()
            .unwrap_or_default(),
        record: vec![],
    }
}

/// How long after this the longest pause between two certain answers ended.
fn back(certain: &[(Instant, Instant)], struck: Instant) -> Duration {
    let mut times: Vec<Instant> = certain.iter().map(|(_, told)| *told).collect();
    times.retain(|told| *told > struck);
    times.push(struck);
    times.sort_unstable();
    let pauses = times.windows(2).max_by_key(|pair| pair[1] - pair[0]);
    pauses.map_or(Duration::ZERO, |pair| pair[1] - struck)
}

/// Leaves the report of a run to whoever reads it by machine, if anybody does.
pub(super) fn save(name: &str, report: &Value) {
    if let Some(file) = report_of(name) {
        fs::write(file, report.to_string()).unwrap();
    }
}

/// Takes the report of an earlier run away: what is there afterwards is this run's.
pub(super) fn forget(name: &str) {
    if let Some(earlier) = report_of(name).filter(|file| file.exists()) {
        fs::remove_file(earlier).unwrap();
    }
}

/// Where the report of a run goes, in the folder `BURSAR_CHAOS_OUT`.
fn report_of(name: &str) -> Option<PathBuf> {
    let folder = std::env::var("BURSAR_CHAOS_OUT").ok()?;
    Some(PathBuf::from(folder).join(format!("{name}.json")))
}

/// The median, the 95th percentile and the maximum, in milliseconds.
pub(super) fn spread(times: &[Duration]) -> [u128; 3] {
    [50, 95, 100].map(|percent| percentile(times, percent).as_millis())
}

/// The smallest of them that this share, in percent, does not exceed: the nearest rank.
pub(super) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[test]
fn what_is_sent_twice_at_once_is_counted() {
    let told = |path, key: &str, status: u16, replays: bool| {
        let mut headers = HeaderMap::new();
        if replays {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let text = String::new();
        Told {
            call: Call::new(path, "", key, &Value::Null, true),
            sent: Instant::now(),
            told: Instant::now(),
            answer: Some(Answer {
                status,
                headers,
                text,
            }),
            error: None,
            shown: None,
        }
    };
    let history = [
        told(BULK, "a", 200, false),
        told(BULK, "a", 200, true),
        told(BULK, "b", 503, false),
        // Of these nobody knows whether they met.
        told(INTERNAL, "c", 200, false),
        told(INTERNAL, "c", 503, false),
        told(CONFIRM, "d", 409, false),
        told(CANCEL, "d-rival", 200, false),
        told(CANCEL, "e", 200, false),
        told(CONFIRM, "e-rival", 503, false),
        // Somebody else was faster than both.
        told(CANCEL, "f", 409, false),
        told(CONFIRM, "f-rival", 409, false),
    ];
    let expected = Races {
        bulks: 2,
        doubles: 1,
        rivals: 1,
    };
    assert_eq!(Races::of(&history), expected);
}

//! Clients that keep a service busy, what they were told, and whether it is still true later.

mod shown;

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    mem::swap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bursar_audit::Rule;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet};

pub(super) use self::shown::assert_shown;
use super::{
    books::Books,
    call::{CLIENTS, Call, Maker, Told, Transfer},
    client::{Answer, Client},
    eventually,
    exchange::Exchange,
    receiver::Receiver,
    sound::require,
};

/// How many requests a client makes at most, one after the other.
const CALLS_MAX: usize = 2_000;
/// How many requests are repeated at once.
const REPEATED_AT_ONCE: usize = 8;

/// One in so many answers is held against what the other replica shows, where there is another.
const ANSWERS_PER_LOOK: u32 = 16;
/// How long a client that goes on waits after it got no certain answer.
const PAUSE: Duration = Duration::from_millis(100);

/// Clients at work. Each goes on until it gets no answer at all, unless it is stubborn, or is told to
/// stop.
pub(super) struct Load {
    clients: JoinSet<Vec<Told>>,
    answered: Arc<AtomicUsize>,
    uncertain: Arc<AtomicUsize>,
    hang_up: Arc<Notify>,
    stop: Arc<AtomicBool>,
}

/// How clients behave.
#[derive(Clone, Default)]
struct Manner {
    /// They go on whatever they are told, or not told.
    is_stubborn: bool,
    /// How long they rest after each request.
    rest: Duration,
    /// Where the same is asked for at the same time now and then, and the contrary, half of the time; else
    /// it is where the first is asked for. Now and then what was told is looked up there, too.
    rival: Option<Client>,
}

impl Load {
    /// Starts the clients; `round` tells their keys from those of other loads.
    pub(super) fn start(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
    ) -> Self {
        Self::begin(client, exchange, receiver, round, &Manner::default())
    }

    /// Starts clients that go on whatever they are told, or not told.
    pub(super) fn start_stubborn(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
    ) -> Self {
        Self::start_resting(client, exchange, receiver, round, Duration::ZERO)
    }

    /// Starts such clients that send some requests twice at the same time, and have cancelled some of
    /// what they confirm, and the other way round: by another replica, or by the same one, for of those
    /// with a single writer one alone answers.
    pub(super) fn start_rivals(
        client: &Client,
        rival: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
    ) -> Self {
        let manner = Manner {
            is_stubborn: true,
            rival: Some(rival.clone()),
            ..Manner::default()
        };
        Self::begin(client, exchange, receiver, round, &manner)
    }

    /// Starts stubborn clients that rest for so long after each request.
    pub(super) fn start_resting(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
        rest: Duration,
    ) -> Self {
        let manner = Manner {
            is_stubborn: true,
            rest,
            rival: None,
        };
        Self::begin(client, exchange, receiver, round, &manner)
    }

    fn begin(
        client: &Client,
        exchange: &Exchange,
        receiver: &Receiver,
        round: &str,
        manner: &Manner,
    ) -> Self {
        let maker = Arc::new(Maker::new(exchange, receiver, round));
        let mut load = Self {
            clients: JoinSet::new(),
            answered: Arc::default(),
            uncertain: Arc::default(),
            hang_up: Arc::default(),
            stop: Arc::default(),
        };
        for number in 0..CLIENTS {
            let one = OneClient {
                number,
                client: client.clone(),
                admin: exchange.admin.clone(),
                maker: Arc::clone(&maker),
                manner: manner.clone(),
                answered: Arc::clone(&load.answered),
                uncertain: Arc::clone(&load.uncertain),
                hang_up: Arc::clone(&load.hang_up),
                stop: Arc::clone(&load.stop),
            };
            load.clients.spawn(one.works());
        }
        load
    }

    /// How many requests were answered so far.
    pub(super) fn count_answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// How many requests got no certain answer so far.
    pub(super) fn count_uncertain(&self) -> usize {
        self.uncertain.load(Ordering::SeqCst)
    }

    /// Every other client hangs up on what it waits for now, whose outcome it then does not know.
    pub(super) fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }

    /// Waits until this many requests were answered.
    pub(super) async fn answered(&self, count: usize) {
        eventually(&format!("{count} answers"), async || {
            (self.answered.load(Ordering::SeqCst) >= count).then_some(())
        })
        .await;
    }

    /// What the clients came to know, once all of them have been told to stop and have.
    pub(super) async fn ended(self) -> Vec<Told> {
        self.stop.store(true, Ordering::SeqCst);
        self.broken_off().await
    }

    /// What the clients came to know, once none of them gets an answer any more.
    pub(super) async fn broken_off(self) -> Vec<Told> {
        self.clients
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

/// One of the clients.
struct OneClient {
    number: usize,
    client: Client,
    /// Whom every transfer is shown.
    admin: String,
    maker: Arc<Maker>,
    manner: Manner,
    answered: Arc<AtomicUsize>,
    uncertain: Arc<AtomicUsize>,
    hang_up: Arc<Notify>,
    stop: Arc<AtomicBool>,
}

impl OneClient {
    async fn works(self) -> Vec<Told> {
        let mut all = Vec::new();
        let mut held = None;
        for number in 0..CALLS_MAX {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let call = self.maker.call(self.number, number, &mut held);
            let (mut told, rival) = self.send(call).await;
            told.shown = self.shown(&told).await;
            let certain = told.is_certain();
            self.answered
                .fetch_add(usize::from(certain), Ordering::SeqCst);
            self.uncertain
                .fetch_add(usize::from(!certain), Ordering::SeqCst);
            held = told.opened().or(held);
            // Whoever is told that nothing was done, or that nobody knows, tries something else.
            let goes_on = self.manner.is_stubborn || told.answer.is_some();
            all.push(told);
            all.extend(rival);
            if !certain && goes_on {
                tokio::time::sleep(PAUSE).await;
            } else if !certain {
                break;
            } else if !self.manner.rest.is_zero() {
                tokio::time::sleep(self.manner.rest).await;
            }
        }
        all
    }

    /// Sends a request, and what comes at the same time, if anything does: of an end the contrary, of
    /// anything else the very same.
    async fn send(&self, call: Call) -> (Told, Option<Told>) {
        let rival = self.manner.rival.as_ref();
        let Some(rival) = rival.filter(|_| rand::random_range(0..4) == 0) else {
            let told = call.send_unless(&self.client, self.hangs_up());
            return (told.await, None);
        };
        let rival = if rand::random() { rival } else { &self.client };
        let other = self.maker.rival(&call).unwrap_or_else(|| call.clone());
        let (told, other) = tokio::join!(
            call.send_unless(&self.client, self.hangs_up()),
            other.send_unless(rival, self.hangs_up()),
        );
        (told, Some(other))
    }

    /// Waits until it is to hang up, as every other client is one day.
    async fn hangs_up(&self) {
        if self.number.is_multiple_of(2) {
            pending::<()>().await;
        }
        self.hang_up.notified().await;
    }

    /// What the other replica shows of what was told, now and then.
    async fn shown(&self, told: &Told) -> Option<Answer> {
        let rival = self.manner.rival.as_ref()?;
        if rand::random_range(0..ANSWERS_PER_LOOK) > 0 {
            return None;
        }
        shown::shown(told, rival, &self.admin).await
    }
}

/// What was told at any time is true now, and what was told by nobody can be had by asking again:
/// every answered request is there under the same name, every unanswered one has one effect however
/// often it is repeated, and what they made is what they asked for.
pub(super) async fn assert_kept(history: &[Told], client: &Client, books: &Books) {
    assert_nothing_happened(history, books).await;
    let repeated: Vec<(&Call, Vec<String>)> = stream::iter(history)
        .map(|told| async move {
            // What nobody was told of is executed three times more, anything else once.
            let (first, repeats) = match &told.answer {
                Some(answer) if told.is_certain() => (answer.clone(), 1),
                Some(_) | None => (repeat(&told.call, client).await, 2),
            };
            for _ in 0..repeats {
                let again = repeat(&told.call, client).await;
                assert_same(&told.call, &first, &again);
            }
            let is_made = first.status == 200 && told.call.ends().is_none();
            let made = if is_made { first.names() } else { vec![] };
            (&told.call, made)
        })
        .buffer_unordered(REPEATED_AT_ONCE)
        .collect()
        .await;
    // What was sent to two replicas at once is one.
    let made: HashMap<&str, (&Call, Vec<String>)> = repeated
        .into_iter()
        .map(|(call, names)| (call.key(), (call, names)))
        .collect();
    let prefix = history[0].call.key().split('-').next().unwrap();
    let there = noted(prefix, books).await;
    let count: usize = made.values().map(|(_, names)| names.len()).sum();
    require(there.len() == count, Rule::UnansweredIsOnce, || {
        format!("{count} answered, {} there", there.len())
    });
    let made = made.values().filter(|(_, names)| !names.is_empty());
    assert_as_asked(made.flat_map(|(call, _)| call.asks()), &there);
}

/// The transfers of a load by their notes, of which each has one.
async fn noted(prefix: &str, books: &Books) -> HashMap<String, Transfer> {
    let rows = books
        .rows(&format!(
            "SELECT note, kind, user_id, recipient_id, asset, amount
             FROM book_main.transfers WHERE note LIKE '{prefix}-%'"
        ))
        .await;
    let mut there = HashMap::new();
    for one in rows.into_iter().map(Transfer::there) {
        let earlier = there.insert(one.note.clone(), one.clone());
        require(earlier.is_none(), Rule::KeyIsOnce, || {
            format!("{one:?} beside {earlier:?}")
        });
    }
    there
}

/// Everything that was asked for is there, and nothing of it is another's.
fn assert_as_asked(asked: impl IntoIterator<Item = Transfer>, there: &HashMap<String, Transfer>) {
    for asked in asked {
        let found = there.get(&asked.note);
        require(found == Some(&asked), Rule::AnsweredIsThere, || {
            format!("{asked:?} was asked for, {found:?} is there")
        });
    }
}

/// A 503 that says that nothing was executed tells the truth. Of a request that was sent to two replicas
/// at once it tells what the one did, and the key may be the other's.
async fn assert_nothing_happened(history: &[Told], books: &Books) {
    let keys = "SELECT key FROM book_main.idempotency_keys";
    let keys: HashSet<_> = books.rows(keys).await.into_iter().flatten().collect();
    let mut sent: HashMap<&str, usize> = HashMap::new();
    for told in history {
        *sent.entry(told.call.key()).or_default() += 1;
    }
    for told in history {
        let Some(answer) = told.answer.as_ref().filter(|_| !told.is_certain()) else {
            continue;
        };
        require(answer.status == 503, Rule::AnsweredIsThere, || {
            format!("{}: {}", told.call.key(), answer.text)
        });
        assert!(answer.headers.contains_key("retry-after"));
        let problem = answer.json();
        if problem["outcome"] == "not_executed" {
            let key = told.call.key();
            let is_anothers = sent[key] > 1;
            require(
                is_anothers || !keys.contains(key),
                Rule::RefusedIsNot,
                || format!("{key}: {}", answer.text),
            );
        } else {
            assert_eq!(problem["outcome"], "unknown", "{}", answer.text);
        }
    }
}

/// Sends it again, and gets a certain answer.
pub(super) async fn repeat(call: &Call, client: &Client) -> Answer {
    let told = call.clone().send(client).await;
    require(told.is_certain(), Rule::AnsweredIsThere, || {
        format!("{} now {:?} {:?}", call.key(), told.answer, told.error)
    });
    told.answer.unwrap()
}

/// A request was answered as it was before, as far as what it made may not have changed since.
pub(super) fn assert_same(call: &Call, first: &Answer, again: &Answer) {
    let key = call.key();
    let shown = || format!("{key}: {}, now {}", first.text, again.text);
    // Only what binds the key is replayed; what another end of the transfer forbids is found anew.
    let is_told_again = again.is_replayed() || first.status == 409;
    let is_same = first.status == again.status && is_told_again;
    require(is_same, Rule::AnsweredIsThere, shown);
    if first.status != 200 {
        let is_same = first.json()["code"] == again.json()["code"];
        require(is_same, Rule::AnsweredIsThere, shown);
        return;
    }
    require(first.names() == again.names(), Rule::KeyIsOnce, shown);
    if first.statuses().iter().all(|was| is_final(was)) {
        require(first.text == again.text, Rule::FinalStays, shown);
    }
}

fn is_final(status: &str) -> bool {
    !matches!(status, "Pending" | "pending" | "AwaitingConfirmation")
}

/// What was ended on request. The URL that was given with the request is not kept beside the transfer.
const ENDED: &str = "
    SELECT k.key, t.state FROM book_main.idempotency_keys k
    JOIN book_main.transfers t ON t.id = k.transfer_id
    WHERE k.operation IN ('withdraw-confirm', 'withdraw-cancel') AND k.refusal IS NULL
        AND t.state NOT IN ('Pending', 'AwaitingConfirmation')";

/// Every URL has heard last of the state that its transfer is in: the transfer's own, and the one of
/// whoever confirmed or cancelled it, whose path is the key of that request. Gives how many of these
/// there are. That each request which was answered has left its key is for [`assert_kept`].
pub(super) async fn assert_told(receiver: &Receiver, books: &Books) -> usize {
    books.delivered().await;
    let transfers = books
        .rows("SELECT callback_url, state FROM book_main.transfers WHERE callback_url IS NOT NULL")
        .await;
    assert!(!transfers.is_empty());
    let states: HashMap<_, _> = transfers.iter().map(|row| (&row[0], &row[1])).collect();
    for (url, state) in states {
        let path = url.strip_prefix(&receiver.url("")).unwrap();
        assert_heard(receiver, path, state);
    }
    let ended = books.rows(ENDED).await;
    for row in &ended {
        assert_heard(receiver, &format!("/{}", row[0]), &row[1]);
    }
    ended.len()
}

/// What this path has heard last is this state.
fn assert_heard(receiver: &Receiver, path: &str, state: &str) {
    let last = receiver.bodies(path).pop();
    require(last.is_some(), Rule::ReceiversAreTold, || {
        format!("{path} heard nothing of {state}")
    });
    let last = last.unwrap_or_default();
    let body: Value = serde_json::from_str(&last).unwrap();
    let status = [&body["Status"], &body["status"]]
        .into_iter()
        .find_map(|status| status.as_str())
        .unwrap();
    let is_last = status.eq_ignore_ascii_case(state);
    require(is_last, Rule::ReceiversAreTold, || {
        format!("{path} is {state}: {last}")
    });
}

#[test]
fn what_is_not_as_it_was_asked_for_is_named() {
    let transfer = |note: &str, kind: &str, user: &str, asset: &str, amount: i128| Transfer {
        note: note.to_owned(),
        kind: kind.to_owned(),
        user: user.to_owned(),
        recipient: format!("whom {user} pays"),
        asset: asset.to_owned(),
        amount,
    };
    let asked = [
        transfer("a.0", "internal", "anna", "btc", 10_001),
        transfer("a.1", "deposit", "ben", "usd", 10_002),
    ];
    let said = |there: &[Transfer]| {
        let there = there.iter().map(|one| (one.note.clone(), one.clone()));
        let there: HashMap<_, _> = there.collect();
        let judged = std::panic::catch_unwind(|| assert_as_asked(asked.clone(), &there));
        judged.map_err(|said| said.downcast_ref::<String>().unwrap().clone())
    };
    assert_eq!(said(&asked), Ok(()));
    let named = |there: &[Transfer]| {
        let said = said(there).expect_err("nobody has found out what is wrong");
        let rule = "violated A7: an answer is lost: Transfer { note: \"a.";
        assert!(said.starts_with(rule), "{said}");
    };
    named(&asked[..1]);
    let mixes: [fn(&mut Transfer, &mut Transfer); 5] = [
        |one, other| swap(&mut one.kind, &mut other.kind),
        |one, other| swap(&mut one.user, &mut other.user),
        |one, other| swap(&mut one.recipient, &mut other.recipient),
        |one, other| swap(&mut one.asset, &mut other.asset),
        |one, other| swap(&mut one.amount, &mut other.amount),
    ];
    for mix in mixes {
        let mut there = asked.clone();
        let [one, other] = &mut there;
        mix(one, other);
        named(&there);
    }
}

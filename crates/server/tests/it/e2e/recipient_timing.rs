//! Whether the time of an answer tells who has an account. `scripts/timing-recipients` runs it; it
//! takes minutes and is best run on a quiet machine.
//!
//! Requests are made one at a time over one connection, all kinds of recipients shuffled, so that
//! whatever else happens on the machine happens to all kinds alike. Every try names a recipient that
//! was never named before, and begins when the transfer before it is settled: that one's end is
//! told to its sender anyway. Each kind is compared with unknown
//! recipients by the two-sample Kolmogorov–Smirnov test, at 1 % for all comparisons together
//! (Bonferroni), and by the medians, which must be within 5 % of each other.

use std::time::{Duration, Instant};

use bursar_postgres::testing::TestDatabase;
use serde_json::json;

use super::{
    books::Books,
    client::Client,
    exchange::{Exchange, INTERNAL, Trader, WAIT},
    service::Service,
};

/// How often each kind of recipient is named; half of the tries of each comparison.
const TRIES: usize = 5_000;
/// Tries of each experiment that are not counted.
const WARM_UP: usize = 200;
/// Senders of each experiment: each may fail twenty times an hour, and is asked for fewer tries.
const SENDERS: usize = 1_000;
/// The probability that the test fails by chance.
const LEVEL: f64 = 0.01;
const MEDIANS_APART_MAX: f64 = 0.05;

/// The kinds of recipients: the letter in their names, and how many of a kind there are.
const ACTIVE: char = 'a';
const FROZEN: char = 'f';
const UNKNOWN: char = 'u';

/// One way to be curious.
struct Experiment {
    what: &'static str,
    /// The digit in the senders' names; recipients too are its own.
    number: usize,
    rich: bool,
    wait: bool,
    by_id: bool,
    kinds: &'static [char],
}

const EXPERIMENTS: [Experiment; 4] = [
    Experiment {
        what: "create, by email",
        number: 1,
        rich: true,
        wait: false,
        by_id: false,
        kinds: &[ACTIVE, FROZEN, UNKNOWN],
    },
    Experiment {
        what: "create, by id",
        number: 2,
        rich: true,
        wait: false,
        by_id: true,
        kinds: &[ACTIVE, FROZEN, UNKNOWN],
    },
    Experiment {
        what: "create and wait, by email",
        number: 3,
        rich: true,
        wait: true,
        by_id: false,
        kinds: &[FROZEN, UNKNOWN],
    },
    Experiment {
        what: "create and wait without funds, by email",
        number: 4,
        rich: false,
        wait: true,
        by_id: false,
        kinds: &[ACTIVE, FROZEN, UNKNOWN],
    },
];

/// The names of one try; ids and emails are made of the same parts in SQL below.
fn recipient(experiment: &Experiment, kind: char, number: usize) -> String {
    let experiment_number = experiment.number;
    if experiment.by_id {
        let kind = u32::from(kind);
        format!("0000000{experiment_number}-{kind:04}-4000-9000-{number:012}")
    } else {
        format!("r{experiment_number}{kind}{number:06}@example.com")
    }
}

/// Senders with a token each.
fn senders(experiment: &Experiment) -> String {
    let number = experiment.number;
    let id = format!("format('000000{number}0-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid");
    let name = format!("'s{number}-' || n");
    format!(
        "INSERT INTO directory.users
         SELECT {id}, {name}, {name}, '', '', '{{}}', 'Active', now(), 0
         FROM generate_series(0, {SENDERS} - 1) n;
         INSERT INTO directory.tokens
         SELECT gen_random_uuid(), sha256(convert_to('bur_' || {name}, 'UTF8')), {name}, {id},
                '{{allow_transfer}}', now(), now() + interval '1 day', NULL
         FROM generate_series(0, {SENDERS} - 1) n"
    )
}

/// Recipients of one kind.
fn recipients(experiment: &Experiment, kind: char, status: &str, count: usize) -> String {
    let number = experiment.number;
    let code = u32::from(kind);
    let id =
        format!("format('0000000{number}-{code:04}-4000-9000-%s', lpad(n::text, 12, '0'))::uuid");
    let name = format!("format('r{number}{kind}%s', lpad(n::text, 6, '0'))");
    let email = format!("{name} || '@example.com'");
    format!(
        "INSERT INTO directory.users
         SELECT {id}, {name}, {name}, {email}, {email}, '{{}}', '{status}', now(), 0
         FROM generate_series(0, {count} - 1) n;
         INSERT INTO book_main.owners
         SELECT {id}, '{status}', 1 FROM generate_series(0, {count} - 1) n
         WHERE '{status}' <> 'Active'"
    )
}

#[tokio::test]
#[ignore = "takes minutes: scripts/timing-recipients"]
async fn the_time_of_an_answer_does_not_tell_who_has_an_account() {
    let tries = std::env::var("BURSAR_TIMING_TRIES");
    let tries: usize = tries.map_or(TRIES, |tries| tries.parse().unwrap());
    let database = TestDatabase::create().await;
    let service = Service::start(database.url()).await;
    let client = service.client();
    let exchange = Exchange::open(database.url(), &client, 0).await;
    let books = Books::of(database.url());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut worst = vec![];
    let only = std::env::var("BURSAR_TIMING_ONLY").ok();
    let wanted = |experiment: &&Experiment| {
        let number = experiment.number.to_string();
        only.as_ref().is_none_or(|only| only.contains(&number))
    };
    for experiment in EXPERIMENTS.iter().filter(wanted) {
        books.rows(&senders(experiment)).await;
        for (kind, status) in [(ACTIVE, "Active"), (FROZEN, "Frozen")] {
            let sql = recipients(experiment, kind, status, tries + WARM_UP);
            books.rows(&sql).await;
        }
        if experiment.rich {
            fund(&exchange, &client, experiment).await;
        }
        books
            .rows("ANALYZE directory.users; ANALYZE directory.tokens")
            .await;
        let samples = measure(&client, experiment, tries, &mut dice).await;
        println!("{}:", experiment.what);
        let unknown = samples.last().unwrap();
        for (kind, sample) in experiment.kinds.iter().zip(&samples) {
            println!(
                "  {kind}: {} tries, p10 {:.0} µs, median {:.0} µs, p90 {:.0} µs",
                sample.len(),
                percentile(sample, 10),
                percentile(sample, 50),
                percentile(sample, 90)
            );
            if *kind != UNKNOWN {
                let (distance, p) = kolmogorov_smirnov(sample, unknown);
                let apart = percentile(sample, 50) / percentile(unknown, 50) - 1.0;
                println!(
                    "  {kind} against u: D = {distance:.4}, p = {p:.3}, medians {:+.2} %",
                    apart * 100.0
                );
                worst.push((experiment.what, *kind, p, apart));
            }
        }
    }
    let level = LEVEL / float(worst.len());
    for (what, kind, p, apart) in worst {
        assert!(p > level, "{what}: {kind} differs, p = {p}");
        assert!(
            apart.abs() < MEDIANS_APART_MAX,
            "{what}: {kind} differs by {apart}"
        );
    }
    books.settled().await;
    assert_eq!(books.faults().await, []);
}

async fn fund(exchange: &Exchange, client: &Client, experiment: &Experiment) {
    let number = experiment.number;
    let senders = (0..SENDERS).map(|sender| Trader {
        id: format!("000000{number}0-0000-4000-8000-{sender:012}"),
        token: String::new(),
    });
    for sender in senders {
        exchange.fund(client, &sender, "btc", "1").await;
    }
}

/// The times of each kind, in microseconds, sorted.
async fn measure(
    client: &Client,
    experiment: &Experiment,
    tries: usize,
    dice: &mut Dice,
) -> Vec<Vec<f64>> {
    let kinds = experiment.kinds.len();
    let mut samples = vec![Vec::with_capacity(tries); kinds];
    let mut order: Vec<usize> = (0..tries * kinds).collect();
    dice.shuffle(&mut order);
    let warm_up = (tries * kinds..).take(WARM_UP * kinds);
    for (turn, number) in warm_up.chain(order).enumerate() {
        let (place, number) = (number % kinds, number / kinds);
        let name = recipient(experiment, experiment.kinds[place], number);
        let token = format!("bur_s{}-{}", experiment.number, turn % SENDERS);
        let took = time_one(&client.with(&token), &name, experiment.wait).await;
        if turn >= WARM_UP * kinds {
            samples[place].push(took.as_secs_f64() * 1e6);
        }
    }
    for sample in &mut samples {
        sample.sort_by(f64::total_cmp);
    }
    samples
}

/// How long one answer takes. Returns when the transfer is settled.
async fn time_one(sender: &Client, recipient: &str, wait: bool) -> Duration {
    let body = json!({"currency_code": "BTC", "amount": "0.00000001", "recipient": recipient});
    let body = body.to_string();
    let headers: &[(&str, &str)] = if wait { &[WAIT] } else { &[] };
    let started = Instant::now();
    let mut answer = sender.post_with(INTERNAL, body, headers).await.ok();
    let took = started.elapsed();
    let path = format!("{INTERNAL}/{}", answer.name());
    while answer.text_of("status") == "pending" {
        answer = sender.get(&path).await.ok();
    }
    took
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[sorted.len() * percent / 100]
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// The largest distance of the two empirical distributions, and how probable one as large is when
/// both samples come from one distribution.
fn kolmogorov_smirnov(one: &[f64], other: &[f64]) -> (f64, f64) {
    let (mut left, mut right, mut distance) = (0, 0, 0.0_f64);
    while left < one.len() && right < other.len() {
        let at = one[left].min(other[right]);
        left += one[left..].iter().take_while(|time| **time <= at).count();
        right += other[right..]
            .iter()
            .take_while(|time| **time <= at)
            .count();
        let apart = float(left) / float(one.len()) - float(right) / float(other.len());
        distance = distance.max(apart.abs());
    }
    let sizes = (float(one.len()), float(other.len()));
    let root = (sizes.0 * sizes.1 / (sizes.0 + sizes.1)).sqrt();
    let scaled = (root + 0.12 + 0.11 / root) * distance;
    // Below this the series converges slowly, and to nearly 1.
    if scaled < 0.2 {
        return (distance, 1.0);
    }
    let term = |number: i32| {
        let sign = if number % 2 == 0 { -1.0 } else { 1.0 };
        sign * (-2.0 * f64::from(number).powi(2) * scaled.powi(2)).exp()
    };
    let p = 2.0 * (1..=100).map(term).sum::<f64>();
    (distance, p.clamp(0.0, 1.0))
}

/// Random enough to shuffle by, and the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

/// A test that could not tell a difference would prove nothing.
#[test]
fn the_test_tells_samples_apart_that_differ_and_no_others() {
    let mut dice = Dice(7);
    let mut sample = |shift: f64| {
        let mut sample: Vec<f64> = (0..5_000)
            .map(|_| shift + (0..12).map(|_| float(dice.below(1_000))).sum::<f64>())
            .collect();
        sample.sort_by(f64::total_cmp);
        sample
    };
    // The standard deviation is about 1,000.
    let (one, same, shifted) = (sample(0.0), sample(0.0), sample(100.0));
    assert!(kolmogorov_smirnov(&one, &same).1 > 0.01);
    assert!(kolmogorov_smirnov(&one, &shifted).1 < 0.001);
    assert_eq!(kolmogorov_smirnov(&one, &one), (0.0, 1.0));
}

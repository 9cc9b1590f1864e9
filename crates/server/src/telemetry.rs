//! Log lines and metrics.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use metrics_process::Collector;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{Directive, LevelFilter},
    layer::SubscriberExt,
};

use crate::config::{LogConfig, LogFormat};

/// Seconds: from half a millisecond, which is a commit on a fast disk, to a client's patience.
const SECONDS_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// From the news to its receiver, in seconds: from what nobody notices to the end of the schedule.
const LAG_BUCKETS: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 600.0, 3_600.0, 36_000.0,
    360_000.0,
];
/// Items of a batch: up to the largest `database.batch_items`, and the largest bulk.
const ITEMS_BUCKETS: [f64; 12] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0, 128.0, 256.0, 512.0, 1_024.0,
];

/// Samples pile up between two scrapes unless they are folded in from time to time.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Counters of which rules for Prometheus take the increase (docs/OPERATIONS.md): what was not there
/// before has none, however soon it counts.
const COUNTED_FROM_THE_START: [&str; 4] = [
    "bursar_accounts_kept_total",
    "bursar_callbacks_dead_total",
    "bursar_commit_unknown_total",
    "bursar_integrity_breaches_total",
];

/// Targets that tell every step of theirs at `info`.
const TALKATIVE: [&str; 2] = ["actix_server", "bursar_postgres::local::launch"];

/// Sends log lines to standard error from here on.
///
/// # Errors
/// When something else has taken the logs of this process already.
pub fn start_logging(config: &LogConfig) -> anyhow::Result<()> {
    let subscriber = subscriber(config.format, quieted(config.level.clone()));
    tracing::subscriber::set_global_default(subscriber).context("logging was started twice")
}

/// At `info`, those who tell every step of theirs speak up only when something is wrong, unless a
/// directive asks for more.
fn quieted(level: EnvFilter) -> EnvFilter {
    let given = level.to_string();
    let mut directives = given.split(',');
    if !directives.any(|one| {
        one.parse()
            .is_ok_and(|level: LevelFilter| level == LevelFilter::INFO)
    }) {
        return level;
    }
    TALKATIVE
        .iter()
        .filter(|target| !given.contains(*target))
        .filter_map(|target| format!("{target}=warn").parse::<Directive>().ok())
        .fold(level, EnvFilter::add_directive)
}

fn subscriber(format: LogFormat, level: EnvFilter) -> impl tracing::Subscriber + Send + Sync {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        // Colours are for people; a terminal's user can still turn them off with NO_COLOR.
        LogFormat::Human if !io::stderr().is_terminal() => lines.with_ansi(false).boxed(),
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    };
    Registry::default().with(level).with(lines)
}

fn recorder() -> anyhow::Result<PrometheusRecorder> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?
        .set_buckets_for_metric(
            Matcher::Full("bursar_callback_lag_seconds".to_owned()),
            &LAG_BUCKETS,
        )?
        .set_buckets_for_metric(Matcher::Suffix("_items".to_owned()), &ITEMS_BUCKETS)?
        .build_recorder();
    Ok(recorder)
}

/// Makes the counters whose first step must not be missed. `pays_out` says whether there is a payout
/// gateway.
pub fn begin_counting(pays_out: bool) {
    for name in COUNTED_FROM_THE_START {
        metrics::counter!(name).increment(0);
    }
    if pays_out {
        metrics::counter!("bursar_payout_attempts_total", "outcome" => "contradicted").increment(0);
    }
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Arc<Collector>,
}

impl Metrics {
    /// Collects every metric from here on.
    ///
    /// # Errors
    /// When something else has taken the metrics of this process already.
    pub fn start() -> anyhow::Result<Self> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).context("metrics were started twice")?;
        let process = Collector::default();
        process.describe();
        Ok(Self {
            handle,
            process: Arc::new(process),
        })
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }

    /// Keeps the metrics small until told to stop.
    pub async fn keep_up(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.handle.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bulk is a batch of its own, of up to a thousand items; other batches have as many as
    /// `database.batch_items` says.
    #[test]
    fn the_largest_batches_are_told_from_each_other() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            for items in [65.0, 256.0, 1_000.0, 1_024.0] {
                metrics::histogram!("bursar_batch_items").record(items);
            }
        });
        let text = handle.render();
        for (up_to, count) in [(64, 0), (128, 1), (256, 2), (512, 2), (1_024, 4)] {
            let line = format!("bursar_batch_items_bucket{{le=\"{up_to}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    #[test]
    fn what_rules_take_the_increase_of_is_there_before_it_happens() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || begin_counting(true));
        let text = handle.render();
        let guide = include_str!("../../../docs/OPERATIONS.md");
        let taken = guide.split("increase(").skip(1);
        let series = taken.filter_map(|rest| Some(rest.split_once('[')?.0));
        let mut found = 0;
        // Of requests more than a few are waited for, and the first is not missed.
        for series in series.filter(|one| !one.starts_with("bursar_http_requests_total")) {
            assert!(
                text.contains(&format!("\n{series} 0\n")),
                "{series}: {text}"
            );
            found += 1;
        }
        assert!(found >= 5, "{found}");
    }

    /// A standby says no to balancers all the time, and not every POST moves money.
    #[test]
    fn rules_leave_out_what_is_no_trouble_and_name_routes_that_there_are() {
        let guide = include_str!("../../../docs/OPERATIONS.md");
        let rule = |alert: &str| {
            let (_, rest) = guide.split_once(&format!("- alert: {alert}\n")).unwrap();
            rest.lines().next().unwrap()
        };
        let document: serde_json::Value = serde_json::from_str(bursar_http::OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let (_, rest) = rule("AnswersFail").split_once("route!=\"").unwrap();
        let (probed, _) = rest.split_once('"').unwrap();
        assert_eq!(probed, "/health/ready");
        assert!(paths.contains_key(probed));
        let (_, rest) = rule("EventsStandStill").split_once("route=~\"").unwrap();
        let (moving, _) = rest.split_once('"').unwrap();
        for route in moving.split('|') {
            let part = route.trim_matches(|c: char| ".*+".contains(c));
            let mut posts = paths.iter().filter(|(_, item)| item.get("post").is_some());
            assert!(posts.any(|(path, _)| path.contains(part)), "{route}");
        }
    }

    /// Without a gateway nobody contradicts it.
    #[test]
    fn payouts_are_counted_where_there_are_any() {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || begin_counting(false));
        let text = handle.render();
        assert!(text.contains("\nbursar_commit_unknown_total 0\n"), "{text}");
        assert!(!text.contains("bursar_payout_attempts"), "{text}");
    }

    #[test]
    fn only_plain_info_is_quieted() {
        for (given, expected) in [
            (
                "info",
                "actix_server=warn,bursar_postgres::local::launch=warn,info",
            ),
            ("warn", "warn"),
            ("debug", "debug"),
        ] {
            let directives = quieted(EnvFilter::new(given)).to_string();
            let mut directives: Vec<_> = directives.split(',').collect();
            directives.sort_unstable();
            assert_eq!(directives.join(","), expected);
        }
        let asked = quieted(EnvFilter::new("info,actix_server=debug")).to_string();
        assert!(asked.contains("actix_server=debug"), "{asked}");
        assert!(!asked.contains("actix_server=warn"), "{asked}");
    }
}

//! The trials are tried: with a fault planted in the service, the same kills must find something wrong,
//! and it must be what that fault does.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use bursar_audit::Rule;
use bursar_postgres::faults::Planted;
use futures_util::FutureExt as _;
use rand::{SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;

use super::{
    super::{
        books::told_of,
        trial::{forget, save},
    },
    Plan,
    scene::{Scene, Settings},
};

/// How many cycles a fault may go unnoticed.
const CYCLES: u64 = 25;

/// What makes a fault show.
///
/// What is not written yet is lost with the processes that were to write it. Whoever commits and waits
/// for the disk writes what others have left, and callbacks are claimed and recorded all the time, so
/// that by itself hardly anything stays unwritten for as long as an answer takes. Here each of them
/// takes its time before it writes, and keeps everybody else from writing meanwhile. The server's
/// `synchronous_commit` stays on: whoever waits for the disk loses nothing by this.
const fn database_of(fault: Planted) -> Settings {
    match fault {
        Planted::CommitsAsynchronously => &[
            ("wal_writer_delay", "10s"),
            ("commit_delay", "30000"),
            ("commit_siblings", "0"),
        ],
        Planted::AnswersEarly
        | Planted::ForgetsKeys
        | Planted::TwoTransactions
        | Planted::LosesLines
        | Planted::ReleasesTwice
        | Planted::TellsBeforehand
        | Planted::TellsAfterwards
        | Planted::ReadsStale
        | Planted::Guesses => &[],
    }
}

/// The rules that a fault breaks. Whatever else is said to be wrong is an accident.
const fn broken_by(fault: Planted) -> &'static [Rule] {
    match fault {
        // What was answered is not to be seen yet, or never; whoever asks for it elsewhere gets another,
        // or is told that there is none.
        Planted::AnswersEarly => &[Rule::AnsweredIsThere, Rule::KeyIsOnce, Rule::OneOrder],
        // The same, and lines that somebody saw are gone.
        Planted::CommitsAsynchronously => &[
            Rule::BalanceIsItsEntries,
            Rule::AnsweredIsThere,
            Rule::KeyIsOnce,
            Rule::OneOrder,
        ],
        // No key tells who asked for what there is.
        Planted::ForgetsKeys => &[Rule::AnsweredIsThere, Rule::RefusedIsNot, Rule::KeyIsOnce],
        // Lines without the balances that follow from them; of an end, without what it lets go.
        Planted::TwoTransactions => &[
            Rule::BalanceIsItsEntries,
            Rule::NumberedWithoutGap,
            Rule::HeldIsOpen,
        ],
        // The balances are right, and the lines are not.
        Planted::LosesLines => &[
            Rule::SumsToZero,
            Rule::BalanceIsItsEntries,
            Rule::NumberedWithoutGap,
            Rule::FollowsFromTheLast,
            Rule::MovesWhatItSays,
        ],
        // The other way round, and the next line goes on from what is wrong.
        Planted::ReleasesTwice => &[
            Rule::SumsToZero,
            Rule::BalanceIsItsEntries,
            Rule::FollowsFromTheLast,
            Rule::HeldIsOpen,
        ],
        Planted::TellsBeforehand | Planted::TellsAfterwards => &[Rule::ReceiversAreTold],
        Planted::ReadsStale => &[Rule::OneOrder],
        Planted::Guesses => &[Rule::RefusedIsNot],
    }
}

/// What is said first where something does not come in time.
const IN_VAIN: &str = "waited in vain: ";

/// Whether the fault makes something stand still: that it does is no proof of it by itself, and of any
/// other fault it is an accident of a slow machine.
fn stands_still(fault: Planted) -> bool {
    // The next line of an account has the number of one whose balance was never written.
    fault == Planted::TwoTransactions
}

/// Whether what was said is what this fault does.
fn is_shown(fault: Planted, said: &str) -> bool {
    let is_broken = |rule: &Rule| said.contains(&format!("violated {rule}"));
    broken_by(fault).iter().any(is_broken)
}

/// Plants a fault; gives how many cycles it went unnoticed, and what was said then. Where something is
/// waited for in vain, the books say whether it is for the fault; if they do not, and the fault may have
/// been the reason, it has gone unnoticed so far.
async fn found(fault: Planted) -> (u64, String) {
    let plan = Plan {
        seed: rand::random(),
        cycles: CYCLES,
        answers: (100, 400),
        began: Instant::now(),
        length: Duration::from_secs(600),
    };
    let mut random = StdRng::seed_from_u64(plan.seed);
    let planted = format!("{}=return", fault.name());
    let settings = &[("FAILPOINTS", planted.as_str())];
    let mut cycles = 0;
    while cycles < CYCLES {
        let mut scene = Scene::set(settings, database_of(fault)).await;
        let tried = async {
            while cycles < CYCLES {
                scene.cycle(cycles, &plan, &mut random).await;
                scene.told().await;
                cycles += 1;
            }
        };
        let Err(found) = AssertUnwindSafe(tried).catch_unwind().await else {
            break;
        };
        let said = found.downcast_ref::<String>().cloned();
        let said = said.or_else(|| found.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        let mut said = said.unwrap_or_default();
        let is_in_vain = said.starts_with(IN_VAIN);
        if is_in_vain {
            let faults = told_of(&scene.faults().await);
            said = format!("{said}\n{faults}");
        }
        if !is_in_vain || is_shown(fault, &said) || !stands_still(fault) {
            return (cycles, said);
        }
        cycles += 1;
    }
    panic!("{CYCLES} kills later nobody has found out {fault:?}");
}

#[tokio::test]
async fn a_planted_fault_is_found_out() {
    forget("planted");
    let wanted = std::env::var("BURSAR_CHAOS_PLANTED").unwrap_or_else(|_| "1".to_owned());
    let chosen: Vec<Planted> = match wanted.parse() {
        Ok(count) => Planted::ALL
            .sample(&mut rand::rng(), count)
            .copied()
            .collect(),
        Err(_) => Planted::ALL
            .into_iter()
            .filter(|fault| fault.name() == wanted)
            .collect(),
    };
    assert!(!chosen.is_empty(), "{wanted}: nothing is planted");
    let mut report = vec![];
    for planted in chosen {
        let (cycles, said) = found(planted).await;
        let fault = planted.name();
        println!(
            "chaos, planted: {fault} found out in cycle {}: {said}",
            cycles + 1
        );
        let is_shown = is_shown(planted, &said);
        assert!(is_shown, "{fault} was found out by accident: {said}");
        report.push(json!({"fault": fault, "found_in_cycle": cycles + 1, "said": said}));
    }
    let planted = report.len();
    // None in N trials was missed, which bounds the rate by 3/N.
    println!(
        "chaos, planted: {planted} of {planted} found out; fewer than 3 of {planted} are missed (95 %)"
    );
    let report = json!({
        "planted": planted, "missed": 0, "missed_below": format!("3/{planted}"), "found": report,
    });
    save("planted", &report);
}

#[test]
fn what_a_slow_machine_says_is_not_what_a_fault_does() {
    let accidents = [
        "waited in vain: a replica is ready",
        "waited in vain: every callback is delivered",
        "waited in vain: 40 answers\n",
        "violated A19: what is rare was hardly tried: 0 cycles",
        "called `Result::unwrap()` on an `Err` value: urn:bursar:problem:internal",
    ];
    for fault in Planted::ALL {
        // Even where the fault may be the reason.
        for said in accidents {
            assert!(!is_shown(fault, said), "{fault:?}: {said}");
        }
        for rule in broken_by(fault) {
            for before in ["", "waited in vain: 40 answers\n"] {
                let said = format!("{before}violated {rule}: key a");
                assert!(is_shown(fault, &said), "{fault:?}: {said}");
            }
        }
    }
}

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::callback_body::tests::deposit;

impl Dispatch {
    /// The hosts that are left alone but for probes.
    pub(super) fn open_breakers(&self) -> BTreeMap<String, OpenBreaker> {
        self.seen.all()
    }
}

const LIMITS: DispatchLimits = DispatchLimits {
    overall: 16,
    per_subscriber: 8,
    per_host: 4,
};

fn at(ms: i64) -> Timestamp {
    plus_ms(Timestamp::EPOCH, ms + 1_000_000_000)
}

fn lane(subscriber: &str, host: &str) -> Lane {
    Lane {
        subscriber: subscriber.to_owned(),
        host: host.to_owned(),
    }
}

/// Something final has been due in the lane since the time in milliseconds.
fn due(lane: Lane, since: i64) -> DueLane {
    DueLane {
        lane,
        is_final: true,
        due_at: at(since),
    }
}

/// Begins a delivery in a lane.
fn begin(dispatch: &mut Dispatch, lane: &Lane, now: Timestamp) -> Ticket {
    let callback = ClaimedCallback {
        lane: lane.clone(),
        ..deposit(bursar_domain::DepositState::Completed)
    };
    dispatch.begin(&callback, now).0
}

/// What each of the lanes may have.
fn shares(dispatch: &mut Dispatch, due: &[DueLane], now: i64) -> HashMap<Lane, u32> {
    let allotment = dispatch.allot(due, at(now));
    let shares = allotment.shares.into_iter();
    shares.map(|share| (share.lane, share.places)).collect()
}

/// One that has heard this of each of these hosts, this often.
fn heard(hosts: &[&str], reception: Reception, times: u32) -> Dispatch {
    let mut dispatch = Dispatch::new(LIMITS);
    for host in hosts {
        for _ in 0..times {
            let ticket = begin(&mut dispatch, &lane("before", host), at(0));
            dispatch.end(ticket, reception, 0, at(0));
        }
    }
    dispatch
}

#[test]
fn there_is_room_until_all_places_are_taken() {
    let mut dispatch = Dispatch::new(LIMITS);
    for host in 0..LIMITS.overall {
        assert!(dispatch.has_room());
        begin(&mut dispatch, &lane("a", &host.to_string()), at(0));
    }
    assert!(!dispatch.has_room());
}

/// Whether a host has caught up is told by what is next in line for it: final states before others,
/// and of those the oldest.
#[test]
fn a_host_recovers_until_what_is_next_for_it_is_young() {
    let old = || due(lane("a", "h"), -60_000);
    let young = || due(lane("b", "h"), 2_900);
    let not_final = || DueLane {
        is_final: false,
        ..old()
    };
    for (waiting, is_recovering) in [
        ([old(), young()], true),
        ([young(), old()], true),
        ([young(), young()], false),
        ([not_final(), young()], false),
        ([young(), not_final()], false),
        ([not_final(), not_final()], true),
    ] {
        let mut dispatch = heard(&["h"], Reception::Away, 5);
        let ticket = begin(&mut dispatch, &lane("before", "h"), at(0));
        dispatch.end(ticket, Reception::Taken, 0, at(0));
        dispatch.observe(&waiting, at(3_000));
        let (room, _) = dispatch.hosts["h"].pace.room(4, at(3_000));
        assert_eq!(room < 4, is_recovering, "{waiting:?}");
    }
}

#[test]
fn a_host_earns_its_places_by_what_it_takes() {
    let asked = [due(lane("a", "h"), 0)];
    for (times, places) in [(0, 1), (1, 2), (3, 4), (9, 4)] {
        let mut dispatch = heard(&["h"], Reception::Taken, times);
        let shares = shares(&mut dispatch, &asked, 0);
        assert_eq!(shares[&asked[0].lane], places, "{times}");
    }
    let mut dispatch = heard(&["h"], Reception::Taken, 9);
    let ticket = begin(&mut dispatch, &asked[0].lane, at(0));
    dispatch.end(ticket, Reception::Away, 0, at(0));
    assert_eq!(shares(&mut dispatch, &asked, 0)[&asked[0].lane], 1);
}

#[test]
fn places_go_round_before_anybody_gets_a_second_one() {
    let hosts: Vec<String> = (0..10).map(|n| format!("h{n}")).collect();
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mut dispatch = heard(&names, Reception::Taken, 9);
    let asked: Vec<DueLane> = hosts
        .iter()
        .map(|host| due(lane(&format!("s-{host}"), host), 0))
        .collect();
    let shares = shares(&mut dispatch, &asked, 0);
    assert_eq!(shares.values().sum::<u32>(), LIMITS.overall);
    assert!(shares.values().all(|places| (1..=2).contains(places)));
    assert_eq!(shares.len(), 10);
}

#[test]
fn final_states_come_first_and_then_what_has_waited_for_longest() {
    let mut dispatch = Dispatch::new(DispatchLimits {
        overall: 1,
        ..LIMITS
    });
    let mut asked = vec![
        due(lane("a", "young"), 9),
        due(lane("b", "old"), 5),
        DueLane {
            is_final: false,
            ..due(lane("c", "not final"), 1)
        },
    ];
    for host in ["old", "young", "not final"] {
        let shares = shares(&mut dispatch, &asked, 10);
        let [first] = shares.keys().collect::<Vec<_>>()[..] else {
            panic!("{shares:?}");
        };
        assert_eq!(first.host, host);
        asked.retain(|lane| lane.lane.host != host);
    }
}

#[test]
fn a_subscriber_with_many_hosts_leaves_room_for_others() {
    let mut dispatch = Dispatch::new(LIMITS);
    let mut asked: Vec<DueLane> = (0..100)
        .map(|n| due(lane("many", &format!("h{n}")), 0))
        .collect();
    asked.push(due(lane("one", "h"), 50));
    let shares = shares(&mut dispatch, &asked, 60);
    assert_eq!(shares[&lane("one", "h")], 1);
    // Nobody knows these hosts yet, so they share half of what the subscriber may have.
    assert_eq!(shares.len(), 1 + 4);
    for lane in shares.keys() {
        begin(&mut dispatch, lane, at(60));
    }
    let more = dispatch.allot(&asked, at(61));
    assert_eq!(more.shares, vec![]);
}

#[test]
fn half_of_the_places_are_for_those_who_answer() {
    let mut dispatch = heard(&["well"], Reception::Taken, 9);
    let asked: Vec<DueLane> = (0..100)
        .map(|n| due(lane(&format!("s{n}"), &format!("h{n}")), 0))
        .collect();
    let unknown = shares(&mut dispatch, &asked, 1);
    assert_eq!(unknown.values().sum::<u32>(), 8);
    for lane in unknown.keys() {
        begin(&mut dispatch, lane, at(1));
    }
    let mut asked = asked;
    asked.push(due(lane("well", "well"), 1));
    let answering = shares(&mut dispatch, &asked, 2);
    assert_eq!(answering, HashMap::from([(lane("well", "well"), 4)]));
}

/// LIMITS leave eight places to suspects, four to those of one subscriber: two could hold them all.
#[test]
fn places_of_suspects_go_round_between_subscribers() {
    let mut dispatch = Dispatch::new(LIMITS);
    let lanes: Vec<Lane> = (0..8)
        .map(|n| lane(if n % 2 == 0 { "a" } else { "b" }, &format!("hangs{n}")))
        .collect();
    let mut tickets = vec![];
    for lane in &lanes {
        tickets.push(begin(&mut dispatch, lane, at(0)));
    }
    let newcomer = due(lane("c", "new"), 500);
    let backlog = (8..20).map(|n| due(lane("a", &format!("hangs{n}")), 1));
    let asked: Vec<DueLane> = backlog.chain([newcomer.clone()]).collect();
    assert_eq!(shares(&mut dispatch, &asked, 600), HashMap::new());
    let ended = tickets.remove(0);
    dispatch.end(ended, Reception::Away, 0, at(600));
    let expected = HashMap::from([(newcomer.lane, 1)]);
    assert_eq!(shares(&mut dispatch, &asked, 600), expected);
}

#[test]
fn who_hangs_for_a_second_is_a_suspect_like_others() {
    let hosts = ["a", "b", "c", "d"];
    let mut dispatch = heard(&hosts, Reception::Taken, 9);
    for host in ["a", "b", "c"] {
        for _ in 0..2 {
            begin(&mut dispatch, &lane("s", host), at(0));
        }
    }
    // "a" would have two more.
    let asked = [due(lane("s", "a"), 0)];
    assert_eq!(shares(&mut dispatch, &asked, 999).len(), 1);
    assert_eq!(shares(&mut dispatch, &asked, 1_000).len(), 0);
    let asked = [due(lane("s", "d"), 0)];
    assert_eq!(
        shares(&mut dispatch, &asked, 1_000).values().sum::<u32>(),
        2
    );
}

#[test]
fn a_full_subscriber_is_told_so_that_its_lanes_are_passed_over() {
    let mut dispatch = Dispatch::new(LIMITS);
    let tickets: Vec<Ticket> = (0..8)
        .map(|n| begin(&mut dispatch, &lane("full", &format!("h{n}")), at(0)))
        .collect();
    begin(&mut dispatch, &lane("other", "h0"), at(0));
    assert_eq!(dispatch.full_subscribers(), ["full"]);
    dispatch.lose(tickets[0], at(0));
    assert_eq!(dispatch.full_subscribers(), Vec::<String>::new());
    assert_eq!(dispatch.under_way(), 8);
    dispatch.lose(tickets[0], at(0));
    assert_eq!(dispatch.under_way(), 8);
}

#[test]
fn an_open_breaker_lets_one_through_at_a_time_and_says_when() {
    let mut dispatch = heard(&["gone"], Reception::Away, 5);
    let probing = |probe_at| BTreeMap::from([("gone".to_owned(), OpenBreaker { probe_at })]);
    assert_eq!(dispatch.open_breakers(), probing(Some(at(5_000))));
    let asked = [due(lane("a", "gone"), 0), due(lane("b", "gone"), 0)];
    let shut = dispatch.allot(&asked, at(0));
    assert_eq!((shut.shares, shut.again_at), (vec![], Some(at(5_000))));
    let probe = dispatch.allot(&asked, at(5_000));
    assert_eq!(probe.shares.len(), 1);
    assert_eq!(probe.shares[0].places, 1);
    let ticket = begin(&mut dispatch, &probe.shares[0].lane, at(5_000));
    assert_eq!(dispatch.allot(&asked, at(6_000)), Allotment::default());
    assert_eq!(dispatch.open_breakers(), probing(None));
    dispatch.end(ticket, Reception::Refused, 0, at(7_000));
    assert_eq!(dispatch.open_breakers(), BTreeMap::new());
}

/// As soon as anything of them is known, and nothing of a dispatch that was there before.
#[test]
fn open_breakers_are_left_where_others_look() {
    let seen = BreakersSeen::default();
    let stale = OpenBreaker { probe_at: None };
    seen.tell(BTreeMap::from([("stale".to_owned(), stale)]));
    let mut dispatch = Dispatch::seen_in(LIMITS, seen.clone());
    assert_eq!(seen.of("stale"), None);
    let lane = lane("a", "gone");
    for _ in 0..5 {
        assert_eq!((seen.of("gone"), dispatch.breakers_open()), (None, 0));
        let ticket = begin(&mut dispatch, &lane, at(0));
        dispatch.end(ticket, Reception::Away, 0, at(0));
    }
    let probe_at = Some(at(5_000));
    assert_eq!(seen.of("gone"), Some(OpenBreaker { probe_at }));
    assert_eq!(dispatch.breakers_open(), 1);
    let ticket = begin(&mut dispatch, &lane, at(5_000));
    assert_eq!(seen.of("gone"), Some(OpenBreaker { probe_at: None }));
    dispatch.end(ticket, Reception::Taken, 0, at(5_001));
    assert_eq!((seen.of("gone"), dispatch.breakers_open()), (None, 0));
}

/// Users choose how many hosts there are, and deliveries end and looks begin hundreds of times a
/// second. Here something happens to a host behind the back of the dispatch: whoever went through all
/// hosts would find it.
#[test]
fn neither_a_look_nor_what_others_see_goes_through_all_hosts() {
    let mut dispatch = heard(&["h", "other"], Reception::Taken, 1);
    let host = dispatch.hosts.get_mut("h").unwrap();
    host.pace.recover(at(0));
    for _ in 0..5 {
        host.breaker.missed(false, at(0));
    }
    assert!(host.breaker.is_open());
    dispatch.allot(&[due(lane("a", "other"), 0)], at(10_000));
    assert!(dispatch.hosts["h"].pace.is_recovering());
    assert_eq!(dispatch.breakers_open(), 0);
    assert_eq!(dispatch.open_breakers(), BTreeMap::new());
}

/// When it fails, what has waited behind it for too long is given up. The waits for the probes of an
/// open breaker are 5, 10, 20, 40, 80 and 160 seconds, and then five minutes.
#[test]
fn only_a_probe_of_a_host_that_was_away_for_long_is_a_last_call() {
    let mut dispatch = heard(&["gone"], Reception::Away, 5);
    let callback = ClaimedCallback {
        lane: lane("a", "gone"),
        ..deposit(bursar_domain::DepositState::Completed)
    };
    let mut last_calls = vec![];
    for _ in 0..8 {
        let (ticket, is_last_call) = dispatch.begin(&callback, at(0));
        last_calls.push(is_last_call);
        dispatch.end(ticket, Reception::Away, 0, at(0));
    }
    let expected = [false, false, false, false, false, false, true, true];
    assert_eq!(last_calls, expected);
}

/// Waits until a probe may go out, begins it, and tells whose it is.
fn probe(dispatch: &mut Dispatch, asked: &[DueLane], now: &mut Timestamp) -> (Ticket, String) {
    if let Some(again_at) = dispatch.allot(asked, *now).again_at {
        *now = again_at;
    }
    let shares = dispatch.allot(asked, *now).shares;
    let [share] = &shares[..] else {
        panic!("{shares:?}");
    };
    assert_eq!(share.places, 1);
    let ticket = begin(dispatch, &share.lane, *now);
    (ticket, share.lane.subscriber.clone())
}

/// The oldest backlog had every probe: a URL that only ever answers 503 kept a host's breaker open,
/// and another subscriber's callbacks, which the same host would have taken, from being tried.
#[test]
fn probes_go_round_between_those_who_wait() {
    let mut dispatch = heard(&["h"], Reception::Away, 5);
    let asked = [
        due(lane("a", "h"), 0),
        due(lane("b", "h"), 100),
        DueLane {
            is_final: false,
            ..due(lane("c", "h"), -100)
        },
    ];
    let mut now = at(200);
    for expected in ["a", "b", "c", "a", "b", "c", "a"] {
        let (ticket, subscriber) = probe(&mut dispatch, &asked, &mut now);
        assert_eq!(subscriber, expected);
        dispatch.end(ticket, Reception::Away, 0, now);
    }
    assert_eq!(dispatch.hosts["h"].probed_at.len(), 3);
    let (ticket, subscriber) = probe(&mut dispatch, &asked, &mut now);
    assert_eq!(subscriber, "b");
    dispatch.end(ticket, Reception::Taken, 0, now);
    assert_eq!(dispatch.open_breakers(), BTreeMap::new());
    assert_eq!(dispatch.hosts["h"].probed_at, HashMap::new());
}

/// LIMITS leave four places at suspects to one subscriber.
#[test]
fn who_may_have_no_place_keeps_nobody_from_a_probe() {
    let mut dispatch = heard(&["h"], Reception::Away, 5);
    let asked = [due(lane("a", "h"), 0), due(lane("b", "h"), 100)];
    let mut now = at(200);
    let (ticket, subscriber) = probe(&mut dispatch, &asked, &mut now);
    assert_eq!(subscriber, "a");
    dispatch.end(ticket, Reception::Away, 0, now);
    let hanging: Vec<Ticket> = (0..4)
        .map(|n| begin(&mut dispatch, &lane("b", &format!("hangs{n}")), now))
        .collect();
    let (ticket, subscriber) = probe(&mut dispatch, &asked, &mut now);
    assert_eq!(subscriber, "a");
    dispatch.end(ticket, Reception::Away, 0, now);
    for ticket in hanging {
        dispatch.end(ticket, Reception::Away, 0, now);
    }
    assert_eq!(probe(&mut dispatch, &asked, &mut now).1, "b");
}

#[test]
fn callbacks_without_a_host_tell_nothing_of_each_other() {
    let mut dispatch = heard(&[""], Reception::Away, 50);
    assert_eq!(dispatch.open_breakers(), BTreeMap::new());
    let shares = shares(&mut dispatch, &[due(Lane::default(), 0)], 0);
    assert_eq!(shares[&Lane::default()], LIMITS.per_host);
}

#[test]
fn a_first_success_after_a_long_wait_is_the_end_of_an_outage_nobody_remembers() {
    let mut dispatch = Dispatch::new(LIMITS);
    for (lag_ms, places) in [(59_999, 2), (60_000, 0)] {
        let host = lag_ms.to_string();
        let ticket = begin(&mut dispatch, &lane("s", &host), at(0));
        dispatch.end(ticket, Reception::Taken, lag_ms, at(0));
        let shares = shares(&mut dispatch, &[due(lane("s", &host), -60_000)], 0);
        assert_eq!(shares.values().sum::<u32>(), places, "{lag_ms}");
    }
}

#[test]
fn idle_hosts_are_forgotten_and_busy_ones_are_not() {
    let mut dispatch = heard(&["idle"], Reception::Taken, 1);
    let ticket = begin(&mut dispatch, &lane("s", "busy"), at(0));
    dispatch.allot(&[], at(REMEMBERED_MS - 1));
    assert_eq!(dispatch.hosts.len(), 2);
    dispatch.allot(&[], at(REMEMBERED_MS + FORGET_EVERY_MS));
    assert_eq!(dispatch.hosts.keys().collect::<Vec<_>>(), ["busy"]);
    dispatch.end(ticket, Reception::Taken, 0, at(REMEMBERED_MS));
}

#[test]
fn a_host_is_forgotten_after_a_quarter_of_an_hour_to_the_millisecond() {
    let mut dispatch = heard(&["earlier"], Reception::Taken, 1);
    let ticket = begin(&mut dispatch, &lane("s", "later"), at(1));
    dispatch.end(ticket, Reception::Taken, 0, at(1));
    dispatch.allot(&[], at(REMEMBERED_MS));
    assert_eq!(dispatch.hosts.keys().collect::<Vec<_>>(), ["later"]);
}

#[test]
fn nothing_is_kept_of_a_host_that_is_forgotten() {
    let mut dispatch = heard(&["gone"], Reception::Away, 5);
    let ticket = begin(&mut dispatch, &lane("s", "back"), at(0));
    dispatch.end(ticket, Reception::Taken, 60_000, at(0));
    assert_eq!(
        (dispatch.breakers_open(), dispatch.recovering.len()),
        (1, 1)
    );
    // What waits for it is old, so that it does not catch up.
    dispatch.allot(&[due(lane("s", "back"), 0)], at(REMEMBERED_MS));
    assert_eq!(dispatch.hosts.len(), 0);
    assert_eq!(
        (dispatch.breakers_open(), dispatch.recovering.len()),
        (0, 0)
    );
}

/// What is kept of some hosts is what going through all of them would find.
fn nothing_is_missed(dispatch: &Dispatch) {
    let hosts = dispatch.hosts.iter();
    let open = hosts.filter_map(|(name, host)| Some((name.clone(), host.breaker.opening()?)));
    let open: BTreeMap<String, OpenBreaker> = open.collect();
    assert_eq!(dispatch.open_breakers(), open);
    let hosts = dispatch.hosts.iter();
    let recovering = hosts.filter(|(_, host)| host.pace.is_recovering());
    let recovering: BTreeSet<String> = recovering.map(|(name, _)| name.clone()).collect();
    assert_eq!(dispatch.recovering, recovering);
}

/// What may happen to a dispatch.
#[derive(Clone, Debug)]
enum Step {
    /// Something is due in these lanes, (subscriber, host); everything that is allotted begins.
    Look(Vec<(u8, u8)>),
    /// One that is under way ends.
    End(prop::sample::Index, Reception),
    /// Time passes.
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reception = prop_oneof![
        3 => Just(Reception::Taken),
        1 => Just(Reception::Refused),
        2 => Just(Reception::Away),
        1 => Just(Reception::Unheard),
    ];
    let step = prop_oneof![
        2 => prop::collection::vec((0..4_u8, 0..6_u8), 0..12).prop_map(Step::Look),
        4 => (any::<prop::sample::Index>(), reception).prop_map(|(i, r)| Step::End(i, r)),
        1 => (0..20_000_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    /// Whatever happens: no limit is ever exceeded, an open host has one probe at most, and when
    /// everything has ended everybody who has something due gets a place in the end.
    #[test]
    fn no_limit_is_ever_exceeded_and_nobody_waits_for_ever(steps in steps()) {
        let mut dispatch = Dispatch::new(LIMITS);
        let mut flying: Vec<(Ticket, Lane)> = vec![];
        let mut now = 0;
        for step in steps {
            match step {
                Step::Look(lanes) => {
                    let named = |(s, h): &(u8, u8)| lane(&format!("s{s}"), &format!("h{h}"));
                    let mut lanes: Vec<Lane> = lanes.iter().map(named).collect();
                    lanes.sort();
                    lanes.dedup();
                    let asked: Vec<_> = lanes.into_iter().map(|lane| due(lane, now)).collect();
                    for share in dispatch.allot(&asked, at(now)).shares {
                        prop_assert!(share.places > 0);
                        for _ in 0..share.places {
                            let host = dispatch.hosts.get(&share.lane.host);
                            let was_open = host.is_some_and(|host| host.breaker.is_open());
                            prop_assert!(!was_open || share.places == 1);
                            let ticket = begin(&mut dispatch, &share.lane, at(now));
                            flying.push((ticket, share.lane.clone()));
                        }
                    }
                }
                Step::End(index, reception) => {
                    if !flying.is_empty() {
                        let (ticket, _) = flying.swap_remove(index.index(flying.len()));
                        dispatch.end(ticket, reception, 0, at(now));
                    }
                }
                Step::Wait(ms) => now += ms,
            }
            nothing_is_missed(&dispatch);
            let count = |same: &dyn Fn(&Lane) -> bool| {
                u32::try_from(flying.iter().filter(|(_, lane)| same(lane)).count()).unwrap()
            };
            prop_assert_eq!(dispatch.under_way(), count(&|_| true));
            prop_assert!(count(&|_| true) <= LIMITS.overall);
            for (_, lane) in &flying {
                prop_assert!(count(&|one| one.host == lane.host) <= LIMITS.per_host);
                let held = count(&|one| one.subscriber == lane.subscriber);
                prop_assert!(held <= LIMITS.per_subscriber);
            }
        }
        for (ticket, _) in flying {
            dispatch.end(ticket, Reception::Unheard, 0, at(now));
        }
        now += 300_000;
        for subscriber in 0..4 {
            for host in 0..6 {
                let asked = [due(lane(&format!("s{subscriber}"), &format!("h{host}")), now)];
                prop_assert_eq!(dispatch.allot(&asked, at(now)).shares.len(), 1);
            }
        }
    }
}

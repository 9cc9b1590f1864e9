//! Stops.

use super::*;

#[tokio::test]
async fn stops_say_who_and_when() {
    for (scope, target) in [
        (StopScope::ReadOnly, "stop:read_only"),
        (StopScope::Outgoing(btc().id), "stop:outgoing:btc"),
    ] {
        let stop = Stop {
            scope,
            reason: "why".to_owned(),
            stopped_by: admin().actor(),
            stopped_at: NOW,
        };
        let mut mocks = Mocks::new();
        mocks.has_asset(&btc());
        mocks
            .rule_book
            .expect_stop()
            .with(eq(stop.clone()), eq(audited("stop.put", target)))
            .times(1)
            .return_once(|_, _| Ok(()));
        let listed = vec![stop];
        let list = listed.clone();
        mocks
            .rule_book
            .expect_list_stops()
            .times(1)
            .return_once(move || Ok(list));
        let app = mocks.app();
        let answer = app.stop(&admin(), scope, "why".to_owned()).await;
        answer.unwrap();
        assert_eq!(app.list_stops(&admin()).await.unwrap(), listed);
    }
}

#[tokio::test]
async fn only_the_stop_that_is_expected_is_lifted() {
    let was = Expected::Exactly(StopMark {
        stopped_by: admin().actor(),
        stopped_at: NOW,
    });
    for outcome in [Lift::Lifted, Lift::NotStopped, Lift::Overtaken] {
        let mut mocks = Mocks::new();
        mocks
            .rule_book
            .expect_lift()
            .with(
                eq(StopScope::ReadOnly),
                eq(was.clone()),
                eq(audited("stop.lift", "stop:read_only")),
            )
            .times(1)
            .return_once(move |_, _, _| Ok(outcome));
        let (app, admin) = (mocks.app(), admin());
        let answer = app.lift_stop(&admin, StopScope::ReadOnly, was.clone());
        let answer = answer.await;
        match outcome {
            Lift::Lifted => answer.unwrap(),
            Lift::NotStopped => assert_missing(&answer, Missing::Stop),
            Lift::Overtaken => assert!(matches!(answer, Err(Error::Overtaken))),
        }
    }
}

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
async fn only_what_is_stopped_is_lifted() {
    for there in [true, false] {
        let mut mocks = Mocks::new();
        mocks
            .rule_book
            .expect_lift()
            .with(
                eq(StopScope::ReadOnly),
                eq(audited("stop.lift", "stop:read_only")),
            )
            .times(1)
            .return_once(move |_, _| Ok(there));
        let answer = mocks.app().lift_stop(&admin(), StopScope::ReadOnly).await;
        if there {
            answer.unwrap();
        } else {
            assert_missing(&answer, Missing::Stop);
        }
    }
}

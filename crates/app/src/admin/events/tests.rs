use bursar_ports::{Permission, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{ALICE, BOB, Mocks, NOW, operator, other_grants};

fn event(number: i64, what: Happening) -> Event {
    Event {
        number,
        at: NOW,
        what,
    }
}

fn step(transfer: Transfer, status: Status) -> Step {
    Step {
        reversed: false,
        transfer,
        version: Version::FIRST,
        status,
    }
}

fn transfers() -> [Transfer; 2] {
    let new = |number| {
        let asset = build::asset("btc", 8);
        build::new_transfer(build::transfer_id(number), &asset, 5, NOW)
    };
    [
        build::withdrawal(new(1), ALICE).next,
        build::internal(new(2), ALICE, BOB).next,
    ]
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let listed = Mocks::new().app().list_events(&grant, 0, 9).await;
        assert!(matches!(listed, Err(Error::Forbidden(Permission::Admin))));
    }
}

#[tokio::test]
async fn steps_and_notices_are_told_with_their_names() {
    let [withdrawal, payment] = transfers();
    let data = BTreeMap::from([("expires_at".to_owned(), "soon".to_owned())]);
    let events = vec![
        event(
            5,
            Happening::Step(Step {
                version: Version::new(2),
                ..step(payment.clone(), Status::Success)
            }),
        ),
        event(
            6,
            Happening::Notice {
                topic: "withdrawal.expiring".to_owned(),
                about: Some(step(withdrawal.clone(), Status::AwaitingConfirmation)),
                data: data.clone(),
            },
        ),
        event(
            7,
            Happening::Notice {
                topic: "asset.stopped".to_owned(),
                about: None,
                data: BTreeMap::new(),
            },
        ),
    ];
    for permission in READERS {
        let mut mocks = Mocks::new();
        let page = EventPage::Events(events.clone());
        let asked = mocks.events.expect_list().with(eq(4), eq(9)).times(1);
        asked.return_once(|_, _| Ok(page));
        let app = mocks.app();
        let told = app.list_events(&operator(permission), 4, 9).await.unwrap();
        let names: Vec<(i64, &str)> = told
            .iter()
            .map(|event| (event.number, event.event_type.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                (5, "internal.succeeded"),
                (6, "withdrawal.expiring"),
                (7, "asset.stopped")
            ]
        );
        let paid = told[0].about.as_ref().unwrap();
        assert_eq!((&paid.transfer, paid.status), (&payment, Status::Success));
        assert_eq!(paid.code, app.code_of(&payment));
        assert!(paid.code.is_some());
        let expiring = told[1].about.as_ref().unwrap();
        assert_eq!(expiring.transfer, withdrawal);
        assert_eq!(expiring.code, None);
        assert_eq!(told[1].data, data);
        assert_eq!(told[2].about, None);
        // A notice leaves its transfer as it was.
        assert_eq!(
            (paid.version, expiring.version),
            (Version::new(2), Version::FIRST)
        );
        let steps: Vec<bool> = told.iter().map(|event| event.is_step).collect();
        assert_eq!(steps, [true, false, false]);
    }
}

#[tokio::test]
async fn whoever_is_too_far_behind_is_told_where_to_begin() {
    let mut mocks = Mocks::new();
    let asked = mocks.events.expect_list().times(1);
    asked.return_once(|_, _| Ok(EventPage::Pruned { oldest: 70 }));
    let grant = operator(Permission::BackofficeRead);
    let listed = mocks.app().list_events(&grant, 4, 9).await;
    assert!(matches!(listed, Err(Error::EventsPruned { oldest: 70 })));
}

#[tokio::test]
async fn whoever_is_ahead_is_told_where_the_feed_ends() {
    let mut mocks = Mocks::new();
    let asked = mocks.events.expect_list().times(1);
    asked.return_once(|_, _| Ok(EventPage::Ahead { last: 3 }));
    let grant = operator(Permission::BackofficeRead);
    let listed = mocks.app().list_events(&grant, 4, 9).await;
    assert!(matches!(listed, Err(Error::EventsAhead { last: 3 })));
}

#[tokio::test]
async fn an_outage_is_told() {
    let mut mocks = Mocks::new();
    let asked = mocks.events.expect_list().times(1);
    asked.return_once(|_, _| Err(StoreError::Overloaded));
    let listed = mocks
        .app()
        .list_events(&operator(Permission::Admin), 4, 9)
        .await;
    assert!(matches!(listed, Err(Error::Store(StoreError::Overloaded))));
}

use bursar_domain::{BigDecimal, NewTransfer, RootRate, Version};
use bursar_ports::{QueueSlice, StoreError};
use bursar_testkit::build;
use mockall::predicate::eq;

use super::*;
use crate::test_support::{
    ALICE, Mocks, NOW, assert_unavailable, audited, btc, operator, other_grants, stored,
    unavailable, usd,
};

const MINUTE_US: i64 = 60_000_000;

/// A withdrawal of 2 btc at a rate of 50000 that waits for its first operator.
fn withdrawal() -> Transfer {
    let new = NewTransfer {
        root_rate: Some(RootRate {
            asset: usd().id,
            scale: usd().scale,
            rate: BigDecimal::from(50_000),
            source: None,
            rated_at: None,
        }),
        ..build::new_transfer(build::transfer_id(7), &btc(), 200_000_000, NOW)
    };
    build::withdrawal(new, ALICE).next
}

/// A deposit that waits for a second operator.
fn approval() -> Transfer {
    let mut parts = deposit().parts().clone();
    parts.body = bursar_domain::Body::Deposit {
        user: ALICE,
        state: bursar_domain::DepositState::AwaitingApproval,
    };
    Transfer::from_parts(parts)
}

fn deposit() -> Transfer {
    let new = build::new_transfer(build::transfer_id(8), &btc(), 5, NOW);
    build::deposit(new, ALICE).next
}

fn search(which: OpenWork) -> QueueSearch {
    QueueSearch {
        which,
        sort: QueueOrder::Value,
        asset: Some(btc().id),
        after: None,
        limit: 3,
    }
}

fn taking(transfer: &Transfer, by: &str) -> Taking {
    Taking {
        transfer: transfer.id(),
        version: transfer.version(),
        by: ActorId::new(by),
        taken_at: NOW,
        until: NOW.plus_micros(5 * MINUTE_US),
    }
}

fn target(transfer: &Transfer) -> String {
    format!("transfer:{}", transfer.id())
}

/// A store with this transfer, whose queue answers this to whoever takes it for five minutes.
fn takes(transfer: &Transfer, answer: Result<Take, StoreError>) -> Mocks {
    let mut mocks = stored(transfer);
    mocks
        .work_queue
        .expect_take()
        .with(
            eq(taking(transfer, "credential-1")),
            eq(audited("transfer.take", &target(transfer))),
        )
        .times(1)
        .return_once(move |_, _| answer);
    mocks
}

async fn take(mocks: Mocks, transfer: &Transfer) -> Result<Taken, Error> {
    let grant = operator(Permission::BackofficeApprove);
    mocks.app().take(&grant, Some(transfer.id())).await
}

async fn let_go(mocks: Mocks, transfer: &Transfer) -> Result<(), Error> {
    let grant = operator(Permission::BackofficeConfirm);
    mocks.app().let_go(&grant, Some(transfer.id())).await
}

#[tokio::test]
async fn another_permission_is_refused_before_anything_is_looked_at() {
    for grant in other_grants(&READERS) {
        let app = Mocks::new().app();
        let listed = app.queue(&grant, search(OpenWork::Withdrawals)).await;
        assert!(matches!(listed, Err(Error::Forbidden(Permission::Admin))));
        let taken = app.taken(&grant, &withdrawal()).await;
        assert!(matches!(taken, Err(Error::Forbidden(Permission::Admin))));
    }
    for grant in other_grants(&TAKERS) {
        let app = Mocks::new().app();
        let wanted = Permission::BackofficeConfirm;
        let taken = app.take(&grant, Some(withdrawal().id())).await;
        assert!(matches!(taken, Err(Error::Forbidden(missing)) if missing == wanted));
        let let_go = app.let_go(&grant, Some(withdrawal().id())).await;
        assert!(matches!(let_go, Err(Error::Forbidden(missing)) if missing == wanted));
    }
}

#[tokio::test]
async fn a_row_tells_its_value_and_who_is_at_it_as_it_is_now() {
    let (mine, older) = (withdrawal(), build::transfer_id(9));
    let mut parts = withdrawal().parts().clone();
    parts.id = older;
    parts.version = Version::new(2);
    parts.root_rate = None;
    let other = Transfer::from_parts(parts);
    let place = QueuePlace::of(&other, QueueOrder::Value);
    for permission in READERS {
        let mut mocks = Mocks::new();
        let scan = QueueScan {
            which: OpenWork::Withdrawals,
            order: QueueOrder::Value,
            asset: Some(btc().id),
            after: None,
            limit: 3,
        };
        // The deposit has been acted on since the page was read.
        let slice = QueueSlice {
            transfers: vec![mine.clone(), deposit(), other.clone()],
            next: Some(place.clone()),
        };
        mocks
            .work_queue
            .expect_list_open()
            .with(eq(scan))
            .times(1)
            .return_once(move |_| Ok(slice));
        let takings = vec![
            taking(&mine, "bob"),
            Taking {
                version: Version::FIRST,
                ..taking(&other, "carol")
            },
        ];
        mocks
            .work_queue
            .expect_list_takings()
            .with(eq(vec![mine.id(), deposit().id(), older]), eq(NOW))
            .times(1)
            .return_once(move |_, _| Ok(takings));
        let app = mocks.app();
        let grant = operator(permission);
        let page = app.queue(&grant, search(OpenWork::Withdrawals)).await;
        let page = page.unwrap();
        assert_eq!(page.next, Some(place.clone()));
        let [first, second] = page.rows.as_slice() else {
            panic!("{page:?}")
        };
        assert_eq!((&first.transfer, &second.transfer), (&mine, &other));
        assert_eq!(first.taken, Some(Taken::from(taking(&mine, "bob"))));
        // Somebody has acted on it since Carol took it, and nobody had rated it.
        assert_eq!((&second.taken, second.value), (&None, None));
        let value = RootValue {
            asset: usd().id,
            scale: usd().scale,
            amount: build::amount(10_000_000),
        };
        assert_eq!(first.value, Some(value));
    }
}

#[tokio::test]
async fn trouble_with_either_half_of_a_page_is_told_and_an_empty_one_has_one_half() {
    let grant = operator(Permission::BackofficeRead);
    let mut mocks = Mocks::new();
    let listed = mocks.work_queue.expect_list_open();
    listed.times(1).return_once(|_| Err(unavailable()));
    let page = mocks.app().queue(&grant, search(OpenWork::Approvals)).await;
    assert_unavailable(&page);
    let slice = |transfers| QueueSlice {
        transfers,
        next: None,
    };
    let mut mocks = Mocks::new();
    let listed = mocks.work_queue.expect_list_open();
    listed.return_once(move |_| Ok(slice(vec![approval()])));
    let takings = mocks.work_queue.expect_list_takings();
    takings.times(1).return_once(|_, _| Err(unavailable()));
    let page = mocks.app().queue(&grant, search(OpenWork::Approvals)).await;
    assert_unavailable(&page);
    let mut mocks = Mocks::new();
    let listed = mocks.work_queue.expect_list_open();
    listed.return_once(move |_| Ok(slice(vec![])));
    let page = mocks.app().queue(&grant, search(OpenWork::Approvals)).await;
    assert_eq!(page.unwrap(), QueuePage::default());
}

#[tokio::test]
async fn one_transfer_tells_who_is_at_it_while_it_waits() {
    let grant = operator(Permission::Admin);
    let mut mocks = Mocks::new();
    let takings = mocks.work_queue.expect_list_takings();
    takings
        .with(eq(vec![withdrawal().id()]), eq(NOW))
        .times(1)
        .return_once(|_, _| Ok(vec![taking(&withdrawal(), "bob")]));
    let taken = mocks.app().taken(&grant, &withdrawal()).await;
    assert_eq!(
        taken.unwrap(),
        Some(Taken::from(taking(&withdrawal(), "bob")))
    );
    // Nobody is asked about what waits for nobody.
    let taken = Mocks::new().app().taken(&grant, &deposit()).await;
    assert_eq!(taken.unwrap(), None);
}

#[tokio::test]
async fn what_waits_for_either_operator_can_be_taken() {
    for transfer in [withdrawal(), approval()] {
        let answer = taking(&transfer, "credential-1");
        let mocks = takes(&transfer, Ok(Take::Taken(answer.clone())));
        let taken = take(mocks, &transfer).await;
        assert_eq!(taken.unwrap(), Taken::from(answer));
    }
}

#[tokio::test]
async fn whoever_comes_second_is_told_who_has_it_and_until_when() {
    let transfer = withdrawal();
    let mocks = takes(&transfer, Ok(Take::Held(taking(&transfer, "bob"))));
    let Err(Error::TakenByOther(taken)) = take(mocks, &transfer).await else {
        panic!("somebody else has it")
    };
    assert_eq!(taken, Taken::from(taking(&transfer, "bob")));
}

#[tokio::test]
async fn what_waits_for_nobody_cannot_be_taken() {
    let grant = operator(Permission::BackofficeConfirm);
    let mut mocks = Mocks::new();
    mocks.store.expect_find().return_once(|_| Ok(None));
    let taken = mocks.app().take(&grant, Some(build::transfer_id(1))).await;
    assert!(matches!(taken, Err(Error::NotFound(Missing::Transfer))));
    let taken = Mocks::new().app().take(&grant, None).await;
    assert!(matches!(taken, Err(Error::NotFound(Missing::Transfer))));
    let paid = build::step(&withdrawal(), &build::confirm(), NOW).next;
    let taken = take(stored(&paid), &paid).await;
    let conflict = Conflict::AlreadyCompleted;
    assert!(matches!(taken, Err(Error::Conflict(told)) if told == conflict));
    let taken = take(stored(&deposit()), &deposit()).await;
    let conflict = Conflict::NotAwaitingApproval;
    assert!(matches!(taken, Err(Error::Conflict(told)) if told == conflict));
}

#[tokio::test]
async fn taking_looks_again_when_somebody_acted_and_gives_up_in_the_end() {
    let transfer = withdrawal();
    let mut mocks = Mocks::new();
    mocks.finds(&transfer, 5);
    let taken = mocks.work_queue.expect_take();
    taken.times(5).returning(|_, _| Ok(Take::Stale));
    let taken = take(mocks, &transfer).await;
    assert!(matches!(taken, Err(Error::Conflict(Conflict::Busy))));
    let mocks = takes(&transfer, Err(unavailable()));
    assert_unavailable(&take(mocks, &transfer).await);
}

#[tokio::test]
async fn letting_go_tells_who_else_has_it() {
    let transfer = withdrawal();
    let lets = |answer: Result<LetGo, StoreError>| {
        let mut mocks = stored(&transfer);
        let (id, version, by) = (
            transfer.id(),
            transfer.version(),
            ActorId::new("credential-1"),
        );
        mocks
            .work_queue
            .expect_let_go()
            .with(
                eq(id),
                eq(version),
                eq(by),
                eq(NOW),
                eq(audited("transfer.let_go", &target(&transfer))),
            )
            .times(1)
            .return_once(move |_, _, _, _, _| answer);
        mocks
    };
    let_go(lets(Ok(LetGo::Free)), &transfer).await.unwrap();
    let held = lets(Ok(LetGo::Held(taking(&transfer, "bob"))));
    let refused = let_go(held, &transfer).await;
    assert!(matches!(refused, Err(Error::TakenByOther(_))));
    assert_unavailable(&let_go(lets(Err(unavailable())), &transfer).await);
    let mut mocks = Mocks::new();
    mocks.store.expect_find().return_once(|_| Ok(None));
    let unknown = let_go(mocks, &transfer).await;
    assert!(matches!(unknown, Err(Error::NotFound(Missing::Transfer))));
}

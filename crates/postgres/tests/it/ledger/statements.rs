//! Statements of users.

use bursar_domain::{AssetId, Timestamp, UserId};
use bursar_ports::{
    Holding, Statement, StatementAccount, StatementFilter, StoreError, TransferQuery,
};
use bursar_testkit::build;

use super::{Line, Scene, USERS, fold};
use crate::support::user_id;

fn all_of(user: UserId) -> StatementFilter {
    StatementFilter {
        user,
        asset: None,
        from: None,
        to: None,
        after: None,
        limit: 200,
    }
}

/// Every page, one after the other; between them this is done.
async fn pages(
    scene: &mut Scene,
    filter: &StatementFilter,
    between: impl AsyncFn(&mut Scene),
) -> Vec<Statement> {
    let mut pages = vec![];
    let mut after = filter.after;
    loop {
        let page = StatementFilter {
            after,
            ..filter.clone()
        };
        let page = scene.query.read_statement(page).await.unwrap();
        after = page.next;
        pages.push(page);
        if after.is_none() {
            return pages;
        }
        between(scene).await;
    }
}

/// What a statement must be, by all lines that there are.
fn expected(lines: &[Line], filter: &StatementFilter) -> (Vec<StatementAccount>, Vec<Line>) {
    let own = |line: &&Line| {
        line.account.owner.user() == Some(filter.user)
            && filter.asset.is_none_or(|asset| asset == line.account.asset)
    };
    let before = |line: &&Line| filter.from.is_some_and(|from| line.at < from);
    let until = |line: &&Line| filter.to.is_none_or(|to| line.at <= to);
    let mut assets: Vec<AssetId> = lines.iter().filter(own).map(|l| l.account.asset).collect();
    assets.sort_unstable();
    assets.dedup();
    let (mut accounts, mut shown) = (vec![], vec![]);
    for asset in assets {
        let here: Vec<&Line> = lines
            .iter()
            .filter(own)
            .filter(|line| line.account.asset == asset)
            .collect();
        let sum = |lines: &mut dyn Iterator<Item = &Line>| {
            fold(lines).into_values().next().unwrap_or_default()
        };
        let opening: Holding = sum(&mut here.iter().copied().filter(before));
        let between: Vec<Line> = here
            .iter()
            .copied()
            .filter(|line| !before(line) && until(line))
            .cloned()
            .collect();
        let moved = sum(&mut between.iter());
        accounts.push(StatementAccount {
            asset,
            opening,
            closing: Holding {
                available: opening.available + moved.available,
                held: opening.held + moved.held,
            },
            lines: i64::try_from(between.len()).unwrap(),
        });
        shown.extend(between);
    }
    (accounts, shown)
}

/// The accounts of all pages, each once, however many pages it is on.
fn accounts(pages: &[Statement]) -> Vec<StatementAccount> {
    let mut all: Vec<_> = pages
        .iter()
        .flat_map(|page| page.accounts.clone())
        .collect();
    all.dedup();
    all
}

fn lines(pages: &[Statement]) -> Vec<Line> {
    let lines = pages.iter().flat_map(|page| &page.lines);
    lines.map(Line::of).collect()
}

#[tokio::test]
async fn a_statement_has_every_line_once_between_what_was_held_before_and_after() {
    let mut scene = Scene::lived_in().await;
    let all = scene.lines().await;
    let mut times: Vec<Timestamp> = all.iter().map(|line| line.at).collect();
    times.sort_unstable();
    let (early, late) = (times[times.len() / 4], times[times.len() / 2]);
    let windows = [
        (None, None),
        (Some(early), None),
        (None, Some(late)),
        (Some(early), Some(late)),
        (Some(early.tick()), Some(late.plus_micros(-1))),
        // Nothing lies between.
        (Some(late), Some(early)),
        (Some(times[times.len() - 1].tick()), None),
        (None, Some(times[0].plus_micros(-1))),
    ];
    for number in 0..USERS {
        for asset in [None, Some(build::asset_id("btc"))] {
            for (from, to) in windows {
                for limit in [1, 7, 200] {
                    let filter = StatementFilter {
                        asset,
                        from,
                        to,
                        limit,
                        ..all_of(user_id(number))
                    };
                    let pages = pages(&mut scene, &filter, async |_| ()).await;
                    let (expected_accounts, expected_lines) = expected(&all, &filter);
                    assert_eq!(accounts(&pages), expected_accounts, "{filter:?}");
                    assert_eq!(lines(&pages), expected_lines, "{filter:?}");
                    let full = pages.iter().rev().skip(1);
                    let limit = usize::try_from(limit).unwrap();
                    assert!(full.into_iter().all(|page| page.lines.len() == limit));
                }
            }
        }
    }
    let nobody = scene.query.read_statement(all_of(user_id(99))).await;
    assert_eq!(nobody.unwrap(), Statement::default());
}

#[tokio::test]
async fn what_is_written_while_the_pages_are_read_belongs_to_no_account_that_was_begun() {
    let mut scene = Scene::new().await;
    let user = user_id(1);
    for _ in 0..5 {
        scene.deposit(("btc", 8), user, 1_000).await;
    }
    let filter = StatementFilter {
        limit: 2,
        ..all_of(user)
    };
    let (expected_accounts, expected_lines) = expected(&scene.lines().await, &filter);
    let meanwhile = async |scene: &mut Scene| {
        scene.deposit(("btc", 8), user, 1_000).await;
    };
    let pages = pages(&mut scene, &filter, meanwhile).await;
    assert_eq!(pages.len(), 3);
    assert_eq!(accounts(&pages), expected_accounts);
    assert_eq!(lines(&pages), expected_lines);
}

#[tokio::test]
async fn a_line_that_is_missing_is_not_passed_over() {
    let mut scene = Scene::new().await;
    let user = user_id(1);
    for _ in 0..5 {
        scene.deposit(("btc", 8), user, 1_000).await;
    }
    let gap = "SET session_replication_role = replica; DELETE FROM book_main.entries WHERE seq = 3";
    scene.fixture.run(gap).await;
    let from = Some(Timestamp::EPOCH);
    for filter in [
        all_of(user),
        StatementFilter {
            from,
            ..all_of(user)
        },
    ] {
        let read = scene.query.read_statement(filter).await;
        assert!(
            matches!(read, Err(StoreError::Inconsistent { .. })),
            "{read:?}"
        );
    }
}

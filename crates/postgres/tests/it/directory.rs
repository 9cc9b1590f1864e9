//! Users, assets and rates.

mod status;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bursar_domain::{Asset, AssetId, BigDecimal, RecipientName, Scale, User, UserStatus};
use bursar_ports::{Directory, Expected, PutAsset, PutRate, PutUser, UserPage};
use bursar_postgres::PgDirectory;
use bursar_testkit::FixedClock;
use uuid::Uuid;

use crate::support::{Fixture, draft, run, texts, user, user_id};

fn directory(fixture: &Fixture) -> PgDirectory {
    PgDirectory::new(fixture.database.clone(), Arc::new(FixedClock::default()))
}

fn asset(id: &str, scale: u8) -> Asset {
    Asset {
        id: AssetId::parse(id).unwrap(),
        name: id.to_uppercase(),
        scale: Scale::try_new(scale).unwrap(),
        can_deposit: true,
        can_withdraw: false,
        can_transfer: true,
    }
}

/// Whom a sender means by this.
async fn named(directory: &PgDirectory, typed: &str) -> Option<User> {
    let found = directory.find_recipients(vec![RecipientName::parse(typed)]);
    let mut found = found.await.unwrap();
    assert_eq!(found.len(), 1, "one answer for one name");
    found.remove(0)
}

async fn put(directory: &PgDirectory, user: &User) -> PutUser {
    directory.put_user(user.clone(), draft()).await.unwrap()
}

async fn write(directory: &PgDirectory, user: &User) {
    assert_eq!(put(directory, user).await, PutUser::Written);
}

fn with_status(user: &User, status: UserStatus) -> User {
    User {
        status,
        ..user.clone()
    }
}

/// An account as the engine creates it, in one transaction.
fn account_creation(account: i64, user: u128) -> String {
    let user = Uuid::from_u128(user);
    format!(
        "INSERT INTO book_main.owners (id, status) VALUES ('{user}', 'Active') \
           ON CONFLICT DO NOTHING; \
         SELECT status FROM book_main.owners WHERE id = '{user}' FOR SHARE; \
         INSERT INTO book_main.accounts \
           (id, owner_kind, owner, asset, available, held, seq, status, stamped_at) \
         SELECT {account}, 'user', '{user}', 'a{account}', 0, 0, 0, status, 'epoch' \
         FROM book_main.owners WHERE id = '{user}';"
    )
}

#[tokio::test]
async fn a_user_is_found_by_id_email_and_username_in_any_case() {
    let fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let anna = User {
        username: "Änna_1".to_owned(),
        email: "Anna@Example.com".to_owned(),
        ..user(1, "anna")
    };
    write(&directory, &anna).await;
    for fresh in [directory.clone(), self::directory(&fixture)] {
        // Twice, from the database and from memory.
        for _ in 0..2 {
            let found = fresh.find_user(anna.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(&anna));
            for alias in ["äNNA_1", "anna@EXAMPLE.com"] {
                let found = named(&fresh, alias).await;
                assert_eq!(found.as_ref(), Some(&anna), "{alias}");
            }
        }
    }
    assert_eq!(directory.find_user(user_id(2)).await.unwrap(), None);
    for alias in ["", "anna", "a\0b", "änna%1"] {
        let found = named(&directory, alias).await;
        assert_eq!(found, None, "{alias}");
    }
    let cold = self::directory(&fixture);
    for some in [&directory, &cold, &cold] {
        let many = vec![user_id(1), user_id(2)];
        let found = some.find_users(many).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&anna));
    }
}

/// Each in its place, whether it is known, asked for twice, in memory or in no directory at all.
#[tokio::test]
async fn many_recipients_are_found_at_once() {
    let fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let (anna, bert) = (user(1, "anna"), user(2, "bert"));
    for user in [&anna, &bert] {
        write(&directory, user).await;
    }
    let (known, unknown) = (anna.id.to_string(), user_id(9).to_string());
    let expected = [
        ("ANNA", Some(&anna)),
        ("nobody", None),
        (unknown.as_str(), None),
        ("bert@example.com", Some(&bert)),
        ("a\0b", None),
        (known.as_str(), Some(&anna)),
        ("anna", Some(&anna)),
        ("", None),
        (unknown.as_str(), None),
    ];
    for fresh in [directory.clone(), self::directory(&fixture)] {
        for _ in 0..2 {
            let names = expected
                .map(|(typed, _)| RecipientName::parse(typed))
                .to_vec();
            let found = fresh.find_recipients(names).await.unwrap();
            let found: Vec<Option<&User>> = found.iter().map(Option::as_ref).collect();
            assert_eq!(found, expected.map(|(_, user)| user));
        }
    }
    assert_eq!(directory.find_recipients(vec![]).await.unwrap(), []);
}

#[tokio::test]
async fn many_assets_are_found_at_once() {
    let fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let (btc, eth) = (asset("btc", 8), asset("eth", 18));
    for asset in [&btc, &eth] {
        let put = directory
            .put_asset(asset.clone(), Expected::Anything, draft())
            .await
            .unwrap();
        assert_eq!(put, PutAsset::Written);
    }
    let unknown = AssetId::parse("doge").unwrap();
    for fresh in [directory.clone(), self::directory(&fixture)] {
        for _ in 0..2 {
            let ids = vec![btc.id, unknown, eth.id];
            let mut found = fresh.find_assets(ids).await.unwrap();
            found.sort_by_key(|asset| asset.id);
            assert_eq!(found, [btc.clone(), eth.clone()]);
        }
    }
}

#[tokio::test]
async fn an_own_write_shows_at_once() {
    let fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let before = user(1, "before");
    write(&directory, &before).await;
    let alias = async |name: &str| named(&directory, name).await;
    assert!(alias("before").await.is_some());
    assert!(alias("before@example.com").await.is_some());
    let after = user(1, "after");
    write(&directory, &after).await;
    assert_eq!(
        directory.find_user(after.id).await.unwrap(),
        Some(after.clone())
    );
    assert_eq!(alias("before").await, None);
    assert_eq!(alias("before@example.com").await, None);
    assert_eq!(alias("after").await, Some(after));
}

/// Two replicas: who is paid is never what another replica knew some seconds ago.
#[tokio::test]
async fn a_name_that_moves_is_followed_at_once_on_every_replica() {
    let fixture = Fixture::new().await;
    let (here, there) = (directory(&fixture), directory(&fixture));
    let (first, second) = (user(1, "anna"), user(2, "ben"));
    write(&here, &first).await;
    write(&here, &second).await;
    for name in ["anna", "anna@example.com"] {
        let found = named(&there, name).await;
        assert_eq!(found.map(|user| user.id), Some(first.id), "{name}");
    }
    let renamed = user(1, "other");
    write(&here, &renamed).await;
    let heir = User {
        id: second.id,
        ..user(1, "anna")
    };
    for name in ["anna", "anna@example.com"] {
        let found = named(&there, name).await;
        assert_eq!(found, None, "{name}");
    }
    write(&here, &heir).await;
    for name in ["anna", "anna@example.com"] {
        let found = named(&there, name).await;
        assert_eq!(found.map(|user| user.id), Some(second.id), "{name}");
    }
}

#[tokio::test]
async fn ids_of_nobody_are_remembered_and_an_own_write_shows_at_once() {
    const REMEMBERED: Duration = Duration::from_secs(5);
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    // Where the machine stands still for so long that it could be forgotten, others are tried.
    for number in 1..10 {
        let anna = user(number, &format!("anna{number}"));
        let name = anna.id.to_string();
        let asked = Instant::now();
        assert_eq!(named(&directory, &name).await, None);
        let insert = format!(
            "INSERT INTO directory.users \
             VALUES ('{}', 'x{number}', 'x{number}', '', '', '{{}}', 'Active', now(), 0)",
            anna.id
        );
        fixture.run(&insert).await;
        let seen = named(&directory, &name).await;
        if asked.elapsed() >= REMEMBERED {
            continue;
        }
        assert_eq!(seen, None, "looked up anew although it was known");
        // Whoever does not pay learns of a new user at once.
        assert!(directory.find_user(anna.id).await.unwrap().is_some());
        write(&directory, &anna).await;
        assert_eq!(named(&directory, &name).await, Some(anna));
        return;
    }
    panic!("the machine is too slow to tell");
}

#[tokio::test]
async fn a_taken_name_is_told_and_nothing_reaches_the_book() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    write(&directory, &user(1, "anna")).await;
    let same_name = User {
        username: "ANNA".to_owned(),
        ..with_status(&user(2, "other"), UserStatus::Frozen)
    };
    assert_eq!(put(&directory, &same_name).await, PutUser::UsernameTaken);
    let same_email = User {
        email: "ANNA@example.COM".to_owned(),
        ..with_status(&user(2, "other"), UserStatus::Frozen)
    };
    assert_eq!(put(&directory, &same_email).await, PutUser::EmailTaken);
    let owners = "SELECT id::text FROM book_main.owners";
    assert_eq!(fixture.texts(owners).await, Vec::<String>::new());
    // Nobody shares having no email, and one may keep one's own names.
    for (number, name) in [(3, "third"), (4, "fourth"), (4, "fourth")] {
        let nameless = User {
            email: String::new(),
            ..user(number, name)
        };
        write(&directory, &nameless).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_want_one_name_one_gets_it() {
    let fixture = Fixture::new().await;
    let replicas = [directory(&fixture), directory(&fixture)];
    for round in 0..10 {
        let name = format!("name{round}");
        let [one, two] = [0, 1].map(|n| {
            let wanted = user(100 + round * 2 + n, &name);
            let replica = replicas[usize::try_from(n).unwrap()].clone();
            tokio::spawn(async move { replica.put_user(wanted, draft()).await.unwrap() })
        });
        let mut outcomes = [one.await.unwrap(), two.await.unwrap()];
        outcomes.sort_by_key(|outcome| *outcome != PutUser::Written);
        assert_eq!(outcomes, [PutUser::Written, PutUser::UsernameTaken]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_created_twice_at_once_is_one_user() {
    let fixture = Fixture::new().await;
    let replicas = [directory(&fixture), directory(&fixture)];
    for round in 0..10 {
        let [one, two] = [0, 1].map(|n| {
            let replica = replicas[n].clone();
            let same = user(200 + round, &format!("same{round}"));
            tokio::spawn(async move { replica.put_user(same, draft()).await.unwrap() })
        });
        assert_eq!(one.await.unwrap(), PutUser::Written);
        assert_eq!(two.await.unwrap(), PutUser::Written);
    }
}

#[tokio::test]
async fn users_are_searched_literally_and_paged_by_id() {
    let fixture = Fixture::new().await;
    let directory = directory(&fixture);
    for (number, name) in [(3, "Karl_X"), (1, "karla"), (2, "karlbx"), (4, "50%off")] {
        write(&directory, &user(number, name)).await;
    }
    let names = |page: UserPage| -> Vec<String> {
        page.users.into_iter().map(|user| user.username).collect()
    };
    let search = |text: &str| directory.list_users(Some(text.to_owned()), None, 10);
    assert_eq!(
        names(search("KARL").await.unwrap()),
        ["karla", "karlbx", "Karl_X"]
    );
    assert_eq!(names(search("karl_x").await.unwrap()), ["Karl_X"]);
    assert_eq!(names(search("%").await.unwrap()), ["50%off"]);
    assert_eq!(names(search("A@EXAMPLE").await.unwrap()), ["karla"]);
    assert_eq!(names(search("\0").await.unwrap()), Vec::<String>::new());
    let first = directory.list_users(None, None, 3).await.unwrap();
    assert!(first.more);
    let after = first.users.last().unwrap().id;
    let second = directory.list_users(None, Some(after), 3).await.unwrap();
    assert!(!second.more);
    assert_eq!(names(first), ["karla", "karlbx", "Karl_X"]);
    assert_eq!(names(second), ["50%off"]);
}

#[tokio::test]
async fn an_asset_is_replaced_but_its_scale_stays_once_it_is_in_use() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let btc = asset("btc", 8);
    assert_eq!(directory.find_asset(btc.id).await.unwrap(), None);
    assert_eq!(directory.list_assets().await.unwrap(), []);
    assert_eq!(
        directory
            .put_asset(btc.clone(), Expected::Anything, draft())
            .await
            .unwrap(),
        PutAsset::Written
    );
    assert_eq!(
        directory
            .put_asset(asset("a-1", 0), Expected::Anything, draft())
            .await
            .unwrap(),
        PutAsset::Written
    );
    assert_eq!(
        directory
            .put_asset(asset("btc", 6), Expected::Anything, draft())
            .await
            .unwrap(),
        PutAsset::Written
    );
    assert_eq!(
        directory.find_asset(btc.id).await.unwrap(),
        Some(asset("btc", 6))
    );
    let books = "SELECT asset || book FROM directory.asset_books ORDER BY asset COLLATE \"C\"";
    assert_eq!(fixture.texts(books).await, ["a-1book_main", "btcbook_main"]);
    fixture
        .run(
            "INSERT INTO book_main.accounts \
             (id, owner_kind, owner, asset, available, held, seq, status, stamped_at) VALUES \
             (1, 'world', '00000000-0000-0000-0000-000000000000', 'btc', 0, 0, 0, 'Active', 'epoch')",
        )
        .await;
    assert_eq!(
        directory
            .put_asset(btc.clone(), Expected::Anything, draft())
            .await
            .unwrap(),
        PutAsset::ScaleInUse
    );
    let renamed = Asset {
        name: "Bitcoin".to_owned(),
        can_deposit: false,
        ..asset("btc", 6)
    };
    assert_eq!(
        directory
            .put_asset(renamed.clone(), Expected::Anything, draft())
            .await
            .unwrap(),
        PutAsset::Written
    );
    assert_eq!(
        directory.find_asset(btc.id).await.unwrap(),
        Some(renamed.clone())
    );
    assert_eq!(
        directory.list_assets().await.unwrap(),
        [asset("a-1", 0), renamed]
    );
}

/// Fees and limits in amounts stand in its smallest units.
#[tokio::test]
async fn the_scale_of_an_asset_with_fees_or_limits_does_not_change() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let put = async |scale| {
        let put = directory.put_asset(asset("btc", scale), Expected::Anything, draft());
        put.await.unwrap()
    };
    assert_eq!(put(8).await, PutAsset::Written);
    for rule in [
        "INTO book_main.fee_schedules VALUES ('deposit', 'btc', 0, 1, NULL, 0)",
        "INTO book_main.fee_schedules VALUES ('deposit', 'btc', 0, 0, 9, 0)",
        "INTO book_main.fee_schedules VALUES ('deposit', 'btc', 0, 0, NULL, 5)",
        "INTO book_main.limits VALUES ('internal', 'btc', NULL, NULL, 7, NULL, NULL, 1)",
        "INTO book_main.limits VALUES ('internal', '', NULL, NULL, 7, NULL, NULL, 1, 'btc', 8)",
    ] {
        fixture.run(&format!("INSERT {rule}")).await;
        assert_eq!(put(6).await, PutAsset::ScaleInUse, "{rule}");
        assert_eq!(put(8).await, PutAsset::Written, "{rule}");
        let gone = "DELETE FROM book_main.fee_schedules; DELETE FROM book_main.limits";
        fixture.run(gone).await;
    }
    let free = "INSERT INTO book_main.fee_schedules VALUES ('deposit', 'btc', 10, 0, NULL, 0); \
                INSERT INTO book_main.limits (kind, asset, epoch) VALUES ('internal', 'btc', 1)";
    fixture.run(free).await;
    assert_eq!(put(6).await, PutAsset::Written);
}

#[tokio::test]
async fn no_account_slips_in_while_a_scale_changes() {
    let mut fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let _ = directory
        .put_asset(asset("a1", 8), Expected::Anything, draft())
        .await
        .unwrap();
    let mut creator = fixture.connect().await;
    let share = "BEGIN; SELECT id FROM book_main.assets WHERE id = 'a1' FOR SHARE";
    run(&mut creator, share).await;
    let change = tokio::spawn(async move {
        directory
            .put_asset(asset("a1", 2), Expected::Anything, draft())
            .await
    });
    fixture.until_somebody_waits().await;
    run(&mut creator, &account_creation(1, 1)).await;
    run(&mut creator, "COMMIT").await;
    assert_eq!(change.await.unwrap().unwrap(), PutAsset::ScaleInUse);
    let scale = "SELECT scale::text FROM book_main.assets";
    assert_eq!(texts(&mut creator, scale).await, ["8"]);
}

#[tokio::test]
async fn rates_are_exact_and_show_at_once() {
    let fixture = Fixture::new().await;
    let directory = directory(&fixture);
    let btc = AssetId::parse("btc").unwrap();
    assert_eq!(directory.find_rate(btc).await.unwrap(), None);
    for text in [
        "0.000000000000000000123",
        "61234.5",
        "98765432109876543210.1",
    ] {
        let rate: BigDecimal = text.parse().unwrap();
        let put = directory.put_rate(
            btc,
            rate.clone(),
            text.to_owned(),
            Expected::Anything,
            draft(),
        );
        let PutRate::Written(written) = put.await.unwrap() else {
            panic!("nothing was expected");
        };
        assert_eq!((&written.rate, written.source.as_str()), (&rate, text));
        assert_eq!(directory.find_rate(btc).await.unwrap(), Some(written));
    }
}

/// A search that reads every user takes most of a second when there are a million.
#[tokio::test]
async fn a_part_of_a_name_is_found_without_reading_everybody() {
    let mut fixture = Fixture::new().await;
    let users = "INSERT INTO directory.users \
        (id, username, username_fold, email, email_fold, roles, status, updated_at) \
        SELECT gen_random_uuid(), name, name, name || '@example.com', name || '@example.com', '{}', \
            'Active', now() \
        FROM (SELECT 'user' || n AS name FROM generate_series(1, 20000) AS n) AS named";
    fixture.run(users).await;
    fixture.run("ANALYZE directory.users").await;
    // What is asked first: who has it.
    let search = "SELECT id FROM directory.users \
        WHERE username_fold LIKE '%r19999%' OR email_fold LIKE '%r19999%' LIMIT 1001";
    let plan = fixture.explain(search).await;
    assert!(plan.contains("users_name_parts_idx"), "{plan}");
    let directory = directory(&fixture);
    let found = directory.list_users(Some("R19999@".to_owned()), None, 25);
    let found = found.await.unwrap();
    assert_eq!(found.users.len(), 1);
    assert!(!found.more);
    // Few are looked up, many are walked through; either way they come in order, each once.
    for (part, count) in [
        ("uSer1999", 11),
        ("user19", 1_111),
        ("5@example.com", 2_000),
    ] {
        let mut after = None;
        let mut all = vec![];
        loop {
            let page = directory.list_users(Some(part.to_owned()), after, 400);
            let page = page.await.unwrap();
            all.extend(page.users.iter().map(|user| user.id));
            after = all.last().copied();
            if !page.more {
                break;
            }
        }
        assert_eq!(all.len(), count, "{part}");
        assert!(all.is_sorted(), "{part}");
        let each: HashSet<_> = all.iter().collect();
        assert_eq!(each.len(), count, "{part}");
    }
}

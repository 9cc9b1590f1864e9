//! Who did what: what each change writes, how the log is read, and that nothing in it changes.

mod changes;
mod exports;

use bursar_domain::Timestamp;
use bursar_ports::{AuditFilter, AuditLog, AuditPlace, AuditRecord};
use bursar_postgres::PgAuditLog;
use diesel_async::SimpleAsyncConnection;
use uuid::Uuid;

use crate::support::{Fixture, at};

const TABLES: [&str; 2] = ["directory.audit_log", "book_main.audit_log"];

fn log(fixture: &Fixture) -> PgAuditLog {
    PgAuditLog::new(fixture.database.clone())
}

fn all() -> AuditFilter {
    AuditFilter {
        limit: 1_000,
        ..AuditFilter::default()
    }
}

async fn list(fixture: &Fixture, filter: AuditFilter) -> Vec<AuditRecord> {
    log(fixture).list(filter).await.unwrap()
}

/// The numbers of what is listed.
async fn numbers(fixture: &Fixture, filter: AuditFilter) -> Vec<u128> {
    let listed = list(fixture, filter).await.into_iter();
    listed.map(|record| record.id.as_u128()).collect()
}

/// A row in one of the tables.
async fn insert(fixture: &mut Fixture, table: &str, number: u128, second: i64, who: [&str; 3]) {
    let (id, at, [actor, action, target]) = (Uuid::from_u128(number), at(second), who);
    let statement = format!(
        "INSERT INTO {table} VALUES ('{id}', '{at}', '{actor}', 'token:1', 'request-1', \
         '192.0.2.1', '{action}', '{target}', NULL, '{{\"number\": {number}}}')"
    );
    fixture.run(&statement).await;
}

/// Rows 1 to 8, the odd ones in the directory and the even ones in the book; two share a second.
async fn filled() -> Fixture {
    let mut fixture = Fixture::new().await;
    for number in 1..=8_u8 {
        let table = TABLES[usize::from(number % 2 == 0)];
        let actor = if number < 5 { "anna" } else { "ben" };
        let action = if number % 4 == 0 { "a.put" } else { "b.put" };
        let target = format!("thing:{}", number % 3);
        let second = i64::from(number.div_ceil(2));
        insert(
            &mut fixture,
            table,
            number.into(),
            second,
            [actor, action, &target],
        )
        .await;
    }
    fixture
}

#[tokio::test]
async fn both_tables_are_one_list_newest_first() {
    let fixture = filled().await;
    assert_eq!(numbers(&fixture, all()).await, [8, 7, 6, 5, 4, 3, 2, 1]);
    let newest = AuditFilter { limit: 3, ..all() };
    let [first, ..] = &list(&fixture, newest).await[..] else {
        panic!("there are rows");
    };
    let expected = AuditRecord {
        id: Uuid::from_u128(8),
        at: at(4),
        actor: "ben".to_owned(),
        credential: "token:1".to_owned(),
        request_id: "request-1".to_owned(),
        address: "192.0.2.1".to_owned(),
        action: "a.put".to_owned(),
        target: "thing:2".to_owned(),
        before: None,
        after: Some(r#"{"number":8}"#.to_owned()),
    };
    assert_eq!(*first, expected);
}

#[tokio::test]
async fn each_filter_narrows_and_all_of_them_must_match() {
    let fixture = filled().await;
    let text = |text: &str| Some(text.to_owned());
    let by = |actor: &str| AuditFilter {
        actor: text(actor),
        ..all()
    };
    let between = |from: i64, to: i64| AuditFilter {
        from: Some(at(from)),
        to: Some(at(to)),
        ..all()
    };
    let action = AuditFilter {
        action: text("a.put"),
        ..all()
    };
    let target = AuditFilter {
        target: text("thing:1"),
        ..all()
    };
    let both = AuditFilter {
        target: text("thing:1"),
        ..by("anna")
    };
    for (filter, expected) in [
        (by("anna"), &[4, 3, 2, 1][..]),
        (by("ann"), &[]),
        (action, &[8, 4]),
        (target, &[7, 4, 1]),
        (both, &[4, 1]),
        (between(2, 3), &[6, 5, 4, 3]),
        (between(5, 9), &[]),
    ] {
        assert_eq!(
            numbers(&fixture, filter.clone()).await,
            expected,
            "{filter:?}"
        );
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_or_a_repetition() {
    let fixture = filled().await;
    for limit in 1..=8 {
        let mut seen = vec![];
        let mut after: Option<AuditPlace> = None;
        loop {
            let page = AuditFilter {
                after,
                limit,
                ..AuditFilter::default()
            };
            let rows = list(&fixture, page).await;
            let Some(last) = rows.last() else { break };
            after = Some(last.place());
            seen.extend(rows.iter().map(|row| row.id.as_u128()));
        }
        assert_eq!(seen, [8, 7, 6, 5, 4, 3, 2, 1], "{limit} at a time");
    }
}

/// Nobody takes anything out of the log or changes it, with or without rows that fit.
#[tokio::test]
async fn what_is_in_the_log_stays_as_it_is() {
    let mut fixture = filled().await;
    let before = list(&fixture, all()).await;
    let mut connection = fixture.connect().await;
    for table in TABLES {
        for statement in [
            format!("UPDATE {table} SET actor = 'nobody'"),
            format!("UPDATE {table} SET actor = 'nobody' WHERE false"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let refused = connection.batch_execute(&statement).await;
            let error = refused.expect_err(&statement).to_string();
            assert_eq!(error, "the audit log is append-only", "{statement}");
        }
    }
    assert_eq!(list(&fixture, all()).await, before);
    insert(&mut fixture, TABLES[0], 9, 9, ["anna", "a.put", "thing:0"]).await;
    assert_eq!(list(&fixture, all()).await.len(), 9);
}

/// However large the log is, a page reads as much of it as it shows.
#[tokio::test]
async fn a_list_follows_an_index_whatever_is_asked_for() {
    let mut fixture = Fixture::new().await;
    for table in TABLES {
        let fill = format!(
            "INSERT INTO {table} SELECT gen_random_uuid(), \
             TIMESTAMPTZ '2026-01-01Z' + i * INTERVAL '1 second', 'actor ' || i % 40, 'token:1', \
             'request-1', '192.0.2.1', 'action ' || i % 30, 'transfer:' || i, NULL, '{{}}' \
             FROM generate_series(1, 20000) AS i; ANALYZE {table}"
        );
        fixture.run(&fill).await;
        let place = "(at <= '2026-01-01T04:00:00Z' AND (at < '2026-01-01T04:00:00Z' OR \
                     at = '2026-01-01T04:00:00Z' AND id < gen_random_uuid()))";
        for (condition, index) in [
            ("true", "audit_log_at_id_pk"),
            (place, "audit_log_at_id_pk"),
            ("actor = 'actor 7'", "audit_log_actor_at_id_idx"),
            ("action = 'action 7'", "audit_log_action_at_id_idx"),
            ("target = 'transfer:7'", "audit_log_target_at_id_idx"),
        ] {
            let query = format!(
                "SELECT * FROM {table} WHERE {condition} \
                 ORDER BY at DESC, id DESC LIMIT 100"
            );
            let plan = fixture.explain(&query).await;
            assert!(
                plan.contains(index) && !plan.contains("Sort"),
                "{condition}: {plan}"
            );
        }
    }
}

/// The times of what is listed.
async fn times(fixture: &Fixture) -> Vec<Timestamp> {
    let listed = list(fixture, all()).await.into_iter();
    listed.map(|record| record.at).collect()
}

//! The export of the log.

use bursar_ports::{AuditFilter, AuditPlace, AuditRecord, ExportPages, Exports, OpenExport};
use bursar_postgres::PgExports;
use uuid::Uuid;

use super::{TABLES, all, filled, insert, list};
use crate::support::{Fixture, at};

async fn open(fixture: &Fixture, filter: AuditFilter) -> Box<dyn ExportPages<AuditRecord>> {
    let exports = PgExports::new(fixture.database.clone());
    match exports.open_audit(filter).await.unwrap() {
        OpenExport::Opened(pages) => pages,
        OpenExport::Busy => panic!("there is a place"),
    }
}

/// All rows, and how many the largest page has.
async fn rest(mut pages: Box<dyn ExportPages<AuditRecord>>) -> (Vec<AuditRecord>, usize) {
    let (mut rows, mut largest) = (vec![], 0);
    while let Some(page) = pages.next_page().await.unwrap() {
        largest = largest.max(page.len());
        rows.extend(page);
    }
    // It stays at its end.
    assert!(pages.next_page().await.unwrap().is_none());
    (rows, largest)
}

#[tokio::test]
async fn an_export_of_the_log_is_the_list_wherever_that_begins() {
    let fixture = filled().await;
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        (8, all()),
        (
            2,
            AuditFilter {
                action: text("a.put"),
                ..all()
            },
        ),
        (
            2,
            AuditFilter {
                actor: text("anna"),
                target: text("thing:1"),
                ..all()
            },
        ),
        (
            4,
            AuditFilter {
                from: Some(at(2)),
                to: Some(at(3)),
                ..all()
            },
        ),
        (
            0,
            AuditFilter {
                actor: text("nobody"),
                ..all()
            },
        ),
    ];
    for (count, filter) in filters {
        let listed = list(&fixture, filter.clone()).await;
        assert_eq!(listed.len(), count, "{filter:?}");
        let further_on = AuditFilter {
            after: Some(AuditPlace {
                at: at(2),
                id: Uuid::from_u128(4),
            }),
            limit: 1,
            ..filter.clone()
        };
        let (exported, _) = rest(open(&fixture, further_on).await).await;
        assert_eq!(exported, listed, "{filter:?}");
    }
}

/// More rows than a page has, in both tables, and as many as fill pages exactly; ten share a second,
/// so that pages end in the middle of one.
#[tokio::test]
async fn pages_of_an_export_follow_each_other_without_a_gap_or_a_repetition() {
    let mut fixture = Fixture::new().await;
    for (index, table) in TABLES.into_iter().enumerate() {
        let fill = format!(
            "INSERT INTO {table} SELECT lpad(to_hex(2 * i + {index}), 32, '0')::uuid, \
             timestamptz '{start}' + i / 5 * interval '1 second', 'anna', 'token:1', 'request-1', \
             '192.0.2.1', 'a.put', 'thing:' || (2 * i + {index}) % 2, NULL, NULL \
             FROM generate_series(0, 1499) AS i",
            start = at(0),
        );
        fixture.run(&fill).await;
    }
    let numbers = |rows: Vec<AuditRecord>| -> Vec<u128> {
        rows.into_iter().map(|row| row.id.as_u128()).collect()
    };
    let (rows, largest) = rest(open(&fixture, all()).await).await;
    assert_eq!(largest, 1_000);
    assert_eq!(numbers(rows), (0..3_000).rev().collect::<Vec<_>>());
    let odd = AuditFilter {
        target: Some("thing:1".to_owned()),
        ..all()
    };
    let (rows, _) = rest(open(&fixture, odd).await).await;
    let expected: Vec<_> = (0..3_000).rev().filter(|number| number % 2 == 1).collect();
    assert_eq!(numbers(rows), expected);
}

/// Neither table tells what came after the export had begun, also when that is between its pages.
#[tokio::test]
async fn an_export_of_the_log_is_of_the_moment_it_began() {
    let mut fixture = filled().await;
    let listed = list(&fixture, all()).await;
    let pages = open(&fixture, all()).await;
    for (number, second) in [(20, 0), (21, 9)] {
        for (index, table) in (0..).zip(TABLES) {
            let who = ["anna", "a.put", "thing:1"];
            insert(&mut fixture, table, number + 10 * index, second, who).await;
        }
    }
    assert_eq!(list(&fixture, all()).await.len(), 12);
    assert_eq!(rest(pages).await.0, listed);
}

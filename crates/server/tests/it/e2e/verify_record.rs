//! `bursar verify --record`: the ledger, held against what clients and receivers know.

use std::path::Path;

use bursar_audit::{
    history::Outcome,
    record::{Asked, Heard, Line, Saw, missing},
};
use bursar_postgres::testing::TestDatabase;

use super::{
    books::Books,
    exchange::Exchange,
    history::{Before, Watch, assert_serializable, heard, write_record},
    load::{Load, assert_told},
    receiver::Receiver,
    service::Service,
    verify::{SEALED, verified},
};

/// What the program says of a record.
async fn said(url: &str, file: &Path, record: &[Line], code: i32) -> String {
    write_record(record, file);
    let arguments = ["--record", file.to_str().unwrap()];
    let ended = verified(url, &[&SEALED[..], &arguments].concat(), code).await;
    format!("{}{}", ended.stdout, ended.stderr)
}

#[tokio::test]
async fn a_record_is_believed_and_each_contradiction_is_named() {
    let database = TestDatabase::create().await;
    let books = Books::of(database.url());
    let receiver = Receiver::start().await;
    let service = Service::start(database.url()).await;
    let exchange = Exchange::open(database.url(), &service.client(), 3).await;
    exchange.fund_all(&service.client(), "1").await;
    let before = Before::of(&books).await;
    let load = Load::start(&service.client(), &exchange, &receiver, "record");
    let watch = Watch::start(&service.client(), &exchange);
    load.answered(100).await;
    let (told, looks) = (load.ended().await, watch.ended().await);
    books.settled().await;
    assert_told(&receiver, &books).await;
    let mut record = vec![before.line()];
    record.extend(assert_serializable(&told, &looks, &before, &books).await);
    record.extend(heard(&receiver));
    service.stopped().await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("record");
    let believed = said(database.url(), &file, &record, 0).await;
    let lacks = missing(&record).count();
    assert!(lacks > 0, "nobody was refused for lack of money");
    let refused = format!("refused for lack of money: {lacks}\n");
    assert!(believed.contains(&refused), "{believed}");
    // None, unless the machine stood still.
    let unknown = told.iter().filter(|told| !told.is_certain()).count();
    let requests = format!("requests: {}; of {unknown} nobody knew", told.len());
    assert!(believed.contains(&requests), "{believed}");

    for (wrong, expected) in contradictions(&record) {
        let found = said(database.url(), &file, &wrong, 1).await;
        assert!(found.contains(expected), "{expected} in\n{found}");
    }
    std::fs::write(&file, "{\"what\": \"began\", \"lines\": []}\n{}").unwrap();
    let arguments = ["--record", file.to_str().unwrap()];
    let refused = verified(database.url(), &arguments, 1).await;
    assert!(
        refused.stderr.contains("record:2: no line of a record"),
        "{}",
        refused.stderr
    );
}

/// A record, but one payment that was refused for lack of money was of nothing.
fn refused_without_reason(record: &[Line]) -> Vec<Line> {
    let mut wrong = record.to_vec();
    let refused = wrong.iter_mut().find_map(|line| match line {
        Line::Asked(Asked { lacks, .. }) => lacks.as_mut(),
        Line::Began(_) | Line::Saw(_) | Line::Heard(_) => None,
    });
    refused.unwrap().units = 0;
    wrong
}

/// A record, with something in it that cannot be, and what is said of it.
fn contradictions(record: &[Line]) -> Vec<(Vec<Line>, &'static str)> {
    let with = |line: Line| [record, &[line]].concat();
    let invented = Asked {
        sent: 1,
        answered: Some(2),
        key: "never".to_owned(),
        ends: None,
        outcome: Outcome::Done,
        moves: true,
        transfer: None,
        one_by_one: false,
        lacks: None,
    };
    let phantom = Heard {
        id: "never".to_owned(),
        status: "Completed".to_owned(),
    };
    let Some(Line::Began(began)) = record.first() else {
        panic!("{record:?}");
    };
    let stale = Saw {
        sent: u64::MAX - 1,
        answered: u64::MAX,
        lines: began.lines.clone(),
    };
    let is_done = |line: &&Line| {
        matches!(
            line,
            Line::Asked(Asked {
                moves: true,
                ends: None,
                ..
            })
        )
    };
    let done = record.iter().find(is_done).unwrap();
    let forgotten = record.iter().filter(|line| *line != done).cloned();
    vec![
        (
            with(Line::Asked(invented)),
            "violated A7: an answer is lost",
        ),
        (forgotten.collect(), "violated A8: it happened after all"),
        (with(Line::Heard(phantom)), "violated A13: a receiver"),
        (with(Line::Saw(stale)), "violated A18: it cannot have"),
        (
            refused_without_reason(record),
            "violated A21: money was said to be missing that was there",
        ),
    ]
}

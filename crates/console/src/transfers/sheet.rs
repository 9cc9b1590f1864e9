//! The same view as CSV: all of it, however many pages it has.

use actix_web::{HttpResponse, http::header, web};
use bursar_app::{FoundTransfer, TransferExport, neutral};
use bursar_domain::{Body, Recipient, Timestamp};
use bytes::Bytes;
use csv::{Terminator, WriterBuilder};
use futures_util::stream;

use super::{View, resolve, view::Asked};
use crate::{
    desk::{Desk, Reply},
    fault::Fault,
};

const COLUMNS: [&str; 17] = [
    "id",
    "code",
    "kind",
    "status",
    "waits_for",
    "reason",
    "user_id",
    "recipient_id",
    "recipient",
    "asset",
    "amount",
    "fee",
    "custom_id",
    "note",
    "created_by",
    "created_at",
    "done_at",
];

/// Why a sheet breaks off: the browser is told that it is not complete.
#[derive(Debug, thiserror::Error)]
#[error("the list cannot be read to its end")]
struct BrokenOff;

/// A sheet that is under way.
struct Progress {
    /// The names of the columns, which come first.
    head: Option<Bytes>,
    export: TransferExport,
    fate: Fate,
}

/// What became of a sheet, counted when it is over as the API's exports are. One that is dropped half
/// way was not wanted any more.
struct Fate {
    outcome: &'static str,
}

impl Drop for Fate {
    fn drop(&mut self) {
        let labels = [("export", "transfers"), ("outcome", self.outcome)];
        metrics::counter!("bursar_exports_total", &labels).increment(1);
    }
}

pub(crate) async fn csv(desk: Desk, asked: web::Query<Asked>) -> HttpResponse {
    desk.answer(sheet(&desk, &asked).await)
}

async fn sheet(desk: &Desk, asked: &Asked) -> Result<Reply, Fault> {
    let grant = desk.reader()?;
    let view = View::read(asked).map_err(|_| Fault::BadAddress)?;
    let (_, search) = resolve(desk, &view).await?;
    let export = desk.app().export_transfers(&grant, search).await?;
    let head = written(&[COLUMNS.map(str::to_owned)]).ok_or(Fault::NoPage)?;
    let progress = Progress {
        head: Some(head),
        export,
        fate: Fate {
            outcome: "abandoned",
        },
    };
    let body = stream::try_unfold(progress, Progress::step);
    let answer = HttpResponse::Ok()
        .insert_header((
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present",
        ))
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"transfers.csv\"",
        ))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .streaming::<_, BrokenOff>(body);
    Ok(Reply::Other(answer))
}

impl Progress {
    /// What is sent next, and what comes after it; none at the end.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, BrokenOff> {
        if let Some(head) = self.head.take() {
            return Ok(Some((head, self)));
        }
        match next(&mut self.export).await {
            Ok(Some(rows)) => Ok(Some((rows, self))),
            Ok(None) => {
                self.fate.outcome = "complete";
                Ok(None)
            }
            Err(broken) => {
                self.fate.outcome = "broken";
                Err(broken)
            }
        }
    }
}

/// The next rows; none after the last one.
async fn next(export: &mut TransferExport) -> Result<Option<Bytes>, BrokenOff> {
    let broken = |error: bursar_app::Error| {
        tracing::error!(%error, "a sheet of transfers broke off");
        BrokenOff
    };
    loop {
        match export.next_page().await.map_err(broken)? {
            None => return Ok(None),
            Some(found) if found.is_empty() => {}
            Some(found) => {
                let rows: Vec<_> = found.iter().map(row).collect();
                return written(&rows).map(Some).ok_or(BrokenOff);
            }
        }
    }
}

fn row(found: &FoundTransfer) -> [String; 17] {
    let transfer = &found.transfer;
    let parts = transfer.parts();
    let (recipient, custom_id) = match &parts.body {
        Body::Internal {
            recipient,
            custom_id,
            ..
        } => (Some(recipient), custom_id.clone()),
        Body::Deposit { .. } | Body::Withdrawal { .. } => (None, None),
    };
    let recipient_id = recipient
        .and_then(Recipient::user)
        .map(|user| user.to_string());
    let typed = recipient.and_then(Recipient::typed).map(str::to_owned);
    let stage = transfer.stage().map(|stage| stage.as_str().to_owned());
    let reason = transfer.reason().map(|reason| reason.code().to_owned());
    [
        parts.id.to_string(),
        found.code.clone().unwrap_or_default(),
        transfer.kind().as_str().to_owned(),
        transfer.status().as_str().to_owned(),
        stage.unwrap_or_default(),
        reason.unwrap_or_default(),
        transfer.owner().to_string(),
        recipient_id.unwrap_or_default(),
        inert(typed),
        parts.asset.to_string(),
        parts.amount.to_plain(parts.scale),
        parts.fee.to_plain(parts.scale),
        inert(custom_id),
        inert(parts.note.clone()),
        inert(Some(parts.created_by.as_str().to_owned())),
        parts.created_at.to_micros_text(),
        transfer
            .done_at()
            .map(Timestamp::to_micros_text)
            .unwrap_or_default(),
    ]
}

/// What somebody wrote.
fn inert(text: Option<String>) -> String {
    neutral(&text.unwrap_or_default()).into_owned()
}

fn written(rows: &[[String; 17]]) -> Option<Bytes> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(vec![]);
    for row in rows {
        writer.write_record(row).ok()?;
    }
    writer.into_inner().ok().map(Bytes::from)
}

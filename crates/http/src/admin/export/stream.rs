//! The body of an export: page by page, as fast as the client reads.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderName, HeaderValue},
    web::Bytes,
};
use futures_util::stream;
use tracing::{Instrument, Span};

use super::{
    Sheet,
    lines::{Format, Lines},
};
use crate::{call::Call, problem::Problem};

const X_CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// An export that is under way.
struct Progress<S: Sheet> {
    sheet: S,
    lines: Lines,
    /// Rows that were read and not written yet.
    rows: Option<Vec<S::Row>>,
    fate: Fate,
}

/// What became of an export, counted when it is over. One that is dropped half way was not wanted
/// any more.
struct Fate {
    export: &'static str,
    outcome: &'static str,
}

impl Drop for Fate {
    fn drop(&mut self) {
        let labels = [("export", self.export), ("outcome", self.outcome)];
        metrics::counter!("bursar_exports_total", &labels).increment(1);
    }
}

/// What the client is told in the middle of a body: nothing but that it ends too early.
#[derive(Debug)]
struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the export broke off")
    }
}

impl std::error::Error for BrokenOff {}

/// Answers with an export. Its first rows are read before anything is answered, so that what is
/// wrong from the start is an ordinary refusal.
pub(super) async fn answer<S: Sheet>(
    call: &Call,
    mut sheet: S,
    format: Format,
) -> Result<HttpResponse, Problem> {
    let rows = sheet.next_page().await?;
    let mut head = head::<S>(format)?;
    if call.is_head() {
        return Ok(head.finish());
    }
    let progress = Progress {
        sheet,
        lines: Lines::of::<S>(format)?,
        rows,
        fate: Fate {
            export: S::NAME,
            outcome: "abandoned",
        },
    };
    // The body is read after the request's span has ended.
    let span = Span::current();
    let body = stream::try_unfold(Some(progress), move |progress| {
        let step = async {
            match progress {
                Some(progress) => progress.step().await.map(Some),
                None => Ok(None),
            }
        };
        step.instrument(span.clone())
    });
    Ok(head.streaming(body))
}

fn head<S: Sheet>(format: Format) -> Result<HttpResponseBuilder, Problem> {
    let file = format!(
        "attachment; filename=\"{}.{}\"",
        S::NAME,
        format.extension()
    );
    let file = HeaderValue::from_str(&file).map_err(|_| Problem::internal())?;
    let mut head = HttpResponse::Ok();
    head.content_type(HeaderValue::from_static(format.media_type()))
        .insert_header((CONTENT_DISPOSITION, file))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    Ok(head)
}

impl<S: Sheet> Progress<S> {
    /// What is sent next, and what comes after it.
    async fn step(mut self) -> Result<(Bytes, Option<Self>), BrokenOff> {
        let Ok(is_over) = self.advance().await else {
            // Why was logged where it was found out.
            self.fate.outcome = "broken";
            tracing::error!(export = S::NAME, "an export broke off");
            return Err(BrokenOff);
        };
        let bytes = Bytes::from(self.lines.take());
        if is_over {
            self.fate.outcome = "complete";
            return Ok((bytes, None));
        }
        Ok((bytes, Some(self)))
    }

    /// Writes the next rows, or what stands at the end. Whether it does.
    async fn advance(&mut self) -> Result<bool, Problem> {
        let rows = match self.rows.take() {
            Some(rows) => Some(rows),
            None => self.next_rows().await?,
        };
        let Some(rows) = rows else {
            self.sheet.write_totals(&mut self.lines)?;
            self.lines.end()?;
            return Ok(true);
        };
        for row in &rows {
            S::write(row, &mut self.lines)?;
        }
        Ok(false)
    }

    /// The next page that has rows.
    async fn next_rows(&mut self) -> Result<Option<Vec<S::Row>>, Problem> {
        loop {
            let rows = self.sheet.next_page().await?;
            if rows.as_ref().is_none_or(|rows| !rows.is_empty()) {
                return Ok(rows);
            }
        }
    }
}

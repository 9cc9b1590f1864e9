//! `/admin/v1/audit.csv` and `.jsonl`: who did what.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::{AuditExport, AuditTotal, Error};
use bursar_ports::AuditRecord;
use serde::Serialize;

use super::{
    super::audit::{RecordBody, filters},
    Format, Lines, Sheet, stream,
};
use crate::{call::Call, fields::Names, problem::Problem};

#[derive(Serialize)]
struct TotalBody<'a> {
    action: &'a str,
    count: u64,
}

pub(super) async fn export(request: HttpRequest, format: Format) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let filter = filters(&mut query);
    let filter = query.finish(Some(filter))?;
    let export = call.app().export_audit(&grant, filter).await?;
    stream::answer(&call, export, format).await
}

impl Sheet for AuditExport {
    const NAME: &'static str = "audit";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "at",
        "actor",
        "credential",
        "request_id",
        "address",
        "action",
        "target",
        "before",
        "after",
        "count",
    ];
    const SIGNED: &'static [&'static str] = &[];
    type Row = AuditRecord;

    async fn next_page(&mut self) -> Result<Option<Vec<AuditRecord>>, Error> {
        Self::next_page(self).await
    }

    fn write(row: &AuditRecord, lines: &mut Lines) -> Result<(), Problem> {
        lines.row("audit", &RecordBody::of(row)?)
    }

    fn write_totals(&self, lines: &mut Lines) -> Result<(), Problem> {
        let totals = self.totals();
        totals
            .iter()
            .try_for_each(|total| lines.total(&TotalBody::of(total)))
    }
}

impl<'a> TotalBody<'a> {
    fn of(total: &'a AuditTotal) -> Self {
        Self {
            action: &total.action,
            count: total.count,
        }
    }
}

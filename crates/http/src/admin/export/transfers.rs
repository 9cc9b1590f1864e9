//! `/admin/v1/transfers.csv` and `.jsonl`.

use actix_web::{HttpRequest, HttpResponse};
use bursar_app::{Error, FoundTransfer, TransferExport, TransferTotal};
use serde::Serialize;

use super::{
    super::{
        transfer::{TransferBody, status},
        transfers::filters,
    },
    Format, Lines, Sheet, stream,
};
use crate::{call::Call, fields::Names, problem::Problem};

#[derive(Serialize)]
struct TotalBody<'a> {
    kind: &'static str,
    status: &'static str,
    asset: &'a str,
    amount: String,
    fee: String,
    count: u64,
}

pub(super) async fn export(request: HttpRequest, format: Format) -> Result<HttpResponse, Problem> {
    let call = Call::read(request).await?;
    let grant = call.grant_reader()?;
    let mut query = call.query(Names::Strict)?;
    let wanted = filters(&mut query);
    let wanted = query.finish(Some(wanted))?;
    let export = call.app().export_transfers(&grant, wanted).await?;
    stream::answer(&call, export, format).await
}

impl Sheet for TransferExport {
    const NAME: &'static str = "transfers";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "code",
        "kind",
        "status",
        "reason_code",
        "reason_message",
        "user_id",
        "recipient_id",
        "recipient",
        "asset",
        "amount",
        "fee",
        "comment",
        "custom_id",
        "callback_url",
        "created_by",
        "confirmed_by",
        "stage",
        "approval_digest",
        "reviewed_by",
        "expires_at",
        "reverses",
        "reversed",
        "root_rate",
        "created_at",
        "updated_at",
        "count",
    ];
    // Of the totals, where more was given back than taken.
    const SIGNED: &'static [&'static str] = &["fee"];
    type Row = FoundTransfer;

    async fn next_page(&mut self) -> Result<Option<Vec<FoundTransfer>>, Error> {
        Self::next_page(self).await
    }

    fn write(row: &FoundTransfer, lines: &mut Lines) -> Result<(), Problem> {
        let body = TransferBody::of(&row.transfer, row.code.as_deref());
        lines.row("transfer", &body)
    }

    fn write_totals(&self, lines: &mut Lines) -> Result<(), Problem> {
        let totals = self.totals();
        totals
            .iter()
            .try_for_each(|total| lines.total(&TotalBody::of(total)))
    }
}

impl<'a> TotalBody<'a> {
    fn of(total: &'a TransferTotal) -> Self {
        Self {
            kind: total.kind.as_str(),
            status: status(total.kind, total.status),
            asset: total.asset.as_str(),
            amount: super::decimal(&total.amount),
            fee: super::decimal(&total.fee),
            count: total.count,
        }
    }
}

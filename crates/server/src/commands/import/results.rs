//! What became of each row.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
};

use anyhow::Context;
use bursar_app::{Error, Imported};
use bursar_domain::{BigDecimal, Status, Transfer};
use bursar_http::tell;

const COLUMNS: [&str; 7] = [
    "line",
    "reference",
    "result",
    "transfer_id",
    "status",
    "code",
    "detail",
];

/// The results that are as whoever imports wants them.
const GOOD: [&str; 3] = ["ready", "made", "repeated"];

/// What became of a row.
pub(super) enum Told {
    /// It would be made.
    Ready(Transfer),
    /// It is made, now or before, whatever became of it since.
    Made(Imported),
    /// It is made, but its withdrawal cannot be confirmed.
    Unconfirmed(Transfer, Error),
    /// Nobody knows whether it is made.
    Unknown(Error),
    /// It cannot be made.
    Refused(Error),
}

/// What became of a row, cell by cell.
struct Cells {
    result: &'static str,
    transfer_id: String,
    status: &'static str,
    code: String,
    detail: String,
}

/// The file of results, a line for each row in the order of the rows, and their sums.
pub(super) struct Results {
    out: csv::Writer<File>,
    /// The line and the reference of each row.
    places: Vec<(u64, String)>,
    /// What is known already of rows behind one of which nothing is.
    waiting: BTreeMap<usize, Cells>,
    written: usize,
    /// How many rows came to each result.
    counts: BTreeMap<&'static str, usize>,
    /// How much they moved, by result, kind and asset.
    sums: BTreeMap<(&'static str, &'static str, String), BigDecimal>,
}

impl Results {
    /// A file for the rows of `input` in these lines with these references; what is in it goes.
    pub(super) fn create(
        path: &Path,
        input: &Path,
        places: Vec<(u64, String)>,
    ) -> anyhow::Result<Self> {
        let cannot = || format!("{} cannot be written", path.display());
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false);
        let file = options.open(path).with_context(cannot)?;
        anyhow::ensure!(
            fs::canonicalize(path)? != fs::canonicalize(input)?,
            "{} is what is to be imported: name another file for the results",
            path.display()
        );
        // Two of them would write over each other.
        let locked = file.try_lock();
        locked.with_context(|| format!("another import writes to {}", path.display()))?;
        file.set_len(0).with_context(cannot)?;
        let mut out = csv::Writer::from_writer(file);
        out.write_record(COLUMNS).with_context(cannot)?;
        Ok(Self {
            out,
            places,
            waiting: BTreeMap::new(),
            written: 0,
            counts: BTreeMap::new(),
            sums: BTreeMap::new(),
        })
    }

    /// Tells what became of the row at this place.
    pub(super) fn tell(&mut self, at: usize, told: Told) -> anyhow::Result<()> {
        let cells = self.count(told);
        self.waiting.insert(at, cells);
        while let Some(cells) = self.waiting.remove(&self.written) {
            self.write(self.written, &cells)?;
            self.written = self.written.saturating_add(1);
        }
        Ok(())
    }

    /// Writes what is known of rows behind others of which nothing is.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        for (at, cells) in std::mem::take(&mut self.waiting) {
            self.write(at, &cells)?;
        }
        self.flush()
    }

    fn write(&mut self, at: usize, cells: &Cells) -> anyhow::Result<()> {
        let (line, reference) = self.places.get(at).context("there is no such row")?;
        let line = line.to_string();
        let record = [
            &line,
            reference,
            cells.result,
            &cells.transfer_id,
            cells.status,
            &cells.code,
            &cells.detail,
        ];
        let written = self.out.write_record(record);
        written.context("the results cannot be written")
    }

    /// Leaves what is known so far in the file, whatever happens next.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.out.flush().context("the results cannot be written")
    }

    /// How many rows are not as they should be.
    pub(super) fn failed(&self) -> usize {
        let failed = self.counts.iter().filter(|(name, _)| !GOOD.contains(*name));
        failed.map(|(_, count)| count).sum()
    }

    /// What became of how many rows, how much they move, and where to look.
    pub(super) fn summary(&self, path: &Path) -> String {
        let mut lines = vec![format!("rows: {}\n", self.places.len())];
        let counts = self.counts.iter();
        lines.extend(counts.map(|(result, count)| format!("{result}: {count}\n")));
        lines.extend(self.sums.iter().map(|((result, kind, asset), sum)| {
            let sum = sum.normalized().to_plain_string();
            format!("{result} {kind} {asset}: {sum}\n")
        }));
        lines.push(format!("results: {}\n", path.display()));
        lines.concat()
    }

    fn count(&mut self, told: Told) -> Cells {
        let (result, transfer, error) = match told {
            Told::Ready(transfer) => ("ready", Some(transfer), None),
            Told::Made(Imported { transfer, repeated }) => {
                let result = match transfer.status() {
                    Status::Failed | Status::Rejected | Status::Canceled => "undone",
                    Status::Pending
                    | Status::AwaitingConfirmation
                    | Status::Completed
                    | Status::Success => {
                        if repeated {
                            "repeated"
                        } else {
                            "made"
                        }
                    }
                };
                (result, Some(transfer), None)
            }
            Told::Unconfirmed(transfer, error) => ("unconfirmed", Some(transfer), Some(error)),
            Told::Unknown(error) => ("unknown", None, Some(error)),
            Told::Refused(error) => ("refused", None, Some(error)),
        };
        *self.counts.entry(result).or_default() += 1;
        let (mut transfer_id, mut status, mut transfer_reason) = (String::new(), "", None);
        if let Some(transfer) = transfer {
            // What is taken back has no id that anybody could look for.
            if result != "ready" {
                transfer_id = transfer.id().to_string();
            }
            status = transfer.status().as_str();
            transfer_reason = transfer.reason();
            let parts = transfer.parts();
            let key = (result, transfer.kind().as_str(), parts.asset.to_string());
            *self.sums.entry(key).or_default() += parts.amount.to_decimal(parts.scale);
        }
        let why = transfer_reason.map(|reason| (reason.code().into(), reason.message().to_owned()));
        let (code, detail) = error.map(tell).or(why).unwrap_or_default();
        Cells {
            result,
            transfer_id,
            status,
            code: code.into_owned(),
            detail,
        }
    }
}

//! Exports of where every account's chain stood, kept outside the database: they show tails that
//! were cut and accounts that were rolled back, which nothing that is left can show.
//!
//! A line for each account, by id: the id, how many entries it has, the seal of the last one. The
//! last line says how many there are, so that an export that was cut shows too.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use bursar_ports::StoreError;
use data_encoding::HEXLOWER;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::{
    error::unavailable, pool::PoolConfig, proof::Head, schema::accounts, seal::Seal,
    tx::in_snapshot,
};

const FIRST_LINE: &str = "bursar heads 1";
const LAST_WORD: &str = "end";
const NO_SEAL: &str = "-";
/// How many accounts are read at once.
const PAGE: i64 = 5_000;

/// Why heads were not exported, or cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// The books cannot be read.
    #[error("the books cannot be read")]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("the file cannot be read or written")]
    Io(#[from] io::Error),
    /// The file is no export, or a part of one.
    #[error("line {line} is not what an export has there")]
    Malformed {
        /// Which line.
        line: u64,
    },
}

/// Writes the heads of all accounts of the database at `url`; says how many.
///
/// # Errors
/// [`HeadsError`] when the books cannot be read or the export cannot be written.
pub async fn export_heads(url: &str, out: &mut (dyn Write + Send)) -> Result<u64, HeadsError> {
    let mut connection = PoolConfig::new(url).connect_for_exports().await?;
    let mut count = 0_u64;
    let mut trouble = None;
    writeln!(out, "{FIRST_LINE}")?;
    let snapshot = in_snapshot(&mut connection, async |connection| {
        let mut after = i64::MIN;
        loop {
            let page: Vec<(i64, i64, Option<Seal>)> = accounts::table
                .filter(accounts::id.gt(after))
                .order(accounts::id)
                .limit(PAGE)
                .select((accounts::id, accounts::seq, accounts::head))
                .load(connection)
                .await
                .map_err(unavailable)?;
            let Some((last, ..)) = page.last() else {
                return Ok(());
            };
            after = *last;
            for (id, seq, seal) in page {
                let seal = seal.map_or_else(|| NO_SEAL.to_owned(), |seal| HEXLOWER.encode(&seal.0));
                if let Err(error) = writeln!(out, "{id} {seq} {seal}") {
                    trouble = Some(error);
                    return Ok(());
                }
                count = count.saturating_add(1);
            }
        }
    });
    snapshot.await?;
    if let Some(error) = trouble {
        return Err(error.into());
    }
    writeln!(out, "{LAST_WORD} {count}")?;
    Ok(count)
}

/// An export that was read once to its end and is whole.
#[derive(Clone, Debug)]
pub struct HeadsFile {
    path: PathBuf,
}

impl HeadsFile {
    /// Looks at every line of an export.
    ///
    /// # Errors
    /// [`HeadsError`] when it cannot be read, or is not whole.
    pub fn open(path: &Path) -> Result<Self, HeadsError> {
        let mut count = 0_u64;
        let mut ended = false;
        let mut last = i64::MIN;
        let mut line = 0_u64;
        for text in BufReader::new(File::open(path)?).lines() {
            let text = text?;
            line = line.saturating_add(1);
            let malformed = HeadsError::Malformed { line };
            if line == 1 {
                if text != FIRST_LINE {
                    return Err(malformed);
                }
            } else if ended {
                return Err(malformed);
            } else if text == format!("{LAST_WORD} {count}") {
                ended = true;
            } else {
                let head = read_line(&text).filter(|head| head.account > last);
                last = head.ok_or(malformed)?.account;
                count = count.saturating_add(1);
            }
        }
        let line = line.saturating_add(1);
        if ended {
            Ok(Self {
                path: path.to_owned(),
            })
        } else {
            Err(HeadsError::Malformed { line })
        }
    }

    /// The heads, by account id.
    pub(crate) fn read(&self) -> Result<Box<dyn Iterator<Item = Head> + Send>, StoreError> {
        let file = File::open(&self.path).map_err(|error| StoreError::Unavailable(error.into()))?;
        let lines = BufReader::new(file).lines();
        // It was read before; what has become unreadable since is missing, which does not go
        // unnoticed for long.
        let heads = lines.map_while(Result::ok);
        Ok(Box::new(heads.filter_map(|line| read_line(&line))))
    }
}

fn read_line(text: &str) -> Option<Head> {
    let mut words = text.split(' ');
    let account = words.next()?.parse().ok()?;
    let seq = words.next()?.parse().ok()?;
    let seal = match words.next()? {
        NO_SEAL => None,
        hex => Some(Seal(HEXLOWER.decode(hex.as_bytes()).ok()?)),
    };
    words
        .next()
        .is_none()
        .then_some(Head { account, seq, seal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> Result<HeadsFile, HeadsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads");
        std::fs::write(&path, text).unwrap();
        HeadsFile::open(&path)
    }

    #[test]
    fn a_whole_export_is_taken() {
        opened("bursar heads 1\nend 0\n").unwrap();
        opened("bursar heads 1\n1 0 -\n2 3 00ff\nend 2\n").unwrap();
    }

    #[test]
    fn a_part_of_an_export_is_refused_with_its_line() {
        for (text, at) in [
            ("", 1),
            ("heads\nend 0\n", 1),
            ("bursar heads 1\n", 2),
            ("bursar heads 1\n1 0 -\n", 3),
            ("bursar heads 1\n1 0 -\nend 2\n", 3),
            ("bursar heads 1\n2 0 -\n1 0 -\nend 2\n", 3),
            ("bursar heads 1\n1 0\nend 1\n", 2),
            ("bursar heads 1\n1 0 xx\nend 1\n", 2),
            ("bursar heads 1\n1 0 - -\nend 1\n", 2),
            ("bursar heads 1\nend 0\n1 0 -\n", 3),
        ] {
            let error = opened(text).unwrap_err();
            let is_there = matches!(error, HeadsError::Malformed { line } if line == at);
            assert!(is_there, "{text:?}: {error}");
        }
    }
}

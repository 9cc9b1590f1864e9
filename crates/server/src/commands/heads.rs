//! `bursar heads`.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Context;
use bursar_postgres::export_heads;
use secrecy::ExposeSecret;

use super::say;
use crate::{
    cli::HeadsArgs,
    config::{Config, Sources},
    telemetry,
};

/// Exports where every account's entries stand.
pub(crate) async fn heads(args: HeadsArgs) -> anyhow::Result<()> {
    let sources = Sources::collect(args.config.config.as_deref())?;
    let (database, log) = Config::load_database(&sources)?;
    telemetry::start_logging(&log)?;
    let url = database.url.expose_secret();
    let count = publish(&args.out, async |file| write(url, file).await).await?;
    say(&format!("accounts: {count}\n"))
}

/// Has a file written beside its place, and puts it there once it is whole: a part proves nothing, and
/// would be in the way of the next try, whatever cut it off.
async fn publish(
    out: &Path,
    write: impl AsyncFnOnce(File) -> anyhow::Result<u64>,
) -> anyhow::Result<u64> {
    let path = out.display();
    // An earlier export is what proves something: it is never overwritten.
    anyhow::ensure!(!out.try_exists()?, "{path} is there already");
    let mut part = OsString::from(out);
    // Nobody else's, whoever else writes there or was killed there.
    part.push(format!(".part-{:016x}", rand::random::<u64>()));
    let part = Path::new(&part);
    let file = File::create_new(part).with_context(|| format!("{path} cannot be made"))?;
    let written = match write(file).await {
        // Unlike a rename this writes over nothing that has come meanwhile.
        Ok(count) => fs::hard_link(part, out)
            .map(|()| count)
            .map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    let removed = fs::remove_file(part);
    let count = written.with_context(|| format!("the heads cannot be exported to {path}"))?;
    removed.with_context(|| format!("{} cannot be removed", part.display()))?;
    Ok(count)
}

async fn write(url: &str, file: File) -> anyhow::Result<u64> {
    let mut out = BufWriter::new(file);
    let count = export_heads(url, &mut out).await?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_export_is_under_its_name_once_it_is_whole_and_over_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("heads");
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<Vec<String>>()
        };
        let broken = publish(&out, async |_| Err(anyhow::anyhow!("it went away")));
        assert!(broken.await.is_err());
        assert!(names().is_empty(), "{:?}", names());
        let whole = publish(&out, async |mut file| {
            file.write_all(b"whole")?;
            assert!(!out.exists(), "a part has the name");
            Ok(7)
        });
        assert_eq!(whole.await.unwrap(), 7);
        assert_eq!(fs::read(&out).unwrap(), b"whole");
        assert!(publish(&out, async |_| Ok(7)).await.is_err());
        fs::remove_file(&out).unwrap();
        let late = publish(&out, async |_| {
            fs::write(&out, "earlier")?;
            Ok(7)
        });
        assert!(late.await.is_err());
        assert_eq!(fs::read(&out).unwrap(), b"earlier");
        assert_eq!(names(), ["heads"]);
    }
}

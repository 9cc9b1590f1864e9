//! Lets tests choose what goes wrong, in builds with the feature `failpoints` alone.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use anyhow::{Context as _, anyhow};
use bursar_postgres::faults::arm;

/// What is chosen from the start: `name=actions`, separated by semicolons.
const AT_FIRST: &str = "FAILPOINTS";
/// Where to listen for what is chosen later.
const LATER: &str = "FAILPOINTS_SOCKET";

/// Chooses what the environment says, and listens for what is chosen later.
pub(crate) fn listen() -> anyhow::Result<()> {
    for line in env::var(AT_FIRST).iter().flat_map(|all| all.split(';')) {
        choose(line)?;
    }
    if let Ok(path) = env::var(LATER) {
        let listener = UnixListener::bind(&path).with_context(|| format!("{LATER}: {path}"))?;
        thread::spawn(move || {
            for stream in listener.incoming() {
                if let Err(error) = stream.and_then(|stream| answer(&stream)) {
                    tracing::warn!(%error, "a test hung up");
                }
            }
        });
    }
    Ok(())
}

/// Chooses line by line, and says what is wrong with each, or nothing.
fn answer(mut stream: &UnixStream) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        let wrong = choose(&line?).err().map(|error| error.to_string());
        writeln!(stream, "{}", wrong.unwrap_or_default())?;
    }
    Ok(())
}

fn choose(line: &str) -> anyhow::Result<()> {
    let (name, actions) = line
        .split_once('=')
        .with_context(|| format!("{line} is no name=actions"))?;
    arm(name, actions).map_err(|wrong| anyhow!("{line}: {wrong}"))
}

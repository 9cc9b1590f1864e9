//! One connection through the proxy, message by message.

use std::{
    collections::HashSet,
    io,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
};

use super::{Shared, WireFault};

/// How long to wait between two looks at whether everything before a COMMIT was answered.
const PAUSE: Duration = Duration::from_millis(1);

/// One message: its kind, and what follows its length.
struct Message {
    kind: u8,
    body: Vec<u8>,
}

/// What both directions know of each other.
struct Link<'a> {
    shared: &'a Shared,
    number: usize,
    /// How many times the client said that it waits for an answer, and the server that it answered.
    unanswered: AtomicUsize,
    to_client: Mutex<BufWriter<OwnedWriteHalf>>,
}

/// Passes messages on until either side ends, or something happens.
pub(super) async fn pass(
    shared: &Shared,
    number: usize,
    client: TcpStream,
    server: TcpStream,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let link = Link {
        shared,
        number,
        unanswered: AtomicUsize::new(0),
        to_client: Mutex::new(BufWriter::new(to_client)),
    };
    tokio::select! {
        ended = link.forward(BufReader::new(from_client), BufWriter::new(to_server)) => ended,
        ended = link.answer(BufReader::new(from_server)) => ended,
        () = shared.hang_up.notified() => Ok(()),
    }
}

impl Link<'_> {
    /// What the client says.
    async fn forward(
        &self,
        mut from: BufReader<OwnedReadHalf>,
        mut to: BufWriter<OwnedWriteHalf>,
    ) -> io::Result<()> {
        // The first message has no kind.
        let first = read_body(&mut from).await?;
        let refusal = self
            .shared
            .strikes(|fault| matches!(fault, WireFault::RefuseConnection(_)));
        if let Some(WireFault::RefuseConnection(state)) = refusal {
            return self.say(&error(state)).await;
        }
        to.write_u32(length(&first)?).await?;
        to.write_all(&first).await?;
        let mut commits: HashSet<Vec<u8>> = HashSet::new();
        loop {
            if from.buffer().is_empty() {
                to.flush().await?;
            }
            let message = read_message(&mut from).await?;
            if message.prepares_commit() {
                commits.insert(message.name(0));
            }
            if message.sends_commit(&commits) {
                let fault = self.shared.strikes(|fault| {
                    matches!(fault, WireFault::LoseCommit | WireFault::RefuseCommit(_))
                });
                if let Some(fault) = fault {
                    to.flush().await?;
                    return self.keep_back(fault).await;
                }
            }
            if matches!(message.kind, b'S' | b'Q') {
                self.unanswered.fetch_add(1, Ordering::SeqCst);
            }
            message.write(&mut to).await?;
        }
    }

    /// Does not pass COMMIT on, once everything before it is answered.
    async fn keep_back(&self, fault: WireFault) -> io::Result<()> {
        while self.unanswered.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if let WireFault::RefuseCommit(state) = fault {
            self.say(&error(state)).await?;
        }
        Ok(())
    }

    /// What the server says.
    async fn answer(&self, mut from: BufReader<OwnedReadHalf>) -> io::Result<()> {
        let mut silent = false;
        loop {
            let message = read_message(&mut from).await;
            silent |= self.number < self.shared.silent_below.load(Ordering::SeqCst)
                || self.shared.silent.load(Ordering::SeqCst);
            if silent {
                if message.is_err() {
                    // The client's end stays open, whatever the server did.
                    std::future::pending::<()>().await;
                }
                continue;
            }
            let message = message?;
            if message.kind == b'C' && message.body == b"COMMIT\0" {
                let fault = self.shared.strikes(|fault| {
                    matches!(fault, WireFault::LoseAnswer | WireFault::AnswerCommit(_))
                });
                match fault {
                    Some(WireFault::AnswerCommit(state)) => return self.say(&error(state)).await,
                    Some(_) => return Ok(()),
                    None => {}
                }
            }
            let is_ready = message.kind == b'Z';
            let mut bytes = vec![];
            message.write(&mut bytes).await?;
            let passed = self.shared.spend(bytes.len());
            let mut to = self.to_client.lock().await;
            to.write_all(bytes.get(..passed).unwrap_or(&bytes)).await?;
            if passed < bytes.len() {
                return to.flush().await;
            }
            if from.buffer().is_empty() {
                to.flush().await?;
            }
            drop(to);
            if is_ready {
                // The first one answers nothing that was asked.
                let less = |left: usize| Some(left.saturating_sub(1));
                let order = Ordering::SeqCst;
                let _before = self.unanswered.fetch_update(order, order, less);
            }
        }
    }

    /// Says something to the client that the server did not.
    async fn say(&self, message: &Message) -> io::Result<()> {
        let mut to = self.to_client.lock().await;
        message.write(&mut *to).await?;
        to.flush().await
    }
}

impl Message {
    /// Whether it gives COMMIT a name.
    fn prepares_commit(&self) -> bool {
        self.kind == b'P' && self.name(1) == b"COMMIT"
    }

    /// Whether it has COMMIT executed, by one of these names or as it stands.
    fn sends_commit(&self, commits: &HashSet<Vec<u8>>) -> bool {
        match self.kind {
            b'B' => commits.contains(&self.name(1)),
            b'Q' => self.name(0).eq_ignore_ascii_case(b"COMMIT"),
            _ => false,
        }
    }

    /// One of the texts at the beginning of the body.
    fn name(&self, place: usize) -> Vec<u8> {
        let mut names = self.body.split(|byte| *byte == 0);
        names.nth(place).unwrap_or_default().to_vec()
    }

    async fn write(&self, to: &mut (impl tokio::io::AsyncWrite + Unpin)) -> io::Result<()> {
        to.write_u8(self.kind).await?;
        to.write_u32(length(&self.body)?).await?;
        to.write_all(&self.body).await
    }
}

/// What the server says when it ends a connection.
fn error(state: &str) -> Message {
    let fields = [
        "SFATAL",
        "VFATAL",
        &format!("C{state}"),
        "Mit was told to say so",
    ];
    let mut body = vec![];
    for field in fields {
        body.extend_from_slice(field.as_bytes());
        body.push(0);
    }
    body.push(0);
    Message { kind: b'E', body }
}

async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let kind = from.read_u8().await?;
    let body = read_body(from).await?;
    Ok(Message { kind, body })
}

/// What follows a length, which counts itself.
async fn read_body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = usize::try_from(from.read_u32().await?).map_err(io::Error::other)?;
    let mut body = vec![0; length.saturating_sub(4)];
    from.read_exact(&mut body).await?;
    Ok(body)
}

fn length(body: &[u8]) -> io::Result<u32> {
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    Ok(length.saturating_add(4))
}

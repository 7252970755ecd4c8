//! An engine handle whose other end is a socket.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use thiserror::Error;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use super::frame::{self, Ask, HELLO_BYTES_MAX, Hello, TELL_BYTES_MAX, Tell};
use crate::error::Report;
use crate::protocol::{Call, EngineHandle, Event, Origin, Reply, Snapshot, Subscription, VERSION};

/// An engine at the far end of a socket. Dropping it hangs up.
#[derive(Debug)]
pub struct Attached {
    /// How a face reaches the engine.
    pub handle: EngineHandle,
    /// The version of the program at the far end.
    pub program: String,
    _tasks: JoinSet<()>,
}

/// Why no engine could be attached to.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Nobody serves there.
    #[error("no engine is running")]
    Nobody,
    /// The socket belongs to somebody else.
    #[error("the engine's socket is served by uid {0}, not by its owner")]
    Stranger(u32),
    /// The engine is of another version.
    #[error("the running engine is version {theirs}, this program is {ours}")]
    Version {
        /// Its version.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The engine does not answer.
    #[error("the engine does not answer")]
    Silent,
    /// The channel broke.
    #[error("the engine cannot be reached: {0}")]
    Io(#[from] io::Error),
}

/// Attaches to the engine that serves a socket, if it is one of the user `expected`.
///
/// # Errors
///
/// When nobody serves there, or not that user's engine, or not of this version.
pub async fn attach(path: &Path, origin: Origin, expected: u32) -> Result<Attached, AttachError> {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => {
            return Err(AttachError::Nobody);
        }
        Err(error) => return Err(error.into()),
    };
    let owner = stream.peer_cred()?.uid();
    if owner != expected {
        return Err(AttachError::Stranger(owner));
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let greeting = timeout(HELLO_LIMIT, greet(&mut reader, &mut writer));
    let program = greeting.await.map_err(|_| AttachError::Silent)??;
    let (calls, inbox) = mpsc::channel(CALLS_MAX);
    let (tells, news) = mpsc::channel(TELLS_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(read_all(reader, tells));
    tasks.spawn(converse(inbox, news, writer));
    Ok(Attached { handle: EngineHandle::new(calls, origin), program, _tasks: tasks })
}

async fn greet(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Result<String, AttachError> {
    let ours = env!("CARGO_PKG_VERSION").to_owned();
    let hello = Hello { protocol: VERSION, program: ours.clone() };
    frame::write(writer, &hello).await?;
    let theirs: Option<Hello> = frame::read(reader, HELLO_BYTES_MAX).await?;
    let theirs = theirs.ok_or(AttachError::Silent)?;
    let program = crate::domain::text::clean(&theirs.program, 32).into_owned();
    if theirs.protocol == VERSION {
        Ok(program)
    } else {
        Err(AttachError::Version { theirs: program, ours })
    }
}

async fn read_all(mut reader: BufReader<OwnedReadHalf>, tells: mpsc::Sender<Tell>) {
    loop {
        match frame::read(&mut reader, TELL_BYTES_MAX).await {
            Ok(Some(tell)) => {
                if tells.send(tell).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "the engine was hung up on"),
        }
    }
}

/// What waits for an answer.
#[derive(Default)]
struct Waiting {
    answers: BTreeMap<u64, oneshot::Sender<Result<Reply, Report>>>,
    subscribers: BTreeMap<u64, oneshot::Sender<Subscription>>,
    followers: BTreeMap<u64, mpsc::Sender<Event>>,
}

/// Passes calls to the engine and what it tells to those who wait. Ends with the channel; whoever
/// still waits then hears that the engine has gone away.
async fn converse(
    mut inbox: mpsc::Receiver<Call>,
    mut news: mpsc::Receiver<Tell>,
    mut writer: OwnedWriteHalf,
) {
    let mut waiting = Waiting::default();
    let mut id: u64 = 0;
    loop {
        tokio::select! {
            tell = news.recv() => match tell {
                Some(tell) => {
                    if waiting.take(tell).is_break() {
                        return;
                    }
                }
                None => return,
            },
            call = inbox.recv() => {
                id += 1;
                let ask = match call {
                    Some(Call::Command { token, command, reply, .. }) => {
                        waiting.answers.insert(id, reply);
                        Ask::Command { id, token, command }
                    }
                    Some(Call::Subscribe { token, reply, .. }) => {
                        waiting.subscribers.insert(id, reply);
                        Ask::Subscribe { id, token }
                    }
                    None => return,
                };
                if frame::write(&mut writer, &ask).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Waiting {
    /// Takes in what the engine tells. Breaks off where this face does not keep up: it attaches
    /// again and starts from a snapshot.
    fn take(&mut self, tell: Tell) -> ControlFlow<()> {
        match tell {
            Tell::Answer { id, answer } => {
                if let Some(reply) = self.answers.remove(&id) {
                    // A caller that gave up does not wait for its answer.
                    reply.send(answer).ok();
                }
            }
            Tell::Snapshot { id, snapshot } => self.subscribed(id, snapshot),
            Tell::Event { id, event } => {
                if let Some(follower) = self.followers.get(&id) {
                    match follower.try_send(event) {
                        Ok(()) => {}
                        Err(TrySendError::Full(_)) => return ControlFlow::Break(()),
                        Err(TrySendError::Closed(_)) => drop(self.followers.remove(&id)),
                    }
                }
            }
            Tell::CutOff { id } => drop(self.followers.remove(&id)),
        }
        ControlFlow::Continue(())
    }

    fn subscribed(&mut self, id: u64, snapshot: Box<Snapshot>) {
        let Some(reply) = self.subscribers.remove(&id) else { return };
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        if reply.send(Subscription { snapshot, events }).is_ok() {
            self.followers.insert(id, sender);
        }
    }
}

const HELLO_LIMIT: Duration = Duration::from_secs(5);
const CALLS_MAX: usize = 64;
const TELLS_MAX: usize = 64;
const EVENTS_MAX: usize = 512;

//! Serves an engine to other processes.

use std::collections::BTreeMap;
use std::io;

use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, UCred};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep, timeout};

use super::frame::{self, ASK_BYTES_MAX, Ask, HELLO_BYTES_MAX, Hello, Tell};
use super::origin::origin_of;
use crate::protocol::{Command, EngineHandle, Event, Subscription, VERSION};

/// A socket that is served. Dropping it hangs up on every face.
#[derive(Debug)]
pub struct Server {
    tasks: JoinSet<()>,
}

impl Server {
    /// Waits until the socket is served no more, which happens only when it breaks.
    pub async fn finished(&mut self) {
        self.tasks.join_next().await;
    }
}

/// Who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Processes of one user.
    Uid(u32),
    /// Whoever the mode of the socket file lets in. Who they are is for the engine to judge.
    Everybody,
}

impl Serves {
    fn admits(self, uid: u32) -> bool {
        match self {
            Self::Uid(served) => served == uid,
            Self::Everybody => true,
        }
    }
}

/// Serves an engine on a listening socket.
#[must_use]
pub fn serve(listener: UnixListener, engine: EngineHandle, serves: Serves) -> Server {
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(listener, engine, serves));
    Server { tasks }
}

async fn accept(listener: UnixListener, engine: EngineHandle, serves: Serves) {
    let mut faces = JoinSet::new();
    // For each user, how many there are: nobody takes the places of somebody else.
    let mut places: BTreeMap<u32, usize> = BTreeMap::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Some(peer) = known(&stream, serves) else { continue };
                    let taken = places.entry(peer.uid()).or_default();
                    if *taken >= FACES_MAX {
                        tracing::warn!(uid = peer.uid(), "too many faces; one was turned away");
                        continue;
                    }
                    *taken += 1;
                    let engine = engine.clone();
                    faces.spawn(async move {
                        admit(stream, engine, peer).await;
                        peer.uid()
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a face could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(left) = faces.join_next() => {
                if let Some(taken) = left.ok().and_then(|uid| places.get_mut(&uid)) {
                    *taken = taken.saturating_sub(1);
                }
            }
        }
    }
}

/// Asks the kernel who is there; nothing where it is nobody who is served.
fn known(stream: &UnixStream, serves: Serves) -> Option<UCred> {
    match stream.peer_cred() {
        Ok(peer) if serves.admits(peer.uid()) => return Some(peer),
        Ok(peer) => tracing::warn!(uid = peer.uid(), "another user was turned away"),
        Err(error) => tracing::warn!(%error, "a face without a user was turned away"),
    }
    None
}

/// Says hello, and serves.
async fn admit(stream: UnixStream, engine: EngineHandle, peer: UCred) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let greeting = timeout(HELLO_LIMIT, greet(&mut reader, &mut writer)).await;
    match greeting {
        Ok(Ok(Some(_))) => {}
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return tracing::debug!(%error, "a face said no proper hello"),
        Err(_) => return tracing::debug!("a face said no hello"),
    }
    let origin = origin_of(peer.uid(), peer.pid());
    converse(reader, writer, engine.for_origin(origin)).await;
}

/// Exchanges hellos; nothing where the versions differ.
async fn greet(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> io::Result<Option<Hello>> {
    let ours = Hello { protocol: VERSION, program: env!("CARGO_PKG_VERSION").to_owned() };
    frame::write(writer, &ours).await?;
    let theirs: Option<Hello> = frame::read(reader, HELLO_BYTES_MAX).await?;
    Ok(theirs.filter(|hello| hello.protocol == VERSION))
}

/// Serves one face to its end.
///
/// - The next ask is read once there is a place for its work: a face that asks faster than it
///   listens waits, and costs the engine no more.
/// - One subscription a connection. A second one takes the place of the first, which is cut off:
///   a face that dropped a subscription without a word may subscribe again.
async fn converse(reader: BufReader<OwnedReadHalf>, writer: OwnedWriteHalf, engine: EngineHandle) {
    let (asks, mut inbox) = mpsc::channel(1);
    let (tells, outbox) = mpsc::channel(TELLS_MAX);
    let mut channel = JoinSet::new();
    channel.spawn(read_all(reader, asks));
    channel.spawn(write_all(writer, outbox));
    let mut work = JoinSet::new();
    let mut follower = JoinSet::new();
    // The subscription that was asked for last, and the one that is passed on.
    let (mut newest, mut followed) = (None, None);
    loop {
        tokio::select! {
            ask = inbox.recv(), if work.len() < WORK_MAX => match ask {
                Some(Ask::Command { id, token, command }) => {
                    work.spawn(answer(id, command, engine.signed_in(token), tells.clone()));
                }
                Some(Ask::Subscribe { id, token }) => {
                    newest = Some(id);
                    work.spawn(subscribe(id, engine.signed_in(token), tells.clone()));
                }
                None => return,
            },
            _ = channel.join_next() => return,
            Some(done) = work.join_next() => {
                let Ok(Some((id, events))) = done else { continue };
                let over = if newest == Some(id) {
                    follower.shutdown().await;
                    follower.spawn(follow(id, events, tells.clone()));
                    followed.replace(id)
                } else {
                    Some(id)
                };
                if let Some(id) = over {
                    work.spawn(cut_off(id, tells.clone()));
                }
            }
        }
    }
}

/// A subscription whose snapshot is told.
type Subscribed = (u64, mpsc::Receiver<Event>);

async fn answer(
    id: u64,
    command: Command,
    engine: EngineHandle,
    tells: mpsc::Sender<Tell>,
) -> Option<Subscribed> {
    let answer = engine.call(command).await;
    tells.send(Tell::Answer { id, answer }).await.ok();
    None
}

async fn subscribe(id: u64, engine: EngineHandle, tells: mpsc::Sender<Tell>) -> Option<Subscribed> {
    let Subscription { snapshot, events } = engine.subscribe().await.ok()?;
    tells.send(Tell::Snapshot { id, snapshot }).await.ok()?;
    Some((id, events))
}

async fn read_all(mut reader: BufReader<OwnedReadHalf>, asks: mpsc::Sender<Ask>) {
    loop {
        match frame::read(&mut reader, ASK_BYTES_MAX).await {
            Ok(Some(ask)) => {
                if asks.send(ask).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "a face was hung up on"),
        }
    }
}

async fn cut_off(id: u64, tells: mpsc::Sender<Tell>) -> Option<Subscribed> {
    tells.send(Tell::CutOff { id }).await.ok();
    None
}

/// Passes a subscription on. A face that does not read makes this wait, and then the engine cuts
/// the subscription off.
async fn follow(id: u64, mut events: mpsc::Receiver<Event>, tells: mpsc::Sender<Tell>) {
    let mut going = true;
    while going {
        let tell = tokio::select! {
            event = events.recv() => match event {
                Some(event) => Tell::Event { id, event },
                None => Tell::CutOff { id },
            },
            () = tells.closed() => return,
        };
        going = !matches!(
            tell,
            Tell::CutOff { .. } | Tell::Event { event: Event::HandedOver | Event::Stopped, .. }
        );
        going &= tells.send(tell).await.is_ok();
    }
}

/// Writes until the face is gone, or takes so long over one frame that it counts as gone.
async fn write_all(mut writer: OwnedWriteHalf, mut outbox: mpsc::Receiver<Tell>) {
    while let Some(tell) = outbox.recv().await {
        match timeout(WRITE_LIMIT, frame::write(&mut writer, &tell)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return tracing::debug!(%error, "a face is gone"),
            Err(_) => return tracing::info!("a face that does not read was hung up on"),
        }
    }
}

/// The most faces of one user at the same time.
const FACES_MAX: usize = 64;
const WORK_MAX: usize = 32;
const TELLS_MAX: usize = 64;
const HELLO_LIMIT: Duration = Duration::from_secs(5);
const WRITE_LIMIT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

//! One connection: bytes from client to target and back, until both are done.
//!
//! Each direction waits until there is something to read, takes a buffer, and moves bytes until
//! there is nothing left to read or no room to write; then the buffer goes back, and it waits again.
//!
//! **A byte leaves the queue of one socket only after the other socket has taken it.** The relay
//! looks at the bytes (`MSG_PEEK`), writes them, and takes out of the queue as many as were written
//! (`MSG_TRUNC`, which on TCP copies nothing). So between two waits no byte is in memory alone: a
//! hand-over may stop a direction at any of them, even one whose far side takes nothing, and a
//! connection that waits holds no buffer.
//!
//! **Bulk bytes from TCP to a UNIX socket go through a pipe instead** (splice(2)), which copies none
//! of them: once a direction has moved [`BULK_BYTES`] with hardly a pause, and until it pauses
//! often. That is the way up through a bastion, where the processor is what `ssh` waits for. A pipe
//! takes bytes out of the queue before the other socket has them, but the system holds it as it
//! holds a queue: what the far side does not take stays in the pipe, the pipe stays with the
//! direction, and a hand-over passes it on as one more descriptor. A pipe that is empty goes back
//! before the next wait. There are few, and a direction that gets none copies on.
//!
//! - The end of one direction is passed on (`shutdown`), and the other direction goes on.
//! - A side that cannot be **read** is broken: both sides are reset, so that neither takes the
//!   break for a proper end.
//! - A side that takes no more **writes** ends that direction only: what it sent before it broke is
//!   still brought to the other side.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::forward::buffer::BufferPool;
use crate::forward::parts::{Direction, Passed, PassedNote};
use crate::forward::pipe::Pipe;
use crate::forward::room::{Place, Room};
use crate::forward::{
    CloseReason, Conduit, Counters, Dial, DialError, ForwardEvent, Peer, Settings,
};

/// What all connections of one endpoint share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) counters: Arc<Counters>,
    pub(super) activity: Activity,
    pub(super) pool: BufferPool,
    /// Cancelled: each connection comes to rest and is given out.
    pub(super) pausing: CancellationToken,
    /// Cancelled: each connection is cut at once.
    pub(super) closing: CancellationToken,
    pub(super) events: mpsc::Sender<ForwardEvent>,
}

impl Shared {
    /// Sends an event without waiting. One that does not fit is counted.
    pub(super) fn emit(&self, event: ForwardEvent) {
        if self.events.try_send(event).is_err() {
            self.counters.events_dropped.fetch_add(1, Relaxed);
        }
    }
}

/// When a byte last flowed.
#[derive(Debug)]
pub(super) struct Activity {
    epoch: Instant,
    /// Nanoseconds after the epoch, which lasts for centuries.
    last: AtomicU64,
}

impl Activity {
    /// Starts `quiet_for` after the last byte.
    pub(super) fn new(now: Instant, quiet_for: Duration) -> Self {
        Self { epoch: now.checked_sub(quiet_for).unwrap_or(now), last: AtomicU64::new(0) }
    }

    fn touch(&self) {
        let since = self.epoch.elapsed().as_nanos();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }

    /// The moment of the last byte, or of the start.
    pub(super) fn last(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.last.load(Relaxed))
    }
}

/// An accepted client that passed the check.
pub(super) struct Accepted {
    pub(super) conn: u64,
    pub(super) peer: Peer,
    pub(super) uid: u32,
    pub(super) client: Conduit,
    pub(super) place: Place,
}

/// Both sides of a connection, and how far each direction has come.
pub(super) struct Link {
    pub(super) conn: u64,
    pub(super) peer: Peer,
    pub(super) uid: u32,
    pub(super) client: Conduit,
    pub(super) target: Conduit,
    pub(super) up: Flow,
    pub(super) down: Flow,
    /// Given back when the connection is gone, and by this process when it is handed over.
    pub(super) place: Place,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Flow {
    /// How far it has come.
    state: Direction,
    /// Bytes that the far side has not taken yet. While it waits to read there are none.
    pipe: Option<Pipe>,
}

/// Dials the target for a new client and relays. Returns the connection if it shall be passed on.
pub(super) async fn serve(accepted: Accepted, shared: Arc<Shared>) -> Option<Passed> {
    let Accepted { conn, peer, uid, client, place } = accepted;
    let target = match dial(&shared).await {
        Ok(target) => target,
        Err(why) => {
            client.abort();
            drop(place);
            shared.counters.dials_failed.fetch_add(1, Relaxed);
            shared.emit(ForwardEvent::DialFailed { conn, peer, why });
            return None;
        }
    };
    client.tune_client();
    target.tune_target();
    shared.counters.connections_total.fetch_add(1, Relaxed);
    shared.emit(ForwardEvent::Opened { conn, peer, uid });
    let (up, down) = (Flow::default(), Flow::default());
    carry(Link { conn, peer, uid, client, target, up, down, place }, shared).await
}

async fn dial(shared: &Shared) -> Result<Conduit, DialError> {
    let limit = shared.settings.dial_limit;
    tokio::select! {
        biased;
        () = shared.closing.cancelled() => Err(DialError::Interrupted),
        () = shared.pausing.cancelled() => Err(DialError::Interrupted),
        dialled = timeout(limit, shared.dial.dial()) => {
            dialled.unwrap_or(Err(DialError::TimedOut { limit }))
        }
    }
}

/// Relays an opened connection to its end. Returns the connection if it shall be passed on.
pub(super) async fn carry(mut link: Link, shared: Arc<Shared>) -> Option<Passed> {
    let open = Open::count(&shared.counters);
    let stop = relay(&mut link, &shared).await;
    let conn = link.conn;
    let (bytes_up, bytes_down) = (link.up.state.bytes, link.down.state.bytes);
    let why = match stop {
        Stop::AtRest => match Passed::try_from(link) {
            Ok(passed) => return Some(passed),
            Err(error) => CloseReason::ClientBroke(error.kind()),
        },
        Stop::Ended(why) => {
            drop(link);
            why
        }
        Stop::Torn(why) => {
            link.client.abort();
            link.target.abort();
            drop(link.place);
            why
        }
    };
    // The numbers are right, and the place is free, before anybody hears of the end.
    drop(open);
    shared.emit(ForwardEvent::Closed { conn, bytes_up, bytes_down, why });
    None
}

/// Counts a connection as open for as long as it lives.
struct Open<'a>(&'a Counters);

impl<'a> Open<'a> {
    fn count(counters: &'a Counters) -> Self {
        counters.connections_open.fetch_add(1, Relaxed);
        Self(counters)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Relaxed);
    }
}

/// How a relay stopped.
enum Stop {
    /// No byte is in memory alone; the connection can be passed on.
    AtRest,
    /// Both directions are done.
    Ended(CloseReason),
    /// In the middle: both sides are to be reset.
    Torn(CloseReason),
}

async fn relay(link: &mut Link, shared: &Shared) -> Stop {
    let Link { client, target, up, down, .. } = link;
    let counters = &shared.counters;
    let up =
        Pump { from: client, to: target, flow: up, total: &counters.bytes_up, bulk: 0, shared };
    let down =
        Pump { from: target, to: client, flow: down, total: &counters.bytes_down, bulk: 0, shared };
    let both = async {
        tokio::try_join!(
            up.run(CloseReason::ClientBroke, CloseReason::TargetBroke),
            down.run(CloseReason::TargetBroke, CloseReason::ClientBroke),
        )
    };
    let outcome = tokio::select! {
        biased;
        () = shared.closing.cancelled() => return Stop::Torn(CloseReason::Cut),
        outcome = both => outcome,
    };
    match outcome {
        Err(why) => Stop::Torn(why),
        Ok((Pumped::Resting, _) | (_, Pumped::Resting)) => Stop::AtRest,
        Ok(
            (Pumped::Ended(CloseReason::Finished), Pumped::Ended(why))
            | (Pumped::Ended(why), Pumped::Ended(_)),
        ) => Stop::Ended(why),
    }
}

/// One direction of a connection.
struct Pump<'a> {
    from: &'a Conduit,
    to: &'a Conduit,
    flow: &'a mut Flow,
    total: &'a AtomicU64,
    /// Grows with each byte, shrinks with each pause: how much this is bulk.
    bulk: u64,
    shared: &'a Shared,
}

/// How one direction stopped.
enum Pumped {
    /// It waits, and shall not go on.
    Resting,
    /// No more bytes come, or none can be written.
    Ended(CloseReason),
}

impl Pump<'_> {
    /// Moves bytes until the end, or until it waits while the endpoint pauses.
    ///
    /// `read_broke` and `write_broke` name the side that failed.
    async fn run(
        mut self,
        read_broke: fn(io::ErrorKind) -> CloseReason,
        write_broke: fn(io::ErrorKind) -> CloseReason,
    ) -> Result<Pumped, CloseReason> {
        if self.flow.state.ended {
            return Ok(Pumped::Ended(CloseReason::Finished));
        }
        let mut pausing = pin!(self.shared.pausing.cancelled());
        loop {
            // What is in a pipe already need not be waited for.
            if self.flow.pipe.is_none() {
                tokio::select! {
                    biased;
                    () = pausing.as_mut() => return Ok(Pumped::Resting),
                    ready = self.from.readable() => ready.map_err(|e| read_broke(e.kind()))?,
                }
            }
            match self.move_ready_bytes() {
                Moved::Some => {}
                Moved::Stuck => tokio::select! {
                    biased;
                    () = pausing.as_mut() => return Ok(Pumped::Resting),
                    ready = self.to.writable() => ready.map_err(|e| write_broke(e.kind()))?,
                },
                Moved::End => {
                    self.to.end_writing();
                    self.flow.state.ended = true;
                    return Ok(Pumped::Ended(CloseReason::Finished));
                }
                Moved::ReadBroke(kind) => return Err(read_broke(kind)),
                Moved::WriteBroke(kind) => {
                    self.flow.state.ended = true;
                    return Ok(Pumped::Ended(write_broke(kind)));
                }
            }
            // One busy connection must not keep a thread from the others.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Moves what is there without waiting, for a turn that the other tasks can wait for.
    fn move_ready_bytes(&mut self) -> Moved {
        if let Some(pipe) = self.flow.pipe.take() {
            return self.pour(pipe);
        }
        if self.bulk >= BULK_BYTES && self.from.pipes_well_into(self.to) {
            match self.shared.settings.room.pipes().take() {
                Some(pipe) => return self.move_a_pipe(pipe),
                // Asks again after as many more.
                None => self.bulk = 0,
            }
        }
        self.move_buffers()
    }

    /// Fills the pipe once and empties it as far as the other side takes it.
    fn move_a_pipe(&mut self, mut pipe: Pipe) -> Moved {
        let filled = self.from.try_reading(|| pipe.fill(self.from));
        if pipe.held() > 0 {
            return self.pour(pipe);
        }
        self.shared.settings.room.pipes().put(pipe);
        match filled {
            Ok(()) => self.move_buffers(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Moved::Some,
            Err(error) => Moved::ReadBroke(error.kind()),
        }
    }

    /// Empties a pipe, or keeps it with what the other side does not take.
    fn pour(&mut self, mut pipe: Pipe) -> Moved {
        let (written, stopped) = pipe.pour(self.to);
        self.count(written);
        match stopped {
            None => {
                self.shared.settings.room.pipes().put(pipe);
                Moved::Some
            }
            Some(io::ErrorKind::WouldBlock) => {
                self.flow.pipe = Some(pipe);
                Moved::Stuck
            }
            Some(kind) => Moved::WriteBroke(kind),
        }
    }

    /// Copies what is there, for a few buffers at most.
    fn move_buffers(&mut self) -> Moved {
        let mut buffer = self.shared.pool.take();
        for _ in 0..BUFFERS_IN_A_ROW {
            let from = self.from;
            let moved = from.try_reading(|| self.move_a_buffer(&mut buffer));
            match moved {
                Ok(Moved::Some) => {}
                Ok(moved) => return moved,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.bulk = self.bulk.saturating_sub(PAUSE_BYTES);
                    return Moved::Some;
                }
                Err(error) => return Moved::ReadBroke(error.kind()),
            }
        }
        Moved::Some
    }

    /// Moves at most one buffer. `WouldBlock` means that nothing is left to read.
    fn move_a_buffer(&mut self, buffer: &mut [u8]) -> io::Result<Moved> {
        let seen = self.from.peek(buffer)?;
        if seen == 0 {
            return Ok(Moved::End);
        }
        let (written, stopped) = self.write(buffer.get(..seen).unwrap_or_default());
        self.count(written);
        self.from.discard(buffer.get_mut(..written).unwrap_or_default())?;
        match stopped {
            Some(io::ErrorKind::WouldBlock) => Ok(Moved::Stuck),
            Some(kind) => Ok(Moved::WriteBroke(kind)),
            // Saves the peek that would find nothing.
            None if seen < buffer.len() && self.from.peeks_all() => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            None => Ok(Moved::Some),
        }
    }

    /// Counts bytes that the other side has taken.
    fn count(&mut self, written: usize) {
        if written > 0 {
            self.shared.activity.touch();
        }
        self.bulk = (self.bulk + written as u64).min(2 * BULK_BYTES);
        self.flow.state.bytes += written as u64;
        self.total.fetch_add(written as u64, Relaxed);
    }

    /// Writes what there is room for. Returns how much that was, and what stopped it before the end.
    fn write(&self, bytes: &[u8]) -> (usize, Option<io::ErrorKind>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.to.try_write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) => return (bytes.len() - rest.len(), Some(error.kind())),
            }
        }
        (bytes.len(), None)
    }
}

/// Bytes that are worth a pipe if they come with hardly a pause.
const BULK_BYTES: u64 = 1024 * 1024;

/// What a pause takes off [`BULK_BYTES`]: a direction that moves less between two is not one of bulk.
const PAUSE_BYTES: u64 = 16 * 1024;

/// Buffers moved before the other tasks of the thread have their turn.
const BUFFERS_IN_A_ROW: usize = 4;

/// How far the bytes that were there have come.
enum Moved {
    /// Some or all were moved.
    Some,
    /// There is no room to write.
    Stuck,
    /// No more bytes come.
    End,
    /// The side to read from failed.
    ReadBroke(io::ErrorKind),
    /// The side to write to failed.
    WriteBroke(io::ErrorKind),
}

impl TryFrom<Link> for Passed {
    type Error = io::Error;

    fn try_from(link: Link) -> io::Result<Self> {
        let Link { conn, peer, uid, client, target, up, down, place: _place } = link;
        let ((up, pipe_up), (down, pipe_down)) = (up.into_parts(), down.into_parts());
        let note = PassedNote { conn, peer, uid, up, down };
        let (client, target) = (client.into_fd()?, target.into_fd()?);
        Ok(Self { client, target, pipe_up, pipe_down, note })
    }
}

impl Link {
    /// Puts a connection together again that was at rest. It stays, also in a room that is full.
    pub(super) fn resume(passed: Passed, room: &Room) -> io::Result<Self> {
        let Passed { client, target, pipe_up, pipe_down, note } = passed;
        let PassedNote { conn, peer, uid, up, down } = note;
        let (client, target) = (Conduit::from_fd(client)?, Conduit::from_fd(target)?);
        let flow = |state: Direction, pipe: Option<OwnedFd>| Flow {
            pipe: pipe.map(|pipe| room.pipes().resume(pipe, state.held)),
            state: Direction { held: 0, ..state },
        };
        let (up, down) = (flow(up, pipe_up), flow(down, pipe_down));
        Ok(Self { conn, peer, uid, client, target, up, down, place: room.connections().stay() })
    }
}

impl Flow {
    /// Splits into the note and the pipe that belongs to it.
    fn into_parts(self) -> (Direction, Option<OwnedFd>) {
        let held = self.pipe.as_ref().map_or(0, Pipe::held);
        (Direction { held, ..self.state }, self.pipe.map(Pipe::into_fd))
    }
}

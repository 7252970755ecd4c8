//! One connection: bytes from client to target and back, until both are done.
//!
//! Each direction waits until there is something to read, takes a buffer, and moves bytes until
//! there is nothing left to read; then the buffer goes back. So a quiet connection holds no buffer,
//! and a direction is **at rest** when it waits to read: nothing of it is in memory. A hand-over
//! stops each direction there, which is why it loses nothing and repeats nothing.
//!
//! - The end of one direction is passed on (`shutdown`), and the other direction goes on.
//! - A side that cannot be **read** is broken: both sides are reset, so that neither takes the
//!   break for a proper end.
//! - A side that takes no more **writes** ends that direction only: what it sent before it broke is
//!   still brought to the other side.
//!
//! Copying through memory, not `splice`: measured on loopback, a pipe of any size moved no more
//! bytes than a 64 KiB buffer, costs two more descriptors a direction, and can hold bytes where a
//! hand-over cannot see them.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::forward::buffer::BufferPool;
use crate::forward::parts::{Direction, Passed};
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
    /// Sends an event without waiting. Returns whether it was taken; one that was not is counted.
    pub(super) fn emit(&self, event: ForwardEvent) -> bool {
        let taken = self.events.try_send(event).is_ok();
        if !taken {
            self.counters.events_dropped.fetch_add(1, Relaxed);
        }
        taken
    }
}

/// When a byte last flowed.
#[derive(Debug)]
pub(super) struct Activity {
    epoch: Instant,
    /// Milliseconds after the epoch.
    last: AtomicU64,
}

impl Activity {
    /// Starts `quiet_for` after the last byte.
    pub(super) fn new(now: Instant, quiet_for: Duration) -> Self {
        Self { epoch: now.checked_sub(quiet_for).unwrap_or(now), last: AtomicU64::new(0) }
    }

    fn touch(&self) {
        let since = self.epoch.elapsed().as_millis();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }

    /// The moment of the last byte, or of the start.
    pub(super) fn last(&self) -> Instant {
        self.epoch + Duration::from_millis(self.last.load(Relaxed))
    }
}

/// An accepted client that passed the check.
pub(super) struct Accepted {
    pub(super) conn: u64,
    pub(super) peer: Peer,
    pub(super) uid: u32,
    pub(super) client: Conduit,
}

/// Both sides of a connection, and how far each direction has come.
pub(super) struct Link {
    pub(super) conn: u64,
    pub(super) peer: Peer,
    pub(super) uid: u32,
    pub(super) client: Conduit,
    pub(super) target: Conduit,
    pub(super) up: Direction,
    pub(super) down: Direction,
}

/// Dials the target for a new client and relays. Returns the connection if it shall be passed on.
pub(super) async fn serve(accepted: Accepted, shared: Arc<Shared>) -> Option<Passed> {
    let Accepted { conn, peer, uid, client } = accepted;
    let target = match dial(&shared).await {
        Ok(target) => target,
        Err(why) => {
            client.abort();
            shared.counters.dials_failed.fetch_add(1, Relaxed);
            shared.emit(ForwardEvent::DialFailed { conn, peer, why });
            return None;
        }
    };
    client.tune_client();
    target.tune_target();
    shared.counters.connections_total.fetch_add(1, Relaxed);
    shared.emit(ForwardEvent::Opened { conn, peer, uid });
    let (up, down) = (Direction::default(), Direction::default());
    carry(Link { conn, peer, uid, client, target, up, down }, shared).await
}

async fn dial(shared: &Shared) -> Result<Conduit, DialError> {
    let limit = shared.settings.dial_limit;
    tokio::select! {
        biased;
        () = shared.closing.cancelled() => Err(DialError::Interrupted),
        () = shared.pausing.cancelled() => Err(DialError::Interrupted),
        dialled = tokio::time::timeout(limit, shared.dial.dial()) => {
            dialled.unwrap_or(Err(DialError::TimedOut { limit }))
        }
    }
}

/// Relays an opened connection to its end. Returns the connection if it shall be passed on.
pub(super) async fn carry(mut link: Link, shared: Arc<Shared>) -> Option<Passed> {
    let open = Open::count(&shared.counters);
    let stop = relay(&mut link, &shared).await;
    let Link { conn, up, down, .. } = link;
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
            why
        }
    };
    // The numbers are right before anybody hears of the end.
    drop(open);
    let (bytes_up, bytes_down) = (up.bytes, down.bytes);
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
    /// Nothing is held; the connection can be passed on.
    AtRest,
    /// Both directions are done.
    Ended(CloseReason),
    /// In the middle: both sides are to be reset.
    Torn(CloseReason),
}

async fn relay(link: &mut Link, shared: &Shared) -> Stop {
    let Link { client, target, up, down, .. } = link;
    let counters = &shared.counters;
    let up = Pump { from: client, to: target, state: up, total: &counters.bytes_up, shared };
    let down = Pump { from: target, to: client, state: down, total: &counters.bytes_down, shared };
    let both = async {
        tokio::try_join!(
            up.run(CloseReason::ClientBroke, CloseReason::TargetBroke),
            down.run(CloseReason::TargetBroke, CloseReason::ClientBroke),
        )
    };
    let outcome = tokio::select! {
        biased;
        () = shared.closing.cancelled() => {
            let undrained = shared.pausing.is_cancelled();
            return Stop::Torn(if undrained { CloseReason::Undrained } else { CloseReason::Cut });
        }
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
    state: &'a mut Direction,
    total: &'a AtomicU64,
    shared: &'a Shared,
}

/// How one direction stopped.
enum Pumped {
    /// It waits to read and shall not go on.
    Resting,
    /// No more bytes come, or none can be written.
    Ended(CloseReason),
}

impl Pump<'_> {
    /// Moves bytes until the end, or until it rests because the endpoint pauses.
    ///
    /// `read_broke` and `write_broke` name the side that failed.
    async fn run(
        mut self,
        read_broke: fn(io::ErrorKind) -> CloseReason,
        write_broke: fn(io::ErrorKind) -> CloseReason,
    ) -> Result<Pumped, CloseReason> {
        if self.state.ended {
            return Ok(Pumped::Ended(CloseReason::Finished));
        }
        let mut pausing = pin!(self.shared.pausing.cancelled());
        loop {
            tokio::select! {
                biased;
                () = pausing.as_mut() => return Ok(Pumped::Resting),
                ready = self.from.readable() => ready.map_err(|e| read_broke(e.kind()))?,
            }
            match self.move_ready_bytes().await {
                Ok(Moved::All) => {}
                Ok(Moved::Paused) => return Ok(Pumped::Resting),
                Ok(Moved::End) => {
                    self.to.end_writing();
                    self.state.ended = true;
                    return Ok(Pumped::Ended(CloseReason::Finished));
                }
                Err(Broke::Reading(error)) => return Err(read_broke(error.kind())),
                Err(Broke::Writing(error)) => {
                    self.state.ended = true;
                    return Ok(Pumped::Ended(write_broke(error.kind())));
                }
            }
        }
    }

    async fn move_ready_bytes(&mut self) -> Result<Moved, Broke> {
        let mut buffer = self.shared.pool.take();
        loop {
            let length = match self.from.try_read(&mut buffer) {
                Ok(0) => return Ok(Moved::End),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Moved::All),
                Err(error) => return Err(Broke::Reading(error)),
            };
            self.shared.activity.touch();
            let mut rest = buffer.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                let written = self.to.write_some(rest).await.map_err(Broke::Writing)?;
                rest = rest.get(written..).unwrap_or_default();
                self.state.bytes += written as u64;
                self.total.fetch_add(written as u64, Relaxed);
            }
            if self.shared.pausing.is_cancelled() {
                return Ok(Moved::Paused);
            }
            // One busy connection must not keep a thread from the others.
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// How far the bytes that were ready have come. No buffer is held any more.
enum Moved {
    /// All were moved.
    All,
    /// Some were moved, and the endpoint pauses.
    Paused,
    /// All were moved, and no more come.
    End,
}

/// The side that failed.
enum Broke {
    Reading(io::Error),
    Writing(io::Error),
}

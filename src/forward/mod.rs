//! The local endpoint of a session: a door on this machine, with the target behind it.
//!
//! ```text
//!             bind             Endpoint: one acceptor, one task a connection
//!  Listen ──────────► Bound ──►  accept ─► peer check ─► dial ─► relay ⇄ ─► Closed
//!                       ▲             └─ Refused   └─ DialFailed   │
//!                       └──────────── resume ◄── Parts ◄── dismantle (a hand-over)
//! ```
//!
//! The engine binds ([`Listen::bind`]), serves ([`Endpoint::start`]), hears what happens
//! ([`ForwardEvent`]) and reads the [`Counters`] whenever it likes. It ends the door in one of two
//! ways: [`Endpoint::close`] cuts everything at once, [`Endpoint::dismantle`] takes it apart into
//! descriptors that another process puts together again.
//!
//! Rules that hold in every line below:
//!
//! 1. **Only the owner passes.** Every connection is checked before one byte of it is read and
//!    before the target is dialled; what cannot be checked is refused ([`peer`] says how and why).
//! 2. **Only descriptors.** A connection is two sockets, at times a pipe, and nothing that lives in
//!    memory alone, so that it can be handed to another process at any moment
//!    ([`Endpoint::dismantle`]).
//! 3. **The relay waits for nobody.** Events go into a bounded channel without waiting; those that
//!    do not fit are counted. The one event that must arrive, [`ForwardEvent::Idle`], is repeated
//!    until it fits.
//! 4. **Up is from client to target, down is from target to client.**
//!
//! Deliberately not here: how the target is reached (that is [`Dial`]), the lease, the audit, the
//! state of a session, and TLS or any other reading of the bytes.
//!
//! A connection costs two descriptors, its task, and a place in the [`Room`] that all endpoints of
//! the process share. Buffers and pipes belong to the stretch of work that moves bytes, never to a
//! connection that waits for them; a few pipes serve the whole process.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

mod buffer;
mod conduit;
mod counters;
mod endpoint;
mod listener;
mod parts;
pub mod peer;
mod pipe;
mod relay;
mod room;

pub use conduit::Conduit;
pub use counters::{Counters, Totals};
pub use endpoint::{Endpoint, EndpointError};
pub use listener::{BindError, Bound, Listen};
pub use parts::{Direction, Parts, PartsError, PartsNote, Passed, PassedNote};
pub use peer::Refusal;
pub use room::{CONNECTIONS_MAX, Room};

/// Reaches the target; written by whoever knows the network path.
///
/// Called once for each connection that passed the peer check, and at the same time for many. The
/// endpoint gives up after [`Settings::dial_limit`], so an implementation needs no limit of its own;
/// its future is dropped then, and when the endpoint ends.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Opens one new connection to the target.
    async fn dial(&self) -> Result<Conduit, DialError>;
}

/// Why the target could not be reached for one connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The network path answered with an error: refused, unreachable, no such name.
    #[error("failed to reach the target `{target}`: {source}")]
    Unreachable {
        /// What was dialled, as the operator knows it.
        target: String,
        /// The answer of the system.
        source: std::io::Error,
    },
    /// The path itself is not there, for example because the tunnel's process ended.
    #[error("failed to reach the target: {why}; look at the session's steps")]
    PathDown {
        /// What is missing, as a fragment.
        why: String,
    },
    /// Nothing answered in time.
    #[error("failed to reach the target: no answer within {} s; is it up?", limit.as_secs())]
    TimedOut {
        /// The limit that was set.
        limit: Duration,
    },
    /// The endpoint was closed or handed over before the target answered.
    #[error("failed to reach the target: the endpoint closed while it was being dialled")]
    Interrupted,
}

/// What the engine decides about one endpoint.
#[derive(Debug, Clone)]
pub struct Settings {
    /// UNIX uid of the session's owner: the only one whose connections pass.
    pub owner: u32,
    /// Without a byte in either direction for this long, [`ForwardEvent::Idle`] is sent, once.
    pub idle_limit: Option<Duration>,
    /// Where each connection has its place; without one it is refused.
    pub room: Room,
    /// How long the target may take to answer a dial.
    pub dial_limit: Duration,
}

impl Settings {
    /// The usual settings: 10 s for a dial, no idle limit.
    #[must_use]
    pub fn new(owner: u32, room: Room) -> Self {
        Self { owner, idle_limit: None, room, dial_limit: Duration::from_secs(10) }
    }
}

/// A size for the event channel at which a hard close of a full endpoint drops nothing.
pub const EVENTS_MAX: usize = 2 * CONNECTIONS_MAX;

/// What happened at the endpoint.
///
/// Each `Opened` is followed by exactly one `Closed` with the same `conn`, unless the connection
/// was handed over: then the endpoint that resumes it sends the `Closed`.
#[derive(Debug)]
pub enum ForwardEvent {
    /// A connection passed the check and the target answered: bytes may flow.
    Opened {
        /// Number of the connection, unique for the life of the endpoint and over hand-overs.
        conn: u64,
        /// Who connected.
        peer: Peer,
        /// Whose process that is.
        uid: u32,
    },
    /// An opened connection is gone, both ends closed.
    Closed {
        /// Number of the connection.
        conn: u64,
        /// Bytes handed to the target.
        bytes_up: u64,
        /// Bytes handed to the client.
        bytes_down: u64,
        /// What ended it.
        why: CloseReason,
    },
    /// Somebody connected and was turned away; no byte was read and the target was not dialled.
    Refused {
        /// Who connected.
        peer: Peer,
        /// Whose process that is, as far as it is known.
        uid: Option<u32>,
        /// Why it did not pass.
        why: Refusal,
    },
    /// A connection passed the check, but the target could not be reached; the client was closed.
    DialFailed {
        /// Number of the connection.
        conn: u64,
        /// Who connected.
        peer: Peer,
        /// What went wrong.
        why: DialError,
    },
    /// The system has no descriptor or memory left for a new connection. Sent once for each
    /// stretch of trouble; the clients wait in the queue of the listener meanwhile.
    Exhausted {
        /// The answer of the system.
        why: std::io::Error,
    },
    /// No byte has flowed for the idle limit. Sent once.
    Idle,
}

/// Who is at the other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A loopback address and port.
    Tcp(SocketAddr),
    /// A process on the UNIX socket; its id where the system tells it.
    Unix {
        /// Process id at the time it connected.
        pid: Option<i32>,
    },
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { pid: Some(pid) } => write!(f, "process {pid}"),
            Self::Unix { pid: None } => f.write_str("unknown process"),
        }
    }
}

/// Why an opened connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Both sides said that they were done.
    Finished,
    /// The client's socket failed, for example because its process was killed.
    ClientBroke(std::io::ErrorKind),
    /// The target's socket failed, for example because it was reset.
    TargetBroke(std::io::ErrorKind),
    /// The endpoint was closed: the session is over.
    Cut,
}

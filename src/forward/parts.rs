//! An endpoint taken apart: descriptors, and a note that says what they are.
//!
//! [`super::Endpoint::dismantle`] makes [`Parts`]; [`super::Endpoint::resume`] serves them again, in
//! this process or in another. For the way between processes, [`Parts::into_pieces`] splits them
//! into a note for the message and descriptors for its ancillary data (the kernel takes at most 253
//! a message), and [`Parts::from_pieces`] joins them. Dropped parts close everything.

use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::connect::EndpointAddress;
use crate::forward::{BindError, Bound, Peer, Totals};

/// An endpoint at rest: nothing runs, nothing is lost, clients wait.
#[derive(Debug)]
pub struct Parts {
    /// The listener. Clients that connect meanwhile wait in its queue.
    pub listener: Bound,
    /// The open connections.
    pub connections: Vec<Passed>,
    /// The counters so far.
    pub totals: Totals,
    /// Number of the next connection.
    pub next_conn: u64,
    /// Time since a byte last flowed.
    pub quiet_for: Duration,
}

/// An open connection at rest.
#[derive(Debug)]
pub struct Passed {
    /// The socket to the client.
    pub client: OwnedFd,
    /// The socket to the target.
    pub target: OwnedFd,
    /// The pipe with the bytes that are on their way to the target, if there are any. They come
    /// before those that the client's socket still holds.
    pub pipe_up: Option<OwnedFd>,
    /// As for up, on the way to the client.
    pub pipe_down: Option<OwnedFd>,
    /// All that is not a descriptor.
    pub note: PassedNote,
}

/// What is known of an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedNote {
    /// Number of the connection.
    pub conn: u64,
    /// Who connected.
    pub peer: Peer,
    /// Whose process that is.
    pub uid: u32,
    /// From client to target.
    pub up: Direction,
    /// From target to client.
    pub down: Direction,
}

/// How far one direction of a connection has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Direction {
    /// Bytes handed on.
    pub bytes: u64,
    /// It is over: no more bytes come, or the far side takes none.
    pub ended: bool,
    /// Bytes that the one side has given and the other has not taken: they lie in a pipe that comes
    /// along. 0: there is no pipe.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: u64,
}

fn is_zero(held: &u64) -> bool {
    *held == 0
}

/// All of [`Parts`] that is not a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartsNote {
    /// Where the listener listens.
    pub address: EndpointAddress,
    /// The open connections, in the order of their descriptors.
    pub connections: Vec<PassedNote>,
    /// The counters so far.
    pub totals: Totals,
    /// Number of the next connection.
    pub next_conn: u64,
    /// Time since a byte last flowed.
    pub quiet_ms: u64,
}

/// Why pieces do not make parts.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// Descriptors were lost on the way, or do not belong to this note.
    #[error("failed to take over an endpoint: {found} descriptors came, the note names {wanted}")]
    Count {
        /// Descriptors that came.
        found: usize,
        /// Descriptors that the note names.
        wanted: usize,
    },
    /// The first descriptor is not the listener.
    #[error(transparent)]
    Listener(#[from] BindError),
}

impl PartsNote {
    /// How many descriptors belong to this note.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let pipes =
            |note: &PassedNote| usize::from(note.up.held > 0) + usize::from(note.down.held > 0);
        1 + self.connections.iter().map(|note| 2 + pipes(note)).sum::<usize>()
    }
}

impl Parts {
    /// Splits into a note and descriptors: the listener, then of each connection client, target and
    /// the pipes that hold something, that of up first.
    ///
    /// From here on a socket file is not removed when the descriptors are closed.
    #[must_use]
    pub fn into_pieces(self) -> (PartsNote, Vec<OwnedFd>) {
        let note = PartsNote {
            address: self.listener.address().clone(),
            connections: self.connections.iter().map(|passed| passed.note).collect(),
            totals: self.totals,
            next_conn: self.next_conn,
            quiet_ms: u64::try_from(self.quiet_for.as_millis()).unwrap_or(u64::MAX),
        };
        let mut descriptors = vec![self.listener.into_fd()];
        for Passed { client, target, pipe_up, pipe_down, .. } in self.connections {
            descriptors.extend([client, target].into_iter().chain(pipe_up).chain(pipe_down));
        }
        (note, descriptors)
    }

    /// Joins what [`Parts::into_pieces`] split.
    pub fn from_pieces(note: PartsNote, descriptors: Vec<OwnedFd>) -> Result<Self, PartsError> {
        let (found, wanted) = (descriptors.len(), note.descriptors());
        let mut descriptors = descriptors.into_iter();
        let listener = match descriptors.next() {
            Some(listener) if found == wanted => listener,
            _ => return Err(PartsError::Count { found, wanted }),
        };
        let listener = Bound::from_fd(note.address, listener)?;
        let mut connections = Vec::with_capacity(note.connections.len());
        for note in note.connections {
            if let (Some(client), Some(target)) = (descriptors.next(), descriptors.next()) {
                let mut pipe = |held| if held > 0 { descriptors.next() } else { None };
                let (pipe_up, pipe_down) = (pipe(note.up.held), pipe(note.down.held));
                connections.push(Passed { client, target, pipe_up, pipe_down, note });
            }
        }
        let quiet_for = Duration::from_millis(note.quiet_ms);
        let (totals, next_conn) = (note.totals, note.next_conn);
        Ok(Self { listener, connections, totals, next_conn, quiet_for })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::Listen;
    use super::*;

    fn parts() -> Parts {
        let (client, target) = std::os::unix::net::UnixStream::pair().unwrap();
        let (pipe, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(write, b"bytes").unwrap();
        let note = PassedNote {
            conn: 7,
            peer: Peer::Unix { pid: Some(1) },
            uid: 1000,
            up: Direction { bytes: 3, ended: true, held: 0 },
            down: Direction { bytes: 4, ended: false, held: 5 },
        };
        Parts {
            listener: Listen::Loopback { port: None }.bind().unwrap(),
            connections: vec![Passed {
                client: client.into(),
                target: target.into(),
                pipe_up: None,
                pipe_down: Some(pipe),
                note,
            }],
            totals: Totals { bytes_up: 3, bytes_down: 4, ..Totals::default() },
            next_conn: 8,
            quiet_for: Duration::from_millis(1500),
        }
    }

    #[test]
    fn pieces_make_the_parts_again_after_a_trip_through_text() {
        let parts = parts();
        let address = parts.listener.address().clone();
        let (note, descriptors) = parts.into_pieces();
        assert_eq!((descriptors.len(), note.descriptors()), (4, 4));
        let text = serde_json::to_string(&note).unwrap();
        let note: PartsNote = serde_json::from_str(&text).unwrap();
        let mut again = Parts::from_pieces(note, descriptors).unwrap();
        assert_eq!(*again.listener.address(), address);
        let passed = again.connections.pop().unwrap();
        assert_eq!(passed.note.up, Direction { bytes: 3, ended: true, held: 0 });
        assert!(passed.pipe_up.is_none());
        let mut held = String::new();
        std::fs::File::from(passed.pipe_down.unwrap()).read_to_string(&mut held).unwrap();
        assert_eq!(held, "bytes");
        assert_eq!(again.next_conn, 8);
        assert_eq!(again.quiet_for, Duration::from_millis(1500));
    }

    #[test]
    fn a_lost_descriptor_is_told() {
        let (note, mut descriptors) = parts().into_pieces();
        descriptors.pop();
        let told = Parts::from_pieces(note, descriptors).unwrap_err();
        insta::assert_snapshot!(
            told,
            @"failed to take over an endpoint: 3 descriptors came, the note names 4"
        );
    }

    #[test]
    fn a_direction_without_a_pipe_reads_as_it_did_before_there_were_pipes() {
        let text = r#"{"bytes":3,"ended":true}"#;
        let direction = Direction { bytes: 3, ended: true, held: 0 };
        assert_eq!(serde_json::from_str::<Direction>(text).unwrap(), direction);
        assert_eq!(serde_json::to_string(&direction).unwrap(), text);
    }
}

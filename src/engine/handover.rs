//! A planned hand-over: one engine process gives everything it holds to another.
//!
//! A [`Parcel`] is a note and descriptors: of each session the listener and the open connections,
//! and whatever else the giver adds (the state lock, the engine's own socket). Descriptors are
//! copied by the kernel (unix(7), `SCM_RIGHTS`), so the giver keeps its own until the taker says
//! that it serves: a port is never free for somebody else, and a taker that dies loses nothing.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::id::SessionId;
use crate::forward::{Parts, PartsNote};
use crate::protocol::VERSION;

/// Everything that an engine gives on.
#[derive(Debug)]
pub struct Parcel {
    /// What the descriptors are.
    pub note: ParcelNote,
    /// The descriptors, in the order of the note.
    pub descriptors: Vec<OwnedFd>,
}

/// What the descriptors of a parcel are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParcelNote {
    /// The version of the protocol; both ends must have the same.
    pub version: u32,
    /// Each session that came to rest, with its endpoint where it had one.
    pub sessions: Vec<(SessionId, Option<PartsNote>)>,
    /// What the giver added at the end, by name, a descriptor each.
    pub extras: Vec<String>,
}

/// Why a parcel did not arrive.
#[derive(Debug, Error)]
pub enum ParcelError {
    /// The channel broke.
    #[error("the hand-over broke off: {0}")]
    Io(#[from] io::Error),
    /// The note cannot be read.
    #[error("the hand-over cannot be understood: {0}")]
    Note(#[from] serde_json::Error),
    /// It is not what the note says.
    #[error("the hand-over is not whole: {0}")]
    NotWhole(&'static str),
}

impl Parcel {
    /// Packs what the sessions gave.
    #[must_use]
    pub fn pack(sessions: Vec<(SessionId, Option<Parts>)>) -> Self {
        let mut descriptors = vec![];
        let mut notes = vec![];
        for (id, parts) in sessions {
            let note = parts.map(|parts| {
                let (note, pieces) = parts.into_pieces();
                descriptors.extend(pieces);
                note
            });
            notes.push((id, note));
        }
        let note = ParcelNote { version: VERSION, sessions: notes, extras: vec![] };
        Self { note, descriptors }
    }

    /// Adds a descriptor of the giver's own.
    pub fn add(&mut self, name: &str, descriptor: OwnedFd) {
        self.note.extras.push(name.to_owned());
        self.descriptors.push(descriptor);
    }

    /// Takes out what [`Self::add`] added.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        let place = self.note.extras.iter().position(|extra| extra == name)?;
        let at = self.descriptors.len().checked_sub(self.note.extras.len() - place)?;
        self.note.extras.remove(place);
        Some(self.descriptors.remove(at))
    }

    /// Unpacks the sessions. One whose endpoint cannot be put together again comes without it.
    #[must_use]
    pub fn unpack(self) -> BTreeMap<SessionId, Option<Parts>> {
        let mut descriptors = self.descriptors.into_iter();
        let mut sessions = BTreeMap::new();
        for (id, note) in self.note.sessions {
            let parts = note.and_then(|note| {
                let pieces = descriptors.by_ref().take(note.descriptors()).collect();
                let parts = Parts::from_pieces(note, pieces);
                parts.inspect_err(|error| tracing::error!(%error, "an endpoint was lost")).ok()
            });
            sessions.insert(id, parts);
        }
        sessions
    }

    /// Sends copies of everything through a socket; blocks.
    ///
    /// # Errors
    ///
    /// When the channel breaks.
    pub fn send(&self, channel: &mut UnixStream) -> Result<(), ParcelError> {
        let note = serde_json::to_vec(&self.note)?;
        let length = u32::try_from(note.len()).map_err(|_| ParcelError::NotWhole("too long"))?;
        channel.write_all(&length.to_be_bytes())?;
        channel.write_all(&note)?;
        for some in self.descriptors.chunks(DESCRIPTORS_AT_ONCE) {
            let some: Vec<_> = some.iter().map(AsFd::as_fd).collect();
            send_descriptors(channel, &some)?;
        }
        Ok(())
    }

    /// Takes a parcel from a socket; blocks.
    ///
    /// # Errors
    ///
    /// When the channel breaks, or the parcel is of another version or not whole.
    pub fn receive(channel: &mut UnixStream) -> Result<Self, ParcelError> {
        let mut length = [0; 4];
        channel.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > NOTE_BYTES_MAX {
            return Err(ParcelError::NotWhole("the note is too long"));
        }
        let mut note = vec![0; length];
        channel.read_exact(&mut note)?;
        let note: ParcelNote = serde_json::from_slice(&note)?;
        if note.version != VERSION {
            return Err(ParcelError::NotWhole("it is of another version"));
        }
        let of_session = |note: &Option<PartsNote>| note.as_ref().map_or(0, PartsNote::descriptors);
        let wanted: usize = note.sessions.iter().map(|(_, note)| of_session(note)).sum::<usize>()
            + note.extras.len();
        let mut descriptors = Vec::with_capacity(wanted);
        while descriptors.len() < wanted {
            receive_descriptors(channel, &mut descriptors)?;
        }
        Ok(Self { note, descriptors })
    }
}

fn send_descriptors(channel: &UnixStream, some: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_AT_ONCE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(some)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    sendmsg(channel, &[IoSlice::new(b"d")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_descriptors(channel: &UnixStream, into: &mut Vec<OwnedFd>) -> Result<(), ParcelError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(channel, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)
        .map_err(io::Error::from)?;
    if message.bytes == 0 {
        return Err(ParcelError::NotWhole("descriptors are missing"));
    }
    let before = into.len();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            into.extend(some);
        }
    }
    if into.len() == before {
        return Err(ParcelError::NotWhole("a message came without descriptors"));
    }
    Ok(())
}

/// The kernel takes at most 253 a message.
const DESCRIPTORS_AT_ONCE: usize = 200;
const NOTE_BYTES_MAX: usize = 64 * 1024 * 1024;

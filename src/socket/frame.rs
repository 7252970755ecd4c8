//! Frames: a length and so many bytes of JSON.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::domain::sign_in::Token;
use crate::error::Report;
use crate::protocol::{Command, Event, Reply, Snapshot};

/// The first frame of each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The version of the protocol.
    pub protocol: u32,
    /// The version of the program.
    pub program: String,
}

/// What a face sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ask {
    Command { id: u64, token: Option<Token>, command: Command },
    Subscribe { id: u64, token: Option<Token> },
}

/// What an engine sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tell {
    Answer {
        id: u64,
        answer: Result<Reply, Report>,
    },
    Snapshot {
        id: u64,
        snapshot: Box<Snapshot>,
    },
    Event {
        id: u64,
        event: Event,
    },
    /// The subscription is over: the face did not keep up.
    CutOff {
        id: u64,
    },
}

/// Reads one frame; nothing where the other side has closed.
///
/// # Errors
///
/// When the channel breaks, the frame is longer than `bytes_max`, or it is not understood.
pub(super) async fn read<T: DeserializeOwned>(
    channel: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match channel.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > bytes_max {
        let message = format!("a frame of {length} bytes is longer than {bytes_max}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    // A length is only a claim: memory is taken as the bytes come.
    let mut bytes = Vec::with_capacity(length.min(FIRST_BYTES));
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    channel.take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Writes one frame.
///
/// # Errors
///
/// When the channel breaks, or the frame would be longer than [`TELL_BYTES_MAX`].
pub(super) async fn write<T: Serialize>(
    channel: &mut (impl AsyncWrite + Unpin),
    frame: &T,
) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let length = bytes.len() - 4;
    let length = u32::try_from(length).ok().filter(|_| length <= TELL_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("a frame is too long"))?;
    for (place, byte) in bytes.iter_mut().zip(length.to_be_bytes()) {
        *place = byte;
    }
    channel.write_all(&bytes).await
}

/// The longest frame of a face, in bytes.
pub(super) const ASK_BYTES_MAX: usize = 64 * 1024;
/// The longest frame of an engine, in bytes: a catalogue of many thousand targets fits.
pub(super) const TELL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest hello, in bytes.
pub(super) const HELLO_BYTES_MAX: usize = 4 * 1024;
const FIRST_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_as_they_went() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let ask = Ask::Command { id: 7, token: None, command: Command::Status };
        let sent = ask.clone();
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { write(&mut near, &sent).await });
        assert_eq!(read(&mut far, ASK_BYTES_MAX).await.unwrap(), Some(ask));
        assert_eq!(read::<Ask>(&mut far, ASK_BYTES_MAX).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_is_refused_before_a_byte_is_read() {
        let mut frame: &[u8] = &[0xff, 0xff, 0xff, 0xff, b'{'];
        let error = read::<Ask>(&mut frame, ASK_BYTES_MAX).await.unwrap_err();
        assert_eq!(error.to_string(), "a frame of 4294967295 bytes is longer than 65536");
    }

    #[tokio::test]
    async fn what_is_no_frame_is_an_error_and_half_a_frame_is_an_end() {
        let mut nonsense: &[u8] = b"\0\0\0\x04\x1b[2J";
        assert!(read::<Ask>(&mut nonsense, ASK_BYTES_MAX).await.is_err());
        let mut half: &[u8] = b"\0\0\0\x04{}";
        assert_eq!(read::<Ask>(&mut half, ASK_BYTES_MAX).await.unwrap(), None);
        let mut less: &[u8] = b"\0\0";
        assert_eq!(read::<Ask>(&mut less, ASK_BYTES_MAX).await.unwrap(), None);
    }
}

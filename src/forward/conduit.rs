//! One side of a connection: a stream socket, always with a descriptor behind it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown, sockopt};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpStream, UnixStream};

/// A connected stream socket to the client or to the target.
///
/// Not a trait object: a hand-over passes descriptors, so a stream that lives in memory (TLS, a
/// multiplexed channel) must sit behind a socket of its own.
#[derive(Debug)]
pub enum Conduit {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A UNIX socket connection.
    Unix(UnixStream),
}

/// What a descriptor is, once it has left its [`Conduit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConduitKind {
    /// A TCP connection.
    Tcp,
    /// A UNIX socket connection.
    Unix,
}

/// Silence after which the system asks whether the far side is still there.
///
/// The client's own keepalives end at the endpoint, so without this a quiet connection is forgotten
/// by the first NAT on the way.
const KEEPALIVE: Duration = Duration::from_secs(60);

impl Conduit {
    /// Takes in a descriptor that [`Conduit::into_fd`] gave out, here or in another process.
    ///
    /// Must be called within a tokio runtime. Fails if the descriptor is not a stream socket of
    /// that kind.
    pub fn from_fd(kind: ConduitKind, fd: OwnedFd) -> io::Result<Self> {
        let domain = sockopt::socket_domain(&fd)?;
        let expected = match kind {
            ConduitKind::Tcp => {
                domain == rustix::net::AddressFamily::INET
                    || domain == rustix::net::AddressFamily::INET6
            }
            ConduitKind::Unix => domain == rustix::net::AddressFamily::UNIX,
        };
        if !expected || sockopt::socket_type(&fd)? != rustix::net::SocketType::STREAM {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the descriptor is not a stream socket of the noted kind",
            ));
        }
        Ok(match kind {
            ConduitKind::Tcp => {
                let stream = std::net::TcpStream::from(fd);
                stream.set_nonblocking(true)?;
                Self::Tcp(TcpStream::from_std(stream)?)
            }
            ConduitKind::Unix => {
                let stream = std::os::unix::net::UnixStream::from(fd);
                stream.set_nonblocking(true)?;
                Self::Unix(UnixStream::from_std(stream)?)
            }
        })
    }

    /// Gives the descriptor out; nothing is closed and nothing is lost.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp(stream) => stream.into_std()?.into(),
            Self::Unix(stream) => stream.into_std()?.into(),
        })
    }

    /// What the descriptor is.
    #[must_use]
    pub fn kind(&self) -> ConduitKind {
        match self {
            Self::Tcp(_) => ConduitKind::Tcp,
            Self::Unix(_) => ConduitKind::Unix,
        }
    }

    /// Sends each write at once: a relay must not add waiting of its own.
    ///
    /// A failure is ignored, here and below: the socket may be dead already, which the next read
    /// tells better.
    pub(super) fn tune_client(&self) {
        if let Self::Tcp(stream) = self {
            stream.set_nodelay(true).ok();
        }
    }

    /// As for the client, and keeps the way through the network alive.
    pub(super) fn tune_target(&self) {
        if let Self::Tcp(stream) = self {
            stream.set_nodelay(true).ok();
            sockopt::set_socket_keepalive(stream, true).ok();
            sockopt::set_tcp_keepidle(stream, KEEPALIVE).ok();
            sockopt::set_tcp_keepintvl(stream, KEEPALIVE).ok();
        }
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }

    /// Writes some of `bytes`, waiting until at least one byte fits.
    pub(super) async fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let written = match self {
                Self::Tcp(stream) => stream.try_write(bytes),
                Self::Unix(stream) => stream.try_write(bytes),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self {
                    Self::Tcp(stream) => stream.writable().await?,
                    Self::Unix(stream) => stream.writable().await?,
                },
                outcome => return outcome,
            }
        }
    }

    /// Says that no more bytes come, while the other direction goes on.
    pub(super) fn end_writing(&self) {
        shutdown(self, Shutdown::Write).ok();
    }

    /// Closes at once: what the system still holds for the far side is thrown away, and TCP sends
    /// a reset, so that nobody takes a cut for a proper end.
    pub(super) fn abort(self) {
        if let Self::Tcp(stream) = &self {
            stream.set_zero_linger().ok();
        }
    }
}

impl AsFd for Conduit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_descriptor_of_another_kind_is_refused() {
        let (one, _other) = UnixStream::pair().unwrap();
        let fd = Conduit::Unix(one).into_fd().unwrap();
        let refused = Conduit::from_fd(ConduitKind::Tcp, fd).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn a_descriptor_comes_back_as_what_it_was() {
        let (one, _other) = UnixStream::pair().unwrap();
        let conduit = Conduit::Unix(one);
        let kind = conduit.kind();
        let again = Conduit::from_fd(kind, conduit.into_fd().unwrap()).unwrap();
        assert_eq!(again.kind(), ConduitKind::Unix);
    }
}

//! Opens one connection through a `tailscaled`: a request that turns into the connection itself.
//!
//! Not a byte behind the head of the answer is read here: it is the target's, which may speak first,
//! and the descriptor is handed on. An address that no node of the tailnet carries is refused; it is
//! never dialled from this host, where another customer may live at it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{RecvFlags, recv};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::local::{HEAD_BYTES_MAX, LOCAL_HOST, LocalApi, LocalError, said};
use crate::domain::secret::Secret;
use crate::domain::time::Span;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DialTrouble {
    /// No node of the tailnet carries the address, or it takes no routes of others.
    #[error("`{address}` is on no route of the tailnet: the router's route is not here (any more)")]
    NoRoute {
        /// Which one.
        address: SocketAddr,
    },
    /// It does not take connections.
    #[error("`{address}` refused the connection")]
    Refused {
        /// Which one.
        address: SocketAddr,
    },
    /// It does not answer.
    #[error("`{address}` did not answer within {limit}")]
    TimedOut {
        /// Which one.
        address: SocketAddr,
        /// How long was waited.
        limit: Span,
    },
    /// The daemon says why not.
    #[error("cannot connect to `{address}`: {why}")]
    Failed {
        /// Which one.
        address: SocketAddr,
        /// Its words.
        why: String,
    },
    /// The daemon would also connect past the tailnet.
    #[error(
        "this `tailscaled` is too old: it connects past the tailnet where a route is missing; \
         update it to 1.98 or later"
    )]
    TooOld,
    /// The daemon is not there, or does not let us.
    #[error(transparent)]
    Daemon(#[from] LocalError),
}

impl LocalApi {
    /// Connects to an address behind a node of the tailnet.
    ///
    /// When one side has nothing more to say, the daemon closes both directions.
    ///
    /// # Errors
    ///
    /// Why there is no connection.
    pub async fn dial(&self, to: IpAddr, port: u16) -> Result<UnixStream, DialTrouble> {
        let to = SocketAddr::new(to, port);
        let mut stream = self.connect(WHAT).await?;
        let asked = timeout(DIAL_MAX.to_std(), ask(&mut stream, to)).await;
        let answer = asked
            .map_err(|_| DialTrouble::TimedOut { address: to, limit: DIAL_MAX })?
            .map_err(|error| lost(&error.to_string()))?;
        answer.meaning(to).map(|()| stream)
    }
}

fn lost(why: &str) -> DialTrouble {
    LocalError::Lost { what: WHAT, why: crate::domain::text::shown(why) }.into()
}

/// The head of an answer, and what it says where it is a refusal.
#[derive(Debug, Default)]
struct Answer {
    status: u16,
    upgrade: bool,
    dial_self: bool,
    capability: u32,
    words: String,
}

impl Answer {
    fn meaning(self, address: SocketAddr) -> Result<(), DialTrouble> {
        let why = self.words;
        match self.status {
            101 if self.capability < CAPABILITY_LEAST => Err(DialTrouble::TooOld),
            101 if self.upgrade => Ok(()),
            200 if self.dial_self => Err(DialTrouble::NoRoute { address }),
            403 => Err(LocalError::NotAllowed { what: WHAT, why }.into()),
            404 => Err(DialTrouble::TooOld),
            // The words of the netstack, and of the kernel.
            502 if why.contains("connection was refused") || why.contains("connection refused") => {
                Err(DialTrouble::Refused { address })
            }
            400..=599 => Err(DialTrouble::Failed { address, why }),
            other => Err(lost(&format!("status {other}"))),
        }
    }
}

async fn ask(stream: &mut UnixStream, to: SocketAddr) -> io::Result<Answer> {
    let (host, port) = (to.ip(), to.port());
    let request = format!(
        "POST /localapi/v0/dial HTTP/1.1\r\nHost: {LOCAL_HOST}\r\nConnection: upgrade\r\n\
         Upgrade: ts-dial\r\nDial-Host: {host}\r\nDial-Port: {port}\r\nDial-Network: tcp\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let head = read_head(stream).await?;
    let (mut answer, length) = parse(&head)?;
    if answer.status >= 400 {
        let mut words = vec![0; length.min(WORDS_BYTES_MAX)];
        stream.read_exact(&mut words).await?;
        answer.words = said(&words, &Secret::new(""));
    }
    Ok(answer)
}

/// Reads up to the empty line and not a byte further.
async fn read_head(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let (mut head, mut chunk) = (vec![], vec![0; 4096]);
    while head.len() < HEAD_BYTES_MAX {
        let there = peek(stream, &mut chunk).await?;
        let before = head.len();
        head.extend_from_slice(chunk.get(..there).unwrap_or_default());
        let end = end_of_head(&head, before);
        head.truncate(end.unwrap_or(head.len()));
        let ours = head.len() - before;
        stream.read_exact(chunk.get_mut(..ours).unwrap_or_default()).await?;
        if end.is_some() {
            return Ok(head);
        }
    }
    Err(io::Error::other("its head has no end"))
}

/// Where the empty line ends; what lies before `known` was searched already.
fn end_of_head(head: &[u8], known: usize) -> Option<usize> {
    let from = known.saturating_sub(END.len() - 1);
    let behind = head.get(from..)?;
    let at = behind.windows(END.len()).position(|window| window == END)?;
    Some(from + at + END.len())
}

/// Waits for bytes and looks at them; they stay where they are.
async fn peek(stream: &UnixStream, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        let look = || Ok(recv(stream, &mut *chunk, RecvFlags::PEEK)?.1);
        match stream.try_io(Interest::READABLE, look) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(there) => return Ok(there),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Reads a head, and how long the body behind it is.
fn parse(head: &[u8]) -> io::Result<(Answer, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(head).map_err(io::Error::other)?;
    let mut answer = Answer { status: parsed.code.unwrap_or_default(), ..Answer::default() };
    let mut length = 0;
    for header in parsed.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        match header.name.to_ascii_lowercase().as_str() {
            "upgrade" => answer.upgrade = value.eq_ignore_ascii_case("ts-dial"),
            "dial-self" => answer.dial_self = value == "true",
            "tailscale-cap" => answer.capability = value.parse().unwrap_or_default(),
            "content-length" => length = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    Ok((answer, length))
}

const WHAT: &str = "open a connection";
const END: &[u8] = b"\r\n\r\n";
/// From here on a daemon answers `Dial-Self` where a route is missing (1.98.0).
const CAPABILITY_LEAST: u32 = 138;
const WORDS_BYTES_MAX: usize = 4 * 1024;
const DIAL_MAX: Span = Span::from_seconds(15);

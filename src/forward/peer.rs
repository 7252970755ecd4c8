//! Who is at the other end of an accepted connection.
//!
//! On a shared jump host every local user can connect to a loopback port, so each connection is
//! checked before a byte of it is read. On a UNIX socket the kernel noted the peer's uid when it
//! connected (`SO_PEERCRED`). On TCP the peer's own socket is looked up by its two ends, which on
//! loopback is a socket of this same kernel, through `sock_diag` or, where a sandbox refuses that,
//! in `/proc/net/tcp`. It passes if it is **established**, has an **inode** (a process holds it) and
//! belongs to the **owner's uid**. Root does not pass, unless root is the owner. A client that has
//! closed shows uid 0 and inode 0: nobody can say any more who sent its bytes, so it is refused.
//!
//! # Why nothing changes between the look and the use
//!
//! The danger is a stranger who connects, sends bytes and closes, hoping that the look finds a
//! later socket of the owner which got the same port. It cannot be mistaken for the stranger's:
//!
//! 1. The kernel keeps at most one socket for a given pair of ends. While our accepted socket is in
//!    its table, no second server side can exist for the same two ends.
//! 2. A new client with the same ends becomes established only by an answer from a server side of
//!    its own. Our old one never gives it: it answers a new client's first segment with a challenge,
//!    the new client resets it, and only then is there room for another.
//! 3. So if the look shows an established client, and **afterwards** our accepted socket has seen
//!    neither an end nor a reset (one `poll` for `POLLRDHUP`), then the client that was looked at is
//!    the one at the other end of this very descriptor. The order of the two matters.
//!
//! Once it has passed, the connection stays with whoever holds the client's descriptor. A process of
//! the owner that lends it out (`ssh -R`, a proxy) lends it in the owner's name.
//!
//! # Limits
//!
//! A client that ends its sending side before the check is refused too (it is not established). The
//! uid is that of the socket's maker: `sudo psql` is root and is refused. Only Linux can be asked in
//! this way, so nothing else is built.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{TcpStream, UnixStream};

mod proc_net;
mod sock_diag;

use sock_diag::SockDiag;

#[cfg(not(target_os = "linux"))]
compile_error!("the local endpoint cannot tell who connects to a loopback port on this system");

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It belongs to a UNIX user who is not the owner of the session.
    #[error("the connection comes from another user of this machine")]
    Stranger,
    /// It belongs to root, who is not the owner of the session.
    #[error("the connection comes from root, not from the owner of the session")]
    Root,
    /// The client had closed, or was closing, before it could be checked.
    #[error("the client was gone before it could be checked")]
    Gone,
    /// The system did not say whose connection it is.
    #[error("the system did not say whose connection it is")]
    Unchecked,
    /// No place is left in the room that all endpoints share.
    #[error("too many connections are open")]
    Full,
}

/// A refusal with the uid, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnedAway {
    /// Whose process it is. Unknown for a client that has gone.
    pub uid: Option<u32>,
    /// Why it did not pass.
    pub why: Refusal,
}

/// `TCP_ESTABLISHED`, in both of the kernel's formats.
pub const ESTABLISHED: u8 = 1;

/// What the kernel shows of one TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketFacts {
    /// TCP state, as the kernel numbers it.
    pub state: u8,
    /// Owner; 0 for a socket that no process holds.
    pub uid: u32,
    /// Inode; 0 for a socket that no process holds.
    pub inode: u64,
}

/// The two ends of a TCP socket, seen from that socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tuple {
    local: SocketAddr,
    remote: SocketAddr,
}

/// Decides from what the kernel shows of the peer's socket. Returns the uid of a peer that passes.
pub fn judge(found: Option<SocketFacts>, owner: u32) -> Result<u32, TurnedAway> {
    match found {
        Some(SocketFacts { state: ESTABLISHED, uid, inode }) if inode != 0 => admit(uid, owner),
        _ => Err(TurnedAway { uid: None, why: Refusal::Gone }),
    }
}

fn admit(uid: u32, owner: u32) -> Result<u32, TurnedAway> {
    match uid {
        uid if uid == owner => Ok(uid),
        0 => Err(TurnedAway { uid: Some(0), why: Refusal::Root }),
        uid => Err(TurnedAway { uid: Some(uid), why: Refusal::Stranger }),
    }
}

/// Checks the connections of one endpoint.
#[derive(Debug)]
pub(super) struct Doorman {
    owner: u32,
    kernel: Option<SockDiag>,
}

impl Doorman {
    /// Opens the quick way of asking; without it each check reads `/proc`.
    pub(super) fn new(owner: u32) -> Self {
        Self { owner, kernel: SockDiag::open().ok() }
    }

    /// Checks a TCP connection that was accepted from `theirs`. Returns the uid of a peer that
    /// passes.
    pub(super) async fn check_tcp(
        &mut self,
        stream: &TcpStream,
        theirs: SocketAddr,
    ) -> Result<u32, TurnedAway> {
        let Ok(ours) = stream.local_addr() else {
            return Err(TurnedAway { uid: None, why: Refusal::Unchecked });
        };
        let Ok(found) = self.find(Tuple { local: theirs, remote: ours }).await else {
            return Err(TurnedAway { uid: None, why: Refusal::Unchecked });
        };
        let uid = judge(found, self.owner)?;
        if still_whole(stream) {
            Ok(uid)
        } else {
            Err(TurnedAway { uid: None, why: Refusal::Gone })
        }
    }

    /// Checks an accepted UNIX connection. Returns the uid of a peer that passes.
    pub(super) fn check_unix(&self, stream: &UnixStream) -> Result<u32, TurnedAway> {
        match stream.peer_cred() {
            Ok(peer) => admit(peer.uid(), self.owner),
            Err(_) => Err(TurnedAway { uid: None, why: Refusal::Unchecked }),
        }
    }

    async fn find(&mut self, wanted: Tuple) -> io::Result<Option<SocketFacts>> {
        if let Some(Ok(found)) = self.kernel.as_mut().map(|kernel| kernel.find(wanted)) {
            return Ok(found);
        }
        // Thousands of lines on a busy host, so off the threads that relay.
        let read = tokio::task::spawn_blocking(move || find_in_proc(wanted));
        read.await.map_err(io::Error::other)?
    }
}

fn find_in_proc(wanted: Tuple) -> io::Result<Option<SocketFacts>> {
    let tcp = std::fs::read_to_string("/proc/net/tcp")?;
    if let Some(found) = proc_net::find(&tcp, wanted) {
        return Ok(Some(found));
    }
    match std::fs::read_to_string("/proc/net/tcp6") {
        Ok(tcp6) => Ok(proc_net::find(&tcp6, wanted)),
        // A kernel without IPv6 has no such file, and no such socket.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether an accepted socket has seen neither an end nor a reset from its peer.
fn still_whole(stream: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const OWNER: u32 = 1000;

    fn facts(state: u8, uid: u32, inode: u64) -> Option<SocketFacts> {
        Some(SocketFacts { state, uid, inode })
    }

    fn away(uid: Option<u32>, why: Refusal) -> Result<u32, TurnedAway> {
        Err(TurnedAway { uid, why })
    }

    #[test]
    fn only_an_established_socket_of_the_owner_passes() {
        assert_eq!(judge(facts(ESTABLISHED, OWNER, 9), OWNER), Ok(OWNER));
        assert_eq!(judge(facts(ESTABLISHED, 1001, 9), OWNER), away(Some(1001), Refusal::Stranger));
        assert_eq!(judge(facts(ESTABLISHED, 0, 9), OWNER), away(Some(0), Refusal::Root));
        assert_eq!(judge(None, OWNER), away(None, Refusal::Gone));
        for state in (0..=12).filter(|state| *state != ESTABLISHED) {
            assert_eq!(judge(facts(state, OWNER, 9), OWNER), away(None, Refusal::Gone));
        }
    }

    #[test]
    fn a_closed_client_never_passes_even_where_root_owns_the_session() {
        assert_eq!(judge(facts(ESTABLISHED, 0, 9), 0), Ok(0));
        assert_eq!(judge(facts(ESTABLISHED, 0, 0), 0), away(None, Refusal::Gone));
        assert_eq!(judge(facts(5, 0, 0), 0), away(None, Refusal::Gone));
        assert_eq!(judge(facts(ESTABLISHED, OWNER, 0), OWNER), away(None, Refusal::Gone));
    }

    fn connect() -> (std::net::TcpStream, std::net::TcpStream, Tuple) {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let ends =
            Tuple { local: client.local_addr().unwrap(), remote: client.peer_addr().unwrap() };
        (client, accepted, ends)
    }

    #[test]
    fn proc_and_netlink_show_the_same_socket() {
        let (client, _accepted, ends) = connect();
        let by_proc = find_in_proc(ends).unwrap().unwrap();
        let by_netlink = SockDiag::open().unwrap().find(ends).unwrap().unwrap();
        assert_eq!(by_proc, by_netlink);
        assert_eq!(by_proc.inode, rustix::fs::fstat(&client).unwrap().st_ino);
    }

    #[tokio::test]
    async fn the_check_works_without_netlink() {
        let me = rustix::process::geteuid().as_raw();
        let (client, accepted, ends) = connect();
        accepted.set_nonblocking(true).unwrap();
        let accepted = TcpStream::from_std(accepted).unwrap();
        let mut doorman = Doorman { owner: me, kernel: None };
        assert_eq!(doorman.check_tcp(&accepted, ends.local).await, Ok(me));
        drop(client);
        assert_eq!(doorman.check_tcp(&accepted, ends.local).await, away(None, Refusal::Gone));
    }

    #[test]
    fn an_end_and_a_reset_are_seen_behind_unread_bytes() {
        use std::io::Write;
        let (mut client, accepted, _) = connect();
        client.write_all(b"attack").unwrap();
        assert!(still_whole(&accepted));
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!still_whole(&accepted));

        let (mut client, accepted, _) = connect();
        client.write_all(b"attack").unwrap();
        rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        assert!(!still_whole(&accepted));
    }
}

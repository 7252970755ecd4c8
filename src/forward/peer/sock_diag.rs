//! One socket looked up by its two ends, through the kernel's `sock_diag` netlink interface.
//!
//! The answer comes within the call that asks, in a few microseconds and however many sockets there
//! are. No privilege is needed. The formats are those of `linux/inet_diag.h`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
    netlink::{SOCK_DIAG, SocketAddrNetlink},
};

use crate::forward::peer::{SocketFacts, Tuple};

/// `SOCK_DIAG_BY_FAMILY`: both the question and the answer.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`: the kernel says no.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;

/// Length of the question: the netlink header, then `inet_diag_req_v2`.
const REQUEST_BYTES: u32 = 16 + 56;
const ANY_STATE: u32 = u32::MAX;
const ANY_INTERFACE: u32 = 0;
const ANY_COOKIE: [u8; 8] = [0xFF; 8];

/// An open way to ask.
#[derive(Debug)]
pub(super) struct SockDiag {
    netlink: OwnedFd,
    sequence: u32,
}

impl SockDiag {
    /// Opens the netlink socket; fails where a sandbox or an old kernel has none.
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let netlink = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            flags,
            Some(SOCK_DIAG),
        )?;
        // Connected to port 0, the kernel: nobody else's messages are delivered here.
        rustix::net::connect(&netlink, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { netlink, sequence: 0 })
    }

    /// Looks one socket up. `None` if there is none with these two ends.
    pub(super) fn find(&mut self, wanted: Tuple) -> io::Result<Option<SocketFacts>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = encode(wanted, self.sequence);
        rustix::net::send(&self.netlink, &request, SendFlags::empty())?;
        let mut buffer = [0_u8; 512];
        loop {
            // Never waits: the kernel answered within `send`, or there is no answer.
            let (_, length) = rustix::net::recv(&self.netlink, &mut buffer, RecvFlags::empty())?;
            let reply = buffer.get(..length).unwrap_or(&buffer);
            match decode(reply, self.sequence) {
                Some(Reply::Socket(ends, facts)) => return Ok((ends == wanted).then_some(facts)),
                Some(Reply::Refused(errno)) if errno == Errno::NOENT.raw_os_error() => {
                    return Ok(None);
                }
                Some(Reply::Refused(errno)) => return Err(io::Error::from_raw_os_error(errno)),
                // The late answer to a question that was given up.
                None => {}
            }
        }
    }
}

/// What the kernel says.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// A socket. Not always the one asked for: a listener on the same port will do for the kernel.
    Socket(Tuple, SocketFacts),
    /// An error number.
    Refused(i32),
}

/// The question, as the kernel wants it.
fn encode(wanted: Tuple, sequence: u32) -> Vec<u8> {
    let family = if wanted.local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut message = Vec::with_capacity(REQUEST_BYTES as usize);
    message.extend(REQUEST_BYTES.to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(family_byte(family));
    message.extend([TCP, 0, 0]);
    message.extend(ANY_STATE.to_ne_bytes());
    message.extend(wanted.local.port().to_be_bytes());
    message.extend(wanted.remote.port().to_be_bytes());
    message.extend(address_bytes(wanted.local.ip()));
    message.extend(address_bytes(wanted.remote.ip()));
    message.extend(ANY_INTERFACE.to_ne_bytes());
    message.extend(ANY_COOKIE);
    message
}

fn family_byte(family: AddressFamily) -> Option<u8> {
    u8::try_from(family.as_raw()).ok()
}

/// An address in the 16 bytes that the format has for it.
fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(address.octets()).for_each(|(slot, octet)| *slot = octet);
            bytes
        }
    }
}

/// Reads one message. `None` if it is no answer to question `sequence`, or is cut short.
fn decode(message: &[u8], sequence: u32) -> Option<Reply> {
    let mut fields = Fields(message);
    let _length = fields.take::<4>()?;
    let kind = u16::from_ne_bytes(fields.take()?);
    let _flags = fields.take::<2>()?;
    if u32::from_ne_bytes(fields.take()?) != sequence {
        return None;
    }
    let _port = fields.take::<4>()?;
    match kind {
        ERROR => i32::from_ne_bytes(fields.take()?).checked_neg().map(Reply::Refused),
        BY_FAMILY => decode_socket(fields),
        _ => None,
    }
}

fn decode_socket(mut fields: Fields<'_>) -> Option<Reply> {
    let [family, state, _timer, _retransmits] = fields.take::<4>()?;
    let local_port = u16::from_be_bytes(fields.take()?);
    let remote_port = u16::from_be_bytes(fields.take()?);
    let local = read_address(family, fields.take()?)?;
    let remote = read_address(family, fields.take()?)?;
    let _interface_and_cookie = fields.take::<12>()?;
    let _expires_and_queues = fields.take::<12>()?;
    let uid = u32::from_ne_bytes(fields.take()?);
    let inode = u32::from_ne_bytes(fields.take()?);
    let ends = Tuple {
        local: SocketAddr::new(local, local_port),
        remote: SocketAddr::new(remote, remote_port),
    };
    Some(Reply::Socket(ends, SocketFacts { state, uid, inode: u64::from(inode) }))
}

/// An IPv6 socket that speaks IPv4 shows mapped addresses; they come out as the IPv4 ones.
fn read_address(family: u8, bytes: [u8; 16]) -> Option<IpAddr> {
    if family_byte(AddressFamily::INET) == Some(family) {
        bytes.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into())
    } else {
        Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
    }
}

/// What is left to read of a message.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::ESTABLISHED;
    use super::*;

    fn answer(kind: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        message.extend((16 + payload.len() as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend([0; 2]);
        message.extend(sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(payload);
        message
    }

    fn ends() -> Tuple {
        Tuple {
            local: "127.0.0.1:54321".parse().unwrap(),
            remote: "127.0.0.1:8080".parse().unwrap(),
        }
    }

    /// The payload of an answer for [`ends`], as the kernel lays it out.
    fn socket(family: AddressFamily) -> Vec<u8> {
        let mapped = |bytes: [u8; 4]| match family {
            AddressFamily::INET6 => Ipv4Addr::from(bytes).to_ipv6_mapped().octets(),
            _ => address_bytes(IpAddr::from(bytes)),
        };
        let mut payload = vec![family_byte(family).unwrap(), ESTABLISHED, 0, 0];
        payload.extend(54321_u16.to_be_bytes());
        payload.extend(8080_u16.to_be_bytes());
        payload.extend(mapped([127, 0, 0, 1]));
        payload.extend(mapped([127, 0, 0, 1]));
        payload.extend([0; 24]);
        payload.extend(1001_u32.to_ne_bytes());
        payload.extend(31339_u32.to_ne_bytes());
        payload
    }

    #[test]
    fn reads_a_socket_of_either_family() {
        let facts = SocketFacts { state: ESTABLISHED, uid: 1001, inode: 31339 };
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            let message = answer(BY_FAMILY, 7, &socket(family));
            assert_eq!(decode(&message, 7), Some(Reply::Socket(ends(), facts)));
        }
    }

    #[test]
    fn reads_a_refusal() {
        let message = answer(ERROR, 7, &(-2_i32).to_ne_bytes());
        assert_eq!(decode(&message, 7), Some(Reply::Refused(2)));
    }

    #[test]
    fn passes_over_late_and_short_answers() {
        let message = answer(BY_FAMILY, 7, &socket(AddressFamily::INET));
        assert_eq!(decode(&message, 8), None);
        for length in 0..message.len() {
            assert_eq!(decode(&message[..length], 7), None, "{length} bytes");
        }
    }

    #[test]
    fn the_question_has_the_length_it_claims() {
        assert_eq!(encode(ends(), 1).len(), REQUEST_BYTES as usize);
    }

    #[test]
    fn the_kernel_shows_a_client_and_then_its_absence() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let wanted =
            Tuple { local: client.local_addr().unwrap(), remote: client.peer_addr().unwrap() };
        let mut kernel = SockDiag::open().unwrap();
        let found = kernel.find(wanted).unwrap().unwrap();
        assert_eq!(found.state, ESTABLISHED);
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
        assert_ne!(found.inode, 0);
        drop(client);
        let found = kernel.find(wanted).unwrap();
        assert!(found.is_none_or(|facts| facts.state != ESTABLISHED && facts.inode == 0));
        // A port that only listens is no socket with these ends.
        let listening = Tuple { local: listener.local_addr().unwrap(), remote: wanted.local };
        drop(listener.accept());
        let found = kernel.find(listening).unwrap();
        assert!(found.is_none_or(|facts| facts.state != ESTABLISHED));
    }
}

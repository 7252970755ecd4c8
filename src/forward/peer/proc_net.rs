//! `/proc/net/tcp`, read as text: the way that works where netlink is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::forward::peer::{SocketFacts, Tuple};

/// Finds the socket with just these two ends in the text of `/proc/net/tcp` or `/proc/net/tcp6`.
///
/// Lines that do not parse are passed over: a socket that cannot be read is not found, and what is
/// not found is refused.
pub(super) fn find(text: &str, wanted: Tuple) -> Option<SocketFacts> {
    text.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let local = parse_address(words.nth(1)?)?;
        let remote = parse_address(words.next()?)?;
        if (Tuple { local, remote }) != wanted {
            return None;
        }
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        let uid = words.nth(3)?.parse().ok()?;
        let inode = words.nth(1)?.parse().ok()?;
        Some(SocketFacts { state, uid, inode })
    })
}

/// Reads `0100007F:1F90`: words of four bytes as they lie in memory, then the port as a number.
fn parse_address(word: &str) -> Option<SocketAddr> {
    let (address, port) = word.split_once(':')?;
    let mut bytes = [0_u8; 16];
    let mut length = 0;
    for (slot, at) in bytes.chunks_exact_mut(4).zip((0..address.len()).step_by(8)) {
        let value = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        slot.copy_from_slice(&value.to_ne_bytes());
        length += 8;
    }
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
        32 => IpAddr::V6(Ipv6Addr::from(bytes)),
        _ => return None,
    };
    (length == word.len() - 1 - port.len())
        .then_some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::super::ESTABLISHED;
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 31338 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 31339 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:D432 0100007F:1F90 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 30 10 -1
   4: garbage
   5: 0100007F:D433 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  -5        0 31340 1 0000000000000000
   6: 0100007F:D434 0100007F:1F90 01
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:D435 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 31341 1 0000000000000000 20 4 30 10 -1
   1: 00000000000000000000000001000000:D436 00000000000000000000000001000000:1F90 01 00000000:00000000 00:00000000 00000000  1003        0 31342 1 0000000000000000 20 4 30 10 -1
";

    fn from(port: u16) -> Tuple {
        let end = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Tuple { local: end(port), remote: end(8080) }
    }

    #[test]
    fn finds_the_peer_and_not_our_own_end() {
        let found = find(TCP, from(0xD431)).unwrap();
        assert_eq!(found, SocketFacts { state: ESTABLISHED, uid: 1001, inode: 31339 });
    }

    #[test]
    fn shows_a_closed_client_as_it_is() {
        let found = find(TCP, from(0xD432)).unwrap();
        assert_eq!(found, SocketFacts { state: 5, uid: 0, inode: 0 });
    }

    #[test]
    fn finds_an_ipv6_socket_that_speaks_ipv4() {
        let found = find(TCP6, from(0xD435)).unwrap();
        assert_eq!(found, SocketFacts { state: ESTABLISHED, uid: 1002, inode: 31341 });
    }

    #[test]
    fn finds_an_ipv6_socket() {
        let end = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let found = find(TCP6, Tuple { local: end(0xD436), remote: end(8080) }).unwrap();
        assert_eq!(found.uid, 1003);
    }

    #[test]
    fn what_does_not_parse_is_not_found() {
        assert_eq!(find(TCP, from(0xD433)), None);
        assert_eq!(find(TCP, from(0xD434)), None);
        assert_eq!(find(TCP, from(1)), None);
        assert_eq!(find("", from(1)), None);
        for word in [
            "",
            ":",
            "0100007F",
            "0100007:1F90",
            "0100007Fé:1",
            "0100007F00:1F90",
            "0100007F:1F901",
        ] {
            assert_eq!(parse_address(word), None, "{word}");
        }
    }
}

//! The frames on a control socket (PROTOCOL.mux of OpenSSH): four bytes of length, four of kind, then
//! numbers of four bytes and texts with their length before them. Pure.

use super::MuxError;
use crate::domain::text::shown;

/// What is asked, under a number that the answer repeats.
pub(super) enum Ask<'a> {
    Alive,
    Terminate,
    /// Listen on a UNIX socket, and connect from there to a host and port.
    Forward {
        listen: &'a str,
        host: &'a str,
        port: u16,
    },
    /// Connect two descriptors, which are sent next, to a host and port.
    Stdio {
        host: &'a str,
        port: u16,
    },
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Hello {
        version: u32,
    },
    Ok {
        to: u32,
    },
    Alive {
        to: u32,
    },
    Denied {
        to: u32,
        why: String,
    },
    Failed {
        to: u32,
        why: String,
    },
    Opened {
        to: u32,
    },
    /// Something that nobody here waits for.
    Else,
}

/// The first frame of either side.
pub(super) fn hello() -> Vec<u8> {
    Frame::new(HELLO).number(VERSION).done()
}

/// Returns the frame of a question.
pub(super) fn ask(number: u32, ask: &Ask<'_>) -> Vec<u8> {
    match ask {
        Ask::Alive => Frame::new(ALIVE_CHECK).number(number).done(),
        Ask::Terminate => Frame::new(TERMINATE).number(number).done(),
        Ask::Forward { listen, host, port } => Frame::new(OPEN_FORWARD)
            .number(number)
            .number(FORWARD_LOCAL)
            .text(listen)
            .number(PORT_OF_A_UNIX_SOCKET)
            .text(host)
            .number(u32::from(*port))
            .done(),
        Ask::Stdio { host, port } => Frame::new(STDIO_FORWARD)
            .number(number)
            .text("")
            .text(host)
            .number(u32::from(*port))
            .done(),
    }
}

/// Reads the length of a frame.
///
/// # Errors
///
/// When it is longer than any that is waited for.
pub(super) fn length(head: [u8; 4]) -> Result<usize, MuxError> {
    let length = u32::from_be_bytes(head);
    match usize::try_from(length) {
        Ok(length) if (4..=FRAME_BYTES_MAX).contains(&length) => Ok(length),
        _ => Err(MuxError::Garbage(format!("a frame of {length} bytes"))),
    }
}

/// Reads a frame without its length.
///
/// # Errors
///
/// When it is shorter than its kind has it.
pub(super) fn answer(frame: &[u8]) -> Result<Answer, MuxError> {
    let mut rest = Rest(frame);
    Ok(match rest.number()? {
        HELLO => Answer::Hello { version: rest.number()? },
        OK => Answer::Ok { to: rest.number()? },
        ALIVE => Answer::Alive { to: rest.number()? },
        OPENED => Answer::Opened { to: rest.number()? },
        DENIED => Answer::Denied { to: rest.number()?, why: rest.text()? },
        FAILED => Answer::Failed { to: rest.number()?, why: rest.text()? },
        _ => Answer::Else,
    })
}

struct Frame(Vec<u8>);

impl Frame {
    fn new(kind: u32) -> Self {
        Self(vec![0; 4]).number(kind)
    }

    fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        self.0.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn done(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len().saturating_sub(4)).unwrap_or(u32::MAX);
        for (place, byte) in self.0.iter_mut().zip(length.to_be_bytes()) {
            *place = byte;
        }
        self.0
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self) -> Result<u32, MuxError> {
        let (head, rest) = self.0.split_first_chunk::<4>().ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*head))
    }

    fn text(&mut self) -> Result<String, MuxError> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(shown(&String::from_utf8_lossy(text)))
    }
}

fn cut_off() -> MuxError {
    MuxError::Garbage("a frame that is cut off".to_owned())
}

pub(super) const VERSION: u32 = 4;
const HELLO: u32 = 0x0000_0001;
const ALIVE_CHECK: u32 = 0x1000_0004;
const TERMINATE: u32 = 0x1000_0005;
const OPEN_FORWARD: u32 = 0x1000_0006;
const STDIO_FORWARD: u32 = 0x1000_0008;
const OK: u32 = 0x8000_0001;
const DENIED: u32 = 0x8000_0002;
const FAILED: u32 = 0x8000_0003;
const ALIVE: u32 = 0x8000_0005;
const OPENED: u32 = 0x8000_0006;
const FORWARD_LOCAL: u32 = 1;
/// Port -2 says that the host is the path of a UNIX socket.
const PORT_OF_A_UNIX_SOCKET: u32 = u32::MAX - 1;
/// The longest frame that is read, in bytes.
const FRAME_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_are_as_openssh_has_them() {
        assert_eq!(hello(), b"\0\0\0\x08\0\0\0\x01\0\0\0\x04");
        assert_eq!(ask(7, &Ask::Alive), b"\0\0\0\x08\x10\0\0\x04\0\0\0\x07");
        assert_eq!(ask(8, &Ask::Terminate), b"\0\0\0\x08\x10\0\0\x05\0\0\0\x08");
        let forward = ask(1, &Ask::Forward { listen: "/f", host: "db", port: 5432 });
        assert_eq!(
            forward,
            b"\0\0\0\x20\x10\0\0\x06\0\0\0\x01\0\0\0\x01\0\0\0\x02/f\xff\xff\xff\xfe\
              \0\0\0\x02db\0\0\x15\x38"
        );
        let stdio = ask(1, &Ask::Stdio { host: "db", port: 22 });
        assert_eq!(stdio, b"\0\0\0\x16\x10\0\0\x08\0\0\0\x01\0\0\0\0\0\0\0\x02db\0\0\0\x16");
    }

    #[test]
    fn answers_are_read_and_their_words_are_clean() {
        let failed = b"\x80\0\0\x03\0\0\0\x05\0\0\0\x05bad\x1b[";
        let found = answer(failed).unwrap();
        assert_eq!(found, Answer::Failed { to: 5, why: "bad<1B>[".to_owned() });
        assert_eq!(answer(b"\x80\0\0\x06\0\0\0\x05\0\0\0\x09").unwrap(), Answer::Opened { to: 5 });
        assert_eq!(answer(b"\x12\x34\x56\x78").unwrap(), Answer::Else);
        assert!(answer(b"\x80\0\0\x03\0\0\0\x05\xff\xff\xff\xffx").is_err());
        assert!(length([0, 0, 0, 3]).is_err() && length([0xff; 4]).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_no_more(frame in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(answer(&frame));
        }
    }
}

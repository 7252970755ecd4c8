//! One line as it is typed or pasted at a terminal that edits nothing: bytes in, a [`Secret`] out.
//!
//! Pure. A paste may hold a line break. Where the terminal marks pastes (bracketed paste: `CSI
//! 200~` and `CSI 201~`, xterm's control sequences) a break in it submits nothing; elsewhere
//! whoever reads sees that more follows the break. Either way a broken paste is refused whole.

use zeroize::Zeroizing;

use super::person::SECRET_BYTES_MAX;
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::error::{Kind, Report};

/// What a byte brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// The line goes on.
    More,
    /// Enter.
    Done,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
}

/// A line that is being typed.
#[derive(Debug)]
pub(super) struct Line {
    bytes: Zeroizing<Vec<u8>>,
    state: State,
    pasting: bool,
    /// Something was typed or pasted that belongs in no line.
    odd: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Text,
    Escape,
    /// Within `CSI`, with what has come of it.
    Sequence(Vec<u8>),
    /// Within `SS3`: one more byte.
    Key,
}

impl Line {
    pub fn new() -> Self {
        // Room for the longest line, so that growing leaves no copy behind.
        let bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
        Self { bytes, state: State::Text, pasting: false, odd: false }
    }

    /// Takes in a byte.
    pub fn take(&mut self, byte: u8) -> Typed {
        match &mut self.state {
            State::Escape => {
                self.state = match byte {
                    b'[' => State::Sequence(vec![]),
                    b'O' => State::Key,
                    _ => State::Text,
                };
            }
            State::Key => self.state = State::Text,
            State::Sequence(so_far) if (0x40..=0x7e).contains(&byte) => {
                match (so_far.as_slice(), byte) {
                    (b"200", b'~') => self.pasting = true,
                    (b"201", b'~') => self.pasting = false,
                    _ => {}
                }
                self.state = State::Text;
            }
            State::Sequence(so_far) if so_far.len() < SEQUENCE_BYTES_MAX => so_far.push(byte),
            State::Sequence(_) => self.state = State::Text,
            State::Text if byte == ESCAPE => self.state = State::Escape,
            State::Text if self.pasting => self.pasted(byte),
            State::Text => return self.typed(byte),
        }
        Typed::More
    }

    fn pasted(&mut self, byte: u8) {
        match byte {
            b'\r' => self.push(b'\n'),
            byte => self.push(byte),
        }
    }

    fn typed(&mut self, byte: u8) -> Typed {
        match byte {
            b'\r' | b'\n' => return Typed::Done,
            CTRL_C => return Typed::Interrupt,
            CTRL_D if self.bytes.is_empty() => return Typed::End,
            CTRL_U => self.bytes.clear(),
            BACKSPACE | DELETE => self.rub_out(),
            byte if byte < b' ' => {}
            byte => self.push(byte),
        }
        Typed::More
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() > SECRET_BYTES_MAX {
            self.odd = true;
        } else {
            self.bytes.push(byte);
        }
    }

    /// Takes the last character away, all its bytes.
    fn rub_out(&mut self) {
        while self.bytes.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    }

    /// How many characters there are, of those that have all come.
    pub fn count(&self) -> usize {
        self.bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
    }

    /// The line as it may be shown.
    pub fn shown(&self) -> String {
        text::clean(&String::from_utf8_lossy(&self.bytes), SECRET_BYTES_MAX).into_owned()
    }

    /// The line, if it is one.
    pub fn finish(self) -> Result<Secret, Report> {
        let refused = |why: &str| Err(Report::new(Kind::Usage, why));
        if self.odd || self.bytes.len() > SECRET_BYTES_MAX {
            return refused("what was typed is longer than 4 KiB");
        }
        let Ok(text) = std::str::from_utf8(&self.bytes) else {
            return refused("what was typed is no text: it is not valid UTF-8");
        };
        let text = text.strip_suffix('\n').unwrap_or(text);
        if text.contains('\n') {
            return Err(broken());
        }
        if text.contains(char::is_control) {
            return refused("what was pasted holds a control character; nothing of it was taken");
        }
        Ok(Secret::new(text))
    }
}

/// The refusal of a paste with a line break.
pub(super) fn broken() -> Report {
    Report::new(Kind::Usage, "what was pasted has more than one line; nothing of it was taken")
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 0x15;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;
const SEQUENCE_BYTES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line is after these bytes, and what the last of them brought about.
    fn typed(bytes: &str) -> (Typed, String) {
        let mut line = Line::new();
        let mut last = Typed::More;
        for byte in bytes.bytes() {
            last = line.take(byte);
        }
        (last, line.finish().map_or_else(|report| report.message, |it| it.expose().to_owned()))
    }

    #[test]
    fn a_line_is_edited_as_a_terminal_edits_it() {
        for (bytes, text) in [
            ("secret\r", "secret"),
            ("secret\n", "secret"),
            ("sex\u{7f}cret\r", "secret"),
            ("zoë\u{8}e\r", "zoe"),
            ("wrong\u{15}right\r", "right"),
            ("a\u{1b}[Db\u{1b}OHc\u{1b}xd\r", "abcd"),
            ("\u{7f}\u{7f}a\r", "a"),
            ("tab\t\u{1a}\u{1}\r", "tab"),
            ("\r", ""),
        ] {
            assert_eq!(typed(bytes), (Typed::Done, text.to_owned()), "{bytes:?}");
        }
        assert_eq!(typed("secret\u{3}").0, Typed::Interrupt);
        assert_eq!(typed("\u{4}").0, Typed::End);
        assert_eq!(typed("a\u{4}").0, Typed::More);
    }

    #[test]
    fn a_paste_is_taken_whole_or_not_at_all() {
        let pasted = |text: &str| typed(&format!("\u{1b}[200~{text}\u{1b}[201~\r"));
        let done = |text: &str| (Typed::Done, text.to_owned());
        assert_eq!(pasted("secret"), done("secret"));
        assert_eq!(pasted("secret\r"), done("secret"));
        let many = "what was pasted has more than one line; nothing of it was taken";
        assert_eq!(pasted("half\rrm -rf ."), done(many));
        let control = "what was pasted holds a control character; nothing of it was taken";
        assert_eq!(pasted("a\u{3}b"), done(control));
        assert_eq!(typed("\u{1b}[200~half\r").0, Typed::More, "a break in a paste submits nothing");
    }

    #[test]
    fn a_line_without_end_is_refused_and_not_cut() {
        let long = "x".repeat(SECRET_BYTES_MAX);
        assert_eq!(typed(&(long.clone() + "\r")).1, long);
        assert_eq!(typed(&(long + "yz\r")).1, "what was typed is longer than 4 KiB");
    }

    #[test]
    fn characters_are_counted_once_they_are_whole_or_begun() {
        let mut line = Line::new();
        "zoë東".bytes().for_each(|byte| assert_eq!(line.take(byte), Typed::More));
        assert_eq!((line.count(), line.shown().as_str()), (4, "zoë東"));
    }
}

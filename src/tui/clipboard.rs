//! The terminal's clipboard, by OSC 52 (xterm control sequences).
//!
//! Nobody hears whether it worked, so nothing may say that it did.

use crossterm::Command;
use crossterm::clipboard::CopyToClipboard;

use super::look::Multiplexer;

/// Returns the bytes that send a text to the terminal's clipboard, wrapped so that a multiplexer
/// passes them on; none for a text that is too long for any terminal.
#[must_use]
pub fn sequence(text: &str, multiplexer: Multiplexer) -> Vec<u8> {
    let mut plain = String::new();
    if text.len() > BYTES_MAX
        || CopyToClipboard::to_clipboard_from(text).write_ansi(&mut plain).is_err()
    {
        return vec![];
    }
    match multiplexer {
        Multiplexer::None => plain.into_bytes(),
        // tmux takes the plain sequence where it is set to, and passes on the wrapped one where it
        // is allowed to. Which of the two, the user's configuration decides.
        Multiplexer::Tmux => {
            let wrapped = plain.replace('\u{1b}', "\u{1b}\u{1b}");
            format!("{plain}\u{1b}Ptmux;{wrapped}\u{1b}\\").into_bytes()
        }
        Multiplexer::Screen => {
            let pieces = plain.as_bytes().chunks(SCREEN_BYTES_MAX);
            pieces.flat_map(|piece| [b"\x1bP", piece, b"\x1b\\"].concat()).collect()
        }
    }
}

/// The longest text that is sent, in bytes; xterm takes no more.
const BYTES_MAX: usize = 74_994;

/// The longest string that screen(1) passes on in one piece.
const SCREEN_BYTES_MAX: usize = 700;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_wrapped_for_what_stands_between() {
        let text = |multiplexer| String::from_utf8(sequence("psql", multiplexer)).unwrap();
        assert_eq!(text(Multiplexer::None), "\u{1b}]52;c;cHNxbA==\u{1b}\\");
        assert_eq!(
            text(Multiplexer::Tmux),
            "\u{1b}]52;c;cHNxbA==\u{1b}\\\u{1b}Ptmux;\u{1b}\u{1b}]52;c;cHNxbA==\u{1b}\u{1b}\\\u{1b}\\"
        );
        assert_eq!(text(Multiplexer::Screen), "\u{1b}P\u{1b}]52;c;cHNxbA==\u{1b}\\\u{1b}\\");
        let long = sequence(&"x".repeat(2_000), Multiplexer::Screen);
        assert_eq!(long.windows(2).filter(|pair| pair == b"\x1bP").count(), 4);
        assert!(sequence(&"x".repeat(100_000), Multiplexer::None).is_empty());
    }
}

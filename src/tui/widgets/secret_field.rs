//! A field for a text that nobody may see: a password, a code, a client secret.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::secret::Secret;
use crate::tui::keymap::Key;

/// A field whose text is never shown, not even for debugging, and is wiped when it is dropped.
///
/// It is edited at its end only: who cannot see a text cannot edit its middle.
#[derive(Clone, Default, PartialEq)]
pub struct SecretField {
    text: Zeroizing<String>,
    /// True where a text of several lines may be pasted.
    lines: bool,
}

/// Why a pasted text was not taken in. It is taken in whole or not at all: a password that lost a
/// character unseen would be refused, or worse, set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasteError {
    /// It has a line break in its middle.
    #[error(
        "what was pasted has more than one line, so it is not one password; nothing was taken in"
    )]
    Lines,
    /// It holds a control character.
    #[error("what was pasted holds a control character; nothing was taken in")]
    Control,
    /// It does not fit.
    #[error("what was pasted is longer than anything that belongs here; nothing was taken in")]
    TooLong,
}

impl SecretField {
    /// One into which a text of several lines may be pasted: a private key.
    #[must_use]
    pub fn of_lines() -> Self {
        Self { lines: true, ..Self::default() }
    }

    /// True when it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many dots stand for it: one a character, so that typing is seen to arrive, but never
    /// more than [`DOTS_MAX`].
    #[must_use]
    pub fn dots(&self) -> usize {
        self.text.chars().take(DOTS_MAX).count()
    }

    /// True when it holds at least this many characters.
    #[must_use]
    pub fn has(&self, chars: usize) -> bool {
        self.text.chars().take(chars).count() >= chars
    }

    /// Takes a key, and returns whether the text has changed.
    pub fn key(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) if !c.is_control() && !self.has(CHARS_MAX) => {
                self.make_room();
                self.text.push(c);
                true
            }
            Key::Backspace => self.text.pop().is_some(),
            Key::Ctrl('u') => {
                let had = !self.is_empty();
                self.text = Zeroizing::default();
                had
            }
            _ => false,
        }
    }

    /// Takes a pasted text, without the one line break that copying often adds at its end.
    ///
    /// # Errors
    ///
    /// What keeps it from being taken in; then the field is as it was.
    pub fn paste(&mut self, text: &str) -> Result<(), PasteError> {
        if self.lines {
            return self.paste_lines(text);
        }
        let text =
            text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r'])).unwrap_or(text);
        if text.contains(['\n', '\r']) {
            return Err(PasteError::Lines);
        }
        if text.chars().any(char::is_control) {
            return Err(PasteError::Control);
        }
        let room = CHARS_MAX.saturating_sub(self.text.chars().count());
        if text.chars().take(room + 1).count() > room {
            return Err(PasteError::TooLong);
        }
        self.make_room();
        self.text.push_str(text);
        Ok(())
    }

    /// Takes in several lines, with the line ends that files have: terminals paste others.
    fn paste_lines(&mut self, text: &str) -> Result<(), PasteError> {
        let text = Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n"));
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(PasteError::Control);
        }
        if self.text.len() + text.len() > KEY_BYTES_MAX {
            return Err(PasteError::TooLong);
        }
        let mut whole = Zeroizing::new(String::with_capacity(KEY_BYTES_MAX));
        whole.push_str(&self.text);
        whole.push_str(&text);
        self.text = whole;
        Ok(())
    }

    /// Gives the text away; the field is empty afterwards.
    pub fn take(&mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.text))
    }

    /// A copy of the text, for what may have to be sent twice.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::new(self.text.as_str())
    }

    /// Makes room for all it may ever hold, so that no half of a text is left behind where a
    /// growing one was moved from.
    fn make_room(&mut self) {
        if self.text.capacity() < BYTES_MAX {
            let mut roomy = Zeroizing::new(String::with_capacity(BYTES_MAX));
            roomy.push_str(&self.text);
            self.text = roomy;
        }
    }
}

impl fmt::Debug for SecretField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretField(..)")
    }
}

/// The most dots that are shown. A password has at least 15 characters, so every whole one shows
/// the same twelve dots, and nobody behind the screen learns how long it is.
pub const DOTS_MAX: usize = 12;

/// The longest key it takes, in bytes; one of RSA with 8,192 bits has some 6,400.
const KEY_BYTES_MAX: usize = 16 * 1_024;

/// The longest text it takes, in characters; far longer than any password.
const CHARS_MAX: usize = 1_024;

const BYTES_MAX: usize = CHARS_MAX * 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> SecretField {
        let mut field = SecretField::default();
        for c in text.chars() {
            field.key(Key::Char(c));
        }
        field
    }

    #[test]
    fn it_shows_no_text_and_no_length_of_a_whole_password() {
        let field = typed("correct horse battery staple");
        assert_eq!(format!("{field:?}"), "SecretField(..)");
        assert_eq!(field.dots(), 12);
        assert_eq!(typed("abc").dots(), 3);
        assert_eq!(typed("fifteen letters").dots(), typed(&"x".repeat(900)).dots());
    }

    #[test]
    fn a_paste_loses_one_line_break_at_its_end_and_nothing_else() {
        for end in ["", "\n", "\r\n", "\r"] {
            let mut field = SecretField::default();
            assert_eq!(field.paste(&format!(" pass word {end}")), Ok(()));
            assert_eq!(field.take().expose(), " pass word ");
        }
        let mut field = typed("before");
        assert_eq!(field.paste("one\ntwo"), Err(PasteError::Lines));
        assert_eq!(field.paste("one\n\n"), Err(PasteError::Lines));
        assert_eq!(field.paste("a\u{1b}[C"), Err(PasteError::Control));
        assert_eq!(field.paste(&"x".repeat(1_100)), Err(PasteError::TooLong));
        assert_eq!(field.secret().expose(), "before", "a refused paste changes nothing");
    }

    #[test]
    fn it_is_edited_at_its_end_and_empty_once_taken() {
        let mut field = typed("ab");
        assert!(field.key(Key::Backspace));
        assert!(!field.key(Key::Left));
        assert_eq!(field.take().expose(), "a");
        assert!(field.is_empty());
        let mut field = typed("ab");
        assert!(field.key(Key::Ctrl('u')));
        assert!(field.is_empty());
        assert!(!field.key(Key::Backspace));
    }
}

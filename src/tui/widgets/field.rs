//! A text field of one line.

use std::fmt;

use tui_input::{Input, InputRequest};

use crate::domain::text::must_show;
use crate::tui::keymap::Key;

/// A text field of one line: what was typed, and where the cursor stands.
///
/// It never holds a control or invisible character, whatever is typed or pasted.
#[derive(Clone, Default)]
pub struct Field {
    input: Input,
}

impl Field {
    /// What it holds.
    #[must_use]
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// True when it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    /// How many columns stand left of the cursor, and how many of them are scrolled away in a
    /// field of `width` columns.
    #[must_use]
    pub fn cursor(&self, width: usize) -> (usize, usize) {
        (self.input.visual_cursor(), self.input.visual_scroll(width.saturating_sub(1)))
    }

    /// Replaces what it holds; the cursor stands at the end.
    pub fn set(&mut self, text: &str) {
        self.input = Input::new(fitting(text, 0).collect());
    }

    /// Takes a key, and returns whether the text has changed.
    pub fn key(&mut self, key: Key) -> bool {
        let Some(request) = request(key) else { return false };
        if matches!(request, InputRequest::InsertChar(_)) && self.chars() >= CHARS_MAX {
            return false;
        }
        self.input.handle(request).is_some_and(|changed| changed.value)
    }

    /// Takes a pasted text: line breaks and tabs become spaces, what is invisible is left out, and
    /// what does not fit is cut off.
    pub fn paste(&mut self, text: &str) {
        for c in fitting(text, self.chars()).collect::<Vec<_>>() {
            self.input.handle(InputRequest::InsertChar(c));
        }
    }

    fn chars(&self) -> usize {
        self.text().chars().count()
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() && self.input.cursor() == other.input.cursor()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({:?} at {})", self.text(), self.input.cursor())
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        let mut field = Self::default();
        field.set(text);
        field
    }
}

fn fitting(text: &str, taken: usize) -> impl Iterator<Item = char> {
    let spaced = |c: char| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
    let room = CHARS_MAX.saturating_sub(taken);
    text.trim_end_matches(['\n', '\r']).chars().map(spaced).filter(|c| !must_show(*c)).take(room)
}

fn request(key: Key) -> Option<InputRequest> {
    Some(match key {
        Key::Char(c) if !must_show(c) => InputRequest::InsertChar(c),
        Key::Backspace => InputRequest::DeletePrevChar,
        Key::Delete => InputRequest::DeleteNextChar,
        Key::Left => InputRequest::GoToPrevChar,
        Key::Right => InputRequest::GoToNextChar,
        Key::Home | Key::Ctrl('a') => InputRequest::GoToStart,
        Key::End | Key::Ctrl('e') => InputRequest::GoToEnd,
        Key::Ctrl('w') => InputRequest::DeletePrevWord,
        Key::Ctrl('u') => InputRequest::DeleteFromStart,
        Key::Ctrl('k') => InputRequest::DeleteTillEnd,
        _ => return None,
    })
}

/// The longest text a field takes, in characters: as long as the longest reason.
const CHARS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_edits_and_control_characters_do_not_stick() {
        let mut field = Field::default();
        for key in [Key::Char('a'), Key::Char('b'), Key::Left, Key::Char('东'), Key::Char('\u{7}')]
        {
            field.key(key);
        }
        assert_eq!(field.text(), "a东b");
        assert!(field.key(Key::Ctrl('u')));
        assert_eq!(field.text(), "b");
        assert!(!field.key(Key::Up));
    }

    #[test]
    fn a_paste_stays_one_line_and_within_bounds() {
        let mut field = Field::from("x");
        field.paste("one\ntwo\r\n\u{1b}[31m\u{202e}three\n");
        assert_eq!(field.text(), "xone two  [31mthree");
        field.paste(&"y".repeat(1_000_000));
        assert_eq!(field.text().chars().count(), CHARS_MAX);
        assert!(!field.key(Key::Char('z')));
        assert_eq!(field.text().chars().count(), CHARS_MAX);
    }
}

//! The one way onto the buffer: every text is cleaned, cut to its width and clipped here.
//!
//! Foreign text arrives clean; it is cleaned once more, since this is the border to the terminal.
//! Where only ASCII may be drawn, everything else becomes `?` here.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::text;
use crate::tui::look::{Glyphs, Look};
use crate::tui::theme::{self, Signs, Tone};

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How it looks.
    pub tone: Tone,
    /// What it says.
    pub text: Cow<'static, str>,
}

/// One line of a pane.
pub type Line = Vec<Part>;

/// Makes a piece of a line.
pub fn part(tone: Tone, text: impl Into<Cow<'static, str>>) -> Part {
    Part { tone, text: text.into() }
}

/// Writes onto a buffer, never outside it.
#[derive(Debug)]
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    look: Look,
    /// The signs of this look.
    pub signs: &'static Signs,
}

impl<'a> Pen<'a> {
    /// Takes a buffer to write on.
    pub fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look, signs: Signs::of(look) }
    }

    /// The style of a tone in this look.
    #[must_use]
    pub fn style(&self, tone: Tone) -> Style {
        theme::style(self.look.colours, tone)
    }

    /// Writes a text at the left of `area`'s first row, cut with an ellipsis where it is too wide,
    /// and returns what is left of that row.
    pub fn text(&mut self, area: Rect, tone: Tone, text: &str) -> Rect {
        // What stood there leaves nothing of its look behind.
        self.styled(area, Style::reset().patch(self.style(tone)), text)
    }

    /// Writes a text at the right end of `area`'s first row, and returns what is left of that row.
    pub fn right(&mut self, area: Rect, tone: Tone, text: &str) -> Rect {
        let width = clamp(self.shown(text).width()).min(area.width);
        let at = Rect { x: area.right().saturating_sub(width), width, ..area };
        self.text(at, tone, text);
        Rect { width: area.width.saturating_sub(width), ..area }
    }

    /// Writes the pieces of a line one after another, and returns what is left of the row.
    pub fn line(&mut self, area: Rect, line: &[Part]) -> Rect {
        line.iter().fold(area, |rest, part| self.text(rest, part.tone, &part.text))
    }

    /// Writes lines below one another, as many as fit, from the one numbered `from`.
    pub fn lines(&mut self, area: Rect, lines: &[Line], from: usize) {
        for (row, line) in rows(area).zip(lines.iter().skip(from)) {
            self.line(row, line);
        }
    }

    /// Gives everything that stands in `area` one tone.
    pub fn tint(&mut self, area: Rect, tone: Tone) {
        let style = Style::reset().patch(self.style(tone));
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Empties `area`, and cuts off a wide character that would reach into it.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for row in area.rows() {
            if let Some(before) = row.x.checked_sub(1)
                && let Some(cell) = self.buffer.cell_mut((before, row.y))
                && cell.symbol().width() > 1
            {
                cell.set_symbol(" ");
            }
            for position in row.positions() {
                if let Some(cell) = self.buffer.cell_mut(position) {
                    cell.reset();
                }
            }
        }
    }

    /// Draws a rule along `area`'s first row.
    pub fn rule(&mut self, area: Rect, tone: Tone) {
        let rule = self.signs.rule.repeat(usize::from(area.width));
        self.text(area, tone, &rule);
    }

    /// Draws a box around `area` with a title, empties it and a column on either side, and returns
    /// the room inside.
    pub fn frame(&mut self, area: Rect, title: &[Part]) -> Rect {
        self.clear(Rect {
            x: area.x.saturating_sub(1),
            width: area.width.saturating_add(2),
            ..area
        });
        let [top_left, top_right, bottom_left, bottom_right] = self.signs.corners;
        let across = self.signs.rule.repeat(usize::from(area.width.saturating_sub(2)));
        let last = Rect { y: area.bottom().saturating_sub(1), ..area };
        self.text(area, Tone::Dim, &format!("{top_left}{across}{top_right}"));
        self.text(last, Tone::Dim, &format!("{bottom_left}{across}{bottom_right}"));
        for row in rows(area).skip(1).take(usize::from(area.height.saturating_sub(2))) {
            self.text(row, Tone::Dim, self.signs.wall);
            self.right(row, Tone::Dim, self.signs.wall);
        }
        let room =
            Rect { x: area.x.saturating_add(2), width: area.width.saturating_sub(4), ..area };
        self.line(Rect { height: 1, ..room }, title);
        inset(area, 2, 1)
    }

    fn styled(&mut self, area: Rect, style: Style, text: &str) -> Rect {
        let area = area.intersection(self.buffer.area);
        if area.is_empty() {
            return Rect { width: 0, height: 0, ..area };
        }
        let shown = self.shown(text);
        let fitting = fit(&shown, usize::from(area.width), self.signs.ellipsis);
        let width = usize::from(area.width);
        let (x, _) = self.buffer.set_stringn(area.x, area.y, fitting, width, style);
        Rect { x, width: area.right().saturating_sub(x), height: area.height, y: area.y }
    }

    fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let clean = text::clean(text, CHARS_MAX);
        if self.look.glyphs == Glyphs::Ascii && !clean.is_ascii() {
            let ascii = |c: char| match c {
                c if c.is_ascii() => c,
                '…' => '~',
                _ => '?',
            };
            return Cow::Owned(clean.chars().map(ascii).collect());
        }
        clean
    }
}

/// The rows of an area, from top to bottom.
pub fn rows(area: Rect) -> impl Iterator<Item = Rect> {
    area.rows()
}

/// Returns `area` without `x` columns at each side and `y` rows at top and bottom.
#[must_use]
pub fn inset(area: Rect, x: u16, y: u16) -> Rect {
    Rect {
        x: area.x.saturating_add(x),
        y: area.y.saturating_add(y),
        width: area.width.saturating_sub(x.saturating_mul(2)),
        height: area.height.saturating_sub(y.saturating_mul(2)),
    }
}

/// Cuts a text to `width` columns, with `ellipsis` at its end where something is missing.
///
/// A wide character that would stand half inside is left out whole.
#[must_use]
pub fn fit<'t>(text: &'t str, width: usize, ellipsis: &str) -> Cow<'t, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    if width == 0 {
        return Cow::Borrowed("");
    }
    let mut kept = String::with_capacity(text.len().min(width * 4));
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width - 1 {
            break;
        }
        kept.push(c);
    }
    kept.push_str(ellipsis);
    Cow::Owned(kept)
}

/// Breaks a text into lines of at most `width` columns, at spaces where there are any.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![];
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        if used > 0 && used + word.trim_end().width() > width {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            used = 0;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if used + wide > width && !line.is_empty() {
                if c == ' ' {
                    continue;
                }
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += wide;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// A width as the screen counts them.
#[must_use]
pub fn clamp(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

/// The longest text that is looked at, in characters; no screen shows more of one line.
const CHARS_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::look::Environment;

    fn drawn(text: &str, width: u16, glyphs: Glyphs) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buffer = Buffer::empty(area);
        let look = Look { glyphs, ..Look::of(Environment::default()) };
        Pen::new(&mut buffer, look).text(area, Tone::Body, text);
        buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    #[test]
    fn wide_characters_are_cut_whole() {
        assert_eq!(fit("東京都庁", 8, "…"), "東京都庁");
        assert_eq!(fit("東京都庁", 7, "…"), "東京都…");
        assert_eq!(fit("東京都庁", 6, "…"), "東京…");
        assert_eq!(fit("a👍b", 3, "…"), "a…");
        assert_eq!(fit("abc", 0, "…"), "");
        assert_eq!(fit("cafe\u{301}s", 4, "…"), "caf…");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("東京都庁 x", 5), ["東京", "都庁", "x"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("a", 0), ["a"]);
    }

    #[test]
    fn what_a_terminal_would_obey_never_reaches_a_cell() {
        assert_eq!(drawn("\u{1b}[31mred", 12, Glyphs::Full), "<1B>[31mred ");
        assert_eq!(drawn("a\u{202e}b", 12, Glyphs::Full), "a<202E>b    ");
    }

    #[test]
    fn ascii_means_ascii() {
        assert_eq!(drawn("Zürich 東京", 12, Glyphs::Ascii), "Z?rich ??   ");
        assert_eq!(drawn("a long text", 6, Glyphs::Ascii), "a lon~");
    }
}

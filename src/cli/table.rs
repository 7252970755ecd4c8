//! Tables for people: aligned columns, cut to the width of the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::output::{Terminal, Tone};

/// A table as it is filled, row by row.
pub struct Table {
    terminal: Terminal,
    headings: Vec<&'static str>,
    flexible: Vec<&'static str>,
    spared: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

struct Cell {
    text: String,
    tone: Tone,
}

impl Table {
    /// Starts a table. The columns with a `flexible` heading give way where room is short; others
    /// hold what is copied by hand, and are never cut.
    #[must_use]
    pub fn new(terminal: Terminal, headings: &[&'static str], flexible: &[&'static str]) -> Self {
        let (headings, flexible) = (headings.to_vec(), flexible.to_vec());
        Self { terminal, headings, flexible, spared: vec![], rows: vec![] }
    }

    /// Names the columns that are left out, one after the other, where nothing else makes it fit.
    #[must_use]
    pub fn sparing(mut self, spared: &[&'static str]) -> Self {
        self.spared = spared.to_vec();
        self
    }

    /// Adds a row. The texts may be foreign; they are cleaned here.
    pub fn row<const N: usize>(&mut self, cells: [(&str, Tone); N]) {
        let terminal = self.terminal;
        let cell = |(text, tone): (&str, Tone)| Cell { text: terminal.text(text), tone };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// Returns the table, a line a row. Where it is wider than the terminal, the widest of the
    /// flexible columns give way, and what may be spared is left out.
    #[must_use]
    pub fn render(mut self) -> String {
        let mut spared = std::mem::take(&mut self.spared).into_iter();
        let mut widths = self.widths();
        while self.terminal.width.is_some_and(|room| taken(&widths) > room)
            && let Some(heading) = spared.next()
        {
            self.leave_out(heading);
            widths = self.widths();
        }
        let headings: Vec<_> = self
            .headings
            .iter()
            .map(|heading| Cell { text: (*heading).to_owned(), tone: Tone::Strong })
            .collect();
        let mut lines = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            lines.push_str(&self.line(row, &widths));
            lines.push('\n');
        }
        lines
    }

    fn leave_out(&mut self, heading: &str) {
        let Some(at) = self.headings.iter().position(|known| *known == heading) else { return };
        self.headings.remove(at);
        for row in &mut self.rows {
            row.remove(at);
        }
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            let text = self.fitted(&cell.text, *width);
            let gap = width.saturating_sub(text.width());
            line.push_str(&self.terminal.paint(cell.tone, &text));
            if at + 1 < row.len() {
                line.push_str(&" ".repeat(gap + GAP));
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(room) = self.terminal.width else { return widths };
        let mut excess = taken(&widths).saturating_sub(room);
        while excess > 0 {
            let may_give = |(heading, _): &(&&str, &mut usize)| self.flexible.contains(*heading);
            let flexible = self.headings.iter().zip(widths.iter_mut()).filter(may_give);
            let widest = flexible.map(|(_, width)| width).max();
            let Some(width) = widest.filter(|width| **width > COLUMN_MIN) else { break };
            *width -= 1;
            excess -= 1;
        }
        widths
    }

    fn fitted(&self, text: &str, width: usize) -> String {
        cut(text, width, if self.terminal.unicode { "…" } else { "..." })
    }
}

/// How many columns of a terminal these take, the gaps counted.
fn taken(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + widths.len().saturating_sub(1) * GAP
}

/// Returns the start of `text` that fits into `width` columns, with `mark` where it was cut.
fn cut(text: &str, width: usize, mark: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(mark.width());
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let mut start: String = text.chars().take_while(fits).collect();
    start.push_str(mark);
    start
}

const GAP: usize = 2;
const COLUMN_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: Option<usize>, unicode: bool) -> Table {
        let terminal = Terminal { width, unicode, ..Terminal::default() };
        let mut table = Table::new(terminal, &["ID", "STATE", "REASON"], &["STATE", "REASON"]);
        table.row([("55667788", Tone::Plain), ("Active", Tone::Good), ("short", Tone::Plain)]);
        table.row([
            ("5566", Tone::Plain),
            ("CleanupOwed", Tone::Alarm),
            ("a reason 東京都庁 that goes on", Tone::Plain),
        ]);
        table
    }

    #[test]
    fn columns_are_aligned_and_nothing_is_cut_for_a_pipe() {
        insta::assert_snapshot!(table(None, true).render(), @r"
        ID        STATE        REASON
        55667788  Active       short
        5566      CleanupOwed  a reason 東京都庁 that goes on
        ");
    }

    #[test]
    fn the_widest_column_gives_way_and_wide_characters_are_cut_right() {
        let cut = table(Some(37), true).render();
        insta::assert_snapshot!(cut, @"
        ID        STATE        REASON
        55667788  Active       short
        5566      CleanupOwed  a reason 東京…
        ");
        assert!(cut.lines().all(|line| line.width() <= 37), "{cut}");
        assert!(table(Some(37), false).render().is_ascii());
    }

    #[test]
    fn colour_changes_no_width() {
        let mut coloured = table(Some(60), true);
        coloured.terminal.colour = true;
        let mut text = coloured.render();
        for code in ["\u{1b}[1m", "\u{1b}[32m", "\u{1b}[1;31m", "\u{1b}[0m"] {
            text = text.replace(code, "");
        }
        let trimmed: Vec<_> = text.lines().map(str::trim_end).collect();
        let plain = table(Some(60), true).render();
        assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
    }

    #[test]
    fn a_terminal_too_narrow_for_all_still_shows_each_column() {
        let text = table(Some(5), true).render();
        assert!(text.lines().count() == 3 && text.contains("Cleanup…"), "{text}");
    }
}

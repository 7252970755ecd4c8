//! The question whether a shared policy file may be changed: the diff line by line.

use ratatui::layout::{Position, Rect};

use crate::tui::format;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Agreement, Answer};
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Pen, inset, part, wrap};

/// Draws the question.
pub fn draw(model: &Model, asked: &Agreement, pen: &mut Pen<'_>) -> Option<Position> {
    let area = layout::agreement(model.size);
    let inner = pen.frame(area, &[part(Tone::Strong, format!(" {} ", title(asked)))]);
    let lead = lead(usize::from(inner.width));
    pen.lines(inner, &lead, 0);
    let room = diff_room(inner, lead.len());
    let lines = diff(asked, usize::from(room.width));
    let (shown, most) = agreement_rows(model, asked);
    let scroll = asked.scroll.min(most);
    pen.lines(Rect { height: room.height.min(shown), ..room }, &lines, scroll);
    let below = lines.len().saturating_sub(scroll + usize::from(shown));
    let mut foot = Rect { y: inner.bottom().saturating_sub(2), height: 1, ..inner };
    if below > 0 {
        let more = format::plural(below, "more line");
        pen.text(foot, Tone::Accent, &format!("{} {more} of the change", pen.signs.down));
    }
    foot.y += 1;
    pen.line(foot, &answers(asked));
    None
}

/// How many lines of the change are in view, and how far it can be scrolled.
pub fn agreement_rows(model: &Model, asked: &Agreement) -> (u16, usize) {
    let inner = inset(layout::agreement(model.size), 2, 1);
    let room = diff_room(inner, lead(usize::from(inner.width)).len());
    let lines = diff(asked, usize::from(room.width)).len();
    (room.height, lines.saturating_sub(usize::from(room.height)))
}

/// What changes, as the engine says it.
fn title(asked: &Agreement) -> String {
    let mut chars = asked.report.message.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn lead(room: usize) -> Vec<Line> {
    let said = wrap(LEAD, room).into_iter().map(|line| vec![part(Tone::Body, line)]);
    said.chain([vec![]]).collect()
}

/// The room of the change: below what is said of it, above a line that says how much is hidden.
fn diff_room(inner: Rect, lead: usize) -> Rect {
    let lead = u16::try_from(lead).unwrap_or(u16::MAX);
    Rect { y: inner.y.saturating_add(lead), height: inner.height.saturating_sub(lead + 2), ..inner }
}

fn diff(asked: &Agreement, room: usize) -> Vec<Line> {
    asked.report.causes.iter().flat_map(|line| diff_line(line, room)).collect()
}

/// A line of the diff; its sign stands before its first row, and tells it without colour. What does
/// not fit goes on further to the right, where no sign of the file's own can be taken for that one.
fn diff_line(line: &str, room: usize) -> Vec<Line> {
    let tone = match line.chars().next() {
        Some('+') => Tone::Good,
        Some('-') => Tone::Warn,
        _ => Tone::Dim,
    };
    let rows = wrap(line, room.saturating_sub(BEHIND.len())).into_iter().enumerate();
    rows.map(|(number, text)| {
        let lead = if number == 0 { "" } else { BEHIND };
        vec![part(tone, lead), part(tone, text)]
    })
    .collect()
}

fn answers(asked: &Agreement) -> Line {
    let words = [(Answer::Stay, "cancel"), (Answer::Do, "change the policy file and open")];
    let word = |(answer, word): (Answer, &str)| match asked.answer() == answer {
        true => part(Tone::Badge, format!("[ {word} ]")),
        false => part(Tone::Body, format!("  {word}  ")),
    };
    let mut line = words.map(word).to_vec();
    line.insert(1, part(Tone::Body, "  "));
    line
}

const LEAD: &str = "Everybody on that tailnet lives by this file. It is changed now as below, and \
                    changed back when the session ends:";
/// What stands before the rest of a line that does not fit.
const BEHIND: &str = "      ";

//! Forms, one-time codes, and what is only to be read.

use ratatui::layout::{Position, Rect};

use super::{field, open, people};
use crate::domain::probe::Probe;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Filling, FormDialog, Note, OneTimeCode};
use crate::tui::model::form::{Entry, Form, Input};
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Pen, part, rows, wrap};
use crate::tui::widgets::secret_field::SecretField;

/// Draws a form in a box, and returns where its cursor stands.
pub fn draw(model: &Model, dialog: &FormDialog, pen: &mut Pen<'_>) -> Option<Position> {
    let (title, texts) = people::filling(model, &dialog.what);
    let width = WIDTH.min(model.size.0.saturating_sub(2));
    let room = usize::from(width.saturating_sub(4));
    let mut above: Vec<Line> = vec![];
    for text in texts {
        above.extend(wrap(&text, room).into_iter().map(|line| vec![part(Tone::Body, line)]));
    }
    let looked = looked(&dialog.what);
    if let Some(probe) = looked {
        above.extend(people::checks(probe, pen.signs, room));
    }
    let mut below = said(&dialog.form, room);
    let fields = dialog.form.entries.len();
    // What is explained gives way where the screen is low; fields and refusals do not.
    let most = usize::from(model.size.1.saturating_sub(2));
    let kept = most.saturating_sub(fields + below.len().max(2) + 4);
    if let (Some(probe), true) = (looked, kept < above.len()) {
        let wrong = wrap(probe.trouble().unwrap_or_default(), room).into_iter().take(2);
        below = wrong.map(|line| vec![part(Tone::Warn, line)]).collect();
    }
    above.truncate(kept);
    if !above.is_empty() {
        above.push(vec![]);
    }
    let height = above.len() + fields + 1 + below.len().max(2) + 2;
    let height = u16::try_from(height).unwrap_or(u16::MAX);
    let area = layout::dialog(model.size, width, height);
    let inner = pen.frame(area, &[part(Tone::Strong, format!(" {title} "))]);
    pen.lines(inner, &above, 0);
    let top = u16::try_from(above.len()).unwrap_or(0);
    let rest = below_of(inner, top);
    let cursor = entries(pen, rest, &dialog.form, true);
    pen.lines(below_of(rest, u16::try_from(fields + 1).unwrap_or(0)), &below, 0);
    cursor
}

/// What a look showed that keeps the form from being done.
const fn looked(what: &Filling) -> Option<&Probe> {
    match what {
        Filling::AddIdp(looked)
        | Filling::Provider { looked, .. }
        | Filling::RotateKey { looked, .. } => looked.as_ref(),
        _ => None,
    }
}

/// Returns `area` without its first rows.
pub fn below_of(area: Rect, used: u16) -> Rect {
    let used = used.min(area.height);
    Rect { y: area.y + used, height: area.height - used, ..area }
}

/// Draws the fields of a form, a row each, and returns where the cursor stands, if it is here.
pub fn entries(pen: &mut Pen<'_>, area: Rect, form: &Form, here: bool) -> Option<Position> {
    let mut cursor = None;
    for (number, (entry, row)) in form.entries.iter().zip(rows(area)).enumerate() {
        let focused = here && number == form.focus;
        let at = draw_entry(pen, row, entry, focused);
        if focused && form.sent.is_none() {
            cursor = at;
        }
    }
    cursor
}

fn draw_entry(pen: &mut Pen<'_>, row: Rect, entry: &Entry, focused: bool) -> Option<Position> {
    let tone = if focused { Tone::Strong } else { Tone::Dim };
    let rest = pen.text(row, tone, &format!("{:<LABEL$}", entry.label));
    match &entry.input {
        Input::Text(text) => field(pen, rest, text),
        Input::Secret(text) => Some(dots(pen, rest, text)),
        Input::Choice { options, at } => {
            let mut rest = rest;
            for (number, option) in options.iter().enumerate() {
                let (tone, text) = match number == *at {
                    true if focused => (Tone::Badge, format!("[{option}]")),
                    true => (Tone::Strong, format!("[{option}]")),
                    false => (Tone::Dim, format!(" {option} ")),
                };
                rest = pen.text(rest, tone, &text);
                rest = pen.text(rest, Tone::Body, " ");
            }
            None
        }
    }
}

/// Draws the dots that stand for what nobody may see.
fn dots(pen: &mut Pen<'_>, area: Rect, field: &SecretField) -> Position {
    let shown = pen.signs.active.repeat(field.dots());
    let rest = pen.text(area, Tone::Body, &shown);
    Position { x: rest.x.min(area.right().saturating_sub(1)), y: area.y }
}

/// What stands below the fields: what is wrong, what is waited for, or what a field is about.
fn said(form: &Form, width: usize) -> Vec<Line> {
    match (&form.refusal, form.focused()) {
        _ if form.sent.is_some() => {
            vec![vec![part(Tone::Accent, "asking the engine... esc gives up waiting")]]
        }
        (Some(report), _) => open::refusal(report, width, 4),
        (None, Some(entry)) => {
            wrap(entry.about, width).into_iter().map(|it| vec![part(Tone::Dim, it)]).collect()
        }
        (None, None) => vec![],
    }
}

/// Draws a one-time code.
pub fn code(model: &Model, shown: &OneTimeCode, pen: &mut Pen<'_>) -> Option<Position> {
    let width = WIDTH.min(model.size.0.saturating_sub(2));
    let room = usize::from(width.saturating_sub(4));
    let until = model.wall.until(shown.expires_at, model.now);
    let mut lines: Vec<Line> = vec![vec![]];
    let mut say = |tone: Tone, text: &str| {
        lines.extend(wrap(text, room).into_iter().map(|line| vec![part(tone, line)]));
    };
    say(
        Tone::Body,
        &format!("With this code {} sets a password, once, until {until}:", shown.email),
    );
    say(Tone::Body, "");
    say(Tone::Strong, &format!("    {}", shown.code.expose()));
    say(Tone::Body, "");
    say(Tone::Warn, "It is shown once and kept nowhere. Give it to them in person or by phone.");
    say(
        Tone::Dim,
        "They use it on the sign-in screen with ctrl-o, or with breakglass password set.",
    );
    boxed(model, pen, width, " One-time code ", &lines);
    None
}

/// Draws something to read.
pub fn note(model: &Model, note: &Note, pen: &mut Pen<'_>) -> Option<Position> {
    let width = WIDTH.min(model.size.0.saturating_sub(2));
    let room = usize::from(width.saturating_sub(4));
    let mut lines: Vec<Line> = vec![vec![]];
    for (number, text) in note.texts.iter().enumerate() {
        if number > 0 {
            lines.push(vec![]);
        }
        lines.extend(wrap(text, room).into_iter().map(|line| vec![part(Tone::Body, line)]));
    }
    boxed(model, pen, width, &format!(" {} ", note.title), &lines);
    None
}

fn boxed(model: &Model, pen: &mut Pen<'_>, width: u16, title: &str, lines: &[Line]) {
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(3);
    let area = layout::dialog(model.size, width, height);
    let inner = pen.frame(area, &[part(Tone::Strong, title.to_owned())]);
    pen.lines(inner, lines, 0);
}

/// The width of labels, the space behind them included.
pub const LABEL: usize = 13;

const WIDTH: u16 = 72;

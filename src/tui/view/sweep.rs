//! What was left behind and belongs to no session.

use ratatui::layout::Position;

use crate::protocol::{OrphanView, SweepProblem};
use crate::tui::format;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::model::dialog::SweepDialog;
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Pen, part, wrap};

/// Draws the list in a box.
pub fn draw(model: &Model, dialog: &SweepDialog, pen: &mut Pen<'_>) -> Option<Position> {
    let width = WIDTH.min(model.size.0.saturating_sub(2));
    let room = usize::from(width.saturating_sub(4));
    let lines = lines(model, dialog, pen, room);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = layout::dialog(model.size, width, height);
    let inner = pen.frame(area, &[part(Tone::Strong, " Left behind ")]);
    let scroll = dialog.scroll.min(lines.len().saturating_sub(usize::from(inner.height)));
    pen.lines(inner, &lines, scroll);
    None
}

fn lines(model: &Model, dialog: &SweepDialog, pen: &Pen<'_>, room: usize) -> Vec<Line> {
    let (left, all) = (dialog.left(), dialog.view.orphans.len());
    let head = match (left, all) {
        (0, 0) => "Nothing was found.".to_owned(),
        (0, all) => format!("{} removed and seen gone.", format::plural(all, "thing")),
        (left, _) => format!(
            "{} of this installation, which no living session needs. D removes, and looks again.",
            format::plural(left, "thing")
        ),
    };
    let mut lines: Vec<Line> = said(Tone::Body, "", &head, room);
    for orphan in &dialog.view.orphans {
        lines.push(vec![]);
        lines.extend(orphan_lines(model, orphan, pen, room));
    }
    for SweepProblem { place, why } in &dialog.view.problems {
        lines.push(vec![]);
        let text = format!("nobody could look at {place}: {why}");
        lines.extend(said(Tone::Warn, "! ", &text, room));
    }
    for SweepProblem { place, why } in &dialog.view.unlisted {
        lines.push(vec![]);
        lines.extend(said(Tone::Dim, "  ", &format!("{place} {why}"), room));
    }
    lines
}

fn orphan_lines(model: &Model, orphan: &OrphanView, pen: &Pen<'_>, room: usize) -> Vec<Line> {
    let (tone, sign, state) = match &orphan.removed {
        None => (Tone::Warn, "! ".to_owned(), String::new()),
        Some(Ok(())) => (Tone::Good, format!("{} ", pen.signs.good), ": seen gone".to_owned()),
        Some(Err(why)) => {
            (Tone::Alarm, format!("{} ", pen.signs.bad), format!(": STILL THERE: {why}"))
        }
    };
    let mut lines = said(tone, &sign, &format!("{}{state}", orphan.artifact), room);
    let about = format!(
        "at {}, of session {}, needed until {} at the latest",
        orphan.place,
        orphan.session,
        model.wall.whole(orphan.expires_at)
    );
    lines.extend(said(Tone::Dim, "  ", &about, room));
    if orphan.removed != Some(Ok(())) {
        for command in &orphan.by_hand {
            lines.extend(said(Tone::Body, "  ", command, room));
        }
    }
    lines
}

fn said(tone: Tone, lead: &str, text: &str, room: usize) -> Vec<Line> {
    let width = room.saturating_sub(lead.chars().count());
    let lines = wrap(text, width).into_iter().enumerate();
    lines
        .map(|(number, line)| {
            let lead = if number == 0 { lead.to_owned() } else { " ".repeat(lead.chars().count()) };
            vec![part(tone, lead), part(tone, line)]
        })
        .collect()
}

const WIDTH: u16 = 78;

//! The Sessions tab.

use ratatui::layout::Rect;

use super::{detail_area, detail_lines, detail_title, session, split};
use crate::protocol::{SessionState, SessionView, StepProgress};
use crate::tui::format;
use crate::tui::layout::Areas;
use crate::tui::model::{Link, Model};
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Part, Pen, part, wrap};
use crate::tui::widgets::table::{Column, Table};

/// The columns, in the order of [`crate::tui::model::sessions::Column`].
pub const COLUMNS: [Column; 7] = [
    Column::new("STATE", 13),
    Column::new("TARGET", 18).grow(4),
    Column::new("PATH", 12).from(70),
    Column::new("LEFT", 8).right(),
    Column::new("TRAFFIC", 13).from(100),
    Column::new("OPENED", 6).from(90),
    Column::new("REASON", 10).grow(3),
];

/// Draws the tab.
pub fn draw(model: &Model, pen: &mut Pen<'_>, areas: Areas) {
    if model.sessions.rows.is_empty() {
        empty(model, pen, areas.body);
        return;
    }
    let (table, detail) = split(areas);
    let rows = &model.sessions.rows;
    if let Some(area) = table {
        let signs = pen.signs;
        let table = Table { columns: &COLUMNS, named: 2, sort: Some(rows.sort) };
        table.draw(pen, area, rows, |id| {
            let Some(session) = model.sessions.get(id) else { return vec![] };
            cells(model, session, signs)
        });
    }
    if let (Some(area), Some(session)) = (detail, model.sessions.selected()) {
        let area = detail_area(pen, area);
        let (left, right) = title(model, session, pen);
        let room = detail_title(pen, area, &left, &right);
        let lines = session::lines(model, session, room.width);
        let scroll = if model.zoomed() {
            rows.scroll
        } else {
            session::first_line(model, session, room.width, usize::from(room.height))
        };
        detail_lines(model, pen, room, &lines, scroll);
    }
}

fn cells(model: &Model, session: &SessionView, signs: &crate::tui::theme::Signs) -> Vec<Part> {
    let state = session.state;
    let tone = tone_of(session);
    let quiet = if state == SessionState::Ended { Tone::Dim } else { Tone::Body };
    let drill = if session.drill { "DRILL " } else { "" };
    let traffic = session.traffic;
    let bytes = if traffic.connections_total == 0 {
        String::new()
    } else {
        let down = format::bytes_short(traffic.bytes_down);
        let up = format::bytes_short(traffic.bytes_up);
        format!("{}{down} {}{up}", signs.down, signs.up)
    };
    vec![
        part(tone, format!("{} {}", signs.state(state), word(session))),
        part(quiet, format!("{drill}{}", session.target.name)),
        part(quiet, session.path.provider.to_string()),
        part(quiet, left(model, session)),
        part(Tone::Dim, bytes),
        part(Tone::Dim, model.wall.short(session.requested_at, model.now)),
        part(quiet, session.reason.clone()),
    ]
}

/// A session that works on its path is Active, and yet not to be relied on.
const fn tone_of(session: &SessionView) -> Tone {
    if session.path_lost.is_some() { Tone::Warn } else { Tone::of_state(session.state) }
}

fn word(session: &SessionView) -> String {
    match &session.path_lost {
        Some(_) => "path lost".to_owned(),
        None => session.state.to_string(),
    }
}

/// What stands in the column of the time left.
fn left(model: &Model, session: &SessionView) -> String {
    let count = |wanted: &[StepProgress]| {
        session.steps.iter().filter(|step| wanted.contains(&step.progress)).count()
    };
    match (session.state, session.lease_ends_at) {
        (SessionState::Active, Some(end)) => format::countdown(format::left(model.now, end)),
        (SessionState::Activating, _) => {
            format!("{}/{}", count(&[StepProgress::Applied]), session.steps.len())
        }
        (SessionState::Ending | SessionState::CleanupOwed, _) => {
            let gone = count(&[StepProgress::Gone, StepProgress::Skipped, StepProgress::Refused]);
            format!("{gone}/{} gone", session.steps.len())
        }
        _ => String::new(),
    }
}

fn title(model: &Model, session: &SessionView, pen: &Pen<'_>) -> (Line, Line) {
    let state = session.state;
    let mut left = vec![part(Tone::Body, " ")];
    if session.drill {
        left.push(part(Tone::Badge, " DRILL "));
        left.push(part(Tone::Body, " "));
    }
    left.push(part(Tone::Strong, session.target.name.clone()));
    left.push(part(Tone::Body, " "));
    let lost = if session.path_lost.is_some() { ", path lost" } else { "" };
    let said = format!("{} {state}{lost}", pen.signs.state(state));
    let mut right = vec![part(tone_of(session), said)];
    if let (SessionState::Active, Some(end)) = (state, session.lease_ends_at) {
        let left = format::countdown(format::left(model.now, end));
        right.push(part(Tone::Strong, format!(" {} {left} left", pen.signs.dot)));
    }
    (left, right)
}

fn empty(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let filtered = model.sessions.rows.filter.is_set();
    let said: &[&str] = match &model.link {
        _ if filtered => &["No session fits the filter.", "esc clears it."],
        Link::Connecting => &["Waiting for the engine."],
        _ => &[
            "No session yet.",
            "",
            "o opens one: choose a target, say why, and for how long. The path to it is made for \
             this session alone; when it ends the path is removed, and looked for until it is seen \
             gone.",
        ],
    };
    let room = usize::from(body.width).saturating_sub(4).min(76);
    let mut lines: Vec<Line> = vec![vec![]];
    for (number, text) in said.iter().enumerate() {
        let tone = if number == 0 { Tone::Strong } else { Tone::Body };
        let wrapped = wrap(text, room).into_iter();
        lines.extend(wrapped.map(|text| vec![part(Tone::Body, "  "), part(tone, text)]));
    }
    pen.lines(body, &lines, 0);
}

//! The Audit tab.

use ratatui::layout::Rect;
use serde_json::Value;

use super::{detail_area, detail_lines, detail_title, labelled, split};
use crate::domain::audit_event::{AuditEvent, Outcome};
use crate::tui::format;
use crate::tui::layout::Areas;
use crate::tui::model::Model;
use crate::tui::model::audit::EVENTS_MAX;
use crate::tui::theme::{Signs, Tone};
use crate::tui::widgets::pen::{Line, Part, Pen, part};
use crate::tui::widgets::table::{Column, Table};

const COLUMNS: [Column; 6] = [
    Column::new("TIME", 8),
    Column::new("", 1),
    Column::new("EVENT", 22),
    Column::new("WHO", 8).grow(1).from(70),
    Column::new("ABOUT", 12).grow(2).from(100),
    Column::new("WHAT", 20).grow(6),
];

/// Draws the tab.
pub fn draw(model: &Model, pen: &mut Pen<'_>, areas: Areas) {
    if model.audit.rows.is_empty() {
        empty(model, pen, areas.body);
        return;
    }
    let (table, detail) = split(areas);
    let signs = pen.signs;
    if let Some(area) = table {
        // The chain has one order.
        let table = Table { columns: &COLUMNS, named: 3, sort: None };
        table.draw(pen, area, &model.audit.rows, |seq| {
            model.audit.get(*seq).map(|event| cells(model, event, signs)).unwrap_or_default()
        });
    }
    if let (Some(area), Some(event)) = (detail, model.audit.selected()) {
        let area = detail_area(pen, area);
        let left = vec![
            part(Tone::Body, " "),
            part(Tone::Strong, event.event.kind.clone()),
            part(Tone::Body, " "),
        ];
        let right = vec![outcome(event, signs), part(Tone::Dim, format!(" #{}", event.seq))];
        let room = detail_title(pen, area, &left, &right);
        let lines = lines(model, event, room.width);
        let scroll = if model.zoomed() { model.audit.rows.scroll } else { 0 };
        detail_lines(model, pen, room, &lines, scroll);
    }
}

fn cells(model: &Model, event: &AuditEvent, signs: &Signs) -> Vec<Part> {
    let draft = &event.event;
    let drill = if draft.drill { "DRILL " } else { "" };
    let object = draft.object.as_ref().map(|object| object.name.clone()).unwrap_or_default();
    vec![
        part(Tone::Dim, time(model, event)),
        sign(event, signs),
        part(Tone::Body, draft.kind.clone()),
        part(Tone::Body, who(event)),
        part(Tone::Body, object),
        part(Tone::Body, format!("{drill}{}", draft.description)),
    ]
}

/// The time of an event: the time of day if it is of today, else the day.
fn time(model: &Model, event: &AuditEvent) -> String {
    let Some(at) = format::read_wall(&event.time) else { return "?".to_owned() };
    // The audit has wall time; engine time is that much earlier.
    let at = at.offset(model.wall.offset_millis.saturating_neg());
    let short = model.wall.short(at, model.now);
    if short.contains(':') { model.wall.seconds(at) } else { short }
}

fn who(event: &AuditEvent) -> String {
    let operator = event.event.actor.operator.as_ref();
    operator.map_or_else(|| "engine".to_owned(), |operator| operator.name.clone())
}

fn sign(event: &AuditEvent, signs: &Signs) -> Part {
    match event.event.outcome {
        Outcome::Success => part(Tone::Good, signs.good),
        Outcome::Failure => part(Tone::Warn, signs.bad),
        Outcome::Unknown => part(Tone::Warn, "?"),
    }
}

fn outcome(event: &AuditEvent, signs: &Signs) -> Part {
    let sign = sign(event, signs);
    let word = match event.event.outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Unknown => "unknown",
    };
    part(sign.tone, format!("{} {word}", sign.text))
}

/// Returns the lines of an event's detail.
#[must_use]
pub fn lines(model: &Model, event: &AuditEvent, width: u16) -> Vec<Line> {
    let draft = &event.event;
    let mut lines = labelled("what", Tone::Body, &draft.description, width);
    let local = format::read_wall(&event.time)
        .map(|at| model.wall.whole(at.offset(model.wall.offset_millis.saturating_neg())));
    let when = format!("{} ({})", local.unwrap_or_else(|| "?".to_owned()), event.time);
    lines.extend(labelled("when", Tone::Body, &when, width));
    let source = &draft.source;
    let from = [
        source.uid.map(|uid| format!("uid {uid}")),
        source.tty.clone(),
        source.ip.clone(),
        source.host.as_ref().map(|host| format!("on {host}")),
    ];
    let from: Vec<String> = from.into_iter().flatten().collect();
    lines.extend(labelled(
        "who",
        Tone::Body,
        &format!("{} {}", who(event), from.join(", ")),
        width,
    ));
    if let Some(object) = &draft.object {
        let text = format!("{} {} ({})", object.kind, object.name, object.id);
        lines.extend(labelled("about", Tone::Body, &text, width));
    }
    if let Some(reason) = &draft.reason {
        lines.extend(labelled("reason", Tone::Body, reason, width));
    }
    if let Some(session) = &draft.session {
        lines.extend(labelled("session", Tone::Body, &session.to_string(), width));
    }
    lines.extend(json("changes", draft.changes.as_ref(), width));
    lines.extend(json("more", draft.metadata.as_ref(), width));
    if draft.drill {
        lines.extend(labelled("drill", Tone::Body, "DRILL: nothing real was touched", width));
    }
    lines.extend(labelled("hash", Tone::Dim, &event.hash, width));
    lines.extend(labelled("before", Tone::Dim, &event.prev, width));
    lines
}

fn json(label: &'static str, value: Option<&Value>, width: u16) -> Vec<Line> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return vec![] };
    let Value::Object(fields) = value else {
        return labelled(label, Tone::Body, &value.to_string(), width);
    };
    let texts = fields.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    let one = |(number, text): (usize, String)| {
        labelled(if number == 0 { label } else { "" }, Tone::Body, &text, width)
    };
    texts.enumerate().flat_map(one).collect()
}

fn empty(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let said = if model.audit.rows.filter.is_set() {
        format!(
            "Nothing among the {} fits the filter; esc clears it.",
            format::plural(model.audit.events().len(), "loaded event")
        )
    } else {
        "No event yet.".to_owned()
    };
    let mut lines = vec![vec![], vec![part(Tone::Body, format!("  {said}"))]];
    if model.audit.is_full() {
        let more = format!(
            "  Only the newest {EVENTS_MAX} are held here; breakglass audit tail has the rest."
        );
        lines.push(vec![part(Tone::Dim, more)]);
    }
    pen.lines(body, &lines, 0);
}

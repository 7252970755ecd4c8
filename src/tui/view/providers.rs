//! The Providers tab.

use ratatui::layout::Rect;

use super::{detail_area, detail_lines, detail_title, labelled, split};
use crate::domain::provider::Health;
use crate::protocol::ProviderView;
use crate::tui::format;
use crate::tui::layout::Areas;
use crate::tui::model::Model;
use crate::tui::theme::{Signs, Tone};
use crate::tui::widgets::pen::{Line, Part, Pen, part};
use crate::tui::widgets::table::{Column, Table};

/// The columns; their numbers are those of [`crate::tui::model::Providers::arrange`].
pub const COLUMNS: [Column; crate::tui::model::PROVIDER_COLUMNS] = [
    Column::new("PROVIDER", 16).grow(2),
    Column::new("KIND", 10).grow(1),
    Column::new("HEALTH", 11),
    Column::new("ON", 4),
    Column::new("LATENCY", 8).right(),
    Column::new("USED BY", 8).right().from(64),
];

/// Draws the tab.
pub fn draw(model: &Model, pen: &mut Pen<'_>, areas: Areas) {
    if model.providers.rows.is_empty() {
        empty(model, pen, areas.body);
        return;
    }
    let (table, detail) = split(areas);
    let signs = pen.signs;
    if let Some(area) = table {
        let rows = &model.providers.rows;
        let table = Table { columns: &COLUMNS, named: 2, sort: Some(rows.sort) };
        table.draw(pen, area, rows, |id| {
            model.providers.get(id).map(|provider| cells(provider, signs)).unwrap_or_default()
        });
    }
    if let (Some(area), Some(provider)) = (detail, model.providers.selected()) {
        let area = detail_area(pen, area);
        let left = vec![
            part(Tone::Body, " "),
            part(Tone::Strong, provider.id.to_string()),
            part(Tone::Body, " "),
        ];
        let room = detail_title(pen, area, &left, &vec![health(provider, signs)]);
        let lines = lines(model, provider, room.width);
        detail_lines(model, pen, room, &lines, model.providers.rows.scroll);
    }
}

fn cells(provider: &ProviderView, signs: &Signs) -> Vec<Part> {
    let latency = provider.latency_millis.map(|millis| format!("{millis} ms")).unwrap_or_default();
    let used = match provider.sessions {
        0 => signs.dash.to_owned(),
        sessions => sessions.to_string(),
    };
    let quiet = if provider.enabled { Tone::Body } else { Tone::Dim };
    vec![
        part(quiet, provider.id.to_string()),
        part(quiet, provider.label.clone()),
        health(provider, signs),
        part(quiet, if provider.enabled { "on" } else { "off" }),
        part(Tone::Dim, latency),
        part(quiet, used),
    ]
}

fn health(provider: &ProviderView, signs: &Signs) -> Part {
    match &provider.health {
        Health::Healthy => part(Tone::Good, format!("{} healthy", signs.good)),
        Health::Degraded { .. } => part(Tone::Warn, "! degraded"),
        Health::Down { .. } => part(Tone::Warn, format!("{} down", signs.bad)),
    }
}

/// Returns the lines of a provider's detail.
#[must_use]
pub fn lines(model: &Model, provider: &ProviderView, width: u16) -> Vec<Line> {
    let mut lines = labelled("does", Tone::Body, &provider.about, width);
    if let Health::Degraded { why } | Health::Down { why } = &provider.health {
        lines.extend(labelled("health", Tone::Warn, why, width));
    }
    let on = if provider.enabled {
        "on: it may carry new sessions"
    } else {
        "off: it carries no new session; running ones keep their path until they end"
    };
    lines.extend(labelled("is", Tone::Body, on, width));
    let checked = provider.checked_at.map_or_else(
        || "never; c checks it now".to_owned(),
        |at| {
            let took = provider.latency_millis.map(|millis| format!(", in {millis} ms"));
            format!("{}{}", model.wall.whole(at), took.unwrap_or_default())
        },
    );
    lines.extend(labelled("checked", Tone::Body, &checked, width));
    let used = match usize::try_from(provider.sessions).unwrap_or(0) {
        0 => "no session".to_owned(),
        count => format!("{}, what is owed counted", format::plural(count, "session")),
    };
    lines.extend(labelled("used by", Tone::Body, &used, width));
    if let Some(why) = &provider.keep {
        lines.extend(labelled("stays", Tone::Dim, why, width));
    }
    lines
}

fn empty(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    let said = if model.providers.rows.filter.is_set() {
        "No provider fits the filter; esc clears it."
    } else {
        "Waiting for the engine."
    };
    pen.lines(body, &[vec![], vec![part(Tone::Body, format!("  {said}"))]], 0);
}

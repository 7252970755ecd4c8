//! The Providers tab.

use ratatui::layout::Rect;

use super::{LABEL, detail_area, detail_lines, detail_title, labelled, people, split};
use crate::domain::provider::{Health, ProviderSettings, ProviderSetup};
use crate::domain::text;
use crate::domain::twingate::ClientPath;
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
    Column::new("SEEN", 6).right(),
    Column::new("LATENCY", 8).right(),
    Column::new("KEY", 5).right().from(72),
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
            let cells = |provider| cells(model, provider, signs);
            model.providers.get(id).map(cells).unwrap_or_default()
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
        let scroll = if model.zoomed() { model.providers.rows.scroll } else { 0 };
        detail_lines(model, pen, room, &lines, scroll);
    }
}

fn cells(model: &Model, provider: &ProviderView, signs: &Signs) -> Vec<Part> {
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
        part(Tone::Dim, seen(model, provider)),
        part(Tone::Dim, latency),
        key(model, provider),
        part(quiet, used),
    ]
}

/// When it was last looked at: the time of day, which does not change while nothing happens.
fn seen(model: &Model, provider: &ProviderView) -> String {
    provider.checked_at.map_or_else(|| "never".to_owned(), |at| model.wall.minutes(at))
}

/// How long its key is good for, where that is known.
fn key(model: &Model, provider: &ProviderView) -> Part {
    let ends = provider.validation.as_ref().and_then(|validation| validation.key_expires_at);
    let Some(ends) = ends else { return part(Tone::Dim, "") };
    let days = ends.since(model.now).as_seconds() / DAY_SECONDS;
    part(if days < KEY_DAYS_FEW { Tone::Warn } else { Tone::Dim }, format!("{days}d"))
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
    lines.extend(abilities(model, provider, width));
    lines.extend(settings(model, provider, width));
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
    let using = model.sessions.live().filter(|session| session.path.provider == provider.id);
    for session in using.take(SESSIONS_SHOWN) {
        let text = format!("{} {} {}", session.id.short(), session.target.name, session.state);
        lines.extend(labelled("", Tone::Dim, &text, width));
    }
    for trouble in &provider.errors {
        let text = format!("{} {}", model.wall.whole(trouble.at), trouble.text);
        lines.extend(labelled("trouble", Tone::Warn, &text, width));
    }
    if let Some(why) = &provider.keep {
        lines.extend(labelled("stays", Tone::Dim, why, width));
    }
    lines
}

/// What can be done there, ability by ability, and what to grant where something cannot.
fn abilities(model: &Model, provider: &ProviderView, width: u16) -> Vec<Line> {
    let Some(validation) = &provider.validation else { return vec![] };
    let signs = Signs::of(model.look);
    let lead = LABEL + 2;
    let room = usize::from(width).saturating_sub(lead);
    let checks = people::checks(&validation.probe, signs, room).into_iter();
    let mut lines: Vec<Line> = checks
        .map(|mut line| {
            line.insert(0, part(Tone::Body, " ".repeat(lead)));
            line
        })
        .collect();
    if let Some(label) = lines.first_mut().and_then(|line| line.first_mut()) {
        *label = part(Tone::Dim, format!("  {:<LABEL$}", "can"));
    }
    lines
}

/// Where it is, and what it signs in with.
fn settings(model: &Model, provider: &ProviderView, width: u16) -> Vec<Line> {
    let Some(ProviderSettings { setup, default, .. }) = &provider.settings else { return vec![] };
    let (place, mine) = match setup {
        ProviderSetup::Direct => return vec![],
        ProviderSetup::Ssh(setup) => {
            let mine = match &setup.destination.identity_file {
                Some(path) => text::shown(&path.to_string_lossy()),
                None => "your agent and files".to_owned(),
            };
            (setup.destination.to_string(), mine)
        }
        ProviderSetup::Tailscale(setup) => (setup.tailnet.to_string(), "none".to_owned()),
        ProviderSetup::Twingate(setup) => (setup.network.host(), "none".to_owned()),
    };
    let mut lines = labelled("leads to", Tone::Body, &text::shown(&place), width);
    let expires = provider.validation.as_ref().and_then(|it| it.key_expires_at);
    let until = expires.map(|at| format!(", good until {}", model.wall.whole(at)));
    let key = if setup.has_key() { "in the vault".to_owned() } else { mine };
    let key = format!("{key}{}", until.unwrap_or_default());
    lines.extend(labelled("key", Tone::Body, &key, width));
    if let ProviderSetup::Tailscale(setup) = setup {
        let tags = format!("{}, {}", setup.router_tag, setup.operator_tag);
        lines.extend(labelled("tags", Tone::Body, &tags, width));
        if setup.edit_policy {
            lines.extend(labelled("policy", Tone::Warn, "edited for each session", width));
        }
    }
    if let ProviderSetup::Twingate(setup) = setup {
        let reached = match setup.data_path {
            ClientPath::Host => "by the client that this host runs".to_owned(),
            ClientPath::Proxy(proxy) => format!("by the proxy of a client at {proxy}"),
        };
        lines.extend(labelled("group", Tone::Body, setup.group.as_str(), width));
        lines.extend(labelled("reached", Tone::Body, &reached, width));
    }
    if *default {
        let serves = "private targets that belong to no site, too";
        lines.extend(labelled("serves", Tone::Body, serves, width));
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

/// How many of the sessions that use it are named.
const SESSIONS_SHOWN: usize = 5;
const DAY_SECONDS: u64 = 86_400;
/// From how few days on a key's end is a warning.
const KEY_DAYS_FEW: u64 = 14;

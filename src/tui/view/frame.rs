//! What stands around every pane: header, tabs, rule, banner, footer, message.

use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr;

use super::filter;
use crate::domain::identity_provider::IdpHealth;
use crate::protocol::{EngineView, IdpView, SessionState, SignedInView};
use crate::tui::format;
use crate::tui::keymap::{self, Action, Binding};
use crate::tui::layout::Areas;
use crate::tui::look::Glyphs;
use crate::tui::model::{Link, Model, Tab};
use crate::tui::theme::{Signs, Tone};
use crate::tui::update::allowed::is_useful;
use crate::tui::widgets::pen::{Line, Pen, clamp, fit, part, wrap};

/// Draws the header: where one is, as whom, what needs care, how late it is.
pub fn header(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let mut rest = pen.text(area, Tone::Body, " ");
    rest = pen.right(rest, Tone::Body, " ");
    rest = pen.right(rest, Tone::Dim, &clock(model));
    for (tone, text) in counts(model, pen) {
        rest = pen.right(rest, Tone::Body, "   ");
        rest = pen.right(rest, tone, &text);
    }
    rest = pen.right(rest, Tone::Body, "  ");
    rest = pen.text(rest, Tone::Strong, "breakglass");
    if model.drill {
        rest = pen.text(rest, Tone::Body, "  ");
        rest = pen.text(rest, Tone::Badge, " DRILL ");
    }
    let Some(engine) = &model.engine else {
        pen.text(rest, Tone::Dim, "  connecting to the engine");
        return;
    };
    let dot = pen.signs.dot;
    if let Some(me) = model.me() {
        rest = pen.text(rest, Tone::Body, "  ");
        let all = pieces(model, engine, me);
        let shown = fitting(all, rest.width, pen.signs.ellipsis);
        for (number, piece) in shown.iter().enumerate() {
            if number > 0 {
                rest = pen.text(rest, Tone::Dim, &format!(" {dot} "));
            }
            rest = pen.text(rest, piece.tone, &piece.text);
        }
        return;
    }
    rest = pen.text(rest, Tone::Body, &format!("  {}", engine.host));
    let mode = if model.drill {
        "simulated providers".to_owned()
    } else {
        format!("{} mode", model.identity.mode.as_str())
    };
    pen.text(rest, Tone::Dim, &format!(" {dot} {} {dot} {mode}", engine.operator));
}

/// One piece of the header, how much it matters, and what stands there where room is short.
struct Piece {
    matters: u8,
    tone: Tone,
    text: String,
    short: Option<String>,
}

/// Where one is, who is signed in and how, and how the enforced identity providers do.
fn pieces(model: &Model, engine: &EngineView, me: &SignedInView) -> Vec<Piece> {
    let piece = |matters, tone, text: String| Piece { matters, tone, text, short: None };
    let mut pieces = vec![piece(2, Tone::Body, engine.host.clone())];
    if me.method.is_break_glass() {
        pieces.push(piece(6, Tone::Alarm, "BREAK-GLASS".to_owned()));
    }
    pieces.push(piece(ADDRESS, Tone::Strong, me.email.to_string()));
    pieces.push(piece(3, Tone::Body, me.role.to_string()));
    pieces.extend(worst_sso(model));
    pieces.push(piece(1, Tone::Dim, format!("{} mode", model.identity.mode.as_str())));
    pieces
}

/// The enforced identity provider that does worst, and how many more are enforced.
fn worst_sso(model: &Model) -> Option<Piece> {
    let signs = Signs::of(model.look);
    let enforced = || model.identity.idps.iter().filter(|idp| idp.enforced);
    let rank = |idp: &&IdpView| match idp.health {
        IdpHealth::Unhealthy => 0,
        IdpHealth::Unknown => 1,
        IdpHealth::Healthy => 2,
    };
    let worst = enforced().min_by_key(rank)?;
    let more = match enforced().count() - 1 {
        0 => String::new(),
        more => format!(" +{more}"),
    };
    let (matters, tone, sign) = match worst.health {
        IdpHealth::Unhealthy => (4, Tone::Warn, signs.bad),
        IdpHealth::Unknown => (2, Tone::Dim, "?"),
        IdpHealth::Healthy => (2, Tone::Dim, signs.good),
    };
    let text = format!("SSO {}: {}{more}", worst.id, worst.health);
    Some(Piece { matters, tone, text, short: Some(format!("{sign} {}", worst.id)) })
}

/// Shortens and leaves out what matters least until the rest fits. The address is cut before
/// anything that matters more goes.
fn fitting(mut pieces: Vec<Piece>, width: u16, ellipsis: &str) -> Vec<Piece> {
    let wide = |pieces: &[Piece]| pieces.iter().map(|it| it.text.width() + 3).sum::<usize>();
    while wide(&pieces) > usize::from(width) + 3 && pieces.len() > 1 {
        let over = wide(&pieces) - usize::from(width) - 3;
        let Some(least) = pieces.iter().map(|piece| piece.matters).min() else { break };
        let Some(at) = pieces.iter().rposition(|piece| piece.matters == least) else { break };
        match pieces.get_mut(at) {
            Some(Piece { short: short @ Some(_), text, .. }) => {
                *text = short.take().unwrap_or_default();
            }
            Some(Piece { matters: ADDRESS, text, .. }) if text.width() >= over + ADDRESS_MIN => {
                *text = fit(text, text.width() - over, ellipsis).into_owned();
                break;
            }
            _ => {
                pieces.remove(at);
            }
        }
    }
    pieces
}

/// The time of the last change where the screen stands still, else the time that runs.
fn clock(model: &Model) -> String {
    let time = model.wall.minutes(model.now);
    if model.engine.is_none() {
        return String::new();
    }
    if model.counts() { time } else { format!("as of {time}") }
}

/// What needs care, from right to left.
fn counts(model: &Model, pen: &Pen<'_>) -> Vec<(Tone, String)> {
    let mut counts = vec![];
    let active = model.sessions.count(SessionState::Active);
    let owed = model.owed();
    let live = model.lives().0 - owed;
    if live > 0 {
        let tone = if active > 0 { Tone::Good } else { Tone::Accent };
        counts.push((tone, format!("{} {live} live", pen.signs.active)));
    }
    if owed > 0 {
        counts.push((Tone::Alarm, format!("{} {owed} owed", pen.signs.alarm)));
    }
    counts
}

/// Draws the tabs.
pub fn tabs(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    for (tab, place) in tab_places(area) {
        let number = Tab::ALL.iter().position(|other| *other == tab).unwrap_or(0) + 1;
        if tab == model.tab {
            pen.text(place, Tone::Badge, &format!(" {number} {} ", tab.title()));
        } else {
            let rest = pen.text(place, Tone::Accent, &format!(" {number} "));
            pen.text(rest, Tone::Body, tab.title());
        }
    }
}

/// The tab at a column.
#[must_use]
pub fn tab_at(x: u16) -> Option<Tab> {
    let all = Rect { x: 0, y: 0, width: u16::MAX, height: 1 };
    let mut places = tab_places(all).into_iter();
    places.find(|(_, place)| place.x <= x && x < place.right()).map(|(tab, _)| tab)
}

fn tab_places(area: Rect) -> Vec<(Tab, Rect)> {
    let mut x = area.x;
    let mut place = |tab: Tab| {
        let width = clamp(tab.title().width()) + 4;
        let here = Rect { x, width: width.min(area.right().saturating_sub(x)), ..area };
        x = x.saturating_add(width);
        (tab, here)
    };
    Tab::ALL.map(&mut place).to_vec()
}

/// Draws the rule, with the filter and how many rows there are, and returns where the filter's
/// cursor stands.
pub fn rule(model: &Model, pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    pen.rule(area, Tone::Dim);
    let rest = Rect { width: area.width.saturating_sub(2), ..area };
    let rest = match count_shown(model) {
        Some(text) => pen.right(rest, Tone::Dim, &format!(" {text} ")),
        None => rest,
    };
    let used = model.filter().filter(|filter| filter.typing || filter.is_set())?;
    let wide = clamp(used.field.text().width()).saturating_add(4).max(16);
    let room = Rect { x: rest.x + 2, width: wide.min(rest.width.saturating_sub(4)), ..rest };
    pen.clear(room);
    let inner = Rect { x: room.x + 1, width: room.width.saturating_sub(2), ..room };
    filter(pen, inner, used)
}

fn count_shown(model: &Model) -> Option<String> {
    let (shown, all, noun) = match model.tab {
        Tab::Providers => (model.providers.rows.len(), model.providers.all.len(), "provider"),
        Tab::Sessions => (model.sessions.rows.len(), sessions_total(model), "session"),
        Tab::Audit => (model.audit.rows.len(), events_total(model), "event"),
        Tab::Users => {
            let operators = model.operators.as_ref()?;
            let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            (count(operators.matching), count(operators.total), "operator")
        }
    };
    let all_text = format::plural(all, noun);
    let text = if shown == all {
        all_text
    } else {
        let shown = u64::try_from(shown).unwrap_or(u64::MAX);
        format!("{} of {all_text}", format::count(shown))
    };
    Some(text)
}

fn sessions_total(model: &Model) -> usize {
    let ended = usize::try_from(model.sessions.ended_total).unwrap_or(usize::MAX);
    let known_ended = model.sessions.ended();
    model.sessions.known().len() - known_ended + ended.max(known_ended)
}

fn events_total(model: &Model) -> usize {
    let newest = model.audit.events().back().map_or(0, |event| event.seq);
    usize::try_from(newest).unwrap_or(usize::MAX)
}

/// Draws what is wrong with the engine.
pub fn banner(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let alarm = model.engine.as_ref().and_then(|engine| {
        let worst = engine.alarms.iter().max_by_key(|alarm| alarm.severity)?;
        let more = engine.alarms.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        Some((worst.severity, format!("{}{more}", worst.text)))
    });
    let (tone, sign, text) = match (&model.link, alarm) {
        (Link::Lost(report), _) => (
            Tone::Warn,
            "!",
            format!("the engine does not answer ({}); trying again", report.message),
        ),
        (Link::Moving, _) => {
            (Tone::Accent, pen.signs.running, "the engine moves to another process".to_owned())
        }
        (Link::Stopped, _) => {
            let key = if model.identity.bars() { "ctrl-c" } else { "q" };
            (Tone::Warn, "!", format!("the engine has stopped, nothing lives; {key} leaves"))
        }
        (_, Some((severity, text))) => {
            (Tone::of_severity(severity), pen.signs.severity(severity), text)
        }
        (_, None) => (
            Tone::Accent,
            pen.signs.undoing,
            "ending every session; leaves once everything is seen gone".to_owned(),
        ),
    };
    pen.line(area, &[part(tone, format!(" {sign} ")), part(tone, text)]);
}

/// Draws the keys that do something here, as many as fit; help and the way out always do.
pub fn footer(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let width = area.width;
    let ascii = model.look.glyphs == Glyphs::Ascii;
    let hints = footer_keys(model, width);
    let mut rest = pen.text(area, Tone::Body, " ");
    for binding in hints {
        let Some(key) = binding.keys.first() else { continue };
        rest = pen.text(rest, Tone::Accent, &key.name(ascii));
        rest = pen.text(rest, Tone::Dim, &format!(" {}  ", binding.hint));
    }
}

/// Returns the bindings that the footer shows in this width.
#[must_use]
pub fn footer_keys(model: &Model, width: u16) -> Vec<&'static Binding> {
    let ascii = model.look.glyphs == Glyphs::Ascii;
    let wide = |binding: &Binding| {
        let key = binding.keys.first().map_or(0, |key| key.name(ascii).width());
        key + binding.hint.width() + 3
    };
    let may = |binding: &&'static Binding| is_useful(model, binding.action);
    let all: Vec<_> = keymap::hints(model.contexts()).filter(may).collect();
    let pinned = |binding: &Binding| {
        use Action::{Accept, Back, Details, Help, Quit};
        matches!(binding.action, Help | Quit | Back | Accept | Details)
    };
    let mut room = usize::from(width).saturating_sub(1);
    let reserved: usize = all.iter().filter(|it| pinned(it)).map(|it| wide(it)).sum();
    room = room.saturating_sub(reserved);
    let mut full = false;
    all.into_iter()
        .filter(|binding| {
            if pinned(binding) {
                return true;
            }
            full = full || wide(binding) > room;
            if !full {
                room -= wide(binding);
            }
            !full
        })
        .collect()
}

/// Draws the message on screen, above the footer.
pub fn toast(model: &Model, pen: &mut Pen<'_>, areas: Areas) {
    let Some(message) = model.messages.toast() else { return };
    let tone = Tone::of_severity(message.severity);
    let width = areas.footer.width;
    let lines = wrap(&message.text, usize::from(width.saturating_sub(12)).max(1));
    let sign = pen.signs.severity(message.severity);
    let shown: Vec<Line> = lines
        .into_iter()
        .take(2)
        .enumerate()
        .map(|(number, text)| {
            let lead = if number == 0 { format!(" {sign} ") } else { "   ".to_owned() };
            vec![part(tone, lead), part(tone, text)]
        })
        .collect();
    let height = clamp(shown.len());
    let at = Rect { y: areas.footer.y.saturating_sub(height), height, ..areas.footer };
    pen.clear(at);
    pen.lines(at, &shown, 0);
    let dismiss = Rect { height: 1, ..at };
    if model.messages.expires_at().is_none() {
        pen.right(dismiss, Tone::Dim, "esc hides ");
    }
}

/// How much it matters who is signed in.
const ADDRESS: u8 = 5;

/// The shortest address that still tells people apart, in columns.
const ADDRESS_MIN: usize = 8;

//! From a model to a screen. Drawing reads, and that is all: no clock, no decision.

mod agree;
mod audit;
mod dialogs;
mod form;
mod frame;
mod help;
mod open;
mod operators;
mod people;
mod providers;
mod session;
mod sessions;
mod sign_in;
mod sso;
mod sweep;
mod users;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use super::layout::{self, Areas, HEIGHT_MIN, WIDTH_MIN};
use super::model::dialog::Dialog;
use super::model::rows::Filter;
use super::model::{Model, Tab};
use super::theme::Tone;
use super::widgets::field::Field;
use super::widgets::pen::{Line, Pen, clamp, part};
use super::widgets::table;

pub use agree::agreement_rows;
pub use frame::{footer_keys, tab_at};

/// Draws a model.
pub fn render(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), model.look);
    let size = (area.width.min(model.size.0), area.height.min(model.size.1));
    if !layout::is_big_enough(size) {
        too_small(model, &mut pen, area);
        return;
    }
    let areas = layout::areas(model);
    frame::header(model, &mut pen, areas.header);
    let barred = model.identity.bars();
    if barred {
        pen.text(areas.tabs, Tone::Badge, sign_in::title(&model.gate));
    } else {
        frame::tabs(model, &mut pen, areas.tabs);
    }
    if let Some(banner) = areas.banner {
        frame::banner(model, &mut pen, banner);
    }
    let typing = if barred {
        pen.rule(areas.rule, Tone::Dim);
        sign_in::draw(model, &mut pen, areas.body)
    } else {
        pane(model, &mut pen, areas);
        frame::rule(model, &mut pen, areas.rule)
    };
    frame::footer(model, &mut pen, areas.footer);
    if model.dialog.is_none() || !matches!(model.dialog, Some(Dialog::Messages(_))) {
        frame::toast(model, &mut pen, areas);
    }
    let cursor = match &model.dialog {
        Some(dialog) => over(model, dialog, &mut pen),
        None => typing,
    };
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

fn pane(model: &Model, pen: &mut Pen<'_>, areas: Areas) {
    match (model.tab, &model.operators) {
        (Tab::Providers, _) => providers::draw(model, pen, areas),
        (Tab::Sessions, _) => sessions::draw(model, pen, areas),
        (Tab::Users, Some(operators)) => operators::draw(model, operators, pen, areas.body),
        (Tab::Users, None) => users::draw(model, pen, areas.body),
        (Tab::Audit, _) => audit::draw(model, pen, areas),
    }
}

fn over(model: &Model, dialog: &Dialog, pen: &mut Pen<'_>) -> Option<Position> {
    match dialog {
        Dialog::Open(form) => open::draw(model, form, pen),
        Dialog::Agree(asked) => agree::draw(model, asked, pen),
        Dialog::Extend(form) => dialogs::extend(model, form, pen),
        Dialog::Confirm(confirm) => dialogs::confirm(model, confirm, pen),
        Dialog::Help(help) => help::draw(model, help, pen),
        Dialog::Messages(scroll) => dialogs::messages(model, *scroll, pen),
        Dialog::Palette(palette) => dialogs::palette(model, palette, pen),
        Dialog::Verdict(verdict) => dialogs::verdict(model, verdict.as_ref(), pen),
        Dialog::Form(dialog) => form::draw(model, dialog, pen),
        Dialog::Code(code) => form::code(model, code, pen),
        Dialog::Note(note) => form::note(model, note, pen),
        Dialog::Sweep(dialog) => sweep::draw(model, dialog, pen),
    }
}

/// Says that the screen is too small, as far as there is room to say anything.
fn too_small(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let mut said = vec![
        format!("breakglass needs {WIDTH_MIN}x{HEIGHT_MIN}"),
        format!("this is {}x{}", area.width, area.height),
    ];
    let (live, _) = model.lives();
    said.push(match live {
        0 => "q quits".to_owned(),
        live => format!("q quits, {} on", super::format::plural(live, "session")),
    });
    let lines: Vec<Line> = said.into_iter().map(|text| vec![part(Tone::Body, text)]).collect();
    pen.lines(area, &lines, 0);
}

/// Draws a text field, and returns where its cursor stands.
fn field(pen: &mut Pen<'_>, area: Rect, field: &Field) -> Option<Position> {
    let (cursor, scrolled) = field.cursor(usize::from(area.width));
    let mut left = scrolled;
    let shown = field.text().trim_start_matches(|c| {
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        let hidden = left > 0;
        left = left.saturating_sub(wide);
        hidden
    });
    pen.text(area, Tone::Body, shown);
    let x = area.x.saturating_add(clamp(cursor.saturating_sub(scrolled)));
    (!area.is_empty()).then(|| Position { x: x.min(area.right().saturating_sub(1)), y: area.y })
}

/// Draws a filter as far as it is in use.
fn filter(pen: &mut Pen<'_>, area: Rect, filter: &Filter) -> Option<Position> {
    let rest = pen.text(area, Tone::Accent, "/");
    let at = field(pen, rest, &filter.field);
    at.filter(|_| filter.typing)
}

/// Draws the title of a detail along a rule, and returns the room below it.
fn detail_title(pen: &mut Pen<'_>, area: Rect, left: &Line, right: &Line) -> Rect {
    let head = Rect { height: area.height.min(1), ..area };
    pen.rule(head, Tone::Dim);
    let room = Rect { x: head.x.saturating_add(2), width: head.width.saturating_sub(4), ..head };
    let wide: usize =
        right.iter().map(|it| unicode_width::UnicodeWidthStr::width(it.text.as_ref())).sum();
    let wide = clamp(wide).saturating_add(u16::from(wide > 0) * 2).min(room.width);
    let kept = Rect { width: room.width - wide, ..room };
    pen.line(kept, left);
    let end = Rect { x: kept.right(), width: wide, ..room };
    if wide > 0 {
        let rest = pen.text(end, Tone::Body, " ");
        let rest = pen.line(rest, right);
        pen.text(rest, Tone::Body, " ");
    }
    Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area }
}

/// Draws the lines of a detail, and says how many there are below the last one that fits.
fn detail_lines(model: &Model, pen: &mut Pen<'_>, room: Rect, lines: &[Line], scroll: usize) {
    pen.lines(room, lines, scroll);
    let height = usize::from(room.height);
    let hidden = lines.len().saturating_sub(scroll + height);
    if hidden > 0 && height > 1 {
        let hidden = super::format::plural(hidden + 1, "more line");
        let how = if model.zoomed() { "" } else { ": enter" };
        let last = Rect { y: room.bottom().saturating_sub(1), height: 1, ..room };
        pen.clear(last);
        pen.text(last, Tone::Dim, &format!("  {} {hidden}{how}", pen.signs.down));
    }
}

/// The room that a detail's lines have, and the wall left of one that stands beside its list.
fn detail_area(pen: &mut Pen<'_>, area: Rect) -> Rect {
    if area.x > 0 {
        for row in area.rows() {
            let wall = Rect { x: area.x - 1, width: 1, ..row };
            pen.text(wall, Tone::Dim, pen.signs.wall);
        }
    }
    area
}

/// Brings every scroll position back to where there is something to see.
pub fn clamp_scroll(model: &mut Model) {
    let areas = layout::areas(model);
    let (width, height) = (areas.body.width, usize::from(areas.body.height.saturating_sub(1)));
    let most = |lines: usize| lines.saturating_sub(height);
    match model.tab {
        Tab::Users => {
            let page = users::page(model, width);
            show_user(model, &page);
        }
        Tab::Sessions if model.sessions.rows.zoomed => {
            let lines = model.sessions.selected().map(|it| session::lines(model, it, width).len());
            model.sessions.rows.scroll = model.sessions.rows.scroll.min(most(lines.unwrap_or(0)));
        }
        Tab::Providers if model.providers.rows.zoomed => {
            let lines =
                model.providers.selected().map(|it| providers::lines(model, it, width).len());
            model.providers.rows.scroll = model.providers.rows.scroll.min(most(lines.unwrap_or(0)));
        }
        Tab::Audit if model.audit.rows.zoomed => {
            let lines = model.audit.selected().map(|it| audit::lines(model, it, width).len());
            model.audit.rows.scroll = model.audit.rows.scroll.min(most(lines.unwrap_or(0)));
        }
        _ => {}
    }
    if let Some(Dialog::Help(help)) = &model.dialog {
        let most = help::lines(help, model.look).len().saturating_sub(1);
        if let Some(Dialog::Help(help)) = &mut model.dialog {
            help.scroll = help.scroll.min(most);
        }
    }
}

/// Scrolls the Break-Glass Users tab so that there is something to see, and that the row under the
/// cursor is in view; before anybody moves there the page may stand at its top.
fn show_user(model: &mut Model, page: &users::Page) {
    let height = usize::from(layout::areas(model).body.height).max(1);
    let furthest = page.lines.len().saturating_sub(height);
    let users = &mut model.users;
    users.scroll = users.scroll.min(furthest);
    let Some((first, last)) = page.cursor else { return };
    let moved = users.cursor > 0 || users.edit.is_some();
    let least = if moved { (last + 1).saturating_sub(height).min(first) } else { 0 };
    users.scroll = users.scroll.clamp(least, first);
}

/// The number of the column whose head stands at `x` in a table.
#[must_use]
pub fn column_at(model: &Model, table: Rect, x: u16) -> Option<usize> {
    let columns: &[table::Column] = match model.tab {
        Tab::Sessions => &sessions::COLUMNS,
        Tab::Providers => &providers::COLUMNS,
        Tab::Users | Tab::Audit => return None,
    };
    let head = Rect { height: 1, ..table };
    table::places(columns, head)
        .into_iter()
        .position(|place| place.is_some_and(|place| place.x <= x && x < place.right()))
}

/// The areas of list and detail, drawn only where they are.
fn split(areas: Areas) -> (Option<Rect>, Option<Rect>) {
    (areas.table, areas.detail)
}

/// A line of a detail: a label, then a text broken over as many lines as it needs.
fn labelled(label: &'static str, tone: Tone, text: &str, width: u16) -> Vec<Line> {
    let room = usize::from(width).saturating_sub(LABEL + 2);
    let wrapped = super::widgets::pen::wrap(text, room);
    let with_label = |(number, text): (usize, String)| {
        let label = if number == 0 { label } else { "" };
        vec![part(Tone::Dim, format!("  {label:<LABEL$}")), part(tone, text)]
    };
    wrapped.into_iter().enumerate().map(with_label).collect()
}

/// The width of labels, the space behind them included.
const LABEL: usize = 10;

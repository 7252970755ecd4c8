//! The dialog that opens a session.

use ratatui::layout::{Position, Rect};

use super::field;
use crate::domain::time::Span;
use crate::error::Report;
use crate::protocol::PathView;
use crate::tui::format;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::model::open::{Candidate, Catalogue, Chosen, Focus, OpenForm, presets};
use crate::tui::theme::Tone;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::pen::{Line, Part, Pen, part, rows, wrap};

/// Draws the dialog, and returns where its cursor stands.
pub fn draw(model: &Model, form: &OpenForm, pen: &mut Pen<'_>) -> Option<Position> {
    let area = layout::dialog(model.size, 92, layout::open_height(model));
    let title = if model.drill { " Open a session in the DRILL " } else { " Open a session " };
    let room = pen.frame(area, &[part(Tone::Strong, title)]);
    let mut lines = rows(room);
    let mut cursor = None;
    let mut place = |at: Option<Position>| cursor = cursor.or(at);

    place(target_line(model, form, pen, lines.next()?));
    for (row, (candidate, here)) in
        lines.by_ref().take(usize::from(layout::open_list_rows(model))).zip(candidates(model, form))
    {
        candidate_line(model, form, pen, row, candidate, here);
    }
    let top = room.y + 1 + layout::open_list_rows(model);
    let rest = Rect { y: top, height: room.bottom().saturating_sub(top), ..room };
    if form.rows.is_empty() {
        let row = Rect { y: room.y + 1, height: 1, ..room };
        pen.text(row, Tone::Dim, &format!("{:LABEL$}{}", "", nothing(model)));
    }
    place(fields(model, form, pen, rest));
    cursor
}

fn candidates<'a>(
    model: &'a Model,
    form: &'a OpenForm,
) -> impl Iterator<Item = (&'a Candidate, bool)> {
    form.rows.window(usize::from(layout::open_list_rows(model)))
}

fn label(pen: &mut Pen<'_>, area: Rect, text: &'static str, here: bool) -> Rect {
    let sign = if here { pen.signs.cursor } else { " " };
    let rest = pen.text(area, Tone::Accent, sign);
    let tone = if here { Tone::Strong } else { Tone::Dim };
    let width = LABEL - 1;
    pen.text(rest, tone, &format!("{text:<width$}"))
}

/// Draws a field and returns where its cursor stands, if the field has the cursor.
fn entry(pen: &mut Pen<'_>, area: Rect, text: &Field, here: bool) -> Option<Position> {
    field(pen, area, text).filter(|_| here)
}

fn target_line(model: &Model, form: &OpenForm, pen: &mut Pen<'_>, row: Rect) -> Option<Position> {
    let here = form.focus == Focus::Target;
    let rest = label(pen, row, "target", here);
    let total = usize::try_from(model.targets_total).unwrap_or(usize::MAX);
    let all = model.catalogue.entries().len().max(total);
    let fitting = form.rows.len();
    let count = match &model.catalogue {
        Catalogue::Here(_) if fitting == all => format::plural(all, "target"),
        Catalogue::Here(_) => {
            let fitting = format::count(u64::try_from(fitting).unwrap_or(0));
            format!("{fitting} of {}", format::plural(all, "target"))
        }
        _ => String::new(),
    };
    let rest = pen.right(rest, Tone::Dim, &count);
    if let (Some(chosen), false) = (&form.chosen, here) {
        pen.text(rest, Tone::Strong, &chosen.name);
        return None;
    }
    let rest = Rect { width: rest.width.saturating_sub(1), ..rest };
    if form.search.is_empty() {
        let ad_hoc = model.policy.as_ref().is_none_or(|policy| policy.ad_hoc_targets);
        let or_address = if ad_hoc { ", or HOST:PORT" } else { "" };
        pen.text(rest, Tone::Dim, &format!(" type part of a name{or_address}"));
    }
    entry(pen, rest, &form.search, here)
}

fn candidate_line(
    model: &Model,
    form: &OpenForm,
    pen: &mut Pen<'_>,
    row: Rect,
    candidate: &Candidate,
    here: bool,
) {
    let rest = pen.text(row, Tone::Body, &" ".repeat(LABEL - 2));
    let marked = here && form.chosen.is_none();
    let sign = if here { pen.signs.cursor } else { " " };
    let rest = pen.text(rest, Tone::Accent, &format!("{sign} "));
    let quiet = if form.focus == Focus::Target { Tone::Body } else { Tone::Dim };
    match candidate {
        Candidate::Known(place) => {
            let Some(entry) = model.catalogue.entries().get(*place) else { return };
            let target = &entry.target;
            let site = target.site.as_ref().map_or("", |site| site.as_str());
            let wide = usize::from(rest.width);
            let name = wide * 3 / 8;
            let cells = [
                (name, quiet, target.name.clone()),
                (11, Tone::Dim, target.kind.to_string()),
                (if wide < 56 { 0 } else { 14 }, Tone::Dim, site.to_owned()),
                (wide, Tone::Dim, target.address.to_string()),
            ];
            let mut left = rest;
            for (width, tone, text) in cells {
                let width = u16::try_from(width).unwrap_or(0).min(left.width);
                pen.text(Rect { width: width.saturating_sub(1), ..left }, tone, &text);
                left = Rect { x: left.x + width, width: left.width - width, ..left };
            }
        }
        Candidate::Address(address) => {
            let allowed = model.policy.as_ref().is_none_or(|policy| policy.ad_hoc_targets);
            let said =
                if allowed { "by address, in no catalogue" } else { "not allowed by policy" };
            let rest = pen.text(rest, quiet, &address.to_string());
            pen.text(rest, Tone::Dim, &format!("  {said}"));
        }
    }
    if marked && form.focus == Focus::Target {
        pen.tint(rest, Tone::Selected);
    }
}

fn nothing(model: &Model) -> String {
    match &model.catalogue {
        Catalogue::Unknown | Catalogue::Asked => {
            let total = usize::try_from(model.targets_total).unwrap_or(0);
            format!("fetching {}", format::plural(total, "target"))
        }
        Catalogue::Failed(report) => format!("no catalogue: {}", report.message),
        Catalogue::Here(entries) if entries.is_empty() => {
            "the catalogue is empty; HOST:PORT opens by address".to_owned()
        }
        Catalogue::Here(_) => "nothing fits".to_owned(),
    }
}

/// Draws everything below the list.
fn fields(model: &Model, form: &OpenForm, pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    let mut lines = rows(area);
    let mut cursor = None;
    let path = path_lines(form, area.width);
    for line in path {
        pen.line(lines.next()?, &line);
    }
    if form.is_ad_hoc() {
        let here = form.focus == Focus::Kind;
        let rest = label(pen, lines.next()?, "kind", here);
        let rest = pen.text(rest, Tone::Strong, form.kind.as_str());
        pen.text(rest, Tone::Dim, "   what speaks there; it decides the command you get");
    }
    let here = form.focus == Focus::Reason;
    let rest = label(pen, lines.next()?, "reason", here);
    if form.reason.is_empty() {
        pen.text(rest, Tone::Dim, &format!(" {}", reason_hint(model)));
    }
    cursor = cursor.or(entry(pen, rest, &form.reason, here));
    let here = form.focus == Focus::Duration;
    let rest = label(pen, lines.next()?, "for", here);
    let typed = Rect { width: rest.width.min(10), ..rest };
    cursor = cursor.or(entry(pen, typed, &form.duration, here));
    let offered = Rect { x: typed.right(), width: rest.width - typed.width, ..rest };
    pen.line(offered, &offers(model, form));
    let mut lines = lines.skip(usize::from(area.height > 7));
    for line in outcome(form, area.width) {
        pen.line(lines.next()?, &line);
    }
    cursor
}

fn reason_hint(model: &Model) -> String {
    let earlier = match model.reasons.len() {
        0 => String::new(),
        count => format!("; up for the last {count}"),
    };
    match model.policy.as_ref().and_then(|policy| policy.reason_pattern.as_ref()) {
        Some(pattern) => format!("why; must match {pattern}{earlier}"),
        None => format!("why, in a few words{earlier}"),
    }
}

/// The durations on offer, and the bound.
fn offers(model: &Model, form: &OpenForm) -> Line {
    let max = form.duration_max(model.policy.as_ref());
    let typed = form.duration.text().parse::<Span>().ok();
    let mut line: Vec<Part> = presets(max)
        .into_iter()
        .map(|span| {
            let tone = if typed == Some(span) { Tone::Accent } else { Tone::Dim };
            part(tone, format!("{span}  "))
        })
        .collect();
    if let Some(max) = max {
        let over = typed.is_some_and(|typed| typed > max);
        let tone = if over { Tone::Warn } else { Tone::Dim };
        line.push(part(tone, format!(" at most {max}")));
    }
    line
}

/// The path and why, in two lines.
fn path_lines(form: &OpenForm, width: u16) -> [Line; 2] {
    let blank = || vec![];
    let room = usize::from(width).saturating_sub(LABEL);
    let said = |tone: Tone, first: &str, text: &str| {
        let mut wrapped = wrap(text, room).into_iter();
        let head = part(Tone::Dim, format!(" {:<width$}", "path", width = LABEL - 1));
        let one = vec![
            head,
            part(tone, first.to_owned()),
            part(tone, wrapped.next().unwrap_or_default()),
        ];
        let two = wrapped
            .next()
            .map_or_else(blank, |text| vec![part(Tone::Body, " ".repeat(LABEL)), part(tone, text)]);
        [one, two]
    };
    match &form.chosen {
        None => said(Tone::Dim, "", "follows from the target by rule; shown once it is chosen"),
        Some(Chosen { path: None, .. }) => said(Tone::Dim, "", "checking which way leads there..."),
        Some(Chosen { path: Some(Err(report)), .. }) => said(Tone::Warn, "", &report.message),
        Some(Chosen { path: Some(Ok(PathView { path: Ok(path), .. })), .. }) => {
            said(Tone::Good, "", &format!("{}: {}", path.provider, path.why))
        }
        Some(Chosen { path: Some(Ok(PathView { path: Err(why), considered })), .. }) => {
            // What the refusal says already is not said twice.
            let unsaid = considered.iter().filter(|it| !why.contains(&it.why));
            let passed: Vec<String> =
                unsaid.map(|it| format!("{} ({})", it.provider, it.why)).collect();
            let text = if passed.is_empty() {
                why.clone()
            } else {
                format!("{why}: {}", passed.join(", "))
            };
            said(Tone::Warn, "", &text)
        }
    }
}

/// What the engine says to the request.
fn outcome(form: &OpenForm, width: u16) -> Vec<Line> {
    if form.sent {
        return vec![vec![part(Tone::Accent, " asking the engine...")]];
    }
    let Some((_, report)) = &form.refusal else { return vec![] };
    refusal(report, usize::from(width), 3)
}

/// A refusal and what to do about it, in at most `most` lines.
pub fn refusal(report: &Report, width: usize, most: usize) -> Vec<Line> {
    let mut text = report.message.clone();
    for cause in &report.causes {
        text = format!("{text}: {cause}");
    }
    let hint = report.hint.as_ref().map(|hint| format!("hint: {hint}"));
    let room = width.saturating_sub(3);
    let body = most.saturating_sub(usize::from(hint.is_some())).max(1);
    let mut lines: Vec<Line> = wrap(&text, room)
        .into_iter()
        .take(body)
        .enumerate()
        .map(|(number, text)| {
            let lead = if number == 0 { " ! " } else { "   " };
            vec![part(Tone::Warn, lead), part(Tone::Warn, text)]
        })
        .collect();
    lines.extend(hint.map(|hint| vec![part(Tone::Body, format!("   {hint}"))]));
    lines
}

const LABEL: usize = 11;

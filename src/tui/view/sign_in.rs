//! The sign-in screen, and the first Owner's two steps before it.

use ratatui::layout::{Position, Rect};

use super::form::{below_of, entries};
use super::{open, sso};
use crate::domain::identity_provider::IdpHealth;
use crate::protocol::IdpView;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::model::gate::{Gate, Step, counted_down};
use crate::tui::theme::{Signs, Tone};
use crate::tui::widgets::pen::{Line, Part, Pen, inset, part, wrap};

/// Draws what stands before everything else while nobody is signed in, and returns where its
/// cursor stands.
pub fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) -> Option<Position> {
    let room = inset(body, 2, 0);
    // What a sign-in is worth is said before anything is typed.
    let says_meaning = matches!(model.gate.step, Step::SignIn | Step::OwnerEmail);
    let texts = if says_meaning {
        wrap(model.identity.mode.meaning(), usize::from(room.width))
    } else {
        vec![]
    };
    let meaning: Vec<Line> = texts.into_iter().map(|line| vec![part(Tone::Dim, line)]).collect();
    let foot = lines(&meaning).min(room.height);
    let above = Rect { height: room.height - foot, ..room };
    pen.lines(below_of(room, above.height), &meaning, 0);
    match &model.gate.step {
        Step::Sso(attempt) => {
            sso::draw(model, attempt, pen, above);
            None
        }
        Step::OwnerEmail | Step::OwnerPassword(_) => owner(model, pen, above),
        Step::Open | Step::SignIn => sign_in(model, pen, above),
    }
}

/// What the row of the tabs says instead.
pub const fn title(gate: &Gate) -> &'static str {
    match gate.step {
        Step::OwnerEmail => " First start, step 1 of 3: who are you? ",
        Step::OwnerPassword(_) => " First start, step 2 of 3: your password ",
        Step::Sso(_) => " Single sign-on ",
        Step::Open | Step::SignIn => " Sign in ",
    }
}

fn sign_in(model: &Model, pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    let gate = &model.gate;
    let width = usize::from(area.width);
    let mut top: Vec<Line> = vec![vec![]];
    if let Some(why) = &gate.notice {
        top.extend(wrap(why, width).into_iter().take(3).map(|it| vec![part(Tone::Warn, it)]));
        top.push(vec![]);
    }
    pen.lines(area, &top, 0);
    let rest = below_of(area, lines(&top));
    let cursor = entries(pen, rest, &gate.form, gate.idp.is_none());
    let rest = below_of(rest, 2);
    let said = said(model, width);
    pen.lines(below_of(rest, 1), &said, 0);
    let used = if said.is_empty() { 1 } else { lines(&said) + 2 };
    idps(model, pen, below_of(rest, used));
    cursor
}

fn lines(lines: &[Line]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
}

/// What the engine says, or that it considers.
fn said(model: &Model, width: usize) -> Vec<Line> {
    let gate = &model.gate;
    if gate.form.sent.is_some() {
        return vec![vec![part(Tone::Accent, "checking... esc gives up waiting")]];
    }
    let Some(report) = &gate.form.refusal else { return vec![] };
    match gate.not_before {
        None => open::refusal(report, width, 4),
        Some(until) => {
            let left = format::left(model.now, until);
            open::refusal(&counted_down(report, left), width, 4)
        }
    }
}

fn idps(model: &Model, pen: &mut Pen<'_>, area: Rect) {
    let idps = &model.identity.idps;
    if idps.is_empty() || area.height < 2 {
        return;
    }
    pen.text(area, Tone::Dim, "or sign in at");
    let list = below_of(area, 1);
    let marked = model.gate.idp;
    let height = usize::from(list.height);
    let first = marked.unwrap_or(0).saturating_sub(height.saturating_sub(1));
    for ((number, idp), row) in idps.iter().enumerate().skip(first).zip(list.rows()) {
        let here = marked == Some(number);
        let sign = if here { pen.signs.cursor } else { " " };
        let rest = pen.text(row, Tone::Accent, &format!("{sign} "));
        let tone = if here { Tone::Selected } else { Tone::Body };
        let rest = pen.text(rest, tone, &format!("{} ({})", idp.label, idp.id));
        let rest = pen.text(rest, Tone::Body, "  ");
        let signs = pen.signs;
        let rest = pen.line(rest, &[health(idp, signs)]);
        let rest = if idp.enforced {
            pen.text(rest, Tone::Dim, &format!(" {} enforced", signs.dot))
        } else {
            rest
        };
        if let Some(why) = idp.probe.as_ref().and_then(|probe| probe.trouble()) {
            pen.text(rest, Tone::Dim, &format!(": {why}"));
        }
    }
}

/// How an identity provider does, by sign and word.
pub fn health(idp: &IdpView, signs: &Signs) -> Part {
    match idp.health {
        IdpHealth::Healthy => part(Tone::Good, format!("{} healthy", signs.good)),
        IdpHealth::Unhealthy => part(Tone::Warn, format!("{} unhealthy", signs.bad)),
        IdpHealth::Unknown => part(Tone::Dim, "? not looked at"),
    }
}

fn owner(model: &Model, pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    let gate = &model.gate;
    let width = usize::from(area.width).min(76);
    let texts: Vec<String> = match &gate.step {
        Step::OwnerPassword(email) => vec![format!(
            "The password of {email}. 15 characters or more; no other rule but that it \
                     is hard to guess. A few words that nobody would put together do well. \
                     Pasting works."
        )],
        _ => vec![
            "Nobody can sign in here yet. Whoever goes on becomes the Owner, who invites others \
             and gives them their roles."
                .to_owned(),
            "Your e-mail address is your name here; nothing is sent to it.".to_owned(),
        ],
    };
    let mut top: Vec<Line> = vec![vec![]];
    for text in texts {
        top.extend(wrap(&text, width).into_iter().map(|line| vec![part(Tone::Body, line)]));
    }
    top.push(vec![]);
    pen.lines(area, &top, 0);
    let rest = below_of(area, lines(&top));
    let cursor = entries(pen, rest, &gate.form, true);
    let fields = u16::try_from(gate.form.entries.len()).unwrap_or(0);
    pen.lines(below_of(rest, fields + 1), &said(model, width), 0);
    cursor
}

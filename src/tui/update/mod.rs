//! What happens to the model: one message in, effects out, nothing waited for.
//!
//! The model decides who gets a key: it names the contexts that hold, the keymap says what the key
//! means there, and a key without a meaning goes to the text field of that context, if it has one.

mod agree;
pub mod allowed;
mod dialogs;
mod engine;
mod forms;
mod gate;
mod idp_form;
mod mouse;
mod open;
mod operators;
mod pane;
mod people;
mod provider_form;
mod providers;
mod users;

use super::keymap::{self, Action, Key};
use super::layout;
use super::model::dialog::Dialog;
use super::model::{Link, Model};
use super::msg::{Effect, Leave, Msg, Purpose};
use super::view;
use crate::domain::time::{Span, Timestamp};
use crate::protocol::{Command, SessionState, Severity, SignInAsk};

pub use dialogs::matching as commands_for;

/// Takes in one message, and returns what is to be done about it.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let by_hand = matches!(msg, Msg::Key(_) | Msg::Paste(_) | Msg::Click(..) | Msg::Wheel(_));
    let mut effects = match msg {
        Msg::Tick(now) => tick(model, now),
        Msg::Resize(width, height) => {
            model.size = (width.min(SIZE_MAX), height.min(SIZE_MAX));
            vec![]
        }
        Msg::Key(key) => press(model, key),
        Msg::Paste(text) => {
            // It may be a password.
            paste(model, &zeroize::Zeroizing::new(text));
            vec![]
        }
        Msg::Click(column, row) => mouse::click(model, column, row),
        Msg::Wheel(by) => mouse::wheel(model, by),
        Msg::Attached(snapshot) => engine::attached(model, *snapshot),
        Msg::Detached(report) => {
            model.link = Link::Lost(report);
            vec![]
        }
        Msg::CutOff => engine::cut_off(model),
        Msg::Events(events) => engine::events(model, events),
        Msg::Answer(purpose, answer) => engine::answer(model, purpose, answer),
        Msg::Terminate => vec![Effect::Quit(safe_leave(model))],
        Msg::Suspend => run(model, Action::Suspend),
    };
    effects.extend(settle(model));
    if by_hand {
        effects.extend(in_use(model));
    }
    effects
}

/// Tells the engine now and then that somebody sits here: a sign-in ends when it is not used, and
/// reading a screen is use.
fn in_use(model: &mut Model) -> Option<Effect> {
    let due = model.me().is_some() && model.now.since(model.used_at) >= IN_USE_EVERY;
    due.then(|| {
        model.used_at = model.now;
        Effect::Call(Command::SignIn(SignInAsk::Whoami), Purpose::InUse)
    })
}

/// What becomes of the sessions when nobody was asked: they go on.
#[must_use]
pub fn safe_leave(model: &Model) -> Leave {
    if model.hosting && model.lives().0 > 0 { Leave::HandOver } else { Leave::Nothing }
}

fn press(model: &mut Model, key: Key) -> Vec<Effect> {
    if !layout::is_big_enough(model.size) {
        // Nothing can be seen, so nothing but leaving may happen, and sessions go on.
        return match keymap::action(&[keymap::Context::Pane], key) {
            Some(Action::Quit) => vec![Effect::Quit(safe_leave(model))],
            _ => vec![],
        };
    }
    match keymap::action(model.contexts(), key) {
        Some(action) => run(model, action),
        None => {
            typed(model, key);
            vec![]
        }
    }
}

/// Does what a key or a command means where the model stands.
pub(super) fn run(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Err(why) = allowed::allowed(model, action) {
        model.messages.tell(model.now, Severity::Warning, why);
        return vec![];
    }
    match action {
        Action::Suspend => return vec![Effect::Suspend],
        Action::Repaint => return vec![Effect::Repaint],
        Action::Mouse => {
            model.mouse = !model.mouse;
            let said =
                if model.mouse { "the mouse works here" } else { "the mouse is the terminal's" };
            model.messages.tell(model.now, Severity::Info, said);
            return vec![Effect::Mouse(model.mouse)];
        }
        _ => {}
    }
    match model.dialog.take() {
        Some(Dialog::Open(form)) => open::run(model, form, action),
        Some(dialog) => dialogs::run(model, dialog, action),
        None if model.identity.bars() => gate::run(model, action),
        None => pane::run(model, action),
    }
}

/// Gives a key without a meaning of its own to the text field that has the cursor.
fn typed(model: &mut Model, key: Key) {
    match &mut model.dialog {
        Some(Dialog::Open(form)) => open::typed(form, &model.catalogue, |field| field.key(key)),
        Some(Dialog::Extend(form)) if !form.sent => {
            form.by.key(key);
        }
        Some(Dialog::Help(help)) if help.typing => {
            help.search.key(key);
        }
        Some(Dialog::Palette(palette)) => {
            palette.refusal = None;
            palette.field.key(key);
            palette.marked = 0;
        }
        Some(Dialog::Form(dialog)) => dialog.form.key(key),
        Some(_) => {}
        None if model.identity.bars() => {
            if model.gate.idp.is_none() {
                model.gate.form.key(key);
            }
        }
        None => pane::filter_changed(model, |field| field.key(key)),
    }
}

/// Gives a pasted text to the text field that has the cursor; elsewhere it does nothing.
fn paste(model: &mut Model, text: &str) {
    let pasted = |field: &mut super::widgets::field::Field| {
        let before = field.text().len();
        field.paste(text);
        field.text().len() != before
    };
    match &mut model.dialog {
        Some(Dialog::Open(form)) => open::typed(form, &model.catalogue, pasted),
        Some(Dialog::Extend(form)) if !form.sent => form.by.paste(text),
        Some(Dialog::Help(help)) if help.typing => help.search.paste(text),
        Some(Dialog::Palette(palette)) => {
            palette.refusal = None;
            palette.field.paste(text);
        }
        Some(Dialog::Form(dialog)) => dialog.form.paste(text),
        Some(_) => {}
        None if model.identity.bars() => {
            if model.gate.idp.is_none() {
                model.gate.form.paste(text);
            }
        }
        None => pane::filter_changed(model, pasted),
    }
}

/// Takes in how late it is: warns of leases that end soon, and lets old messages go.
fn tick(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    model.now = now;
    model.messages.expire(now);
    let mut effects = vec![];
    let ending: Vec<_> = model
        .sessions
        .live()
        .filter(|session| session.state == SessionState::Active)
        .filter_map(|session| {
            Some((session.id, session.lease_ends_at?, session.target.name.clone()))
        })
        .collect();
    for (id, end, name) in ending {
        let left = end.since(now);
        let crossed = super::model::sessions::WARNINGS.into_iter().rfind(|limit| left <= *limit);
        let Some(limit) = crossed.filter(|_| left > Span::ZERO) else { continue };
        if model.warned.get(&id).is_some_and(|warned| *warned <= limit) {
            continue;
        }
        let known_longer = model.warned.insert(id, limit).is_some();
        let short = limit < Span::from_minutes(15);
        // A face that has just attached is not startled by a threshold crossed long ago.
        if known_longer || left + Span::from_seconds(60) > limit || short {
            let until = model.wall.until(end, now);
            let left = super::format::countdown(super::format::left(now, end));
            let text = format!("{name} ends in {left}, at {until}; x extends it");
            model.messages.tell(now, Severity::Warning, text);
            effects.extend(short.then_some(Effect::Bell));
        }
    }
    effects
}

/// Brings the model in order after a change: rows, scrolling, what must be fetched.
fn settle(model: &mut Model) -> Vec<Effect> {
    model.sessions.arrange();
    model.audit.arrange();
    let areas = layout::areas(model);
    let list = areas.table.map_or(areas.body.height, |table| table.height.saturating_sub(1));
    let list = usize::from(list);
    model.sessions.rows.show(list);
    model.providers.rows.show(list);
    model.audit.rows.show(list);
    let candidates = usize::from(layout::open_list_rows(model));
    if let Some(Dialog::Open(form)) = &mut model.dialog {
        form.rows.show(candidates);
    }
    let body = usize::from(areas.body.height);
    if let Some(operators) = &mut model.operators {
        operators.rows.show(body.saturating_sub(1));
    }
    view::clamp_scroll(model);
    let mut effects = pane::fetch_older(model, list);
    effects.extend(operators::fetch(model, body));
    if model.leaving && model.link == Link::Live && model.lives().0 == 0 {
        model.leaving = false;
        effects.push(Effect::Quit(Leave::EndedAll));
    }
    effects
}

/// How often the engine hears that somebody sits here; a sign-in lasts 30 minutes unused.
const IN_USE_EVERY: Span = Span::from_minutes(1);

/// The largest screen, in either direction; a terminal that claims more gets no more.
const SIZE_MAX: u16 = 1_000;

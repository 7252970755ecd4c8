//! Keys on a pane, with no dialog open.

use crate::protocol::{Command, SessionQuery, SessionState, Severity, SignInAsk};
use crate::tui::keymap::Action;
use crate::tui::layout;
use crate::tui::model::dialog::{Confirm, Dialog, ExtendForm, Filling, Help, Palette, Question};
use crate::tui::model::sessions::{Column, Older};
use crate::tui::model::{Model, PROVIDER_COLUMNS, Tab};
use crate::tui::msg::{Effect, Leave, Purpose};
use crate::tui::widgets::field::Field;

/// Does what a key means on the pane.
pub fn run(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::GoTo(tab) => go_to(model, tab),
        Action::NextTab => go_to(model, neighbour(model.tab, 1)),
        Action::PreviousTab => go_to(model, neighbour(model.tab, Tab::ALL.len() - 1)),
        Action::Up => go(model, -1),
        Action::Down => go(model, 1),
        Action::PageUp => go(model, -page(model)),
        Action::PageDown => go(model, page(model)),
        Action::First => go(model, isize::MIN),
        Action::Last => go(model, isize::MAX),
        Action::Details => zoom(model, true),
        Action::Back => back(model),
        Action::Filter => filter_typing(model, true),
        Action::Accept => filter_typing(model, false),
        Action::ColumnLeft => mark_column(model, -1),
        Action::ColumnRight => mark_column(model, 1),
        Action::Sort => sort(model),
        Action::Quit => return quit(model),
        Action::Open => return super::open::start(model),
        Action::Copy => return copy(model),
        Action::Retry => return retry(model),
        Action::Check => {
            let provider = model.providers.selected().map(|provider| provider.id.clone());
            let check = |provider| super::providers::check(model, provider, false);
            return provider.map(check).unwrap_or_default();
        }
        Action::Verify => {
            model.dialog = Some(Dialog::Verdict(None));
            return vec![Effect::Call(Command::AuditVerify, Purpose::Verify)];
        }
        Action::AddProvider | Action::EditProvider | Action::RotateKey | Action::Sweep => {
            return super::providers::run(model, action);
        }
        Action::End | Action::Extend | Action::Toggle | Action::CheckDeep | Action::Remove => {
            ask(model, action)
        }
        Action::Help => {
            let contexts = model.contexts();
            let (search, typing, scroll) = (Field::default(), false, 0);
            model.dialog = Some(Dialog::Help(Help { contexts, search, typing, scroll }));
        }
        Action::Palette => model.dialog = Some(Dialog::Palette(Palette::default())),
        Action::Messages => model.dialog = Some(Dialog::Messages(0)),
        _ => return people(model, action),
    }
    vec![]
}

/// Does what a key or a command about people means.
fn people(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::NextIdp
        | Action::PreviousIdp
        | Action::Edit
        | Action::Enforce
        | Action::Validate
        | Action::Prove
        | Action::Operators
        | Action::AddIdp
        | Action::RemoveIdp
        | Action::AddListed
        | Action::MarkListed
        | Action::Undo
        | Action::Save => super::users::run(model, action),
        Action::Invite | Action::ChangeRole | Action::ResetCode | Action::RemoveOperator => {
            super::operators::run(model, action);
            vec![]
        }
        Action::Password => {
            super::forms::open(model, Filling::Password, "");
            vec![]
        }
        Action::Logout => {
            let question = Question::Logout;
            model.dialog = Some(Dialog::Confirm(Confirm { question, marked: 0 }));
            vec![]
        }
        Action::Whoami => {
            vec![Effect::Call(Command::SignIn(SignInAsk::Whoami), Purpose::Whoami)]
        }
        // The rest has a meaning in dialogs or on the sign-in screen only, or was dealt with before.
        _ => vec![],
    }
}

fn go_to(model: &mut Model, tab: Tab) {
    model.tab = tab;
}

fn neighbour(tab: Tab, by: usize) -> Tab {
    let at = Tab::ALL.iter().position(|other| *other == tab).unwrap_or(0);
    Tab::ALL.get((at + by) % Tab::ALL.len()).copied().unwrap_or(tab)
}

fn page(model: &Model) -> isize {
    let areas = layout::areas(model);
    let height = areas.table.map_or(areas.body.height, |table| table.height.saturating_sub(1));
    isize::try_from(height.max(1)).unwrap_or(1)
}

/// Moves the cursor, or scrolls what fills the pane.
pub fn go(model: &mut Model, by: isize) {
    let zoomed = model.zoomed();
    match model.tab {
        Tab::Users => go_on_users(model, by),
        Tab::Providers => model.providers.rows.go(zoomed, by),
        Tab::Sessions => model.sessions.rows.go(zoomed, by),
        Tab::Audit => model.audit.rows.go(zoomed, by),
    }
}

/// Moves the cursor of the operators or of the list; at the ends of the list, scrolls the page.
fn go_on_users(model: &mut Model, by: isize) {
    if let Some(operators) = &mut model.operators {
        operators.rows.move_by(by);
        return;
    }
    let last = model.users.rows(&model.identity).len().saturating_sub(1);
    let users = &mut model.users;
    let to = users.cursor.saturating_add_signed(by).min(last);
    if to == users.cursor {
        users.scroll = users.scroll.saturating_add_signed(by);
    } else {
        users.cursor = to;
        if to == 0 {
            users.scroll = 0;
        }
    }
}

fn zoom(model: &mut Model, on: bool) {
    match model.tab {
        Tab::Providers => model.providers.rows.zoom(on),
        Tab::Sessions => model.sessions.rows.zoom(on),
        Tab::Audit => model.audit.rows.zoom(on),
        Tab::Users => {}
    }
}

/// Backs out one level: the details, the filter, the message.
fn back(model: &mut Model) {
    if model.zoomed() {
        zoom(model, false);
    } else if model.filter().is_some_and(|filter| filter.is_set() || filter.typing) {
        filter_changed(model, |field| {
            field.set("");
            true
        });
        filter_typing(model, false);
    } else if model.tab == Tab::Users && model.operators.is_some() {
        model.operators = None;
    } else if model.tab == Tab::Users && model.users.edit.is_some() {
        super::users::leave_edit(model);
    } else {
        model.messages.dismiss();
    }
}

fn filter_typing(model: &mut Model, typing: bool) {
    match model.tab {
        Tab::Providers => model.providers.rows.filter.typing = typing,
        Tab::Sessions => model.sessions.rows.filter.typing = typing,
        Tab::Audit => model.audit.rows.filter.typing = typing,
        Tab::Users => {
            if let Some(operators) = &mut model.operators {
                operators.rows.filter.typing = typing;
            }
        }
    }
}

/// Changes the filter's text, if it is being typed or cleared, and works out the rows again.
pub fn filter_changed(model: &mut Model, change: impl FnOnce(&mut Field) -> bool) {
    let filter = match model.tab {
        Tab::Providers => &mut model.providers.rows.filter,
        Tab::Sessions => &mut model.sessions.rows.filter,
        Tab::Audit => &mut model.audit.rows.filter,
        Tab::Users => match &mut model.operators {
            Some(operators) => &mut operators.rows.filter,
            None => return,
        },
    };
    if (filter.typing || filter.is_set()) && change(&mut filter.field) {
        match model.tab {
            Tab::Providers => model.providers.arrange(),
            Tab::Sessions => model.sessions.touch(),
            Tab::Audit => model.audit.touch(),
            Tab::Users => super::forms::touch_operators(model),
        }
    }
}

fn mark_column(model: &mut Model, by: isize) {
    match model.tab {
        Tab::Sessions => model.sessions.rows.sort.move_mark(by, Column::ALL.len()),
        Tab::Providers => model.providers.rows.sort.move_mark(by, PROVIDER_COLUMNS),
        Tab::Users | Tab::Audit => {}
    }
}

/// Sorts by the marked column.
pub fn sort(model: &mut Model) {
    match model.tab {
        Tab::Sessions => {
            model.sessions.rows.sort.press();
            model.sessions.touch();
        }
        Tab::Providers => {
            model.providers.rows.sort.press();
            model.providers.arrange();
        }
        Tab::Users | Tab::Audit => {}
    }
}

fn quit(model: &mut Model) -> Vec<Effect> {
    if model.users.edit.as_ref().is_some_and(|edit| !edit.changes.is_empty()) {
        super::users::leave_edit(model);
        return vec![];
    }
    if model.lives().0 == 0 {
        return vec![Effect::Quit(Leave::Nothing)];
    }
    let question = if model.drill && model.hosting { Question::LeaveDrill } else { Question::Quit };
    model.dialog = Some(Dialog::Confirm(Confirm { question, marked: 0 }));
    vec![]
}

fn ask(model: &mut Model, action: Action) {
    let session = model.sessions.selected().map(|session| session.id);
    let provider = model.providers.selected();
    let question = match action {
        Action::End => session.map(Question::End),
        Action::Toggle => provider.map(|provider| Question::Switch {
            provider: provider.id.clone(),
            on: !provider.enabled,
        }),
        Action::Remove => provider.map(|provider| Question::Remove(provider.id.clone())),
        Action::CheckDeep => provider.map(|provider| Question::CheckDeep(provider.id.clone())),
        _ => {
            model.dialog = session.map(|session| {
                let by = Field::from("15m");
                Dialog::Extend(ExtendForm { session, by, refusal: None, sent: false })
            });
            return;
        }
    };
    model.dialog = question.map(|question| Dialog::Confirm(Confirm { question, marked: 0 }));
}

fn copy(model: &mut Model) -> Vec<Effect> {
    let Some(session) = model.sessions.selected() else { return vec![] };
    let by_hand: Vec<&str> =
        session.exit_card.iter().flat_map(|line| &line.commands).map(String::as_str).collect();
    let owed = session.state == SessionState::CleanupOwed && !by_hand.is_empty();
    let (text, what) = match &session.command {
        Some(command) if !owed => (command.clone(), "the command"),
        _ => (by_hand.join("\n"), "the exit card's commands"),
    };
    let said =
        format!("sent {what} to the terminal's clipboard; if it is not there, it is on screen");
    model.messages.tell(model.now, Severity::Info, said);
    vec![Effect::Copy(text)]
}

fn retry(model: &mut Model) -> Vec<Effect> {
    let Some(session) = model.sessions.selected() else { return vec![] };
    let (id, name) = (session.id, session.target.name.clone());
    model.messages.tell(model.now, Severity::Info, format!("{name}: trying again"));
    vec![Effect::Call(Command::Retry { session: id }, Purpose::Retry(id))]
}

/// Asks for what lies behind the last row once the cursor comes near it.
pub fn fetch_older(model: &mut Model, height: usize) -> Vec<Effect> {
    if model.link != crate::tui::model::Link::Live {
        return vec![];
    }
    let sessions = &mut model.sessions;
    let ended = sessions.ended();
    let all_here = u64::try_from(ended).unwrap_or(u64::MAX) >= sessions.ended_total;
    let wanted = model.tab == Tab::Sessions && sessions.older == Older::Maybe && !all_here;
    if wanted && sessions.rows.near_end(height) {
        sessions.older = Older::Asked;
        let offset = u32::try_from(ended).unwrap_or(u32::MAX);
        let state = Some(SessionState::Ended);
        let query = SessionQuery { state, ended: true, limit: PAGE, offset };
        return vec![Effect::Call(Command::Sessions(query), Purpose::OlderSessions)];
    }
    let audit = &mut model.audit;
    let wanted = model.tab == Tab::Audit && audit.older == Older::Maybe;
    if wanted && audit.rows.near_end(height) {
        audit.older = Older::Asked;
        let before = audit.events().front().map(|event| event.seq);
        return vec![Effect::Call(Command::AuditTail { limit: PAGE, before }, Purpose::OlderAudit)];
    }
    vec![]
}

/// How many older rows are asked for at once.
const PAGE: u32 = 500;

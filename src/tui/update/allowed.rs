//! What may be done where the model stands, and why not.
//!
//! The footer shows only what may be done; a key for something else says why it does nothing. The
//! engine decides in the end: this is for a kinder answer.

mod people;
mod providers;

pub use people::sees_lists;

use crate::protocol::SessionState;
use crate::tui::keymap::Action;
use crate::tui::model::dialog::Dialog;
use crate::tui::model::open::Focus;
use crate::tui::model::{Link, Model, Tab};

/// Says whether an action may be done now, or why not.
///
/// # Errors
///
/// The reason, as one line for the operator.
pub fn allowed(model: &Model, action: Action) -> Result<(), String> {
    match action {
        Action::Open | Action::Verify => answers(model),
        Action::Check | Action::CheckDeep => providers::allowed(model, action),
        Action::RemoveOrphans => match &model.dialog {
            Some(Dialog::Sweep(dialog)) if dialog.left() > 0 => answers(model),
            _ => Err("nothing is left".to_owned()),
        },
        Action::End => end(model),
        Action::Extend => extend(model),
        Action::Retry => retry(model),
        Action::Copy => copy(model),
        Action::Toggle
        | Action::Remove
        | Action::EditProvider
        | Action::RotateKey
        | Action::AddProvider
        | Action::Sweep => providers::allowed(model, action),
        Action::Suspend => suspend(model),
        Action::Sort | Action::ColumnLeft | Action::ColumnRight if model.tab == Tab::Audit => {
            Err("the audit has one order, that of the chain".to_owned())
        }
        Action::Sort | Action::Filter => match model.filter() {
            Some(filter) if rows(model) == 0 && !filter.is_set() => {
                Err("there is no row yet".to_owned())
            }
            _ => Ok(()),
        },
        Action::Details => match model.tab {
            Tab::Providers => some(model.providers.selected(), "there is nothing to show"),
            Tab::Sessions => some(model.sessions.selected(), "there is nothing to show"),
            Tab::Users | Tab::Audit => some(model.audit.selected(), "there is nothing to show"),
        },
        Action::Operators
        | Action::Invite
        | Action::ChangeRole
        | Action::ResetCode
        | Action::RemoveOperator
        | Action::NextIdp
        | Action::PreviousIdp
        | Action::Edit
        | Action::Enforce
        | Action::Validate
        | Action::Prove
        | Action::AddIdp
        | Action::RemoveIdp
        | Action::AddListed
        | Action::MarkListed
        | Action::Undo
        | Action::Save
        | Action::Password
        | Action::Logout
        | Action::Whoami => people::allowed(model, action),
        _ => Ok(()),
    }
}

/// True when a key for an action would change something: the footer shows no other.
#[must_use]
pub fn is_useful(model: &Model, action: Action) -> bool {
    if model.dialog.is_none() && model.identity.bars() {
        return people::is_useful_at_gate(model, action);
    }
    let chooses = matches!(action, Action::Accept | Action::NextField);
    let useful = match &model.dialog {
        Some(Dialog::Open(form)) if form.sent => action == Action::Back,
        Some(Dialog::Open(form)) if form.focus == Focus::Target && chooses => {
            form.chosen.is_some() || !form.rows.is_empty()
        }
        Some(Dialog::Open(form)) if form.focus == Focus::Reason && action == Action::Previous => {
            !model.reasons.is_empty()
        }
        Some(Dialog::Extend(form)) if form.sent => action == Action::Back,
        Some(Dialog::Form(dialog)) if dialog.form.sent.is_some() => action == Action::Back,
        Some(Dialog::Form(dialog)) if action == Action::NextField => dialog.form.entries.len() > 1,
        Some(Dialog::Palette(palette)) if palette.refusal.is_some() => action == Action::Back,
        _ => true,
    };
    useful && allowed(model, action).is_ok()
}

fn rows(model: &Model) -> usize {
    match model.tab {
        Tab::Providers => model.providers.rows.len(),
        Tab::Sessions => model.sessions.rows.len(),
        Tab::Users => model.operators.as_ref().map_or(0, |operators| operators.rows.len()),
        Tab::Audit => model.audit.rows.len(),
    }
}

fn some<T>(found: Option<T>, otherwise: &str) -> Result<(), String> {
    found.map(|_| ()).ok_or_else(|| otherwise.to_owned())
}

fn answers(model: &Model) -> Result<(), String> {
    match &model.link {
        Link::Live => Ok(()),
        Link::Connecting => Err("the engine has not answered yet; try again in a moment".into()),
        Link::Moving => {
            Err("the engine is moving to another process; try again in a moment".into())
        }
        Link::Lost(_) => Err("the engine does not answer; it is tried again by itself".into()),
        Link::Stopped => {
            Err("the engine has stopped; q leaves, then start breakglass again".into())
        }
    }
}

fn end(model: &Model) -> Result<(), String> {
    answers(model)?;
    let Some(session) = model.sessions.selected() else {
        return Err("there is no session to end".into());
    };
    let name = &session.target.name;
    match session.state {
        SessionState::Pending | SessionState::Activating | SessionState::Active => Ok(()),
        SessionState::Ending => Err(format!("{name} is ending already")),
        SessionState::Ended => Err(format!("{name} has ended; everything was seen gone")),
        SessionState::CleanupOwed => {
            Err(format!("{name} has ended, but something is owed: r tries again to remove it"))
        }
    }
}

fn extend(model: &Model) -> Result<(), String> {
    answers(model)?;
    let Some(session) = model.sessions.selected() else {
        return Err("there is no session to extend".into());
    };
    match session.state {
        SessionState::Active if session.lease >= session.lease_max => Err(format!(
            "{} has its longest lease already, {}; open a new session when it ends",
            session.target.name, session.lease_max
        )),
        SessionState::Active => Ok(()),
        state => Err(format!("only an Active session is extended; this one is {state}")),
    }
}

fn retry(model: &Model) -> Result<(), String> {
    answers(model)?;
    match model.sessions.selected() {
        Some(session) if session.state == SessionState::CleanupOwed => Ok(()),
        Some(session) => Err(format!("{} owes no clean-up", session.target.name)),
        None => Err("there is no session that owes a clean-up".into()),
    }
}

fn copy(model: &Model) -> Result<(), String> {
    match model.sessions.selected() {
        Some(session) if session.command.is_some() || !session.exit_card.is_empty() => Ok(()),
        Some(session) if session.state.is_live() => {
            Err("there is no command yet: the local endpoint does not listen".into())
        }
        Some(_) => Err("there is nothing to copy: the session is over".into()),
        None => Err("there is nothing to copy".into()),
    }
}

fn suspend(model: &Model) -> Result<(), String> {
    match model.lives() {
        (count, _) if model.hosting && count > 0 => Err(format!(
            "ctrl-z would freeze {} that this process carries; q {}",
            crate::tui::format::plural(count, "session"),
            if model.drill { "leaves the drill" } else { "hands over first" }
        )),
        _ => Ok(()),
    }
}

//! What may be done about people, and why not.

use super::answers;
use crate::domain::break_glass_user::LISTED_MAX;
use crate::domain::role::Ability;
use crate::tui::keymap::Action;
use crate::tui::model::gate::Step;
use crate::tui::model::{Model, Tab};

/// Says whether something about people may be done now, or why not.
pub(super) fn allowed(model: &Model, action: Action) -> Result<(), String> {
    if !model.identity.sign_in_needed {
        return Err("this is a drill: nobody signs in, and there are no accounts".to_owned());
    }
    let Some(me) = model.me() else { return Err("nobody is signed in".to_owned()) };
    let may = |ability: Ability| me.role.may(ability).map_err(|error| error.to_string());
    match action {
        Action::Operators => may(Ability::SeeOperators)?,
        Action::Invite | Action::ChangeRole | Action::ResetCode | Action::RemoveOperator => {
            may(Ability::Operators)?;
        }
        Action::Edit | Action::AddListed | Action::MarkListed | Action::Undo | Action::Save => {
            may(Ability::BreakGlassLists)?
        }
        Action::Enforce | Action::Validate => may(Ability::Enforcement)?,
        Action::AddIdp | Action::RemoveIdp => may(Ability::IdentityProviders)?,
        _ => {}
    }
    match action {
        Action::NextIdp | Action::PreviousIdp => several(model),
        Action::Edit | Action::Prove | Action::Enforce | Action::Validate | Action::RemoveIdp => {
            answers(model)?;
            idp(model, action)
        }
        Action::AddListed | Action::MarkListed | Action::Undo | Action::Save => {
            editing(model, action)
        }
        Action::ChangeRole | Action::ResetCode | Action::RemoveOperator => {
            answers(model)?;
            let selected = model.operators.as_ref().and_then(|operators| operators.selected());
            super::some(selected, "there is no operator here")
        }
        _ => answers(model),
    }
}

fn several(model: &Model) -> Result<(), String> {
    if model.identity.idps.len() > 1 {
        Ok(())
    } else {
        Err("there is no other identity provider".to_owned())
    }
}

fn idp(model: &Model, action: Action) -> Result<(), String> {
    let Some(idp) = model.users.chosen(&model.identity) else {
        return Err("there is no identity provider yet; i adds one".to_owned());
    };
    let mine = |it: &crate::protocol::ListedView| Some(&it.email) == model.me().map(|me| &me.email);
    match action {
        Action::RemoveIdp if idp.enforced => {
            Err(format!("single sign-on at {} is enforced; t stops that first", idp.id))
        }
        // Who may not see the list may still be on it; the engine knows.
        Action::Prove if !idp.listed.is_empty() && !idp.listed.iter().any(mine) => {
            Err(format!("you are not on the list of {}: there is nothing to prove", idp.id))
        }
        Action::Prove if idp.listed.is_empty() && sees_lists(model) => {
            Err(format!("nobody is on the list of {}: there is nothing to prove", idp.id))
        }
        _ => Ok(()),
    }
}

/// True where the one who is signed in may see who is listed.
pub fn sees_lists(model: &Model) -> bool {
    model.me().is_some_and(|me| me.role.may(Ability::BreakGlassLists).is_ok())
}

fn editing(model: &Model, action: Action) -> Result<(), String> {
    let edit = model.users.edit.as_ref().filter(|_| model.tab == Tab::Users);
    let Some(edit) = edit else { return Err("e edits the list first".to_owned()) };
    if edit.sent {
        return Err("the engine still considers the last save".to_owned());
    }
    answers(model)?;
    let listed = model.users.chosen(&model.identity).map_or(0, |idp| idp.listed.len());
    match action {
        Action::AddListed if !edit.has_room(listed) => Err(format!(
            "maximum number reached ({} of {LISTED_MAX}): remove somebody first",
            edit.count(listed)
        )),
        Action::MarkListed if model.users.selected(&model.identity).is_none() => {
            Err("there is nobody to remove".to_owned())
        }
        Action::Save | Action::Undo if edit.changes.is_empty() => {
            Err("nothing has changed yet; esc leaves".to_owned())
        }
        _ => Ok(()),
    }
}

/// True when a key on the sign-in screen would change something.
pub(super) fn is_useful_at_gate(model: &Model, action: Action) -> bool {
    let gate = &model.gate;
    match (&gate.step, action) {
        (Step::Sso(sso), Action::Again) => sso.is_over(model.now),
        (Step::Sso(sso), Action::CopyLink | Action::CopyCode) => sso.is_running(model.now),
        (Step::OwnerEmail, Action::NextField) => false,
        (Step::OwnerEmail, Action::Back) => gate.form.refusal.is_some() || gate.notice.is_some(),
        _ => true,
    }
}

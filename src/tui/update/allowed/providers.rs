//! What may be done about providers, and why not.

use super::answers;
use crate::domain::role::Ability;
use crate::tui::keymap::Action;
use crate::tui::model::Model;

/// Says whether something about providers may be done now, or why not.
pub fn allowed(model: &Model, action: Action) -> Result<(), String> {
    answers(model)?;
    if let Some(me) = model.me() {
        me.role.may(Ability::Providers).map_err(|error| error.to_string())?;
    }
    let looks = matches!(action, Action::Check | Action::CheckDeep);
    let changes = !looks && !matches!(action, Action::Toggle | Action::Sweep);
    if changes && model.drill {
        return Err("a drill keeps nothing: providers are changed outside of it".to_owned());
    }
    if matches!(action, Action::AddProvider | Action::Sweep) {
        return Ok(());
    }
    let Some(provider) = model.providers.selected() else {
        return Err("there is no provider here".to_owned());
    };
    let id = &provider.id;
    let takes_key = provider.settings.as_ref().is_some_and(|it| it.setup.takes_key());
    let has_canary = provider.settings.as_ref().is_some_and(|it| it.setup.has_canary());
    match (&provider.keep, action) {
        (_, Action::CheckDeep) if !has_canary => {
            Err(format!("{id} has no deep check: c shows all there is"))
        }
        (Some(why), Action::Remove) => Err(format!("{id} cannot be removed: {why}")),
        (_, Action::RotateKey | Action::EditProvider) if !takes_key => {
            Err(format!("{id} has nothing to be changed but whether it is on: t switches it"))
        }
        _ => Ok(()),
    }
}

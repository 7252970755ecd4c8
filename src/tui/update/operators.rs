//! The operators: keys on them, and what of them must be asked for.

use super::forms;
use crate::protocol::Command;
use crate::tui::keymap::Action;
use crate::tui::model::dialog::{Confirm, Dialog, Filling, Question};
use crate::tui::model::{Link, Model, Tab};
use crate::tui::msg::{Effect, Purpose};

/// Does what a key means on the operators.
pub fn run(model: &mut Model, action: Action) {
    if action == Action::Invite {
        forms::open(model, Filling::Invite, "");
        return;
    }
    let selected = model.operators.as_ref().and_then(|operators| operators.selected());
    let Some((email, role)) = selected.map(|it| (it.email.clone(), it.role)) else { return };
    let question = match action {
        Action::ChangeRole => {
            forms::open(model, Filling::Role(email), role.as_str());
            return;
        }
        Action::ResetCode => Question::ResetCode(email),
        Action::RemoveOperator => Question::RemoveOperator(email),
        _ => return,
    };
    model.dialog = Some(Dialog::Confirm(Confirm { question, marked: 0 }));
}

/// Asks for the operators that are in view, where they are not here.
pub fn fetch(model: &mut Model, height: usize) -> Vec<Effect> {
    if model.link != Link::Live || model.tab != Tab::Users {
        return vec![];
    }
    let Some(operators) = &mut model.operators else { return vec![] };
    let number = model.counter + 1;
    let Some(ask) = operators.wanted(number, height) else { return vec![] };
    model.counter = number;
    vec![Effect::Call(Command::Operators(ask), Purpose::Operators(number))]
}

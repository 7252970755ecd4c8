//! The question whether a shared policy file may be changed so that a session can open.

use crate::domain::request::{AGREE, OpenRequest};
use crate::error::Report;
use crate::protocol::Command;
use crate::tui::keymap::Action;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Agreement, Answer, Dialog};
use crate::tui::msg::{Effect, Purpose};
use crate::tui::view::agreement_rows;

/// True for a refusal that says how to agree.
pub fn is_wanted(report: &Report) -> bool {
    report.hint.as_ref().is_some_and(|hint| hint.contains(AGREE))
}

/// Does what a key means over the question.
pub fn run(model: &mut Model, mut asked: Box<Agreement>, action: Action) -> Vec<Effect> {
    let page = usize::from(layout::agreement(model.size).height / 2);
    match action {
        Action::Next | Action::Previous => asked.marked = 1 - asked.marked.min(1),
        Action::Accept if asked.answer() == Answer::Do => return agreed(model, *asked),
        // The form stands as it was left: nothing was sent, and nothing that was typed is lost.
        Action::Accept | Action::Back => {
            model.dialog = Some(Dialog::Open(asked.form));
            return vec![];
        }
        _ => asked.scroll = super::dialogs::scroll_by(asked.scroll, action, page),
    }
    let most = agreement_rows(model, &asked).1;
    asked.scroll = asked.scroll.min(most);
    model.dialog = Some(Dialog::Agree(asked));
    vec![]
}

fn agreed(model: &mut Model, asked: Agreement) -> Vec<Effect> {
    let Agreement { mut form, request, .. } = asked;
    form.sent = true;
    form.refusal = None;
    let number = form.number;
    model.dialog = Some(Dialog::Open(form));
    let request = OpenRequest { agreed: true, ..request };
    vec![Effect::Call(Command::Open(request), Purpose::Open(number))]
}

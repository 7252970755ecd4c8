//! Every dialog but the one that opens a session.

use crate::domain::catalogue::edit_distance;
use crate::domain::id::SessionId;
use crate::domain::time::Span;
use crate::error::{Kind, Report};
use crate::protocol::Command;
use crate::tui::keymap::{self, Action};
use crate::tui::model::Model;
use crate::tui::model::dialog::{Answer, Confirm, Dialog, ExtendForm, Help, Palette, Question};
use crate::tui::model::open::{presets, step};
use crate::tui::msg::{Effect, Leave, Purpose};

/// Does what a key means in a dialog.
pub fn run(model: &mut Model, dialog: Dialog, action: Action) -> Vec<Effect> {
    match dialog {
        Dialog::Open(form) => super::open::run(model, form, action),
        Dialog::Agree(asked) => super::agree::run(model, asked, action),
        Dialog::Extend(form) => extend(model, form, action),
        Dialog::Confirm(confirm) => confirm_key(model, confirm, action),
        Dialog::Help(help) => {
            help_key(model, help, action);
            vec![]
        }
        Dialog::Messages(scroll) => {
            let page = usize::from(model.size.1 / 2);
            let newest = model.messages.all().len().saturating_sub(1);
            let scrolled = scroll_by(scroll, action, page).min(newest);
            model.dialog = (action != Action::Back).then_some(Dialog::Messages(scrolled));
            vec![]
        }
        Dialog::Palette(palette) => palette_key(model, palette, action),
        Dialog::Verdict(verdict) => {
            model.dialog = (action != Action::Back).then_some(Dialog::Verdict(verdict));
            vec![]
        }
        Dialog::Form(form) => super::forms::run(model, form, action),
        Dialog::Code(code) => {
            let mut effects = vec![];
            if action == Action::CopyCode {
                effects.push(Effect::CopySecret(code.code.clone()));
                super::gate::tell_copied(model, "the code");
            }
            model.dialog = (action != Action::Back).then_some(Dialog::Code(code));
            effects
        }
        Dialog::Sweep(dialog) => super::providers::sweep_key(model, dialog, action),
        Dialog::Note(note) => {
            model.dialog = (action != Action::Back).then_some(Dialog::Note(note));
            vec![]
        }
    }
}

/// Where a text is scrolled to by a key.
pub fn scroll_by(scroll: usize, action: Action, page: usize) -> usize {
    match action {
        Action::Up => scroll.saturating_sub(1),
        Action::Down => scroll.saturating_add(1),
        Action::PageUp => scroll.saturating_sub(page),
        Action::PageDown => scroll.saturating_add(page),
        _ => scroll,
    }
}

fn help_key(model: &mut Model, mut help: Help, action: Action) {
    match action {
        Action::Search => help.typing = true,
        Action::Accept => help.typing = false,
        Action::Back if help.typing => {
            help.typing = false;
            help.search.set("");
        }
        Action::Back => return,
        _ => help.scroll = scroll_by(help.scroll, action, usize::from(model.size.1 / 2)),
    }
    model.dialog = Some(Dialog::Help(help));
}

fn extend(model: &mut Model, mut form: ExtendForm, action: Action) -> Vec<Effect> {
    let mut effects = vec![];
    match action {
        Action::Back => return vec![],
        Action::Next | Action::Previous if !form.sent => {
            let offered = presets(room(model, form.session));
            if let Some(span) = step(&offered, form.by.text(), action == Action::Next) {
                form.by.set(&span.to_string());
                form.refusal = None;
            }
        }
        Action::Accept if !form.sent => match form.by.text().parse::<Span>() {
            Ok(by) => {
                form.sent = true;
                form.refusal = None;
                let command = Command::Extend { session: form.session, by };
                effects.push(Effect::Call(command, Purpose::Extend(form.session)));
            }
            Err(error) => form.refusal = Some(Report::of(Kind::Usage, &error)),
        },
        _ => {}
    }
    model.dialog = Some(Dialog::Extend(form));
    effects
}

/// How much longer a session may be made.
#[must_use]
pub fn room(model: &Model, session: SessionId) -> Option<Span> {
    let session = model.sessions.get(&session)?;
    let left = session.lease_max.as_millis().saturating_sub(session.lease.as_millis());
    Some(Span::from_millis(left))
}

fn confirm_key(model: &mut Model, mut confirm: Confirm, action: Action) -> Vec<Effect> {
    let answers = confirm.question.answers();
    match action {
        Action::Next => confirm.marked = (confirm.marked + 1) % answers.len(),
        Action::Previous => confirm.marked = (confirm.marked + answers.len() - 1) % answers.len(),
        Action::Accept => {
            let answer = answers.get(confirm.marked).copied().unwrap_or(Answer::Stay);
            return answered(model, confirm.question, answer);
        }
        Action::Back => return vec![],
        _ => {}
    }
    model.dialog = Some(Dialog::Confirm(confirm));
    vec![]
}

fn answered(model: &mut Model, question: Question, answer: Answer) -> Vec<Effect> {
    match (question, answer) {
        (Question::Quit, Answer::Stay) => {
            model.leaving = false;
            vec![]
        }
        (_, Answer::Stay) => vec![],
        (Question::End(session), _) => {
            vec![Effect::Call(Command::End { session, reason: None }, Purpose::End(session))]
        }
        (Question::Switch { provider, on }, _) => {
            let command = Command::SetProviderEnabled { provider: provider.clone(), enabled: on };
            vec![Effect::Call(command, Purpose::Provider(provider))]
        }
        (Question::Remove(provider), _) => {
            let command = Command::RemoveProvider { provider: provider.clone() };
            vec![Effect::Call(command, Purpose::Provider(provider))]
        }
        (Question::CheckDeep(provider), _) => super::providers::check(model, provider, true),
        (Question::RemoveOrphans(_), _) => super::providers::sweep(model, true),
        (Question::LeaveDrill, _) => vec![Effect::Quit(Leave::EndedAll)],
        (
            question @ (Question::Enforce { .. }
            | Question::RemoveIdp(_)
            | Question::DropEdit
            | Question::ResetCode(_)
            | Question::RemoveOperator(_)
            | Question::Logout),
            _,
        ) => super::people::confirmed(model, question),
        (Question::Quit, Answer::EndAll) => vec![Effect::Call(Command::EndAll, Purpose::EndAll)],
        (Question::Quit, _) => {
            let leave = if model.hosting { Leave::HandOver } else { Leave::Nothing };
            vec![Effect::Quit(leave)]
        }
    }
}

fn palette_key(model: &mut Model, mut palette: Palette, action: Action) -> Vec<Effect> {
    let found = matching(palette.field.text());
    match action {
        Action::Back => return vec![],
        Action::Next => palette.marked = (palette.marked + 1).min(found.len().saturating_sub(1)),
        Action::Previous => palette.marked = palette.marked.saturating_sub(1),
        Action::Complete => {
            if let Some(binding) = found.get(palette.marked) {
                palette.field.set(binding.command);
                palette.marked = 0;
            }
        }
        Action::Accept => {
            if let Some(binding) = found.get(palette.marked) {
                return super::run(model, binding.action);
            }
            palette.refusal = Some(unknown(palette.field.text()));
        }
        _ => {}
    }
    model.dialog = Some(Dialog::Palette(palette));
    vec![]
}

/// The commands that start with what was typed; all of them before anything is.
#[must_use]
pub fn matching(typed: &str) -> Vec<&'static keymap::Binding> {
    let typed = typed.trim().to_lowercase();
    let exact = keymap::commands().filter(|binding| binding.command == typed);
    let starting =
        keymap::commands().filter(|it| it.command != typed && it.command.starts_with(&typed));
    exact.chain(starting).collect()
}

fn unknown(typed: &str) -> String {
    let typed = typed.trim();
    let nearest = keymap::commands()
        .map(|binding| (edit_distance(typed, binding.command), binding.command))
        .min()
        .filter(|(distance, _)| *distance <= 1 + typed.chars().count() / 3);
    match nearest {
        Some((_, name)) => format!("there is no command `{typed}`; did you mean `{name}`?"),
        None => format!("there is no command `{typed}`; esc, then ? lists them"),
    }
}

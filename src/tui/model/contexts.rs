//! Where the next key goes.

use super::dialog::Dialog;
use super::gate::Step;
use super::open::Focus;
use super::{Model, Tab};
use crate::tui::keymap::Context;

use Context as In;

impl Model {
    /// Where the next key goes: every context that holds, the innermost first.
    #[must_use]
    pub fn contexts(&self) -> &'static [Context] {
        match &self.dialog {
            Some(dialog) => dialog_contexts(dialog),
            None if self.identity.bars() => self.gate_contexts(),
            None if self.filter().is_some_and(|filter| filter.typing) => {
                &[In::Filter, In::Everywhere]
            }
            None => self.pane_contexts(),
        }
    }

    fn gate_contexts(&self) -> &'static [Context] {
        let waits = self.gate.form.sent.is_some();
        match &self.gate.step {
            Step::Sso(sso) if sso.prompt.is_none() && sso.failed.is_none() => {
                &[In::Wait, In::Everywhere]
            }
            Step::Sso(_) => &[In::Sso, In::Everywhere],
            _ if waits => &[In::Wait, In::Everywhere],
            Step::OwnerEmail | Step::OwnerPassword(_) => &[In::Owner, In::Everywhere],
            _ if self.gate.idp.is_some() => &[In::SignInIdp, In::SignIn, In::Everywhere],
            _ if self.gate.form.focus == 0 => &[In::SignInEmail, In::SignIn, In::Everywhere],
            _ => &[In::SignInPassword, In::SignIn, In::Everywhere],
        }
    }

    fn pane_contexts(&self) -> &'static [Context] {
        match (self.tab, self.zoomed()) {
            (Tab::Sessions, false) => &[In::Sessions, In::List, In::Pane, In::Everywhere],
            (Tab::Sessions, true) => &[In::Detail, In::Sessions, In::Pane, In::Everywhere],
            (Tab::Providers, false) => &[In::Providers, In::List, In::Pane, In::Everywhere],
            (Tab::Providers, true) => &[In::Detail, In::Providers, In::Pane, In::Everywhere],
            (Tab::Audit, false) => &[In::Audit, In::List, In::Pane, In::Everywhere],
            (Tab::Audit, true) => &[In::Detail, In::Audit, In::Pane, In::Everywhere],
            (Tab::Users, _) if self.operators.is_some() => {
                &[In::Operators, In::Text, In::Pane, In::Everywhere]
            }
            (Tab::Users, _) if self.users.edit.is_some() => {
                &[In::UsersEdit, In::Text, In::Pane, In::Everywhere]
            }
            (Tab::Users, _) => &[In::Users, In::Text, In::Pane, In::Everywhere],
        }
    }
}

fn dialog_contexts(dialog: &Dialog) -> &'static [Context] {
    match dialog {
        Dialog::Open(form) => match form.focus {
            Focus::Target => &[In::OpenTarget, In::Open, In::Everywhere],
            Focus::Kind => &[In::OpenKind, In::Open, In::Everywhere],
            Focus::Reason => &[In::OpenReason, In::Open, In::Everywhere],
            Focus::Duration => &[In::OpenDuration, In::Open, In::Everywhere],
        },
        Dialog::Agree(_) => &[In::Agree, In::Everywhere],
        Dialog::Extend(_) => &[In::Extend, In::Everywhere],
        Dialog::Confirm(_) => &[In::Confirm, In::Everywhere],
        Dialog::Help(help) if help.typing => &[In::HelpSearch, In::Everywhere],
        Dialog::Help(_) => &[In::Help, In::Everywhere],
        Dialog::Messages(_) => &[In::Messages, In::Everywhere],
        Dialog::Palette(_) => &[In::Palette, In::Everywhere],
        Dialog::Verdict(_) => &[In::Verdict, In::Everywhere],
        Dialog::Form(dialog) if dialog.form.chooses() => {
            &[In::FormChoice, In::Form, In::Everywhere]
        }
        Dialog::Form(_) => &[In::Form, In::Everywhere],
        Dialog::Code(_) => &[In::Code, In::Everywhere],
        Dialog::Note(_) => &[In::Note, In::Everywhere],
        Dialog::Sweep(_) => &[In::Sweep, In::Everywhere],
    }
}

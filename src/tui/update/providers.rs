//! Keys and answers about providers, and about what was left behind.

use super::{forms, provider_form};
use crate::domain::id::ProviderId;
use crate::domain::provider::Health;
use crate::protocol::{Command, Kept, Reply, Severity, SweepView, ValidationView};
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Confirm, Dialog, Filling, FormDialog, Question, SweepDialog};
use crate::tui::msg::{Effect, Purpose};

/// Does what a key or a command about providers means.
pub fn run(model: &mut Model, action: Action) -> Vec<Effect> {
    let selected = model.providers.selected().cloned();
    match (action, selected) {
        (Action::AddProvider, _) => {
            forms::open(model, Filling::Provider { known: None, looked: None }, "");
        }
        (Action::EditProvider, Some(provider)) => {
            let known = provider.settings.map(Box::new);
            forms::open(model, Filling::Provider { known, looked: None }, "");
        }
        (Action::RotateKey, Some(provider)) => {
            forms::open(model, Filling::RotateKey { provider: provider.id, looked: None }, "");
        }
        (Action::Sweep, _) => return sweep(model, false),
        _ => {}
    }
    vec![]
}

/// Asks what can be done at a provider; with `deep`, something is made there and taken away again.
pub fn check(model: &mut Model, provider: ProviderId, deep: bool) -> Vec<Effect> {
    let how = if deep { ", by a canary" } else { "" };
    model.messages.tell(model.now, Severity::Info, format!("checking {provider}{how}"));
    let command = Command::ValidateProvider { provider: provider.clone(), deep };
    vec![Effect::Call(command, Purpose::ValidateProvider(provider))]
}

/// Asks what was left behind; with `apply`, has it removed.
pub fn sweep(model: &mut Model, apply: bool) -> Vec<Effect> {
    let said = if apply { "removing what is left" } else { "looking for what is left" };
    model.messages.tell(model.now, Severity::Info, said);
    vec![Effect::Call(Command::Sweep { apply, also_unexpired: false }, Purpose::Sweep)]
}

/// Takes in what came of a look at a provider, or for what was left behind.
pub fn answered(model: &mut Model, purpose: &Purpose, reply: Reply) {
    match (purpose, reply) {
        (Purpose::ValidateProvider(id), Reply::Validation(view)) => {
            validated(model, id.as_str(), &view);
        }
        (_, Reply::Sweep(view)) if view == SweepView::default() => {
            let said = "nothing is left that belongs to no session";
            model.messages.tell(model.now, Severity::Info, said);
        }
        (_, Reply::Sweep(view)) => {
            model.messages.dismiss();
            model.dialog = Some(Dialog::Sweep(SweepDialog { view, scroll: 0 }));
        }
        _ => {}
    }
}

/// Does what a key means over what was left behind.
pub fn sweep_key(model: &mut Model, mut dialog: SweepDialog, action: Action) -> Vec<Effect> {
    match action {
        Action::Back => return vec![],
        Action::Up => dialog.scroll = dialog.scroll.saturating_sub(1),
        Action::Down => dialog.scroll += 1,
        Action::PageUp => dialog.scroll = dialog.scroll.saturating_sub(PAGE),
        Action::PageDown => dialog.scroll += PAGE,
        Action::RemoveOrphans if dialog.left() > 0 => {
            let question = Question::RemoveOrphans(dialog.left());
            model.dialog = Some(Dialog::Confirm(Confirm { question, marked: 0 }));
            return vec![];
        }
        _ => {}
    }
    model.dialog = Some(Dialog::Sweep(dialog));
    vec![]
}

fn validated(model: &mut Model, id: &str, view: &ValidationView) {
    let probe = &view.validation.probe;
    let (severity, said) = match Health::of(probe) {
        Health::Healthy => (Severity::Info, format!("{id} works")),
        Health::Degraded { why } => (Severity::Warning, format!("{id} works, but {why}")),
        Health::Down { why } => (Severity::Warning, format!("{id} does not work: {why}")),
    };
    model.messages.tell(model.now, severity, said);
}

/// Takes in what became of a form about a provider; a form that goes on is shown again.
pub fn filled(model: &mut Model, mut dialog: Box<FormDialog>, view: ValidationView) {
    let looked = Some(view.validation.probe.clone());
    let said = match (&mut dialog.what, view.kept) {
        (Filling::RotateKey { provider, .. }, Some(_)) => format!("{provider} has its new key"),
        (_, Some(Kept::AsAsked)) => {
            format!("{} is saved", dialog.form.text(provider_form::NAME))
        }
        (_, Some(Kept::Disabled)) => {
            let name = dialog.form.text(provider_form::NAME);
            format!("{name} is saved, and switched off until it works")
        }
        (Filling::RotateKey { looked: shown, .. }, None) => {
            *shown = looked;
            model.dialog = Some(Dialog::Form(dialog));
            return;
        }
        (Filling::Provider { looked: shown, .. }, None) => {
            *shown = looked;
            provider_form::offer_saving(&mut dialog.form);
            model.dialog = Some(Dialog::Form(dialog));
            return;
        }
        (_, None) => return,
    };
    let limits = view.validation.probe.wrong(false).count();
    let limits = match limits {
        0 => String::new(),
        count => format!("; {}: enter shows", format::plural(count, "limit")),
    };
    model.messages.tell(model.now, Severity::Info, format!("{said}{limits}"));
}

const PAGE: usize = 10;

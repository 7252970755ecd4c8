//! The dialog that opens a session.

use crate::domain::request::{OpenRequest, TargetChoice};
use crate::domain::time::Span;
use crate::error::{Kind, Report};
use crate::protocol::{Command, Reply};
use crate::tui::keymap::Action;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::model::dialog::Dialog;
use crate::tui::model::open::{
    Candidate, Catalogue, Chosen, Focus, OpenForm, presets, step, usual_kind,
};
use crate::tui::msg::{Effect, Purpose};
use crate::tui::widgets::field::Field;

/// Opens the dialog, and asks for the catalogue if it is not here yet.
pub fn start(model: &mut Model) -> Vec<Effect> {
    model.counter += 1;
    let mut form = OpenForm::new(model.counter, model.policy.as_ref());
    form.search_again(&model.catalogue);
    model.dialog = Some(Dialog::Open(Box::new(form)));
    fetch_catalogue(model)
}

/// Asks for the catalogue, unless it is here or asked for.
pub fn fetch_catalogue(model: &mut Model) -> Vec<Effect> {
    match model.catalogue {
        Catalogue::Here(_) | Catalogue::Asked => vec![],
        Catalogue::Unknown | Catalogue::Failed(_) => {
            model.catalogue = Catalogue::Asked;
            vec![Effect::Call(Command::Targets { with_paths: false }, Purpose::Targets)]
        }
    }
}

/// Does what a key means in the dialog.
pub fn run(model: &mut Model, mut form: Box<OpenForm>, action: Action) -> Vec<Effect> {
    let mut effects = vec![];
    match action {
        Action::Back => return vec![],
        Action::NextField => effects = leave(model, &mut form, 1),
        Action::PreviousField => effects = leave(model, &mut form, -1),
        Action::Accept if form.focus == Focus::Target => effects = leave(model, &mut form, 1),
        Action::Accept if form.focus == Focus::Kind => form.focus = Focus::Reason,
        Action::Accept => effects = send(&mut form),
        Action::Next | Action::Previous => {
            choose_next(model, &mut form, action == Action::Next);
        }
        Action::PageUp => form.rows.move_by(-page(model)),
        Action::PageDown => form.rows.move_by(page(model)),
        _ => {}
    }
    model.dialog = Some(Dialog::Open(form));
    effects
}

/// Changes the text of the field with the cursor.
pub fn typed(form: &mut OpenForm, catalogue: &Catalogue, change: impl FnOnce(&mut Field) -> bool) {
    if form.sent {
        return;
    }
    let changed = match form.focus {
        Focus::Target => change(&mut form.search),
        Focus::Kind => false,
        Focus::Reason => change(&mut form.reason),
        Focus::Duration => change(&mut form.duration),
    };
    if !changed {
        return;
    }
    form.refusal = None;
    match form.focus {
        Focus::Target => {
            form.chosen = None;
            form.search_again(catalogue);
        }
        Focus::Reason => form.earlier = None,
        Focus::Kind | Focus::Duration => {}
    }
}

/// Takes in the path of the chosen target, unless another one was chosen since.
pub fn path_known(model: &mut Model, question: u64, answer: Result<Reply, Report>) {
    let Some(Dialog::Open(form)) = &mut model.dialog else { return };
    let Some(chosen) = form.chosen.as_mut().filter(|chosen| chosen.question == question) else {
        return;
    };
    chosen.path = match answer {
        Ok(Reply::Path(path)) => Some(Ok(path)),
        Ok(_) => None,
        Err(report) => Some(Err(report)),
    };
}

fn page(model: &Model) -> isize {
    isize::try_from(layout::open_list_rows(model).max(1)).unwrap_or(1)
}

/// Moves the cursor to another field; leaving the list of targets chooses the marked one.
fn leave(model: &mut Model, form: &mut OpenForm, by: isize) -> Vec<Effect> {
    let mut effects = vec![];
    if form.focus == Focus::Target && form.chosen.is_none() {
        effects = choose(model, form);
        if form.chosen.is_none() {
            return effects;
        }
    }
    let fields = form.fields();
    let at = fields.iter().position(|field| *field == form.focus).unwrap_or(0);
    let count = isize::try_from(fields.len()).unwrap_or(1);
    let next = (isize::try_from(at).unwrap_or(0) + by).rem_euclid(count);
    let next = usize::try_from(next).ok().and_then(|next| fields.get(next));
    form.focus = next.copied().unwrap_or(Focus::Target);
    effects
}

/// Chooses the marked target and asks for its path.
fn choose(model: &mut Model, form: &mut OpenForm) -> Vec<Effect> {
    let (choice, name, duration_max) = match form.rows.selected() {
        Some(Candidate::Known(place)) => {
            let Some(entry) = model.catalogue.entries().get(*place) else { return vec![] };
            let target = &entry.target;
            (TargetChoice::Named(target.id.clone()), target.name.clone(), target.duration_max)
        }
        Some(Candidate::Address(address)) => {
            if model.policy.as_ref().is_some_and(|policy| !policy.ad_hoc_targets) {
                form.refusal = Some((Focus::Target, ad_hoc_off()));
                return vec![];
            }
            form.kind = usual_kind(address.port());
            let name = address.to_string();
            (
                TargetChoice::AdHoc { address: address.clone(), kind: form.kind, site: None },
                name,
                None,
            )
        }
        None => {
            form.refusal = Some((Focus::Target, no_target(model, form.search.text())));
            return vec![];
        }
    };
    ask_path(model, form, Chosen { choice, name, duration_max, question: 0, path: None })
}

fn ask_path(model: &mut Model, form: &mut OpenForm, mut chosen: Chosen) -> Vec<Effect> {
    model.counter += 1;
    chosen.question = model.counter;
    let command = Command::Path(chosen.choice.clone());
    let purpose = Purpose::Path(chosen.question);
    form.chosen = Some(chosen);
    form.refusal = None;
    vec![Effect::Call(command, purpose)]
}

fn choose_next(model: &Model, form: &mut OpenForm, next: bool) {
    if form.sent {
        return;
    }
    match form.focus {
        Focus::Target => {
            form.chosen = None;
            form.rows.move_by(if next { 1 } else { -1 });
        }
        Focus::Kind => next_kind(form, next),
        Focus::Reason => earlier_reason(model, form, !next),
        Focus::Duration => {
            let offered = presets(form.duration_max(model.policy.as_ref()));
            if let Some(span) = step(&offered, form.duration.text(), next) {
                form.duration.set(&span.to_string());
                form.refusal = None;
            }
        }
    }
}

/// Goes to another kind; what speaks there does not change the way there.
fn next_kind(form: &mut OpenForm, next: bool) {
    let kinds = crate::domain::target::TargetKind::ALL;
    let at = kinds.iter().position(|kind| *kind == form.kind).unwrap_or(0);
    let step = if next { 1 } else { kinds.len() - 1 };
    form.kind = kinds.get((at + step) % kinds.len()).copied().unwrap_or(form.kind);
    let chosen = form.chosen.as_mut().map(|chosen| &mut chosen.choice);
    if let Some(TargetChoice::AdHoc { kind, .. }) = chosen {
        *kind = form.kind;
    }
}

fn earlier_reason(model: &Model, form: &mut OpenForm, older: bool) {
    let at = match (form.earlier, older) {
        (None, true) => Some(0),
        (Some(at), true) => Some((at + 1).min(model.reasons.len().saturating_sub(1))),
        (Some(at), false) => at.checked_sub(1),
        (None, false) => None,
    };
    form.earlier = at.filter(|at| *at < model.reasons.len());
    form.refusal = None;
    match form.earlier.and_then(|at| model.reasons.get(at)) {
        Some(reason) => form.reason.set(reason),
        None if at.is_none() && !older => form.reason.set(""),
        None => {}
    }
}

/// Sends the request, or says which field keeps it from being sent.
fn send(form: &mut OpenForm) -> Vec<Effect> {
    if form.sent {
        return vec![];
    }
    let Some(chosen) = &form.chosen else {
        form.focus = Focus::Target;
        return vec![];
    };
    let reason = form.reason.text().trim().to_owned();
    if reason.is_empty() {
        let report = Report::new(Kind::Usage, "a session needs a reason; say why in a few words");
        form.refusal = Some((Focus::Reason, report));
        form.focus = Focus::Reason;
        return vec![];
    }
    let duration: Span = match form.duration.text().parse() {
        Ok(duration) => duration,
        Err(error) => {
            form.refusal = Some((Focus::Duration, Report::of(Kind::Usage, &error)));
            form.focus = Focus::Duration;
            return vec![];
        }
    };
    let target = chosen.choice.clone();
    let request = OpenRequest { target, reason, duration: Some(duration), agreed: false };
    form.asked = Some(request.clone());
    form.sent = true;
    form.refusal = None;
    vec![Effect::Call(Command::Open(request), Purpose::Open(form.number))]
}

fn ad_hoc_off() -> Report {
    let error = crate::domain::policy::PolicyError::AdHocOff;
    Report::of(Kind::Denied, &error).hint("choose a target of the catalogue")
}

fn no_target(model: &Model, typed: &str) -> Report {
    match &model.catalogue {
        Catalogue::Unknown | Catalogue::Asked => {
            Report::new(Kind::Unavailable, "the catalogue is not here yet")
        }
        Catalogue::Failed(report) => report.clone(),
        Catalogue::Here(entries) if entries.is_empty() && typed.is_empty() => {
            Report::new(Kind::Config, "the catalogue is empty")
                .hint("add a [[target]] to config.toml, or type HOST:PORT")
        }
        Catalogue::Here(_) => Report::new(Kind::Usage, "no target fits what was typed")
            .hint("type part of a name, or HOST:PORT"),
    }
}

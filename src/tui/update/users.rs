//! The Break-Glass Users tab: keys on it, and what the engine says to them.

use super::engine::one_line;
use super::forms;
use crate::domain::break_glass_user::{LISTED_MAX, ListError};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::IdpHealth;
use crate::error::{Kind, Report};
use crate::protocol::{BreakGlassAsk, Command, IdpAsk, IdpView, ListedView, Reply, Severity};
use crate::tui::keymap::Action;
use crate::tui::model::dialog::{Confirm, Dialog, Filling, Question};
use crate::tui::model::form::Form;
use crate::tui::model::operators::Operators;
use crate::tui::model::users::{Added, Change, Edit, usable};
use crate::tui::model::{Model, Tab};
use crate::tui::msg::{Effect, Purpose};

/// Does what a key or a command means on the tab; a command goes there first.
pub fn run(model: &mut Model, action: Action) -> Vec<Effect> {
    model.tab = Tab::Users;
    match action {
        Action::NextIdp => model.users.step(&model.identity, true),
        Action::PreviousIdp => model.users.step(&model.identity, false),
        Action::Operators => model.operators = Some(Operators::unknown()),
        Action::AddIdp => forms::open(model, Filling::AddIdp(None), ""),
        Action::AddListed | Action::MarkListed | Action::Undo | Action::Save => {
            return edit(model, action);
        }
        _ => {}
    }
    let Some(idp) = model.users.chosen(&model.identity).map(|idp| idp.id.clone()) else {
        return vec![];
    };
    match action {
        Action::Edit => {
            model.operators = None;
            if model.users.edit.is_none() {
                model.users.idp = Some(idp.clone());
                model.users.edit = Some(Edit::new(idp));
            }
        }
        Action::Prove => forms::open(model, Filling::Prove(idp), ""),
        Action::Enforce => enforce(model, &idp),
        Action::Validate => {
            model.messages.tell(model.now, Severity::Info, format!("looking at {idp}"));
            let command = Command::Idp(IdpAsk::Validate { idp: idp.clone() });
            return vec![Effect::Call(command, Purpose::Validate(idp))];
        }
        Action::RemoveIdp => ask(model, Question::RemoveIdp(idp)),
        _ => {}
    }
    vec![]
}

fn ask(model: &mut Model, question: Question) {
    model.dialog = Some(Dialog::Confirm(Confirm { question, marked: 0 }));
}

fn enforce(model: &mut Model, id: &IdpId) {
    let Some(idp) = model.users.chosen(&model.identity) else { return };
    let on = !idp.enforced;
    if on && usable(idp) == 0 {
        let why = format!(
            "Nobody on the list of {id} could get in: if {id} fails once its single sign-on is \
             enforced, whom it governs is locked out. Type its name to enforce it all the same."
        );
        forms::open(model, Filling::NameToEnforce { idp: id.clone(), why }, "");
    } else {
        ask(model, Question::Enforce { idp: id.clone(), on });
    }
}

/// Keys on the working copy.
fn edit(model: &mut Model, action: Action) -> Vec<Effect> {
    let selected = model.users.selected(&model.identity).map(|row| row.email().clone());
    let Some(edit) = &mut model.users.edit else { return vec![] };
    match action {
        Action::AddListed => {
            let idp = edit.idp.clone();
            forms::open(model, Filling::AddListed(idp), "");
        }
        Action::MarkListed => {
            if let Some(email) = selected {
                edit.mark(&email);
            }
        }
        Action::Undo => {
            edit.changes.pop();
        }
        Action::Save => {
            let idp = edit.idp.clone();
            edit.sent = true;
            if let Some(ask) = change(model, None) {
                return vec![Effect::Call(Command::BreakGlass(ask), Purpose::Save(idp))];
            }
        }
        _ => {}
    }
    follow(model);
    vec![]
}

/// Leaves the working copy, and asks first where something would be lost.
pub fn leave_edit(model: &mut Model) {
    match &model.users.edit {
        Some(edit) if !edit.changes.is_empty() => ask(model, Question::DropEdit),
        _ => model.users.edit = None,
    }
}

/// What the working copy would have the engine do.
pub fn change(model: &Model, confirm: Option<String>) -> Option<BreakGlassAsk> {
    let edit = model.users.edit.as_ref()?;
    Some(BreakGlassAsk::Change {
        idp: edit.idp.clone(),
        add: edit.added().map(|added| added.email.clone()).collect(),
        remove: edit.removed().cloned().collect(),
        confirm,
    })
}

/// Adds somebody to the working copy as far as that needs no engine: whoever was only marked for
/// removal stays. Otherwise the form says what is wrong, if the working copy alone shows that.
pub fn add_here(model: &mut Model, form: &mut Form, idp: &IdpId, email: &Email) -> bool {
    let listed = listed_count(model, idp);
    let Some(edit) = model.users.edit.as_mut().filter(|edit| edit.idp == *idp) else {
        return false;
    };
    if edit.removes(email) {
        edit.mark(email);
        return true;
    }
    let wrong = if edit.adds(email) {
        Some(ListError::Already)
    } else {
        (!edit.has_room(listed)).then(|| ListError::Full(edit.count(listed)))
    };
    form.refusal = wrong.map(|error| Report::of(Kind::Denied, &error).hint(error.remedy()));
    false
}

/// Takes somebody into the working copy whom the engine would list.
pub fn take_in_listed(model: &mut Model, idp: &IdpId, listed: ListedView) {
    let ListedView { email, role, warning, .. } = listed;
    put(model, idp, Added { email, role: Some(role), warning });
}

/// True where the engine refused for want of room alone, and the working copy makes room: the
/// other rules come before that one, so they hold.
pub fn takes_in_all_the_same(
    model: &mut Model,
    idp: &IdpId,
    email: &Email,
    report: &Report,
) -> bool {
    let listed = listed_count(model, idp);
    let room = model.users.edit.as_ref().is_some_and(|edit| edit.has_room(listed));
    let full = report.message.starts_with(FULL);
    if full && room {
        put(model, idp, Added { email: email.clone(), role: None, warning: None });
    }
    full && room
}

fn put(model: &mut Model, idp: &IdpId, added: Added) {
    let Some(edit) = model.users.edit.as_mut().filter(|edit| edit.idp == *idp) else { return };
    if !edit.adds(&added.email) {
        edit.changes.push(Change::Add(added));
    }
    follow(model);
    model.users.cursor = model.users.rows(&model.identity).len().saturating_sub(1);
}

fn listed_count(model: &Model, id: &IdpId) -> usize {
    let idp = model.identity.idps.iter().find(|idp| idp.id == *id);
    idp.map_or(0, |idp| idp.listed.len())
}

/// Brings tab and sign-in screen in line with what is known of people.
pub fn follow(model: &mut Model) {
    model.gate.follow(&model.identity);
    model.users.follow(&model.identity);
}

/// Takes in what the engine said to a switch of enforcement.
pub fn enforced(model: &mut Model, idp: IdpId, on: bool, answer: Result<Reply, Report>) {
    match answer {
        Ok(reply) => {
            forms::take_in(model, reply);
            let word = if on { "is enforced now" } else { "is no longer enforced" };
            model.messages.tell(model.now, Severity::Info, format!("{idp}: single sign-on {word}"));
        }
        Err(report) if wants_name(&report) && model.dialog.is_none() => {
            forms::open(model, Filling::NameToEnforce { idp, why: report.message }, "");
        }
        Err(report) => model.messages.tell(model.now, Severity::Warning, one_line(&report)),
    }
}

/// Takes in what the engine said to a changed list.
pub fn saved(model: &mut Model, idp: IdpId, answer: Result<Reply, Report>) {
    if let Some(edit) = &mut model.users.edit {
        edit.sent = false;
    }
    match answer {
        Ok(reply) => {
            model.users.edit = None;
            forms::take_in(model, reply);
            model.messages.tell(model.now, Severity::Info, format!("the list of {idp} is saved"));
        }
        Err(report) if wants_name(&report) && model.dialog.is_none() => {
            forms::open(model, Filling::NameToSave { idp, why: report.message }, "");
        }
        Err(report) => model.messages.tell(model.now, Severity::Warning, one_line(&report)),
    }
}

/// Takes in what a look at an identity provider showed.
pub fn validated(model: &mut Model, id: &IdpId, answer: Result<Reply, Report>) {
    let (severity, text) = match answer {
        Ok(Reply::Probe(probe)) => {
            let said = match probe.trouble() {
                None => (Severity::Info, format!("{id} is healthy")),
                Some(trouble) => (Severity::Warning, format!("{id} is unhealthy: {trouble}")),
            };
            let known = |idp: &&mut IdpView| idp.id == *id;
            if let Some(idp) = model.identity.idps.iter_mut().find(known) {
                idp.health = IdpHealth::of(Some(&probe));
                idp.probe = Some(probe);
            }
            said
        }
        Ok(_) => return,
        Err(report) => (Severity::Warning, one_line(&report)),
    };
    model.messages.tell(model.now, severity, text);
}

/// True where the engine wants the identity provider's name typed.
fn wants_name(report: &Report) -> bool {
    let said = |text: &String| text.contains(TYPE_ITS_NAME);
    report.kind == Kind::Denied && (said(&report.message) || report.hint.as_ref().is_some_and(said))
}

/// The words by which the engine asks for the name.
const TYPE_ITS_NAME: &str = "type its name";

/// How the engine's words begin where a list is full.
const FULL: &str = "maximum number reached";

const _: () = assert!(LISTED_MAX == 5, "the words on the tab say five");

//! The sign-in screen: keys on it, and what the engine says to a sign-in.

use super::pane;
use crate::domain::email::Email;
use crate::domain::role::Role;
use crate::domain::secret::Secret;
use crate::domain::text::clean;
use crate::error::Report;
use crate::protocol::{Command, Reply, Severity, SignInAsk, SsoPromptView};
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Dialog, Filling, Note};
use crate::tui::model::gate::{Gate, Sso, Step};
use crate::tui::msg::{Effect, Purpose};

/// Does what a key means on the sign-in screen.
pub fn run(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Accept => return accept(model),
        Action::NextField => go(model, true),
        Action::PreviousField => go(model, false),
        Action::Next => go_in_list(model, true),
        Action::Previous => go_in_list(model, false),
        Action::Back => back(model),
        Action::Redeem => {
            let email = model.gate.form.text(0).to_owned();
            super::forms::open(model, Filling::Redeem, &email);
        }
        Action::CopyLink => return copy_link(model),
        Action::CopyCode => return copy_code(model),
        Action::Again => {
            let Step::Sso(sso) = &model.gate.step else { return vec![] };
            if !sso.is_over(model.now) {
                return vec![];
            }
            let (idp, label) = (sso.idp.clone(), sso.label.clone());
            return begin(model, Sso { idp, label, prompt: None, failed: None });
        }
        Action::Quit | Action::Help => return pane::run(model, action),
        _ => {}
    }
    vec![]
}

fn go(model: &mut Model, forward: bool) {
    let idps = model.identity.idps.len();
    let Gate { step, form, idp, .. } = &mut model.gate;
    let last = form.entries.len().saturating_sub(1);
    let listed = *step == Step::SignIn && idps > 0;
    match (*idp, forward) {
        (Some(_), true) => (*idp, form.focus) = (None, 0),
        (Some(_), false) => (*idp, form.focus) = (None, last),
        (None, true) if listed && form.focus == last => *idp = Some(0),
        (None, false) if listed && form.focus == 0 => *idp = Some(idps - 1),
        (None, forward) => form.move_focus(forward),
    }
}

fn go_in_list(model: &mut Model, forward: bool) {
    let Some(at) = model.gate.idp else { return };
    let next = if forward { at.checked_add(1) } else { at.checked_sub(1) };
    match next.filter(|next| *next < model.identity.idps.len()) {
        Some(next) => model.gate.idp = Some(next),
        None => go(model, forward),
    }
}

fn back(model: &mut Model) {
    let gate = &mut model.gate;
    let waited = gate.form.sent.take().is_some();
    gate.entering = false;
    let step = std::mem::take(&mut gate.step);
    match step {
        Step::Sso(_) => gate.step = Step::SignIn,
        Step::OwnerPassword(email) if !waited => gate.ask_owner_email(email.as_str()),
        step => {
            gate.step = step;
            let said = gate.form.refusal.take().is_some() | gate.notice.take().is_some();
            if !said {
                model.messages.dismiss();
            }
        }
    }
    if waited {
        let said = "No longer waiting. A sign-in that still comes is ended at once.";
        model.gate.notice = Some(said.to_owned());
    }
}

fn accept(model: &mut Model) -> Vec<Effect> {
    if model.gate.form.sent.is_some() {
        return vec![];
    }
    if let Some(idp) = model.gate.idp.and_then(|at| model.identity.idps.get(at)) {
        let (idp, label) = (idp.id.clone(), idp.label.clone());
        return begin(model, Sso { idp, label, prompt: None, failed: None });
    }
    let gate = &mut model.gate;
    if gate.form.go_to_missing() {
        return vec![];
    }
    match &gate.step {
        Step::SignIn => {
            let Some(email) = read_email(&mut gate.form, 0) else { return vec![] };
            let password = gate.form.take(1);
            ask(model, SignInAsk::Password { email, password })
        }
        Step::OwnerEmail => {
            if let Some(email) = read_email(&mut gate.form, 0) {
                gate.ask_owner_password(email);
            }
            vec![]
        }
        Step::OwnerPassword(email) => {
            let email = email.clone();
            let Some(password) = read_twice(&mut gate.form, 0) else { return vec![] };
            ask(model, SignInAsk::Init { email, password })
        }
        Step::Open | Step::Sso(_) => vec![],
    }
}

/// Reads the address in a field; where it is none, the form says so.
pub fn read_email(form: &mut crate::tui::model::form::Form, number: usize) -> Option<Email> {
    match form.text(number).parse::<Email>() {
        Ok(email) if email.mixes_scripts() => {
            form.refuse(
                number,
                format!("`{email}` mixes letters that look alike; type the address anew"),
            );
            None
        }
        Ok(email) => Some(email),
        Err(error) => {
            form.refuse(number, error.to_string());
            None
        }
    }
}

/// Takes a new password that was typed in two fields; where they differ, the form says so and both
/// are empty.
pub fn read_twice(form: &mut crate::tui::model::form::Form, first: usize) -> Option<Secret> {
    let (one, other) = (form.take(first), form.take(first + 1));
    if one == other {
        return Some(one);
    }
    form.refuse(first, "the two passwords differ; type both again");
    None
}

fn ask(model: &mut Model, ask: SignInAsk) -> Vec<Effect> {
    model.counter += 1;
    let number = model.counter;
    model.gate.form.sent = Some(number);
    model.gate.form.refusal = None;
    model.gate.notice = None;
    model.gate.not_before = None;
    vec![Effect::Call(Command::SignIn(ask), Purpose::SignIn(number))]
}

fn begin(model: &mut Model, sso: Sso) -> Vec<Effect> {
    model.counter += 1;
    let number = model.counter;
    let command = Command::SignIn(SignInAsk::BeginSso { idp: sso.idp.clone() });
    let gate = &mut model.gate;
    gate.form.sent = Some(number);
    gate.form.refusal = None;
    gate.notice = None;
    gate.step = Step::Sso(Box::new(sso));
    vec![Effect::Call(command, Purpose::BeginSso(number))]
}

/// Takes in code and address of a single sign-on, and waits for its end.
pub fn prompted(
    model: &mut Model,
    number: u64,
    answer: Result<SsoPromptView, Report>,
) -> Vec<Effect> {
    let gate = &mut model.gate;
    if gate.form.sent != Some(number) {
        return vec![];
    }
    let Step::Sso(sso) = &mut gate.step else { return vec![] };
    match answer {
        Ok(prompt) => {
            let attempt = prompt.attempt;
            sso.prompt = Some(prompt);
            let command = Command::SignIn(SignInAsk::FinishSso { attempt });
            vec![Effect::Call(command, Purpose::SignIn(number))]
        }
        Err(report) => {
            sso.failed = Some(report);
            gate.form.sent = None;
            vec![]
        }
    }
}

/// Takes in how a sign-in went. The loop holds the token, and hears here what becomes of it.
pub fn answered(model: &mut Model, number: u64, answer: Result<Reply, Report>) -> Vec<Effect> {
    let awaited = model.gate.form.sent == Some(number) && model.identity.bars();
    match answer {
        Ok(Reply::Me(Some(me))) if awaited => {
            model.gate.entering = true;
            let first = matches!(model.gate.step, Step::OwnerPassword(_));
            if first && me.role == Role::Owner {
                model.dialog = Some(Dialog::Note(you_are_the_owner(&me.email)));
            } else {
                let text = format!("signed in as {} ({})", me.email, me.role);
                model.messages.tell(model.now, Severity::Info, text);
            }
            vec![Effect::Enter]
        }
        // Nobody waits for it any more: what nobody asked for must not be left open.
        Ok(Reply::Me(Some(_))) => vec![Effect::GiveBack],
        Ok(_) => {
            if awaited {
                model.gate.form.sent = None;
            }
            vec![]
        }
        Err(report) if awaited => {
            let now = model.now;
            match &mut model.gate.step {
                Step::Sso(sso) => {
                    sso.failed = Some(report);
                    model.gate.form.sent = None;
                }
                _ => {
                    let identity = model.identity.clone();
                    model.gate.form.sent = None;
                    model.gate.follow(&identity);
                    model.gate.refuse(report, now);
                }
            }
            vec![]
        }
        Err(_) => vec![],
    }
}

/// Notes that the sign-in of this face is over, and forgets what only somebody signed in may see.
pub fn signed_out(model: &mut Model, why: &str) -> Vec<Effect> {
    model.identity.me = None;
    model.identity.idps.iter_mut().for_each(|idp| {
        idp.settings = None;
        idp.listed.clear();
        idp.warnings.clear();
        idp.forecast.clear();
    });
    model.sessions = crate::tui::model::sessions::Sessions::default();
    model.sessions.replace(vec![], 0);
    model.audit = crate::tui::model::audit::Audit::default();
    model.providers = crate::tui::model::Providers::default();
    model.catalogue = crate::tui::model::open::Catalogue::Unknown;
    model.users = crate::tui::model::users::Users::default();
    model.operators = None;
    model.reasons.clear();
    model.warned.clear();
    model.dialog = None;
    model.leaving = false;
    model.messages = crate::tui::model::messages::Messages::default();
    model.gate = Gate { notice: Some(why.to_owned()), ..Gate::default() };
    let identity = model.identity.clone();
    model.gate.follow(&identity);
    vec![Effect::SignOut]
}

fn you_are_the_owner(email: &Email) -> Note {
    Note {
        title: "Step 3 of 3: you are the Owner",
        texts: vec![
            format!("{email} is the first operator of this installation, and signed in."),
            "An Owner invites others (:operators, then a), gives roles, and looks after the \
             vault. Invite a second Owner soon: one person may be ill or asleep."
                .to_owned(),
            "Identity providers and break-glass users are in tab 3.".to_owned(),
        ],
    }
}

fn copy_link(model: &mut Model) -> Vec<Effect> {
    let Step::Sso(sso) = &model.gate.step else { return vec![] };
    let Some(prompt) = &sso.prompt else { return vec![] };
    let whole = prompt.verification_uri_complete.as_ref().unwrap_or(&prompt.verification_uri);
    // What is pasted into a shell must not hold a line break that an identity provider put there.
    let text = clean(whole, ADDRESS_CHARS_MAX).into_owned();
    tell_copied(model, "the address");
    vec![Effect::Copy(text)]
}

fn copy_code(model: &mut Model) -> Vec<Effect> {
    let Step::Sso(sso) = &model.gate.step else { return vec![] };
    let Some(code) =
        sso.prompt.as_ref().map(|prompt| clean(&prompt.user_code, ADDRESS_CHARS_MAX).into_owned())
    else {
        return vec![];
    };
    tell_copied(model, "the code");
    vec![Effect::Copy(code)]
}

/// Says that something was sent to the clipboard; nobody hears whether it came there.
pub fn tell_copied(model: &mut Model, what: &str) {
    let said =
        format!("sent {what} to the terminal's clipboard; if it is not there, it is on screen");
    model.messages.tell(model.now, Severity::Info, said);
}

/// The longest address that is copied, in characters.
const ADDRESS_CHARS_MAX: usize = 2_000;

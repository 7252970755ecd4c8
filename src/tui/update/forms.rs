//! Forms: what is filled in, what is sent, and what the engine says to it.

use super::engine::one_line;
use super::gate::{read_email, read_twice};
use super::{idp_form, provider_form, providers, users};
use crate::domain::role::Role;
use crate::domain::secret::Secret;
use crate::error::Report;
use crate::protocol::{BreakGlassAsk, Command, IdpAsk, OperatorsAsk, Reply, Severity, SignInAsk};
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Dialog, Filling, FormDialog, OneTimeCode};
use crate::tui::model::form::{Entry, Form};
use crate::tui::msg::{Effect, Purpose};

/// Opens a form; `text` is what its first field holds at first.
pub fn open(model: &mut Model, what: Filling, text: &str) {
    let entries = match &what {
        Filling::AddListed(_) => vec![Entry::text("e-mail", "", "")],
        Filling::Prove(_) => vec![Entry::secret("password", "")],
        Filling::Invite => {
            vec![Entry::text("e-mail", "", ""), Entry::choice("role", &ROLES, 0, ROLES_ABOUT)]
        }
        Filling::Role(_) => {
            let at = ROLES.iter().position(|role| *role == text).unwrap_or(0);
            vec![Entry::choice("role", &ROLES, at, ROLES_ABOUT)]
        }
        Filling::Password => vec![
            Entry::secret("current", "stays empty where none is set").optional(),
            Entry::secret("new", PASSWORD_RULE),
            Entry::secret("new again", ""),
        ],
        Filling::Redeem => vec![
            Entry::text("e-mail", text, ""),
            Entry::secret("code", "from an Owner; it works once"),
            Entry::secret("new", PASSWORD_RULE),
            Entry::secret("new again", ""),
        ],
        Filling::AddIdp(_) => idp_form::entries(),
        Filling::Provider { known, .. } => provider_form::entries(known.as_deref()),
        Filling::RotateKey { .. } => vec![Entry::lines("key", NEW_KEY)],
        Filling::NameToEnforce { .. } | Filling::NameToSave { .. } => {
            vec![Entry::text("name", "", "")]
        }
    };
    let mut form = Form::new(entries);
    form.focus = usize::from(what == Filling::Redeem && !text.is_empty());
    model.dialog = Some(Dialog::Form(Box::new(FormDialog { what, form })));
}

/// Does what a key means in a form.
pub fn run(model: &mut Model, mut dialog: Box<FormDialog>, action: Action) -> Vec<Effect> {
    let waits = dialog.form.sent.is_some();
    match action {
        Action::Back => return vec![],
        Action::NextField if !waits => dialog.form.move_focus(true),
        Action::PreviousField if !waits => dialog.form.move_focus(false),
        Action::Next if !waits => choose(&mut dialog, true),
        Action::Previous if !waits => choose(&mut dialog, false),
        Action::Accept if !waits && !dialog.form.go_to_missing() => return send(model, dialog),
        _ => {}
    }
    model.dialog = Some(Dialog::Form(dialog));
    vec![]
}

/// Chooses another word; where that is a kind of provider, its fields follow.
fn choose(dialog: &mut FormDialog, forward: bool) {
    dialog.form.choose(forward);
    if let Filling::Provider { known, .. } = &dialog.what {
        provider_form::follow_kind(&mut dialog.form, known.as_deref());
    }
}

/// Sends what was filled in, or says which field keeps it from being sent.
fn send(model: &mut Model, mut dialog: Box<FormDialog>) -> Vec<Effect> {
    let form = &mut dialog.form;
    form.refusal = None;
    let command = match &dialog.what {
        Filling::AddListed(idp) => match read_email(form, 0) {
            Some(email) if users::add_here(model, form, idp, &email) => return vec![],
            Some(_) if form.refusal.is_some() => None,
            Some(email) => {
                Some(Command::BreakGlass(BreakGlassAsk::Check { idp: idp.clone(), email }))
            }
            None => None,
        },
        Filling::Prove(idp) => model.me().map(|me| {
            let (idp, email, password) = (idp.clone(), me.email.clone(), form.take(0));
            Command::BreakGlass(BreakGlassAsk::Prove { idp, email, password })
        }),
        Filling::Invite => {
            let role = role_at(form.choice(1));
            read_email(form, 0)
                .map(|email| Command::Operators(OperatorsAsk::Invite { email, role }))
        }
        Filling::Role(email) => {
            let (email, role) = (email.clone(), role_at(form.choice(0)));
            Some(Command::Operators(OperatorsAsk::SetRole { email, role }))
        }
        Filling::Password => {
            let current = Some(form.secret(0)).filter(|current| !current.is_empty());
            read_twice(form, 1).map(|new| {
                form.take(0);
                Command::SignIn(SignInAsk::SetPassword { current, new })
            })
        }
        Filling::Redeem => redeem(form),
        Filling::AddIdp(probe) => idp_form::command(form, probe.is_some()),
        Filling::Provider { known, .. } => provider_form::command(form, known.as_deref()),
        Filling::RotateKey { provider, .. } => {
            let known = model.providers.get(provider).and_then(|it| it.settings.as_ref());
            match provider_form::misfit_of_key(known, &form.secret(0)) {
                None => {
                    Some(Command::RotateKey { provider: provider.clone(), key: form.secret(0) })
                }
                Some(why) => {
                    form.refuse(0, why);
                    None
                }
            }
        }
        Filling::NameToEnforce { idp, .. } => named(form, idp.as_str()).map(|name| {
            Command::Idp(IdpAsk::Enforce { idp: idp.clone(), on: true, confirm: Some(name) })
        }),
        Filling::NameToSave { idp, .. } => named(form, idp.as_str())
            .and_then(|name| users::change(model, Some(name)))
            .map(Command::BreakGlass),
    };
    let mut effects = vec![];
    if let Some(command) = command {
        model.counter += 1;
        dialog.form.sent = Some(model.counter);
        effects.push(Effect::Call(command, Purpose::Form(model.counter)));
    }
    model.dialog = Some(Dialog::Form(dialog));
    effects
}

fn redeem(form: &mut Form) -> Option<Command> {
    let email = read_email(form, 0)?;
    let password = read_twice(form, 2)?;
    // A code that is copied from a message often brings blanks along; none belongs to it.
    let code = Secret::new(form.take(1).expose().trim());
    Some(Command::SignIn(SignInAsk::Redeem { email, code, password }))
}

fn named(form: &mut Form, name: &str) -> Option<String> {
    let typed = form.text(0).to_owned();
    if typed == name {
        return Some(typed);
    }
    form.refuse(0, format!("that is not its name; it is `{name}`"));
    None
}

/// Takes in what the engine said to the form that was sent by this number.
pub fn answered(model: &mut Model, number: u64, answer: Result<Reply, Report>) -> Vec<Effect> {
    let here = matches!(&model.dialog, Some(Dialog::Form(it)) if it.form.sent == Some(number));
    if !here {
        // The form is gone; what the engine did counts all the same.
        match answer {
            Ok(reply) => take_in(model, reply),
            Err(report) => model.messages.tell(model.now, Severity::Warning, one_line(&report)),
        }
        return vec![];
    }
    let Some(Dialog::Form(mut dialog)) = model.dialog.take() else { return vec![] };
    dialog.form.sent = None;
    match answer {
        Ok(reply) => done(model, dialog, reply),
        Err(report) => refused(model, dialog, report),
    }
    vec![]
}

fn done(model: &mut Model, mut dialog: Box<FormDialog>, reply: Reply) {
    if let Reply::Validation(view) = reply {
        return providers::filled(model, dialog, *view);
    }
    let tell = |model: &mut Model, text: String| {
        model.messages.tell(model.now, Severity::Info, text);
    };
    match (&dialog.what, reply) {
        (Filling::AddListed(idp), Reply::Listed(listed)) => {
            let idp = idp.clone();
            users::take_in_listed(model, &idp, *listed);
        }
        (Filling::Prove(idp), _) => {
            tell(model, format!("your password works for {idp}: it is proven now"));
        }
        (Filling::Role(email), _) => {
            let role = role_at(dialog.form.choice(0));
            tell(model, format!("{email} is {role} now"));
            touch_operators(model);
        }
        (Filling::Password, _) => tell(model, "your password is set".to_owned()),
        (Filling::Redeem, _) => {
            let email = dialog.form.text(0).to_owned();
            model.gate.ask_sign_in(&email);
            tell(model, "the password is set; sign in with it".to_owned());
        }
        (Filling::AddIdp(before), Reply::Probe(probe)) => {
            let saved = probe.is_healthy() || (before.is_some() && idp_form::saves(&dialog.form));
            if saved {
                tell(model, format!("{} is saved", dialog.form.text(idp_form::NAME)));
            } else {
                idp_form::offer_saving(&mut dialog.form);
                dialog.what = Filling::AddIdp(Some(probe));
                model.dialog = Some(Dialog::Form(dialog));
            }
        }
        (Filling::NameToEnforce { idp, .. }, reply) => {
            let text = format!("{idp}: single sign-on is enforced now");
            take_in(model, reply);
            tell(model, text);
        }
        (Filling::NameToSave { .. }, reply) => {
            model.users.edit = None;
            take_in(model, reply);
            tell(model, "the list is saved".to_owned());
        }
        (_, reply) => take_in(model, reply),
    }
}

/// Takes in what a reply brings, whatever it was asked for.
pub fn take_in(model: &mut Model, reply: Reply) {
    match reply {
        Reply::Code { email, code, expires_at } => {
            model.dialog = Some(Dialog::Code(OneTimeCode { email, code, expires_at }));
            touch_operators(model);
        }
        Reply::IdentityProviders(idps) => {
            model.identity.idps = idps;
            users::follow(model);
        }
        _ => {}
    }
}

/// Says that the operators on screen may no longer be as they are shown.
pub fn touch_operators(model: &mut Model) {
    if let Some(operators) = &mut model.operators {
        operators.touch();
    }
}

fn refused(model: &mut Model, mut dialog: Box<FormDialog>, report: Report) {
    if let Filling::AddListed(idp) = &dialog.what {
        let idp = idp.clone();
        let email = dialog.form.text(0).parse().ok();
        if let Some(email) = email
            && users::takes_in_all_the_same(model, &idp, &email, &report)
        {
            return;
        }
    }
    if let Filling::NameToSave { .. } = &dialog.what
        && let Some(edit) = &mut model.users.edit
    {
        edit.sent = false;
    }
    dialog.form.refusal = Some(report);
    model.dialog = Some(Dialog::Form(dialog));
}

fn role_at(at: usize) -> Role {
    Role::ALL.get(at).copied().unwrap_or(Role::Member)
}

const ROLES: [&str; 3] = ["Member", "Admin", "Owner"];
const ROLES_ABOUT: &str = "Member: own sessions. Admin: also lists, providers, the whole audit. \
                           Owner: also operators and roles.";
const NEW_KEY: &str = "a private key, pasted whole; the old one stays until this one works";
const PASSWORD_RULE: &str = "15 characters or more; no other rule but that it is hard to guess";

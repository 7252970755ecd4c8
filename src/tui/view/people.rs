//! The words of questions and forms about people.

use crate::domain::id::IdpId;
use crate::domain::probe::Probe;
use crate::protocol::IdpView;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Filling, Question};
use crate::tui::model::users::usable;
use crate::tui::theme::{Signs, Tone};
use crate::tui::widgets::pen::{Line, part, wrap};

/// The title of a question about people, and what is said of it.
pub fn asked(model: &Model, question: &Question) -> (String, Vec<String>) {
    match question {
        Question::Enforce { idp, on: true } => enforce(model, idp),
        Question::Enforce { idp, on: false } => (
            format!("Stop enforcing single sign-on at {idp}?"),
            vec![
                "Every operator with a password may sign in by it again. The list stays as it is."
                    .to_owned(),
            ],
        ),
        Question::RemoveIdp(idp) => (
            format!("Remove the identity provider {idp}?"),
            vec![
                "It leaves the configuration, its secret leaves the vault, and its list of \
                 break-glass users is gone."
                    .to_owned(),
            ],
        ),
        Question::DropEdit => {
            let changes = model.users.edit.as_ref().map_or(0, |edit| edit.changes.len());
            let text = format!("{} would be lost; s saves.", format::plural(changes, "change"));
            ("Leave without saving?".to_owned(), vec![text])
        }
        Question::ResetCode(email) => (
            format!("Make a code for {email}?"),
            vec![
                "With it they set a password anew, once, within 24 hours. An earlier code works \
                 no more; their password works until they set another."
                    .to_owned(),
            ],
        ),
        Question::RemoveOperator(email) => (
            format!("Remove {email} from the team?"),
            vec![
                "Their sign-ins and sessions end at once, and their password is gone. On a list \
                 they count for nothing. An Owner can invite them back."
                    .to_owned(),
            ],
        ),
        Question::Logout => {
            let (live, _) = model.lives();
            let mut texts = vec!["This terminal shows the sign-in screen again.".to_owned()];
            if live > 0 {
                let go_on = if live == 1 { "goes on" } else { "go on" };
                texts.push(format!(
                    "{} {go_on} until the lease ends.",
                    format::plural(live, "session")
                ));
            }
            ("Sign out?".to_owned(), texts)
        }
        _ => (String::new(), vec![]),
    }
}

fn enforce(model: &Model, id: &IdpId) -> (String, Vec<String>) {
    let known = model.identity.idps.iter().find(|idp| idp.id == *id);
    let count = known.map_or(0, usable);
    let who = match count {
        1 => "One listed operator".to_owned(),
        count => format!("{count} listed operators"),
    };
    let mut texts = vec![format!(
        "Whom {id} governs signs in there, and a password is refused even if it is right. \
             {who} may still sign in by password."
    )];
    if count < 2 {
        texts.push("Two or three are wise: one person may be ill or asleep.".to_owned());
    }
    if known.is_some_and(|idp| idp.probe.as_ref().is_none_or(|probe| !probe.is_healthy())) {
        texts.push(format!("{id} is not seen healthy: v looks at it first."));
    }
    (format!("Enforce single sign-on at {id}?"), texts)
}

/// The word of the answer that does what is asked.
pub const fn word(question: &Question) -> &'static str {
    match question {
        Question::Enforce { on: true, .. } => "enforce",
        Question::Enforce { on: false, .. } => "stop enforcing",
        Question::RemoveIdp(_) | Question::RemoveOperator(_) => "remove",
        Question::DropEdit => "leave",
        Question::ResetCode(_) => "make a code",
        Question::Logout => "sign out",
        _ => "do it",
    }
}

/// The title of a form, and what is said above its fields.
pub fn filling(model: &Model, what: &Filling) -> (String, Vec<String>) {
    let me = || model.me().map_or_else(|| "you".to_owned(), |me| me.email.to_string());
    match what {
        Filling::AddListed(idp) => (
            format!("Add a break-glass user of {idp}"),
            vec![
                "An operator of the team with a password. Nothing changes before the list is \
                 saved."
                    .to_owned(),
            ],
        ),
        Filling::Prove(idp) => (
            format!("Prove your password for {idp}"),
            vec![format!(
                "The password of {}. It is only looked at, to show that it would let you in.",
                me()
            )],
        ),
        Filling::Invite => (
            "Invite an operator".to_owned(),
            vec![
                "A code is made with which they set their own password. Nothing is sent."
                    .to_owned(),
            ],
        ),
        Filling::Role(email) => (
            format!("The role of {email}"),
            vec!["With a lesser role their sign-ins and sessions end.".to_owned()],
        ),
        Filling::Password => {
            ("Set your password".to_owned(), vec![format!("The password of {}.", me())])
        }
        Filling::Redeem => (
            "Set a password with a one-time code".to_owned(),
            vec!["An Owner makes the code, and it works for 24 hours.".to_owned()],
        ),
        Filling::AddIdp(probe) => {
            let text = match probe {
                None => "It is looked at before it is saved.",
                Some(_) => "It is not saved: what a sign-in needs is not all there.",
            };
            ("Add an identity provider".to_owned(), vec![text.to_owned()])
        }
        Filling::Provider { known, looked } => {
            let title = known.as_ref().map_or_else(
                || "Add a provider".to_owned(),
                |known| format!("Change {}", known.id),
            );
            let text = match looked {
                None => "It is looked at before it is saved; nothing is changed there.",
                Some(_) => "It is not saved: something that is needed is missing.",
            };
            (title, vec![text.to_owned()])
        }
        Filling::RotateKey { provider, looked } => {
            let text = match looked {
                None => "It is tried before the old one is dropped.",
                Some(_) => "The old key stays: with this one something is missing.",
            };
            (format!("A new key for {provider}"), vec![text.to_owned()])
        }
        Filling::NameToEnforce { idp, why } => {
            (format!("Enforce single sign-on at {idp}?"), vec![why.clone()])
        }
        Filling::NameToSave { idp, why } => (format!("Save the list of {idp}?"), vec![why.clone()]),
    }
}

/// What a look at an identity provider showed, a check each.
pub fn checks(probe: &Probe, signs: &Signs, width: usize) -> Vec<Line> {
    let mut lines = vec![];
    for check in &probe.checks {
        let (tone, sign, text) = match &check.found {
            Ok(found) => (Tone::Good, signs.good, found),
            Err(wrong) if check.needed => (Tone::Warn, signs.bad, wrong),
            Err(limit) => (Tone::Warn, "!", limit),
        };
        let text = format!("{}: {text} ({} ms)", check.name, check.millis);
        let text = crate::domain::text::shown(&text);
        for (number, line) in
            wrap(&text, width.saturating_sub(2)).into_iter().take(CHECK_LINES).enumerate()
        {
            let lead = if number == 0 { format!("{sign} ") } else { "  ".to_owned() };
            let body = if tone == Tone::Warn { Tone::Warn } else { Tone::Body };
            lines.push(vec![part(tone, lead), part(body, line)]);
        }
    }
    lines
}

/// The e-mail domains that an identity provider owns, in words.
pub fn domains(idp: &IdpView) -> String {
    let domains = idp.settings.as_ref().map(|settings| settings.domains.join(", "));
    match domains.as_deref() {
        None => String::new(),
        Some("") => "claims no e-mail domain".to_owned(),
        Some(domains) => format!("owns {domains}"),
    }
}

/// The most lines for one check.
const CHECK_LINES: usize = 3;

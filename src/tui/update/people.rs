//! What the engine answers about people, and the questions about them.

use super::engine::one_line;
use super::{forms, gate, users};
use crate::domain::sign_in::SignInMethod;
use crate::error::Report;
use crate::protocol::{Command, IdpAsk, OperatorsAsk, Reply, Severity, SignInAsk, SignedInView};
use crate::tui::model::Model;
use crate::tui::model::dialog::{Dialog, Note, Question};
use crate::tui::msg::{Effect, Purpose};

/// Takes in what the engine answered about people.
pub fn answer(model: &mut Model, purpose: Purpose, answer: Result<Reply, Report>) -> Vec<Effect> {
    match (purpose, answer) {
        (Purpose::SignIn(number), answer) => return gate::answered(model, number, answer),
        (Purpose::BeginSso(number), Ok(Reply::SsoPrompt(prompt))) => {
            return gate::prompted(model, number, Ok(prompt));
        }
        (Purpose::BeginSso(number), Err(report)) => {
            return gate::prompted(model, number, Err(report));
        }
        (Purpose::Form(number), answer) => return forms::answered(model, number, answer),
        (Purpose::Validate(idp), answer) => users::validated(model, &idp, answer),
        (Purpose::Enforce { idp, on }, answer) => users::enforced(model, idp, on, answer),
        (Purpose::Save(idp), answer) => users::saved(model, idp, answer),
        (Purpose::Operators(number), Ok(Reply::Operators(page))) => {
            if let Some(operators) = &mut model.operators {
                operators.put(number, Ok(page));
            }
        }
        (Purpose::Operators(number), Err(report)) => {
            if let Some(operators) = &mut model.operators {
                operators.put(number, Err(report));
            }
        }
        (Purpose::RemoveIdp(idp), Ok(_)) => {
            model.messages.tell(model.now, Severity::Info, format!("{idp} is removed"));
        }
        (Purpose::RemoveOperator(email), Ok(_)) => {
            model.messages.tell(model.now, Severity::Info, format!("{email} is removed"));
            forms::touch_operators(model);
        }
        (Purpose::Logout, Ok(_)) if model.me().is_some() => {
            return gate::signed_out(model, "You signed out.");
        }
        (Purpose::Whoami, Ok(Reply::Me(me))) => whoami(model, me.as_deref()),
        (_, Ok(reply)) => forms::take_in(model, reply),
        (_, Err(report)) => {
            model.messages.tell(model.now, Severity::Warning, one_line(&report));
        }
    }
    vec![]
}

/// Does what a question about people was answered with.
pub fn confirmed(model: &mut Model, question: Question) -> Vec<Effect> {
    let (command, purpose) = match question {
        Question::Enforce { idp, on } => {
            let command = Command::Idp(IdpAsk::Enforce { idp: idp.clone(), on, confirm: None });
            (command, Purpose::Enforce { idp, on })
        }
        Question::RemoveIdp(idp) => {
            (Command::Idp(IdpAsk::Remove { idp: idp.clone() }), Purpose::RemoveIdp(idp))
        }
        Question::ResetCode(email) => {
            let command = Command::Operators(OperatorsAsk::Reset { email: email.clone() });
            (command, Purpose::ResetCode(email))
        }
        Question::RemoveOperator(email) => {
            let command =
                Command::Operators(OperatorsAsk::Remove { email: email.clone(), confirm: None });
            (command, Purpose::RemoveOperator(email))
        }
        Question::Logout => (Command::SignIn(SignInAsk::Logout), Purpose::Logout),
        Question::DropEdit => {
            model.users.edit = None;
            return vec![];
        }
        _ => return vec![],
    };
    vec![Effect::Call(command, purpose)]
}

fn whoami(model: &mut Model, me: Option<&SignedInView>) {
    let texts = match me {
        None => vec!["Nobody is signed in here.".to_owned()],
        Some(me) => vec![
            format!("{} ({})", me.email, me.role),
            how(&me.method),
            format!(
                "Since {}; until {} unless it is used.",
                model.wall.until(me.started_at, model.now),
                model.wall.until(me.ends_at, model.now)
            ),
        ],
    };
    model.dialog = Some(Dialog::Note(Note { title: "Who is signed in", texts }));
}

fn how(method: &SignInMethod) -> String {
    match method {
        SignInMethod::Password => "Signed in by password.".to_owned(),
        SignInMethod::Sso(idp) => format!("Signed in by single sign-on at {idp}."),
        SignInMethod::BreakGlass(idps) => {
            let idps: Vec<String> = idps.iter().map(ToString::to_string).collect();
            format!(
                "BREAK-GLASS: signed in by password though single sign-on at {} is enforced.",
                idps.join(", ")
            )
        }
    }
}

//! From a shortened id to the one session that it means.

use super::ask;
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, SessionView};

/// Returns the session whose id, or the start of its long or short form, is `text`.
pub(super) async fn session(engine: &EngineHandle, text: &str) -> Result<SessionView, Report> {
    let mut found = ask::sessions(engine, Command::Find { text: text.to_owned() }).await?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            Err(ambiguous(text, &found))
        }
        (None, _) => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> Report {
    let report = Report::new(Kind::Usage, format!("no session matches `{text}`"));
    if text.chars().count() < ID_CHARS_MIN {
        return report.hint(format!("give at least {ID_CHARS_MIN} characters of the id"));
    }
    report.hint("breakglass sessions --all")
}

fn ambiguous(text: &str, found: &[SessionView]) -> Report {
    let count = found.len();
    let mut report = Report::new(Kind::Usage, format!("`{text}` may mean any of {count} sessions"));
    for view in found.iter().take(CANDIDATES_MAX) {
        report = report.because(format!("{} is {} to {}", view.id, view.state, view.target.id));
    }
    report.hint("give more characters of the id")
}

const ID_CHARS_MIN: usize = 4;
const CANDIDATES_MAX: usize = 10;

//! `breakglass doctor`: everything that is known to go wrong, looked at in one go.
//!
//! [`facts`] reads the world and judges nothing; [`checks`] judges and reads nothing. What is printed
//! may be pasted into a report as it stands: the home directory is `~`, and of a proxy only its
//! host is shown.
//!
//! Not here: anything that changes something, and anything that starts an engine.

mod checks;
mod facts;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::output::{Terminal, Tone};
use crate::error::{Kind, Report};

/// Look for everything that is known to go wrong
///
/// Checks configuration, state, engine, providers, audit, sign-in, clock, terminal and limits, and says of
/// each what it found and what to do about it. Changes nothing and starts no engine. What it prints
/// may be pasted into a report: it holds no secret and no home directory.
///
/// Exit code 5 if a check fails; a warning is no failure.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass doctor
  breakglass doctor --json | jq '.checks[] | select(.outcome != \"ok\")'")]
pub struct DoctorArgs {}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: String,
    outcome: Outcome,
    detail: String,
    fix: Option<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Ok,
    Warn,
    Fail,
}

impl Check {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), outcome: Outcome::Ok, detail: detail.into(), fix: None }
    }

    fn warn(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warn, fix: Some(fix.into()), ..Self::ok(name, detail) }
    }

    fn fail(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, ..Self::warn(name, detail, fix) }
    }

    /// A failure that a report tells of.
    fn of(name: &str, report: &Report, otherwise: &str) -> Self {
        let words = [std::slice::from_ref(&report.message), &report.causes].concat();
        Self::fail(name, words.join(": "), report.hint.as_deref().unwrap_or(otherwise))
    }

    fn without_home(mut self, home: Option<&str>) -> Self {
        if let Some(home) = home.filter(|home| home.len() > 1) {
            self.detail = self.detail.replace(home, "~");
            self.fix = self.fix.map(|fix| fix.replace(home, "~"));
        }
        self
    }
}

pub(super) async fn run(context: &mut Context<'_>) -> Result<u8, Report> {
    let facts = facts::gather(context).await;
    let home = facts.environment.get("HOME").map(String::as_str);
    let checks: Vec<_> =
        checks::all(&facts).into_iter().map(|check| check.without_home(home)).collect();
    if context.out.is_json() {
        context.out.document("checks", &checks)?;
    } else {
        let page = page(&checks, context.out.terminal());
        context.out.data(&page)?;
    }
    let failed = checks.iter().any(|check| check.outcome == Outcome::Fail);
    Ok(if failed { Kind::Unavailable.exit_code() } else { 0 })
}

fn page(checks: &[Check], terminal: Terminal) -> String {
    let mut lines = format!("breakglass {} doctor\n", env!("CARGO_PKG_VERSION"));
    for check in checks {
        let (word, tone) = match check.outcome {
            Outcome::Ok => ("ok  ", Tone::Good),
            Outcome::Warn => ("warn", Tone::Odd),
            Outcome::Fail => ("FAIL", Tone::Alarm),
        };
        let word = terminal.paint(tone, word);
        let detail = terminal.text(&check.detail);
        lines.push_str(&format!("{word}  {:<18} {detail}\n", terminal.text(&check.name)));
        if let Some(fix) = &check.fix {
            lines.push_str(&format!("{:24} fix: {}\n", "", terminal.text(fix)));
        }
    }
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    lines.push_str(&format!(
        "{} checks: {} ok, {} to look at, {} failed\n",
        checks.len(),
        count(Outcome::Ok),
        count(Outcome::Warn),
        count(Outcome::Fail),
    ));
    lines
}

//! What the engine does only when the name of the identity provider is typed.

use super::person::Stop;
use super::{Context, ask};
use crate::error::Report;
use crate::protocol::{Command, EngineHandle, IdpView};

/// Sends a command that may have to be confirmed; where it must be, and somebody is there, asks for
/// the name and sends it again.
///
/// `command` makes it with what was typed. Whether that is the name is the engine's to judge.
pub(super) async fn confirmed(
    engine: &EngineHandle,
    given: Option<String>,
    command: impl Fn(Option<String>) -> Command,
    context: &mut Context<'_>,
) -> Result<Vec<IdpView>, Stop> {
    // With `--json`, standard error carries one document, and that is the refusal.
    let asks = given.is_none() && context.person.is_there() && !context.out.is_json();
    match context.until(ask::idps(engine, command(given))).await {
        Err(Stop::Failed(report)) if asks && wants_name(&report) => {
            let why = Report { hint: None, ..report };
            context.out.report(&why);
            let prompt = "Type the name of the identity provider to go on";
            let typed = context.asked(prompt, "--confirm").await?;
            context.until(ask::idps(engine, command(Some(typed)))).await
        }
        answered => answered,
    }
}

/// True for a refusal that says how to confirm.
fn wants_name(report: &Report) -> bool {
    report.hint.as_ref().is_some_and(|hint| hint.contains("--confirm"))
}

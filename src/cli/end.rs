//! `breakglass end`, `extend` and `retry`: the verbs that change a session.

use clap::Args;

use super::docs::SessionDoc;
use super::follow::Follow;
use super::opening::{self, Opened};
use super::person::{self, Stop};
use super::{Context, ask, find, vault, words};
use crate::domain::time::Span;
use crate::domain::vault::UNLOCK;
use crate::error::{Kind, Report};
use crate::protocol::{
    Command, EngineHandle, SessionQuery, SessionState, SessionView, StepProgress, StepView,
};

/// End a session and wait until everything is seen gone
///
/// Blocks the local endpoint at once, takes back what was made for the session, looks for each
/// thing, and prints the receipt. Ctrl-C stops the waiting, not the ending: once this verb has
/// begun, the engine goes on with the removal.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct EndArgs {
    /// Session id, or the start of it
    #[arg(value_name = "ID", required_unless_present = "all")]
    pub id: Option<String>,
    /// End every session that lives
    #[arg(long, conflicts_with_all = ["id", "reason"])]
    pub all: bool,
    /// Reason for the end; it stands in the audit
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Let a session run longer
///
/// Moves the end of an Active session's lease. The path is not touched, and connections stay open.
/// The lease is never longer than the policy, and the target, allow.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass extend 5566 --by 15m")]
pub struct ExtendArgs {
    /// Session id, or the start of it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Time to add, such as `15m`
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub by: Span,
}

/// Try at once to remove what a session owes
///
/// The engine tries without end, less and less often. This verb makes it try now, waits for the
/// outcome and prints the receipt, or how to remove by hand what is still owed.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub struct RetryArgs {
    /// Session id, or the start of it
    #[arg(value_name = "ID")]
    pub id: String,
}

const AFTER_HELP: &str = "\
Examples:
  breakglass end 5566
  breakglass end 5566 --reason 'INC-42 is over'
  breakglass end --all

Exit codes:
  0  everything was seen gone
  2  no session, or more than one, matches the id
  4  the session is not yours to end
  5  the engine cannot be reached
  6  something is not proven gone; what it is and how to remove it is printed";

const EXIT_CODES: &str = "\
Exit codes:
  0  everything was seen gone
  2  no session, or more than one, matches the id
  5  the engine cannot be reached
  6  something is still not proven gone; what it is and how to remove it is printed";

pub(super) async fn end(args: EndArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let Some(text) = args.id else {
        return end_all(engine, context).await;
    };
    let before = find::session(&engine, &text).await?;
    let session = before.id;
    let followed = if before.state == SessionState::Ended {
        context.out.talk(&format!("session {} has ended already", session.short()));
        Follow::of(context.engines, engine, session).await?
    } else {
        let command = Command::End { session, reason: args.reason };
        Follow::after(context.engines, engine, command).await?
    };
    let mut opened = Opened::known(&before, followed, context)?;
    opened.until_over(context).await?;
    print_outcome(&[&opened.view], false, &opened, context)?;
    opening::verdict(&opened.view)
}

async fn end_all(engine: EngineHandle, context: &mut Context<'_>) -> Result<u8, Report> {
    let query = SessionQuery { state: None, ended: false, limit: SESSIONS_MAX, offset: 0 };
    let live = ask::sessions(&engine, Command::Sessions(query)).await?;
    ask::done(&engine, Command::EndAll).await?;
    let mut ended = Vec::new();
    for before in live {
        let (drill, id) = (words::drill(&before), before.id.short());
        context.out.talk(&format!("{drill}session {id} on {}", before.target.id));
        let followed = Follow::of(context.engines, engine.clone(), before.id).await?;
        let mut opened = Opened::known(&before, followed, context)?;
        opened.until_over(context).await?;
        ended.push(opened);
    }
    let Some(last) = ended.last() else {
        if context.out.is_json() {
            context.out.document("sessions", &Vec::<SessionDoc<'_>>::new())?;
        }
        context.out.talk("no session lives");
        return Ok(0);
    };
    let views: Vec<_> = ended.iter().map(|opened| &opened.view).collect();
    print_outcome(&views, true, last, context)?;
    for view in views {
        opening::verdict(view)?;
    }
    Ok(0)
}

pub(super) async fn extend(args: &ExtendArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let session = find::session(&engine, &args.id).await?.id;
    let view = ask::session(&engine, Command::Extend { session, by: args.by }).await?;
    let times = ask::times(&engine, context.wall()).await?;
    if context.out.is_json() {
        context.out.document("session", &SessionDoc::new(&view, &times))?;
        return Ok(0);
    }
    let until = view.lease_ends_at.map_or(String::new(), |at| {
        format!(", until {} ({} left)", times.people(at), times.left(at))
    });
    let drill = words::drill(&view);
    let id = view.id.short();
    context.out.data(&format!("{drill}session {id} is Active for {}{until}", view.lease))?;
    Ok(0)
}

pub(super) async fn retry(args: &RetryArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(try_again(args, context).await)
}

async fn try_again(args: &RetryArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    let before = find::session(&engine, &args.id).await?;
    if before.state != SessionState::CleanupOwed {
        let id = before.id.short();
        return Err(Report::new(Kind::Usage, format!("session {id} owes nothing"))
            .because(format!("it is {}", before.state))
            .hint(format!("breakglass show {id}"))
            .into());
    }
    let asking = async || ask::session(&engine, Command::Retry { session: before.id }).await;
    vault::with_open(&engine, context, asking).await?;
    let followed = Follow::of(context.engines, engine, before.id).await?;
    let mut opened = Opened::known(&before, followed, context)?;
    while !was_tried(&before, &opened.view) {
        opened.wait(context).await?;
    }
    print_outcome(&[&opened.view], false, &opened, context)?;
    let id = opened.view.id.short();
    let again = "it is tried again by itself; what is on the exit card can be done by hand";
    let verdict = opening::verdict(&opened.view);
    Ok(verdict.map_err(|report| match &report.hint {
        Some(hint) if hint.starts_with(UNLOCK) => report,
        _ => report.hint(format!("{again}: breakglass show {id}")),
    })?)
}

/// True when everything that was owed is gone, or was tried once more.
fn was_tried(before: &SessionView, now: &SessionView) -> bool {
    let tried = |(then, step): (&StepView, &StepView)| {
        then.progress != StepProgress::Owed
            || step.progress == StepProgress::Gone
            || (step.progress == StepProgress::Owed && step.tries > then.tries)
    };
    match now.state {
        SessionState::Ended => true,
        SessionState::CleanupOwed => before.steps.iter().zip(&now.steps).all(tried),
        _ => false,
    }
}

fn print_outcome(
    views: &[&SessionView],
    many: bool,
    any: &Opened<'_>,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    let times = any.follow.times(context.wall());
    if context.out.is_json() {
        let docs: Vec<_> = views.iter().map(|view| SessionDoc::new(view, &times)).collect();
        return match docs.first() {
            Some(doc) if !many => context.out.document("session", doc),
            _ => context.out.document("sessions", &docs),
        };
    }
    let terminal = context.out.terminal();
    for view in views {
        context.out.data(&words::receipt(view, &times, terminal))?;
        context.out.data(&words::exit_card(view, terminal))?;
    }
    Ok(())
}

const SESSIONS_MAX: u32 = 1_000;

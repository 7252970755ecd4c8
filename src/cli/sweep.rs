//! `breakglass sweep`: what bears the mark of this installation and belongs to no living session.

use clap::Args;

use super::output::{Terminal, Tone};
use super::person::{self, Stop};
use super::provider_docs::SweepDoc;
use super::table::Table;
use super::words::Times;
use super::{Context, ask};
use crate::domain::text::counted;
use crate::domain::time::Timestamp;
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, OrphanView, SessionQuery, SessionState, SweepView};

/// Find what no living session needs, and remove it
///
/// Looks at every provider and launcher for what bears the mark of this installation and belongs to
/// no living session. Says what it finds and removes nothing, unless `--apply` says so. What could still
/// be needed is left then: where the state of this engine was copied, an engine on another host may use
/// it. What another installation made is never touched, nor even shown.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass sweep
  breakglass sweep --apply
  breakglass sweep --apply --also-unexpired
  breakglass sweep --json | jq -r '.sweep.orphans[].artifact'

Exit codes:
  0    nothing is left, or, without `--apply`, everything was found that there is
  4    you may not
  5    the engine cannot be reached
  6    something is still there, or somewhere nobody could look; a launcher that has no `list`
       command is told each time, and is no failure
  130, 143   Ctrl-C or SIGTERM; the engine goes on")]
pub struct SweepArgs {
    /// Remove what is found and has had its time, and look again
    #[arg(long)]
    pub apply: bool,
    /// Remove also what may still be needed, by an engine with a copy of this state
    #[arg(long, requires = "apply")]
    pub also_unexpired: bool,
}

pub(super) async fn run(args: &SweepArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(perform(args, context).await)
}

async fn perform(args: &SweepArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let SweepArgs { apply, also_unexpired } = *args;
    let engine = context.engines.attach_or_start().await?;
    let view = context.until(ask::sweep(&engine, apply, also_unexpired)).await?;
    let wall = context.wall();
    if context.out.is_json() {
        context.out.document("sweep", &SweepDoc::new(&view, apply, wall))?;
    } else {
        let terminal = context.out.terminal();
        if !view.orphans.is_empty() {
            let page = page(&view.orphans, wall, terminal);
            context.out.data(&page)?;
        }
        for problem in &view.problems {
            let (place, why) = (terminal.text(&problem.place), terminal.text(&problem.why));
            context.out.talk(&format!("nobody could look at {place}: {why}"));
        }
        for place in &view.unlisted {
            let (place, why) = (terminal.text(&place.place), terminal.text(&place.why));
            context.out.talk(&format!("{place} {why}"));
        }
        context.out.talk(&verdict(&view, apply, wall));
        tell_owed(&engine, context).await?;
    }
    match owed(&view, apply) {
        None => Ok(0),
        Some(report) => Err(report.into()),
    }
}

/// Says which sessions owe a clean-up: what they made is theirs, and no sweep takes it away.
async fn tell_owed(engine: &EngineHandle, context: &mut Context<'_>) -> Result<(), Report> {
    let state = Some(SessionState::CleanupOwed);
    let query = SessionQuery { state, ended: false, limit: OWED_MAX, offset: 0 };
    for view in ask::sessions(engine, Command::Sessions(query)).await? {
        let id = view.id.short();
        context.out.talk(&format!("session {id} owes clean-up: breakglass retry {id}"));
    }
    Ok(())
}

/// What it comes to, in one line.
fn verdict(view: &SweepView, apply: bool, wall: Timestamp) -> String {
    let things = counted(view.orphans.len(), "thing");
    let gone = view.orphans.iter().filter(|it| it.removed == Some(Ok(()))).count();
    match (view.orphans.len(), apply) {
        (0, _) if view.problems.is_empty() && view.unlisted.is_empty() => {
            "nothing is left behind".to_owned()
        }
        (0, _) => "nothing is left behind where somebody could look".to_owned(),
        (all, true) if all == gone => format!("{things} removed, and seen gone"),
        (_, true) => format!("{gone} of {things} removed, and seen gone"),
        (all, false) => {
            let found = format!("{things} found that no living session needs; remove");
            let over = view.orphans.iter().filter(|it| it.expires_at <= wall).count();
            match over {
                0 => format!("{found}: {APPLY} --also-unexpired"),
                over if over == all => format!("{found}: {APPLY}"),
                over => format!("{found} {over}: {APPLY}; all of it: {APPLY} --also-unexpired"),
            }
        }
    }
}

/// The error where something may still be there that was to be gone.
fn owed(view: &SweepView, apply: bool) -> Option<Report> {
    let left = view.orphans.iter().filter(|it| it.removed != Some(Ok(()))).count();
    if apply && left > 0 {
        let verb = if left == 1 { "is" } else { "are" };
        let message = format!("{} {verb} still there", counted(left, "thing"));
        return Some(
            Report::new(Kind::CleanupOwed, message)
                .hint("run the commands above, then look again: breakglass sweep"),
        );
    }
    let problem = view.problems.first()?;
    let look = match problem.place.strip_prefix("site ") {
        Some(site) => format!("breakglass sites validate {site}"),
        None => format!("breakglass providers validate {}", problem.place),
    };
    let message = "something may be left where nobody could look";
    Some(Report::new(Kind::CleanupOwed, message).because(&problem.why).hint(look))
}

/// A row for each thing; below, how to remove by hand what is still there.
fn page(orphans: &[OrphanView], wall: Timestamp, terminal: Terminal) -> String {
    let times = Times::at_engine(wall, 0);
    let headings = ["PLACE", "ARTIFACT", "SESSION", "NEEDED UNTIL", "NOW"];
    let mut table = Table::new(terminal, &headings, &["ARTIFACT", "NOW"]);
    for orphan in orphans {
        let until = match orphan.expires_at <= wall {
            true => format!("{} (over)", times.people(orphan.expires_at)),
            false => times.people(orphan.expires_at),
        };
        let (now, tone) = match &orphan.removed {
            None => ("there".to_owned(), Tone::Odd),
            Some(Ok(())) => ("gone".to_owned(), Tone::Good),
            Some(Err(why)) => (format!("STILL THERE: {why}"), Tone::Alarm),
        };
        table.row([
            (orphan.place.as_str(), Tone::Plain),
            (&orphan.artifact, Tone::Plain),
            (&orphan.session, Tone::Plain),
            (&until, Tone::Plain),
            (&now, tone),
        ]);
    }
    let mut page = table.render();
    let left = orphans.iter().filter(|it| it.removed != Some(Ok(())) && !it.by_hand.is_empty());
    for orphan in left {
        page.push_str(&format!("by hand, {}:\n", terminal.text(&orphan.artifact)));
        for command in &orphan.by_hand {
            page.push_str(&format!("  $ {}\n", terminal.text(command)));
        }
    }
    page
}

const APPLY: &str = "breakglass sweep --apply";
/// The most sessions that are named as owing a clean-up.
const OWED_MAX: u32 = 20;

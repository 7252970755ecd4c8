//! `breakglass open`: request a session, and return once it is Active or not.

use std::time::Duration;

use clap::Args;

use super::docs::{PlanDoc, SessionDoc};
use super::opening::{self, Opened};
use super::output::Terminal;
use super::person::{self, Stop};
use super::signals::Caught;
use super::{Context, ask, words};
use crate::domain::id::{SiteId, TargetId};
use crate::domain::request::{OpenRequest, TargetChoice};
use crate::domain::target::{Address, TargetKind};
use crate::domain::time::Span;
use crate::error::Report;
use crate::protocol::{Command, PlanView, SessionState};

/// Open a session to a target
///
/// Requests a timed, recorded path to one target, and returns once it is there. Standard output
/// then has two lines: the local endpoint, and the command to paste. The steps are told on standard
/// error as they are done. The session goes on in the background until you end it, its lease ends,
/// or it is idle for too long.
///
/// How the target is reached follows from the configuration; `--plan` says how and why, and what
/// would exist because of the session, and does nothing.
///
/// Ctrl-C before the session is Active ends it. With `--wait`, Ctrl-C and SIGTERM end it at any
/// time, and the receipt follows; a terminal that goes away does not end it.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct OpenArgs {
    #[command(flatten)]
    pub request: RequestArgs,
    /// Reason for the session; it stands in the audit, and `--plan` needs none
    #[arg(long, value_name = "TEXT", required_unless_present = "plan")]
    pub reason: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "wait")]
    pub plan: bool,
    /// Stay until the session has ended, and end it on Ctrl-C
    #[arg(long)]
    pub wait: bool,
}

/// What an operator asks for.
#[derive(Clone, Debug, Args)]
pub struct RequestArgs {
    /// Name of a target in the catalogue
    #[arg(
        value_name = "TARGET",
        required_unless_present = "address",
        conflicts_with_all = ["address", "kind", "site"]
    )]
    pub target: Option<TargetId>,
    /// Address of a target that is in no catalogue, where policy allows that
    #[arg(long, value_name = "HOST:PORT", requires = "kind")]
    pub address: Option<Address>,
    /// Kind of thing that speaks at the address
    #[arg(long, value_name = "KIND", requires = "address", value_parser = super::args::kind())]
    pub kind: Option<TargetKind>,
    /// Site that the address belongs to
    #[arg(long, value_name = "SITE", requires = "address")]
    pub site: Option<SiteId>,
    /// Length of the session, such as `30m` or `1h30m`
    ///
    /// The clock starts when the session becomes Active. Without this, the policy's default holds.
    #[arg(long = "for", value_name = "DURATION", allow_hyphen_values = true)]
    pub duration: Option<Span>,
    /// Agree to what opening changes in the policy file of a tailnet; `--plan` shows it
    #[arg(long)]
    pub agree: bool,
}

impl RequestArgs {
    /// Returns the request. `None` where neither a name nor an address and its kind was given,
    /// which the grammar refuses.
    #[must_use]
    pub fn request(self, reason: String) -> Option<OpenRequest> {
        let target = match (self.target, self.address, self.kind) {
            (Some(target), ..) => TargetChoice::Named(target),
            (None, Some(address), Some(kind)) => {
                TargetChoice::AdHoc { address, kind, site: self.site }
            }
            (None, ..) => return None,
        };
        Some(OpenRequest { target, reason, duration: self.duration, agreed: self.agree })
    }
}

const AFTER_HELP: &str = "\
Examples:
  breakglass open orders-db --reason 'INC-42 slow queries' --for 30m
  breakglass open --address 10.20.0.7:5432 --kind postgres --reason INC-42
  breakglass open orders-db --plan
  breakglass open orders-db --reason INC-42 --json | jq -r .session.command

Exit codes:
  0  the session is Active; with --wait, it has ended and everything was seen gone
  2  the command line is wrong
  3  the configuration is wrong
  4  policy refuses the session
  5  the target, its provider or the engine cannot be reached
  6  something that the session made is not proven gone
  130, 143  Ctrl-C or SIGTERM ended the session before it was Active";

pub(super) async fn run(args: OpenArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(perform(args, context).await)
}

async fn perform(args: OpenArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let reason = args.reason.unwrap_or_default();
    let request = args.request.request(reason).ok_or_else(no_target)?;
    if args.plan {
        return Ok(plan(request, context).await?);
    }
    context.signals.listen(&[Caught::Interrupt, Caught::Terminate])?;
    let stream = args.wait && context.out.is_json();
    let mut opened = opening::open(request, stream, context).await?;
    if opened.view.state == SessionState::Active {
        announce(&opened, context)?;
        return if args.wait { Ok(stay(&mut opened, context).await?) } else { Ok(0) };
    }
    Ok(failed(&opened, context)?)
}

pub(super) fn no_target() -> Report {
    Report::new(crate::error::Kind::Usage, "no target was named").hint("breakglass targets")
}

async fn plan(request: OpenRequest, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let plan = ask::plan(&engine, Command::Plan(request)).await?;
    if context.out.is_json() {
        context.out.document("plan", &PlanDoc::new(&plan))?;
    } else {
        let lines = plan_lines(&plan, context.out.terminal());
        context.out.data(&lines)?;
    }
    Ok(0)
}

fn plan_lines(plan: &PlanView, terminal: Terminal) -> String {
    let target = terminal.text(&words::target(&plan.target));
    let why = terminal.text(&plan.path.why);
    let mut lines = format!("target  {target}\npath    {}: {why}\n", plan.path.provider);
    lines.push_str(&format!("lease   {}, at most {}\n", plan.lease, plan.lease_max));
    for other in &plan.audience {
        lines.push_str(&format!("also reachable by: {}\n", terminal.text(other)));
    }
    if !plan.changes.is_empty() {
        lines.push_str("changes in the policy file\n");
        for line in &plan.changes {
            lines.push_str(&format!("  {}\n", terminal.text(line)));
        }
    }
    lines.push_str("steps\n");
    for (at, step) in plan.steps.iter().enumerate() {
        lines.push_str(&format!("  {}. {}\n", at + 1, terminal.text(&step.label)));
        if let Some(creates) = &step.creates {
            lines.push_str(&format!("     creates  {}\n", terminal.text(creates)));
            let expires =
                step.expires.as_deref().unwrap_or("NOTHING: only this program removes it");
            lines.push_str(&format!("     expires  {}\n", terminal.text(expires)));
        }
        if !step.needs.is_empty() {
            let needs: Vec<_> = step.needs.iter().map(|need| (need + 1).to_string()).collect();
            lines.push_str(&format!("     after    {}\n", needs.join(", ")));
        }
    }
    if plan.steps.iter().any(|step| step.expires.is_some()) {
        let max = plan.lease_max;
        lines.push_str(&format!(
            "what expires does so then at the latest: the session may be extended to {max} \
             (duration-max); its end removes it\n"
        ));
    }
    lines.push_str("nothing was done\n");
    lines
}

fn announce(opened: &Opened<'_>, context: &mut Context<'_>) -> Result<(), Report> {
    opening::tell_active(opened, context);
    let view = &opened.view;
    let times = opened.follow.times(context.wall());
    if opened.stream {
        return Ok(());
    }
    if context.out.is_json() {
        return context.out.document("session", &SessionDoc::new(view, &times));
    }
    let terminal = context.out.terminal();
    let endpoint = view.endpoint.as_ref().map(ToString::to_string);
    for line in [endpoint.as_deref(), view.command.as_deref()].into_iter().flatten() {
        context.out.data(&terminal.text(line))?;
    }
    Ok(())
}

fn failed(opened: &Opened<'_>, context: &mut Context<'_>) -> Result<u8, Report> {
    let view = &opened.view;
    let terminal = context.out.terminal();
    if context.out.is_json() && !opened.stream {
        let times = opened.follow.times(context.wall());
        context.out.document("session", &SessionDoc::new(view, &times))?;
    }
    context.out.talk(&words::exit_card(view, terminal));
    let Some(caught) = opened.caught.filter(|_| view.state != SessionState::CleanupOwed) else {
        return Err(opening::not_active(view));
    };
    if view.state == SessionState::Ended {
        let id = view.id.short();
        context.out.talk(&format!("session {id} has ended; everything was seen gone"));
    } else {
        context.out.talk(&opening::leaving(view));
    }
    Ok(caught.exit_code())
}

async fn stay(opened: &mut Opened<'_>, context: &mut Context<'_>) -> Result<u8, Report> {
    context.out.talk("Ctrl-C ends the session");
    while !opening::is_over(&opened.view) {
        let times = opened.follow.times(context.wall());
        let left = opened.view.lease_ends_at.map_or(Span::ZERO, |at| times.left(at));
        let active = opened.view.state == SessionState::Active;
        let warning = next_warning(left).filter(|_| active);
        let pause = warning.map_or(Duration::MAX, |(pause, _)| pause.to_std());
        let happened = tokio::select! {
            happened = opened.happens(context) => Some(happened?),
            () = tokio::time::sleep(pause) => None,
        };
        match (happened, warning) {
            (Some(happened), _) => {
                if opened.answer(happened, context).await? {
                    context.out.talk(&opening::leaving(&opened.view));
                    return Ok(opened.caught.map_or(0, Caught::exit_code));
                }
            }
            (None, Some((_, left))) => {
                context.out.talk(&format!("{}  {left} left", words::drill(&opened.view)));
            }
            (None, None) => {}
        }
        // Nobody watches any more; the session goes on, as when a terminal goes away.
        if context.out.reader_gone() {
            return Ok(0);
        }
    }
    let times = opened.follow.times(context.wall());
    let terminal = context.out.terminal();
    context.out.talk(&words::receipt(&opened.view, &times, terminal));
    context.out.talk(&words::exit_card(&opened.view, terminal));
    opening::verdict(&opened.view)
}

/// Returns how long it is until the next warning, and what will be left then.
fn next_warning(left: Span) -> Option<(Span, Span)> {
    let next = WARNINGS.into_iter().find(|warning| *warning < left)?;
    Some((Span::from_millis(left.as_millis() - next.as_millis()), next))
}

/// How much is left when an operator is warned, the longest first.
const WARNINGS: [Span; 3] = [Span::from_minutes(15), Span::from_minutes(5), Span::from_minutes(1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_at_15_5_and_1_minutes() {
        for (left, next) in [("30m", 15), ("15m1s", 15), ("15m", 5), ("6m", 5), ("5m", 1)] {
            let left: Span = left.parse().unwrap();
            let (pause, at) = next_warning(left).unwrap();
            assert_eq!((pause + at, at), (left, Span::from_minutes(next)), "{left}");
        }
        assert_eq!(next_warning(Span::from_minutes(1)), None);
        assert_eq!(next_warning(Span::ZERO), None);
    }
}

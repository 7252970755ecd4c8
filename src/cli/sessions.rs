//! `breakglass sessions` and `breakglass show`: what lives, what has ended, and one in full.

use clap::Args;

use super::docs::SessionDoc;
use super::output::{Terminal, Tone};
use super::progress::{self, step_line};
use super::table::Table;
use super::words::{self, Times};
use super::{Context, ask, find, opening};
use crate::error::Report;
use crate::protocol::{Command, SessionQuery, SessionState, SessionView};

/// List sessions
///
/// Lists the sessions that live, those that owe a clean-up first and then the newest first. A
/// session lives until everything that it made was seen gone.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass sessions
  breakglass sessions --state cleanup-owed
  breakglass sessions --all --limit 20 --json | jq -r '.sessions[].id'")]
pub struct SessionsArgs {
    /// Include sessions that have ended
    #[arg(long)]
    pub all: bool,
    /// State that the sessions must be in
    #[arg(long, value_name = "STATE", value_parser = super::args::state(), ignore_case = true)]
    pub state: Option<SessionState>,
    /// Number of sessions at most, up to 1000
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}

/// Show one session in full
///
/// Shows a session with its path and why, its steps, its lease, what was made for it and when each
/// thing was seen gone, and, where something is owed, how to remove it by hand. The id may be
/// shortened to its first characters, four at least.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Session id, or the start of it
    #[arg(value_name = "ID")]
    pub id: String,
}

pub(super) async fn list(args: &SessionsArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let times = ask::times(&engine, context.wall()).await?;
    let query = SessionQuery {
        state: args.state,
        ended: args.all || args.state == Some(SessionState::Ended),
        limit: args.limit,
        offset: 0,
    };
    let mut sessions = ask::sessions(&engine, Command::Sessions(query)).await?;
    sessions.sort_by_key(|view| view.state != SessionState::CleanupOwed);
    if context.out.is_json() {
        let docs: Vec<_> = sessions.iter().map(|view| SessionDoc::new(view, &times)).collect();
        context.out.document("sessions", &docs)?;
        return Ok(0);
    }
    if sessions.is_empty() {
        context.out.talk(if query.ended || query.state.is_some() {
            "no session matches"
        } else {
            "no session lives; `breakglass sessions --all` lists those that have ended"
        });
        return Ok(0);
    }
    let table = rows(&sessions, &times, context.out.terminal());
    context.out.data(&table)?;
    if sessions.len() >= usize::try_from(args.limit).unwrap_or(usize::MAX) {
        context.out.talk(&format!("these are the newest {}; `--limit` shows more", args.limit));
    }
    Ok(0)
}

pub(super) async fn show(args: &ShowArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let times = ask::times(&engine, context.wall()).await?;
    let view = find::session(&engine, &args.id).await?;
    if context.out.is_json() {
        context.out.document("session", &SessionDoc::new(&view, &times))?;
    } else {
        let page = page(&view, &times, context.out.terminal());
        context.out.data(&page)?;
    }
    Ok(0)
}

fn rows(sessions: &[SessionView], times: &Times, terminal: Terminal) -> String {
    let headings = ["ID", "STATE", "TARGET", "PATH", "ENDPOINT", "LEFT", "REASON"];
    let mut table = Table::new(terminal, &headings, &["TARGET", "PATH", "LEFT", "REASON"]);
    for view in sessions {
        let endpoint = view.endpoint.as_ref().map(ToString::to_string);
        table.row([
            (&view.id.short(), Tone::Plain),
            (&words::state(view), words::state_tone(view)),
            (view.target.id.as_str(), Tone::Plain),
            (view.path.provider.as_str(), Tone::Plain),
            (endpoint.as_deref().unwrap_or("-"), Tone::Plain),
            (&left(view, times), Tone::Plain),
            (&view.reason, Tone::Plain),
        ]);
    }
    table.render()
}

/// What is left of a lease, or why there is none.
fn left(view: &SessionView, times: &Times) -> String {
    match (view.state, view.lease_ends_at, &view.end_reason) {
        (SessionState::Active, Some(at), _) => times.left(at).to_string(),
        (SessionState::Ended | SessionState::Ending | SessionState::CleanupOwed, _, Some(why)) => {
            why.clone()
        }
        _ => "-".to_owned(),
    }
}

fn page(view: &SessionView, times: &Times, terminal: Terminal) -> String {
    let state = terminal.paint(words::state_tone(view), &words::state(view));
    let operator = format!("{} (uid {})", view.operator.name, view.operator.uid);
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        lines.push_str(&format!("{name:<10} {value}\n"));
    };
    line("session", &view.id.to_string());
    line("state", &state);
    line("target", &terminal.text(&words::target(&view.target)));
    line("path", &terminal.text(&words::path(view)));
    if let Some(lost) = &view.path_lost {
        line("path lost", &terminal.text(lost));
    }
    for state in &view.live {
        line("now", &terminal.text(state));
    }
    for loss in &view.path_losses {
        let back =
            loss.back_at.map_or("not back".to_owned(), |at| format!("back {}", times.people(at)));
        line("path lost", &format!("{}, {back}", times.people(loss.lost_at)));
    }
    for other in &view.audience {
        line("reachable", &format!("also by: {}", terminal.text(other)));
    }
    line("reason", &terminal.text(&view.reason));
    line("operator", &terminal.text(&operator));
    line("requested", &times.people(view.requested_at));
    if let Some(at) = view.activated_at {
        line("activated", &times.people(at));
    }
    line("lease", &lease(view, times));
    if let Some(endpoint) = &view.endpoint {
        line("endpoint", &terminal.text(&endpoint.to_string()));
    }
    if let Some(command) = &view.command {
        line("command", &terminal.text(command));
    }
    line("traffic", &words::traffic(&view.traffic));
    if view.end_reason.is_some() {
        line("end", &progress::why(view, terminal));
    }
    if let Some(at) = view.ended_at {
        line("ended", &times.people(at));
    }
    lines.push_str("\nsteps\n");
    for step in &view.steps {
        lines.push_str(&format!("  {}\n", step_line(step, terminal)));
    }
    lines.push_str(&made(view, times, terminal));
    let card = words::exit_card(view, terminal);
    if !card.is_empty() {
        lines.push('\n');
        lines.push_str(&card);
    }
    lines
}

/// What was made for a session: the receipt once it is over, and before that what exists.
fn made(view: &SessionView, times: &Times, terminal: Terminal) -> String {
    if opening::is_over(view) {
        return format!("\n{}", words::receipt(view, times, terminal));
    }
    let mut lines = String::new();
    for line in &view.receipt {
        let heading = if lines.is_empty() { "\nmade for it\n" } else { "" };
        let artifact = terminal.text(&line.artifact);
        let (word, at) = match line.gone_at {
            Some(at) => ("gone", at),
            None => ("since", line.made_at),
        };
        lines.push_str(&format!("{heading}  {word:<5} {}  {artifact}\n", times.people(at)));
    }
    lines
}

fn lease(view: &SessionView, times: &Times) -> String {
    let length = format!("{} of at most {}", view.lease, view.lease_max);
    match view.lease_ends_at {
        Some(at) if view.state == SessionState::Active => {
            format!("{length}, {} left (until {})", times.left(at), times.people(at))
        }
        Some(at) => format!("{length}, until {}", times.people(at)),
        None => format!("{length}, counted from activation"),
    }
}

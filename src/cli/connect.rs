//! `breakglass connect`: a session that lives as long as one command.

use std::ffi::OsString;
use std::process::ExitStatus;
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::open::{RequestArgs, no_target};
use super::opening::{self, Happened, Opened};
use super::person::{self, Stop};
use super::signals::Caught;
use super::{Context, words};
use crate::domain::connect::{self, Environment};
use crate::error::{Kind, Report};
use crate::protocol::{SessionState, SessionView};

/// Run a command through a session, and end the session with it
///
/// Opens a session, runs the command with the endpoint in its environment, ends the session when
/// the command ends, and gives the command's exit code. Everything but the command's own output is
/// on standard error.
///
/// The command finds `BREAKGLASS_HOST`, `BREAKGLASS_PORT` and `BREAKGLASS_TARGET` in its
/// environment (`BREAKGLASS_SOCKET` where the endpoint is a UNIX socket), and what its kind of
/// target needs, such as `PGHOST` and `PGPORT`. Inherited variables that would lead it to another
/// server, such as `PGHOSTADDR` and `PGSERVICE`, are taken away. It runs as it stands, without a
/// shell.
///
/// Ctrl-C goes to the command. SIGTERM, and a terminal that goes away, end both. If the session
/// ends first (its lease, a lost provider, somebody ended it), the command gets SIGTERM, and five
/// seconds later SIGKILL.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct ConnectArgs {
    #[command(flatten)]
    pub request: RequestArgs,
    /// Reason for the session; it stands in the audit
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Command to run, with its arguments
    #[arg(last = true, required = true, value_name = "COMMAND", num_args = 1..)]
    pub command: Vec<OsString>,
}

const AFTER_HELP: &str = "\
Examples:
  breakglass connect orders-db --reason INC-42 -- psql -U ana orders
  breakglass connect cache --reason INC-42 -- sh -c 'redis-cli -p $BREAKGLASS_PORT info'

Exit codes:
  that of the command, once it ran; 128 and the signal's number if a signal ended it
  2    the command line is wrong
  3    the configuration is wrong
  4    policy refuses the session
  5    the target, its provider or the engine cannot be reached, or the session ended first
  6    something that the session made is not proven gone, and the command gave 0
  126  the command cannot be run
  127  there is no such command";

/// How the command came to its end.
enum Ran {
    /// By itself, with this exit code.
    Exited(u8),
    /// The session ended first.
    SessionEnded,
    /// This process was told to end.
    Told(Caught),
    /// It never ran.
    NotRun(u8, Report),
}

pub(super) async fn run(args: ConnectArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(perform(args, context).await)
}

async fn perform(args: ConnectArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let request = args.request.request(args.reason).ok_or_else(no_target)?;
    context.signals.listen(&[Caught::Interrupt, Caught::Terminate, Caught::HangUp])?;
    let mut opened = opening::open(request, false, context).await?;
    if opened.view.state != SessionState::Active {
        let terminal = context.out.terminal();
        context.out.talk(&words::exit_card(&opened.view, terminal));
        return match opened.caught.filter(|_| opened.view.state != SessionState::CleanupOwed) {
            Some(caught) => Ok(caught.exit_code()),
            None => Err(opening::not_active(&opened.view).into()),
        };
    }
    opening::tell_active(&opened, context);
    let ran = match start(&args.command, &opened.view) {
        Ok(child) => accompany(child, &mut opened, context).await?,
        Err((code, report)) => Ran::NotRun(code, report),
    };
    let early = ended_early(&opened.view);
    if opened.view.state == SessionState::Active {
        opened.end("the command has ended", context).await;
    }
    if opened.until_over(context).await? {
        let times = opened.follow.times(context.wall());
        let terminal = context.out.terminal();
        context.out.talk(&words::receipt(&opened.view, &times, terminal));
        context.out.talk(&words::exit_card(&opened.view, terminal));
    } else {
        context.out.talk(&opening::leaving(&opened.view));
    }
    Ok(outcome(ran, early, &opened.view, context)?)
}

fn start(command: &[OsString], view: &SessionView) -> Result<Child, (u8, Report)> {
    let (Some((program, arguments)), Some(endpoint)) = (command.split_first(), &view.endpoint)
    else {
        let report = Report::new(Kind::Internal, "the session is Active without an endpoint");
        return Err((Kind::Internal.exit_code(), report));
    };
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    lead_through(&mut command, connect::environment(&view.target, endpoint));
    command.spawn().map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let name = program.to_string_lossy();
        let report = Report::new(Kind::Usage, format!("cannot run `{name}`"))
            .because(error.to_string())
            .hint("put the command after `--`, and install it if it is missing");
        (if missing { 127 } else { 126 }, report)
    })
}

fn lead_through(command: &mut Command, environment: Environment) {
    for name in environment.removed {
        command.env_remove(name);
    }
    command.envs(environment.set);
}

/// Waits for the command, and sees to it that it does not outlive the session.
async fn accompany(
    mut child: Child,
    opened: &mut Opened<'_>,
    context: &mut Context<'_>,
) -> Result<Ran, Report> {
    loop {
        let happened = tokio::select! {
            status = child.wait() => return Ok(Ran::Exited(exit_code(status))),
            happened = opened.happens(context) => happened,
        };
        match happened {
            // The command has it too, and decides: it shares the terminal's foreground.
            Ok(Happened::Caught(Caught::Interrupt)) => {}
            Ok(Happened::Caught(caught)) => {
                terminate(&mut child).await;
                return Ok(Ran::Told(caught));
            }
            Ok(Happened::Seen(seen)) => opened.see(seen, context)?,
            Err(report) => {
                terminate(&mut child).await;
                return Err(report);
            }
        }
        if opened.view.state != SessionState::Active {
            context.out.talk("the session is over, so the command is ended too");
            terminate(&mut child).await;
            return Ok(Ran::SessionEnded);
        }
    }
}

async fn terminate(child: &mut Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A child that is gone already needs no signal.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn exit_code(status: std::io::Result<ExitStatus>) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let Ok(status) = status else { return Kind::Internal.exit_code() };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Why a session that is not Active any more came to its end.
fn ended_early(view: &SessionView) -> Option<String> {
    let reason = view.end_reason.clone().unwrap_or_else(|| view.state.to_string());
    (view.state != SessionState::Active).then(|| match &view.end_detail {
        Some(detail) => format!("{reason}: {detail}"),
        None => reason,
    })
}

fn outcome(
    ran: Ran,
    early: Option<String>,
    view: &SessionView,
    context: &mut Context<'_>,
) -> Result<u8, Report> {
    let owed = opening::verdict(view).err();
    let code = match ran {
        Ran::Exited(code) => code,
        Ran::Told(caught) => caught.exit_code(),
        Ran::NotRun(code, report) => {
            context.out.report(&report);
            code
        }
        Ran::SessionEnded => {
            let id = view.id.short();
            let report = Report::new(Kind::Unavailable, "the session ended before the command")
                .because(early.unwrap_or_default())
                .hint(format!("breakglass show {id}"));
            if owed.is_none() {
                return Err(report);
            }
            0
        }
    };
    match owed {
        Some(owed) if code == 0 => Err(owed),
        Some(owed) => {
            context.out.report(&owed);
            Ok(code)
        }
        None => Ok(code),
    }
}

/// How long a command has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::connect::EndpointAddress;
    use crate::domain::target::{Listen, Reachability, Target, TargetKind};

    #[tokio::test]
    async fn nothing_inherited_leads_the_command_elsewhere() {
        let target = Target {
            id: "orders".parse().unwrap(),
            name: "orders".into(),
            site: None,
            kind: TargetKind::Postgres,
            address: "orders.internal:5432".parse().unwrap(),
            reachability: Reachability::Auto,
            user: None,
            database: None,
            listen: Listen::Unix,
            idle: None,
            duration_max: None,
        };
        let endpoint = EndpointAddress::Unix { path: "/run/bg/7/.s.PGSQL.5432".into() };
        let mut command = Command::new("env");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("PGPASSWORD", "kept");
        for name in ["PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGSERVICEFILE", "PGDATABASE"] {
            command.env(name, "evil");
        }
        command.env("BREAKGLASS_HOST", "evil").env("BREAKGLASS_PORT", "evil");
        lead_through(&mut command, connect::environment(&target, &endpoint));
        let printed = String::from_utf8(command.output().await.unwrap().stdout).unwrap();
        let mut lines: Vec<_> = printed.lines().collect();
        lines.sort_unstable();
        insta::assert_snapshot!(lines.join("\n"), @r"
        BREAKGLASS_SOCKET=/run/bg/7/.s.PGSQL.5432
        BREAKGLASS_TARGET=orders
        PATH=/usr/bin:/bin
        PGHOST=/run/bg/7
        PGPASSWORD=kept
        PGPORT=5432
        ");
    }
}

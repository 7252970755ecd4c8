//! An engine in a process of its own: started for a verb, or handed everything by a host that
//! leaves.
//!
//! Giver and taker are joined by a socket pair that is the taker's standard input. The giver sends
//! a parcel, empty where there is nothing to hand over; the taker answers with one line once it
//! serves. Until then the giver keeps its own copies, and goes on with them if the taker fails.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::host::{self, Host, NoHost};
use super::settings;
use super::world::{self, World};
use crate::engine::{Parcel, ParcelError};
use crate::error::{Kind, Report};

/// Why no engine of its own was started.
pub(super) enum NotStarted {
    /// Another process holds the state: it hosts, or is about to.
    Held,
    /// Something is wrong.
    Failed(Report),
}

/// What the taker answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Serving { pid: u32 },
    Held,
    Failed(Report),
}

/// A hand-over that failed: the host goes on as it was.
pub(super) struct StayedHere {
    pub host: Host,
    pub why: Report,
}

/// Starts an engine of its own.
///
/// # Errors
///
/// When it says that it cannot serve.
pub(super) async fn start(world: &World) -> Result<(), NotStarted> {
    let (mut child, channel) = spawn(world).map_err(NotStarted::Failed)?;
    match give(Parcel::pack(vec![]), channel, world).await {
        (_, Ok(Answer::Serving { .. })) => Ok(()),
        (_, Ok(Answer::Held)) => Err(NotStarted::Held),
        (_, Ok(Answer::Failed(report))) => Err(NotStarted::Failed(report)),
        (_, Err(why)) => {
            end(&mut child);
            Err(NotStarted::Failed(why))
        }
    }
}

/// Hands everything over to an engine of its own, and returns its process id.
///
/// # Errors
///
/// When the other engine does not come up; this process then goes on hosting, or, where even that
/// fails, the report alone.
pub(super) async fn hand_over(
    world: &World,
    host: Host,
) -> Result<u32, Result<StayedHere, Report>> {
    let (mut child, channel) = match spawn(world) {
        Ok(spawned) => spawned,
        Err(why) => return Err(Ok(StayedHere { host, why })),
    };
    let Some(parcel) = host.take_apart().await else {
        end(&mut child);
        return Err(Err(Report::new(Kind::Internal, "the engine went away during the hand-over")));
    };
    let (parcel, answer) = give(parcel, channel, world).await;
    let why = match answer {
        Ok(Answer::Serving { pid }) => return Ok(pid),
        Ok(Answer::Failed(report)) | Err(report) => report,
        Ok(Answer::Held) => Report::new(Kind::Internal, "the lock did not arrive"),
    };
    end(&mut child);
    let configured = |lives| settings::configured(world, settings::load(world), lives);
    match Host::start(world, configured, false, parcel).await {
        Ok(host) => Err(Ok(StayedHere { host, why })),
        Err(error) => Err(Err(error.report())),
    }
}

/// Is the engine, until nothing lives any more or somebody stops it.
///
/// # Errors
///
/// When it cannot serve; whoever started it is told too.
pub(super) async fn be_the_engine(world: &World) -> Result<u8, Report> {
    let channel = giver();
    // Away from the terminal and its signals. Whoever leads a process group stays where it is.
    rustix::process::setsid().ok();
    let (parcel, mut channel) = match channel {
        Some(mut channel) => {
            let received = tokio::task::spawn_blocking(move || {
                Parcel::receive(&mut channel).map(|parcel| (parcel, channel))
            });
            let received = received.await.map_err(|error| Report::of(Kind::Internal, &error))?;
            let (parcel, channel) =
                received.map_err(|error| Report::of(Kind::Unavailable, &error))?;
            (parcel, Some(channel))
        }
        None => (Parcel::pack(vec![]), None),
    };
    let configured = |lives| settings::configured(world, settings::load(world), lives);
    let started = Host::start(world, configured, true, parcel).await;
    let answer = match &started {
        Ok(_) => Answer::Serving { pid: std::process::id() },
        Err(NoHost::Held(_)) => Answer::Held,
        Err(NoHost::Failed(report)) => Answer::Failed(report.clone()),
    };
    if let Some(channel) = &mut channel {
        let line = serde_json::to_string(&answer).unwrap_or_default();
        // A giver that is gone goes on without us, and we without it.
        writeln!(channel, "{line}").ok();
        leave_terminal();
    }
    drop(channel);
    let host = started.map_err(NoHost::report)?;
    until_done(world, host).await?;
    Ok(0)
}

/// Hosts until nothing lives any more or somebody stops it.
///
/// # Errors
///
/// When signals cannot be listened for.
pub(super) async fn until_done(world: &World, mut host: Host) -> Result<(), Report> {
    let broken = |error: std::io::Error| Report::of(Kind::Internal, &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(broken)?;
    loop {
        tokio::select! {
            _ = host.running.finished() => {
                host::clear_away(world);
                return Ok(());
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {}
        }
    }
    host.stop(world).await;
    Ok(())
}

/// Sends a parcel and waits for the answer, in a thread that may block.
async fn give(
    parcel: Parcel,
    channel: UnixStream,
    world: &World,
) -> (Parcel, Result<Answer, Report>) {
    let (mut channel, log_dir) = (channel, world.places.state_dir.clone());
    let given = tokio::task::spawn_blocking(move || {
        let answer = exchange(&parcel, &mut channel, &log_dir);
        (parcel, answer)
    });
    given
        .await
        .unwrap_or_else(|error| (Parcel::pack(vec![]), Err(Report::of(Kind::Internal, &error))))
}

fn exchange(parcel: &Parcel, channel: &mut UnixStream, log_dir: &Path) -> Result<Answer, Report> {
    let ended = || {
        let logs = log_dir.join("breakglass.*.log");
        Report::new(Kind::Unavailable, "the engine did not start")
            .because("it ended at once")
            .hint(format!("see whether the log says why: {}", logs.display()))
    };
    let broken = |error: &io::Error| match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ended(),
        _ => Report::new(Kind::Unavailable, "the engine did not start").because(error.to_string()),
    };
    channel.set_read_timeout(Some(ANSWER_LIMIT)).map_err(|error| broken(&error))?;
    channel.set_write_timeout(Some(ANSWER_LIMIT)).map_err(|error| broken(&error))?;
    parcel.send(channel).map_err(|error| match error {
        ParcelError::Io(error) => broken(&error),
        other => broken(&io::Error::other(other)),
    })?;
    let mut line = String::new();
    BufReader::new(channel).read_line(&mut line).map_err(|error| broken(&error))?;
    if line.is_empty() {
        return Err(ended());
    }
    serde_json::from_str(&line).map_err(|error| broken(&error.into()))
}

fn spawn(world: &World) -> Result<(Child, UnixStream), Report> {
    let broken = |error: std::io::Error| {
        Report::new(Kind::Unavailable, "the engine did not start").because(error.to_string())
    };
    let (ours, theirs) = UnixStream::pair().map_err(broken)?;
    let program = std::env::current_exe().map_err(broken)?;
    let mut command = command(world, &program);
    if let Some(file) = &world.overrides.config_file {
        command.arg("--config").arg(file);
    }
    if let Some(dir) = &world.overrides.state_dir {
        command.arg("--state-dir").arg(dir);
    }
    command
        .args(["--personal", "engine", "--detached"])
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().map_err(broken)?;
    Ok((child, ours))
}

/// Where lingering is on, logind may still end what a login started: the engine gets a unit of its
/// own under the user's manager (systemd-run(1), loginctl(1)).
fn command(world: &World, program: &Path) -> Command {
    if world::is_managed()
        && world::lingers(&world.operator)
        && world.variable("XDG_RUNTIME_DIR").is_some()
    {
        let mut command = Command::new("systemd-run");
        command.args(["--user", "--scope", "--quiet", "--collect", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// The giver's end of the pair, where standard input is one.
fn giver() -> Option<UnixStream> {
    let stdin = std::io::stdin();
    let is_pair = rustix::net::sockopt::socket_domain(stdin.as_fd())
        .is_ok_and(|domain| domain == rustix::net::AddressFamily::UNIX);
    let copied = is_pair.then(|| stdin.as_fd().try_clone_to_owned().ok()).flatten()?;
    Some(UnixStream::from(copied))
}

/// Lets go of the pair on standard input, so that the giver sees it close.
fn leave_terminal() {
    if let Ok(nothing) = std::fs::File::open("/dev/null") {
        // Failing leaves the pair open, which harms nobody.
        rustix::stdio::dup2_stdin(nothing).ok();
    }
}

fn end(child: &mut Child) {
    // One that has ended by itself needs no end.
    child.kill().ok();
    child.wait().ok();
}

const ANSWER_LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_ends_without_an_answer_is_said_to_have_ended() {
        let nothing = Parcel::pack(vec![]);
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let silent = exchange(&nothing, &mut ours, Path::new("/state")).unwrap_err();
        drop(theirs);
        let gone = exchange(&nothing, &mut ours, Path::new("/state")).unwrap_err();
        assert_eq!(silent, gone);
        insta::assert_snapshot!(gone, @r"
        unavailable: the engine did not start
          because: it ended at once
          hint: see whether the log says why: /state/breakglass.*.log
        ");
    }
}

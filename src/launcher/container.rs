//! Starts containers with Docker or Podman, on this host or over SSH.
//!
//! Variables, secret ones among them, go through standard input into `--env-file`: they stand in no
//! argument. What can read the engine's socket can read them in `inspect`, as with every container.
//!
//! Podman has a limit of its own (`--timeout`, podman-run(1)), held by `conmon` whatever becomes of
//! the command. Docker has none. There a timer is started first: a detached `sleep` on the host of the
//! command, which then removes the container. It bears the mark in its environment and goes with
//! the container. It does not outlive a reboot; neither does the container run after one.

use async_trait::async_trait;
use serde_json::Value;

use super::Waits;
use super::marked;
use super::order::{LINES_MAX, Order};
use super::transport::{Lost, Transport};
use super::way::{Failed, Seen, Way, prefix};
use crate::clock::Stopwatch;
use crate::domain::id::InstallationId;
use crate::domain::launcher::{ContainerEngine, ContainerLauncher};
use crate::domain::probe::ProbeCheck;
use crate::domain::text;
use crate::domain::time::Span;
use crate::process::{Ran, Variables};
use crate::session::Undone;
use crate::ssh::Ssh;

/// A container engine.
pub(super) struct Containers<'a> {
    settings: &'a ContainerLauncher,
    transport: Transport,
}

impl<'a> Containers<'a> {
    /// Makes the way.
    pub fn new(
        settings: &'a ContainerLauncher,
        ssh: &Ssh,
        variables: &Variables,
        waits: &Waits,
    ) -> Self {
        let transport = match &settings.over {
            Some(to) => Transport::over(ssh.clone(), to.clone(), waits),
            None => Transport::here(variables.clone(), waits),
        };
        Self { settings, transport }
    }

    fn command(&self, words: &[&str]) -> Vec<String> {
        let sudo = if self.settings.sudo { &["sudo", "-n"][..] } else { &[] };
        let engine = self.settings.engine.as_str();
        [sudo, &[engine], words].concat().into_iter().map(ToOwned::to_owned).collect()
    }

    async fn run(&self, words: &[&str], limit: Span) -> Result<Ran, Lost> {
        self.transport.run(self.command(words), b"", limit).await
    }

    /// Runs a command that must end well, and returns what it says.
    async fn ask(&self, words: &[&str]) -> Result<String, String> {
        let ran = self.run(words, ASK_MAX).await.map_err(|lost| lost.why)?;
        if ran.is_well() { Ok(ran.stdout) } else { Err(self.trouble(&ran)) }
    }

    fn has_timer(&self) -> bool {
        self.settings.engine == ContainerEngine::Docker
    }

    /// What went wrong, and what to do where that is known.
    fn trouble(&self, ran: &Ran) -> String {
        let engine = self.settings.engine.as_str();
        let place = self.transport.place();
        let said = ran.stderr.to_ascii_lowercase();
        if ran.code == Some(127) || said.contains("command not found") {
            format!("`{engine}` is not installed on {place}, or not in the PATH there")
        } else if said.contains("permission denied while trying to connect") {
            format!(
                "`{engine}` on {place} is closed to this user: add the user to its group, or set \
                 `sudo = true` in `[site.launcher]`"
            )
        } else if said.contains("a password is required") {
            format!(
                "`sudo` on {place} asks for a password: allow `{engine}` without one, or set \
                     `sudo = false` in `[site.launcher]`"
            )
        } else if said.contains("cannot connect to the docker daemon") {
            format!("no `{engine}` daemon answers on {place}: {}", ran.complaint())
        } else {
            format!("`{engine}` on {place} says: {}", ran.complaint())
        }
    }

    /// Reads the state of a container in a list that was asked for it alone.
    fn state<'s>(&self, said: &'s str, name: &str) -> Result<Option<&'s str>, String> {
        let mut state = None;
        for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
            // Whatever else is said there, it is no list in which it is missing.
            let (names, its_state) = line.split_once(' ').ok_or_else(|| self.odd(line))?;
            if !names.split(',').any(|it| it == name) {
                return Err(self.odd(line));
            }
            state = Some(its_state);
        }
        Ok(state)
    }

    fn odd(&self, line: &str) -> String {
        let (engine, place) = (self.settings.engine.as_str(), self.transport.place());
        format!("`{engine}` on {place} answers oddly: {}", text::shown(line))
    }

    fn run_words(&self, order: &Order<'_>) -> Vec<String> {
        let spec = order.spec;
        let name = order.name();
        let labels = [
            ("installation", spec.marker.installation.to_string()),
            ("session", spec.marker.session.clone()),
            ("expires", spec.ends_at.to_rfc3339()),
        ];
        let mut words = self.command(&["run", "--detach", "--name", &name]);
        for (label, value) in labels {
            words.extend(["--label".to_owned(), format!("breakglass.{label}={value}")]);
        }
        words.extend(HARDENED.map(ToOwned::to_owned));
        for folder in &spec.scratch {
            words.extend(["--tmpfs".to_owned(), folder.clone()]);
        }
        if !self.has_timer() {
            words.extend(["--timeout".to_owned(), order.seconds.to_string()]);
        }
        words.push(spec.image.clone());
        words.extend(spec.arguments.iter().cloned());
        words
    }
}

#[async_trait]
impl Way for Containers<'_> {
    async fn see(&self, name: &str) -> Result<Seen, String> {
        let filter = format!("name=^/?{name}$");
        let format = "{{.Names}} {{.State}}";
        let said = self.ask(&["ps", "--all", "--filter", &filter, "--format", format]).await?;
        let state = self.state(&said, name)?;
        let is_running = |state: &str| {
            let state = state.to_ascii_lowercase();
            state.starts_with("running") || state.starts_with("up")
        };
        match state {
            Some(state) if is_running(state) => return Ok(Seen::Runs),
            Some(_) => return Ok(Seen::Left),
            None => {}
        }
        if !self.has_timer() {
            return Ok(Seen::Absent);
        }
        let timer = marked::see(&self.transport, name).await?;
        Ok(if timer == Seen::Absent { Seen::Absent } else { Seen::Left })
    }

    async fn launch(&self, order: &Order<'_>) -> Result<Value, Failed> {
        if order.spec.image.is_empty() {
            let what = text::shown(&order.spec.what);
            return Err(Failed::Refused(format!("no image of the {what} is known")));
        }
        let (name, seconds) = (order.name(), order.seconds.to_string());
        let timer = if self.has_timer() { TIMER } else { "" };
        let sudo = if self.settings.sudo { "sudo -n" } else { "" };
        let engine = self.settings.engine.as_str();
        let words = ["sh", "-c", RUN, "breakglass", timer, &name, &seconds, sudo, engine];
        let mut words: Vec<String> = words.map(ToOwned::to_owned).into();
        words.extend(self.run_words(order));
        let ran = self.transport.run(words, &order.plain_lines(), START_MAX).await?;
        let ran = order.scrubbed(ran);
        if ran.is_well() { Ok(Value::Null) } else { Err(Failed::of(&ran, self.trouble(&ran))) }
    }

    async fn stop(&self, name: &str) -> Undone {
        let removed = match self.run(&["rm", "--force", name], STOP_MAX).await {
            Ok(ran) if ran.is_well() || says_gone(&ran.stderr) => Ok(()),
            Ok(ran) => Err(self.trouble(&ran)),
            Err(lost) => Err(lost.why),
        };
        // The timer last: where the container could not be removed, it will be.
        let ended = match removed {
            Ok(()) if self.has_timer() => marked::end(&self.transport, name).await,
            removed => removed,
        };
        ended.map_or_else(Undone::Problem, |()| Undone::Sent)
    }

    async fn logs(&self, name: &str) -> Result<String, String> {
        let lines = LINES_MAX.to_string();
        let ran = self.run(&["logs", "--tail", &lines, name], ASK_MAX).await;
        let ran = ran.map_err(|lost| lost.why)?;
        if ran.is_well() { Ok(ran.stdout + &ran.stderr) } else { Err(self.trouble(&ran)) }
    }

    async fn list(&self, installation: &InstallationId) -> Result<Vec<String>, String> {
        let filter = format!("label=breakglass.installation={installation}");
        let words = ["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"];
        let mut names: Vec<_> =
            self.ask(&words).await?.lines().map(|line| line.trim().to_owned()).collect();
        if self.has_timer() {
            names.extend(marked::list(&self.transport, &prefix(installation)).await?);
        }
        Ok(names)
    }

    async fn validate(&self) -> Vec<ProbeCheck> {
        let watch = Stopwatch::start();
        let engine = self.settings.engine.as_str();
        let version = self.ask(&["version", "--format", "{{.Server.Version}}"]).await;
        let found = version.map(|said| format!("version {}", text::shown(said.trim())));
        let is_there = found.is_ok();
        let millis = watch.elapsed().as_millis();
        let mut checks = vec![ProbeCheck { name: engine.to_owned(), needed: true, found, millis }];
        if is_there && self.has_timer() {
            checks.push(marked::tools(&self.transport, "timer", &["setsid", "sleep"]).await);
        }
        checks
    }

    fn expires(&self, at: &str) -> String {
        let place = self.transport.place();
        match self.settings.engine {
            ContainerEngine::Podman => {
                format!("podman on {place} ends it at {at}, which cannot be moved later")
            }
            ContainerEngine::Docker => {
                format!("a timer on {place} removes it at {at}, which cannot be moved later")
            }
        }
    }

    fn by_hand(&self, name: &str) -> Vec<Vec<String>> {
        let words = self.command(&["rm", "--force", name]);
        let mut commands = vec![self.transport.by_hand(&words)];
        if self.has_timer() {
            commands.push(self.transport.by_hand(&marked::by_hand(name)));
        }
        commands
    }

    fn noun(&self) -> &'static str {
        "container"
    }
}

fn says_gone(complaint: &str) -> bool {
    let said = complaint.to_ascii_lowercase();
    !said.is_empty()
        && said
            .lines()
            .all(|line| line.contains("no such container") || line.contains("no container with"))
}

/// Nothing of the host, nothing of the image's, no rights beyond its own.
const HARDENED: [&str; 11] = [
    "--env-file",
    "/dev/stdin",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--pull",
    "missing",
    "--restart",
    "no",
];

/// Starts a timer where there is to be one, then the container.
const RUN: &str = include_str!("container/run.sh");
/// Waits, then removes the container.
const TIMER: &str = include_str!("container/timer.sh");

const ASK_MAX: Span = Span::from_seconds(15);
const STOP_MAX: Span = Span::from_seconds(30);
/// An image may have to be fetched first.
const START_MAX: Span = Span::from_minutes(3);

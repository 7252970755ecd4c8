//! Sees what can be done at a bastion, ability by ability, and cheaply how it does.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Bastion;
use super::opening::{Unreached, reaches};
use super::steps::{Action, Does};
use crate::domain::probe::Probe;
use crate::domain::provider::{Health, Validation};
use crate::domain::ssh::SshDestination;
use crate::domain::target::Address;
use crate::domain::text::shown;
use crate::domain::time::{Span, Timestamp};
use crate::process::{self, Program};
use crate::provider::checks::Checks;
use crate::ssh::failure::ChannelTrouble;
use crate::ssh::folder::{Folder, write};
use crate::ssh::reading::{Logs, place};
use crate::ssh::{SshFailure, Trouble, config, key};

impl Bastion {
    /// Looks at everything that a session will need, in the order in which it needs it. What comes
    /// after something that is missing is not looked at.
    pub(super) async fn abilities(&self, now: Timestamp) -> Validation {
        let mut checks = Checks::start();
        self.look_at_all(&mut checks, now).await.ok();
        Validation { probe: Probe { at: now, checks: checks.into_list() }, key_expires_at: None }
    }

    async fn look_at_all(&self, checks: &mut Checks, now: Timestamp) -> Result<(), ()> {
        // All of it in one turn: each look starts several programs and signs in.
        let Ok(_turn) = self.turns.acquire().await else { return Err(()) };
        checks.note(PROGRAM, self.program().await)?;
        let resolved = self.resolved().await;
        checks.note(CONFIGURATION, resolved.map(|it| it.to_string()))?;
        let key = match self.key.get(&self.id).await {
            Ok(key) => key,
            Err(why) => return checks.note(SIGN_IN, Err(why)),
        };
        // With what is no key nothing is tried, so nothing else was seen either.
        if let Some(fault) = key.as_ref().and_then(|given| key::check(given).err()) {
            return checks.note(SIGN_IN, Err(fault.to_string()));
        }
        let (action, _folder) = match self.trial(now) {
            Ok(trial) => trial,
            Err(failure) => return checks.note(CONFIGURATION, Err(failure.to_string())),
        };
        let master = action.master();
        let started = master.start(&self.ssh, &action.bastion, key.as_ref(), TRIAL).await;
        let logs = Logs::read(&master.log(), action.bastion.jump.len());
        let failed = started.as_ref().err().map(|failure| stage(failure.trouble()));
        let why = started.err().map(|failure| failure.to_string());
        for name in [CONNECTION, HOST_KEY, SIGN_IN] {
            let said = match &why {
                Some(why) if failed == Some(name) => Err(why.clone()),
                _ => Ok(found(name, &logs, &action.bastion)),
            };
            if checks.note(name, said).is_err() {
                break;
            }
        }
        if why.is_none() {
            checks.also(FORWARDING, forwarding(reaches(&action).await, &action));
        }
        if let Err(why) = master.end().await {
            tracing::warn!(%why, "a trial connection is left to its deadline");
        }
        Ok(())
    }

    /// A connection that is made to see whether it can be made.
    fn trial(&self, now: Timestamp) -> Result<(Action, Folder), SshFailure> {
        let no = |why: String| Trouble::Prepare { what: self.id.to_string(), why };
        let bastion = self.destination().map_err(no)?.clone();
        let target = Address::new("127.0.0.1", HARMLESS).map_err(|error| no(error.to_string()))?;
        let folder = Folder::fresh(&self.ssh)?;
        let (path, name) = (folder.path().to_owned(), crate::ssh::TRIAL.to_owned());
        let does = Does::Connect;
        Ok((Action { does, bastion, target, folder: path, name, needed_until: now }, folder))
    }

    async fn program(&self) -> Result<String, String> {
        let ran = process::run(Program::new(["ssh", "-V"]).with(&self.ssh.variables)).await;
        let ran = ran.map_err(|error| format!("{error}; install the OpenSSH client"))?;
        let said = ran.stderr.lines().next().unwrap_or_default();
        if ran.is_well() && said.starts_with("OpenSSH_") {
            Ok(shown(said.split(',').next().unwrap_or(said)))
        } else {
            Err(format!("`ssh` is not OpenSSH ({}); install the OpenSSH client", ran.complaint()))
        }
    }

    /// Asks `ssh` what it makes of all configuration together.
    async fn resolved(&self) -> Result<Resolved, String> {
        let to = self.destination()?;
        let folder = Folder::fresh(&self.ssh).map_err(|failure| failure.to_string())?;
        let (file, log) = (folder.path().join("config"), folder.path().join("log"));
        let text = config::file(&self.ssh.whose, to, None).map_err(|it| it.to_string())?;
        write(&file, &text)
            .map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
        let mut words = config::words(&file, &log, to);
        words.extend(["-G", "--", to.host.as_str()].map(str::to_owned));
        let ran = process::run(Program::new(words).with(&self.ssh.variables)).await;
        let ran = ran.map_err(|error| error.to_string())?;
        match Resolved::read(&ran.stdout) {
            Some(resolved) if ran.is_well() => Ok(resolved),
            _ => {
                let logs = Logs::read(&log, 0);
                let known_hosts = self.ssh.known_hosts(to);
                Err(crate::ssh::reading::failure(&logs, to, &known_hosts).to_string())
            }
        }
    }

    /// Sees how it does: a plain connection that the server answers, or, where there is more on the
    /// way than a plain connection, a sign-in.
    pub(super) async fn health(&self) -> Health {
        let well = match self.resolved().await {
            Ok(resolved) if resolved.is_plain => greets(&resolved).await,
            Ok(_) => self.signs_in().await,
            Err(why) => Err(why),
        };
        well.map_or_else(|why| Health::Down { why }, |()| Health::Healthy)
    }

    async fn signs_in(&self) -> Result<(), String> {
        let Ok(_turn) = self.turns.acquire().await else { return Ok(()) };
        let key = self.key.get(&self.id).await?;
        let (action, _folder) =
            self.trial(Timestamp::default()).map_err(|failure| failure.to_string())?;
        let master = action.master();
        let started = master.start(&self.ssh, &action.bastion, key.as_ref(), TRIAL).await;
        master.end().await?;
        started.map_err(|failure| failure.to_string())
    }
}

/// What `ssh -G` says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Resolved {
    user: String,
    host: String,
    port: u16,
    /// True where a plain TCP connection leads there.
    is_plain: bool,
}

impl Resolved {
    fn read(text: &str) -> Option<Self> {
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let none = |name: &str| value(name).is_none_or(|it| it == "none");
        Some(Self {
            user: shown(value("user")?),
            host: shown(value("hostname")?),
            port: value("port")?.parse().ok()?,
            is_plain: none("proxycommand") && none("proxyjump"),
        })
    }
}

impl std::fmt::Display for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = if self.is_plain { "" } else { ", over hosts on the way" };
        write!(f, "{}@{} port {}{way}", self.user, self.host, self.port)
    }
}

/// Sees whether an SSH server answers a plain connection.
async fn greets(at: &Resolved) -> Result<(), String> {
    let place = format!("{}:{}", at.host, at.port);
    let silent = || Trouble::TimedOut { place: place.clone() }.to_string();
    let greeting = async {
        let mut stream = TcpStream::connect((at.host.as_str(), at.port)).await?;
        let mut said = vec![];
        let mut chunk = [0; 512];
        while said.len() < GREETING_BYTES_MAX {
            match stream.read(&mut chunk).await? {
                0 => break,
                count => said.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            }
            if said.windows(8).any(|window| window == b"SSH-2.0-") {
                return Ok(true);
            }
        }
        Ok::<_, std::io::Error>(false)
    };
    match timeout(GREETS_WITHIN, greeting).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Trouble::TooManyStarts { place }.to_string()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(Trouble::Refused { place }.to_string())
        }
        Ok(Err(error)) => Err(Trouble::Unreachable { place, why: error.to_string() }.to_string()),
        Err(_) => Err(silent()),
    }
}

/// What was seen of something that went well.
fn found(name: &str, logs: &Logs, to: &SshDestination) -> String {
    let after = |start: &str| logs.main.lines().find_map(|line| line.strip_prefix(start));
    match name {
        HOST_KEY => {
            let key = after("debug1: Server host key: ").unwrap_or("it");
            format!("known: {}", shown(key))
        }
        SIGN_IN => {
            // `/home/ana/.ssh/id ED25519 SHA256:abc agent`
            let key =
                after("debug1: Server accepts key: ").map(|key| format!(" with {}", shown(key)));
            format!("accepted{}", key.unwrap_or_default())
        }
        _ => format!("{} answers", place(to)),
    }
}

/// Which of the checks a trouble belongs to.
fn stage(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::HostKeyUnknown { .. }
        | Trouble::HostKeyChanged { .. }
        | Trouble::HostKeyRevoked { .. }
        | Trouble::HostKeyForged { .. } => HOST_KEY,
        Trouble::NoKey { .. }
        | Trouble::NotAccepted { .. }
        | Trouble::TooManyKeys { .. }
        | Trouble::KeyFile { .. }
        | Trouble::Key { .. } => SIGN_IN,
        _ => CONNECTION,
    }
}

/// Nothing listens at the harmless address, so that a refusal by that host itself says that it passes
/// connections on.
fn forwarding(reached: Result<(), Unreached>, action: &Action) -> Result<String, String> {
    match reached {
        Ok(()) | Err(Unreached::Target(ChannelTrouble::Refused { .. })) => {
            Ok("it passes connections on".to_owned())
        }
        Err(Unreached::Target(ChannelTrouble::Prohibited { .. })) => Err(format!(
            "not allowed to {}; it may be allowed to your targets alone (PermitOpen, permitopen), \
             which is seen when one is opened; else ask for AllowTcpForwarding",
            action.target
        )),
        Err(Unreached::Target(other)) => Err(other.to_string()),
        Err(Unreached::Connection(error)) => Err(format!("the ssh connection: {error}")),
    }
}

const PROGRAM: &str = "ssh";
const CONFIGURATION: &str = "configuration";
const CONNECTION: &str = "connection";
const HOST_KEY: &str = "host key";
const SIGN_IN: &str = "sign-in";
const FORWARDING: &str = "forwarding";
/// The port of `discard`, on which hardly anything listens.
const HARMLESS: u16 = 9;
/// After how long a trial connection ends by itself.
const TRIAL: Span = Span::from_seconds(60);
const GREETS_WITHIN: Duration = Duration::from_secs(5);
const GREETING_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_makes_of_its_configuration_is_read() {
        let plain = "user ops\nhostname 10.0.0.5\nport 2222\nproxyjump none\n";
        let resolved = Resolved::read(plain).unwrap();
        assert_eq!(
            (resolved.to_string().as_str(), resolved.is_plain),
            ("ops@10.0.0.5 port 2222", true)
        );
        let far = "user ops\nhostname b\nport 22\nproxycommand nc -X 5 %h %p\n";
        assert!(!Resolved::read(far).unwrap().is_plain);
        assert_eq!(Resolved::read("user ops\nport 22\n"), None);
    }
}

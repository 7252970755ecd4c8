//! What the process is given: the only reader of the environment.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::cli::output::{Format, Terminal};
use crate::cli::{AtStdin, Global, Host};
use crate::config::{ConfigError, Environment, Overrides, Places};
use crate::domain::operator::Operator;
use crate::domain::text;
use crate::error::Report;
use crate::protocol::Origin;
use crate::socket;

/// What the process is given.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub environment: BTreeMap<String, String>,
    pub places: Places,
    pub overrides: Overrides,
    /// The engine of this host, where it has one that this process is to use.
    pub of_host: Option<Places>,
    /// True where this process is that engine.
    pub is_system: bool,
    pub operator: Operator,
    pub host: String,
    pub terminal: Terminal,
    pub format: Format,
    pub plain: bool,
}

impl World {
    /// Reads it all, once.
    ///
    /// # Errors
    ///
    /// When there is no place to keep state.
    pub fn read(global: &Global, is_system: bool) -> Result<Self, Report> {
        let overrides =
            Overrides { config_file: global.config.clone(), state_dir: global.state_dir.clone() };
        let uid = rustix::process::getuid().as_raw();
        let operator = Operator::unix(uid, user_name(uid));
        let root = global.root.as_deref().unwrap_or(Path::new("/"));
        if !root.is_absolute() {
            return Err(ConfigError::Relative(root.to_owned()).report());
        }
        let of_host = Places::of_host(root);
        if is_system {
            return Ok(Self::of_system(global, of_host, operator));
        }
        // Its folder is there as long as its unit is: an engine that just starts has no socket yet.
        let own = global.personal || global.state_dir.is_some();
        let of_host = Some(of_host).filter(|it| !own && it.runtime_dir.symlink_metadata().is_ok());
        let surroundings = Environment::of_this_process()
            .without_fleeting_runtime(uid, !is_managed() || lingers(&operator));
        let places = Places::new(&surroundings, &overrides).map_err(|error| error.report())?;
        Ok(Self {
            environment: environment(),
            places,
            overrides,
            of_host,
            is_system: false,
            operator,
            host: host_name(),
            terminal: terminal(global.plain),
            format: if global.json { Format::Json } else { Format::Text },
            plain: global.plain,
        })
    }

    /// The engine of the host: nothing comes from the environment but what systemd says.
    fn of_system(global: &Global, places: Places, operator: Operator) -> Self {
        let mut environment = environment();
        environment.retain(|name, _| FROM_SYSTEMD.contains(&name.as_str()));
        Self {
            environment,
            places,
            overrides: Overrides::default(),
            of_host: None,
            is_system: true,
            operator,
            host: host_name(),
            terminal: terminal(true),
            format: if global.json { Format::Json } else { Format::Text },
            plain: true,
        }
    }

    /// The same process with everything that it keeps in another directory.
    ///
    /// # Errors
    ///
    /// When that is not absolute.
    pub fn with_state_in(&self, dir: &Path) -> Result<Self, Report> {
        let overrides = Overrides {
            config_file: Some(dir.join("config.toml")),
            state_dir: Some(dir.to_owned()),
        };
        let places = Places::new(&Environment::default(), &overrides);
        let places = places.map_err(|error| error.report())?;
        Ok(Self { places, overrides, of_host: None, ..self.clone() })
    }

    /// Where the engine's socket is made.
    pub fn socket(&self) -> PathBuf {
        self.places.socket()
    }

    /// Who calls, and where they sit: what an engine in another process would find out.
    pub fn origin(&self) -> Origin {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        socket::origin_of(self.operator.uid, Some(pid))
    }

    /// A variable of the environment, where it is not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Who sits at standard input.
    pub fn person(&self) -> AtStdin {
        let dumb = self.variable("TERM").is_none_or(|term| term == "dumb");
        AtStdin { sequences: !self.plain && !dumb }
    }

    /// The file whose text opens the vault: systemd's credential, where there is one.
    pub fn passphrase_file(&self) -> Option<PathBuf> {
        let credentials = self.variable("CREDENTIALS_DIRECTORY").filter(|_| self.is_system)?;
        Some(Path::new(credentials).join("vault-passphrase")).filter(|file| file.exists())
    }

    /// What verbs know of the process.
    pub fn for_verbs(&self) -> Host {
        let engine = self.of_host.as_ref().unwrap_or(&self.places);
        Host {
            uid: self.operator.uid,
            environment: self.environment.clone(),
            state_dir: engine.state_dir.clone(),
            socket: engine.socket(),
            of_host: self.of_host.is_some(),
            stdin_tty: std::io::stdin().is_terminal(),
        }
    }
}

/// What standard output and standard error are, before the command line is understood.
pub(super) fn terminal(plain: bool) -> Terminal {
    let tty = std::io::stdout().is_terminal();
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col);
    let columns = columns.filter(|columns| tty && *columns > 0).map(usize::from);
    let terminal = Terminal::new(&environment(), tty, columns, plain);
    // What is drawn over is talk, on standard error.
    Terminal { live: terminal.live && std::io::stderr().is_terminal(), ..terminal }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> BTreeMap<String, String> {
    // A variable that is no text is none of ours.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// True where systemd runs the system: logind then removes the runtime directory of a user who has
/// left (logind.conf(5)).
pub(super) fn is_managed() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// True where what a user started may go on after the last login is over (loginctl(1)).
pub(super) fn lingers(operator: &Operator) -> bool {
    Path::new("/var/lib/systemd/linger").join(&operator.name).exists()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What systemd tells its units: where to say that one is ready, and where credentials lie.
const FROM_SYSTEMD: [&str; 2] = ["NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"];

fn user_name(uid: u32) -> String {
    let known = uzers::get_user_by_uid(uid);
    let name = known.map(|user| user.name().to_string_lossy().into_owned());
    name.map_or_else(|| format!("uid {uid}"), |name| text::shown(&name))
}

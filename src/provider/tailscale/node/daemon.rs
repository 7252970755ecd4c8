//! A private `tailscaled`: a process of its own, without privilege, that ends by itself.
//!
//! Everything of it lies in one private folder. Its state folder, in that one, is named by the
//! mark, and stands in its arguments: so its processes are found again without our notes.

use std::ffi::OsString;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::time::sleep;

use super::complaint;
use super::host::HOST_SOCKETS;
use super::local::LocalApi;
use crate::domain::text;
use crate::domain::time::Span;
use crate::process::{self, Keep, Program, RunError, Variables};
use crate::ssh::folder;

/// The `tailscaled` that is installed here, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tailscaled {
    /// The program.
    pub program: OsString,
    /// What it finds in its environment: `PATH`, and proxies where they are obeyed.
    pub variables: Variables,
    /// A file of further certificates to trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// True where it would run as root.
    pub is_root: bool,
    /// Where this host's own daemon would listen.
    pub host: Vec<PathBuf>,
}

/// Where everything of one private daemon lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    folder: PathBuf,
    name: String,
}

/// Why there is no private daemon.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DaemonTrouble {
    /// The program is not there.
    #[error(
        "`{program}` is not installed on this host; install Tailscale 1.98 or later \
         (https://tailscale.com/download); its service need not run"
    )]
    NotInstalled {
        /// Which one.
        program: String,
    },
    /// It cannot be run.
    #[error("`tailscaled --version` says nothing of use: {why}")]
    NoVersion {
        /// Why.
        why: String,
    },
    /// It is too old.
    #[error(
        "the `tailscaled` of this host is {version}; install 1.98 or later: \
         an older one connects past the tailnet where a route is missing"
    )]
    TooOld {
        /// Its version.
        version: String,
    },
    /// It would get in the way of this host's own one.
    #[error(
        "this engine runs as root beside this host's own `tailscaled` (`{socket}`), and a second one \
         as root takes the names of the first out of this host; run the engine as a user of its own"
    )]
    RootBesideHost {
        /// Where that one listens.
        socket: String,
    },
    /// The path of its socket is too long for the system.
    #[error(
        "the folder `{folder}` has too long a name for a socket; its path may have {most} bytes"
    )]
    TooLong {
        /// Which one.
        folder: String,
        /// How long it may be.
        most: usize,
    },
    /// Something that it needs cannot be made.
    #[error("cannot make ready `{what}`: {why}")]
    Prepare {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// It has ended before it was of use.
    #[error("`tailscaled` ended at once: {why}")]
    Ended {
        /// Its words.
        why: String,
    },
    /// It runs, and does not answer.
    #[error("`tailscaled` does not answer within {limit}; its last words: {why}")]
    Silent {
        /// How long was waited.
        limit: Span,
        /// Its words.
        why: String,
    },
}

impl Tailscaled {
    /// The one that this user finds.
    #[must_use]
    pub fn installed(variables: Variables, ca_file: Option<PathBuf>) -> Self {
        Self {
            program: "tailscaled".into(),
            variables,
            ca_file,
            is_root: rustix::process::getuid().is_root(),
            host: HOST_SOCKETS.map(PathBuf::from).into(),
        }
    }

    /// Asks for its version, and sees whether that will do.
    ///
    /// # Errors
    ///
    /// When it is not installed, cannot be run or is too old.
    pub async fn version(&self) -> Result<String, DaemonTrouble> {
        let program = text::shown(&self.program.to_string_lossy());
        let words = [self.program.clone(), "--version".into()];
        let ran = process::run(Program::new(words).with(&self.environment())).await;
        let no_version = |why: String| DaemonTrouble::NoVersion { why };
        let ran = ran.map_err(|error| match error {
            RunError::NotStarted { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                DaemonTrouble::NotInstalled { program }
            }
            other => no_version(other.to_string()),
        })?;
        if !ran.is_well() {
            return Err(no_version(ran.complaint()));
        }
        let version = text::clean(ran.stdout.lines().next().unwrap_or_default(), 40).into_owned();
        match release(&version) {
            None => Err(no_version(format!("`{version}`"))),
            Some(release) if release < RELEASE_LEAST => Err(DaemonTrouble::TooOld { version }),
            Some(_) => Ok(version),
        }
    }

    fn environment(&self) -> Variables {
        let mut variables = self.variables.clone();
        // It is a daemon, and lies where the path of a plain user does not lead.
        let path = variables.entry("PATH".to_owned()).or_default();
        if path.is_empty() {
            path.push_str("/usr/local/bin:/usr/bin:/bin");
        }
        path.push_str(":/usr/local/sbin:/usr/sbin:/sbin");
        if let Some(file) = &self.ca_file {
            let file = file.to_string_lossy().into_owned();
            variables.insert("SSL_CERT_FILE".to_owned(), file);
        }
        variables
    }

    fn spares_the_host(&self) -> Result<(), DaemonTrouble> {
        match self.host.iter().find(|socket| self.is_root && socket.exists()) {
            Some(socket) => {
                let socket = text::shown(&socket.to_string_lossy());
                Err(DaemonTrouble::RootBesideHost { socket })
            }
            None => Ok(()),
        }
    }
}

impl Daemon {
    /// Names one; `name` is the mark that its state folder bears. Nothing is touched.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self { folder: folder.into(), name: name.into() }
    }

    /// Its local API.
    #[must_use]
    pub fn api(&self) -> LocalApi {
        LocalApi::at(self.socket())
    }

    /// What stands in the arguments of its processes and of no others.
    #[must_use]
    pub fn mark(&self) -> String {
        self.state().to_string_lossy().into_owned()
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    fn state(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Sees whether the path of its socket is short enough for the system.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn check_length(&self) -> Result<(), DaemonTrouble> {
        if self.socket().as_os_str().len() < SOCKET_BYTES_MAX {
            return Ok(());
        }
        let folder = text::shown(&self.folder.to_string_lossy());
        Err(DaemonTrouble::TooLong { folder, most: SOCKET_BYTES_MAX - "/s".len() - 1 })
    }

    /// True where it runs and answers.
    pub async fn answers(&self) -> bool {
        self.api().state().await.is_ok()
    }

    /// Starts it and waits until it answers; one that answers already serves. It is on no tailnet
    /// yet. What is left of one that does not answer must have been ended before.
    ///
    /// # Errors
    ///
    /// Why there is none. What is left of it is for [`Self::end`].
    pub async fn start(&self, tailscaled: &Tailscaled, ends_in: Span) -> Result<(), DaemonTrouble> {
        self.check_length()?;
        if self.answers().await {
            return Ok(());
        }
        tailscaled.spares_the_host()?;
        tailscaled.version().await?;
        self.make_folders()?;
        let mut variables = tailscaled.environment();
        let place = |path: &Path| path.to_string_lossy().into_owned();
        variables.extend([
            ("HOME".to_owned(), place(&self.folder)),
            ("TMPDIR".to_owned(), place(&self.state())),
            // Else it would write where this host's own one does.
            ("TS_LOGS_DIR".to_owned(), place(&self.state())),
            ("TS_NO_LOGS_NO_SUPPORT".to_owned(), "true".to_owned()),
        ]);
        let words = self.words(tailscaled);
        let complaints = Some(self.log());
        let keep =
            Keep { words, variables: &variables, ends_in, complaints: complaints.as_deref() };
        process::keep(keep).map_err(|error| prepare(Path::new("timeout"), &error))?;
        self.comes_up().await
    }

    fn make_folders(&self) -> Result<(), DaemonTrouble> {
        let parent = self.folder.parent().unwrap_or(Path::new("/"));
        folder::make(parent, &self.folder).map_err(|error| prepare(&self.folder, &error))?;
        let state = self.state();
        folder::make(&self.folder, &state).map_err(|error| prepare(&state, &error))
    }

    fn words(&self, tailscaled: &Tailscaled) -> Vec<OsString> {
        vec![
            tailscaled.program.clone(),
            "--tun=userspace-networking".into(),
            // Its keys are nowhere else, and the control server forgets it when it leaves.
            "--state=mem:".into(),
            "--statedir".into(),
            self.state().into(),
            "--socket".into(),
            self.socket().into(),
            "--port=0".into(),
            "--no-logs-no-support".into(),
        ]
    }

    /// Waits for its local API to answer, or for its end.
    async fn comes_up(&self) -> Result<(), DaemonTrouble> {
        let mark = self.mark();
        let found = process::begun(&mark).await;
        let found = found.map_err(|error| prepare(Path::new("the processes"), &error))?;
        let ended = async {
            for process in found {
                process::gone(process).await;
            }
        };
        let answers = async {
            while !self.answers().await {
                sleep(LOOK_EVERY).await;
            }
        };
        let why = || self.complaint().unwrap_or_else(|| "it says nothing".to_owned());
        tokio::select! {
            () = answers => Ok(()),
            () = ended => Err(DaemonTrouble::Ended { why: why() }),
            () = sleep(COMES_UP_IN.to_std()) => {
                Err(DaemonTrouble::Silent { limit: COMES_UP_IN, why: why() })
            }
        }
    }

    /// True where anything of it is left: a process, or its folder.
    ///
    /// # Errors
    ///
    /// When that cannot be seen.
    pub fn is_left(&self) -> io::Result<bool> {
        match self.folder.symlink_metadata() {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.is_running()
    }

    /// True where its process is there.
    ///
    /// # Errors
    ///
    /// When that cannot be seen.
    pub fn is_running(&self) -> io::Result<bool> {
        process::find(&self.mark()).map(|found| !found.is_empty())
    }

    /// Waits until its processes are gone.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub async fn gone(&self) -> io::Result<()> {
        for process in process::find(&self.mark())? {
            process::gone(process).await;
        }
        Ok(())
    }

    /// Ends it, and removes its folder. Nothing of it may be there any more.
    ///
    /// It leaves the tailnet as it goes, where it is given the time; whoever wants to be sure calls
    /// [`LocalApi::logout`] before.
    ///
    /// # Errors
    ///
    /// When something stays.
    pub async fn end(&self) -> Result<(), String> {
        let left = process::end(&self.mark(), PATIENCE).await;
        let left = left.map_err(|error| format!("the processes cannot be listed: {error}"))?;
        if left > 0 {
            return Err(format!("its process does not end ({left} left)"));
        }
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let folder = text::shown(&self.folder.to_string_lossy());
                Err(format!("its folder `{folder}` cannot be removed: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// What its log says of its trouble, clean; none where it says nothing.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let mut log = std::fs::File::open(self.log()).ok()?;
        let length = log.metadata().ok()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
        let mut tail = vec![];
        log.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
        complaint::reason(&String::from_utf8_lossy(&tail))
    }

    /// Empties its log where it has grown long; whoever watches it calls this now and then.
    pub fn trim_log(&self) {
        if self.log().metadata().is_ok_and(|it| it.len() > LOG_BYTES_MAX) {
            // It is appended to, so it goes on at the start.
            let log = std::fs::File::options().write(true).open(self.log());
            log.and_then(|log| log.set_len(0)).ok();
        }
    }
}

/// Reads `1.102.5-t1a2b3c` as 1.102.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn prepare(what: &Path, why: &dyn std::fmt::Display) -> DaemonTrouble {
    let what = text::shown(&what.to_string_lossy());
    DaemonTrouble::Prepare { what, why: why.to_string() }
}

/// The longest path of a socket, with the NUL behind it (unix(7)).
const SOCKET_BYTES_MAX: usize = 108;
/// From this one on it says where a route is missing, and does not dial past the tailnet.
const RELEASE_LEAST: (u32, u32) = (1, 98);
const COMES_UP_IN: Span = Span::from_seconds(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// It takes up to 5 s to leave the tailnet, and 1 s for the rest.
const PATIENCE: Duration = Duration::from_secs(7);
const LOG_BYTES_MAX: u64 = 1024 * 1024;
const TAIL_BYTES: u64 = 16 * 1024;

#[cfg(test)]
mod tests;

//! A connection that is kept open: an `ssh` process of its own, with a control socket.
//!
//! It outlives this process, so that a later one takes it over; it ends by itself at its deadline
//! even if nobody is left to end it. Everything of it lies in one private folder, and the name of the
//! file that it was configured with, in that folder, is the mark by which its processes are found.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::config;
use super::failure::{SshFailure, Trouble};
use super::folder::{check_files, failed, write};
use super::mux::Mux;
use super::reading::{self, Logs};
use super::{Ssh, key};
use crate::domain::secret::Secret;
use crate::domain::ssh::SshDestination;
use crate::domain::time::Span;
use crate::process::{self, Keep};

/// Where everything of one kept connection lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    folder: PathBuf,
    name: String,
}

impl Master {
    /// Names one; `name` is that of its configuration file. Nothing is touched.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self { folder: folder.into(), name: name.into() }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its control socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.folder.join("c")
    }

    /// The socket from which connections are passed on.
    #[must_use]
    pub fn forward(&self) -> PathBuf {
        self.folder.join("f")
    }

    /// Where `ssh` writes what it has to say.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// What stands in the arguments of its processes and of no others.
    #[must_use]
    pub fn mark(&self) -> String {
        self.config().to_string_lossy().into_owned()
    }

    fn config(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn agent(&self) -> PathBuf {
        self.folder.join("a")
    }

    /// Sees whether the path of its sockets is short enough for the system.
    ///
    /// # Errors
    ///
    /// When it is not, with what to do about it.
    pub fn check_length(&self) -> Result<(), SshFailure> {
        let length = self.control().as_os_str().len() + BINDING_SUFFIX;
        if length < SOCKET_BYTES_MAX {
            return Ok(());
        }
        let folder = self.folder.to_string_lossy().into_owned();
        let most = SOCKET_BYTES_MAX - BINDING_SUFFIX - 3;
        Err(Trouble::TooLong { folder: crate::domain::text::shown(&folder), most }.into())
    }

    /// Connects and signs in. The folder must exist and be empty.
    ///
    /// # Errors
    ///
    /// Why there is no connection. What is left of it is for [`Self::end`].
    pub async fn start(
        &self,
        ssh: &Ssh,
        to: &SshDestination,
        key: Option<&Secret>,
        ends_in: Span,
    ) -> Result<(), SshFailure> {
        self.check_length()?;
        check_files(to)?;
        let agent = self.agent();
        let agent = key.map(|_| agent.as_path());
        let text = config::file(&ssh.whose, to, agent)?;
        let control = config::path_word(&self.control())?;
        write(&self.config(), &text).map_err(|error| failed(&self.mark(), &error))?;
        if let (Some(key), Some(agent)) = (key, agent) {
            key::hold(key, agent, &ssh.variables).await?;
        }
        let mut words = config::words(&self.config(), &self.log(), to);
        let path = format!("ControlPath={control}");
        let more = ["-o", "ControlMaster=yes", "-o", &path, "-N", "-T", "--", to.host.as_str()];
        words.extend(more.map(str::to_owned));
        let words: Vec<OsString> = config::limited(words).into_iter().map(Into::into).collect();
        let connected = self.connect(ssh, to, &words, ends_in).await;
        if let Some(agent) = agent {
            // Where it stays, the end of the connection tells, and its deadline ends it.
            if let Err(why) = key::let_go(agent).await {
                tracing::warn!(why, "an agent is left for now");
            }
        }
        connected
    }

    async fn connect(
        &self,
        ssh: &Ssh,
        to: &SshDestination,
        words: &[OsString],
        ends_in: Span,
    ) -> Result<(), SshFailure> {
        let mut tries_left = TRIES;
        loop {
            tries_left -= 1;
            let (words, variables) = (words.to_vec(), &ssh.variables);
            process::keep(Keep { words, variables, ends_in, complaints: None })
                .map_err(|error| Trouble::NoProgram { why: error.to_string() })?;
            match self.comes_up(ssh, to).await {
                Err(failure) if tries_left > 0 && failure.trouble().is_too_many_starts() => {
                    self.clear_logs(to)?;
                    sleep(pause()?).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits for the control socket to answer, or for the end of the process.
    async fn comes_up(&self, ssh: &Ssh, to: &SshDestination) -> Result<(), SshFailure> {
        let mark = self.mark();
        let found = process::begun(&mark).await;
        let found = found.map_err(|error| failed("the processes", &error))?;
        let ended = async {
            for process in found {
                process::gone(process).await;
            }
        };
        let control = self.control();
        let answers = async {
            loop {
                // It is put in its place only when it listens and the sign-in is done.
                if control.exists() && Mux::connect(&control).await.is_ok() {
                    return;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        let hops = u64::try_from(to.jump.len()).unwrap_or_default();
        let limit = SIGN_IN + Span::from_seconds(10 * hops);
        tokio::select! {
            () = answers => return Ok(()),
            () = ended => {}
            () = sleep(limit.to_std()) => {
                let place = to.to_string();
                return Err(Trouble::TooLate { place, limit }.into());
            }
        }
        let logs = Logs::read(&self.log(), to.jump.len());
        if logs.main.is_empty() && !self.log().exists() {
            let why = "it ended at once; see that it is installed and runs (`ssh -V`)".to_owned();
            return Err(Trouble::NoProgram { why }.into());
        }
        Err(reading::failure(&logs, to, &ssh.known_hosts(to)))
    }

    fn clear_logs(&self, to: &SshDestination) -> Result<(), SshFailure> {
        let hops = (1..=to.jump.len()).map(|number| config::hop_log(&self.log(), number));
        for log in std::iter::once(self.log()).chain(hops) {
            remove(std::fs::remove_file(&log))
                .map_err(|error| failed(&log.to_string_lossy(), &error))?;
        }
        Ok(())
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
        let is_borne = |mark: &str| process::find(mark).map(|found| !found.is_empty());
        Ok(is_borne(&self.mark())? || is_borne(&self.agent().to_string_lossy())?)
    }

    /// Ends it, and removes its folder. Nothing of it may be there any more.
    ///
    /// # Errors
    ///
    /// When something stays.
    pub async fn end(&self) -> Result<(), String> {
        // The polite way first: it closes its connections and takes its sockets away.
        let asked = async {
            if let Ok(mux) = Mux::connect(&self.control()).await {
                mux.terminate().await.ok();
            }
        };
        timeout(POLITE, asked).await.ok();
        let left = process::end(&self.mark(), PATIENCE).await;
        let left = left.map_err(|error| format!("the processes cannot be listed: {error}"))?;
        // Also where its socket is not there: it may be one that never came up.
        key::let_go(&self.agent()).await?;
        if left > 0 {
            return Err(format!("its process does not end ({left} left)"));
        }
        let folder = self.folder.to_string_lossy();
        remove(std::fs::remove_dir_all(&self.folder))
            .map_err(|error| format!("its folder `{folder}` cannot be removed: {error}"))
    }
}

/// Ends the trials of engines that are no more, each in a fresh folder of its own.
pub async fn end_trials_of_the_dead(dir: &Path) {
    for folder in super::folder::of_the_dead(dir) {
        if let Err(why) = Master::new(folder, TRIAL).end().await {
            tracing::warn!(%why, "a trial connection is left to its deadline");
        }
    }
}

/// What a connection is called that is made only to see whether it can be.
pub const TRIAL: &str = "trial";

/// What is not there is removed.
fn remove(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A pause of 100 to 355 ms, so that many do not come back at once.
fn pause() -> Result<Duration, SshFailure> {
    let mut random = [0; 1];
    getrandom::fill(&mut random).map_err(|error| failed("random numbers", &error))?;
    Ok(Duration::from_millis(100 + u64::from(u8::from_be_bytes(random))))
}

/// The longest path of a socket, with the NUL behind it (unix(7)).
const SOCKET_BYTES_MAX: usize = 108;
/// What `ssh` adds to a control path while it binds it.
const BINDING_SUFFIX: usize = 17;
/// How often a sign-in is tried where the host takes no more at once.
const TRIES: usize = 4;
const SIGN_IN: Span = Span::from_seconds(25);
const LOOK_EVERY: Duration = Duration::from_millis(2);
const POLITE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

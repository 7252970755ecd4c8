//! Gets hold of the engine: attaches to the one that runs, or starts one.

use std::io::ErrorKind::PermissionDenied;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::{Duration, sleep};

use super::detach;
use super::token::TokenFile;
use super::world::World;
use crate::cli::Engines;
use crate::config::{self, Places};
use crate::domain::text;
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle};
use crate::socket::{self, AttachError, Attached};
use crate::store::lock::StateLock;

/// How the faces of this process get hold of the engine.
pub(super) struct Reach {
    world: World,
    token: TokenFile,
    /// Kept so that the channels stay open as long as the process.
    attached: Mutex<Vec<Attached>>,
}

impl Reach {
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), token: TokenFile::new(world), attached: Mutex::default() }
    }

    /// Attaches to the engine if one runs, for whoever is signed in at this terminal.
    ///
    /// # Errors
    ///
    /// When one runs and cannot be spoken to, or the sign-in that is kept cannot be trusted.
    pub async fn running(&self) -> Result<Option<EngineHandle>, Report> {
        let (sockets, owner) = match &self.world.of_host {
            Some(places) => (vec![places.socket()], trusted(places)?),
            None => (self.sockets(), self.world.operator.uid),
        };
        for path in sockets {
            match socket::attach(&path, self.world.origin(), owner).await {
                Ok(attached) => {
                    let handle = attached.handle.signed_in(self.token.read()?);
                    self.attached.lock().unwrap_or_else(PoisonError::into_inner).push(attached);
                    return Ok(Some(handle));
                }
                Err(AttachError::Nobody) => {}
                Err(AttachError::Io(error))
                    if self.world.of_host.is_some() && error.kind() == PermissionDenied =>
                {
                    return Err(not_in_group(&self.world));
                }
                Err(error) => return Err(unreachable(&error)),
            }
        }
        Ok(None)
    }

    /// Attaches to the engine if one runs and stays: one that is just leaving because nothing lives
    /// counts as gone. A call makes it stay.
    async fn staying(&self) -> Result<Option<EngineHandle>, Report> {
        let Some(handle) = self.running().await? else { return Ok(None) };
        // Whoever is refused was heard all the same.
        let stays = match handle.call(Command::Status).await {
            Ok(_) => true,
            Err(report) => report.kind == Kind::Denied,
        };
        Ok(stays.then_some(handle))
    }

    /// Attaches to an engine that another process is just starting or handing over.
    ///
    /// # Errors
    ///
    /// When none comes up in time.
    pub async fn soon(&self) -> Result<EngineHandle, Report> {
        for _ in 0..TRIES {
            if let Some(handle) = self.staying().await? {
                return Ok(handle);
            }
            sleep(BETWEEN_TRIES).await;
        }
        Err(self.silent())
    }

    /// Says that an engine holds the state and cannot be spoken to.
    fn silent(&self) -> Report {
        if self.world.of_host.is_some() {
            return Report::new(Kind::Unavailable, "the engine of this host does not run")
                .hint("systemctl status breakglass; for an engine of your own: --personal");
        }
        let holder = StateLock::holder_of(&self.world.places.state_dir);
        let message = match holder {
            Some(pid) => format!("the engine (process {pid}) holds the state but does not answer"),
            None => "another engine holds the state but does not answer".to_owned(),
        };
        let report = Report::new(Kind::Unavailable, message);
        match holder {
            Some(pid) => report
                .hint(format!("kill {pid}, then run breakglass again: it takes the sessions up")),
            None => report.hint("breakglass doctor"),
        }
    }

    /// Where an engine may serve: where the last one said it does, and where one would now.
    fn sockets(&self) -> Vec<PathBuf> {
        // Another login of the same user may have another runtime directory, or none.
        let noted = StateLock::socket_of(&self.world.places.state_dir);
        let mut sockets: Vec<_> = noted.into_iter().collect();
        let usual = self.world.socket();
        if !sockets.contains(&usual) {
            sockets.push(usual);
        }
        sockets
    }
}

#[async_trait]
impl Engines for Reach {
    async fn attach_or_start(&self) -> Result<EngineHandle, Report> {
        if let Some(handle) = self.staying().await? {
            return Ok(handle);
        }
        if self.world.of_host.is_some() {
            return Err(self.silent());
        }
        match detach::start(&self.world).await {
            Ok(()) | Err(detach::NotStarted::Held) => self.soon().await,
            Err(detach::NotStarted::Failed(report)) => Err(report),
        }
    }

    async fn attach(&self) -> Result<Option<EngineHandle>, Report> {
        match self.running().await? {
            found if self.world.of_host.is_some() => Ok(found),
            // Its socket may be gone, or not there yet: only the lock says that there is none.
            None if StateLock::is_held(&self.world.places.state_dir) => self.soon().await.map(Some),
            found => Ok(found),
        }
    }
}

/// Returns the user whose engine serves the host: the owner of the directory of its socket, to
/// which nobody else may write.
fn trusted(places: &Places) -> Result<u32, Report> {
    config::host_dir(&places.runtime_dir).map_err(|error| {
        let report = Report::new(Kind::Config, "the engine of this host cannot be trusted");
        report
            .because(error.to_string())
            .hint("tell who looks after this host; for an engine of your own: --personal")
    })
}

/// Says which group may use the engine of this host.
fn not_in_group(world: &World) -> Report {
    let dir = world.of_host.as_ref().map(|places| places.runtime_dir.metadata());
    let gid = dir.and_then(Result::ok).map(|found| found.gid());
    let group = gid.map_or_else(|| "its own".to_owned(), group_name);
    let user = &world.operator.name;
    let message = format!("the engine of this host serves the group `{group}` only");
    Report::new(Kind::Denied, message)
        .because(format!("`{user}` is not in it, or was not yet at this login"))
        .hint(format!("as root: usermod -aG {group} {user}; for an engine of your own: --personal"))
}

fn group_name(gid: u32) -> String {
    let known = uzers::get_group_by_gid(gid);
    known.map_or_else(|| gid.to_string(), |it| text::shown(&it.name().to_string_lossy()))
}

fn unreachable(error: &AttachError) -> Report {
    let report = Report::of(Kind::Unavailable, error);
    match error {
        AttachError::Version { .. } => report.hint(
            "use the version that is running, or end its sessions and stop it: breakglass end --all",
        ),
        _ => report.hint("breakglass doctor"),
    }
}

const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

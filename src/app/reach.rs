//! Gets hold of the engine: attaches to the one that runs, or starts one.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::{Duration, sleep};

use super::detach;
use super::token::TokenFile;
use super::world::World;
use crate::cli::Engines;
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
        for path in self.sockets() {
            match socket::attach(&path, self.world.origin()).await {
                Ok(attached) => {
                    let handle = attached.handle.signed_in(self.token.read()?);
                    self.attached.lock().unwrap_or_else(PoisonError::into_inner).push(attached);
                    return Ok(Some(handle));
                }
                Err(AttachError::Nobody) => {}
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
        match detach::start(&self.world).await {
            Ok(()) | Err(detach::NotStarted::Held) => self.soon().await,
            Err(detach::NotStarted::Failed(report)) => Err(report),
        }
    }

    async fn attach(&self) -> Result<Option<EngineHandle>, Report> {
        match self.running().await? {
            // Its socket may be gone, or not there yet: only the lock says that there is none.
            None if StateLock::is_held(&self.world.places.state_dir) => self.soon().await.map(Some),
            found => Ok(found),
        }
    }
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

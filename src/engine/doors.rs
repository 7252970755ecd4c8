//! The local endpoints of this process, one a session.
//!
//! The endpoint is a step like any other: it needs all others, so it opens last and closes first.
//! What it makes dies with the process; a planned hand-over takes it apart and gives it on.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use crate::domain::artifact::Artifact;
use crate::domain::connect::{EndpointAddress, POSTGRES_SOCKET};
use crate::domain::id::SessionId;
use crate::domain::target::{Listen, TargetKind};
use crate::domain::time::Span;
use crate::forward::{
    self, BindError, Conduit, Counters, Dial, Endpoint, EndpointError, ForwardEvent, Parts, Room,
    Settings, Totals,
};
use crate::protocol::Traffic;
use crate::provider::{Dialed, Made, Provider};
use crate::session::{Carrier, Lives, PlannedStep, StepIndex};

/// The parameters of the step that opens the local endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointAction {
    /// How it listens.
    pub listen: Listen,
    /// What speaks at the target; it decides how a socket file is called.
    pub kind: TargetKind,
    /// The only user whose connections pass.
    pub owner: u32,
    /// End the session after this long without a byte.
    pub idle: Option<Span>,
}

/// Returns the step that opens the local endpoint once every other step is applied.
///
/// # Errors
///
/// When the parameters cannot be written as JSON, which is a bug.
pub fn endpoint_step(
    action: &EndpointAction,
    needs: Vec<StepIndex>,
) -> Result<PlannedStep, serde_json::Error> {
    Ok(PlannedStep {
        label: "open the local endpoint".to_owned(),
        carrier: Carrier::Endpoint,
        action: serde_json::to_value(action)?,
        leaves: Some("listener".to_owned()),
        expires: Some("ends with this program".to_owned()),
        lives: Lives::InTheEngine,
        remade: false,
        waits: false,
        needs,
        undo_after: None,
        settle: Span::ZERO,
        timeout: Span::from_seconds(5),
        by_hand: vec![],
        in_words: None,
    })
}

/// All local endpoints of this process.
pub(super) struct Doors {
    open: Mutex<BTreeMap<SessionId, Door>>,
    /// Shared, so that no session's connections leave the process without descriptors.
    room: Room,
}

struct Door {
    endpoint: Endpoint,
    counters: Arc<Counters>,
    path: Arc<Path>,
}

/// What opening an endpoint needs besides its parameters.
pub(super) struct Behind {
    pub session: SessionId,
    pub provider: Arc<dyn Provider>,
    /// The provider's steps, over which a connection is dialled.
    pub steps: Vec<Made>,
    pub events: mpsc::Sender<ForwardEvent>,
}

/// An endpoint that was opened.
pub(super) struct Opened {
    pub artifact: Artifact,
    /// What a person must know: somebody took the port that the session had.
    pub alarm: Option<String>,
}

impl Doors {
    /// None yet, with room for so many connections over all of them.
    pub fn new(connections_max: usize) -> Self {
        Self { open: Mutex::default(), room: Room::new(connections_max) }
    }

    /// Opens the endpoint of a session: at the address it had `before`, where it had one.
    pub fn open(
        &self,
        action: &EndpointAction,
        before: Option<&Artifact>,
        sockets_dir: &FilePath,
        behind: Behind,
    ) -> Result<Opened, String> {
        let before = before.and_then(address_of);
        let wanted = wanted(action, before.as_ref(), sockets_dir, behind.session);
        let (bound, alarm) = match (wanted.bind(), &before) {
            (Err(BindError::InUse { port }), Some(_)) => {
                let free = forward::Listen::Loopback { port: None };
                let bound = free.bind().map_err(|error| error.to_string())?;
                let alarm = format!("port {port} was taken by another program; the endpoint moved");
                (bound, Some(alarm))
            }
            (bound, _) => (bound.map_err(|error| error.to_string())?, None),
        };
        let session = behind.session;
        let path = Arc::new(Path::new(behind.provider, behind.steps));
        let settings = self.settings(action);
        let dial = Arc::clone(&path);
        let endpoint = Endpoint::start(bound, dial, settings, behind.events)
            .map_err(|error| error.to_string())?;
        let artifact = artifact(endpoint.address());
        self.keep(session, endpoint, path);
        Ok(Opened { artifact, alarm })
    }

    /// Goes on with an endpoint that another process took apart.
    pub fn resume(
        &self,
        action: &EndpointAction,
        parts: Parts,
        behind: Behind,
    ) -> Result<(), EndpointError> {
        let path = Arc::new(Path::new(behind.provider, behind.steps));
        let dial = Arc::clone(&path);
        let endpoint = Endpoint::resume(parts, dial, self.settings(action), behind.events)?;
        self.keep(behind.session, endpoint, path);
        Ok(())
    }

    /// From here on the endpoint of a session dials over these steps: its path was made again.
    pub fn lead_over(&self, session: SessionId, steps: &[Made]) {
        if let Some(door) = self.doors().get(&session) {
            *door.path.steps.lock().unwrap_or_else(PoisonError::into_inner) = steps.into();
        }
    }

    /// Sees whether the endpoint of a session is open in this process.
    pub fn look(&self, session: SessionId) -> Option<Artifact> {
        self.doors().get(&session).map(|door| artifact(door.endpoint.address()))
    }

    /// Closes the endpoint of a session and every connection through it.
    pub async fn close(&self, session: SessionId) {
        let door = self.doors().remove(&session);
        if let Some(door) = door {
            let address = door.endpoint.address().clone();
            door.endpoint.close().await;
            remove_own_folder(&address, session);
        }
    }

    /// Takes the endpoint of a session apart for a hand-over.
    pub async fn dismantle(&self, session: SessionId) -> Option<Parts> {
        let door = self.doors().remove(&session)?;
        match door.endpoint.dismantle().await {
            Ok(parts) => Some(parts),
            Err(error) => {
                tracing::error!(%error, "an endpoint could not be handed over");
                None
            }
        }
    }

    /// The counters of a session's endpoint.
    pub fn counters(&self, session: SessionId) -> Option<Arc<Counters>> {
        self.doors().get(&session).map(|door| Arc::clone(&door.counters))
    }

    fn settings(&self, action: &EndpointAction) -> Settings {
        let settings = Settings::new(action.owner, self.room.clone());
        Settings { idle_limit: action.idle.map(Span::to_std), ..settings }
    }

    fn keep(&self, session: SessionId, endpoint: Endpoint, path: Arc<Path>) {
        let counters = endpoint.counters();
        self.doors().insert(session, Door { endpoint, counters, path });
    }

    fn doors(&self) -> MutexGuard<'_, BTreeMap<SessionId, Door>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the address in an endpoint's artifact.
pub(super) fn address_of(artifact: &Artifact) -> Option<EndpointAddress> {
    EndpointAddress::deserialize(artifact.details.get("address")?).ok()
}

/// Returns counters as faces see them.
pub(super) fn traffic(totals: Totals) -> Traffic {
    Traffic {
        bytes_up: totals.bytes_up,
        bytes_down: totals.bytes_down,
        connections_open: u32::try_from(totals.connections_open).unwrap_or(u32::MAX),
        connections_total: totals.connections_total,
        refused: totals.refused,
    }
}

fn wanted(
    action: &EndpointAction,
    before: Option<&EndpointAddress>,
    sockets_dir: &FilePath,
    session: SessionId,
) -> forward::Listen {
    match (before, &action.listen) {
        (Some(EndpointAddress::Loopback { port }), _) => {
            forward::Listen::Loopback { port: Some(*port) }
        }
        (Some(EndpointAddress::Unix { path }), _) => {
            forward::Listen::Unix { path: PathBuf::from(path), owner: action.owner }
        }
        (None, Listen::Loopback { port }) => forward::Listen::Loopback { port: *port },
        (None, Listen::Unix) => {
            let path = socket_path(action.kind, sockets_dir, session);
            forward::Listen::Unix { path, owner: action.owner }
        }
    }
}

/// Returns where a session's socket file is made. libpq's clients are told a folder and expect a
/// file of a fixed name in it, so such a session has a folder of its own.
fn socket_path(kind: TargetKind, sockets_dir: &FilePath, session: SessionId) -> PathBuf {
    let name = session.short();
    match kind {
        TargetKind::Postgres => sockets_dir.join(name).join(POSTGRES_SOCKET),
        _ => sockets_dir.join(format!("{name}.sock")),
    }
}

/// Removes the folder that a session's socket file had for itself.
fn remove_own_folder(address: &EndpointAddress, session: SessionId) {
    let EndpointAddress::Unix { path } = address else { return };
    let folder = FilePath::new(path).parent();
    let own = folder.filter(|it| it.file_name().is_some_and(|it| *it == *session.short()));
    if let Some(folder) = own {
        // An empty folder that stays is harmless: only its user can look into it.
        std::fs::remove_dir(folder).ok();
    }
}

fn artifact(address: &EndpointAddress) -> Artifact {
    Artifact {
        kind: "listener".to_owned(),
        name: address.to_string(),
        details: json!({ "address": address }),
    }
}

/// Dials over the path that a session's steps made.
struct Path {
    provider: Arc<dyn Provider>,
    /// What the steps made last: a part that was lost is made again while the endpoint stays open.
    steps: Mutex<Arc<[Made]>>,
}

impl Path {
    fn new(provider: Arc<dyn Provider>, steps: Vec<Made>) -> Self {
        Self { provider, steps: Mutex::new(steps.into()) }
    }
}

#[async_trait]
impl Dial for Path {
    async fn dial(&self) -> Result<Conduit, forward::DialError> {
        let steps = Arc::clone(&self.steps.lock().unwrap_or_else(PoisonError::into_inner));
        match self.provider.dial(&steps).await {
            Ok(Dialed::Tcp(stream)) => Ok(Conduit::Tcp(stream)),
            Ok(Dialed::Unix(stream)) => Ok(Conduit::Unix(stream)),
            Err(error) => Err(forward::DialError::PathDown { why: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::provider::direct::Direct;

    fn private() -> tempfile::TempDir {
        let mode = std::fs::Permissions::from_mode(0o700);
        tempfile::Builder::new().permissions(mode).tempdir().unwrap()
    }

    fn behind(session: SessionId) -> Behind {
        let provider = Arc::new(Direct::new("direct".parse().unwrap()));
        Behind { session, provider, steps: vec![], events: mpsc::channel(8).0 }
    }

    fn action(kind: TargetKind) -> EndpointAction {
        let owner = rustix::process::getuid().as_raw();
        EndpointAction { listen: Listen::Unix, kind, owner, idle: None }
    }

    #[tokio::test]
    async fn a_postgres_socket_has_the_name_that_its_clients_expect() {
        let (dir, doors) = (private(), Doors::new(16));
        let session = SessionId::new(Timestamp::from_millis(0), [7; 10]);
        let action = action(TargetKind::Postgres);
        let opened = doors.open(&action, None, dir.path(), behind(session)).unwrap();
        let folder = dir.path().join(session.short());
        let file = folder.join(".s.PGSQL.5432");
        let path = file.to_str().unwrap().to_owned();
        assert_eq!(address_of(&opened.artifact), Some(EndpointAddress::Unix { path }));
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        UnixStream::connect(&file).unwrap();
        doors.close(session).await;
        assert!(!folder.exists());
        // Another process takes it up at the address in the journal.
        let again = doors.open(&action, Some(&opened.artifact), dir.path(), behind(session));
        assert_eq!(again.unwrap().artifact, opened.artifact);
        std::fs::write(folder.join("mine"), "").unwrap();
        doors.close(session).await;
        assert!(folder.join("mine").exists() && !file.exists(), "only what is ours goes");
    }

    #[tokio::test]
    async fn any_other_socket_needs_no_folder() {
        let (dir, doors) = (private(), Doors::new(16));
        let session = SessionId::new(Timestamp::from_millis(0), [7; 10]);
        doors.open(&action(TargetKind::Redis), None, dir.path(), behind(session)).unwrap();
        let file = dir.path().join(format!("{}.sock", session.short()));
        UnixStream::connect(&file).unwrap();
        doors.close(session).await;
        assert!(dir.path().exists() && !file.exists());
    }
}

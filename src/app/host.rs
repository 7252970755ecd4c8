//! An engine in this process: the lock, the store, the providers, and the socket for others.

use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::world::World;
use crate::config::{self, Config, ProviderSettings};
use crate::domain::catalogue::Catalogue;
use crate::domain::id::{InstallationId, ProviderId};
use crate::domain::provider::ProviderKind;
use crate::engine::{Engine, EngineParts, Installed, KeepSettings, Parcel, Rules, Running};
use crate::error::{Kind, Report};
use crate::forward::CONNECTIONS_MAX;
use crate::protocol::EngineHandle;
use crate::provider::direct::Direct;
use crate::socket::{self, Server};
use crate::store::lock::{LockError, StateLock};
use crate::store::sqlite::SqliteStore;
use crate::store::{Batch, Store};

/// An engine in this process. Dropping it hangs up on every face.
pub(super) struct Host {
    /// How the face of this process reaches it.
    pub handle: EngineHandle,
    pub running: Running,
    lock: StateLock,
    listener: OwnedFd,
    _server: Server,
}

/// What an engine reaches, and over what.
pub(super) struct Network {
    pub catalogue: Catalogue,
    pub policy: crate::domain::policy::Policy,
    pub providers: Vec<Installed>,
    pub settings: Arc<dyn KeepSettings>,
    pub drill: bool,
    /// Why nothing may be opened, if nothing may.
    pub problem: Option<Report>,
}

/// Why no engine could be hosted here.
pub(super) enum NoHost {
    /// Another process holds the state.
    Held(Report),
    /// Something is wrong.
    Failed(Report),
}

impl From<Report> for NoHost {
    fn from(report: Report) -> Self {
        Self::Failed(report)
    }
}

impl NoHost {
    pub fn report(self) -> Report {
        match self {
            Self::Held(report) | Self::Failed(report) => report,
        }
    }
}

impl Host {
    /// Starts an engine; `parcel` is what another process handed over.
    ///
    /// # Errors
    ///
    /// When another process holds the state, or the state cannot be used.
    pub async fn start(
        world: &World,
        network: impl FnOnce(bool) -> Result<Network, Report>,
        detached: bool,
        mut parcel: Parcel,
    ) -> Result<Self, NoHost> {
        survive_file_limit()?;
        let uid = world.operator.uid;
        for dir in [&world.places.state_dir, &world.places.runtime_dir] {
            config::private_dir(dir, uid).map_err(|error| error.report())?;
        }
        let inherited = (parcel.take("lock"), parcel.take("socket"));
        let state_dir = &world.places.state_dir;
        let lock = match inherited.0 {
            Some(descriptor) => StateLock::from_fd(descriptor, state_dir),
            None => StateLock::acquire(state_dir),
        };
        let mut lock = lock.map_err(|error| held(&error))?;
        // Whatever this process makes from here on (log, socket) is its user's alone.
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let descriptors_max = raise_descriptor_limit();
        crate::logging::start(state_dir);
        super::harden::tell();
        let store = SqliteStore::open(state_dir)
            .await
            .map_err(|error| crate::engine::store_report(&error))?;
        let store: Arc<dyn Store> = Arc::new(store);
        let installation = installation(&*store).await?;
        let lives = !parcel.note.sessions.is_empty() || lives(&*store).await?;
        let network = network(lives)?;
        let parts = EngineParts {
            store,
            catalogue: network.catalogue,
            policy: network.policy,
            providers: network.providers,
            settings: network.settings,
            installation,
            operator: world.operator.clone(),
            host: world.host.clone(),
            state_dir: world.places.state_dir.to_string_lossy().into_owned(),
            sockets_dir: world.places.runtime_dir.clone(),
            connections_max: connections_max(descriptors_max),
            drill: network.drill,
            detached,
            problem: network.problem,
        };
        let running = Engine::start(parts, parcel.unpack()).await?;
        let listener = match inherited.1 {
            Some(descriptor) => UnixListener::from(descriptor),
            None => bind(&world.socket())?,
        };
        lock.listens_on(&world.socket());
        let broken = |error: std::io::Error| Report::of(Kind::Unavailable, &error);
        let kept = listener.try_clone().map_err(broken)?;
        listener.set_nonblocking(true).map_err(broken)?;
        let serving = tokio::net::UnixListener::from_std(listener).map_err(broken)?;
        let server = socket::serve(serving, running.handle.clone(), uid);
        let handle = running.handle.for_origin(world.origin());
        Ok(Self { handle, running, lock, listener: kept.into(), _server: server })
    }

    /// Brings every session to rest and packs everything that this process holds; nothing of it
    /// is served any more.
    pub async fn take_apart(mut self) -> Option<Parcel> {
        let mut parcel = self.running.control.hand_over().await?;
        self.running.finished().await;
        parcel.add("lock", self.lock.into_fd());
        parcel.add("socket", self.listener);
        Some(parcel)
    }

    /// Stops the engine. Sessions that live are taken up at the next start.
    pub async fn stop(mut self, world: &World) {
        self.running.control.stop().await;
        self.running.finished().await;
        clear_away(world);
    }
}

/// Takes as many descriptors as the system allows: a connection through an endpoint needs two, and
/// the usual soft limit of 1,024 is there for programs that use select(2). Returns how many this
/// process may have, or nothing where there is no limit.
fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "the limit of descriptors stays as it is");
            limit.current
        }
    }
}

/// Makes a write beyond the limit of file sizes (`ulimit -f`) fail, where it would end the process
/// and with it every endpoint.
fn survive_file_limit() -> Result<(), Report> {
    // Whoever once listens for a signal has taken it for as long as the process lives.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))
        .map(drop)
        .map_err(|error| Report::of(Kind::Internal, &error))
}

/// How many connections leave enough descriptors for everything else: the store, the faces, a
/// listener a session, and what the providers run.
fn connections_max(descriptors_max: Option<u64>) -> usize {
    let descriptors = descriptors_max.and_then(|max| usize::try_from(max).ok());
    let rest = descriptors.unwrap_or(usize::MAX).saturating_sub(DESCRIPTORS_KEPT);
    (rest / 2).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}

/// Removes the socket of an engine that has stopped; the lock is still held.
pub(super) fn clear_away(world: &World) {
    // One that is not there is gone.
    std::fs::remove_file(world.socket()).ok();
}

/// Reads the configuration.
///
/// # Errors
///
/// Its first mistake.
pub(super) fn load(world: &World) -> Result<Config, Report> {
    let path = &world.places.config_file;
    if world.overrides.config_file.is_some() && !path.exists() {
        // The usual file need not exist; one that somebody names must.
        let message = format!("there is no configuration `{}`", path.display());
        return Err(Report::new(Kind::Config, message).hint("breakglass config example"));
    }
    Config::load(path, world.operator.uid).map_err(|error| error.report())
}

/// What the configuration says. A broken one blocks opening, never teardown: while sessions live,
/// the engine starts with what is built in, and opens nothing.
///
/// # Errors
///
/// When the configuration is broken and nothing lives.
pub(super) fn configured(
    world: &World,
    loaded: Result<Config, Report>,
    lives: bool,
) -> Result<Network, Report> {
    let path = world.places.config_file.clone();
    let (config, problem) = match loaded {
        Ok(config) => (config, None),
        Err(report) if lives => (built_in(&path)?, Some(report)),
        Err(report) => return Err(report),
    };
    let providers = config.providers.iter().map(installed).collect::<Result<_, _>>()?;
    Ok(Network {
        catalogue: config.catalogue,
        policy: config.policy,
        providers,
        settings: Arc::new(InFile::new(path, world.operator.uid)),
        drill: false,
        problem,
    })
}

fn built_in(path: &Path) -> Result<Config, Report> {
    Config::parse(path, "").map_err(|error| error.report())
}

fn installed(settings: &ProviderSettings) -> Result<Installed, Report> {
    let ProviderSettings { id, kind, enabled, default } = settings.clone();
    match kind {
        ProviderKind::Direct => {
            Ok(Installed { provider: Arc::new(Direct::new(id)), enabled, default })
        }
        ProviderKind::Simulated => {
            let message = format!("the provider `{id}` is simulated; those are for drills only");
            Err(Report::new(Kind::Config, message).hint("breakglass demo"))
        }
    }
}

/// Keeps settings in `config.toml`, and reads it again where somebody has changed it.
struct InFile {
    path: PathBuf,
    uid: u32,
    seen: Mutex<Option<Stamp>>,
}

/// What tells that a file is another than before: when it was written, its length, its inode.
type Stamp = (i64, i64, u64, u64);

impl InFile {
    fn new(path: PathBuf, uid: u32) -> Self {
        let seen = Mutex::new(stamp(&path));
        Self { path, uid, seen }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}

impl KeepSettings for InFile {
    fn provider_enabled(&self, provider: &ProviderId, enabled: bool) -> Result<(), Report> {
        config::set_provider_enabled(&self.path, self.uid, provider, enabled)
            .map(|_| ())
            .map_err(|error| error.report())
    }

    fn changed(&self) -> Option<Result<Rules, Report>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.path);
        if *seen == now {
            return None;
        }
        *seen = now;
        let loaded = Config::load(&self.path, self.uid).map_err(|error| error.report());
        Some(loaded.map(|config| Rules {
            enabled: config.providers.iter().map(|it| (it.id.clone(), it.enabled)).collect(),
            catalogue: config.catalogue,
            policy: config.policy,
        }))
    }
}

fn held(error: &LockError) -> NoHost {
    let report = Report::of(Kind::Unavailable, error);
    match error {
        LockError::Held { .. } => {
            NoHost::Held(report.hint("wait a moment and try again; breakglass doctor tells more"))
        }
        _ => NoHost::Failed(report),
    }
}

async fn installation(store: &dyn Store) -> Result<InstallationId, Report> {
    let failed = |error| crate::engine::store_report(&error);
    let kept = store.setting(INSTALLATION).await.map_err(failed)?;
    if let Some(id) = kept.and_then(|text| InstallationId::try_from(text).ok()) {
        return Ok(id);
    }
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(|error| Report::of(Kind::Internal, &error))?;
    let id = InstallationId::from_random(random);
    let batch = Batch {
        settings: vec![(INSTALLATION.to_owned(), id.to_string())],
        ..Batch::at(crate::clock::wall())
    };
    store.append(batch).await.map_err(failed)?;
    Ok(id)
}

async fn lives(store: &dyn Store) -> Result<bool, Report> {
    let journals = store.open_journals().await;
    journals.map(|found| !found.is_empty()).map_err(|error| crate::engine::store_report(&error))
}

/// Makes the engine's socket. What stood there is stale: whoever holds the lock serves.
fn bind(path: &Path) -> Result<UnixListener, Report> {
    let broken = |error: std::io::Error| {
        let message = format!("cannot serve `{}`", path.display());
        Report::new(Kind::Unavailable, message).because(error.to_string())
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(broken)?;
    // Its directory is ours alone, so nobody could come before this.
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(broken)?;
    Ok(listener)
}

const INSTALLATION: &str = "installation";
const DESCRIPTORS_KEPT: usize = 128;
const CONNECTIONS_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_never_take_the_descriptors_of_everything_else() {
        assert_eq!(connections_max(Some(1_024)), 448);
        assert_eq!(connections_max(Some(4_096)), 1_984);
        assert_eq!(connections_max(Some(64)), CONNECTIONS_MIN, "enough to be of any use");
        assert_eq!(connections_max(Some(1 << 30)), CONNECTIONS_MAX);
        assert_eq!(connections_max(None), CONNECTIONS_MAX);
    }
}

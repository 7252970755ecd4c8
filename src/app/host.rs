//! An engine in this process: the lock, the store, the providers, and the socket for others.

use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode as FileMode;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::late_vault::{LateVault, pack_key, unpack_key};
use super::outside::Outside;
use super::settings::{Identity, Network};
use super::world::World;
use crate::config::{self, ConfigError, Places};
use crate::domain::id::InstallationId;
use crate::domain::identity_provider::IdpSettings;
use crate::engine::{Engine, EngineParts, Parcel, PeopleParts, Running};
use crate::error::{Kind, Report};
use crate::forward::CONNECTIONS_MAX;
use crate::protocol::{EngineHandle, Mode};
use crate::socket::{self, Server, Serves};
use crate::store::lock::{LockError, StateLock};
use crate::store::sqlite::SqliteStore;
use crate::store::{Batch, Store};
use crate::vault::Vault;

/// An engine in this process. Dropping it hangs up on every face.
pub(super) struct Host {
    /// How the face of this process reaches it.
    pub handle: EngineHandle,
    pub running: Running,
    lock: StateLock,
    listener: OwnedFd,
    vault: Arc<dyn Vault>,
    _server: Server,
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
        let group = places(world).map_err(|error| error.report())?;
        let inherited = (parcel.take("lock"), parcel.take("socket"));
        let state_dir = &world.places.state_dir;
        let lock = match inherited.0 {
            Some(descriptor) => StateLock::from_fd(descriptor, state_dir),
            None => StateLock::acquire(state_dir),
        };
        let mut lock = lock.map_err(|error| held(&error))?;
        // Whatever this process makes from here on (log, socket) is its user's alone.
        rustix::process::umask(FileMode::RWXG | FileMode::RWXO);
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
        let trust = network.identity.trust.clone();
        let people = people(world, network.identity, installation.clone());
        let (people, idps) = people?;
        let vault = Arc::clone(&people.vault);
        let outside = Outside::new(world, trust, &vault, network.simulated, &network.providers);
        // An engine that was killed while it looked at a bastion has left that look behind.
        crate::ssh::end_trials_of_the_dead(&world.places.runtime_dir.join("ssh")).await;
        open_vault(world, &*vault, &mut parcel).await;
        let parts = EngineParts {
            store,
            idps,
            people,
            catalogue: network.catalogue,
            policy: network.policy,
            providers: outside.providers,
            builder: outside.builder,
            launcher: outside.launcher,
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
            None => bind(&world.socket(), group)?,
        };
        lock.listens_on(&world.socket());
        let broken = |error: std::io::Error| Report::of(Kind::Unavailable, &error);
        let kept = listener.try_clone().map_err(broken)?;
        listener.set_nonblocking(true).map_err(broken)?;
        let serving = tokio::net::UnixListener::from_std(listener).map_err(broken)?;
        let serves = if world.is_system { Serves::Everybody } else { Serves::Uid(uid) };
        let server = socket::serve(serving, running.handle.clone(), serves);
        let handle = running.handle.for_origin(world.origin());
        Ok(Self { handle, running, lock, listener: kept.into(), vault, _server: server })
    }

    /// Brings every session to rest and packs everything that this process holds; nothing of it
    /// is served any more.
    pub async fn take_apart(mut self) -> Option<Parcel> {
        let mut parcel = self.running.control.hand_over().await?;
        self.running.finished().await;
        parcel.add("lock", self.lock.into_fd());
        parcel.add("socket", self.listener);
        match self.vault.key().await.map(|key| pack_key(&key)) {
            Some(Ok(memory)) => parcel.add("vault", memory),
            Some(Err(error)) => {
                tracing::warn!(%error, "the vault must be unlocked again in the other process");
            }
            None => {}
        }
        Some(parcel)
    }

    /// Stops the engine. Sessions that live are taken up at the next start.
    pub async fn stop(mut self, world: &World) {
        self.running.control.stop().await;
        self.running.finished().await;
        clear_away(world);
    }
}

/// Opens the vault with the key that another process handed over, if one did.
async fn open_vault(world: &World, vault: &dyn Vault, parcel: &mut Parcel) {
    match parcel.take("vault").map(unpack_key) {
        Some(Ok(key)) => vault.take_key(&key).await,
        Some(Err(error)) => tracing::warn!(%error, "the key of the vault was lost on the way"),
        None => {}
    }
    if world.is_system {
        // Nobody waits for it here, and after a restart nobody need come to unlock it.
        vault.status().await;
    }
}

/// Makes the directories, or sees that they are right. Returns the group that may speak to the
/// engine, where one may.
fn places(world: &World) -> Result<Option<u32>, ConfigError> {
    let (Places { state_dir, runtime_dir, .. }, uid) = (&world.places, world.operator.uid);
    config::private_dir(state_dir, uid)?;
    if world.is_system {
        // Only root can make it, and systemd does.
        return config::group_dir(runtime_dir, uid).map(Some);
    }
    config::private_dir(runtime_dir, uid).map(|()| None)
}

fn people(
    world: &World,
    identity: Identity,
    installation: InstallationId,
) -> Result<(PeopleParts, Vec<IdpSettings>), Report> {
    let Identity { idps, hashing, sso, vault, vault_choice, passphrase_file, trust: _ } = identity;
    let vault = vault.unwrap_or_else(|| {
        let file = world.places.state_dir.join("vault");
        let uid = world.operator.uid;
        Arc::new(LateVault::new(vault_choice, file, uid, installation, passphrase_file))
    });
    let mode = if world.is_system { Mode::System } else { Mode::Personal };
    let parts = PeopleParts { mode, hashing, sso, vault, boot_id: boot_id()? };
    Ok((parts, idps))
}

/// What the kernel calls the time since it started (random(4)).
fn boot_id() -> Result<String, Report> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map(|id| id.trim().to_owned()).map_err(|error| Report::of(Kind::Unavailable, &error))
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
/// listener a session, the pipes of the relay, and what the providers run.
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

/// Makes the engine's socket. What stood there is stale: whoever holds the lock serves. A `group` may
/// use it too.
fn bind(path: &Path, group: Option<u32>) -> Result<UnixListener, Report> {
    let broken = |error: std::io::Error| {
        let message = format!("cannot serve `{}`", path.display());
        Report::new(Kind::Unavailable, message).because(error.to_string())
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(broken(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(broken)?;
    // Only we write to its directory, and the umask is ours alone: nobody could come before this.
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    if group.is_some() {
        std::os::unix::fs::chown(path, None, group).map_err(broken)?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(broken)?;
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

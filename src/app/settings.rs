//! What the configuration says, put into what an engine is made of; and where changes of it go.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::world::World;
use crate::config::{self, Config, IdentitySettings};
use crate::domain::catalogue::Catalogue;
use crate::domain::id::{IdpId, ProviderId};
use crate::domain::identity_provider::IdpSettings;
use crate::domain::provider::ProviderSettings;
use crate::domain::vault::Backend;
use crate::engine::{Installed, KeepSettings, Rules};
use crate::error::{Kind, Report};
use crate::http::{Http, Limits, Trust};
use crate::identity::SingleSignOn;
use crate::identity::hashing::HashParameters;
use crate::identity::oidc::Oidc;
use crate::vault::Vault;
use crate::vault::choose::VaultChoice;
use crate::vault::memory::MemoryVault;

/// What an engine reaches, and over what.
pub(super) struct Network {
    pub catalogue: Catalogue,
    pub policy: crate::domain::policy::Policy,
    pub providers: Vec<ProviderSettings>,
    /// Those that stand in no configuration: they are simulated.
    pub simulated: Vec<Installed>,
    pub settings: Arc<dyn KeepSettings>,
    pub identity: Identity,
    pub drill: bool,
    /// Why nothing may be opened, if nothing may.
    pub problem: Option<Report>,
}

/// Who may sign in, and how, as the configuration says.
pub(super) struct Identity {
    pub idps: Vec<IdpSettings>,
    pub hashing: HashParameters,
    pub sso: Arc<dyn SingleSignOn>,
    /// Whom everything trusts that is asked over HTTP.
    pub trust: Trust,
    /// The vault; none for the one of this installation.
    pub vault: Option<Arc<dyn Vault>>,
    pub vault_choice: VaultChoice,
    /// The file whose text opens a sealed file.
    pub passphrase_file: Option<PathBuf>,
}

impl Identity {
    /// What holds in a drill: nobody signs in, and nothing is kept.
    pub fn of_drill() -> Self {
        Self {
            idps: vec![],
            hashing: HashParameters::default(),
            sso: sign_on(Trust::default()),
            trust: Trust::default(),
            vault: Some(Arc::new(MemoryVault::default())),
            vault_choice: VaultChoice::File,
            passphrase_file: None,
        }
    }
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
    let identity = identity(&config, world)?;
    Ok(Network {
        catalogue: config.catalogue,
        policy: config.policy,
        providers: config.providers,
        simulated: vec![],
        settings: Arc::new(InFile::new(path, world.operator.uid)),
        identity,
        drill: false,
        problem,
    })
}

/// Who may sign in, and how, as the configuration says.
fn identity(config: &Config, world: &World) -> Result<Identity, Report> {
    let IdentitySettings { hash_memory_kib, hash_passes, hash_lanes } = config.identity;
    let hashing = HashParameters::new(hash_memory_kib, hash_passes, hash_lanes)
        .map_err(|error| Report::of(Kind::Config, &error))?;
    let trust = Trust {
        // Whoever starts the engine of a host is not who is served.
        use_environment: config.network.use_environment_proxy && !world.is_system,
        ca_file: config.network.ca_file.clone(),
    };
    Ok(Identity {
        idps: config.identity_providers.clone(),
        hashing,
        sso: sign_on(trust.clone()),
        trust,
        vault: None,
        passphrase_file: world.passphrase_file().or_else(|| config.vault.passphrase_file.clone()),
        vault_choice: match config.vault.backend {
            Some(Backend::Keyring) if world.is_system => {
                let message = "the engine of a host has no keyring";
                return Err(Report::new(Kind::Config, message)
                    .hint("in its configuration: [vault] backend = \"file\""));
            }
            _ if world.is_system => VaultChoice::FileOfHost,
            None => VaultChoice::Auto,
            Some(Backend::Keyring) => VaultChoice::Keyring,
            Some(Backend::File) => VaultChoice::File,
        },
    })
}

fn sign_on(trust: Trust) -> Arc<dyn SingleSignOn> {
    Arc::new(Oidc::new(Http::new(trust, Limits::default())))
}

fn built_in(path: &Path) -> Result<Config, Report> {
    Config::parse(path, "").map_err(|error| error.report())
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

    fn put_provider(&self, settings: &ProviderSettings) -> Result<(), Report> {
        config::put_provider(&self.path, self.uid, settings)
            .map(|_| ())
            .map_err(|error| error.report())
    }

    fn remove_provider(&self, provider: &ProviderId) -> Result<(), Report> {
        config::remove_provider(&self.path, self.uid, provider)
            .map(|_| ())
            .map_err(|error| error.report())
    }

    fn put_idp(&self, settings: &IdpSettings) -> Result<(), Report> {
        config::put_identity_provider(&self.path, self.uid, settings)
            .map(|_| ())
            .map_err(|error| error.report())
    }

    fn remove_idp(&self, idp: &IdpId) -> Result<(), Report> {
        config::remove_identity_provider(&self.path, self.uid, idp)
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
            providers: Some(config.providers),
            catalogue: config.catalogue,
            policy: config.policy,
            idps: config.identity_providers,
        }))
    }
}

//! Everything that leads out of this host: the concrete providers and launchers.

use std::path::PathBuf;
use std::sync::Arc;

use super::world::World;
use crate::domain::id::ProviderId;
use crate::domain::provider::{ProviderKind, ProviderSettings, ProviderSetup};
use crate::domain::secret::Secret;
use crate::engine::{BuildProviders, Installed};
use crate::http::Trust;
use crate::launcher::Launcher;
use crate::launcher::kinds::Launchers;
use crate::process::Variables;
use crate::provider::Provider;
use crate::provider::direct::Direct;
use crate::provider::key::Key;
use crate::provider::pace::HostPace;
use crate::provider::ssh::Bastion;
use crate::provider::tailscale::{LIMITS, Surroundings, Tailscale};
use crate::provider::twingate::{self, Twingate};
use crate::ssh::{Ssh, Whose};
use crate::vault::Vault;

/// What an engine reaches the outside with.
pub(super) struct Outside {
    /// The providers of the configuration, and those of a drill.
    pub providers: Vec<Installed>,
    pub builder: Arc<dyn BuildProviders>,
    pub launcher: Arc<dyn Launcher>,
}

impl Outside {
    pub fn new(
        world: &World,
        trust: Trust,
        vault: &Arc<dyn Vault>,
        simulated: Vec<Installed>,
        configured: &[ProviderSettings],
    ) -> Self {
        let (whose, variables) = surroundings(world);
        let dir = |name: &str| world.places.runtime_dir.join(name);
        let ssh = Ssh { whose, variables: variables.clone(), dir: dir("ssh") };
        let launcher = Launchers::new(ssh.clone(), variables.clone());
        let twingate = twingate::Surroundings::of_host(trust.clone(), variables.clone());
        let tailnet = of_tailnet(world, trust, variables, dir("ts"));
        let builder = Builder { ssh, tailnet, twingate, vault: Arc::clone(vault) };
        let installed = |settings: &ProviderSettings| Installed {
            provider: builder.build(settings, None),
            settings: Some(settings.clone()),
            enabled: settings.enabled,
            default: settings.default,
        };
        let providers = simulated.into_iter().chain(configured.iter().map(installed)).collect();
        Self { providers, builder: Arc::new(builder), launcher: Arc::new(launcher) }
    }
}

/// Whose keys and files count, and what programs find in their environment: of an operator's own,
/// what says who and where they are; for a whole host, nothing of anybody's.
fn surroundings(world: &World) -> (Whose, Variables) {
    let state_dir = &world.places.state_dir;
    if world.is_system {
        let home = state_dir.to_string_lossy().into_owned();
        let variables = [("PATH", PATH.to_owned()), ("HOME", home), ("LANG", "C.UTF-8".to_owned())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        let known_hosts = PathBuf::from("/etc/breakglass/known_hosts");
        return (Whose::Engine { known_hosts }, variables);
    }
    let passed = PASSED.iter().filter_map(|name| {
        let value = world.variable(name)?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let mut variables: Variables = passed.collect();
    variables.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
    let home = home(world).unwrap_or_else(|| state_dir.clone());
    (Whose::Operator { home }, variables)
}

/// What a provider on a tailnet finds: a node that speaks to its control server goes by the proxies
/// that everything else goes by.
fn of_tailnet(world: &World, trust: Trust, mut variables: Variables, dir: PathBuf) -> Surroundings {
    if trust.use_environment {
        let proxies = PROXIES.iter().filter_map(|name| {
            let value = world.variable(name)?;
            Some(((*name).to_owned(), value.to_owned()))
        });
        variables.extend(proxies);
    }
    let backups = world.places.state_dir.join("policy-files");
    let pace = Arc::new(HostPace);
    Surroundings { trust, variables, dir, backups, limits: LIMITS, pace }
}

/// The operator's home as the system knows it: `ssh` looks there, whatever `HOME` says.
fn home(world: &World) -> Option<PathBuf> {
    let user = uzers::get_user_by_uid(world.operator.uid)?;
    Some(uzers::os::unix::UserExt::home_dir(&user).to_owned()).filter(|home| home.is_absolute())
}

/// Makes providers out of settings.
struct Builder {
    ssh: Ssh,
    tailnet: Surroundings,
    twingate: twingate::Surroundings,
    vault: Arc<dyn Vault>,
}

impl Builder {
    /// Where the key of a provider is: given just now, or in the vault.
    fn key(&self, settings: &ProviderSettings, given: Option<&Secret>) -> Key {
        let has_key = settings.setup.has_key();
        let name = ProviderSettings::secret_name(&settings.id).filter(|_| has_key);
        match (given, name) {
            (Some(key), _) => Key::Given(key.clone()),
            (None, Some(name)) => Key::InVault {
                vault: Arc::clone(&self.vault),
                name,
                is_for: settings.setup.key_is_for(),
            },
            (None, None) => Key::None,
        }
    }
}

impl BuildProviders for Builder {
    fn build(&self, settings: &ProviderSettings, key: Option<&Secret>) -> Arc<dyn Provider> {
        let id = settings.id.clone();
        match &settings.setup {
            ProviderSetup::Direct => Arc::new(Direct::new(id)),
            ProviderSetup::Ssh(setup) => {
                let key = self.key(settings, key);
                Arc::new(Bastion::new(id, setup.destination.clone(), key, self.ssh.clone()))
            }
            ProviderSetup::Tailscale(setup) => {
                let (key, around) = (self.key(settings, key), self.tailnet.clone());
                Arc::new(Tailscale::new(id, (**setup).clone(), key, around))
            }
            ProviderSetup::Twingate(setup) => {
                let (key, around) = (self.key(settings, key), self.twingate.clone());
                Arc::new(Twingate::new(id, (**setup).clone(), key, around))
            }
        }
    }

    fn bare(&self, id: &ProviderId, kind: ProviderKind) -> Option<Arc<dyn Provider>> {
        match kind {
            ProviderKind::Direct => Some(Arc::new(Direct::new(id.clone()))),
            // What it has made lives on this host, and is found by its mark.
            ProviderKind::Ssh => Some(Arc::new(Bastion::gone(id.clone(), self.ssh.clone()))),
            ProviderKind::Tailscale => {
                Some(Arc::new(Tailscale::gone(id.clone(), self.tailnet.clone())))
            }
            ProviderKind::Twingate => {
                Some(Arc::new(Twingate::gone(id.clone(), self.twingate.clone())))
            }
            ProviderKind::Simulated => None,
        }
    }
}

/// What programs find in their environment of what this one found in its own: who and where the
/// operator is, their agent, their tickets, their language.
const PASSED: [&str; 14] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "KRB5CCNAME",
    "KUBECONFIG",
    "DOCKER_HOST",
];

/// How a proxy is named (`net/tshttpproxy` of tailscale, and everybody else).
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"];

/// Where programs are where nobody says.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

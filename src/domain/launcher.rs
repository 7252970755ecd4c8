//! How a temporary router or connector is started inside a site, and what is to be started.
//!
//! Both stand in the journal of a session, whole, so that what was started can be found and stopped
//! whatever the configuration says by then. Neither holds a secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::artifact::Marker;
use super::ssh::SshDestination;
use super::time::Timestamp;

/// How things are started in a site, as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LauncherSettings {
    /// On a host, over SSH.
    Ssh(SshLauncher),
    /// In a container.
    Container(ContainerLauncher),
    /// As a Job of a Kubernetes cluster, through `kubectl`.
    Kubernetes(KubernetesLauncher),
    /// By commands of one's own.
    Command(CommandLauncher),
}

impl LauncherSettings {
    /// The word for the kind in the configuration.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Ssh(_) => "ssh",
            Self::Container(it) => it.engine.as_str(),
            Self::Kubernetes(_) => "kubernetes",
            Self::Command(_) => "command",
        }
    }

    /// Says why nobody can ever list what it started, where that is so: the settings alone tell.
    #[must_use]
    pub const fn unlisted(&self) -> Option<&'static str> {
        match self {
            Self::Command(CommandLauncher { list: None, .. }) => Some(NO_LIST),
            Self::Command(_) | Self::Ssh(_) | Self::Container(_) | Self::Kubernetes(_) => None,
        }
    }
}

const NO_LIST: &str = "cannot be listed: give it `list` in `[site.launcher]`";

/// Starts programs on a host, over SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshLauncher {
    /// The host.
    pub destination: SshDestination,
    /// What holds the program there.
    pub method: SshMethod,
    /// Whether `sudo -n` stands before what needs root there.
    pub sudo: bool,
}

/// What holds a program on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SshMethod {
    /// A unit of systemd where systemd runs there, else `timeout`.
    #[default]
    Auto,
    /// A transient unit of the system's manager (systemd-run(1)).
    Systemd,
    /// A transient unit of the user's own manager.
    SystemdUser,
    /// `timeout` (coreutils), and a watchdog that ends it when this host lets go.
    Timeout,
}

impl SshMethod {
    /// Every method, with its word in the configuration.
    pub const ALL: [(&str, Self); 4] = [
        ("auto", Self::Auto),
        ("systemd", Self::Systemd),
        ("systemd-user", Self::SystemdUser),
        ("timeout", Self::Timeout),
    ];

    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Systemd => "systemd",
            Self::SystemdUser => "systemd-user",
            Self::Timeout => "timeout",
        }
    }
}

/// Starts containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerLauncher {
    /// What runs them.
    pub engine: ContainerEngine,
    /// The host on which its command is run, over SSH; here where absent.
    pub over: Option<SshDestination>,
    /// Whether `sudo -n` stands before the command.
    pub sudo: bool,
}

/// What runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is the name of its command")]
pub enum ContainerEngine {
    Docker,
    Podman,
}

impl ContainerEngine {
    /// The name of its command.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// Starts Jobs in a Kubernetes cluster, through `kubectl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesLauncher {
    /// The context of the kubeconfig; its current one where absent.
    pub context: Option<String>,
    /// The namespace.
    pub namespace: String,
    /// The kubeconfig, absolute; what `kubectl` takes where absent.
    pub kubeconfig: Option<std::path::PathBuf>,
}

/// Starts things by commands of one's own: each a list of words, never a line for a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLauncher {
    /// Starts it, and prints one line: the id by which the others find it.
    pub start: Vec<String>,
    /// Stops it.
    pub stop: Vec<String>,
    /// Ends with 0 where it runs and with 3 where it does not; anything else says nothing.
    pub look: Vec<String>,
    /// Prints its last lines, where there is such a command.
    pub logs: Option<Vec<String>>,
    /// Prints the names of all that run, one a line, where there is such a command.
    pub list: Option<Vec<String>>,
}

/// What is to be started, with everything but its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// What it is, in a word or two: `connector`, `router`.
    pub what: String,
    /// Its name there, by which it is found without our notes.
    pub marker: Marker,
    /// The program with its arguments, where a host runs it.
    pub program: Vec<String>,
    /// The image, where a container runs it.
    pub image: String,
    /// The arguments of the image's own program.
    pub arguments: Vec<String>,
    /// What its environment says, without any secret.
    pub environment: BTreeMap<String, String>,
    /// The names of the variables whose values are secret; they are given when it is started.
    pub secrets: Vec<String>,
    /// The folders to which it writes; nothing of them outlives it.
    pub scratch: Vec<String>,
    /// When it must be over, whatever becomes of us.
    pub ends_at: Timestamp,
}

/// The parameters of a step that starts something in a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// How.
    pub launcher: LauncherSettings,
    /// What.
    pub spec: LaunchSpec,
}

impl fmt::Display for LauncherSettings {
    /// Where things are started, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(it) => write!(f, "on {} over SSH", it.destination),
            Self::Container(it) => match &it.over {
                Some(over) => write!(f, "by {} on {over}", it.engine.as_str()),
                None => write!(f, "by {} on this host", it.engine.as_str()),
            },
            Self::Kubernetes(it) => match &it.context {
                Some(context) => {
                    write!(f, "as a Job in namespace {} of {context}", it.namespace)
                }
                None => write!(f, "as a Job in namespace {}", it.namespace),
            },
            Self::Command(it) => {
                let program = it.start.first().map_or("nothing", String::as_str);
                write!(f, "by {}", super::text::shown(program))
            }
        }
    }
}

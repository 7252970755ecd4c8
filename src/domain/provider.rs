//! The systems that carry network paths, as far as rules and screens know them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::id::{ProviderId, SecretName};
use super::probe::Probe;
use super::secret::Secret;
use super::ssh::SshDestination;
use super::tailscale::TailscaleSetup;
use super::time::Timestamp;
use super::twingate::TwingateSetup;

/// What kind of system a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// A plain TCP connection from this host.
    Direct,
    /// A bastion, reached by the system's `ssh`.
    Ssh,
    /// A temporary router on a tailnet of Tailscale or Headscale.
    Tailscale,
    /// A temporary connector in a network of Twingate.
    Twingate,
    /// A provider that exists only in a drill; it behaves as the named kind would.
    Simulated,
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Ssh => "ssh",
            Self::Tailscale => "tailscale",
            Self::Twingate => "twingate",
            Self::Simulated => "simulated",
        })
    }
}

/// What the configuration says of one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSettings {
    /// Its name.
    pub id: ProviderId,
    /// What system it is, and where.
    pub setup: ProviderSetup,
    /// False when an operator switched it off.
    pub enabled: bool,
    /// Whether it serves private targets that belong to no site; never true of Direct.
    pub default: bool,
}

impl ProviderSettings {
    /// True where the key that the vault has for it, as it was `before`, must be given again: it is
    /// bound to another host.
    #[must_use]
    pub fn needs_key_again(&self, before: &Self) -> bool {
        before.setup.has_key() && before.setup.key_is_for() != self.setup.key_is_for()
    }

    /// Under which name its key lies in the vault; none where its own name is so long that there is
    /// none.
    #[must_use]
    pub fn secret_name(id: &ProviderId) -> Option<SecretName> {
        format!("provider-{id}").parse().ok()
    }
}

/// What system a provider is, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderSetup {
    /// A plain TCP connection from this host.
    Direct,
    /// A bastion.
    Ssh(SshSetup),
    /// A tailnet.
    Tailscale(Box<TailscaleSetup>),
    /// A network of Twingate.
    Twingate(Box<TwingateSetup>),
}

/// A bastion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSetup {
    /// Where it is.
    pub destination: SshDestination,
    /// Whether a private key for it lies in the vault, under [`ProviderSettings::secret_name`].
    pub has_key: bool,
}

impl ProviderSetup {
    /// The kind of system.
    #[must_use]
    pub const fn kind(&self) -> ProviderKind {
        match self {
            Self::Direct => ProviderKind::Direct,
            Self::Ssh(_) => ProviderKind::Ssh,
            Self::Tailscale(_) => ProviderKind::Tailscale,
            Self::Twingate(_) => ProviderKind::Twingate,
        }
    }

    /// Whether a key lies in the vault.
    #[must_use]
    pub fn has_key(&self) -> bool {
        match self {
            Self::Direct => false,
            Self::Ssh(setup) => setup.has_key,
            Self::Tailscale(setup) => setup.has_key,
            Self::Twingate(setup) => setup.has_key,
        }
    }

    /// Whether such a system is given a key at all.
    #[must_use]
    pub const fn takes_key(&self) -> bool {
        !matches!(self, Self::Direct)
    }

    /// Whether something must be made at such a system, and taken away again, before it is known for
    /// certain what a key may do there.
    #[must_use]
    pub const fn has_canary(&self) -> bool {
        matches!(self, Self::Twingate(_))
    }

    /// The same with a key in the vault, or without one.
    #[must_use]
    pub fn with_key(self, has_key: bool) -> Self {
        match self {
            Self::Direct => Self::Direct,
            Self::Ssh(setup) => Self::Ssh(SshSetup { has_key, ..setup }),
            Self::Tailscale(setup) => {
                Self::Tailscale(Box::new(TailscaleSetup { has_key, ..*setup }))
            }
            Self::Twingate(setup) => Self::Twingate(Box::new(TwingateSetup { has_key, ..*setup })),
        }
    }

    /// The host that a key is for, in words. A key is kept with it, and is given to no other.
    #[must_use]
    pub fn key_is_for(&self) -> String {
        match self {
            Self::Direct => "nothing".to_owned(),
            Self::Ssh(setup) => format!("ssh {}", setup.destination),
            Self::Tailscale(setup) => match &setup.tailnet.ca_file {
                Some(file) => format!("tailscale {} by {}", setup.tailnet, file.display()),
                None => format!("tailscale {}", setup.tailnet),
            },
            Self::Twingate(setup) => format!("twingate {}", setup.network.host()),
        }
    }
}

/// What a look at a provider found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// What can be done there, ability by ability.
    pub probe: Probe,
    /// When the key ends, where that is known.
    pub key_expires_at: Option<Timestamp>,
}

/// How a provider does at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It answers and may do what we need.
    Healthy,
    /// It works with a limit that an operator should know.
    Degraded {
        /// What is limited, in words.
        why: String,
    },
    /// It cannot carry a path.
    Down {
        /// What is wrong, in words.
        why: String,
    },
}

impl Health {
    /// What a look says: down where something is missing that is needed, degraded where something
    /// else is.
    #[must_use]
    pub fn of(probe: &Probe) -> Self {
        let why = |needed| {
            let mut wrong = probe.wrong(needed);
            wrong.next().map(|(name, why)| format!("{name}: {why}"))
        };
        match (why(true), why(false)) {
            (Some(why), _) => Self::Down { why },
            (None, Some(why)) => Self::Degraded { why },
            (None, None) => Self::Healthy,
        }
    }

    /// True when a new session may be given a path here.
    #[must_use]
    pub fn can_serve(&self) -> bool {
        !matches!(self, Self::Down { .. })
    }
}

/// What the choice of a path needs to know of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStanding {
    /// Its name in the configuration.
    pub id: ProviderId,
    /// What kind of system it is.
    pub kind: ProviderKind,
    /// False when an operator switched it off.
    pub enabled: bool,
    /// Whether it serves private targets that belong to no site.
    pub default: bool,
    /// How it does.
    pub health: Health,
}

/// Puts a key together with the host that it is for, as it lies in the vault.
#[must_use]
pub fn bind_key(is_for: &str, key: &Secret) -> Secret {
    Secret::new(format!("for {is_for}\n{}", key.expose()))
}

/// Takes a key out of what lies in the vault.
///
/// # Errors
///
/// When it was given for another host: somebody has changed where the provider is since.
pub fn unbind_key(is_for: &str, bound: &Secret) -> Result<Secret, KeyError> {
    let text = bound.expose();
    let (first, key) = text.split_once('\n').ok_or(KeyError::Damaged)?;
    let given_for = first.strip_prefix("for ").ok_or(KeyError::Damaged)?;
    if given_for == is_for {
        Ok(Secret::new(key))
    } else {
        let (given_for, is_for) = (super::text::shown(given_for), super::text::shown(is_for));
        Err(KeyError::OtherHost { given_for, is_for })
    }
}

/// Why the key in the vault cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It was given for another host.
    #[error("the key was given for `{given_for}`, and the provider is now `{is_for}`")]
    OtherHost {
        /// What it was given for.
        given_for: String,
        /// What the configuration says.
        is_for: String,
    },
    /// It is not as this program keeps keys.
    #[error("what the vault has is no key of a provider")]
    Damaged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_for_one_host() {
        let key = Secret::new("-----BEGIN\nvole-canary\n");
        let bound = bind_key("ssh ops@bastion", &key);
        assert_eq!(unbind_key("ssh ops@bastion", &bound), Ok(key.clone()));
        let error = unbind_key("ssh ops@evil", &bound).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key was given for `ssh ops@bastion`, and the provider is now `ssh ops@evil`"
        );
        assert_eq!(unbind_key("ssh ops@bastion", &key), Err(KeyError::Damaged));
    }
}

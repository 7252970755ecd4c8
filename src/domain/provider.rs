//! The systems that carry network paths, as far as rules and screens know them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::ProviderId;

/// What kind of system a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// A plain TCP connection from this host.
    Direct,
    /// A provider that exists only in a drill; it behaves as the named kind would.
    Simulated,
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Simulated => "simulated",
        })
    }
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

//! The parts of a simulated path: what a step makes, or checks.

use serde::{Deserialize, Serialize};

/// What a step makes, or checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is the name of what it stands for")]
pub enum Part {
    OverlapCheck,
    RouterKey,
    HostKey,
    RouterProcess,
    Device,
    Route,
    AnswerCheck,
    RemoteNetwork,
    Connector,
    ConnectorProcess,
    AliveCheck,
    Resource,
    Access,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 13] = [
        Self::OverlapCheck,
        Self::RouterKey,
        Self::HostKey,
        Self::RouterProcess,
        Self::Device,
        Self::Route,
        Self::AnswerCheck,
        Self::RemoteNetwork,
        Self::Connector,
        Self::ConnectorProcess,
        Self::AliveCheck,
        Self::Resource,
        Self::Access,
    ];

    /// The word in file names and in the weather.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OverlapCheck => "overlap-check",
            Self::RouterKey => "router-key",
            Self::HostKey => "host-key",
            Self::RouterProcess => "router-process",
            Self::Device => "device",
            Self::Route => "route",
            Self::AnswerCheck => "answer-check",
            Self::RemoteNetwork => "remote-network",
            Self::Connector => "connector",
            Self::ConnectorProcess => "connector-process",
            Self::AliveCheck => "alive-check",
            Self::Resource => "resource",
            Self::Access => "access",
        }
    }

    /// The part of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == word)
    }

    /// What exists because of it, in words; nothing for a check.
    #[must_use]
    pub const fn leaves(self) -> Option<&'static str> {
        match self {
            Self::OverlapCheck | Self::AnswerCheck | Self::AliveCheck => None,
            Self::RouterKey => Some("router key"),
            Self::HostKey => Some("host key"),
            Self::RouterProcess => Some("router process"),
            Self::Device => Some("device"),
            Self::Route => Some("route"),
            Self::RemoteNetwork => Some("remote network"),
            Self::Connector => Some("connector"),
            Self::ConnectorProcess => Some("connector process"),
            Self::Resource => Some("resource"),
            Self::Access => Some("access"),
        }
    }

    /// True where a connection needs it to be there. A key is spent once somebody has joined.
    pub(super) const fn carries(self) -> bool {
        self.leaves().is_some() && !matches!(self, Self::RouterKey | Self::HostKey)
    }

    /// True where something must start or join, which takes longer than a call.
    pub(super) const fn takes_long(self) -> bool {
        matches!(self, Self::RouterProcess | Self::Device | Self::ConnectorProcess)
            || matches!(self, Self::AliveCheck)
    }

    /// True where it carries a deadline at the remote side.
    pub(super) const fn has_deadline(self) -> bool {
        matches!(self, Self::RouterProcess | Self::ConnectorProcess | Self::Access)
    }

    /// The part that must run for this one to come about.
    pub(super) const fn comes_from(self) -> Option<Self> {
        match self {
            Self::Device => Some(Self::RouterProcess),
            Self::AliveCheck => Some(Self::ConnectorProcess),
            _ => None,
        }
    }
}

//! What came of asking a network, by what is to be done about it.

use std::fmt;

use thiserror::Error;

use crate::domain::time::Span;
use crate::provider::change::{self, Doubtful};

/// Why there is no answer that can be used. Every text in it is clean and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    /// The key in use is wrong, disabled or over, or must not be used from here.
    #[error(
        "`{server}` does not accept the key of this provider{}; see under Settings, API in its \
         console whether the key is there and may be used from this host's address, or give the \
         provider a new one",
        Said(said)
    )]
    Key {
        /// Who was asked.
        server: String,
        /// What the server said.
        said: Option<String>,
    },
    /// There is no such network.
    #[error(
        "there seems to be no network at `{server}`: {why}; see whether the name of the network in \
         the configuration is right, or whether a proxy or a network that wants a sign-in stands \
         between"
    )]
    NoNetwork {
        /// Who was asked.
        server: String,
        /// What was seen instead.
        why: String,
    },
    /// The key in use lacks a permission.
    #[error(
        "the key of this provider may not {deed} at `{server}`{}; give it the permission `{needs}` \
         under Settings, API in the console, or give the provider another key",
        Said(said)
    )]
    Ability {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// What it takes.
        needs: Level,
        /// What the server said.
        said: Option<String>,
    },
    /// The network wants to be left alone for a while; surely nothing was done.
    #[error("`{server}` was asked too often; try again in {wait}")]
    Busy {
        /// Who was asked.
        server: String,
        /// For how long.
        wait: Span,
    },
    /// It makes no sense to the network, or it will not do it.
    #[error("`{server}` refused to {deed}: {said}; see in its console what stands in the way")]
    Refused {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// Why, as the server or this program says.
        said: String,
    },
    /// What was to be changed is not there.
    #[error(
        "`{server}` could not {deed}: it says `{said}`; somebody else may have removed it; end the \
         session and open a new one"
    )]
    Absent {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// What the server said.
        said: String,
    },
    /// Nothing was sent, so nothing was done.
    #[error("{why}")]
    Unreachable {
        /// Why, and what to do.
        why: String,
        /// Whether it may go the next time.
        passing: bool,
    },
    /// Something was sent, and nobody knows what came of it.
    #[error("`{server}` gave no clear answer when it was asked to {deed}: {why}")]
    Unclear {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// What was seen instead.
        why: String,
    },
}

/// What a key may do; each does what those before it do
/// (<https://www.twingate.com/docs/getting-started-with-the-api>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// To see what is there.
    Read,
    /// To change it.
    Write,
    /// To make tokens of connectors.
    Provision,
}

/// What came of a change.
pub type Change<T> = change::Change<T, Trouble>;

impl Doubtful for Trouble {
    fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Unclear { .. })
    }
}

impl Trouble {
    /// True where the same question may be answered in a moment.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unclear { .. } | Self::Busy { .. } | Self::Unreachable { passing: true, .. }
        )
    }
}

impl fmt::Display for Level {
    /// As the console calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "Read",
            // What sessions need in any case, as tokens take it.
            Self::Write | Self::Provision => "Read, Write & Provision",
        })
    }
}

struct Said<'a>(&'a Option<String>);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |said| write!(f, " (it says `{said}`)"))
    }
}

//! What came of asking the control server, by what is to be done about it.

use std::fmt;

use thiserror::Error;

use crate::domain::text;
use crate::domain::time::Span;
use crate::provider::change::{self, Doubtful};

/// Why there is no answer that can be used. Every text in it is clean and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    /// The key in use is revoked, over or wrong: nothing goes until another is given.
    #[error(
        "{server} does not accept the key of this provider: {why}; give the provider a new one"
    )]
    Key {
        /// Who was asked.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key in use lacks a right.
    #[error(
        "the key of this provider may not {deed} at {server}{}; give it the scope `{scope}`, or take a key of somebody who may",
        Said(said)
    )]
    Ability {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// The scope that allows it.
        scope: &'static str,
        /// What the server said.
        said: Option<String>,
    },
    /// What was asked for is not there.
    #[error(
        "{server} found nothing when it was asked to {deed}{}; see whether the server and the tailnet in the configuration are right",
        Said(said)
    )]
    Absent {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// What the server said.
        said: Option<String>,
    },
    /// The server wants to be left alone for a while.
    #[error("{server} was asked too often or is overloaded (status {status}){}", Later(*wait))]
    Busy {
        /// Who was asked.
        server: String,
        /// 429 where surely nothing was done, else 503.
        status: u16,
        /// For how long, where it said so.
        wait: Option<Span>,
    },
    /// This kind of key cannot list that; what it made is known by its id only.
    #[error(
        "the keys of devices cannot be listed: {why}; each is known by its id alone, and one that nobody knows runs out by itself"
    )]
    CannotList {
        /// Why.
        why: String,
    },
    /// The server has no such ability.
    #[error("{server} cannot {deed}{}", Said(said))]
    NotOffered {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// What the server said.
        said: Option<String>,
    },
    /// The policy file is not the one that was read.
    #[error(
        "the policy file was changed by somebody else since it was read; nothing was written; read it again and repeat the edit"
    )]
    Conflict,
    /// The tags are not this key's to give.
    #[error(
        "{server} does not let this key give the tags {}{}; \
         an OAuth client may give exactly the set of tags that it has itself, or tags which those own: \
         give the client one tag, such as `tag:breakglass-admin`, and name it in the policy file as the \
         owner of each tag above, as in `\"tagOwners\": {{\"tag:breakglass-router\": [\"tag:breakglass-admin\"]}}`; \
         a tag that stands nowhere under `tagOwners` is refused to everybody",
        Listed(tags),
        Said(said)
    )]
    Tags {
        /// Who was asked.
        server: String,
        /// The tags.
        tags: Vec<String>,
        /// What the server said.
        said: Option<String>,
    },
    /// It makes no sense to the server.
    #[error("{server} refused to {deed}{}", Because(said))]
    Refused {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// Why, as the server or this program says.
        said: Option<String>,
    },
    /// Nothing was sent, so nothing was done.
    #[error("{why}")]
    Unreachable {
        /// Why.
        why: String,
        /// Whether it may go the next time.
        passing: bool,
    },
    /// Something was sent, and nobody knows what came of it.
    #[error("{server} gave no clear answer when it was asked to {deed}: {why}")]
    Unclear {
        /// Who was asked.
        server: String,
        /// What was to be done.
        deed: &'static str,
        /// What was seen instead.
        why: String,
    },
}

/// What came of a change.
pub type Change<T> = change::Change<T, Trouble>;

impl Doubtful for Trouble {
    fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Unclear { .. } | Self::Busy { status: 503, .. })
    }
}

impl Trouble {
    /// True where the same question may be answered in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unclear { .. } | Self::Busy { .. } | Self::Unreachable { passing: true, .. }
        )
    }
}

struct Said<'a>(&'a Option<String>);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |said| write!(f, " (it says `{said}`)"))
    }
}

struct Because<'a>(&'a Option<String>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

struct Later(Option<Span>);

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, "; try again in {wait}"),
            None => f.write_str("; try again in a minute"),
        }
    }
}

struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted: Vec<_> = self.0.iter().map(|tag| format!("`{}`", text::shown(tag))).collect();
        f.write_str(&quoted.join(", "))
    }
}

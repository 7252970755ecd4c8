//! A look at another system, thing by thing: what is there, and what is missing.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// What a look showed. Of an identity provider it is the evidence that stands beside a break-glass
/// sign-in in the audit; of a provider or a launcher it says what can be done there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it was looked at.
    pub at: Timestamp,
    /// What was looked for, in order.
    pub checks: Vec<ProbeCheck>,
}

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeCheck {
    /// What: `discovery`, `host key`, `forwarding`.
    pub name: String,
    /// True where nothing works without it; else it is a limit that one should know.
    pub needed: bool,
    /// What was found, or what is wrong and what to do; clean text.
    pub found: Result<String, String>,
    /// How long it took.
    pub millis: u64,
}

impl Probe {
    /// True where everything was there that is needed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.found.is_ok() || !check.needed)
    }

    /// Why it is not healthy; none where it is.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.wrong(true).next().map(|(_, why)| why)
    }

    /// What is wrong with things that are needed, or with those that are not.
    pub fn wrong(&self, needed: bool) -> impl Iterator<Item = (&str, &str)> {
        let checks = self.checks.iter().filter(move |check| check.needed == needed);
        checks.filter_map(|check| Some((check.name.as_str(), check.found.as_ref().err()?.as_str())))
    }
}

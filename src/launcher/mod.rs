//! The contract of a launcher: how a temporary router or connector is started inside a site.
//!
//! A provider's step carries a [`Launch`]; the engine hands it to the launcher together with the
//! secrets of the program, which stand in no journal. Like every step it is applied, looked for by
//! its mark, and undone. What is started always has a deadline at the far side, so that it ends even
//! if this host is gone.
//!
//! Launchers never import each other or a provider, and the engine sees this contract only.

pub mod kinds;

mod command;
mod container;
mod host;
mod kubernetes;
mod marked;
mod order;
mod transport;
mod way;

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::domain::artifact::Marked;
use crate::domain::id::InstallationId;
use crate::domain::launcher::{Launch, LaunchSpec, LauncherSettings};
use crate::domain::probe::Probe;
use crate::domain::secret::Secret;
use crate::domain::time::{Span, Timestamp};
use crate::session::{Applied, Looked, Undone};

/// How long is waited for what is run. Each command has a limit of its own besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The longest that any command may take.
    pub longest: Span,
    /// Between two looks at what was just started or stopped.
    pub pauses: [Span; 3],
}

impl Default for Waits {
    fn default() -> Self {
        let pauses = [300, 700, 1_500].map(Span::from_millis);
        Self { longest: Span::from_hours(1), pauses }
    }
}

/// The secret variables of what is started, by their names.
pub type Secrets = BTreeMap<String, Secret>;

/// How things are started inside sites.
#[async_trait]
pub trait Launcher: Send + Sync + 'static {
    /// Starts something, or finds that it runs already. `now` is engine time.
    ///
    /// A refusal says the last lines of what was started, where it has said anything.
    async fn start(&self, launch: &Launch, secrets: &Secrets, now: Timestamp) -> Applied;

    /// Sees whether it runs, or anything of it is left. Changes nothing.
    async fn look(&self, launch: &Launch) -> Looked;

    /// Stops it and takes away what belongs to it. It may be gone already.
    async fn stop(&self, launch: &Launch) -> Undone;

    /// Returns the last lines that it has said, as they came.
    ///
    /// # Errors
    ///
    /// Why they cannot be read, in words.
    async fn logs(&self, launch: &Launch) -> Result<String, String>;

    /// Lists everything there that bears the mark of an installation.
    ///
    /// # Errors
    ///
    /// Why it cannot be listed, in words.
    async fn list(
        &self,
        settings: &LauncherSettings,
        installation: &InstallationId,
    ) -> Result<Vec<Marked>, String>;

    /// Takes away something that was listed. It may be gone already.
    async fn remove(&self, settings: &LauncherSettings, found: &Marked) -> Undone;

    /// Sees what can be done there, ability by ability. Starts nothing.
    async fn validate(&self, settings: &LauncherSettings, now: Timestamp) -> Probe;

    /// Says how something is started: what gives it an end, and what removes it by hand. Touches
    /// nothing.
    fn describe(&self, launcher: &LauncherSettings, spec: &LaunchSpec) -> Described;
}

/// What a plan says of something that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What gives it an end even if this host is gone, in words.
    pub expires: String,
    /// The commands that remove it by hand, word by word.
    pub by_hand: Vec<Vec<String>>,
}

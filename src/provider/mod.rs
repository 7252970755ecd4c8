//! The contract of a provider: a system that carries network paths.
//!
//! A provider turns an order into steps ([`Provider::plan`]) and carries each out: apply, look,
//! undo, with the answers of [`Applied`], [`Looked`] and [`Undone`]. While a session is Active it
//! watches the path ([`Provider::watch`]). What is to be started inside a site it does not start
//! itself: such a step is carried out by the site's launcher ([`Carrier::Launcher`]).
//!
//! [`Carrier::Launcher`]: crate::session::Carrier::Launcher
//!
//! Every call gets what the journal holds and nothing else, so that a session is torn down with
//! the parameters it was opened with, whatever the configuration says by then. An undo of what is
//! not there is well done. Nothing in a step's parameters is secret.
//!
//! Providers never import each other, and the engine sees this contract only.

mod change;
mod checks;
pub mod direct;
pub mod key;
mod left;
pub mod pace;
pub mod simulated;
pub mod ssh;
pub mod tailscale;
pub mod twingate;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use crate::domain::artifact::{Artifact, Marked, Marker};
use crate::domain::id::{InstallationId, ProviderId, SessionId};
use crate::domain::provider::{Health, ProviderKind, Validation};
use crate::domain::secret::Secret;
use crate::domain::site::{Prefix, Site};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::session::{Applied, Looked, PlannedStep, StepIndex, Undone};

/// A system that carries network paths.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Its name in the configuration.
    fn id(&self) -> &ProviderId;

    /// What kind of system it is.
    fn kind(&self) -> ProviderKind;

    /// What people call the system.
    fn label(&self) -> String;

    /// What it does, in one line.
    fn about(&self) -> String;

    /// Why it cannot be removed, if it cannot.
    fn keep(&self) -> Option<String>;

    /// Returns the steps that give a session its path. Touches nothing.
    ///
    /// # Errors
    ///
    /// When this provider cannot carry a path to that target, with the reason in words.
    fn plan(&self, order: &Order) -> Result<Vec<PlannedStep>, ProviderError>;

    /// Says what opening changes in a file that belongs to others: the lines of a diff. Changes nothing.
    ///
    /// # Errors
    ///
    /// Why that cannot be said, in words.
    async fn changes(&self, _order: &Order) -> Result<Vec<String>, String> {
        Ok(vec![])
    }

    /// Makes the change of one step.
    async fn apply(&self, call: StepCall<'_>) -> Applied;

    /// Sees whether what a step makes is there. Changes nothing.
    async fn look(&self, call: StepCall<'_>) -> Looked;

    /// Takes back what a step made. It may be gone already.
    async fn undo(&self, call: StepCall<'_>) -> Undone;

    /// Opens one connection to the target over the path that `steps` made.
    ///
    /// # Errors
    ///
    /// When the path or the target does not answer, with the reason in words.
    async fn dial(&self, steps: &[Made]) -> Result<Dialed, DialError>;

    /// Sees how the provider does, cheaply: it is asked again and again. Changes nothing there.
    async fn check(&self) -> Health;

    /// Sees what can be done there, ability by ability. Changes nothing there. `now` is engine time.
    async fn validate(&self, now: Timestamp) -> Validation;

    /// Sees for certain what can be done there: makes a canary, which nobody can use, and takes it away
    /// again. Done only where a person asks for it. `mark` is what the canary is called, so that a sweep
    /// finds what could not be taken away. Returns all that [`Provider::validate`] does, with what the
    /// canary has shown in the place of what can only be inferred. `now` is engine time. None where
    /// nothing is left to be shown by making something.
    async fn prove(&self, _mark: &Marker, _now: Timestamp) -> Option<Validation> {
        None
    }

    /// Returns the variables of what a step starts in the site that are known only when it is started:
    /// secrets, and what an earlier step has chosen. They stand in no journal.
    ///
    /// # Errors
    ///
    /// Why they are not known, in words: another process had them.
    async fn secrets(&self, _call: StepCall<'_>) -> Result<BTreeMap<String, Secret>, String> {
        Ok(BTreeMap::new())
    }

    /// Watches the path that `steps` made, and returns once something of it is surely gone. Meanwhile
    /// it tells how the path does.
    async fn watch(&self, _steps: &[Made], _tell: mpsc::Sender<Told>) -> Lost {
        std::future::pending().await
    }

    /// What carries the connections of all sites alike, so that two with the same addresses would meet
    /// there; none where they never do. Two providers that name the same share it.
    fn shared_way(&self) -> Option<String> {
        None
    }

    /// Says who besides the session could reach the target over the path, as far as that is known:
    /// a sentence each.
    fn audience(&self, order: &Order) -> Vec<String>;

    /// Lists everything there that bears the mark of an installation.
    ///
    /// # Errors
    ///
    /// Why it cannot be listed, in words.
    async fn list(&self, _installation: &InstallationId) -> Result<Vec<Marked>, String> {
        Ok(vec![])
    }

    /// Takes away something that was listed. It may be gone already.
    async fn remove(&self, _found: &Marked) -> Undone {
        Undone::Problem("this provider leaves nothing behind".to_owned())
    }
}

/// What is told of a path while it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something went wrong with a single connection, in words.
    Trouble(String),
    /// How the path does now: a line each, in place of the lines before.
    Live(Vec<String>),
}

/// Something that carried a path and is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which step made it.
    pub step: StepIndex,
    /// What happened, in words.
    pub why: String,
}

/// What a session needs a path for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The session.
    pub session: SessionId,
    /// What to reach.
    pub target: Target,
    /// The target's site, where it has one.
    pub site: Option<Site>,
    /// Ranges that a plain connection from this host must not lead into.
    pub forbidden: Vec<Prefix>,
    /// The mark for everything that is made.
    pub marker: Marker,
    /// The latest instant at which anything made may still be needed.
    pub needed_until: Timestamp,
}

/// One step as its carrier gets it.
#[derive(Clone, Copy, Debug)]
pub struct StepCall<'a> {
    /// The session.
    pub session: SessionId,
    /// The mark of its artifacts.
    pub marker: &'a Marker,
    /// The step, as the journal has it.
    pub step: &'a PlannedStep,
    /// What is known of what it made, if anything.
    pub artifact: Option<&'a Artifact>,
    /// The provider's other steps of this session, in the order of the plan.
    pub steps: &'a [Made],
    /// Where it says what it waits for.
    pub says: &'a Says,
}

/// Where a step says what it waits for while it is under way: people see it, and only what was said
/// last is kept, for as long as the step is under way.
#[derive(Clone, Debug, Default)]
pub struct Says(Option<Listener>);

#[derive(Clone, Debug)]
struct Listener {
    step: StepIndex,
    to: mpsc::Sender<(StepIndex, String)>,
    last: Arc<Mutex<Option<String>>>,
}

impl Says {
    /// What that step says goes there.
    #[must_use]
    pub fn to(step: StepIndex, listener: mpsc::Sender<(StepIndex, String)>) -> Self {
        Self(Some(Listener { step, to: listener, last: Arc::default() }))
    }

    /// Says it; where nobody listens, or has too much to hear, that is all.
    pub fn say(&self, what: impl Into<String>) {
        let Self(Some(Listener { step, to, last })) = self else { return };
        let what = what.into();
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.clone());
        to.try_send((*step, what)).ok();
    }

    /// What was said last; not clean.
    #[must_use]
    pub fn last(&self) -> Option<String> {
        let Self(Some(Listener { last, .. })) = self else { return None };
        last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where nobody listens.
pub static UNHEARD: Says = Says(None);

/// A provider's step with what it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its place in the plan.
    pub index: StepIndex,
    /// The step, as the journal has it.
    pub step: PlannedStep,
    /// What it made, if that is or may still be there.
    pub artifact: Option<Artifact>,
}

/// An open connection to the target: always a descriptor, so that it can be given to another
/// process.
#[derive(Debug)]
pub enum Dialed {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a UNIX socket, at whose other end the path begins.
    Unix(UnixStream),
}

/// Why a provider cannot plan a path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// It cannot carry a path to such a target.
    #[error("{provider} cannot carry a path to this target: {why}")]
    CannotCarry {
        /// Which provider.
        provider: ProviderId,
        /// Why, in words.
        why: String,
    },
}

/// Why a connection over a path could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DialError {
    /// The name cannot be resolved.
    #[error("`{host}` cannot be resolved: {why}")]
    Unresolved {
        /// The name.
        host: String,
        /// Why.
        why: String,
    },
    /// Every address lies in a range that a plain connection must not lead into.
    #[error("`{host}` lies in a site's private range; a plain connection could meet another site")]
    Forbidden {
        /// The name.
        host: String,
    },
    /// Something answered that it does not take connections.
    #[error("`{address}` refused the connection")]
    Refused {
        /// Where.
        address: String,
    },
    /// Nothing answered in time.
    #[error("`{address}` did not answer within {seconds} s")]
    TimedOut {
        /// Where.
        address: String,
        /// How long was waited.
        seconds: u64,
    },
    /// Something else.
    #[error("cannot connect to `{address}`: {why}")]
    Other {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
}

//! The contract of a provider: a system that carries network paths.
//!
//! A provider turns an order into steps ([`Provider::plan`]) and carries each out: apply, look,
//! undo. Three answers come wherever something was asked to change: it is applied, it is refused
//! and surely unchanged, or nobody knows. *Nobody knows* is an honest answer and the only right
//! one after a time-out or a lost connection: the session then looks, and never applies twice.
//!
//! Every call gets what the journal holds and nothing else, so that a session is torn down with
//! the parameters it was opened with, whatever the configuration says by then. An undo of what is
//! not there is well done. Nothing in a step's parameters is secret.
//!
//! Providers never import each other, and the engine sees this contract only.

pub mod direct;
pub mod simulated;

use async_trait::async_trait;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};

use crate::domain::artifact::{Artifact, Marker};
use crate::domain::id::{ProviderId, SessionId};
use crate::domain::provider::{Health, ProviderKind};
use crate::domain::site::{Prefix, Site};
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::session::PlannedStep;

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

    /// Sees how the provider does. Changes nothing there.
    async fn check(&self) -> Health;
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
}

/// A provider's step with what it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The step, as the journal has it.
    pub step: PlannedStep,
    /// What it made, if that is or may still be there.
    pub artifact: Option<Artifact>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is made; a mere check makes nothing.
    Applied(Option<Artifact>),
    /// It is refused, and surely nothing was changed. Why, in words.
    Refused(String),
    /// Nobody saw the outcome. What was seen instead, in words.
    Unknown(String),
}

/// What a look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It is there.
    Found(Artifact),
    /// It is not there.
    Absent,
    /// The look could not tell. Why, in words.
    Unclear(String),
}

/// What came of taking something back. Whether it is gone, only a look tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The request was answered well, or the thing was gone already.
    Sent,
    /// Something went wrong. What, in words.
    Problem(String),
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

//! A bastion: the provider that still works when every SaaS is down.
//!
//! One `ssh` process a session, kept open, with a control socket and a UNIX socket that leads to the
//! target:
//!
//! ```text
//! endpoint --> <dir>/<session>/f --> ssh ==(one connection)==> bastion --> target
//!                                     ^ <dir>/<session>/c: asked whether it lives, told to end
//! ```
//!
//! That process lives on without us and ends by itself at its deadline; another engine takes it over
//! where the journal says that it is there. It is found by its mark: the name of the file that it was
//! configured with. [`steps`] is the plan, [`opening`] carries it out, [`watching`] notices the end,
//! [`seeing`] says what can be done there, [`sweeping`] finds what nobody remembers.
//!
//! Not here: how `ssh` is configured and what it complains of ([`crate::ssh`]).

mod opening;
mod seeing;
mod steps;
mod sweeping;
mod watching;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};

use self::steps::{Action, Does};
use super::key::Key;
use super::{DialError, Dialed, Lost, Made, Order, Provider, ProviderError, StepCall, Told};
use crate::domain::artifact::Marked;
use crate::domain::id::{InstallationId, ProviderId};
use crate::domain::provider::{Health, ProviderKind, Validation};
use crate::domain::ssh::SshDestination;
use crate::domain::time::Timestamp;
use crate::session::{Applied, Looked, PlannedStep, Undone};
use crate::ssh::Ssh;

/// A bastion.
pub struct Bastion {
    id: ProviderId,
    destination: Option<SshDestination>,
    key: Key,
    ssh: Ssh,
    /// How many may sign in at once: a server drops what comes in too great a crowd (MaxStartups).
    turns: Semaphore,
}

impl Bastion {
    /// Makes the provider.
    #[must_use]
    pub const fn new(id: ProviderId, destination: SshDestination, key: Key, ssh: Ssh) -> Self {
        Self {
            id,
            destination: Some(destination),
            key,
            ssh,
            turns: Semaphore::const_new(SIGN_INS_AT_ONCE),
        }
    }

    /// Makes one that stands in no configuration any more: it takes back what it has made.
    #[must_use]
    pub const fn gone(id: ProviderId, ssh: Ssh) -> Self {
        let turns = Semaphore::const_new(SIGN_INS_AT_ONCE);
        Self { id, destination: None, key: Key::None, ssh, turns }
    }

    fn destination(&self) -> Result<&SshDestination, String> {
        let gone = || format!("the provider `{}` is not in the configuration", self.id);
        self.destination.as_ref().ok_or_else(gone)
    }
}

#[async_trait]
impl Provider for Bastion {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Ssh
    }

    fn label(&self) -> String {
        "SSH".to_owned()
    }

    fn about(&self) -> String {
        match &self.destination {
            Some(to) => format!("through {to}: one connection a session, which ends with it"),
            None => "no longer in the configuration; only takes back what it made".to_owned(),
        }
    }

    fn keep(&self) -> Option<String> {
        None
    }

    fn plan(&self, order: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        let planned = self
            .destination()
            .and_then(|bastion| steps::plan(&self.id, bastion, &self.ssh.dir, order));
        planned.map_err(|why| ProviderError::CannotCarry { provider: self.id.clone(), why })
    }

    async fn apply(&self, call: StepCall<'_>) -> Applied {
        match Action::of(call.step) {
            Ok(action) if action.does == Does::Connect => {
                self.connect(&action, call.artifact.is_some()).await
            }
            Ok(action) => self.probe(&action).await,
            Err(why) => Applied::Refused(why),
        }
    }

    async fn look(&self, call: StepCall<'_>) -> Looked {
        match Action::of(call.step) {
            Ok(action) if action.does == Does::Connect => opening::look(&action),
            Ok(_) => Looked::Absent,
            Err(why) => Looked::Unclear(why),
        }
    }

    async fn undo(&self, call: StepCall<'_>) -> Undone {
        match Action::of(call.step) {
            Ok(action) if action.does == Does::Connect => opening::close(&action).await,
            Ok(_) => Undone::Sent,
            Err(why) => Undone::Problem(why),
        }
    }

    async fn dial(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        opening::dial(steps).await
    }

    async fn check(&self) -> Health {
        self.health().await
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        self.abilities(now).await
    }

    async fn watch(&self, steps: &[Made], trouble: mpsc::Sender<Told>) -> Lost {
        self.guard(steps, trouble).await
    }

    fn shared_way(&self) -> Option<String> {
        Some(format!("the bastion {}", self.id))
    }

    fn audience(&self, order: &Order) -> Vec<String> {
        let bastion = self
            .destination()
            .map_or_else(|_| "the bastion".to_owned(), crate::ssh::reading::place);
        let target = &order.target.address;
        vec![
            "on this host: the user that runs this engine, and root; nobody else can enter the \
             folder of the connection"
                .to_owned(),
            format!(
                "beyond it: everybody who may sign in at {bastion} and forward from there reaches \
                 {target}, with or without this session; it opens nothing for them and confines nobody"
            ),
        ]
    }

    async fn list(&self, installation: &InstallationId) -> Result<Vec<Marked>, String> {
        sweeping::list(&self.ssh.dir, installation).map_err(|error| {
            format!("cannot list what lies in `{}`: {error}", self.ssh.dir.display())
        })
    }

    async fn remove(&self, found: &Marked) -> Undone {
        sweeping::remove(&self.ssh.dir, found).await
    }
}

/// Servers begin to drop sign-ins at ten (MaxStartups 10:30:100).
const SIGN_INS_AT_ONCE: usize = 8;

//! The session as the fold of its journal.

use thiserror::Error;

use super::entry::{EndReason, Entry, Fact};
use super::plan::{self, StepIndex};
use super::step::{Stage, Step};
use crate::domain::audit_event::Actor;
use crate::domain::id::SessionId;
use crate::domain::request::Request;
use crate::domain::time::{Span, Timestamp};

/// One session, as its journal tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    id: SessionId,
    request: Box<Request>,
    requested_at: Timestamp,
    pub(super) steps: Vec<Step>,
    pub(super) activate_by: Timestamp,
    lease: Span,
    pub(super) activated_at: Option<Timestamp>,
    pub(super) ending: Option<Ending>,
    pub(super) ended_at: Option<Timestamp>,
    entries: u64,
    latest: Timestamp,
}

/// That a session is to end, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: EndReason,
    /// More about it, in words.
    pub detail: Option<String>,
    /// Who asked.
    pub by: Actor,
    /// Since when.
    pub at: Timestamp,
}

/// An entry that cannot follow those before it: the journal is damaged, or its writer is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("entry {index} of session {session} cannot follow those before it: {fact:?}")]
pub struct IllegalEntry {
    /// The session.
    pub session: SessionId,
    /// The entry's place, counted from zero.
    pub index: u64,
    /// What it says; nothing where the journal is empty.
    pub fact: Option<Box<Fact>>,
}

impl Session {
    /// A session of which the request is known and nothing else: the fold of its first entry.
    #[must_use]
    pub fn requested(id: SessionId, at: Timestamp, request: Box<Request>) -> Self {
        Self {
            id,
            lease: request.lease,
            request,
            requested_at: at,
            steps: Vec::new(),
            activate_by: at,
            activated_at: None,
            ending: None,
            ended_at: None,
            entries: 1,
            latest: at,
        }
    }

    /// Rebuilds a session from its journal.
    ///
    /// # Errors
    ///
    /// The first entry that cannot follow those before it, or that the journal is empty.
    pub fn replay(id: SessionId, entries: &[Entry]) -> Result<Self, IllegalEntry> {
        let illegal = |fact: Option<&Fact>| IllegalEntry {
            session: id,
            index: 0,
            fact: fact.cloned().map(Box::new),
        };
        let (first, rest) = entries.split_first().ok_or_else(|| illegal(None))?;
        let Fact::Requested(request) = &first.fact else {
            return Err(illegal(Some(&first.fact)));
        };
        let mut session = Self::requested(id, first.at, request.clone());
        for entry in rest {
            session.evolve(entry)?;
        }
        Ok(session)
    }

    /// Takes in one entry that is already durable. The only function that changes a session.
    ///
    /// # Errors
    ///
    /// When the entry cannot follow those before it; the session is then unchanged.
    pub fn evolve(&mut self, entry: &Entry) -> Result<(), IllegalEntry> {
        let accepted = self.take_in(entry);
        if accepted.is_none() {
            let fact = Some(Box::new(entry.fact.clone()));
            return Err(IllegalEntry { session: self.id, index: self.entries, fact });
        }
        self.entries += 1;
        self.latest = self.latest.max(entry.at);
        Ok(())
    }

    fn take_in(&mut self, entry: &Entry) -> Option<()> {
        let Entry { at, fact } = entry;
        if self.ended_at.is_some() {
            return None;
        }
        match fact {
            Fact::Planned { steps, activate_by } if self.is_unplanned() => {
                let plan = plan::Plan::new(steps.clone()).ok()?;
                self.steps = plan.into_steps().into_iter().map(Step::new).collect();
                self.activate_by = *activate_by;
            }
            Fact::Activated if self.is_whole() && self.activated_at.is_none() => {
                self.activated_at = Some(*at);
            }
            Fact::Extended { lease, .. } if self.may_extend_to(*lease) => self.lease = *lease,
            Fact::EndRequested { reason, detail, by } => {
                self.end(*at, *reason, detail.clone(), by.clone());
            }
            Fact::Restarted => self.restart(*at),
            Fact::RetryRequested { .. } if self.ending.is_some() => {
                self.steps.iter_mut().for_each(|step| step.retry(*at));
            }
            Fact::HandedOver => {}
            Fact::Ended if self.ending.is_some() && self.steps.iter().all(Step::is_clear) => {
                self.ended_at = Some(*at);
            }
            Fact::StepStarted { step } if self.ending.is_none() => {
                self.take_in_step(*step, fact, *at)?;
            }
            Fact::UndoStarted { step } if self.ending.is_some() => {
                self.take_in_step(*step, fact, *at)?;
            }
            Fact::StepLost { step, .. } if self.is_active() => {
                self.take_in_step(*step, fact, *at)?;
            }
            Fact::StepApplied { step, .. }
            | Fact::StepRefused { step, .. }
            | Fact::OutcomeUnknown { step, .. }
            | Fact::StepFound { step, .. }
            | Fact::StepAbsent { step }
            | Fact::LookFailed { step, .. }
            | Fact::UndoSent { step, .. } => self.take_in_step(*step, fact, *at)?,
            _ => return None,
        }
        Some(())
    }

    fn take_in_step(&mut self, step: StepIndex, fact: &Fact, at: Timestamp) -> Option<()> {
        let stage = self.stage();
        let step = self.steps.get_mut(step)?;
        step.take_in(fact, at, stage)?;
        if stage == Stage::Ending {
            step.end(at);
        }
        Some(())
    }

    fn end(&mut self, at: Timestamp, reason: EndReason, detail: Option<String>, by: Actor) {
        if self.ending.is_none() {
            self.ending = Some(Ending { reason, detail, by, at });
            self.steps.iter_mut().for_each(|step| step.end(at));
        }
    }

    /// A restart is news about us, not about the world: what was opening ends, what was Active is
    /// adopted, and a step that was under way falls under rule 3.
    fn restart(&mut self, at: Timestamp) {
        if self.activated_at.is_none() {
            let detail = Some("the engine was restarted while the session was opening".to_owned());
            self.end(at, EndReason::ActivationFailed, detail, Actor::engine());
        }
        let adopt = self.ending.is_none();
        self.steps.iter_mut().for_each(|step| step.restart(at, adopt));
    }

    const fn stage(&self) -> Stage {
        match (&self.ending, self.activated_at) {
            (Some(_), _) => Stage::Ending,
            (None, Some(_)) => Stage::Active,
            (None, None) => Stage::Opening,
        }
    }

    const fn is_unplanned(&self) -> bool {
        self.steps.is_empty() && self.ending.is_none()
    }

    /// True when every step is there.
    pub(super) fn is_whole(&self) -> bool {
        self.ending.is_none() && !self.steps.is_empty() && self.steps.iter().all(Step::is_applied)
    }

    /// True when a lease of this length may be given to it.
    #[must_use]
    pub fn may_extend_to(&self, lease: Span) -> bool {
        self.is_active() && lease > self.lease && lease <= self.request.lease_max
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// What was asked for.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// When it was asked for.
    #[must_use]
    pub const fn requested_at(&self) -> Timestamp {
        self.requested_at
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The lease, extensions counted.
    #[must_use]
    pub const fn lease(&self) -> Span {
        self.lease
    }

    /// When it became Active.
    #[must_use]
    pub const fn activated_at(&self) -> Option<Timestamp> {
        self.activated_at
    }

    /// When its lease ends; known from activation on.
    #[must_use]
    pub fn lease_ends_at(&self) -> Option<Timestamp> {
        self.activated_at.map(|at| at + self.lease)
    }

    /// Why it ends or ended, once that is on record.
    #[must_use]
    pub const fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// When everything was seen gone.
    #[must_use]
    pub const fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// True from activation until its end is on record.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.activated_at.is_some() && self.ending.is_none()
    }

    /// True when, after a restart or a loss, not everything is seen to be there again.
    #[must_use]
    pub fn is_mending(&self) -> bool {
        self.is_active() && !self.steps.iter().all(Step::is_applied)
    }

    /// True when some removal was tried often enough that a person should know.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.ending.is_some() && self.steps.iter().any(Step::is_owed)
    }

    /// How many entries made it what it is: the place of the next one.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The time of its latest entry.
    #[must_use]
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// What a step made, if it is or may still be there.
    #[must_use]
    pub fn artifact(&self, step: StepIndex) -> Option<&crate::domain::artifact::Artifact> {
        self.steps.get(step).filter(|step| !step.is_clear()).and_then(|step| step.made.as_ref())
    }
}

//! What has become of one step.

use super::entry::Fact;
use super::plan::{Lives, PlannedStep};
use crate::domain::artifact::Artifact;
use crate::domain::time::{Span, Timestamp};

/// One step of a session, with what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was planned.
    pub planned: PlannedStep,
    /// Where it stands.
    pub status: Status,
    /// How often its removal was tried without being seen to work.
    pub tries: u32,
    /// The last thing that went wrong with it, in words.
    pub problem: Option<String>,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// When it was last applied, refused or seen gone.
    pub finished_at: Option<Timestamp>,
    /// What it made, kept after it is gone.
    pub made: Option<Artifact>,
    /// When that was made.
    pub made_at: Option<Timestamp>,
    /// True once its outcome was unknown and had to be looked up.
    pub looked_for: bool,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not begun.
    Untouched,
    /// Written down; the world may have heard of it.
    Started {
        /// What it was before, when it is made again after a restart.
        before: Option<Artifact>,
    },
    /// It is there.
    Applied {
        /// When it may be undone (again).
        undo_at: Timestamp,
    },
    /// Its undo is written down; the world may have heard of it.
    UndoStarted,
    /// It may be there.
    Unsure {
        /// From when on a look that finds nothing proves something.
        settled_at: Timestamp,
        /// When to look (again).
        look_at: Timestamp,
        /// How often a look was in vain.
        looks: u32,
    },
    /// It was there when the engine died, and the session goes on.
    Adopting {
        /// When to look (again).
        look_at: Timestamp,
        /// How often a look was in vain.
        looks: u32,
    },
    /// It died with the engine and is to be made again.
    Lost,
    /// Nothing of it is left.
    Clear,
}

/// After this many tries a removal that is not seen to work is shown as owed.
pub const OWED_AFTER_TRIES: u32 = 3;

impl Step {
    pub(super) const fn new(planned: PlannedStep) -> Self {
        Self {
            planned,
            status: Status::Untouched,
            tries: 0,
            problem: None,
            started_at: None,
            finished_at: None,
            made: None,
            made_at: None,
            looked_for: false,
        }
    }

    /// True when nothing of it is left, or ever was.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        matches!(self.status, Status::Untouched | Status::Clear)
    }

    /// True when it is there and nothing is being done about it.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self.status, Status::Applied { .. })
    }

    /// True when its removal was tried, and seen not to work, often enough that a person should
    /// know.
    #[must_use]
    pub const fn is_owed(&self) -> bool {
        // What the latest try did is not known before somebody has looked.
        let seen = match self.status {
            Status::Unsure { looks: 0, .. } => self.tries.saturating_sub(1),
            _ => self.tries,
        };
        !self.is_clear() && seen >= OWED_AFTER_TRIES
    }

    /// True when it was begun and found to leave nothing: refused, or seen gone.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        matches!(self.status, Status::Clear)
    }

    /// Takes in a fact about this step, or returns `None` where it cannot follow. `ending` when the
    /// session ends: only then is what goes wrong a try at a removal.
    pub(super) fn take_in(&mut self, fact: &Fact, at: Timestamp, ending: bool) -> Option<()> {
        let status = self.status_after(fact, at, ending)?;
        self.set(status);
        match fact {
            Fact::StepStarted { .. } => self.started_at = Some(at),
            Fact::StepApplied { artifact, .. } => {
                self.finished_at = Some(at);
                self.keep(artifact.as_ref(), at);
            }
            Fact::StepFound { artifact, .. } => {
                self.finished_at = Some(at);
                self.keep(Some(artifact), at);
            }
            Fact::StepAbsent { .. } => self.finished_at = Some(at),
            Fact::StepRefused { why, .. } => {
                self.finished_at = Some(at);
                self.problem = Some(why.clone());
            }
            Fact::OutcomeUnknown { why, .. } => self.problem = Some(why.clone()),
            Fact::LookFailed { why, .. } => {
                self.problem = Some(why.clone());
                self.tries = self.tries.saturating_add(u32::from(ending));
            }
            Fact::UndoSent { problem, .. } => {
                self.tries = self.tries.saturating_add(1);
                if problem.is_some() {
                    self.problem.clone_from(problem);
                }
            }
            _ => {}
        }
        Some(())
    }

    fn status_after(&self, fact: &Fact, at: Timestamp, ending: bool) -> Option<Status> {
        let settle = self.planned.settle;
        Some(match (&self.status, fact) {
            (Status::Untouched, Fact::StepStarted { .. }) => Status::Started { before: None },
            (Status::Lost, Fact::StepStarted { .. }) => {
                Status::Started { before: self.made.clone() }
            }
            (Status::Started { .. }, Fact::StepApplied { .. }) => Status::Applied { undo_at: at },
            (Status::Started { .. }, Fact::StepRefused { .. }) => Status::Clear,
            (Status::Started { .. }, Fact::StepFound { .. }) if ending => {
                Status::Applied { undo_at: at }
            }
            (Status::Started { .. }, fact) if leaves_open(fact, ending) => {
                if self.leaves_nothing() {
                    Status::Clear
                } else {
                    Status::Unsure { settled_at: at + settle, look_at: at, looks: 0 }
                }
            }
            (Status::Unsure { .. }, Fact::StepFound { .. }) => {
                Status::Applied { undo_at: at + pause(self.tries) }
            }
            (Status::Unsure { settled_at, .. }, Fact::StepAbsent { .. }) if at >= *settled_at => {
                Status::Clear
            }
            (Status::Unsure { settled_at, looks, .. }, Fact::StepAbsent { .. }) => {
                let look_at = (at + look_pause(*looks)).min(*settled_at);
                Status::Unsure { settled_at: *settled_at, look_at, looks: looks + 1 }
            }
            (Status::Unsure { settled_at, looks, .. }, Fact::LookFailed { .. }) => {
                let wait = if ending { pause(self.tries + 1) } else { look_pause(*looks) };
                let look_at = at + wait;
                Status::Unsure { settled_at: *settled_at, look_at, looks: looks + 1 }
            }
            (Status::Applied { .. }, Fact::UndoStarted { .. }) => Status::UndoStarted,
            (Status::UndoStarted, Fact::UndoSent { .. }) => {
                Status::Unsure { settled_at: at, look_at: at, looks: 0 }
            }
            (Status::Adopting { .. }, Fact::StepFound { .. }) => Status::Applied { undo_at: at },
            (Status::Adopting { .. }, Fact::StepAbsent { .. }) => Status::Clear,
            (Status::Adopting { looks, .. }, Fact::LookFailed { .. }) => {
                Status::Adopting { look_at: at + pause(looks + 1), looks: looks + 1 }
            }
            _ => return None,
        })
    }

    /// Takes in that the engine died. `adopt` when the session was Active and goes on.
    pub(super) fn restart(&mut self, at: Timestamp, adopt: bool) {
        let in_engine = self.planned.lives == Lives::InTheEngine;
        let settle = if in_engine { Span::ZERO } else { self.planned.settle };
        let unsure = Status::Unsure { settled_at: at + settle, look_at: at, looks: 0 };
        let status = match &self.status {
            Status::Started { .. }
            | Status::Unsure { .. }
            | Status::Applied { .. }
            | Status::Lost
                if adopt && in_engine =>
            {
                Status::Lost
            }
            Status::Applied { .. } if adopt && !self.leaves_nothing() => {
                Status::Adopting { look_at: at, looks: 0 }
            }
            Status::Adopting { .. } => Status::Adopting { look_at: at, looks: 0 },
            Status::Started { .. } if self.leaves_nothing() => Status::Clear,
            Status::Started { .. } => unsure,
            // The undo may have been heard or not; it is sent again, which does no harm.
            Status::UndoStarted => Status::Applied { undo_at: at },
            // What waited for a better moment is tried at once: the wait may be long over.
            _ => return self.retry(at),
        };
        self.set(status);
    }

    /// Takes in that the session ends: what was being adopted is only to be removed any more.
    pub(super) fn end(&mut self, at: Timestamp) {
        match &self.status {
            Status::Adopting { .. } | Status::Lost => self.set(Status::Applied { undo_at: at }),
            Status::Applied { .. } if self.leaves_nothing() => self.set(Status::Clear),
            _ => {}
        }
    }

    /// Takes in that somebody wants what is owed tried at once.
    pub(super) fn retry(&mut self, at: Timestamp) {
        match &mut self.status {
            Status::Applied { undo_at } => *undo_at = at.min(*undo_at),
            Status::Unsure { look_at, .. } => *look_at = at.min(*look_at),
            _ => {}
        }
    }

    fn set(&mut self, status: Status) {
        self.looked_for |= matches!(status, Status::Unsure { .. });
        self.status = status;
    }

    const fn leaves_nothing(&self) -> bool {
        self.planned.leaves.is_none()
    }

    fn keep(&mut self, artifact: Option<&Artifact>, at: Timestamp) {
        if let Some(artifact) = artifact {
            self.made = Some(artifact.clone());
            self.made_at = self.made_at.or(Some(at));
        }
    }
}

/// True for a fact after which a step that was written down may be there or not.
const fn leaves_open(fact: &Fact, ending: bool) -> bool {
    match fact {
        Fact::OutcomeUnknown { .. } => true,
        Fact::StepAbsent { .. } | Fact::LookFailed { .. } => ending,
        _ => false,
    }
}

/// How long to wait after so many vain tries at a removal: 5 s, doubled each time, 5 minutes at
/// the most.
fn pause(tries: u32) -> Span {
    match tries {
        0 => Span::ZERO,
        tries => Span::from_seconds(5u64.saturating_mul(1 << (tries - 1).min(6)).min(300)),
    }
}

/// How long to wait after so many looks that proved nothing.
fn look_pause(looks: u32) -> Span {
    Span::from_seconds(1 << looks.min(5))
}

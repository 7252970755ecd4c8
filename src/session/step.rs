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
    /// How many of these were since somebody asked for another try: pauses grow with them.
    vain: u32,
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
    /// How often it was begun again since it was lost.
    pub again: u32,
    /// When an Active session lost it, the latest ones, the oldest first.
    pub losses: Vec<Loss>,
}

/// A while in which something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Since when.
    pub at: Timestamp,
    /// Until when; nothing where it did not come back.
    pub back_at: Option<Timestamp>,
}

/// How far its session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not Active yet.
    Opening,
    /// Active, and not ending.
    Active,
    /// Its end is on record.
    Ending,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not begun.
    Untouched,
    /// Written down; the world may have heard of it.
    Started {
        /// What it was before, when it is made again.
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
    /// It is gone though nobody undid it: it died with the engine, or an Active session lost it.
    Lost {
        /// From when on it may be made again, where it is made again.
        again_at: Timestamp,
    },
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
            vain: 0,
            problem: None,
            started_at: None,
            finished_at: None,
            made: None,
            made_at: None,
            looked_for: false,
            again: 0,
            losses: Vec::new(),
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

    /// True when it is gone and the session must end for it.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        let made_again = self.planned.remade || self.planned.lives == Lives::InTheEngine;
        matches!(self.status, Status::Lost { .. }) && !made_again
    }

    /// True when something out there was lost and is not there again. Only in an Active session.
    #[must_use]
    pub fn is_being_remade(&self) -> bool {
        let begun_again = match self.status {
            Status::Lost { .. } => true,
            Status::Started { .. } | Status::Unsure { .. } => self.again > 0,
            _ => false,
        };
        begun_again && self.planned.lives == Lives::InTheWorld
    }

    /// Takes in a fact about this step, or returns `None` where it cannot follow. Only while the
    /// session ends is what goes wrong a try at a removal.
    pub(super) fn take_in(&mut self, fact: &Fact, at: Timestamp, stage: Stage) -> Option<()> {
        let ending = stage == Stage::Ending;
        let status = self.status_after(fact, at, stage)?;
        let adopting = matches!(self.status, Status::Adopting { .. });
        match fact {
            Fact::StepStarted { .. } => {
                let again = matches!(self.status, Status::Lost { .. });
                self.again = self.again.saturating_add(u32::from(again));
                self.started_at = Some(at);
            }
            Fact::StepApplied { artifact, .. } => self.is_there(artifact.as_ref(), at, stage),
            Fact::StepFound { artifact, .. } => self.is_there(Some(artifact), at, stage),
            Fact::StepAbsent { .. } => {
                self.finished_at = Some(at);
                self.problem.take_if(|problem| problem == AGAIN);
                if adopting {
                    self.note_loss(at);
                    (self.again, self.problem) = (0, Some(GONE.to_owned()));
                }
            }
            Fact::StepLost { why, .. } => {
                self.note_loss(at);
                self.again = self.again_when_lost(at);
                self.problem = Some(why.clone());
            }
            Fact::StepRefused { why, .. } => {
                self.finished_at = Some(at);
                self.problem = Some(why.clone());
            }
            Fact::OutcomeUnknown { why, .. } => self.problem = Some(why.clone()),
            Fact::LookFailed { why, .. } => {
                self.problem = Some(why.clone());
                self.count_try(u32::from(ending));
            }
            Fact::UndoSent { problem, .. } => {
                self.count_try(1);
                if problem.is_some() || self.problem.as_deref() == Some(AGAIN) {
                    self.problem.clone_from(problem);
                }
            }
            _ => {}
        }
        self.set(status);
        Some(())
    }

    fn status_after(&self, fact: &Fact, at: Timestamp, stage: Stage) -> Option<Status> {
        let settle = self.planned.settle;
        let ending = stage == Stage::Ending;
        let absent = if stage == Stage::Active && self.may_be_remade() {
            Status::Lost { again_at: at + remake_pause(self.again) }
        } else {
            Status::Clear
        };
        Some(match (&self.status, fact) {
            (Status::Untouched, Fact::StepStarted { .. }) => Status::Started { before: None },
            (Status::Lost { .. }, Fact::StepStarted { .. }) => {
                Status::Started { before: self.made.clone() }
            }
            (Status::Started { .. }, Fact::StepApplied { .. }) => Status::Applied { undo_at: at },
            (Status::Started { .. }, Fact::StepRefused { .. }) => absent,
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
                Status::Applied { undo_at: at + pause(self.vain) }
            }
            (Status::Unsure { settled_at, .. }, Fact::StepAbsent { .. }) if at >= *settled_at => {
                absent
            }
            (Status::Unsure { settled_at, looks, .. }, Fact::StepAbsent { .. }) => {
                let look_at = (at + look_pause(*looks)).min(*settled_at);
                Status::Unsure { settled_at: *settled_at, look_at, looks: looks + 1 }
            }
            (Status::Unsure { settled_at, looks, .. }, Fact::LookFailed { .. }) => {
                let wait =
                    if ending { pause(self.vain.saturating_add(1)) } else { look_pause(*looks) };
                let look_at = at + wait;
                Status::Unsure { settled_at: *settled_at, look_at, looks: looks + 1 }
            }
            (Status::Applied { .. }, Fact::StepLost { .. }) if self.can_be_lost(stage) => {
                Status::Lost { again_at: at + remake_pause(self.again_when_lost(at)) }
            }
            (Status::Applied { .. }, Fact::UndoStarted { .. }) => Status::UndoStarted,
            (Status::UndoStarted, Fact::UndoSent { .. }) => {
                Status::Unsure { settled_at: at, look_at: at, looks: 0 }
            }
            (Status::Adopting { .. }, Fact::StepFound { .. }) => Status::Applied { undo_at: at },
            (Status::Adopting { .. }, Fact::StepAbsent { .. }) if self.may_be_remade() => {
                Status::Lost { again_at: at }
            }
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
            | Status::Lost { .. }
                if adopt && in_engine =>
            {
                Status::Lost { again_at: at }
            }
            Status::Applied { .. }
                if adopt && !self.leaves_nothing() && self.planned.lives != Lives::UntilUsed =>
            {
                Status::Adopting { look_at: at, looks: 0 }
            }
            Status::Adopting { .. } => Status::Adopting { look_at: at, looks: 0 },
            Status::Started { .. } if self.leaves_nothing() => Status::Clear,
            Status::Started { .. } => unsure,
            // The undo may have been heard or not; it is sent again, which does no harm.
            Status::UndoStarted => Status::Applied { undo_at: at },
            // What waited for a better moment is tried at once: the wait may be long over.
            _ => return self.come_forward(at),
        };
        self.set(status);
    }

    /// Takes in that the session ends: what was being adopted is only to be removed any more.
    pub(super) fn end(&mut self, at: Timestamp) {
        match &self.status {
            Status::Adopting { .. } | Status::Lost { .. } => {
                self.set(Status::Applied { undo_at: at });
            }
            Status::Applied { .. } if self.leaves_nothing() => self.set(Status::Clear),
            _ => {}
        }
    }

    const fn count_try(&mut self, tries: u32) {
        self.tries = self.tries.saturating_add(tries);
        self.vain = self.vain.saturating_add(tries);
    }

    /// Takes in that somebody wants what is owed tried at once: the pauses begin anew, and what was in
    /// the way before is no answer to that.
    pub(super) fn retry(&mut self, at: Timestamp) {
        if self.is_owed() {
            self.problem = Some(AGAIN.to_owned());
        }
        self.vain = 0;
        self.come_forward(at);
    }

    /// What waits for a better moment does not wait any longer.
    fn come_forward(&mut self, at: Timestamp) {
        match &mut self.status {
            Status::Applied { undo_at } => *undo_at = at.min(*undo_at),
            Status::Unsure { look_at, .. } => *look_at = at.min(*look_at),
            Status::Lost { again_at } => *again_at = at.min(*again_at),
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

    /// True when it was made, and is made again where an Active session has lost it.
    fn may_be_remade(&self) -> bool {
        self.planned.remade && self.planned.lives == Lives::InTheWorld && self.made.is_some()
    }

    /// A check makes nothing that could be lost, and what dies with the engine is the engine's to
    /// mind.
    fn can_be_lost(&self, stage: Stage) -> bool {
        let in_the_world = self.planned.lives == Lives::InTheWorld;
        stage == Stage::Active && in_the_world && !self.leaves_nothing()
    }

    /// What held for a while begins with the first pause when it is lost; what did not goes on with
    /// the pauses where they were.
    fn again_when_lost(&self, at: Timestamp) -> u32 {
        let held = self.finished_at.is_none_or(|since| since + HELD <= at);
        if held { 0 } else { self.again }
    }

    fn note_loss(&mut self, at: Timestamp) {
        if self.losses.len() >= LOSSES_KEPT {
            self.losses.remove(0);
        }
        self.losses.push(Loss { at, back_at: None });
    }

    fn is_there(&mut self, artifact: Option<&Artifact>, at: Timestamp, stage: Stage) {
        self.finished_at = Some(at);
        if stage == Stage::Active {
            // What went wrong on the way back has nothing to do with its removal.
            self.problem = None;
            if let Some(loss) = self.losses.last_mut() {
                loss.back_at = loss.back_at.or(Some(at));
            }
        }
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

/// How long to wait before something is made again that was begun again so often: not at all at
/// first, then 1 s, doubled each time, 30 s at the most.
fn remake_pause(again: u32) -> Span {
    match again {
        0 => Span::ZERO,
        again => Span::from_seconds((1u64 << (again - 1).min(5)).min(30)),
    }
}

/// How long something that was made again must be there to count as mended.
const HELD: Span = Span::from_minutes(1);

/// How many losses of a step are kept.
const LOSSES_KEPT: usize = 16;

/// What stands in the place of an earlier reason until the new try has one.
const AGAIN: &str = "it is tried again now";
const GONE: &str = "it is gone";

/// How long to wait after so many looks that proved nothing.
fn look_pause(looks: u32) -> Span {
    Span::from_seconds(1 << looks.min(5))
}

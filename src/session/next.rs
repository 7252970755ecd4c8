//! What a session does next: a pure function of the session and the time.

use super::entry::{EndReason, Entry, Fact};
use super::plan::{self, StepIndex};
use super::state::Session;
use super::step::{Status, Step};
use crate::domain::artifact::Artifact;
use crate::domain::audit_event::Actor;
use crate::domain::time::Timestamp;

/// A single touch of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make the change.
    Apply {
        /// Which step.
        step: StepIndex,
        /// What it was before it was lost; made again as much like it as can be.
        before: Option<Artifact>,
    },
    /// See whether it is there.
    Look {
        /// Which step.
        step: StepIndex,
        /// What is known of it.
        artifact: Option<Artifact>,
    },
    /// Take it back. It may be gone already, and that is well.
    Undo {
        /// Which step.
        step: StepIndex,
        /// What is known of it.
        artifact: Option<Artifact>,
    },
}

impl Effect {
    /// Which step it belongs to.
    #[must_use]
    pub const fn step(&self) -> StepIndex {
        match self {
            Self::Apply { step, .. } | Self::Look { step, .. } | Self::Undo { step, .. } => *step,
        }
    }
}

/// Every move that is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Entries to append. Nothing is to be done in the world for them.
    pub writes: Vec<Fact>,
    /// Touches of the world, one a step at the most. They are named again until an outcome is on
    /// record; who carries effects out remembers which are under way, and begins no other for the
    /// same step.
    pub effects: Vec<Effect>,
    /// When the answer changes by itself.
    pub wait_until: Option<Timestamp>,
}

/// What an interpreter does in one turn: append the entries, then carry out the effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// To be made durable first, all at once.
    pub entries: Vec<Entry>,
    /// The session once they are.
    pub session: Session,
    /// To be carried out then, but for those that are under way.
    pub effects: Vec<Effect>,
    /// When to come back, if nothing else happens.
    pub wait_until: Option<Timestamp>,
}

impl Session {
    /// Returns every move that is ready. Same session, same time, same answer.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Moves {
        if self.ended_at.is_some() || self.steps.is_empty() && self.ending.is_none() {
            return Moves::default();
        }
        match (&self.ending, self.lease_ends_at()) {
            (Some(_), _) => self.next_while_ending(now),
            (None, None) if now >= self.activate_by => {
                let detail = match self.first_waiting() {
                    Some(step) => format!("gave up waiting for: {}", step.planned.label),
                    None => "gave up waiting".to_owned(),
                };
                end(EndReason::ActivationFailed, detail)
            }
            (None, None) => self.next_while_activating(now),
            (None, Some(ends_at)) if now >= ends_at => Moves {
                writes: vec![Fact::EndRequested {
                    reason: EndReason::LeaseExpired,
                    detail: None,
                    by: Actor::engine(),
                }],
                ..Moves::default()
            },
            (None, Some(ends_at)) => self.next_while_active(now, ends_at),
        }
    }

    /// Folds every entry that is ready into one turn.
    #[must_use]
    pub fn turn(&self, now: Timestamp) -> Turn {
        let mut session = self.clone();
        let mut entries = vec![];
        loop {
            let moves = session.next(now);
            let written = entries.len();
            for fact in moves.writes {
                let entry = Entry { at: now, fact };
                if session.evolve(&entry).is_ok() {
                    entries.push(entry);
                }
            }
            if entries.len() == written {
                let (effects, wait_until) = (moves.effects, moves.wait_until);
                return Turn { entries, session, effects, wait_until };
            }
        }
    }

    fn next_while_activating(&self, now: Timestamp) -> Moves {
        if let Some(failed) = self.steps.iter().find(|step| step.is_spent()) {
            let why = failed.problem.as_deref().unwrap_or("it was not there");
            return end(EndReason::ActivationFailed, format!("{}: {why}", failed.planned.label));
        }
        if self.is_whole() {
            return Moves { writes: vec![Fact::Activated], ..Moves::default() };
        }
        let mut moves = self.moves_of_steps(now);
        moves.wait_no_later_than(self.activate_by);
        moves
    }

    fn next_while_active(&self, now: Timestamp, ends_at: Timestamp) -> Moves {
        if let Some(lost) = self.steps.iter().find(|step| step.is_spent() || step.is_missed()) {
            let why = lost.problem.as_deref().unwrap_or("it is gone");
            return end(EndReason::ProviderLost, format!("{}: {why}", lost.planned.label));
        }
        let mut moves = self.moves_of_steps(now);
        moves.wait_no_later_than(ends_at);
        moves
    }

    /// The moves that bring steps forward, in a session that opens or is adopted.
    fn moves_of_steps(&self, now: Timestamp) -> Moves {
        let mut moves = Moves::default();
        for (index, step) in self.steps.iter().enumerate() {
            match &step.status {
                Status::Untouched if self.has_what_it_needs(step) => {
                    moves.writes.push(Fact::StepStarted { step: index });
                }
                Status::Lost { again_at } if self.has_what_it_needs(step) => {
                    if now >= *again_at {
                        moves.writes.push(Fact::StepStarted { step: index });
                    } else {
                        moves.wait_no_later_than(*again_at);
                    }
                }
                Status::Started { before } => {
                    moves.effects.push(Effect::Apply { step: index, before: before.clone() });
                }
                Status::Unsure { look_at, .. } | Status::Adopting { look_at, .. } => {
                    moves.look(index, step, *look_at, now);
                }
                Status::Untouched
                | Status::Lost { .. }
                | Status::Applied { .. }
                | Status::UndoStarted
                | Status::Clear => {}
            }
        }
        moves
    }

    fn next_while_ending(&self, now: Timestamp) -> Moves {
        let mut moves = Moves::default();
        if self.steps.iter().all(Step::is_clear) {
            moves.writes.push(Fact::Ended);
            return moves;
        }
        for (index, step) in self.steps.iter().enumerate() {
            match &step.status {
                Status::Applied { undo_at } if self.may_be_undone(index) => {
                    if now >= *undo_at {
                        moves.writes.push(Fact::UndoStarted { step: index });
                    } else {
                        moves.wait_no_later_than(*undo_at);
                    }
                }
                Status::UndoStarted => {
                    let artifact = step.made.clone();
                    moves.effects.push(Effect::Undo { step: index, artifact });
                }
                Status::Unsure { look_at, .. } => moves.look(index, step, *look_at, now),
                // An apply that is under way comes first: its outcome says what to undo. One that
                // was written down and never begun is looked for, like all that is not known.
                Status::Started { .. } => moves.look(index, step, now, now),
                Status::Applied { .. }
                | Status::Untouched
                | Status::Adopting { .. }
                | Status::Lost { .. }
                | Status::Clear => {}
            }
        }
        moves
    }

    fn has_what_it_needs(&self, step: &Step) -> bool {
        let needs = &step.planned.needs;
        needs.iter().all(|needed| self.steps.get(*needed).is_some_and(Step::is_applied))
    }

    /// True when what must go first is gone. One step that will not go must not keep the others
    /// open, so a step that is owed counts as out of the way.
    fn may_be_undone(&self, index: StepIndex) -> bool {
        let planned = self.steps.iter().map(|step| &step.planned);
        let out_of_the_way = |step: &Step| step.is_clear() || step.is_owed();
        plan::undo_after(planned, index)
            .iter()
            .all(|after| self.steps.get(*after).is_none_or(out_of_the_way))
    }

    fn first_waiting(&self) -> Option<&Step> {
        self.steps.iter().find(|step| !step.is_applied())
    }
}

impl Moves {
    fn look(&mut self, index: StepIndex, step: &Step, look_at: Timestamp, now: Timestamp) {
        if now >= look_at {
            self.effects.push(Effect::Look { step: index, artifact: step.made.clone() });
        } else {
            self.wait_no_later_than(look_at);
        }
    }

    fn wait_no_later_than(&mut self, at: Timestamp) {
        self.wait_until = Some(self.wait_until.map_or(at, |until| until.min(at)));
    }
}

fn end(reason: EndReason, detail: String) -> Moves {
    let detail = Some(detail);
    let fact = Fact::EndRequested { reason, detail, by: Actor::engine() };
    Moves { writes: vec![fact], ..Moves::default() }
}

//! The plan of a session: a short list of steps with edges between them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::domain::id::ProviderId;
use crate::domain::time::Span;

/// The place of a step in its plan, counted from zero.
pub type StepIndex = usize;

/// The steps that open a session, checked: every edge leads to a step that comes earlier (needs)
/// or exists (undo), and undoing has no circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(Vec<PlannedStep>);

/// One step: a change with its undo, or a check that changes nothing.
///
/// It holds every non-secret parameter that apply, look and undo need, so that a session can be
/// torn down whatever the configuration says by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What it does, for people: `create auth key`.
    pub label: String,
    /// Who carries it out.
    pub carrier: Carrier,
    /// The carrier's own parameters.
    pub action: Value,
    /// What exists because of it: `auth key`. A step that leaves nothing is never undone.
    pub leaves: Option<String>,
    /// What removes it even if this host is gone, in words, if anything can.
    pub expires: Option<String>,
    /// Whether it outlives this process.
    pub lives: Lives,
    /// Whether it is made again where an Active session has lost it, once it is seen gone.
    #[serde(default)]
    pub remade: bool,
    /// Whether it only waits for what another step has begun: when the session ends, it is given up.
    #[serde(default)]
    pub waits: bool,
    /// The earlier steps that must be applied before it.
    pub needs: Vec<StepIndex>,
    /// The steps that must be gone before it is undone; where absent, those that need it.
    pub undo_after: Option<Vec<StepIndex>>,
    /// How long an unanswered request may still take effect. A look that finds nothing before
    /// this has passed proves nothing.
    pub settle: Span,
    /// How long a single call may take before its outcome counts as unknown.
    pub timeout: Span,
    /// The commands that remove it by hand, word by word. `{name}` stands for the artifact's name
    /// and `{key}` for `key` in its details.
    pub by_hand: Vec<Vec<String>>,
    /// What is to be known for these commands, or what is to be done where no command does it, in words.
    #[serde(default)]
    pub in_words: Option<String>,
}

/// Who carries a step out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// A provider.
    Provider(ProviderId),
    /// The launcher that the step's parameters name: it starts something in a site.
    Launcher,
    /// The local endpoint.
    Endpoint,
}

/// Whether what a step makes outlives this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lives {
    /// It is out there, whatever becomes of us.
    InTheWorld,
    /// It is out there until it is used, which is while the session opens: a key that works once. An
    /// Active session does not miss it.
    UntilUsed,
    /// It dies with the process, and is made again when an Active session is adopted.
    InTheEngine,
}

/// Why a list of steps is no plan: a mistake in an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// There is nothing to do.
    #[error("a plan has at least one step")]
    Empty,
    /// A step needs one that does not come earlier.
    #[error("step {step} needs step {needs}, which does not come before it")]
    Needs {
        /// The step.
        step: StepIndex,
        /// What it needs.
        needs: StepIndex,
    },
    /// Steps wait for each other to be undone.
    #[error("steps wait for each other to be undone: {0:?}")]
    UndoCircle(Vec<StepIndex>),
}

impl Plan {
    /// Checks a list of steps.
    ///
    /// # Errors
    ///
    /// When it is empty, an edge leads nowhere or forward, or undoing would wait in a circle.
    pub fn new(steps: Vec<PlannedStep>) -> Result<Self, PlanError> {
        if steps.is_empty() {
            return Err(PlanError::Empty);
        }
        for (step, planned) in steps.iter().enumerate() {
            let out_of_range = |needs: &&StepIndex| **needs >= step;
            if let Some(needs) = planned.needs.iter().find(out_of_range) {
                return Err(PlanError::Needs { step, needs: *needs });
            }
            let nowhere = |after: &&StepIndex| **after >= steps.len();
            if let Some(after) = planned.undo_after.iter().flatten().find(nowhere) {
                return Err(PlanError::Needs { step, needs: *after });
            }
        }
        let mut left: Vec<StepIndex> = (0..steps.len()).collect();
        loop {
            let waits = |step: &StepIndex| {
                undo_after(steps.iter(), *step).iter().any(|after| left.contains(after))
            };
            let (stuck, free): (Vec<_>, Vec<_>) = left.iter().copied().partition(waits);
            match (stuck.is_empty(), free.is_empty()) {
                (true, _) => return Ok(Self(steps)),
                (false, true) => return Err(PlanError::UndoCircle(stuck)),
                (false, false) => left = stuck,
            }
        }
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[PlannedStep] {
        &self.0
    }

    /// Gives the steps away.
    #[must_use]
    pub fn into_steps(self) -> Vec<PlannedStep> {
        self.0
    }
}

/// Returns the steps that must be gone before `step` is undone.
pub(super) fn undo_after<'a>(
    steps: impl Iterator<Item = &'a PlannedStep> + Clone,
    step: StepIndex,
) -> Vec<StepIndex> {
    let declared = steps.clone().nth(step).and_then(|planned| planned.undo_after.clone());
    declared.unwrap_or_else(|| {
        let needing = steps.enumerate().filter(|(_, other)| other.needs.contains(&step));
        needing.map(|(index, _)| index).collect()
    })
}

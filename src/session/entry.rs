//! The journal of a session, line by line.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::{PlannedStep, StepIndex};
use crate::domain::artifact::Artifact;
use crate::domain::audit_event::Actor;
use crate::domain::request::Request;
use crate::domain::time::{Span, Timestamp};

/// One line of the journal: what became known, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Engine time.
    pub at: Timestamp,
    /// What became known.
    pub fact: Fact,
}

/// What can become known about a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// Somebody asked, and policy agreed.
    Requested(Box<Request>),
    /// The steps are known; activation must be done by then.
    Planned {
        /// The steps.
        steps: Vec<PlannedStep>,
        /// When activation is given up.
        activate_by: Timestamp,
    },
    /// The step is about to be applied.
    StepStarted {
        /// Which.
        step: StepIndex,
    },
    /// The step is applied.
    StepApplied {
        /// Which.
        step: StepIndex,
        /// What exists because of it; nothing for a mere check.
        artifact: Option<Artifact>,
    },
    /// The answer was no, and certainly nothing was changed.
    StepRefused {
        /// Which.
        step: StepIndex,
        /// Why, in words.
        why: String,
    },
    /// Nobody saw the outcome.
    OutcomeUnknown {
        /// Which.
        step: StepIndex,
        /// What was seen instead: a time-out, a lost connection.
        why: String,
    },
    /// A look found the artifact.
    StepFound {
        /// Which.
        step: StepIndex,
        /// What is there.
        artifact: Artifact,
    },
    /// A look found nothing.
    StepAbsent {
        /// Which.
        step: StepIndex,
    },
    /// A look could not tell.
    LookFailed {
        /// Which.
        step: StepIndex,
        /// Why, in words.
        why: String,
    },
    /// What the step made is surely gone, though nobody undid it.
    StepLost {
        /// Which.
        step: StepIndex,
        /// What happened, in words.
        why: String,
    },
    /// Every step is applied. The lease runs from here.
    Activated,
    /// The lease is longer than it was.
    Extended {
        /// The whole lease, counted from activation.
        lease: Span,
        /// Who extended it.
        by: Actor,
    },
    /// The session is to end. The first such line counts.
    EndRequested {
        /// Why.
        reason: EndReason,
        /// More about it, in words.
        detail: Option<String>,
        /// Who asked.
        by: Actor,
    },
    /// The step is about to be undone.
    UndoStarted {
        /// Which.
        step: StepIndex,
    },
    /// The undo was sent. How it answered clears nothing (rule 4); it is kept for people.
    UndoSent {
        /// Which.
        step: StepIndex,
        /// What went wrong, if anything did.
        problem: Option<String>,
    },
    /// Somebody asked to try at once what is owed.
    RetryRequested {
        /// Who asked.
        by: Actor,
    },
    /// The engine died and started again.
    Restarted,
    /// One engine process gave the session to another. Nothing changes.
    HandedOver,
    /// Everything was seen gone.
    Ended,
}

/// Why a session ends. The words are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The operator who opened it ended it.
    EndedByOperator,
    /// An Admin or Owner ended it.
    EndedByAdmin,
    /// Its lease ran out.
    LeaseExpired,
    /// No byte flowed for the idle limit.
    Idle,
    /// It never became Active.
    ActivationFailed,
    /// Something that carries the path went away.
    ProviderLost,
}

impl EndReason {
    /// The word in the audit and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndedByOperator => "ended-by-operator",
            Self::EndedByAdmin => "ended-by-admin",
            Self::LeaseExpired => "lease-expired",
            Self::Idle => "idle",
            Self::ActivationFailed => "activation-failed",
            Self::ProviderLost => "provider-lost",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

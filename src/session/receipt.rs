//! The teardown receipt: what existed because of a session, each seen gone, with the time.

use super::state::Session;
use super::step::Step;
use crate::domain::time::Timestamp;

/// One line of the receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What existed, or may have existed.
    pub artifact: String,
    /// Since when.
    pub made_at: Timestamp,
    /// When it was seen gone; absent while it is not.
    pub gone_at: Option<Timestamp>,
}

/// Returns the receipt so far: a line for each step that made something, or may have.
#[must_use]
pub fn receipt(session: &Session) -> Vec<Line> {
    session.steps().iter().filter_map(line).collect()
}

fn line(step: &Step) -> Option<Line> {
    let leaves = step.planned.leaves.as_ref()?;
    let gone_at = if step.is_clear() { step.finished_at } else { None };
    match (&step.made, step.made_at) {
        (Some(artifact), Some(made_at)) => {
            Some(Line { artifact: artifact.to_string(), made_at, gone_at })
        }
        // Begun, and nobody ever saw it: looked for all the same.
        _ if !step.is_clear() || was_unsure(step) => {
            let artifact = format!("{leaves} (never seen)");
            Some(Line { artifact, made_at: step.started_at?, gone_at })
        }
        _ => None,
    }
}

/// True when a step is clear because a look found nothing, not because it was refused.
fn was_unsure(step: &Step) -> bool {
    step.is_spent() && step.looked_for
}

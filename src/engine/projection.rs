//! What faces see of a session: everything worked out but the time.

use super::doors;
use crate::domain::connect::{self, EndpointAddress};
use crate::protocol::{
    ExitLine, PathLossView, ReceiptLine, SessionState, SessionView, StepProgress, StepView, Traffic,
};
use crate::session::{Carrier, Loss, Session, Status, Step, exit_card, receipt};

/// Returns a session as faces see it.
#[must_use]
pub fn view(session: &Session, traffic: Traffic) -> SessionView {
    let request = session.request().clone();
    let endpoint = if session.is_active() { endpoint(session) } else { None };
    let ending = session.ending();
    SessionView {
        id: session.id(),
        state: state(session),
        command: endpoint.as_ref().map(|at| connect::command_line(&request.target, at)),
        endpoint,
        target: request.target,
        path: request.path,
        reason: request.reason,
        operator: request.operator,
        requested_at: session.requested_at(),
        activated_at: session.activated_at(),
        lease: session.lease(),
        lease_max: request.lease_max,
        lease_ends_at: session.lease_ends_at(),
        ended_at: session.ended_at(),
        end_reason: ending.map(|ending| ending.reason.to_string()),
        end_detail: ending.and_then(|ending| ending.detail.clone()),
        steps: session.steps().iter().map(|step| step_view(session, step)).collect(),
        receipt: receipt_lines(session),
        exit_card: exit_lines(session),
        traffic,
        audience: request.audience,
        path_lost: path_lost(session),
        live: vec![],
        path_losses: path_losses(session),
        drill: request.drill,
    }
}

/// Returns the state that a session is in.
#[must_use]
pub fn state(session: &Session) -> SessionState {
    if session.ended_at().is_some() {
        SessionState::Ended
    } else if session.is_owed() {
        SessionState::CleanupOwed
    } else if session.ending().is_some() {
        SessionState::Ending
    } else if session.activated_at().is_some() {
        SessionState::Active
    } else if session.steps().is_empty() {
        SessionState::Pending
    } else {
        SessionState::Activating
    }
}

fn endpoint(session: &Session) -> Option<EndpointAddress> {
    let is_endpoint = |step: &&Step| step.planned.carrier == Carrier::Endpoint;
    let step = session.steps().iter().find(is_endpoint)?;
    let open = step.is_applied();
    step.made.as_ref().filter(|_| open).and_then(doors::address_of)
}

/// What of the path is lost and being made again, in words.
fn path_lost(session: &Session) -> Option<String> {
    let lost = session.steps().iter().filter(|step| is_lost(session, step));
    let words: Vec<String> = lost.map(loss).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn path_losses(session: &Session) -> Vec<PathLossView> {
    let losses = session.steps().iter().flat_map(|step| &step.losses);
    let view = |loss: &Loss| PathLossView { lost_at: loss.at, back_at: loss.back_at };
    let mut views: Vec<_> = losses.map(view).collect();
    views.sort_by_key(|view| view.lost_at);
    views
}

fn is_lost(session: &Session, step: &Step) -> bool {
    session.is_active() && step.is_being_remade()
}

fn loss(step: &Step) -> String {
    let what = step.planned.leaves.as_deref().unwrap_or(&step.planned.label);
    let why = step.problem.as_deref().unwrap_or("it is gone");
    let waits = matches!(step.status, Status::Lost { .. });
    let this_try = step.again.saturating_add(u32::from(waits));
    format!("{what} lost: {why}; being made again, try {this_try}")
}

fn step_view(session: &Session, step: &Step) -> StepView {
    let progress = progress(session, step);
    StepView {
        label: step.planned.label.clone(),
        progress,
        detail: detail(session, step, progress),
        started_at: step.started_at,
        finished_at: step.finished_at,
        tries: step.tries,
        limit: matches!(step.status, Status::Started { .. }).then_some(step.planned.timeout),
    }
}

fn progress(session: &Session, step: &Step) -> StepProgress {
    let ending = session.ending().is_some();
    if step.is_owed() {
        return StepProgress::Owed;
    }
    match &step.status {
        Status::Untouched if ending => StepProgress::Skipped,
        Status::Untouched => StepProgress::Waiting,
        Status::Started { .. } | Status::Lost { .. } => StepProgress::Applying,
        Status::Applied { .. } => StepProgress::Applied,
        Status::UndoStarted => StepProgress::Undoing,
        Status::Unsure { .. } if ending && step.made.is_some() => StepProgress::Undoing,
        Status::Unsure { .. } | Status::Adopting { .. } => StepProgress::Unsure,
        Status::Clear if step.made.is_none() && step.problem.is_some() => StepProgress::Refused,
        Status::Clear => StepProgress::Gone,
    }
}

fn detail(session: &Session, step: &Step, progress: StepProgress) -> Option<String> {
    if is_lost(session, step) {
        return step.problem.clone();
    }
    match progress {
        StepProgress::Waiting => {
            let waits_for = step.planned.needs.iter().filter_map(|needed| {
                session.steps().get(*needed).filter(|other| !other.is_applied())
            });
            let labels: Vec<_> = waits_for.map(|other| other.planned.label.clone()).collect();
            (!labels.is_empty()).then(|| format!("waits for: {}", labels.join(", ")))
        }
        StepProgress::Applied => step.made.as_ref().map(|made| made.name.clone()),
        StepProgress::Refused | StepProgress::Owed | StepProgress::Unsure => step.problem.clone(),
        StepProgress::Applying
        | StepProgress::Undoing
        | StepProgress::Gone
        | StepProgress::Skipped => None,
    }
}

fn receipt_lines(session: &Session) -> Vec<ReceiptLine> {
    let lines = receipt::receipt(session).into_iter();
    lines
        .map(|line| ReceiptLine {
            artifact: line.artifact,
            made_at: line.made_at,
            gone_at: line.gone_at,
        })
        .collect()
}

fn exit_lines(session: &Session) -> Vec<ExitLine> {
    let cards = exit_card::exit_card(session).into_iter();
    cards
        .map(|card| ExitLine {
            artifact: card.artifact,
            tried: card.tried,
            commands: card.commands,
            words: card.words,
        })
        .collect()
}

//! What the audit gets: which facts are events, and how they read.

use serde_json::json;

use super::shared::{Shared, Who};
use super::strangers::Refused;
use crate::domain::audit_event::{Actor, AuditDraft, Object, Outcome, Source};
use crate::domain::text;
use crate::forward::{CloseReason, ForwardEvent, Peer};
use crate::protocol::Severity;
use crate::session::{Entry, Fact, Lives, Session, Status, Step, StepIndex, receipt};

/// Returns the events of entries that are about to be appended to a session's journal.
pub(super) fn drafts(
    shared: &Shared,
    before: &Session,
    entries: &[Entry],
    who: &Who,
) -> Vec<AuditDraft> {
    let mut session = before.clone();
    let mut drafts = vec![];
    for entry in entries {
        let was_owed = session.is_owed();
        drafts.extend(moved(shared, &session, &entry.fact, who));
        drafts.extend(returned(shared, &session, &entry.fact, who));
        let was_begun = session.steps().iter().any(|step| step.started_at.is_some());
        if session.evolve(entry).is_err() {
            continue;
        }
        let mut add = |draft: Option<AuditDraft>| drafts.extend(draft);
        if matches!(entry.fact, Fact::StepStarted { .. }) && !was_begun {
            add(Some(about(shared, &session, who, "session.activating", "Session is opening")));
        }
        add(draft(shared, &session, &entry.fact, who));
        if session.is_owed() && !was_owed {
            let what = "Something that the session made is not proven gone";
            let mut draft = about(shared, &session, who, "session.cleanup_owed", what);
            draft.outcome = Outcome::Failure;
            add(Some(draft));
        }
    }
    drafts
}

/// Returns the event of a session's request, with the change of a file of others that whoever asks
/// agreed to.
pub(super) fn drafts_of_request(
    shared: &Shared,
    session: &Session,
    agreed: &[String],
    who: &Who,
) -> Vec<AuditDraft> {
    let request = session.request();
    let mut what = format!("Session on {} requested for {}", request.target.id, request.lease);
    let mut metadata = json!({
        "lease_seconds": request.lease.as_seconds(),
        "address": request.target.address,
        "path": { "provider": request.path.provider, "why": request.path.why },
    });
    if !agreed.is_empty() {
        let provider = &request.path.provider;
        what.push_str(&format!("; the change of the policy file of {provider} was agreed to"));
        let agreed = agreement(agreed, &who.actor);
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("agreed".to_owned(), agreed);
        }
    }
    let mut draft = about(shared, session, who, "session.requested", &what);
    draft.metadata = Some(metadata);
    vec![draft]
}

/// Who agreed to which change, within bounds; how many lines of it are left out, if any are.
fn agreement(change: &[String], by: &Actor) -> serde_json::Value {
    let mut room = AGREED_BYTES_MAX;
    let fits = |line: &&String| {
        let fits = line.len() <= room;
        room = room.saturating_sub(line.len());
        fits
    };
    let kept: Vec<&String> = change.iter().take(AGREED_LINES_MAX).take_while(fits).collect();
    let by = by.email.as_ref().map_or_else(|| by.name().to_owned(), ToString::to_string);
    json!({ "by": by, "change": kept, "left_out": change.len() - kept.len() })
}

/// The most lines of an agreed change that the audit holds.
const AGREED_LINES_MAX: usize = 200;
/// The most bytes of them.
const AGREED_BYTES_MAX: usize = 16 * 1024;

/// Returns the event of a request that was refused.
pub(super) fn rejected(
    shared: &Shared,
    who: &Who,
    target: &str,
    reason: &str,
    why: &str,
) -> AuditDraft {
    let target = text::shown(target);
    let what = format!("Session on {target} refused: {why}");
    AuditDraft {
        outcome: Outcome::Failure,
        object: Some(Object { kind: "target".into(), id: target.clone(), name: target }),
        source: who.source.clone(),
        reason: Some(text::shown(reason)),
        drill: shared.drill,
        ..AuditDraft::new("session.rejected", what, who.actor.clone())
    }
}

/// Returns an event about a provider or the engine.
pub(super) fn plain(
    shared: &Shared,
    kind: &str,
    what: &str,
    who: &Who,
    object: Option<Object>,
) -> AuditDraft {
    AuditDraft {
        object,
        source: who.source.clone(),
        drill: shared.drill,
        ..AuditDraft::new(kind, what, who.actor.clone())
    }
}

/// True for facts that tell what the world did: they are taken in even when they cannot be saved.
pub(super) const fn is_news_of_the_world(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::StepApplied { .. }
            | Fact::StepRefused { .. }
            | Fact::OutcomeUnknown { .. }
            | Fact::StepFound { .. }
            | Fact::StepAbsent { .. }
            | Fact::LookFailed { .. }
            | Fact::StepLost { .. }
            | Fact::UndoSent { .. }
    )
}

/// Returns the events of what happened at a session's endpoint, but for strangers.
pub(super) fn connection_drafts(
    shared: &Shared,
    session: &Session,
    events: &[ForwardEvent],
) -> Vec<AuditDraft> {
    events.iter().filter_map(|event| connection_draft(shared, session, event)).collect()
}

/// Returns the event of strangers of one kind.
pub(super) fn refused(shared: &Shared, session: &Session, refused: &Refused) -> AuditDraft {
    let what = format!("Connection to the local endpoint refused: {}", refused.why);
    let mut draft = connection(shared, session, "session.connection.refused", &what);
    draft.outcome = Outcome::Failure;
    draft.source.uid = refused.uid;
    draft.metadata = Some(json!({ "peer": refused.peer, "count": refused.count }));
    draft
}

/// Returns what people are told of strangers of one kind.
pub(super) fn refused_notice(refused: &Refused) -> String {
    let uid = refused.uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string());
    let count = usize::try_from(refused.count).unwrap_or(usize::MAX);
    let connections = text::counted(count, "connection");
    format!("{connections} refused: {} (uid {uid})", refused.why)
}

/// Returns the event of events that did not fit.
pub(super) fn lost_events(shared: &Shared, session: &Session, count: u64) -> AuditDraft {
    let what = "Some connections opened or closed without an event of their own";
    let mut draft = connection(shared, session, "session.connection.closed", what);
    draft.outcome = Outcome::Unknown;
    draft.metadata = Some(json!({ "events_lost": count }));
    draft
}

/// Keeps the newest `max` events that wait to be written, and of those of connections the fewer.
pub(super) fn within(mut drafts: Vec<AuditDraft>, max: usize) -> Vec<AuditDraft> {
    let mut too_many = drafts.len().saturating_sub(max);
    if too_many > 0 {
        tracing::error!(too_many, "events of connections are lost: they could not be written");
    }
    drafts.retain(|draft| {
        let goes = too_many > 0 && draft.kind.starts_with("session.connection.");
        too_many -= usize::from(goes);
        !goes
    });
    drafts
}

/// Returns what people should be told at once of what happened at an endpoint.
pub(super) fn notice(event: &ForwardEvent) -> Option<(Severity, String)> {
    match event {
        ForwardEvent::DialFailed { why, .. } => {
            Some((Severity::Warning, text::shown(&why.to_string())))
        }
        ForwardEvent::Exhausted { why } => {
            Some((Severity::Alarm, format!("no connection can be taken: {why}")))
        }
        ForwardEvent::Opened { .. }
        | ForwardEvent::Closed { .. }
        | ForwardEvent::Refused { .. }
        | ForwardEvent::Idle => None,
    }
}

/// The event of a thing that was made again after a restart and is not where it was: somebody else
/// holds its place, and what an operator pasted before leads there.
fn moved(shared: &Shared, session: &Session, fact: &Fact, who: &Who) -> Option<AuditDraft> {
    let Fact::StepApplied { step, artifact: Some(now) } = fact else { return None };
    let step = session.steps().get(*step).filter(|it| it.planned.lives == Lives::InTheEngine)?;
    let before = step.made.as_ref().filter(|it| it.name != now.name)?;
    let what = format!("The {} moved: another program holds {}", now.kind, before.name);
    let mut draft = about(shared, session, who, "session.step.moved", &what);
    draft.outcome = Outcome::Failure;
    draft.changes = Some(json!({ "before": before.name, "after": now.name }));
    Some(draft)
}

/// The event of a thing that was made again without an answer, and found.
fn returned(shared: &Shared, session: &Session, fact: &Fact, who: &Who) -> Option<AuditDraft> {
    let Fact::StepFound { step, artifact } = fact else { return None };
    let known = session.steps().get(*step);
    let known = known.filter(|step| session.is_active() && step.is_being_remade())?;
    let what = format!("Done again: {}", known.planned.label);
    let mut draft = about(shared, session, who, "session.step.applied", &what);
    draft.metadata = Some(json!({ "artifact": artifact.to_string() }));
    Some(draft)
}

fn draft(shared: &Shared, session: &Session, fact: &Fact, who: &Who) -> Option<AuditDraft> {
    let make = |kind: &str, what: &str| about(shared, session, who, kind, what);
    let failed = |kind: &str, what: &str, outcome: Outcome| {
        Some(AuditDraft { outcome, ..about(shared, session, who, kind, what) })
    };
    match fact {
        Fact::StepApplied { step, artifact } => {
            let done = if session.activated_at().is_some() { "Done again" } else { "Done" };
            let what = format!("{done}: {}", label(session, *step));
            let mut draft = make("session.step.applied", &what);
            draft.metadata = artifact.as_ref().map(|made| json!({ "artifact": made.to_string() }));
            Some(draft)
        }
        Fact::StepRefused { step, why } => {
            let what = format!("Refused: {}: {why}", label(session, *step));
            failed("session.step.refused", &what, Outcome::Failure)
        }
        Fact::OutcomeUnknown { step, why } => {
            let what = format!("Outcome unknown: {}: {why}", label(session, *step));
            failed("session.step.unknown", &what, Outcome::Unknown)
        }
        Fact::StepAbsent { step } if session.steps().get(*step).is_some_and(|it| it.is_spent()) => {
            Some(make("session.step.gone", &format!("Seen gone: {}", label(session, *step))))
        }
        Fact::StepAbsent { step } if session.steps().get(*step).is_some_and(is_new_loss) => {
            let what = format!("Lost: {}: it is gone", label(session, *step));
            failed("session.step.lost", &what, Outcome::Failure)
        }
        Fact::StepLost { step, why } => {
            let what = format!("Lost: {}: {why}", label(session, *step));
            failed("session.step.lost", &what, Outcome::Failure)
        }
        Fact::Activated => {
            let mut draft = make("session.activated", "Session is Active");
            let ends_at = session.lease_ends_at().map(|at| at.to_rfc3339());
            draft.metadata = Some(json!({ "lease_ends_at": ends_at }));
            Some(draft)
        }
        Fact::Extended { lease, .. } => {
            let mut draft = make("session.extended", &format!("Lease is {lease} now"));
            draft.changes = Some(json!({ "after": { "lease_seconds": lease.as_seconds() } }));
            Some(draft)
        }
        Fact::EndRequested { reason, detail, by } => {
            let detail = detail.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
            let mut draft =
                make("session.end_requested", &format!("Session ends, {reason}{detail}"));
            draft.actor = by.clone();
            Some(draft)
        }
        Fact::Ended => {
            let mut draft = make("session.ended", "Everything the session made was seen gone");
            draft.metadata = Some(json!({ "receipt": receipt_lines(session) }));
            Some(draft)
        }
        _ => None,
    }
}

/// True for a step of which a look after a restart found nothing, and which is made again.
const fn is_new_loss(step: &Step) -> bool {
    matches!(step.status, Status::Lost { .. }) && step.again == 0
}

fn receipt_lines(session: &Session) -> Vec<serde_json::Value> {
    let line = |line: receipt::Line| {
        json!({
            "artifact": line.artifact,
            "made_at": line.made_at.to_rfc3339(),
            "gone_at": line.gone_at.map(|at| at.to_rfc3339()),
        })
    };
    receipt::receipt(session).into_iter().map(line).collect()
}

fn about(shared: &Shared, session: &Session, who: &Who, kind: &str, what: &str) -> AuditDraft {
    let request = session.request();
    AuditDraft {
        object: Some(Object {
            kind: "target".to_owned(),
            id: request.target.id.to_string(),
            name: text::shown(&request.target.name),
        }),
        session: Some(session.id()),
        source: Source { host: Some(shared.host.clone()), ..who.source.clone() },
        reason: Some(request.reason.clone()),
        drill: request.drill,
        ..AuditDraft::new(kind, what, who.actor.clone())
    }
}

fn connection_draft(
    shared: &Shared,
    session: &Session,
    event: &ForwardEvent,
) -> Option<AuditDraft> {
    match event {
        ForwardEvent::Opened { conn, peer, uid } => {
            let what = "Connection through the local endpoint opened";
            let mut draft = connection(shared, session, "session.connection.opened", what);
            draft.source.uid = Some(*uid);
            draft.metadata = Some(json!({ "connection": conn, "peer": shown(peer) }));
            Some(draft)
        }
        ForwardEvent::Closed { conn, bytes_up, bytes_down, why } => {
            let what = format!("Connection through the local endpoint closed: {}", closed(*why));
            let mut draft = connection(shared, session, "session.connection.closed", &what);
            draft.metadata = Some(json!({
                "connection": conn, "bytes_up": bytes_up, "bytes_down": bytes_down,
            }));
            Some(draft)
        }
        ForwardEvent::DialFailed { conn, peer, why } => {
            let what = format!("Connection refused: {}", text::shown(&why.to_string()));
            let mut draft = connection(shared, session, "session.connection.refused", &what);
            draft.outcome = Outcome::Failure;
            draft.metadata = Some(json!({ "connection": conn, "peer": shown(peer) }));
            Some(draft)
        }
        ForwardEvent::Refused { .. } | ForwardEvent::Exhausted { .. } | ForwardEvent::Idle => None,
    }
}

fn connection(shared: &Shared, session: &Session, kind: &str, what: &str) -> AuditDraft {
    let who = Who::engine();
    about(shared, session, &who, kind, what)
}

const fn closed(why: CloseReason) -> &'static str {
    match why {
        CloseReason::Finished => "both sides were done",
        CloseReason::ClientBroke(_) => "the client broke off",
        CloseReason::TargetBroke(_) => "the target broke off",
        CloseReason::Cut => "the session ended",
    }
}

fn shown(peer: &Peer) -> String {
    peer.to_string()
}

fn label(session: &Session, step: StepIndex) -> &str {
    session.steps().get(step).map_or("step", |step| step.planned.label.as_str())
}

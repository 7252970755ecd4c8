//! Serves what only reads: sessions, the catalogue, providers, the audit. Each asker reads what is
//! their business, and nothing else.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::caller::Caller;
use super::chronicle;
use super::desk::{Answer, answer};
use super::interpreter::Update;
use super::opening;
use super::shared::{Shared, Who, store_report};
use super::state::State;
use crate::domain::audit_event::{AuditDraft, AuditEvent, Outcome};
use crate::domain::id::SiteId;
use crate::domain::role::Ability;
use crate::error::{Kind, Report};
use crate::protocol::{Command, Reply, SessionQuery, SessionState, SessionView};
use crate::store::{Batch, StoreError};

/// Serves what only reads, in a task of its own.
pub(super) fn ask(state: &mut State, command: Command, caller: Caller, reply: Answer) {
    let (shared, updates) = (Arc::clone(&state.shared), state.updates.clone());
    let live: Vec<_> =
        state.sessions.values().filter_map(|live| live.view.as_deref().cloned()).collect();
    state.tasks.spawn(async move {
        let answered = read(&shared, command, &caller, live, &updates).await;
        answer(reply, answered);
    });
}

async fn read(
    shared: &Arc<Shared>,
    command: Command,
    caller: &Caller,
    live: Vec<SessionView>,
    updates: &mpsc::Sender<Update>,
) -> Result<Reply, Report> {
    let who = &Who::from(caller);
    // Whoever asks next is not who changed the file.
    refresh(shared, &Who::engine(), updates).await;
    let store = &shared.store;
    let failed = |error: StoreError| store_report(&error);
    match command {
        Command::Plan(request) => {
            let plan = opening::dry_run(shared, &request, who).await?;
            Ok(Reply::Plan(Box::new(plan)))
        }
        Command::Path(target) => opening::path_view(shared, &target).await.map(Reply::Path),
        Command::Targets { with_paths } => {
            Ok(Reply::Targets(opening::targets(shared, with_paths).await))
        }
        Command::Sites => {
            Ok(Reply::Sites(shared.rules().catalogue.sites.values().cloned().collect()))
        }
        Command::Sessions(query) => {
            let live = live.into_iter().filter(|view| caller.sees(view)).collect();
            sessions(shared, query, live, caller).await.map(Reply::Sessions)
        }
        Command::Find { text } => {
            let mut found: Vec<_> = live.into_iter().filter(|it| it.id.matches(&text)).collect();
            let stored = store.find(&text).await.map_err(failed)?;
            let known: Vec<_> = found.iter().map(|view| view.id).collect();
            found.extend(stored.into_iter().filter(|view| !known.contains(&view.id)));
            found.retain(|view| caller.sees(view));
            Ok(Reply::Sessions(found))
        }
        Command::ValidateSite { site } => {
            let rules = shared.rules();
            let known = rules.catalogue.sites.get(&site);
            let known = known.ok_or_else(|| no_such_site(&site))?;
            let launcher = known.launcher.as_ref().ok_or_else(|| no_launcher(&site))?;
            Ok(Reply::Probe(shared.launcher.validate(launcher, shared.now()).await))
        }
        Command::AuditTail { limit, before } => {
            audit_tail(shared, limit.min(ROWS_MAX), before, caller).await.map(Reply::Audit)
        }
        Command::AuditVerify => verify(shared, who, updates).await,
        other => Err(Report::new(Kind::Internal, format!("`{other:?}` is not served here"))),
    }
}

fn no_such_site(site: &SiteId) -> Report {
    Report::new(Kind::Usage, format!("there is no site `{site}`")).hint("breakglass sites")
}

fn no_launcher(site: &SiteId) -> Report {
    let message = format!("the configuration does not say how things are started in `{site}`");
    Report::new(Kind::Usage, message).hint("breakglass config example shows `[site.launcher]`")
}

async fn verify(
    shared: &Arc<Shared>,
    who: &Who,
    updates: &mpsc::Sender<Update>,
) -> Result<Reply, Report> {
    let verdict = shared.store.audit_verify().await.map_err(|error| store_report(&error))?;
    let (kind, what) = match &verdict.broken {
        None => {
            ("audit.verified", format!("{} events verified, head {}", verdict.events, verdict.head))
        }
        Some((seq, why)) => {
            ("audit.verify_failed", format!("Event {seq} is not what it was: {why}"))
        }
    };
    let mut draft = chronicle::plain(shared, kind, &what, who, None);
    if verdict.broken.is_some() {
        draft.outcome = Outcome::Failure;
    }
    record(shared, draft, updates).await?;
    Ok(Reply::AuditVerdict(verdict))
}

/// The newest first; what lives is shown as it is, not as it was last stored.
async fn sessions(
    shared: &Arc<Shared>,
    query: SessionQuery,
    live: Vec<SessionView>,
    caller: &Caller,
) -> Result<Vec<SessionView>, Report> {
    let wanted = |view: &SessionView| query.state.is_none_or(|state| view.state == state);
    let ended = query.ended || query.state == Some(SessionState::Ended);
    if !ended {
        let mut live: Vec<_> = live.into_iter().filter(wanted).collect();
        live.sort_by_key(|view| std::cmp::Reverse(view.id));
        return Ok(live);
    }
    let query = SessionQuery { limit: query.limit.min(ROWS_MAX), ..query };
    let mut stored = stored_sessions(shared, query, caller).await?;
    for view in &mut stored {
        if let Some(live) = live.iter().find(|live| live.id == view.id) {
            *view = live.clone();
        }
    }
    Ok(stored)
}

/// Sessions of the store. Of somebody who sees their own only, as far back as is worth reading.
async fn stored_sessions(
    shared: &Shared,
    query: SessionQuery,
    caller: &Caller,
) -> Result<Vec<SessionView>, Report> {
    let read =
        async |query| shared.store.sessions(query).await.map_err(|error| store_report(&error));
    if caller.may(Ability::AllSessions).is_ok() {
        return read(query).await;
    }
    let mut own = vec![];
    for page in 0..PAGES_MAX {
        let all =
            read(SessionQuery { limit: ROWS_MAX, offset: page.saturating_mul(ROWS_MAX), ..query })
                .await?;
        let last = all.len() < ROWS_MAX as usize;
        own.extend(all.into_iter().filter(|view| caller.sees(view)));
        if last || own.len() >= query.offset.saturating_add(query.limit) as usize {
            break;
        }
    }
    Ok(own.into_iter().skip(query.offset as usize).take(query.limit as usize).collect())
}

/// Events of the audit, the newest last. Of somebody who sees their own only, as far back as is
/// worth reading.
async fn audit_tail(
    shared: &Shared,
    limit: u32,
    before: Option<u64>,
    caller: &Caller,
) -> Result<Vec<AuditEvent>, Report> {
    let read = async |limit, before| {
        shared.store.audit_tail(limit, before).await.map_err(|error| store_report(&error))
    };
    if caller.may(Ability::WholeAudit).is_ok() {
        return read(limit, before).await;
    }
    let (mut own, mut before) = (vec![], before);
    for _ in 0..PAGES_MAX {
        let all = read(ROWS_MAX, before).await?;
        before = all.first().map(|event| event.seq);
        let mine = all.into_iter().rev().filter(|event| caller.sees_event(event));
        own.extend(mine.take(limit as usize - own.len()));
        if own.len() >= limit as usize || before.is_none_or(|seq| seq <= 1) {
            break;
        }
    }
    own.reverse();
    Ok(own)
}

/// Takes in a configuration that has changed since it was last read, and writes that down.
pub(super) async fn refresh(shared: &Arc<Shared>, who: &Who, updates: &mpsc::Sender<Update>) {
    let Some(taken_in) = shared.refresh() else { return };
    shared.people.take_idps(shared.rules().idps.clone(), shared.now()).await;
    updates.send(Update::Identity).await.ok();
    let what = match &taken_in {
        Ok(()) => "Configuration has changed".to_owned(),
        Err(report) => format!("Configuration has changed and is wrong: {}", report.message),
    };
    let mut draft = chronicle::plain(shared, "config.changed", &what, who, None);
    if taken_in.is_err() {
        draft.outcome = Outcome::Failure;
    }
    if let Err(report) = record(shared, draft, updates).await {
        tracing::warn!(%report, "a changed configuration could not be written down");
    }
    updates.send(Update::Providers).await.ok();
}

pub(super) async fn record(
    shared: &Arc<Shared>,
    draft: AuditDraft,
    updates: &mpsc::Sender<Update>,
) -> Result<(), Report> {
    let wall = crate::clock::wall();
    let batch = Batch { audit: vec![draft], ..Batch::at(wall) };
    let events = shared.store.append(batch).await.map_err(|error| store_report(&error))?;
    updates.send(Update::Audit(events)).await.ok();
    Ok(())
}

/// The most rows that are given at once.
const ROWS_MAX: u32 = 1_000;

/// How many times that is read back for somebody who sees their own only.
const PAGES_MAX: u32 = 20;

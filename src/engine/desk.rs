//! Serves one command: at once where the answer is known, in a task of its own where it must wait.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::chronicle;
use super::interpreter::{Interpreter, ORDERS_MAX, Order, Update};
use super::opening;
use super::shared::{ACTIVATION_MAX, Shared, Who, store_report};
use super::state::{Live, State};
use crate::domain::audit_event::{Actor, Object};
use crate::domain::id::{ProviderId, SessionId};
use crate::domain::request::OpenRequest;
use crate::domain::text;
use crate::error::{Kind, Report};
use crate::protocol::{Command, Origin, Reply, SessionQuery, SessionState, SessionView};
use crate::session::{EndReason, Entry, Fact, Session};
use crate::store::{Batch, StoreError};

type Answer = oneshot::Sender<Result<Reply, Report>>;

/// Serves a command. True when the engine is to stop.
pub(super) fn serve(state: &mut State, origin: Origin, command: Command, reply: Answer) -> bool {
    let who = who(&state.shared, &origin);
    match command {
        Command::Open(request) => open(state, request, who, reply),
        Command::End { session, reason } => end(state, session, reason, who, reply),
        Command::Extend { session, by } => {
            order(state, session, reply, |reply| Order::Extend { by, who, reply });
        }
        Command::Retry { session } => {
            order(state, session, reply, |reply| Order::Retry { who, reply });
        }
        Command::EndAll => end_all(state, &who, reply),
        Command::Providers => answer(reply, Ok(Reply::Providers(state.provider_views()))),
        Command::RemoveProvider { provider } => answer(reply, Err(keep(state, &provider))),
        Command::Status => answer(reply, Ok(Reply::Engine(Box::new(state.engine_view())))),
        Command::SetProviderEnabled { provider, enabled } => {
            switch(state, provider, enabled, who, reply);
        }
        Command::SignIn(_)
        | Command::Operators(_)
        | Command::Idp(_)
        | Command::BreakGlass(_)
        | Command::Vault(_) => answer(reply, Err(Report::new(Kind::Internal, "not served"))),
        Command::Stop => match stays(state) {
            Some(why) => answer(reply, Err(why)),
            None => {
                answer(reply, Ok(Reply::Done));
                return true;
            }
        },
        Command::Plan(_)
        | Command::Path(_)
        | Command::Sessions(_)
        | Command::Find { .. }
        | Command::Targets { .. }
        | Command::Sites
        | Command::CheckProvider { .. }
        | Command::AuditTail { .. }
        | Command::AuditVerify => ask(state, command, who, reply),
    }
    false
}

/// Serves what only reads, in a task of its own.
fn ask(state: &mut State, command: Command, who: Who, reply: Answer) {
    let (shared, updates) = (Arc::clone(&state.shared), state.updates.clone());
    let live: Vec<_> =
        state.sessions.values().filter_map(|live| live.view.as_deref().cloned()).collect();
    state.tasks.spawn(async move {
        let answered = read(&shared, command, &who, live, &updates).await;
        answer(reply, answered);
    });
}

async fn read(
    shared: &Arc<Shared>,
    command: Command,
    who: &Who,
    live: Vec<SessionView>,
    updates: &mpsc::Sender<Update>,
) -> Result<Reply, Report> {
    refresh(shared, who, updates).await;
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
        Command::Sessions(query) => sessions(shared, query, live).await.map(Reply::Sessions),
        Command::Find { text } => {
            let mut found: Vec<_> = live.into_iter().filter(|it| it.id.matches(&text)).collect();
            let stored = store.find(&text).await.map_err(failed)?;
            let known: Vec<_> = found.iter().map(|view| view.id).collect();
            found.extend(stored.into_iter().filter(|view| !known.contains(&view.id)));
            Ok(Reply::Sessions(found))
        }
        Command::CheckProvider { provider } => {
            if shared.providers.find(&provider).is_none() {
                return Err(no_such_provider(&provider));
            }
            shared.providers.check(Some(&provider), &shared.clock).await;
            updates.send(Update::Providers).await.ok();
            Ok(Reply::Providers(shared.providers.views(live.iter())))
        }
        Command::AuditTail { limit, before } => {
            let limit = limit.min(ROWS_MAX);
            store.audit_tail(limit, before).await.map(Reply::Audit).map_err(failed)
        }
        Command::AuditVerify => verify(shared, who, updates).await,
        other => Err(Report::new(Kind::Internal, format!("`{other:?}` is not served here"))),
    }
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
        draft.outcome = crate::domain::audit_event::Outcome::Failure;
    }
    record(shared, draft, updates).await?;
    Ok(Reply::AuditVerdict(verdict))
}

/// The newest first; what lives is shown as it is, not as it was last stored.
async fn sessions(
    shared: &Arc<Shared>,
    query: SessionQuery,
    live: Vec<SessionView>,
) -> Result<Vec<SessionView>, Report> {
    let wanted = |view: &SessionView| query.state.is_none_or(|state| view.state == state);
    let ended = query.ended || query.state == Some(SessionState::Ended);
    if !ended {
        let mut live: Vec<_> = live.into_iter().filter(wanted).collect();
        live.sort_by_key(|view| std::cmp::Reverse(view.id));
        return Ok(live);
    }
    let query = SessionQuery { limit: query.limit.min(ROWS_MAX), ..query };
    let mut stored = shared.store.sessions(query).await.map_err(|error| store_report(&error))?;
    for view in &mut stored {
        if let Some(live) = live.iter().find(|live| live.id == view.id) {
            *view = live.clone();
        }
    }
    Ok(stored)
}

fn open(state: &mut State, request: OpenRequest, who: Who, reply: Answer) {
    let (shared, updates) = (Arc::clone(&state.shared), state.updates.clone());
    state.tasks.spawn(async move {
        refresh(&shared, &who, &updates).await;
        let prepared = match opening::prepare(&shared, &request, &who).await {
            Ok(prepared) => prepared,
            Err(report) => {
                opening::record_refusal(&shared, &request, &who, &report).await;
                return answer(reply, Err(report));
            }
        };
        let opening::Prepared { id, at, request, steps } = prepared;
        let session = Session::requested(id, at, request.clone());
        let first = Entry { at, fact: Fact::Requested(request) };
        let (mailbox, orders) = mpsc::channel(ORDERS_MAX);
        let channels = (orders, updates.clone());
        let mut interpreter = Interpreter::new(shared, session, vec![first], channels);
        updates.send(Update::New { id, mailbox }).await.ok();
        let activate_by = at + ACTIVATION_MAX;
        match interpreter.begin(vec![Fact::Planned { steps, activate_by }], &who).await {
            Ok(view) => {
                answer(reply, Ok(Reply::Session(view)));
                interpreter.run(vec![]).await;
            }
            Err(report) => {
                updates.send(Update::Finished(id)).await.ok();
                answer(reply, Err(report));
            }
        }
    });
}

fn end(state: &mut State, id: SessionId, reason: Option<String>, who: Who, reply: Answer) {
    let opened_by = state.known(id).map(|view| view.operator.uid);
    let by_themselves = who.actor.operator.as_ref().map(|it| it.uid) == opened_by;
    let end_reason =
        if by_themselves { EndReason::EndedByOperator } else { EndReason::EndedByAdmin };
    let detail = reason.map(|text| text::shown(text.trim()));
    let detail = detail.filter(|text| !text.is_empty());
    order(state, id, reply, |reply| Order::End {
        reason: end_reason,
        detail,
        who,
        reply: Some(reply),
    });
}

fn end_all(state: &mut State, who: &Who, reply: Answer) {
    let mailboxes: Vec<_> = state.sessions.values().map(|live| live.mailbox.clone()).collect();
    let who = who.clone();
    state.tasks.spawn(async move {
        for mailbox in mailboxes {
            let (done, ended) = oneshot::channel();
            let order = Order::End {
                reason: EndReason::EndedByOperator,
                detail: Some("all sessions were ended".to_owned()),
                who: who.clone(),
                reply: Some(done),
            };
            // A session that is over meanwhile has ended.
            if mailbox.send(order).await.is_ok() {
                ended.await.ok();
            }
        }
        answer(reply, Ok(Reply::Done));
    });
}

/// Gives an order to a session and passes its answer on.
fn order(
    state: &mut State,
    id: SessionId,
    reply: Answer,
    make: impl FnOnce(super::interpreter::Answer) -> Order,
) {
    let Some(live) = state.sessions.get(&id) else {
        let over = state.known(id).cloned();
        return answer(reply, over.map_or_else(|| Err(no_such_session(id)), ended_already));
    };
    let (done, outcome) = oneshot::channel();
    let (mailbox, order) = (live.mailbox.clone(), make(done));
    state.tasks.spawn(async move {
        if mailbox.send(order).await.is_err() {
            return answer(reply, Err(no_such_session(id)));
        }
        let outcome = outcome.await.unwrap_or_else(|_| Err(no_such_session(id)));
        answer(reply, outcome.map(Reply::Session));
    });
}

fn ended_already(view: SessionView) -> Result<Reply, Report> {
    let message = format!("session `{}` has ended already", view.id.short());
    Err(Report::new(Kind::Denied, message).hint(format!("breakglass show {}", view.id.short())))
}

fn switch(state: &mut State, id: ProviderId, enabled: bool, who: Who, reply: Answer) {
    if state.shared.providers.find(&id).is_none() {
        return answer(reply, Err(no_such_provider(&id)));
    }
    let opening: Vec<_> = state
        .sessions
        .values()
        .filter(|live| {
            live.view.as_ref().is_some_and(|view| {
                view.path.provider == id
                    && matches!(view.state, SessionState::Pending | SessionState::Activating)
            })
        })
        .map(|live| live.mailbox.clone())
        .collect();
    let (shared, updates) = (Arc::clone(&state.shared), state.updates.clone());
    let live: Vec<_> =
        state.sessions.values().filter_map(|live| live.view.as_deref().cloned()).collect();
    state.tasks.spawn(async move {
        let switched = switch_kept(&shared, &id, enabled, &who, &updates).await;
        if switched.is_ok() && !enabled {
            end_opening(&id, opening, &who).await;
        }
        answer(reply, switched.map(|()| Reply::Providers(shared.providers.views(live.iter()))));
    });
}

/// The audit first, then the file, then the engine.
async fn switch_kept(
    shared: &Arc<Shared>,
    id: &ProviderId,
    enabled: bool,
    who: &Who,
    updates: &mpsc::Sender<Update>,
) -> Result<(), Report> {
    if shared.providers.is_enabled(id) == enabled {
        return Ok(());
    }
    let (kind, what) = if enabled {
        ("provider.enabled", format!("Provider {id} enabled"))
    } else {
        ("provider.disabled", format!("Provider {id} disabled"))
    };
    let object = Object { kind: "provider".into(), id: id.to_string(), name: id.to_string() };
    let mut draft = chronicle::plain(shared, kind, &what, who, Some(object));
    draft.changes = Some(
        serde_json::json!({ "before": { "enabled": !enabled }, "after": { "enabled": enabled } }),
    );
    record(shared, draft.clone(), updates).await?;
    if let Err(report) = shared.settings.provider_enabled(id, enabled) {
        draft.outcome = crate::domain::audit_event::Outcome::Failure;
        draft.description = format!("{what}: could not be kept: {}", report.message);
        record(shared, draft, updates).await?;
        return Err(report);
    }
    shared.providers.set_enabled(id, enabled);
    updates.send(Update::Providers).await.ok();
    Ok(())
}

/// A session that is opening over a provider is not moved to another path behind the operator's
/// back: it ends.
async fn end_opening(id: &ProviderId, mailboxes: Vec<mpsc::Sender<Order>>, who: &Who) {
    for mailbox in mailboxes {
        let order = Order::End {
            reason: EndReason::ActivationFailed,
            detail: Some(format!("the provider {id} was disabled")),
            who: who.clone(),
            reply: None,
        };
        mailbox.send(order).await.ok();
    }
}

/// Takes in a configuration that has changed since it was last read, and writes that down.
async fn refresh(shared: &Arc<Shared>, who: &Who, updates: &mpsc::Sender<Update>) {
    let Some(taken_in) = shared.refresh() else { return };
    let what = match &taken_in {
        Ok(()) => "Configuration has changed".to_owned(),
        Err(report) => format!("Configuration has changed and is wrong: {}", report.message),
    };
    let mut draft = chronicle::plain(shared, "config.changed", &what, who, None);
    if taken_in.is_err() {
        draft.outcome = crate::domain::audit_event::Outcome::Failure;
    }
    if let Err(report) = record(shared, draft, updates).await {
        tracing::warn!(%report, "a changed configuration could not be written down");
    }
    updates.send(Update::Providers).await.ok();
}

async fn record(
    shared: &Arc<Shared>,
    draft: crate::domain::audit_event::AuditDraft,
    updates: &mpsc::Sender<Update>,
) -> Result<(), Report> {
    let wall = crate::clock::wall();
    let batch = Batch { audit: vec![draft], ..Batch::at(wall) };
    let events = shared.store.append(batch).await.map_err(|error| store_report(&error))?;
    updates.send(Update::Audit(events)).await.ok();
    Ok(())
}

fn who(shared: &Shared, origin: &Origin) -> Who {
    Who { actor: Actor::person(shared.operator_of(origin)), source: shared.source(origin) }
}

fn keep(state: &State, id: &ProviderId) -> Report {
    let Some(provider) = state.shared.providers.find(id) else { return no_such_provider(id) };
    let why = provider
        .keep()
        .unwrap_or_else(|| format!("`{id}` stands in the configuration; take it out there"));
    Report::new(Kind::Denied, why).hint(format!("breakglass providers disable {id}"))
}

/// Tells a caller that something can be done only to a session that is known.
fn no_such_session(id: SessionId) -> Report {
    Report::new(Kind::Usage, format!("there is no live session `{id}`"))
        .hint("breakglass sessions --all")
}

fn no_such_provider(id: &ProviderId) -> Report {
    Report::new(Kind::Usage, format!("there is no provider `{id}`")).hint("breakglass providers")
}

/// Why the engine must not stop, if it must not.
fn stays(state: &State) -> Option<Report> {
    let is_live = |live: &&Live| live.view.as_ref().is_none_or(|view| view.state.is_live());
    let live = state.sessions.values().filter(is_live).count();
    if live > 0 {
        let sessions = text::counted(live, "session");
        let message = format!("the engine stays: {sessions} not ended yet");
        let hint = "breakglass end --all, then breakglass engine stop";
        return Some(Report::new(Kind::Denied, message).hint(hint));
    }
    state.has_unsaved().then(|| {
        Report::new(Kind::Unavailable, "the engine stays: what has ended is not written down yet")
            .hint("make the state directory writable, wait a moment, then breakglass engine stop")
    })
}

fn answer(reply: Answer, answered: Result<Reply, Report>) {
    // A face that has left does not wait for its answer.
    reply.send(answered).ok();
}

const ROWS_MAX: u32 = 1_000;

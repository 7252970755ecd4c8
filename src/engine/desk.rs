//! Serves one command: at once where the answer is known, in a task of its own where it must wait.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::caller::{Caller, needs};
use super::interpreter::{Interpreter, ORDERS_MAX, Order, Update};
use super::opening;
use super::people;
use super::providing::Providing;
use super::reading::{self, refresh};
use super::shared::{ACTIVATION_MAX, Who};
use super::state::{Live, State};
use super::sweep::{self, Removes};
use crate::domain::id::{ProviderId, SessionId};
use crate::domain::request::OpenRequest;
use crate::domain::role::Ability;
use crate::domain::text;
use crate::domain::vault::UNLOCK;
use crate::error::{Kind, Report};
use crate::protocol::{Command, Mode, Origin, Reply, SessionState, SessionView, SignInAsk};
use crate::session::{EndReason, Entry, Fact, Session};

pub(super) type Answer = oneshot::Sender<Result<Reply, Report>>;

/// Serves a command. True when the engine is to stop.
pub(super) fn serve(
    state: &mut State,
    caller: Caller,
    origin: Origin,
    command: Command,
    reply: Answer,
) -> bool {
    if let Some(refused) = needs(&command).and_then(|ability| caller.may(ability).err()) {
        answer(reply, Err(refused));
        return false;
    }
    let who = Who::from(&caller);
    match command {
        Command::Open(request) => open(state, request, who, reply),
        Command::End { session, reason } => end(state, session, reason, &caller, reply),
        Command::Extend { session, by } => {
            order(state, session, &caller, (None, reply), |reply| Order::Extend { by, who, reply });
        }
        Command::Retry { session } => {
            retry(state, session, &caller, reply);
        }
        Command::EndAll => end_all(state, &caller, reply),
        Command::Providers => answer(reply, Ok(Reply::Providers(state.provider_views()))),
        Command::Status => {
            let view = state.engine_view_for(&caller);
            answer(reply, Ok(Reply::Engine(Box::new(view))));
        }
        Command::SetProviderEnabled { .. }
        | Command::RemoveProvider { .. }
        | Command::ValidateProvider { .. }
        | Command::PutProvider { .. }
        | Command::RotateKey { .. } => provide(state, command, who, reply),
        Command::Sweep { apply, also_unexpired } => {
            sweep(state, Removes::of(apply, also_unexpired), who, reply);
        }
        Command::SignIn(_)
        | Command::Operators(_)
        | Command::Idp(_)
        | Command::BreakGlass(_)
        | Command::Vault(_) => people(state, command, caller, origin, reply),
        Command::Stop => match stays(state, &caller) {
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
        | Command::ValidateSite { .. }
        | Command::AuditTail { .. }
        | Command::AuditVerify => reading::ask(state, command, caller, reply),
    }
    false
}

/// Serves what is about people, in a task of its own: passwords are hashed and identity providers
/// asked there.
fn people(state: &mut State, command: Command, caller: Caller, origin: Origin, reply: Answer) {
    let desk = people::Desk {
        shared: Arc::clone(&state.shared),
        updates: state.updates.clone(),
        caller,
        origin,
    };
    state.tasks.spawn(async move {
        reading::refresh(&desk.shared, &Who::engine(), &desk.updates).await;
        let mut reply = reply;
        let answered = match command {
            Command::SignIn(SignInAsk::FinishSso { attempt }) => {
                desk.finish(attempt, reply.closed()).await
            }
            other => desk.serve(other).await,
        };
        answer(reply, answered);
    });
}

fn open(state: &mut State, request: OpenRequest, who: Who, reply: Answer) {
    let (shared, updates) = (Arc::clone(&state.shared), state.updates.clone());
    state.tasks.spawn(async move {
        refresh(&shared, &Who::engine(), &updates).await;
        let prepared = match opening::prepare_to_open(&shared, &request, &who).await {
            Ok(prepared) => prepared,
            Err(report) => {
                opening::record_refusal(&shared, &request, &who, &report).await;
                return answer(reply, Err(report));
            }
        };
        if !shared.may_still_act(&who) {
            let report = Report::new(Kind::Denied, "the sign-in ended while the path was chosen");
            opening::record_refusal(&shared, &request, &who, &report).await;
            return answer(reply, Err(report.hint("breakglass login")));
        }
        let opening::Prepared { id, at, request, steps, agreed, .. } = prepared;
        let session = Session::requested(id, at, request.clone());
        let first = Entry { at, fact: Fact::Requested(request) };
        let (mailbox, orders) = mpsc::channel(ORDERS_MAX);
        let channels = (orders, updates.clone());
        let (revoked, revoking) = (Arc::clone(&shared), mailbox.clone());
        let mut interpreter = Interpreter::new(shared, session, vec![first], channels);
        revoked.lives(id);
        updates.send(Update::New { id, mailbox }).await.ok();
        let activate_by = at + ACTIVATION_MAX;
        match interpreter.begin(vec![Fact::Planned { steps, activate_by }], &agreed, &who).await {
            Ok(view) => {
                // Whoever lost the right since was not known to have this session yet.
                if !revoked.may_still_act(&who) {
                    revoking.send(lost(who)).await.ok();
                }
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

/// Tries what a session owes at once. Where the vault that holds its provider's key is not open, that
/// comes first: every try would be in vain.
fn retry(state: &mut State, id: SessionId, caller: &Caller, reply: Answer) {
    let seen = state.known(id).filter(|view| caller.sees(view));
    let owed = seen.filter(|view| view.state == SessionState::CleanupOwed);
    let needs = owed.map(|view| view.path.provider.clone());
    let who = Who::from(caller);
    order(state, id, caller, (needs, reply), |reply| Order::Retry { who, reply });
}

/// Ends a session of somebody who may have none any more.
fn lost(who: Who) -> Order {
    let detail = Some("the operator may open no sessions any more".to_owned());
    Order::End { reason: EndReason::EndedByAdmin, detail, who, reply: None }
}

fn end(state: &mut State, id: SessionId, reason: Option<String>, caller: &Caller, reply: Answer) {
    let who = Who::from(caller);
    let opened_by = state.known(id).map(|view| &view.operator);
    let by_themselves = opened_by.is_some_and(|operator| operator.is_same(&caller.operator));
    let end_reason =
        if by_themselves { EndReason::EndedByOperator } else { EndReason::EndedByAdmin };
    let detail = reason.map(|text| text::shown(text.trim()));
    let detail = detail.filter(|text| !text.is_empty());
    order(state, id, caller, (None, reply), |reply| Order::End {
        reason: end_reason,
        detail,
        who,
        reply: Some(reply),
    });
}

/// Ends every session that the caller may end.
fn end_all(state: &mut State, caller: &Caller, reply: Answer) {
    let theirs = state.sessions.values().filter_map(|live| {
        let view = live.view.as_deref().filter(|view| caller.sees(view))?;
        let own = view.operator.is_same(&caller.operator);
        let reason = if own { EndReason::EndedByOperator } else { EndReason::EndedByAdmin };
        Some((live.mailbox.clone(), reason))
    });
    let mailboxes: Vec<_> = theirs.collect();
    let who = Who::from(caller);
    state.tasks.spawn(async move {
        for (mailbox, reason) in mailboxes {
            let (done, ended) = oneshot::channel();
            let order = Order::End {
                reason,
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
    caller: &Caller,
    (needs, reply): (Option<ProviderId>, Answer),
    make: impl FnOnce(super::interpreter::Answer) -> Order,
) {
    let seen = state.known(id).filter(|view| caller.sees(view));
    let Some(live) = state.sessions.get(&id).filter(|_| seen.is_some()) else {
        let over = seen.cloned();
        return answer(reply, over.map_or_else(|| Err(no_such_session(id)), ended_already));
    };
    let (done, outcome) = oneshot::channel();
    let (mailbox, order) = (live.mailbox.clone(), make(done));
    let shared = Arc::clone(&state.shared);
    state.tasks.spawn(async move {
        if let Some(provider) = needs
            && let Err(closed) = people::vault_open_for(&shared, &provider).await
            && closed.hint.as_ref().is_some_and(|hint| hint.starts_with(UNLOCK))
        {
            return answer(reply, Err(closed));
        }
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

/// Serves what changes providers, in a task of its own.
fn provide(state: &mut State, command: Command, who: Who, reply: Answer) {
    let live: Vec<_> =
        state.sessions.values().filter_map(|live| live.view.as_deref().cloned()).collect();
    let mailboxes = opening_over(state, &command);
    let (shared, updates) = (Arc::clone(&state.shared), state.updates.clone());
    state.tasks.spawn(async move {
        let desk = Providing { shared: Arc::clone(&shared), updates, who };
        refresh(&shared, &Who::engine(), &desk.updates).await;
        let views = || Reply::Providers(shared.providers.views(live.iter()));
        let validation = |view| Reply::Validation(Box::new(view));
        let answered = match command {
            Command::ValidateProvider { provider, deep: false } => {
                desk.validate(&provider).await.map(validation)
            }
            Command::ValidateProvider { provider, deep: true } => {
                desk.prove(&provider).await.map(validation)
            }
            Command::PutProvider { settings, key, save } => {
                desk.put(*settings, key, save).await.map(validation)
            }
            Command::RotateKey { provider, key } => {
                desk.rotate(&provider, key).await.map(validation)
            }
            Command::RemoveProvider { provider } => {
                let in_use = live.iter().filter(|view| view.path.provider == provider).count();
                desk.remove(&provider, in_use).await.map(|()| views())
            }
            Command::SetProviderEnabled { provider, enabled } => {
                if !shared.providers.is_listed(&provider) {
                    return answer(reply, Err(no_such_provider(&provider)));
                }
                let switched = desk.switch(&provider, enabled).await;
                if switched.is_ok() && !enabled {
                    end_opening(&provider, mailboxes, &desk.who).await;
                }
                switched.map(|()| views())
            }
            _ => Err(Report::new(Kind::Internal, "this is not about providers")),
        };
        answer(reply, answered);
    });
}

/// The sessions that are opening over a provider that a command switches off.
fn opening_over(state: &State, command: &Command) -> Vec<mpsc::Sender<Order>> {
    let Command::SetProviderEnabled { provider, enabled: false } = command else { return vec![] };
    let opening = |view: &SessionView| {
        view.path.provider == *provider
            && matches!(view.state, SessionState::Pending | SessionState::Activating)
    };
    let sessions = state.sessions.values();
    let over = sessions.filter(|live| live.view.as_deref().is_some_and(opening));
    over.map(|live| live.mailbox.clone()).collect()
}

/// Looks for what belongs to no living session, in a task of its own.
fn sweep(state: &mut State, removes: Removes, who: Who, reply: Answer) {
    let (shared, updates) = (Arc::clone(&state.shared), state.updates.clone());
    state.tasks.spawn(async move {
        let swept = sweep::sweep(&shared, removes, &who, &updates).await;
        answer(reply, swept.map(Reply::Sweep));
    });
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

/// Tells a caller that something can be done only to a session that is known.
fn no_such_session(id: SessionId) -> Report {
    Report::new(Kind::Usage, format!("there is no live session `{id}`"))
        .hint("breakglass sessions --all")
}

pub(super) fn no_such_provider(id: &ProviderId) -> Report {
    Report::new(Kind::Usage, format!("there is no provider `{id}`")).hint("breakglass providers")
}

/// Why the engine does not stop for a caller, if it does not. In personal mode its process is the
/// caller's own; one for the whole host is stopped by those who look after it.
fn stays(state: &State, caller: &Caller) -> Option<Report> {
    if state.shared.people.mode() == Mode::System
        && let Err(refused) = caller.may(Ability::StopEngine)
    {
        return Some(refused);
    }
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

pub(super) fn answer(reply: Answer, answered: Result<Reply, Report>) {
    // A face that has left does not wait for its answer.
    reply.send(answered).ok();
}

//! Takes up what an earlier process left: replay, and the same loop as ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::mpsc;

use super::carrier;
use super::doors::{Behind, EndpointAction};
use super::interpreter::{Interpreter, ORDERS_MAX, Order, Update};
use super::projection;
use super::shared::Shared;
use crate::domain::id::SessionId;
use crate::forward::Parts;
use crate::protocol::{SessionView, Traffic};
use crate::session::{Carrier, Entry, Fact, Session};

/// A session that was taken up, ready to be driven.
pub(super) struct TakenUp {
    pub interpreter: Interpreter,
    pub mailbox: mpsc::Sender<Order>,
    pub id: SessionId,
    /// How it is shown until it has told something itself: an endpoint that died with the process
    /// is not shown as open.
    pub view: Box<SessionView>,
    /// What is new about it: that the engine died, unless it was handed over.
    pub news: Vec<Fact>,
}

/// Everything that an earlier process left.
pub(super) struct Found {
    pub sessions: Vec<TakenUp>,
    /// Sessions whose journal cannot be trusted, and why. They are left as they are.
    pub damaged: Vec<(SessionId, String)>,
}

/// Takes up every session that is not ended. Those in `inherited` came to rest in another process
/// and go on as if nothing had happened.
pub(super) fn take_up(
    shared: &Arc<Shared>,
    journals: Vec<(SessionId, Vec<Entry>)>,
    mut inherited: BTreeMap<SessionId, Option<Parts>>,
    updates: &mpsc::Sender<Update>,
) -> Found {
    let mut found = Found { sessions: vec![], damaged: vec![] };
    for (id, entries) in journals {
        // Also one whose journal cannot be trusted: what it made is not taken away behind its back.
        shared.lives(id);
        let session = match Session::replay(id, &entries) {
            Ok(session) => session,
            Err(error) => {
                found.damaged.push((id, error.to_string()));
                continue;
            }
        };
        let parts = inherited.remove(&id);
        let (mailbox, orders) = mpsc::channel(ORDERS_MAX);
        let channels = (orders, updates.clone());
        let mut interpreter =
            Interpreter::new(Arc::clone(shared), session.clone(), vec![], channels);
        let goes_on = match parts {
            Some(Some(parts)) => resume_door(shared, &session, parts, &mut interpreter),
            Some(None) => !has_open_door(&session),
            None => false,
        };
        let news = if goes_on { vec![] } else { vec![Fact::Restarted] };
        let view = shown(shared, session, &news);
        found.sessions.push(TakenUp { interpreter, mailbox, id, view, news });
    }
    found
}

fn shown(shared: &Shared, mut session: Session, news: &[Fact]) -> Box<SessionView> {
    for fact in news {
        let entry = Entry { at: shared.now(), fact: fact.clone() };
        if let Err(error) = session.evolve(&entry) {
            tracing::error!(%error, "a session cannot take in a restart");
        }
    }
    Box::new(projection::view(&session, Traffic::default()))
}

fn has_open_door(session: &Session) -> bool {
    let open =
        |step: &crate::session::Step| step.planned.carrier == Carrier::Endpoint && !step.is_clear();
    session.steps().iter().any(open)
}

fn resume_door(
    shared: &Arc<Shared>,
    session: &Session,
    parts: Parts,
    interpreter: &mut Interpreter,
) -> bool {
    let is_door = |step: &&crate::session::Step| step.planned.carrier == Carrier::Endpoint;
    let door = session.steps().iter().find(is_door);
    let action = door.and_then(|step| EndpointAction::deserialize(&step.planned.action).ok());
    let provider = shared.providers.find(&session.request().path.provider);
    let (Some(action), Some(provider)) = (action, provider) else { return false };
    let behind = Behind {
        session: session.id(),
        provider,
        steps: carrier::made(session),
        events: interpreter.door_sender(),
    };
    match shared.doors.resume(&action, parts, behind) {
        Ok(()) => {
            interpreter.watch_door();
            true
        }
        Err(error) => {
            tracing::error!(%error, "an endpoint could not be taken over");
            false
        }
    }
}

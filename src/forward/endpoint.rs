//! The endpoint itself: accepts, checks, hands each connection to its relay, and ends.
//!
//! One task accepts; it owns the tasks of the connections, so that when it has ended, all have.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::connect::EndpointAddress;
use crate::forward::buffer::BufferPool;
use crate::forward::listener::{Door, Listener};
use crate::forward::parts::{Parts, Passed};
use crate::forward::peer::{Doorman, Refusal, TurnedAway};
use crate::forward::relay::{Accepted, Activity, Link, Shared, carry, serve};
use crate::forward::{
    Bound, CloseReason, Conduit, Counters, Dial, ForwardEvent, Peer, Settings, Totals,
};

/// Pause after the system had nothing left for a new connection, if none ends before.
const EXHAUSTED_PAUSE: Duration = Duration::from_secs(1);

/// Pause before an idle event that did not fit into the channel is tried again.
const IDLE_RETRY: Duration = Duration::from_secs(1);

/// A served listener with all its connections.
///
/// Dropping it closes everything too, a moment later; only [`Endpoint::close`] waits for it.
#[derive(Debug)]
pub struct Endpoint {
    address: EndpointAddress,
    counters: Arc<Counters>,
    /// When it is dropped unused, the acceptor closes everything.
    orders: oneshot::Sender<Order>,
    acceptor: JoinHandle<io::Result<Option<Parts>>>,
}

/// Why an endpoint cannot begin, or cannot be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The system does not watch the listener.
    #[error("failed to serve the local endpoint: {0}")]
    Start(#[source] io::Error),
    /// The endpoint has ended by itself; everything is closed.
    #[error("failed to hand the local endpoint over: it has ended, and its connections with it")]
    Gone,
}

/// What the acceptor is told last.
#[derive(Debug)]
enum Order {
    Close,
    Dismantle,
}

impl Endpoint {
    /// Begins to serve a listener. Must be called within a tokio runtime.
    ///
    /// `events` should hold [`super::EVENTS_MAX`] events; nothing ever waits for room in it.
    pub fn start(
        bound: Bound,
        dial: Arc<dyn Dial>,
        settings: Settings,
        events: mpsc::Sender<ForwardEvent>,
    ) -> Result<Self, EndpointError> {
        let parts = Parts {
            listener: bound,
            connections: Vec::new(),
            totals: Totals::default(),
            next_conn: 1,
            quiet_for: Duration::ZERO,
        };
        Self::resume(parts, dial, settings, events)
    }

    /// Goes on with what [`Endpoint::dismantle`] took apart. Must be called within a tokio runtime.
    ///
    /// A connection that cannot be resumed is closed and told; the others go on.
    pub fn resume(
        parts: Parts,
        dial: Arc<dyn Dial>,
        settings: Settings,
        events: mpsc::Sender<ForwardEvent>,
    ) -> Result<Self, EndpointError> {
        let address = parts.listener.address().clone();
        let (listener, door) = parts.listener.into_listener().map_err(EndpointError::Start)?;
        let counters = Arc::new(Counters::starting_at(parts.totals));
        let doorman = Doorman::new(settings.owner);
        let shared = Arc::new(Shared {
            settings,
            dial,
            counters: Arc::clone(&counters),
            activity: Activity::new(Instant::now(), parts.quiet_for),
            pool: BufferPool::default(),
            pausing: CancellationToken::new(),
            closing: CancellationToken::new(),
            events,
        });
        let mut links = JoinSet::new();
        for passed in parts.connections {
            resume_link(passed, &shared, &mut links);
        }
        let (orders, inbox) = oneshot::channel();
        let next_conn = parts.next_conn;
        let acceptor = Acceptor { listener, door, doorman, shared, links, next_conn };
        let acceptor = TaskTracker::new().spawn(acceptor.run(inbox));
        Ok(Self { address, counters, orders, acceptor })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &EndpointAddress {
        &self.address
    }

    /// The counters, which stay readable after the end.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Stops listening, then resets every connection. Returns the last numbers when all are closed.
    pub async fn close(self) -> Totals {
        // An acceptor that has already ended has already closed everything.
        self.orders.send(Order::Close).ok();
        self.acceptor.await.ok();
        self.counters.read()
    }

    /// Brings every connection to rest and takes the endpoint apart.
    ///
    /// Takes no longer than the tasks need to wake: nothing waits for a peer. A connection whose
    /// target is still being dialled is closed and told.
    pub async fn dismantle(self) -> Result<Parts, EndpointError> {
        self.orders.send(Order::Dismantle).map_err(|_| EndpointError::Gone)?;
        match self.acceptor.await {
            Ok(Ok(Some(parts))) => Ok(parts),
            _ => Err(EndpointError::Gone),
        }
    }
}

fn resume_link(passed: Passed, shared: &Arc<Shared>, links: &mut JoinSet<Option<Passed>>) {
    let note = passed.note;
    match Link::resume(passed, &shared.settings.room) {
        Ok(link) => {
            links.spawn(carry(link, Arc::clone(shared)));
        }
        Err(error) => {
            shared.emit(ForwardEvent::Closed {
                conn: note.conn,
                bytes_up: note.up.bytes,
                bytes_down: note.down.bytes,
                why: CloseReason::ClientBroke(error.kind()),
            });
        }
    }
}

/// The task behind an [`Endpoint`].
struct Acceptor {
    listener: Listener,
    door: Door,
    doorman: Doorman,
    shared: Arc<Shared>,
    links: JoinSet<Option<Passed>>,
    next_conn: u64,
}

impl Acceptor {
    async fn run(mut self, mut inbox: oneshot::Receiver<Order>) -> io::Result<Option<Parts>> {
        let mut idle_at = self.idle_due();
        // While set, nothing is accepted: the system has nothing left for a connection.
        let mut paused_until = None;
        let mut exhausted = false;
        let order = loop {
            tokio::select! {
                biased;
                order = &mut inbox => break order.unwrap_or(Order::Close),
                Some(ended) = self.links.join_next() => {
                    log_panic(ended);
                    // What it held may serve the next client.
                    paused_until = None;
                }
                () = wait(idle_at) => idle_at = self.report_idle(),
                () = wait(paused_until) => paused_until = None,
                accepted = self.listener.accept(), if paused_until.is_none() => match accepted {
                    Ok((client, peer)) => {
                        exhausted = false;
                        self.admit(client, peer).await;
                    }
                    Err(error) if was_the_clients_fault(&error) => {}
                    Err(why) => {
                        paused_until = Some(Instant::now() + EXHAUSTED_PAUSE);
                        self.shared.counters.accepts_failed.fetch_add(1, Relaxed);
                        if !std::mem::replace(&mut exhausted, true) {
                            self.shared.emit(ForwardEvent::Exhausted { why });
                        }
                    }
                },
            }
        };
        match order {
            Order::Close => {
                self.close().await;
                Ok(None)
            }
            Order::Dismantle => self.dismantle().await.map(Some),
        }
    }

    /// Checks a new client and starts its relay, or turns it away.
    async fn admit(&mut self, client: Conduit, peer: Peer) {
        let checked = match (&client, peer) {
            (Conduit::Tcp(stream), Peer::Tcp(from)) => self.doorman.check_tcp(stream, from).await,
            (Conduit::Unix(stream), Peer::Unix { .. }) => self.doorman.check_unix(stream),
            _ => Err(TurnedAway { uid: None, why: Refusal::Unchecked }),
        };
        let placed = checked.and_then(|uid| {
            let place = self.shared.settings.room.connections().enter();
            let place = place.ok_or(TurnedAway { uid: Some(uid), why: Refusal::Full })?;
            Ok((uid, place))
        });
        match placed {
            Ok((uid, place)) => {
                let accepted = Accepted { conn: self.next_conn, peer, uid, client, place };
                self.next_conn += 1;
                self.links.spawn(serve(accepted, Arc::clone(&self.shared)));
            }
            Err(away) => self.refuse(client, peer, away),
        }
    }

    fn refuse(&self, client: Conduit, peer: Peer, away: TurnedAway) {
        client.abort();
        self.shared.counters.refused.fetch_add(1, Relaxed);
        let TurnedAway { uid, why } = away;
        self.shared.emit(ForwardEvent::Refused { peer, uid, why });
    }

    /// When the idle limit is reached if no byte flows until then.
    fn idle_due(&self) -> Option<Instant> {
        let limit = self.shared.settings.idle_limit?;
        self.shared.activity.last().checked_add(limit)
    }

    /// Sends the idle event if its time has come. Returns when to look again, or never.
    fn report_idle(&self) -> Option<Instant> {
        let due = self.idle_due()?;
        let now = Instant::now();
        if due > now {
            return Some(due);
        }
        match self.shared.events.try_send(ForwardEvent::Idle) {
            Err(TrySendError::Full(_)) => Some(now + IDLE_RETRY),
            // Told, or nobody is left to tell.
            Ok(()) | Err(TrySendError::Closed(_)) => None,
        }
    }

    /// Stops listening first, so that nobody gets in while the others are thrown out.
    async fn close(self) {
        let Self { listener, door, shared, mut links, .. } = self;
        drop((listener, door));
        shared.closing.cancel();
        while let Some(ended) = links.join_next().await {
            log_panic(ended);
        }
    }

    async fn dismantle(self) -> io::Result<Parts> {
        let Self { listener, door, shared, mut links, next_conn, .. } = self;
        let mut connections = Vec::with_capacity(links.len());
        shared.pausing.cancel();
        while let Some(ended) = links.join_next().await {
            connections.extend(log_panic(ended));
        }
        connections.sort_unstable_by_key(|passed| passed.note.conn);
        Ok(Parts {
            listener: door.rebind(listener)?,
            connections,
            totals: shared.counters.read(),
            next_conn,
            quiet_for: shared.activity.last().elapsed(),
        })
    }
}

/// Waits for a moment, or for ever.
async fn wait(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Tells an error of one client, which is passed over, from one of this system.
fn was_the_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn log_panic(ended: Result<Option<Passed>, tokio::task::JoinError>) -> Option<Passed> {
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "the relay of a connection ended by a bug; the connection is closed");
        None
    })
}

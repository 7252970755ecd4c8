//! The loop: serves calls, hears what sessions do, and tells faces. It never waits for the world.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep_until};

use super::caller::Caller;
use super::chronicle;
use super::desk;
use super::faces::Faces;
use super::handover::Parcel;
use super::interpreter::{Order, Update};
use super::people;
use super::providers::Due;
use super::recovery;
use super::shared::{EngineParts, Shared, Who, store_report};
use super::state::{AUDIT_SHOWN, ENDED_SHOWN, JOURNAL, Live, REASONS_SHOWN, State};
use super::sweep;
use crate::clock::{Anchor, Clock};
use crate::domain::id::SessionId;
use crate::domain::provider::ProviderKind;
use crate::domain::sign_in::Token;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};
use crate::domain::vault;
use crate::error::Report;
use crate::forward::Parts;
use crate::protocol::{
    Call, EngineHandle, Event, Mode, Origin, SessionQuery, SessionView, SweepProblem,
};
use crate::session::Entry;
use crate::store::{Batch, Store};

/// The engine as a task.
pub struct Engine;

/// An engine that runs.
pub struct Running {
    /// How faces reach it.
    pub handle: EngineHandle,
    /// How its process steers it.
    pub control: Control,
    task: JoinSet<Outcome>,
}

/// How the process that hosts an engine steers it.
#[derive(Clone, Debug)]
pub struct Control {
    orders: mpsc::Sender<Steer>,
}

/// Why an engine has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody stopped it.
    Stopped,
    /// Nothing lived any more and nobody listened.
    Idle,
    /// It gave everything to another process.
    HandedOver,
}

enum Steer {
    Live { reply: oneshot::Sender<Vec<SessionView>> },
    HandOver { reply: oneshot::Sender<Parcel> },
    Stop,
}

impl Engine {
    /// Starts an engine: opens what is durable, takes up every session that lives, and serves.
    ///
    /// `inherited` is what another process handed over.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written.
    pub async fn start(
        parts: EngineParts,
        inherited: BTreeMap<SessionId, Option<Parts>>,
    ) -> Result<Running, Report> {
        let store = Arc::clone(&parts.store);
        let failed = |error| store_report(&error);
        let ended = SessionQuery { ended: true, limit: ENDED_SHOWN, ..SessionQuery::default() };
        let (journals, ended, ended_total, reasons, audit) = tokio::try_join!(
            store.open_journals(),
            store.sessions(ended),
            store.ended_total(),
            store.reasons(REASONS_SHOWN),
            store.audit_tail(AUDIT_SHOWN, None),
        )
        .map_err(failed)?;
        let clock = resume_clock(&*store, &journals, &ended).await?;
        let kept = people::load(&*store, parts.idps.clone(), clock.now()).await?;
        let shared = Shared::new(parts, clock, kept);
        shared.people.begin(shared.now());
        let (calls, inbox) = mpsc::channel(CALLS_MAX);
        let (orders, steering) = mpsc::channel(4);
        let (updates, news) = mpsc::channel(UPDATES_MAX);
        let origin = Origin { uid: shared.operator.uid, ..Origin::default() };
        let mut state = State {
            sessions: BTreeMap::new(),
            tasks: JoinSet::new(),
            updates,
            faces: Faces::default(),
            ended: ended.into_iter().filter(|it| !it.state.is_live()).map(Box::new).collect(),
            ended_total,
            audit: audit.into(),
            reasons,
            alarms: BTreeMap::new(),
            shown_providers: vec![],
            wall_offset_millis: shared.clock.wall_offset_millis(),
            busy_at: Instant::now(),
            shared,
        };
        state.rules_changed();
        state.take_up(journals, inherited).await?;
        let mut task = JoinSet::new();
        task.spawn(state.serve(inbox, news, steering));
        Ok(Running { handle: EngineHandle::new(calls, origin), control: Control { orders }, task })
    }
}

impl Running {
    /// Waits until the engine has stopped.
    pub async fn finished(&mut self) -> Outcome {
        match self.task.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => {
                tracing::error!(%error, "the engine failed");
                Outcome::Stopped
            }
            None => Outcome::Stopped,
        }
    }
}

impl Control {
    /// Brings every session to rest and returns what they hold. The engine has then stopped
    /// serving, and the store is closed.
    pub async fn hand_over(&self) -> Option<Parcel> {
        let (reply, parcel) = oneshot::channel();
        self.orders.send(Steer::HandOver { reply }).await.ok()?;
        parcel.await.ok()
    }

    /// Returns the sessions that live, whoever they belong to: their process must know what goes on
    /// without it.
    pub async fn live(&self) -> Vec<SessionView> {
        let (reply, live) = oneshot::channel();
        // An engine that has stopped has no sessions here.
        if self.orders.send(Steer::Live { reply }).await.is_err() {
            return vec![];
        }
        live.await.unwrap_or_default()
    }

    /// Stops the engine. Sessions that live are taken up at the next start.
    pub async fn stop(&self) {
        // An engine that is gone has stopped.
        self.orders.send(Steer::Stop).await.ok();
    }
}

impl State {
    async fn serve(
        mut self,
        mut calls: mpsc::Receiver<Call>,
        mut news: mpsc::Receiver<Update>,
        mut steering: mpsc::Receiver<Steer>,
    ) -> Outcome {
        self.check_providers();
        self.look_for_orphans();
        let mut pulse = Pulse::new(&self.shared.clock);
        let mut look_at = Instant::now();
        let mut check_at = Instant::now() + CHECK_EVERY;
        loop {
            let watched = self.faces.count();
            let signing_out = self.next_sign_out();
            tokio::select! {
                Some(update) = news.recv() => self.take_update(update),
                Some(call) = calls.recv() => {
                    self.busy_at = Instant::now();
                    if self.take_call(call) {
                        return self.stop(Outcome::Stopped).await;
                    }
                }
                Some(steer) = steering.recv() => match steer {
                    Steer::Live { reply } => {
                        let live = self.sessions.values().filter_map(|live| live.view.as_deref());
                        // Who asked may have gone away.
                        reply.send(live.cloned().collect()).ok();
                    }
                    Steer::Stop => return self.stop(Outcome::Stopped).await,
                    Steer::HandOver { reply } => return self.hand_over(&mut news, reply).await,
                },
                Some(_) = self.tasks.join_next() => {}
                () = self.faces.one_left(), if watched > 0 => self.faces_changed(),
                () = signing_out => self.sign_out_due(),
                () = sleep_until(look_at), if watched > 0 && self.has_idps() => {
                    look_at = Instant::now() + LOOK_EVERY;
                    self.check_idps();
                }
                () = sleep_until(check_at), if watched > 0 && self.has_tunnels() => {
                    check_at = Instant::now() + CHECK_EVERY;
                    self.check_providers();
                }
                () = sleep_until(pulse.next), if self.needs_pulse() => {
                    self.pulse(&mut pulse);
                    if self.may_leave() {
                        return self.stop(Outcome::Idle).await;
                    }
                }
            }
        }
    }

    /// Looks at the providers whose last look is old.
    fn check_providers(&mut self) {
        let now = self.shared.now();
        self.look_at_providers(move |due| due.is_old(now));
    }

    /// Looks at the providers that are `due`.
    pub(super) fn look_at_providers(&mut self, due: impl Fn(&Due) -> bool + Send + Sync + 'static) {
        let (shared, updates) = (Arc::clone(&self.shared), self.updates.clone());
        self.tasks.spawn(async move {
            if shared.providers.check(due, &shared.clock).await {
                updates.send(Update::Providers).await.ok();
            }
        });
    }

    /// Looks for what an earlier life may have left behind; removes nothing.
    fn look_for_orphans(&mut self) {
        let (shared, updates) = (Arc::clone(&self.shared), self.updates.clone());
        self.tasks.spawn(async move {
            match sweep::sweep(&shared, sweep::Removes::Nothing, &Who::engine(), &updates).await {
                Ok(swept) => {
                    for problem in swept.problems {
                        let SweepProblem { place, why } = problem;
                        tracing::warn!(place, why, "nobody could look for what is left there");
                    }
                }
                Err(report) => tracing::warn!(%report, "the sweep could not be written down"),
            }
        });
    }

    fn has_idps(&self) -> bool {
        !self.shared.people.view().idps.is_empty()
    }

    /// True where there is a provider whose health can change.
    fn has_tunnels(&self) -> bool {
        let standings = self.shared.providers.standings();
        standings.iter().any(|standing| standing.kind != ProviderKind::Direct)
    }

    fn check_idps(&mut self) {
        let (shared, updates) = (Arc::clone(&self.shared), self.updates.clone());
        let idps = shared.rules().idps.clone();
        self.tasks.spawn(async move {
            people::look_at(&shared, &updates, idps, people::LOOK_MAX).await;
        });
    }

    async fn take_up(
        &mut self,
        journals: Vec<(SessionId, Vec<Entry>)>,
        inherited: BTreeMap<SessionId, Option<Parts>>,
    ) -> Result<(), Report> {
        let handed_over = !inherited.is_empty();
        let found = recovery::take_up(&self.shared, journals, inherited, &self.updates);
        let count = found.sessions.len();
        let sessions = text::counted(count, "session");
        let (kind, what) = match (handed_over, count) {
            (true, _) => ("engine.handed_over", format!("Engine took over {sessions}")),
            (false, 0) => ("engine.started", "Engine started".to_owned()),
            (false, _) => ("engine.recovered", format!("Engine took up {sessions}")),
        };
        let draft = chronicle::plain(&self.shared, kind, &what, &Who::engine(), None);
        let anchor = serde_json::to_string(&self.shared.clock.anchor()).unwrap_or_default();
        let began = "Drill begins: nothing in it is real";
        let mut audit = self.drill_draft("drill.started", began);
        audit.push(draft);
        let batch = Batch {
            audit,
            settings: vec![(CLOCK_ANCHOR.to_owned(), anchor)],
            ..Batch::at(crate::clock::wall())
        };
        match self.shared.store.append(batch).await {
            Ok(events) => self.audit_grew(events),
            // Sessions that live must be ended, whatever the disk says.
            Err(error) if count > 0 => {
                let text = format!("the journal cannot be written: {error}");
                self.alarm(JOURNAL.to_owned(), text, None);
            }
            Err(error) => return Err(store_report(&error)),
        }
        for (id, why) in found.damaged {
            let text = format!("the journal of session {} cannot be trusted: {why}", id.short());
            self.alarm(format!("damaged {id}"), text::shown(&text), Some(id));
        }
        for taken_up in found.sessions {
            let view = Some(taken_up.view);
            self.sessions.insert(taken_up.id, Live { view, mailbox: taken_up.mailbox });
            self.tasks.spawn(taken_up.interpreter.run(taken_up.news));
        }
        Ok(())
    }

    /// Waits until the sign-in of some face may be over; for ever where there is none.
    fn next_sign_out(&self) -> impl Future<Output = ()> + use<> {
        let shared = &self.shared;
        let ends = self.faces.sign_ins().map(|hash| shared.people.ends_at(hash));
        let next = ends.map(Option::unwrap_or_default).min();
        let wait = next.map(|at| at.since(shared.now()).to_std());
        async move {
            match wait {
                // A little late is over for sure; a clock that stood still meanwhile is asked again.
                Some(wait) => tokio::time::sleep(wait + Duration::from_millis(5)).await,
                None => std::future::pending().await,
            }
        }
    }

    fn sign_out_due(&mut self) {
        let now = self.shared.now();
        let over = self.faces.sign_ins().filter(|hash| !self.shared.people.lasts(hash, now));
        let over: Vec<_> = over.map(str::to_owned).collect();
        for hash in over {
            self.faces.sign_out(&hash, "the sign-in has lasted its time");
        }
    }

    fn needs_pulse(&self) -> bool {
        !self.sessions.is_empty() || self.shared.detached
    }

    /// Looks at the clocks: time asleep and a wall clock that was set are both news to sessions.
    fn pulse(&mut self, pulse: &mut Pulse) {
        if pulse.jumped(&self.shared.clock) {
            for live in self.sessions.values() {
                // A full mailbox wakes its session as well.
                live.mailbox.try_send(Order::Wake).ok();
            }
        }
        let offset = self.shared.clock.wall_offset_millis();
        if offset.abs_diff(self.wall_offset_millis) >= 1_000 {
            self.wall_offset_millis = offset;
            self.engine_changed();
        }
    }

    fn may_leave(&self) -> bool {
        let alone = self.sessions.is_empty() && self.faces.count() == 0 && self.tasks.is_empty();
        // The engine of a host is there for whoever comes next.
        let own = self.shared.people.mode() == Mode::Personal;
        let unlocked = self.shared.people.vault().is_unlocked();
        let stays = if unlocked { vault::STAYS_OPEN.to_std() } else { LEAVE_AFTER };
        self.shared.detached && own && alone && self.busy_at.elapsed() >= stays
    }

    async fn stop(mut self, outcome: Outcome) -> Outcome {
        let draft = chronicle::plain(
            &self.shared,
            "engine.stopped",
            "Engine stopped",
            &Who::engine(),
            None,
        );
        let wall = crate::clock::wall();
        let mut audit = self.drill_draft("drill.finished", "Drill is over");
        audit.push(draft);
        let batch = Batch { audit, ..Batch::at(wall) };
        if let Err(error) = self.shared.store.append(batch).await {
            tracing::warn!(%error, "that the engine stopped could not be written down");
        }
        self.tasks.shutdown().await;
        self.shared.store.close().await;
        self.tell(&Event::Stopped);
        outcome
    }

    async fn hand_over(
        mut self,
        news: &mut mpsc::Receiver<Update>,
        reply: oneshot::Sender<Parcel>,
    ) -> Outcome {
        let mut resting = JoinSet::new();
        for (id, live) in &self.sessions {
            let (id, mailbox) = (*id, live.mailbox.clone());
            resting.spawn(async move {
                let (reply, parts) = oneshot::channel();
                let asked = mailbox.send(Order::HandOver { reply }).await;
                match asked {
                    Ok(()) => parts.await.ok().map(|parts| (id, parts)),
                    Err(_) => None,
                }
            });
        }
        let mut rested = vec![];
        while !resting.is_empty() {
            tokio::select! {
                Some(update) = news.recv() => self.take_update(update),
                Some(one) = resting.join_next() => rested.extend(one.ok().flatten()),
            }
        }
        self.tasks.shutdown().await;
        self.shared.store.close().await;
        reply.send(Parcel::pack(rested)).ok();
        self.tell(&Event::HandedOver);
        Outcome::HandedOver
    }

    /// Who calls. That a sign-in was used is written down now and then.
    fn caller(&mut self, origin: &Origin, token: Option<&Token>) -> Caller {
        let (caller, used) = self.shared.caller(origin, token);
        if let Some(sign_in) = used {
            let shared = Arc::clone(&self.shared);
            self.tasks.spawn(async move {
                shared.people.note_use(&*shared.store, &sign_in).await;
            });
        }
        caller
    }

    fn take_call(&mut self, call: Call) -> bool {
        match call {
            Call::Subscribe { origin, token, reply } => {
                let caller = self.caller(&origin, token.as_ref());
                // A face that has left meanwhile is let go of at the next event.
                reply.send(self.subscribe(caller)).ok();
                false
            }
            Call::Command { origin, token, command, reply } => {
                let caller = self.caller(&origin, token.as_ref());
                desk::serve(self, caller, origin, command, reply)
            }
        }
    }
}

/// When to look at the clocks, and what they showed.
struct Pulse {
    next: Instant,
    at: Instant,
    engine: Timestamp,
}

impl Pulse {
    fn new(clock: &Clock) -> Self {
        let at = Instant::now();
        Self { next: at + PULSE_EVERY, at, engine: clock.now() }
    }

    /// True when engine time went on while this process stood still.
    fn jumped(&mut self, clock: &Clock) -> bool {
        let ran = Span::from_millis(u64::try_from(self.at.elapsed().as_millis()).unwrap_or(0));
        let expected = self.engine + ran;
        let jumped = clock.now().since(expected) > Span::from_seconds(1);
        *self = Self::new(clock);
        jumped
    }
}

async fn resume_clock(
    store: &dyn Store,
    journals: &[(SessionId, Vec<Entry>)],
    ended: &[SessionView],
) -> Result<Clock, Report> {
    let kept = store.setting(CLOCK_ANCHOR).await.map_err(|error| store_report(&error))?;
    let kept = kept.and_then(|text| serde_json::from_str::<Anchor>(&text).ok());
    let written = journals.iter().filter_map(|(_, entries)| entries.last()).map(|it| it.at);
    let latest = written.chain(ended.iter().filter_map(|view| view.ended_at)).max();
    Ok(Clock::resume(kept.as_ref(), latest.unwrap_or_default()))
}

const CLOCK_ANCHOR: &str = "clock.anchor";
const CALLS_MAX: usize = 64;
const UPDATES_MAX: usize = 1024;
/// How often identity providers are looked at while somebody watches.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often it is asked whose health is to be looked at, while somebody watches.
const CHECK_EVERY: Duration = Duration::from_secs(5);
const PULSE_EVERY: Duration = Duration::from_secs(10);
const LEAVE_AFTER: Duration = Duration::from_secs(10);

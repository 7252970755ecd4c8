//! Drives one session: decide, append, take in, act at most once a step.
//!
//! What came of an effect and everything that follows from it are one durable append, and only
//! then are the next effects begun. When the journal cannot be written, what opens stops and what
//! ends goes on: the lines wait in a backlog and are written once the store works again.

mod door;
mod path;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Duration, sleep};

use super::carrier::{Done, Job};
use super::chronicle;
use super::doors;
use super::projection;
use super::shared::{Shared, Who, store_report};
use super::strangers::Strangers;
use super::watcher::Watcher;
use crate::domain::account::AccountId;
use crate::domain::audit_event::{Actor, AuditDraft, AuditEvent};
use crate::domain::id::{ProviderId, SessionId};
use crate::domain::time::{Span, Timestamp};
use crate::error::{Kind, Report};
use crate::forward::{Counters, EVENTS_MAX, ForwardEvent, Parts};
use crate::protocol::{Notice, SessionView, Severity, Traffic};
use crate::session::{Effect, EndReason, Entry, Fact, Lives, Session, StepIndex};
use crate::store::{Batch, SessionChange};

/// What a session can be told.
pub(super) enum Order {
    /// End it.
    End { reason: EndReason, detail: Option<String>, who: Who, reply: Option<Answer> },
    /// Let it run longer.
    Extend { by: Span, who: Who, reply: Answer },
    /// Try at once what is owed.
    Retry { who: Who, reply: Answer },
    /// Look at the clock: time may have jumped.
    Wake,
    /// Come to rest, write that down, and give the endpoint away.
    HandOver { reply: oneshot::Sender<Option<Parts>> },
}

/// Where the answer to an order goes.
pub(super) type Answer = oneshot::Sender<Result<Box<SessionView>, Report>>;

/// What a session tells the core.
pub(super) enum Update {
    /// A session is about to begin.
    New { id: SessionId, mailbox: mpsc::Sender<Order> },
    /// The audit has grown without a session.
    Audit(Vec<AuditEvent>),
    /// A provider has changed.
    Providers,
    /// A session met trouble that may be this provider's own.
    Suspected(ProviderId),
    /// So many things were found that belong to no living session.
    Orphans(usize),
    /// People or identity providers have changed.
    Identity,
    /// A sign-in is over.
    SignedOut { hash: String, why: String },
    /// Somebody may not have sessions any more.
    Revoked { account: AccountId, why: String },
    /// It has changed, and that is durable.
    Session { view: Box<SessionView>, audit: Vec<AuditEvent> },
    /// Its counters have changed.
    Traffic { session: SessionId, traffic: Traffic },
    /// Something to tell people once.
    Notice(Notice),
    /// Something that a person must know as long as the session lives.
    Alarm { session: SessionId, text: String },
    /// Whether the journal can be written; while it cannot, an alarm stands.
    Journal { session: SessionId, problem: Option<String> },
    /// Its task has ended: it is over, or was handed over.
    Finished(SessionId),
}

/// One session and everything that drives it.
pub(super) struct Interpreter {
    shared: Arc<Shared>,
    session: Session,
    mailbox: mpsc::Receiver<Order>,
    updates: mpsc::Sender<Update>,
    effects: JoinSet<Done>,
    under_way: Vec<(AbortHandle, Effect)>,
    wait_until: Option<Timestamp>,
    /// Taken in, but not durable yet.
    backlog: Vec<Entry>,
    backlog_audit: Vec<AuditDraft>,
    door_events: mpsc::Receiver<ForwardEvent>,
    door_sender: mpsc::Sender<ForwardEvent>,
    strangers: Strangers,
    counters: Option<Arc<Counters>>,
    /// How many events of the endpoint are known not to have reached us.
    events_dropped: u64,
    traffic: Traffic,
    /// How its path does, as the provider sees it.
    live: Vec<String>,
    /// What steps that are under way wait for, as they say.
    asides: BTreeMap<StepIndex, String>,
    heard: mpsc::Receiver<(StepIndex, String)>,
    listener: mpsc::Sender<(StepIndex, String)>,
    handing_over: Option<HandingOver>,
    watcher: Watcher,
}

/// A hand-over that waits for what is under way.
struct HandingOver {
    reply: oneshot::Sender<Option<Parts>>,
    /// When it waits no longer.
    by: Timestamp,
}

const GIVEN_UP: &str = "it was not waited for any longer, as the session ended";
const FAILED: &str = "the program failed while doing this; its log says how";

/// How many orders may wait.
pub(super) const ORDERS_MAX: usize = 32;

impl Interpreter {
    /// Makes the driver of a session whose journal is durable, but for the entries in `unsaved`.
    pub fn new(
        shared: Arc<Shared>,
        session: Session,
        unsaved: Vec<Entry>,
        (mailbox, updates): (mpsc::Receiver<Order>, mpsc::Sender<Update>),
    ) -> Self {
        let (door_sender, door_events) = mpsc::channel(EVENTS_MAX);
        let (listener, heard) = mpsc::channel(ASIDES_MAX);
        Self {
            shared,
            session,
            mailbox,
            updates,
            effects: JoinSet::new(),
            under_way: vec![],
            wait_until: None,
            backlog: unsaved,
            backlog_audit: vec![],
            door_events,
            door_sender,
            strangers: Strangers::default(),
            counters: None,
            events_dropped: 0,
            traffic: Traffic::default(),
            live: vec![],
            asides: BTreeMap::new(),
            heard,
            listener,
            handing_over: None,
            watcher: Watcher::new(),
        }
    }

    /// Where the endpoint of this session tells what happens.
    pub fn door_sender(&self) -> mpsc::Sender<ForwardEvent> {
        self.door_sender.clone()
    }

    /// Writes the first lines of a session, and with them everything that is ready to begin. `agreed`
    /// is the change of a file of others that its operator agreed to.
    ///
    /// # Errors
    ///
    /// When nothing of it is durable; then nothing was begun.
    pub async fn begin(
        &mut self,
        facts: Vec<Fact>,
        agreed: &[String],
        who: &Who,
    ) -> Result<Box<SessionView>, Report> {
        let drafts = chronicle::drafts_of_request(&self.shared, &self.session, agreed, who);
        self.backlog_audit = drafts;
        self.advance(facts, who).await?;
        Ok(self.view())
    }

    /// Drives the session until it is over or handed over; `news` is what an earlier process
    /// left to be written.
    pub async fn run(mut self, news: Vec<Fact>) {
        self.advance_by_itself(news).await;
        while !self.is_over() {
            let nap = self.nap();
            tokio::select! {
                order = self.mailbox.recv() => match order {
                    Some(order) => self.take_order(order).await,
                    // The core is gone, and with it the process.
                    None => return,
                },
                Some(ended) = self.effects.join_next_with_id() => self.take_outcome(ended).await,
                Some(event) = self.door_events.recv() => self.take_door_events(event).await,
                news = self.watcher.news() => self.take_path_news(news).await,
                Some((step, said)) = self.heard.recv() => self.take_aside(step, &said).await,
                () = sleep(nap.unwrap_or_default()), if nap.is_some() => {
                    self.advance_by_itself(vec![]).await;
                    let refused = self.strangers.due(self.shared.now());
                    self.tell_refused(refused, vec![]).await;
                    self.tell_traffic().await;
                }
            }
            if let Some(handing_over) = &self.handing_over {
                if self.shared.now() >= handing_over.by {
                    self.abandon_effects().await;
                }
                if self.under_way.is_empty() {
                    return self.give_away().await;
                }
            }
        }
        self.shared.is_over(self.session.id());
        self.tell(Update::Finished(self.session.id())).await;
    }

    fn is_over(&self) -> bool {
        self.session.ended_at().is_some()
            && self.backlog.is_empty()
            && self.backlog_audit.is_empty()
    }

    /// How long to sleep if nothing else happens.
    fn nap(&self) -> Option<Duration> {
        let due = self.wait_until.map(|at| at.since(self.shared.now()).to_std());
        let unsaved = !self.backlog.is_empty() || !self.backlog_audit.is_empty();
        let again = unsaved.then_some(SAVE_AGAIN);
        let watched = self.traffic.connections_open > 0 && self.shared.is_watched();
        let traffic = watched.then_some(TRAFFIC_EVERY);
        let patience = self.handing_over.as_ref().map(|it| it.by.since(self.shared.now()).to_std());
        let strangers = self.strangers.next_due().map(|at| at.since(self.shared.now()).to_std());
        [due, again, traffic, patience, strangers].into_iter().flatten().min()
    }

    async fn take_order(&mut self, order: Order) {
        match order {
            Order::End { reason, detail, who, reply } => {
                let fact = Fact::EndRequested { reason, detail, by: who.actor.clone() };
                let ended = match self.session.ending() {
                    Some(_) => Ok(()),
                    None => self.advance(vec![fact], &who).await,
                };
                if let Some(reply) = reply {
                    reply.send(ended.map(|()| self.view())).ok();
                }
            }
            Order::Extend { by, who, reply } => {
                let extended = self.extend(by, &who).await;
                reply.send(extended.map(|()| self.view())).ok();
            }
            Order::Retry { who, reply } => {
                let retried = self.retry(&who).await;
                reply.send(retried.map(|()| self.view())).ok();
            }
            Order::Wake => self.advance_by_itself(vec![]).await,
            Order::HandOver { reply } => {
                let by = self.shared.now() + HAND_OVER_PATIENCE;
                self.handing_over = Some(HandingOver { reply, by });
                self.watcher.rest();
            }
        }
    }

    async fn extend(&mut self, by: Span, who: &Who) -> Result<(), Report> {
        let lease = self.session.lease() + by;
        let max = self.session.request().lease_max;
        if !self.session.is_active() {
            return Err(Report::new(Kind::Denied, "only an Active session can be extended"));
        }
        if !self.session.may_extend_to(lease) {
            let left = Span::from_millis(max.as_millis() - self.session.lease().as_millis());
            let message = format!("`{by}` more would exceed the `{max}` allowed for this target");
            return Err(Report::new(Kind::Denied, message)
                .hint(format!("at most `{left}` more is allowed; open another session after it")));
        }
        self.advance(vec![Fact::Extended { lease, by: who.actor.clone() }], who).await
    }

    async fn retry(&mut self, who: &Who) -> Result<(), Report> {
        if self.session.ending().is_none() {
            let message = "nothing is owed: the session is not ending";
            return Err(Report::new(Kind::Denied, message));
        }
        self.advance(vec![Fact::RetryRequested { by: who.actor.clone() }], who).await
    }

    async fn take_outcome(&mut self, ended: Result<(Id, Done), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(place) = self.under_way.iter().position(|(task, _)| task.id() == id) else {
            return;
        };
        let (_, effect) = self.under_way.swap_remove(place);
        self.asides.remove(&effect.step());
        let done = match ended {
            Ok((_, done)) => done,
            Err(error) => {
                let why = if error.is_cancelled() { GIVEN_UP } else { FAILED };
                Done { fact: broken(&effect, why), alarm: None }
            }
        };
        if let Some(text) = done.alarm {
            self.tell(Update::Alarm { session: self.session.id(), text }).await;
        }
        if matches!(effect, Effect::Apply { .. }) {
            self.counters = self.shared.doors.counters(self.session.id()).or(self.counters.take());
        }
        if matches!(effect, Effect::Undo { .. }) {
            self.drain_door().await;
        }
        self.note_refusal(&done.fact).await;
        self.advance_by_itself(vec![done.fact]).await;
    }

    /// Advances without anybody to answer to: what fails is tried again later.
    async fn advance_by_itself(&mut self, facts: Vec<Fact>) {
        if let Err(report) = self.advance(facts, &Who::engine()).await {
            tracing::warn!(session = %self.session.id(), %report, "the journal cannot be written");
            self.wait_until = Some(self.shared.now() + Span::from_seconds(5));
        }
    }

    /// Takes in facts and all that follows from them: one append, then the effects.
    ///
    /// # Errors
    ///
    /// When the append failed and nothing obliges us to go on without it; nothing has changed then.
    async fn advance(&mut self, facts: Vec<Fact>, who: &Who) -> Result<(), Report> {
        let now = self.shared.now();
        let mut session = self.session.clone();
        let mut entries = vec![];
        let learned = facts.iter().any(chronicle::is_news_of_the_world);
        for fact in facts {
            let entry = Entry { at: now, fact };
            // Only a look can come too late to matter: its step has moved on meanwhile.
            match session.evolve(&entry) {
                Ok(()) => entries.push(entry),
                Err(error) => tracing::debug!(%error, "a late answer is dropped"),
            }
        }
        let turn = session.turn(now);
        entries.extend(turn.entries);
        let mut after = turn.session;
        let mut effects = turn.effects;
        self.wait_until = turn.wait_until;
        let unsaved = !self.backlog.is_empty() || !self.backlog_audit.is_empty();
        if !entries.is_empty() || unsaved {
            let drafts = chronicle::drafts(&self.shared, &self.session, &entries, who);
            if let Err(report) = self.append(&entries, drafts.clone(), &after).await {
                if after.ending().is_none() && !learned {
                    return self.stop_opening(report, !entries.is_empty()).await;
                }
                self.backlog.extend(entries);
                self.backlog_audit.extend(drafts);
                self.report_journal(Some(report.message.clone())).await;
                if after.ending().is_none() && after.activated_at().is_none() {
                    self.session = after;
                    return Box::pin(self.advance(vec![journal_failed(&report)], who)).await;
                }
                effects = after.next(now).effects;
                // Write first: what was lost is made again once that is durable.
                effects.retain(|effect| after.ending().is_some() || !begins(&after, effect));
                // What ends is shown as it is, though it is not durable yet; the alarm says so.
                let view = Box::new(self.view_of(&after));
                self.tell(Update::Session { view, audit: vec![] }).await;
            }
        }
        std::mem::swap(&mut self.session, &mut after);
        self.give_up_waiting();
        self.launch(effects);
        self.mind_path();
        Ok(())
    }

    /// The journal cannot be written and the next thing would be to open more: end instead, if
    /// anything was begun.
    async fn stop_opening(&mut self, report: Report, had_more_to_do: bool) -> Result<(), Report> {
        let begun = self.durable_entries() > 0;
        if begun && had_more_to_do && self.session.activated_at().is_none() {
            return Box::pin(self.advance(vec![journal_failed(&report)], &Who::engine())).await;
        }
        Err(report)
    }

    /// Makes the backlog and `entries` durable, in one batch.
    async fn append(
        &mut self,
        entries: &[Entry],
        drafts: Vec<AuditDraft>,
        after: &Session,
    ) -> Result<(), Report> {
        let had_backlog = !self.backlog.is_empty();
        let first = self.durable_entries();
        let mut all = self.backlog.clone();
        all.extend_from_slice(entries);
        let mut audit = self.backlog_audit.clone();
        audit.extend(drafts);
        let view = Box::new(self.view_of(after));
        let change = SessionChange { view: view.clone(), first, entries: all };
        let wall = crate::clock::wall();
        let batch = Batch { session: Some(change), audit, ..Batch::at(wall) };
        match self.shared.store.append(batch).await {
            Ok(audit) => {
                self.backlog.clear();
                self.backlog_audit.clear();
                if had_backlog {
                    self.report_journal(None).await;
                }
                self.tell(Update::Session { view, audit }).await;
                Ok(())
            }
            Err(error) => Err(store_report(&error)),
        }
    }

    fn durable_entries(&self) -> u64 {
        self.session.entries().saturating_sub(self.backlog.len() as u64)
    }

    fn launch(&mut self, effects: Vec<Effect>) {
        if self.handing_over.is_some() {
            return;
        }
        for effect in effects {
            let busy = self.under_way.iter().any(|(_, other)| other.step() == effect.step());
            if busy {
                continue;
            }
            let (session, shared) = (&self.session, &self.shared);
            let job = Job::new(effect.clone(), session, shared, &self.door_sender, &self.listener);
            if let Some(job) = job {
                let task = self.effects.spawn(job.run(Arc::clone(&self.shared)));
                self.under_way.push((task, effect));
            }
        }
    }

    /// What only waits is not waited for once the session ends. Its outcome is then unknown.
    fn give_up_waiting(&self) {
        if self.session.ending().is_none() {
            return;
        }
        let only_waits = |effect: &Effect| {
            let step = self.session.steps().get(effect.step());
            matches!(effect, Effect::Apply { .. }) && step.is_some_and(|step| step.planned.waits)
        };
        for (task, _) in self.under_way.iter().filter(|(_, effect)| only_waits(effect)) {
            task.abort();
        }
    }

    async fn write_audit(&mut self, drafts: Vec<AuditDraft>) {
        if drafts.is_empty() {
            return;
        }
        let mut audit = std::mem::take(&mut self.backlog_audit);
        audit.extend(drafts);
        let batch = Batch { audit: audit.clone(), ..Batch::at(crate::clock::wall()) };
        match self.shared.store.append(batch).await {
            Ok(audit) => self.tell(Update::Session { view: self.view(), audit }).await,
            Err(error) => {
                self.backlog_audit = chronicle::within(audit, BACKLOG_AUDIT_MAX);
                self.report_journal(Some(store_report(&error).message)).await;
            }
        }
    }

    async fn give_away(mut self) {
        self.advance_by_itself(vec![Fact::HandedOver]).await;
        let parts = self.shared.doors.dismantle(self.session.id()).await;
        self.drain_door().await;
        if !self.backlog.is_empty() {
            // The next engine knows only what is durable: to it this is a restart.
            return;
        }
        if let Some(handing_over) = self.handing_over.take() {
            handing_over.reply.send(parts).ok();
        }
    }

    /// Lets go of what does not answer before a hand-over: the next engine looks what came of it.
    async fn abandon_effects(&mut self) {
        self.effects.abort_all();
        while self.effects.join_next().await.is_some() {}
        let why = "it had not answered when the engine handed over";
        let facts = self.under_way.drain(..).map(|(_, effect)| broken(&effect, why)).collect();
        self.advance_by_itself(facts).await;
    }

    async fn notice(&self, severity: Severity, text: String) {
        let at = self.shared.now();
        let session = Some(self.session.id());
        self.tell(Update::Notice(Notice { severity, text, session, at })).await;
    }

    async fn report_journal(&self, problem: Option<String>) {
        self.tell(Update::Journal { session: self.session.id(), problem }).await;
    }

    async fn tell(&self, update: Update) {
        // A core that is gone takes the process with it; there is nobody else to tell.
        self.updates.send(update).await.ok();
    }

    /// The session as faces see it.
    pub fn view(&self) -> Box<SessionView> {
        Box::new(self.view_of(&self.session))
    }

    fn view_of(&self, session: &Session) -> SessionView {
        let counted = self.counters.as_ref().map(|counters| doors::traffic(counters.read()));
        let mut view = projection::view(session, counted.unwrap_or(self.traffic));
        if session.is_active() {
            view.live.clone_from(&self.live);
        }
        for (step, said) in &self.asides {
            if let Some(step) = view.steps.get_mut(*step).filter(|step| step.detail.is_none()) {
                step.detail = Some(said.clone());
            }
        }
        view
    }
}

/// What an effect leaves that gave no answer: a change with an unknown outcome, a look in vain.
fn broken(effect: &Effect, why: &str) -> Fact {
    let why = why.to_owned();
    match effect {
        Effect::Apply { step, .. } => Fact::OutcomeUnknown { step: *step, why },
        Effect::Look { step, .. } => Fact::LookFailed { step: *step, why },
        Effect::Undo { step, .. } => Fact::UndoSent { step: *step, problem: Some(why) },
    }
}

/// True for an effect that makes something out there.
fn begins(session: &Session, effect: &Effect) -> bool {
    let step = session.steps().get(effect.step());
    let outlives_us = step.is_some_and(|step| step.planned.lives != Lives::InTheEngine);
    outlives_us && matches!(effect, Effect::Apply { .. })
}

fn journal_failed(report: &Report) -> Fact {
    Fact::EndRequested {
        reason: EndReason::ActivationFailed,
        detail: Some(format!("the journal cannot be written: {}", report.message)),
        by: Actor::engine(),
    }
}

const HAND_OVER_PATIENCE: Span = Span::from_seconds(10);
const SAVE_AGAIN: Duration = Duration::from_secs(2);
const TRAFFIC_EVERY: Duration = Duration::from_secs(1);
/// How much of what steps say waits to be shown; more of it is not worth waiting for.
const ASIDES_MAX: usize = 16;
const BACKLOG_AUDIT_MAX: usize = 10_000;

//! What the engine knows, and what it tells those who listen.
//!
//! [`State`] takes in what sessions report and tells faces; it waits for nothing and decides
//! nothing. [`core`](super::core) drives it, [`desk`](super::desk) answers from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::caller::{Caller, Standing};
use super::chronicle;
use super::faces::Faces;
use super::interpreter::{Order, Update};
use super::shared::{Shared, Who};
use crate::domain::account::AccountId;
use crate::domain::audit_event::{AuditDraft, AuditEvent};
use crate::domain::id::SessionId;
use crate::domain::role::Ability;
use crate::domain::text;
use crate::protocol::{
    EngineView, Event, IdentityView, Notice, PolicyView, ProviderView, SessionView, Severity,
    Snapshot, Subscription,
};
use crate::session::EndReason;

/// One session that is not over.
pub(super) struct Live {
    pub view: Option<Box<SessionView>>,
    pub mailbox: mpsc::Sender<Order>,
}

/// What the engine knows of everything, and who listens.
pub(super) struct State {
    pub shared: Arc<Shared>,
    pub sessions: BTreeMap<SessionId, Live>,
    pub tasks: JoinSet<()>,
    pub updates: mpsc::Sender<Update>,
    pub faces: Faces,
    pub ended: VecDeque<Box<SessionView>>,
    pub ended_total: u64,
    pub audit: VecDeque<AuditEvent>,
    pub reasons: Vec<String>,
    pub alarms: BTreeMap<String, Notice>,
    pub shown_providers: Vec<ProviderView>,
    pub wall_offset_millis: i64,
    /// When the last call or face was there.
    pub busy_at: Instant,
}

impl State {
    /// Everything as it stands, and a place among those who listen.
    pub fn subscribe(&mut self, caller: Caller) -> Subscription {
        let events = self.faces.add(caller.clone());
        self.faces_changed();
        Subscription { snapshot: Box::new(self.snapshot(&caller)), events }
    }

    /// Everything that a caller may see; for who is not signed in, next to nothing.
    pub fn snapshot(&self, caller: &Caller) -> Snapshot {
        let live = self.sessions.values().filter_map(|live| live.view.as_deref());
        let all = live.chain(self.ended.iter().map(AsRef::as_ref));
        let mut sessions: Vec<_> = all.filter(|view| caller.sees(view)).cloned().collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.id));
        let (known, all) = (caller.role().is_some(), caller.may(Ability::AllSessions).is_ok());
        let reasons = match (known, all) {
            (false, _) => vec![],
            (true, true) => self.reasons.clone(),
            (true, false) => reasons_in(&sessions),
        };
        let ended = sessions.iter().filter(|session| !session.state.is_live()).count() as u64;
        let rules = self.shared.rules();
        let policy = &rules.policy;
        Snapshot {
            now: self.shared.now(),
            engine: self.engine_view_for(caller),
            identity: self.identity_view(caller),
            providers: if known { self.provider_views() } else { vec![] },
            sessions,
            sessions_ended_total: if all { self.ended_total } else { ended },
            audit: self.audit.iter().filter(|event| caller.sees_event(event)).cloned().collect(),
            reasons,
            policy: PolicyView {
                duration_max: policy.duration_max,
                duration_default: policy.duration_default,
                reason_pattern: policy.reason_pattern.as_ref().map(|it| it.as_str().to_owned()),
                ad_hoc_targets: policy.ad_hoc_targets,
            },
            targets_total: if known { rules.catalogue.targets.len() as u64 } else { 0 },
        }
    }

    /// People, as far as a caller may see them.
    pub fn identity_view(&self, caller: &Caller) -> IdentityView {
        let people = &self.shared.people;
        let mut view = caller.identity(&people.view());
        view.me = match &caller.standing {
            Standing::SignedIn(hash) => people.signed_in_view(hash),
            Standing::Drill | Standing::Nobody { .. } => None,
        };
        view
    }

    /// True where a caller may see the session of this id.
    fn owns(&self, caller: &Caller, id: SessionId) -> bool {
        // Also of one that nothing can be shown of, such as one whose journal is damaged.
        caller.may(Ability::AllSessions).is_ok()
            || self.known(id).is_some_and(|view| caller.sees(view))
    }

    /// Tells every face as much as it may see.
    pub fn tell(&mut self, event: &Event) {
        let mut faces = std::mem::take(&mut self.faces);
        faces.tell(event, |caller, id| self.owns(caller, id));
        self.faces = faces;
    }

    pub fn engine_view(&self) -> EngineView {
        let shared = &self.shared;
        EngineView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            detached: shared.detached,
            started_at: shared.started_at,
            installation: shared.installation.clone(),
            operator: shared.operator.clone(),
            host: shared.host.clone(),
            state_dir: shared.state_dir.clone(),
            drill: shared.drill,
            faces: self.faces.count(),
            wall_offset_millis: self.wall_offset_millis,
            alarms: self.alarms.values().cloned().collect(),
        }
    }

    /// The engine as a caller may see it.
    pub fn engine_view_for(&self, caller: &Caller) -> EngineView {
        caller.engine(&self.engine_view(), |id| self.owns(caller, id))
    }

    pub fn provider_views(&self) -> Vec<ProviderView> {
        let live = self.sessions.values().filter_map(|live| live.view.as_deref());
        self.shared.providers.views(live)
    }

    /// The view of a session that is live, or ended not long ago.
    pub fn known(&self, id: SessionId) -> Option<&SessionView> {
        let live = self.sessions.get(&id).and_then(|live| live.view.as_deref());
        live.or_else(|| self.ended.iter().map(AsRef::as_ref).find(|view| view.id == id))
    }

    /// True while something that has happened is not durable yet.
    pub fn has_unsaved(&self) -> bool {
        self.alarms.keys().any(|key| key.starts_with(JOURNAL))
    }

    pub fn take_update(&mut self, update: Update) {
        match update {
            Update::New { id, mailbox } => {
                self.sessions.insert(id, Live { view: None, mailbox });
            }
            Update::Session { view, audit } => self.session_changed(view, audit),
            Update::Traffic { session, traffic } => {
                if let Some(view) = self.sessions.get_mut(&session).and_then(|it| it.view.as_mut())
                {
                    view.traffic = traffic;
                }
                self.tell(&Event::Traffic { session, traffic });
            }
            Update::Notice(notice) => self.tell(&Event::Notice(notice)),
            Update::Alarm { session, text } => {
                if self.alarm(session.to_string(), text, Some(session)) {
                    self.engine_changed();
                }
            }
            Update::Journal { session, problem } => self.journal_changed(session, problem),
            Update::Audit(events) => self.audit_grew(events),
            Update::Identity => self.identity_changed(),
            Update::SignedOut { hash, why } => self.faces.sign_out(&hash, &why),
            Update::Revoked { account, why } => self.end_sessions_of(account, &why),
            Update::Providers => {
                self.rules_changed();
                self.providers_changed();
            }
            Update::Suspected(id) => self.look_at_providers(move |due| due.id == id),
            Update::Orphans(left) => self.orphans_found(left),
            Update::Finished(id) => {
                if let Some(view) = self.sessions.remove(&id).and_then(|live| live.view) {
                    self.ended_total += 1;
                    self.ended.push_front(view);
                    self.ended.truncate(ENDED_SHOWN as usize);
                }
                self.journal_changed(id, None);
                if self.alarms.remove(&id.to_string()).is_some() {
                    self.engine_changed();
                }
                self.providers_changed();
            }
        }
    }

    /// Raises an alarm while something is left that belongs to no living session.
    fn orphans_found(&mut self, left: usize) {
        let changed = match left {
            0 => self.alarms.remove(ORPHANS).is_some(),
            left => {
                let things = text::counted(left, "thing");
                let text = format!("{things} left that belong to no session: breakglass sweep");
                self.alarm(ORPHANS.to_owned(), text, None)
            }
        };
        if changed {
            self.engine_changed();
        }
    }

    /// Raises an alarm while the configuration is broken.
    pub fn rules_changed(&mut self) {
        let key = "configuration".to_owned();
        let changed = match &self.shared.rules().problem {
            Some(problem) => {
                self.alarm(key, format!("nothing can be opened: {}", problem.message), None)
            }
            None => self.alarms.remove(&key).is_some(),
        };
        if changed {
            self.engine_changed();
        }
    }

    pub fn session_changed(&mut self, view: Box<SessionView>, audit: Vec<AuditEvent>) {
        let is_new = self.sessions.get(&view.id).is_some_and(|live| live.view.is_none());
        if is_new {
            self.reasons.retain(|reason| *reason != view.reason);
            self.reasons.insert(0, view.reason.clone());
            self.reasons.truncate(REASONS_SHOWN as usize);
        }
        if let Some(live) = self.sessions.get_mut(&view.id) {
            live.view = Some(view.clone());
        }
        self.tell(&Event::Session(view));
        self.audit_grew(audit);
        if is_new {
            self.providers_changed();
        }
    }

    pub fn audit_grew(&mut self, events: Vec<AuditEvent>) {
        for event in events {
            self.tell(&Event::Audit(Box::new(event.clone())));
            // Batches of several sessions may be told in another order than they were written.
            let place = self.audit.partition_point(|known| known.seq < event.seq);
            self.audit.insert(place, event);
            if self.audit.len() > AUDIT_SHOWN as usize {
                self.audit.pop_front();
            }
        }
    }

    pub fn journal_changed(&mut self, session: SessionId, problem: Option<String>) {
        let key = format!("{JOURNAL} {session}");
        let changed = match problem {
            Some(problem) => {
                let text = format!(
                    "the journal cannot be written ({problem}); nothing new is opened, ending goes on"
                );
                self.alarm(key, text, Some(session))
            }
            None => {
                // What one session can write, the engine can.
                let general = self.alarms.remove(JOURNAL).is_some();
                self.alarms.remove(&key).is_some() || general
            }
        };
        if changed {
            self.engine_changed();
        }
    }

    /// Raises an alarm that stands until it is taken back; false where it stands already.
    pub fn alarm(&mut self, key: String, text: String, session: Option<SessionId>) -> bool {
        let at = self.shared.now();
        let notice = Notice { severity: Severity::Alarm, text, session, at };
        match self.alarms.get(&key) {
            Some(known) if known.text == notice.text => false,
            _ => {
                self.alarms.insert(key, notice);
                true
            }
        }
    }

    pub fn faces_changed(&mut self) {
        self.faces.sweep();
        self.busy_at = Instant::now();
        self.shared.set_watched(self.faces.count() > 0);
        self.engine_changed();
    }

    pub fn engine_changed(&mut self) {
        let view = Box::new(self.engine_view());
        self.tell(&Event::Engine(view));
    }

    /// Tells everybody of people, each as much as they may see. Who somebody is stands in it too,
    /// so it is made anew for each face.
    pub fn identity_changed(&mut self) {
        let mut faces = std::mem::take(&mut self.faces);
        faces.tell_each(|caller| Event::Identity(Box::new(self.identity_view(caller))));
        self.faces = faces;
    }

    /// Ends every session of an account that may have none any more.
    fn end_sessions_of(&mut self, account: AccountId, why: &str) {
        let theirs = |view: &SessionView| {
            view.operator.account.as_ref().is_some_and(|known| known.id == account)
        };
        let sessions = self.sessions.values();
        for live in sessions.filter(|live| live.view.as_deref().is_some_and(theirs)) {
            let (mailbox, detail) = (live.mailbox.clone(), why.to_owned());
            self.tasks.spawn(async move {
                let order = Order::End {
                    reason: EndReason::EndedByAdmin,
                    detail: Some(detail),
                    who: Who::engine(),
                    reply: None,
                };
                // A session that is over meanwhile has ended.
                mailbox.send(order).await.ok();
            });
        }
    }

    pub fn providers_changed(&mut self) {
        let views = self.provider_views();
        if views != self.shown_providers {
            self.shown_providers.clone_from(&views);
            self.tell(&Event::Providers(views));
        }
    }

    /// An event of the drill as a whole; none where this is no drill.
    pub fn drill_draft(&self, kind: &str, what: &str) -> Vec<AuditDraft> {
        let draft = || chronicle::plain(&self.shared, kind, what, &Who::engine(), None);
        self.shared.drill.then(draft).into_iter().collect()
    }
}

/// The newest reasons among sessions, each once.
fn reasons_in(sessions: &[SessionView]) -> Vec<String> {
    let mut reasons: Vec<String> = vec![];
    for session in sessions {
        if reasons.len() < REASONS_SHOWN as usize && !reasons.contains(&session.reason) {
            reasons.push(session.reason.clone());
        }
    }
    reasons
}

/// How many ended sessions, audit events and reasons faces get at once.
pub(super) const ENDED_SHOWN: u32 = 200;
pub(super) const AUDIT_SHOWN: u32 = 200;
pub(super) const REASONS_SHOWN: u32 = 5;
/// What the keys of alarms about the journal begin with.
pub(super) const JOURNAL: &str = "journal";
const ORPHANS: &str = "orphans";

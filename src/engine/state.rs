//! What the engine knows, and what it tells those who listen.
//!
//! [`State`] takes in what sessions report and tells faces; it waits for nothing and decides
//! nothing. [`core`](super::core) drives it, [`desk`](super::desk) answers from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::chronicle;
use super::faces::Faces;
use super::interpreter::{Order, Update};
use super::shared::{Shared, Who};
use crate::domain::audit_event::{AuditDraft, AuditEvent};
use crate::domain::id::SessionId;
use crate::protocol::{
    EngineView, Event, Notice, PolicyView, ProviderView, SessionView, Severity, Snapshot,
    Subscription,
};

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
    pub fn subscribe(&mut self) -> Subscription {
        let events = self.faces.add();
        self.faces_changed();
        Subscription { snapshot: Box::new(self.snapshot()), events }
    }

    pub fn snapshot(&self) -> Snapshot {
        let live = self.sessions.values().filter_map(|live| live.view.as_deref());
        let mut sessions: Vec<_> =
            live.chain(self.ended.iter().map(AsRef::as_ref)).cloned().collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.id));
        let rules = self.shared.rules();
        let policy = &rules.policy;
        Snapshot {
            now: self.shared.now(),
            engine: self.engine_view(),
            identity: crate::protocol::IdentityView::of_drill(),
            providers: self.provider_views(),
            sessions,
            sessions_ended_total: self.ended_total,
            audit: self.audit.iter().cloned().collect(),
            reasons: self.reasons.clone(),
            policy: PolicyView {
                duration_max: policy.duration_max,
                duration_default: policy.duration_default,
                reason_pattern: policy.reason_pattern.as_ref().map(|it| it.as_str().to_owned()),
                ad_hoc_targets: policy.ad_hoc_targets,
            },
            targets_total: rules.catalogue.targets.len() as u64,
        }
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
                self.faces.tell(&Event::Traffic { session, traffic });
            }
            Update::Notice(notice) => self.faces.tell(&Event::Notice(notice)),
            Update::Alarm { session, text } => {
                if self.alarm(session.to_string(), text, Some(session)) {
                    self.engine_changed();
                }
            }
            Update::Journal { session, problem } => self.journal_changed(session, problem),
            Update::Audit(events) => self.audit_grew(events),
            Update::Providers => {
                self.rules_changed();
                self.providers_changed();
            }
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
        self.faces.tell(&Event::Session(view));
        self.audit_grew(audit);
        if is_new {
            self.providers_changed();
        }
    }

    pub fn audit_grew(&mut self, events: Vec<AuditEvent>) {
        for event in events {
            self.faces.tell(&Event::Audit(Box::new(event.clone())));
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
        self.faces.tell(&Event::Engine(view));
    }

    pub fn providers_changed(&mut self) {
        let views = self.provider_views();
        if views != self.shown_providers {
            self.shown_providers.clone_from(&views);
            self.faces.tell(&Event::Providers(views));
        }
    }

    /// An event of the drill as a whole; none where this is no drill.
    pub fn drill_draft(&self, kind: &str, what: &str) -> Vec<AuditDraft> {
        let draft = || chronicle::plain(&self.shared, kind, what, &Who::engine(), None);
        self.shared.drill.then(draft).into_iter().collect()
    }
}

/// How many ended sessions, audit events and reasons faces get at once.
pub(super) const ENDED_SHOWN: u32 = 200;
pub(super) const AUDIT_SHOWN: u32 = 200;
pub(super) const REASONS_SHOWN: u32 = 5;
/// What the keys of alarms about the journal begin with.
pub(super) const JOURNAL: &str = "journal";

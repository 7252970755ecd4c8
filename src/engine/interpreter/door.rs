//! What the endpoint of a session tells: connections, strangers, bytes.

use super::{Interpreter, Update};
use crate::domain::audit_event::{Actor, AuditDraft};
use crate::engine::strangers::Refused;
use crate::engine::{chronicle, doors};
use crate::forward::ForwardEvent;
use crate::protocol::Severity;
use crate::session::{EndReason, Fact};

impl Interpreter {
    pub(super) async fn take_door_events(&mut self, first: ForwardEvent) {
        let mut events = vec![first];
        while events.len() < DOOR_EVENTS_AT_ONCE {
            match self.door_events.try_recv() {
                Ok(event) => events.push(event),
                Err(_) => break,
            }
        }
        let now = self.shared.now();
        let mut idle = false;
        for event in &events {
            match event {
                ForwardEvent::Idle => idle = true,
                ForwardEvent::Refused { peer, uid, why } => {
                    self.strangers.count(*uid, why.to_string(), peer.to_string(), now);
                }
                other => {
                    if let Some((severity, text)) = chronicle::notice(other) {
                        self.notice(severity, text).await;
                    }
                }
            }
        }
        let drafts = chronicle::connection_drafts(&self.shared, &self.session, &events);
        let refused = self.strangers.due(now);
        self.tell_refused(refused, drafts).await;
        self.tell_traffic().await;
        if idle && self.session.is_active() {
            let fact = Fact::EndRequested {
                reason: EndReason::Idle,
                detail: Some("no byte flowed for the idle limit".to_owned()),
                by: Actor::engine(),
            };
            self.advance_by_itself(vec![fact]).await;
        }
    }

    /// Takes in everything that the endpoint has told so far: it is closed or taken apart, and
    /// tells no more.
    pub(super) async fn drain_door(&mut self) {
        while let Ok(event) = self.door_events.try_recv() {
            Box::pin(self.take_door_events(event)).await;
        }
        let refused = self.strangers.rest(self.shared.now());
        let dropped = self.counters.as_ref().map_or(0, |counters| counters.read().events_dropped);
        let lost = dropped.saturating_sub(std::mem::replace(&mut self.events_dropped, dropped));
        let lost = (lost > 0).then(|| chronicle::lost_events(&self.shared, &self.session, lost));
        self.tell_refused(refused, lost.into_iter().collect()).await;
    }

    pub(super) async fn tell_refused(
        &mut self,
        refused: Vec<Refused>,
        mut drafts: Vec<AuditDraft>,
    ) {
        for some in &refused {
            self.notice(Severity::Warning, chronicle::refused_notice(some)).await;
        }
        drafts.extend(
            refused.iter().map(|some| chronicle::refused(&self.shared, &self.session, some)),
        );
        self.write_audit(drafts).await;
    }

    pub(super) async fn tell_traffic(&mut self) {
        let Some(counters) = &self.counters else { return };
        let traffic = doors::traffic(counters.read());
        if traffic != self.traffic {
            self.traffic = traffic;
            self.tell(Update::Traffic { session: self.session.id(), traffic }).await;
        }
    }

    /// Takes over an endpoint that was resumed before the session's task began.
    pub fn watch_door(&mut self) {
        self.counters = self.shared.doors.counters(self.session.id());
    }
}

const DOOR_EVENTS_AT_ONCE: usize = 512;

//! The disk is full, a provider breaks down: opening stops, ending goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::id::ProviderId;
use breakglass::domain::probe::Probe;
use breakglass::domain::provider::{Health, ProviderKind, Validation};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{Command, Event, SessionState, StepProgress};
use breakglass::provider::{DialError, Dialed, Made, Order, Provider, ProviderError, StepCall};
use breakglass::session::{Applied, Carrier, Lives, Looked, PlannedStep, Undone};

use crate::support::rig::{EchoTarget, Rig, connect, echo, open_active, request, session, until};

#[tokio::test]
async fn without_a_journal_nothing_is_opened() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    rig.store.set_full(true);
    let report = engine.handle.call(Command::Open(request(&target.address))).await.unwrap_err();
    insta::assert_snapshot!(report, @r"
    unavailable: no space is left for `memory`
      hint: free some space; sessions end as they should meanwhile
    ");
    let faces = engine.handle.subscribe().await.unwrap();
    assert_eq!(faces.snapshot.sessions, []);
}

#[tokio::test]
async fn without_a_journal_a_session_ends_all_the_same_and_the_journal_is_made_up_later() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let view = open_active(&engine, &target.address).await;
    echo(&mut connect(&view).await, "x").await;
    rig.store.set_full(true);
    let mut faces = engine.handle.subscribe().await.unwrap();
    engine.handle.call(Command::End { session: view.id, reason: None }).await.unwrap();
    loop {
        if let Event::Engine(engine) = faces.events.recv().await.unwrap()
            && engine.alarms.iter().any(|alarm| alarm.text.contains("cannot be written"))
        {
            break;
        }
    }
    let port = view.endpoint.clone().unwrap().to_string();
    while tokio::net::TcpStream::connect(&port).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let ended = until(&mut faces, view.id, SessionState::Ended).await;
    assert_eq!(ended.end_reason.as_deref(), Some("ended-by-operator"));
    assert!(!rig.store.audit_kinds().contains(&"session.ended".to_owned()), "not written yet");
    let report = engine.handle.call(Command::Stop).await.unwrap_err();
    assert_eq!(report.message, "the engine stays: what has ended is not written down yet");
    rig.store.set_full(false);
    loop {
        if let Event::Audit(event) = faces.events.recv().await.unwrap()
            && event.event.kind == "session.ended"
        {
            break;
        }
    }
}

/// A provider with one step, which breaks down when it is asked to do something.
struct Breaks {
    id: ProviderId,
    there: AtomicBool,
}

#[async_trait]
impl Provider for Breaks {
    fn id(&self) -> &ProviderId {
        &self.id
    }
    fn kind(&self) -> ProviderKind {
        ProviderKind::Simulated
    }
    fn label(&self) -> String {
        "Breaks".into()
    }
    fn about(&self) -> String {
        "breaks down".into()
    }
    fn keep(&self) -> Option<String> {
        None
    }
    fn plan(&self, _: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        Ok(vec![PlannedStep {
            label: "make a thing".into(),
            carrier: Carrier::Provider(self.id.clone()),
            action: serde_json::Value::Null,
            leaves: Some("thing".into()),
            expires: None,
            lives: Lives::InTheWorld,
            remade: false,
            waits: false,
            needs: vec![],
            undo_after: None,
            settle: Span::ZERO,
            timeout: Span::from_seconds(5),
            by_hand: vec![],
            in_words: None,
        }])
    }
    async fn apply(&self, _: StepCall<'_>) -> Applied {
        self.there.store(true, Ordering::SeqCst);
        panic!("a bug in an adapter");
    }
    async fn look(&self, _: StepCall<'_>) -> Looked {
        let details = serde_json::Value::Null;
        if self.there.load(Ordering::SeqCst) {
            Looked::Found(Artifact { kind: "thing".into(), name: "a\u{1b}".into(), details })
        } else {
            Looked::Absent
        }
    }
    async fn undo(&self, _: StepCall<'_>) -> Undone {
        self.there.store(false, Ordering::SeqCst);
        Undone::Sent
    }
    async fn dial(&self, _: &[Made]) -> Result<Dialed, DialError> {
        Err(DialError::Refused { address: "nowhere".into() })
    }
    async fn check(&self) -> Health {
        Health::Healthy
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        Validation { probe: Probe { at: now, checks: vec![] }, key_expires_at: None }
    }

    fn audience(&self, _: &Order) -> Vec<String> {
        vec![]
    }
}

#[tokio::test]
async fn a_provider_that_panics_leaves_an_unknown_outcome_which_is_looked_up() {
    let provider: Arc<dyn Provider> =
        Arc::new(Breaks { id: "breaks".parse().unwrap(), there: AtomicBool::new(false) });
    let (rig, target) = (Rig::with(vec![provider]), EchoTarget::start().await);
    let engine = rig.start().await;
    let mut faces = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(&target.address))).await);
    let active = until(&mut faces, opened.id, SessionState::Active).await;
    assert_eq!(active.steps[0].progress, StepProgress::Applied, "found by the look");
    engine.handle.call(Command::End { session: opened.id, reason: None }).await.unwrap();
    let ended = until(&mut faces, opened.id, SessionState::Ended).await;
    assert_eq!(ended.receipt[0].artifact, "thing a<1B>");
    assert!(ended.receipt.iter().all(|line| line.gone_at.is_some()));
    assert!(rig.store.audit_kinds().contains(&"session.step.unknown".to_owned()));
}

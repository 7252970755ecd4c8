//! An Active session loses its path: it is made again under the open endpoint, or the session ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::id::ProviderId;
use breakglass::domain::probe::Probe;
use breakglass::domain::provider::{Health, ProviderKind, Validation};
use breakglass::domain::target::Address;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::engine::Parcel;
use breakglass::protocol::{Command, Event, SessionState, Severity, StepProgress};
use breakglass::provider::{
    DialError, Dialed, Lost, Made, Order, Provider, ProviderError, StepCall, Told,
};
use breakglass::session::{Applied, Carrier, Lives, Looked, PlannedStep, Undone};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::support::rig::{EchoTarget, Rig, connect, echo, request, session, until, until_view};

/// A line that can be cut. Each time that it is made it has another name.
struct Line {
    id: ProviderId,
    target: Address,
    remade: bool,
    there: AtomicBool,
    made: AtomicU32,
    refusals: AtomicU32,
    cut: Notify,
    watches: AtomicU32,
    trouble: AtomicBool,
    unreachable: AtomicBool,
}

impl Line {
    fn to(target: &EchoTarget, remade: bool) -> Arc<Self> {
        Arc::new(Self {
            id: "line".parse().unwrap(),
            target: target.address.clone(),
            remade,
            there: AtomicBool::default(),
            made: AtomicU32::default(),
            refusals: AtomicU32::default(),
            cut: Notify::new(),
            watches: AtomicU32::default(),
            trouble: AtomicBool::default(),
            unreachable: AtomicBool::default(),
        })
    }

    /// Cuts the line; that many times it cannot be made again.
    fn cut(&self, refusals: u32) {
        self.refusals.store(refusals, Ordering::SeqCst);
        self.there.store(false, Ordering::SeqCst);
        self.cut.notify_one();
    }

    /// Waits until the line was watched that often.
    async fn watched(&self, times: u32) {
        while self.watches.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }

    fn artifact(&self) -> Artifact {
        let (kind, details) = ("line".to_owned(), serde_json::Value::Null);
        Artifact { kind, name: format!("line-{}", self.made.load(Ordering::SeqCst)), details }
    }
}

#[async_trait]
impl Provider for Line {
    fn id(&self) -> &ProviderId {
        &self.id
    }
    fn kind(&self) -> ProviderKind {
        ProviderKind::Simulated
    }
    fn label(&self) -> String {
        "Line".into()
    }
    fn about(&self) -> String {
        "a line".into()
    }
    fn keep(&self) -> Option<String> {
        None
    }
    fn plan(&self, _: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        Ok(vec![PlannedStep {
            label: "lay a line".into(),
            carrier: Carrier::Provider(self.id.clone()),
            action: serde_json::Value::Null,
            leaves: Some("line".into()),
            expires: None,
            lives: Lives::InTheWorld,
            remade: self.remade,
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
        let refused = self
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if refused.is_ok() {
            return Applied::Refused("no carrier".into());
        }
        self.made.fetch_add(1, Ordering::SeqCst);
        self.there.store(true, Ordering::SeqCst);
        Applied::Applied(Some(self.artifact()))
    }
    async fn look(&self, _: StepCall<'_>) -> Looked {
        let there = self.there.load(Ordering::SeqCst);
        if there { Looked::Found(self.artifact()) } else { Looked::Absent }
    }
    async fn undo(&self, _: StepCall<'_>) -> Undone {
        self.there.store(false, Ordering::SeqCst);
        Undone::Sent
    }
    async fn dial(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        let known = steps[0].artifact == Some(self.artifact());
        if !known || !self.there.load(Ordering::SeqCst) {
            return Err(DialError::Refused { address: "the line".into() });
        }
        let stream = TcpStream::connect(self.target.to_string()).await;
        stream.map(Dialed::Tcp).map_err(|_| DialError::Refused { address: "the target".into() })
    }
    async fn check(&self) -> Health {
        if self.unreachable.load(Ordering::SeqCst) {
            return Health::Down { why: "no route".into() };
        }
        Health::Healthy
    }
    async fn validate(&self, now: Timestamp) -> Validation {
        Validation { probe: Probe { at: now, checks: vec![] }, key_expires_at: None }
    }
    async fn watch(&self, steps: &[Made], trouble: mpsc::Sender<Told>) -> Lost {
        self.watches.fetch_add(1, Ordering::SeqCst);
        if self.trouble.load(Ordering::SeqCst) {
            for text in ["noise\u{1b}", "noise\u{1b}", "silence"] {
                trouble.send(Told::Trouble(text.into())).await.unwrap();
            }
        }
        self.cut.notified().await;
        Lost { step: steps[0].index, why: "the line was cut\u{1b}".into() }
    }
    fn audience(&self, _: &Order) -> Vec<String> {
        vec!["whoever is in the cellar".into()]
    }
}

fn rig(line: &Arc<Line>) -> Rig {
    Rig::with(vec![Arc::clone(line) as Arc<dyn Provider>])
}

#[tokio::test]
async fn a_lost_path_is_made_again_under_the_open_endpoint() {
    let target = EchoTarget::start().await;
    let line = Line::to(&target, true);
    let rig = rig(&line);
    let engine = rig.start().await;
    let mut faces = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(&target.address))).await);
    let active = until(&mut faces, opened.id, SessionState::Active).await;
    assert_eq!(active.audience, ["whoever is in the cellar"]);
    echo(&mut connect(&active).await, "before").await;

    line.cut(1);
    let lost = until_view(&mut faces, opened.id, |view| view.path_lost.is_some()).await;
    insta::assert_snapshot!(
        lost.path_lost.unwrap(),
        @"line lost: the line was cut<1B>; being made again, try 1"
    );
    assert_eq!((lost.state, &lost.endpoint), (SessionState::Active, &active.endpoint));
    assert_eq!(lost.steps[0].progress, StepProgress::Applying);
    assert_eq!(lost.steps[0].detail.as_deref(), Some("the line was cut<1B>"));
    let again = "line lost: no carrier; being made again, try 2";
    until_view(&mut faces, opened.id, |view| view.path_lost.as_deref() == Some(again)).await;
    let back = until_view(&mut faces, opened.id, |view| view.path_lost.is_none()).await;
    let losses = back.path_losses.iter();
    assert_eq!(losses.filter(|loss| loss.back_at >= Some(loss.lost_at)).count(), 1);
    assert_eq!((back.state, &back.endpoint), (SessionState::Active, &active.endpoint));
    echo(&mut connect(&back).await, "after").await;

    let kinds = rig.store.audit_kinds();
    let count = |kind: &str| kinds.iter().filter(|it| *it == kind).count();
    assert_eq!((count("session.step.lost"), count("session.step.applied")), (1, 3));
    assert_eq!(count("session.step.moved"), 0, "another name is no other port");
    let providers = engine.handle.subscribe().await.unwrap().snapshot.providers;
    let errors: Vec<_> = providers[0].errors.iter().map(|error| error.text.as_str()).collect();
    assert_eq!(errors, ["lay a line: no carrier", "path lost: the line was cut<1B>"]);
    engine.handle.call(Command::End { session: opened.id, reason: None }).await.unwrap();
    let ended = until(&mut faces, opened.id, SessionState::Ended).await;
    assert_eq!(ended.receipt.len(), 2, "a line a step");
    assert!(!line.there.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_provider_whose_path_was_lost_is_looked_at_at_once() {
    let target = EchoTarget::start().await;
    let line = Line::to(&target, true);
    let rig = rig(&line);
    let engine = rig.start().await;
    let mut faces = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(&target.address))).await);
    until(&mut faces, opened.id, SessionState::Active).await;
    line.unreachable.store(true, Ordering::SeqCst);
    line.cut(u32::MAX);
    let mut seen = vec![];
    loop {
        let Event::Providers(views) = faces.events.recv().await.unwrap() else { continue };
        seen.push(views[0].health.clone());
        if let Some(Health::Down { why }) = seen.last() {
            assert_eq!(why, "no route");
            break;
        }
    }
    let suspected = Health::Degraded { why: "path lost: the line was cut<1B>".into() };
    assert!(seen.contains(&suspected), "{seen:?}");
}

#[tokio::test]
async fn a_lost_path_that_is_not_made_again_ends_the_session() {
    let target = EchoTarget::start().await;
    let line = Line::to(&target, false);
    let rig = rig(&line);
    let engine = rig.start().await;
    let mut faces = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(&target.address))).await);
    until(&mut faces, opened.id, SessionState::Active).await;
    line.cut(0);
    let ended = until(&mut faces, opened.id, SessionState::Ended).await;
    assert_eq!(ended.end_reason.as_deref(), Some("provider-lost"));
    assert_eq!(ended.end_detail.as_deref(), Some("lay a line: the line was cut<1B>"));
    assert!(ended.receipt.iter().all(|line| line.gone_at.is_some()));
}

#[tokio::test]
async fn after_a_hand_over_the_path_is_watched_by_the_next_engine() {
    let target = EchoTarget::start().await;
    let line = Line::to(&target, true);
    let rig = rig(&line);
    let mut first = rig.start().await;
    let mut faces = first.handle.subscribe().await.unwrap();
    let opened = session(first.handle.call(Command::Open(request(&target.address))).await);
    until(&mut faces, opened.id, SessionState::Active).await;
    line.watched(1).await;
    let parcel: Parcel = first.control.hand_over().await.unwrap();
    first.finished().await;

    let second = rig.start_with(parcel).await;
    let mut faces = second.handle.subscribe().await.unwrap();
    line.watched(2).await;
    line.cut(0);
    let lost = until_view(&mut faces, opened.id, |view| view.path_lost.is_some()).await;
    assert_eq!(lost.state, SessionState::Active);
    let mut view = lost;
    while view.path_lost.is_some() {
        let Event::Session(next) = faces.events.recv().await.unwrap() else { continue };
        view = *next;
    }
    echo(&mut connect(&view).await, "after").await;
}

#[tokio::test]
async fn trouble_on_the_path_is_told_once_and_kept_with_the_provider() {
    let target = EchoTarget::start().await;
    let line = Line::to(&target, true);
    line.trouble.store(true, Ordering::SeqCst);
    let engine = rig(&line).start().await;
    let mut faces = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(&target.address))).await);
    let mut told = vec![];
    while told.last().is_none_or(|text| text != "silence") {
        if let Event::Notice(notice) = faces.events.recv().await.unwrap() {
            assert_eq!((notice.severity, notice.session), (Severity::Warning, Some(opened.id)));
            told.push(notice.text);
        }
    }
    assert_eq!(told, ["noise<1B>", "silence"]);
    // The core tells of it once it has taken it in; a new face may be faster.
    loop {
        let providers = engine.handle.subscribe().await.unwrap().snapshot.providers;
        if providers[0].errors.len() == 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

//! A step that is under way says what it waits for, and faces see it until it is done.

use std::sync::Arc;

use async_trait::async_trait;
use breakglass::domain::id::ProviderId;
use breakglass::domain::probe::Probe;
use breakglass::domain::provider::{Health, ProviderKind, Validation};
use breakglass::domain::request::OpenRequest;
use breakglass::domain::target::Address;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{Command, SessionState, StepProgress};
use breakglass::provider::{DialError, Dialed, Made, Order, Provider, ProviderError, StepCall};
use breakglass::session::{Applied, Carrier, Lives, Looked, PlannedStep, Undone};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::rig::{EchoTarget, Rig, request, session, until, until_view};

/// A place where one has to wait for one's turn.
struct Office {
    id: ProviderId,
    target: Address,
    turn: Notify,
    /// What opening changes in a file of others.
    changes: Vec<String>,
}

impl Office {
    fn at(target: &Address, changes: Vec<String>) -> Self {
        let (id, target) = ("line".parse().unwrap(), target.clone());
        Self { id, target, turn: Notify::new(), changes }
    }
}

#[async_trait]
impl Provider for Office {
    fn id(&self) -> &ProviderId {
        &self.id
    }
    fn kind(&self) -> ProviderKind {
        ProviderKind::Simulated
    }
    fn label(&self) -> String {
        "Office".into()
    }
    fn about(&self) -> String {
        "an office".into()
    }
    fn keep(&self) -> Option<String> {
        None
    }
    fn plan(&self, _: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        Ok(vec![PlannedStep {
            label: "take a number".into(),
            carrier: Carrier::Provider(self.id.clone()),
            action: serde_json::Value::Null,
            leaves: None,
            expires: None,
            lives: Lives::InTheWorld,
            remade: false,
            waits: false,
            needs: vec![],
            undo_after: None,
            settle: Span::ZERO,
            timeout: Span::from_seconds(60),
            by_hand: vec![],
            in_words: None,
        }])
    }
    async fn changes(&self, _: &Order) -> Result<Vec<String>, String> {
        Ok(self.changes.clone())
    }
    async fn apply(&self, call: StepCall<'_>) -> Applied {
        call.says.say("waits 34 s: 12 are before it\u{1b}[31m");
        self.turn.notified().await;
        Applied::Applied(None)
    }
    async fn look(&self, _: StepCall<'_>) -> Looked {
        Looked::Absent
    }
    async fn undo(&self, _: StepCall<'_>) -> Undone {
        Undone::Sent
    }
    async fn dial(&self, _: &[Made]) -> Result<Dialed, DialError> {
        let stream = TcpStream::connect(self.target.to_string()).await;
        stream.map(Dialed::Tcp).map_err(|_| DialError::Refused { address: "it".into() })
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
async fn what_a_step_waits_for_is_shown_while_it_waits() {
    let target = EchoTarget::start().await;
    let office = Arc::new(Office::at(&target.address, vec![]));
    let rig = Rig::with(vec![Arc::clone(&office) as Arc<dyn Provider>]);
    let engine = rig.start().await;
    let mut faces = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(&target.address))).await);
    let waits = until_view(&mut faces, opened.id, |view| {
        view.steps[0].progress == StepProgress::Applying && view.steps[0].detail.is_some()
    });
    let waits = waits.await;
    insta::assert_snapshot!(
        waits.steps[0].detail.clone().unwrap(),
        @"waits 34 s: 12 are before it<1B>[31m"
    );
    office.turn.notify_one();
    let active = until(&mut faces, opened.id, SessionState::Active).await;
    assert_eq!(active.steps[0].detail, None);
}

#[tokio::test]
async fn a_change_of_a_shared_file_is_asked_for_first_and_stands_in_the_audit_with_who_agreed() {
    let target = EchoTarget::start().await;
    let change = vec!["@@ -1 +1,2 @@".to_owned(), "+  \"a line\"".to_owned()];
    let rig = Rig::with(vec![Arc::new(Office::at(&target.address, change))]);
    let engine = rig.start().await;
    let refused = engine.handle.call(Command::Open(request(&target.address))).await.unwrap_err();
    insta::assert_snapshot!(refused, @r#"
    denied: opening changes the shared policy file of `line`
      because: @@ -1 +1,2 @@
      because: +  "a line"
      hint: to agree, open it again just so; on the command line with --agree
    "#);
    let agreed = OpenRequest { agreed: true, ..request(&target.address) };
    session(engine.handle.call(Command::Open(agreed)).await);
    let events = rig.store.events();
    let asked = events.iter().find(|it| it.event.kind == "session.requested").unwrap();
    let said = &asked.event.description;
    assert!(said.ends_with("; the change of the policy file of line was agreed to"), "{said}");
    let said = asked.event.metadata.clone().unwrap()["agreed"].to_string();
    insta::assert_snapshot!(said, @r#"{"by":"ana@example.com","change":["@@ -1 +1,2 @@","+  \"a line\""],"left_out":0}"#);
}

#[tokio::test]
async fn of_a_change_without_end_the_audit_keeps_a_part_and_says_how_much_is_missing() {
    let target = EchoTarget::start().await;
    let change = vec!["+".repeat(300); 1_000];
    let rig = Rig::with(vec![Arc::new(Office::at(&target.address, change))]);
    let engine = rig.start().await;
    let agreed = OpenRequest { agreed: true, ..request(&target.address) };
    session(engine.handle.call(Command::Open(agreed)).await);
    let events = rig.store.events();
    let asked = events.iter().find(|it| it.event.kind == "session.requested").unwrap();
    let said = asked.event.metadata.clone().unwrap()["agreed"].clone();
    let kept = said["change"].as_array().unwrap().len();
    assert_eq!((kept, said["left_out"].as_u64()), (54, Some(946)));
}

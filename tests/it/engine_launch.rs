//! A session whose path needs something started in its site: by a real launcher, with a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use breakglass::domain::id::ProviderId;
use breakglass::domain::launcher::{CommandLauncher, Launch, LaunchSpec, LauncherSettings};
use breakglass::domain::probe::Probe;
use breakglass::domain::provider::{Health, ProviderKind, Validation};
use breakglass::domain::secret::Secret;
use breakglass::domain::target::Address;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::engine::Running;
use breakglass::protocol::{Command, SessionState, SessionView};
use breakglass::provider::direct::connect;
use breakglass::provider::{DialError, Dialed, Made, Order, Provider, ProviderError, StepCall};
use breakglass::session::{Applied, Carrier, Lives, Looked, PlannedStep, Undone};

use crate::support::launching::{CANARY, Place};
use crate::support::rig::{
    EchoTarget, Rig, connect as to_endpoint, echo, open_active, request, session, until,
};

/// At this port a router never answers.
const MUTE: u16 = 7;

/// A provider whose path needs a router in the site.
struct Routed {
    id: ProviderId,
    launcher: LauncherSettings,
}

#[async_trait]
impl Provider for Routed {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Simulated
    }

    fn label(&self) -> String {
        "routed".to_owned()
    }

    fn about(&self) -> String {
        "a router in the site".to_owned()
    }

    fn keep(&self) -> Option<String> {
        None
    }

    fn plan(&self, order: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        let spec = LaunchSpec {
            what: "router".to_owned(),
            marker: order.marker.clone(),
            program: vec!["router".to_owned()],
            image: "example/router:1".to_owned(),
            arguments: vec![],
            environment: BTreeMap::new(),
            secrets: vec!["KEY".to_owned()],
            scratch: vec![],
            ends_at: order.needed_until,
        };
        let launch = Launch { launcher: self.launcher.clone(), spec };
        let start = PlannedStep {
            label: "start a router in the site".to_owned(),
            carrier: Carrier::Launcher,
            action: serde_json::to_value(launch).unwrap(),
            leaves: Some("router".to_owned()),
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
        };
        let is_mute = order.target.address.port() == MUTE;
        let check = PlannedStep {
            label: "check that the router serves".to_owned(),
            carrier: Carrier::Provider(self.id.clone()),
            action: serde_json::to_value(&order.target.address).unwrap(),
            leaves: None,
            needs: vec![0],
            timeout: if is_mute { Span::from_seconds(1) } else { start.timeout },
            ..start.clone()
        };
        Ok(vec![start, check])
    }

    async fn apply(&self, call: StepCall<'_>) -> Applied {
        if address(&call.step.action).port() == MUTE {
            call.says.say("the router has not answered yet");
            return std::future::pending().await;
        }
        match connect(&address(&call.step.action), &[], Span::from_seconds(5)).await {
            Ok(_) => Applied::Applied(None),
            Err(error) => Applied::Refused(error.to_string()),
        }
    }

    async fn look(&self, _: StepCall<'_>) -> Looked {
        Looked::Absent
    }

    async fn undo(&self, _: StepCall<'_>) -> Undone {
        Undone::Sent
    }

    async fn dial(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        let to = address(&steps[1].step.action);
        connect(&to, &[], Span::from_seconds(5)).await.map(Dialed::Tcp)
    }

    async fn check(&self) -> Health {
        Health::Healthy
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        Validation { probe: Probe { at: now, checks: vec![] }, key_expires_at: None }
    }

    async fn secrets(&self, _: StepCall<'_>) -> Result<BTreeMap<String, Secret>, String> {
        Ok([("KEY".to_owned(), Secret::new(CANARY))].into())
    }

    fn audience(&self, _: &Order) -> Vec<String> {
        vec![]
    }
}

fn address(action: &serde_json::Value) -> Address {
    serde_json::from_value(action.clone()).unwrap()
}

/// Commands that keep what runs as a file, and its secret in another one.
pub fn commands(place: &Place) -> LauncherSettings {
    let words = |name: &str, text: &str| vec![place.script(name, text)];
    LauncherSettings::Command(CommandLauncher {
        start: words(
            "start",
            "cat >\"$STATE/given\"; touch \"$STATE/run-$BREAKGLASS_NAME\"; echo \"$BREAKGLASS_NAME\"",
        ),
        stop: words("stop", "rm -f \"$STATE/run-$BREAKGLASS_NAME\""),
        look: words("look", "[ -e \"$STATE/run-$BREAKGLASS_NAME\" ] || exit 3"),
        logs: Some(words("logs", "echo 'the key was refused'")),
        list: Some(words("list", "cd \"$STATE\" && ls | sed -n 's/^run-//p'")),
    })
}

async fn house(place: &Place) -> (Rig, Running) {
    let provider = Routed { id: "net".parse().unwrap(), launcher: commands(place) };
    let mut rig = Rig::with(vec![Arc::new(provider)]);
    rig.launcher = Arc::new(place.launchers());
    let engine = rig.start().await;
    (rig, engine)
}

fn runs(place: &Place) -> usize {
    let names = std::fs::read_dir(place.path("")).unwrap();
    names
        .filter(|name| name.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b"run-"))
        .count()
}

async fn end(engine: &Running, view: &SessionView) -> SessionView {
    let mut faces = engine.handle.subscribe().await.unwrap();
    engine.handle.call(Command::End { session: view.id, reason: None }).await.unwrap();
    until(&mut faces, view.id, SessionState::Ended).await
}

#[tokio::test]
async fn what_a_path_needs_is_started_with_its_secret_and_stopped_again() {
    let place = Place::new();
    let (rig, engine) = house(&place).await;
    let target = EchoTarget::start().await;
    let view = open_active(&engine, &target.address).await;
    echo(&mut to_endpoint(&view).await, "hello").await;
    assert_eq!((runs(&place), place.read("given")), (1, format!("KEY={CANARY}\n")));
    let ended = end(&engine, &view).await;
    assert_eq!(runs(&place), 0);
    assert!(
        ended
            .receipt
            .iter()
            .any(|line| line.artifact.starts_with("router") && line.gone_at.is_some())
    );
    let kept = format!("{:?}{ended:?}", rig.store.events());
    assert!(!kept.contains("vole-canary"), "a secret stands in audit or view");
}

#[tokio::test]
async fn what_was_started_outlives_the_engine_and_is_taken_up_by_the_next() {
    let place = Place::new();
    let (rig, engine) = house(&place).await;
    let target = EchoTarget::start().await;
    let view = open_active(&engine, &target.address).await;
    drop(engine);
    let next = rig.start().await;
    let mut faces = next.handle.subscribe().await.unwrap();
    let view =
        crate::support::rig::until_view(&mut faces, view.id, |it| it.endpoint.is_some()).await;
    echo(&mut to_endpoint(&view).await, "still here").await;
    assert_eq!(runs(&place), 1, "nothing is started twice");
    end(&next, &view).await;
    assert_eq!(runs(&place), 0);
}

#[tokio::test]
async fn where_a_path_fails_what_was_started_says_why_and_goes() {
    let place = Place::new();
    let (_rig, engine) = house(&place).await;
    let nobody = crate::support::rig::nobody_there().await;
    let mut faces = engine.handle.subscribe().await.unwrap();
    let asked = session(engine.handle.call(Command::Open(request(&nobody))).await);
    let ended = until(&mut faces, asked.id, SessionState::Ended).await;
    let why = ended.end_detail.unwrap();
    assert!(why.contains("the router says: the key was refused"), "{why}");
    assert_eq!(runs(&place), 0);
}

#[tokio::test]
async fn where_a_path_is_waited_for_in_vain_the_reason_says_for_what_and_what_was_started_says() {
    let place = Place::new();
    let (_rig, engine) = house(&place).await;
    let mute = Address::new("127.0.0.1", MUTE).unwrap();
    let mut faces = engine.handle.subscribe().await.unwrap();
    let asked = session(engine.handle.call(Command::Open(request(&mute))).await);
    let ended = until(&mut faces, asked.id, SessionState::Ended).await;
    insta::assert_snapshot!(ended.end_detail.unwrap(), @"check that the router serves: no answer within 1s; at the end: the router has not answered yet; the router says: the key was refused");
    assert_eq!(runs(&place), 0);
}

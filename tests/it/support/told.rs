//! A provider that does as it is told: which key works, what lies about there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use breakglass::domain::artifact::{Artifact, Marked, Marker};
use breakglass::domain::id::{InstallationId, ProviderId};
use breakglass::domain::probe::{Probe, ProbeCheck};
use breakglass::domain::provider::{
    Health, ProviderKind, ProviderSettings, ProviderSetup, SshSetup, Validation,
};
use breakglass::domain::secret::Secret;
use breakglass::domain::ssh::SshDestination;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::domain::twingate::{CONNECTOR_IMAGE, ClientPath, TwingateSetup};
use breakglass::engine::BuildProviders;
use breakglass::provider::direct::Direct;
use breakglass::provider::{DialError, Dialed, Made, Order, Provider, ProviderError, StepCall};
use breakglass::session::{Applied, Carrier, Looked, PlannedStep, Undone};
use tokio::sync::oneshot;

/// What is so at the other side, whichever provider asks.
#[derive(Clone, Default)]
pub struct There {
    /// The key that works; none where any does.
    pub good_key: Arc<Mutex<Option<String>>>,
    /// What lies about.
    pub things: Arc<Mutex<Vec<Marked>>>,
    /// What cannot be removed.
    pub stuck: Arc<Mutex<Option<String>>>,
    /// How many canaries were made.
    pub canaries: Arc<Mutex<usize>>,
    /// What carries the connections of all providers; each has a way of its own where nothing is said.
    pub way: Arc<Mutex<Option<String>>>,
    /// Whether each provider sees things of its own, though they are called the same.
    pub apart: Arc<AtomicBool>,
    /// Whether a session makes something that does not go before this is false again.
    pub clings: Arc<AtomicBool>,
    /// What a look waits for, once, after it has said that it has begun.
    pub pause: Arc<Mutex<Option<Pause>>>,
}

/// The two ends of a look that waits.
pub type Pause = (oneshot::Sender<()>, oneshot::Receiver<()>);

impl There {
    /// Something lies about, with a mark.
    pub fn put(&self, mark: &str) {
        let marker: Marker = mark.parse().unwrap();
        let details = serde_json::Value::Null;
        let artifact = Artifact { kind: "key".into(), name: mark.into(), details };
        let by_hand = vec![vec!["net".to_owned(), "delete".to_owned(), "{name}".to_owned()]];
        self.things.lock().unwrap().push(Marked { marker, artifact, by_hand });
    }
}

impl BuildProviders for There {
    fn build(&self, settings: &ProviderSettings, key: Option<&Secret>) -> Arc<dyn Provider> {
        let (id, there) = (settings.id.clone(), self.clone());
        match settings.setup {
            ProviderSetup::Direct => Arc::new(Direct::new(id)),
            ProviderSetup::Ssh(_) | ProviderSetup::Tailscale(_) | ProviderSetup::Twingate(_) => {
                Arc::new(Told { id, key: key.cloned(), there })
            }
        }
    }

    fn bare(&self, _: &ProviderId, _: ProviderKind) -> Option<Arc<dyn Provider>> {
        None
    }
}

/// The settings of a bastion.
pub fn bastion(id: &str, host: &str) -> ProviderSettings {
    let destination = SshDestination::new(host.parse().unwrap());
    ProviderSettings {
        id: id.parse().unwrap(),
        setup: ProviderSetup::Ssh(SshSetup { destination, has_key: false }),
        enabled: true,
        default: true,
    }
}

/// The settings of a network of Twingate.
pub fn network(id: &str, name: &str) -> ProviderSettings {
    let setup = TwingateSetup {
        network: name.parse().unwrap(),
        group: "On call".parse().unwrap(),
        data_path: ClientPath::Host,
        connector_image: CONNECTOR_IMAGE.to_owned(),
        has_key: false,
    };
    ProviderSettings { setup: ProviderSetup::Twingate(Box::new(setup)), ..bastion(id, "edge") }
}

/// One provider.
pub struct Told {
    id: ProviderId,
    key: Option<Secret>,
    there: There,
}

impl Told {
    fn clings(&self) -> bool {
        self.there.clings.load(Ordering::Relaxed)
    }
}

/// The step that makes what clings.
fn key_step(id: &ProviderId) -> PlannedStep {
    let step = crate::support::plans::step("key", &[]);
    PlannedStep { carrier: Carrier::Provider(id.clone()), settle: Span::ZERO, ..step }
}

fn made() -> Artifact {
    let details = serde_json::Value::Null;
    Artifact { kind: "key".into(), name: "k1".into(), details }
}

#[async_trait]
impl Provider for Told {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Ssh
    }

    fn label(&self) -> String {
        "SSH".to_owned()
    }

    fn about(&self) -> String {
        "as it is told".to_owned()
    }

    fn keep(&self) -> Option<String> {
        None
    }

    fn plan(&self, _: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        let clings = self.clings();
        Ok(clings.then(|| key_step(&self.id)).into_iter().collect())
    }

    async fn apply(&self, _: StepCall<'_>) -> Applied {
        Applied::Applied(self.clings().then(made))
    }

    async fn look(&self, _: StepCall<'_>) -> Looked {
        if self.clings() { Looked::Found(made()) } else { Looked::Absent }
    }

    async fn undo(&self, _: StepCall<'_>) -> Undone {
        Undone::Sent
    }

    async fn dial(&self, _: &[Made]) -> Result<Dialed, DialError> {
        Err(DialError::Refused { address: "10.20.0.7:5432".to_owned() })
    }

    async fn check(&self) -> Health {
        Health::Healthy
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        let pause = self.there.pause.lock().unwrap().take();
        if let Some((begun, go_on)) = pause {
            begun.send(()).unwrap();
            go_on.await.unwrap();
        }
        let good = self.there.good_key.lock().unwrap().clone();
        let given = self.key.as_ref().map(|key| key.expose().to_owned());
        let fits = good.is_none() || given.is_none() || good == given;
        let found =
            if fits { Ok("in".to_owned()) } else { Err("this key opens nothing".to_owned()) };
        let check = ProbeCheck { name: "sign-in".to_owned(), needed: true, found, millis: 1 };
        Validation { probe: Probe { at: now, checks: vec![check] }, key_expires_at: None }
    }

    async fn prove(&self, _: &Marker, now: Timestamp) -> Option<Validation> {
        *self.there.canaries.lock().unwrap() += 1;
        let mut seen = self.validate(now).await;
        let found = Ok("made and taken away".to_owned());
        let check = ProbeCheck { name: "canary".to_owned(), needed: true, found, millis: 1 };
        seen.probe.checks.push(check);
        Some(seen)
    }

    fn shared_way(&self) -> Option<String> {
        let own = self.there.way.lock().unwrap().clone();
        Some(own.unwrap_or_else(|| self.id.to_string()))
    }

    fn audience(&self, _: &Order) -> Vec<String> {
        vec![]
    }

    async fn list(&self, _: &InstallationId) -> Result<Vec<Marked>, String> {
        // It lists more than it should: whose it is, the engine looks at too.
        let mut things = self.there.things.lock().unwrap().clone();
        if self.there.apart.load(Ordering::SeqCst) {
            for thing in &mut things {
                thing.artifact.details = serde_json::json!({ "at": self.id });
            }
        }
        Ok(things)
    }

    async fn remove(&self, found: &Marked) -> Undone {
        let name = &found.artifact.name;
        if self.there.stuck.lock().unwrap().as_ref() == Some(name) {
            return Undone::Problem("409: in use".to_owned());
        }
        self.there.things.lock().unwrap().retain(|thing| thing.artifact.name != *name);
        Undone::Sent
    }
}

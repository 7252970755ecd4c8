//! Everything around a provider on a tailnet that is not its API: the router that a launcher would
//! start, and this side's node, whose local API is played here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::launcher::Launch;
use breakglass::domain::secret::Secret;
use breakglass::domain::tailscale::{DataPath, Tailnet as Place, TailscaleSetup};
use breakglass::domain::time::Span;
use breakglass::http::{Limits, Trust};
use breakglass::process::Variables;
use breakglass::provider::key::Key;
use breakglass::provider::pace::Pace;
use breakglass::provider::tailscale::{Surroundings, Tailscale};
use breakglass::provider::{Made, Order, Provider as _, Says, StepCall};
use breakglass::session::{Applied, Carrier, Looked, PlannedStep, Session, Undone};
use serde::Deserialize as _;
use serde_json::Value;

use super::super::hurry::Hurry;
use super::super::leaves_nothing::Carries;
use super::SharedTailnet;
use super::node::Node;

/// A policy file that knows the tags of routers and of this side's nodes.
pub const TAGS: &str = r#"// Ours.
{
  "tagOwners": {
    "tag:admin": ["autogroup:admin"],
    "tag:breakglass-router": ["tag:admin"],
    "tag:breakglass-operator": ["tag:admin"], // for incidents
  },
  "acls": [
    { "action": "accept", "src": ["tag:breakglass-operator"], "dst": ["10.20.0.0/16:*"] },
  ],
}
"#;

/// How a test wants its provider.
#[derive(Clone)]
pub struct Wish {
    pub url: String,
    pub key: String,
    pub edit_policy: bool,
    /// A file of further authorities.
    pub ca_file: Option<PathBuf>,
    /// How long a call may take.
    pub patience: Span,
    pub bytes_max: usize,
}

impl Wish {
    pub fn new(url: &str, key: &str) -> Self {
        let (url, key) = (url.to_owned(), key.to_owned());
        Self {
            url,
            key,
            edit_policy: false,
            ca_file: None,
            patience: Span::from_seconds(10),
            bytes_max: 4_000_000,
        }
    }

    /// The settings of such a provider.
    pub fn setup(&self) -> TailscaleSetup {
        let server = Some(self.url.parse().unwrap());
        TailscaleSetup {
            tailnet: Place {
                server,
                user: Some(1),
                ca_file: self.ca_file.clone(),
                ..Place::default()
            },
            router_tag: "tag:breakglass-router".parse().unwrap(),
            operator_tag: "tag:breakglass-operator".parse().unwrap(),
            data_path: DataPath::Node,
            edit_policy: self.edit_policy,
            router_image: "example/router:1".to_owned(),
            has_key: true,
        }
    }

    /// The provider, with its folders below `dir`.
    pub fn provider(&self, dir: &Path, pace: Arc<dyn Pace>) -> Tailscale {
        let path = format!("{}:/usr/bin:/bin", dir.join("bin").display());
        let limits =
            Limits { total: self.patience, bytes_max: self.bytes_max, ..Limits::default() };
        let around = Surroundings {
            trust: Trust::default(),
            variables: Variables::from([("PATH".to_owned(), path)]),
            dir: dir.join("n"),
            backups: dir.join("policy-files"),
            limits,
            pace,
        };
        let key = Key::Given(Secret::new(&*self.key));
        Tailscale::new("net".parse().unwrap(), self.setup(), key, around)
    }
}

/// One session over a provider, with the router and the node that belong to it.
pub struct Played {
    pub wish: Mutex<Wish>,
    pub tailnet: SharedTailnet,
    pub pace: Arc<Hurry>,
    pub order: Order,
    /// The router joins.
    pub joins: bool,
    /// The router offers this besides.
    pub offers: Vec<String>,
    /// It says what it offers as it joins.
    pub offers_at_once: bool,
    /// Where its steps say what they wait for.
    pub says: Says,
    dir: PathBuf,
    provider: Mutex<Arc<Tailscale>>,
    made: Mutex<Vec<Made>>,
    router: Mutex<Option<String>>,
    node: Mutex<Option<Node>>,
}

impl Played {
    /// Nothing has happened yet.
    pub fn new(
        wish: Wish,
        tailnet: &SharedTailnet,
        pace: &Arc<Hurry>,
        dir: &Path,
        order: Order,
    ) -> Self {
        let provider = Arc::new(wish.provider(dir, pace.clone()));
        let made = provider.plan(&order).unwrap().into_iter().enumerate();
        let made = made.map(|(index, step)| Made { index, step, artifact: None }).collect();
        Self {
            wish: Mutex::new(wish),
            tailnet: Arc::clone(tailnet),
            pace: Arc::clone(pace),
            order,
            joins: true,
            offers: vec![],
            offers_at_once: true,
            says: Says::to(0, tokio::sync::mpsc::channel(1).0),
            dir: dir.to_owned(),
            provider: Mutex::new(provider),
            made: Mutex::new(made),
            router: Mutex::default(),
            node: Mutex::default(),
        }
    }

    /// One that shares its provider with another session.
    pub fn beside(other: &Self, order: Order) -> Self {
        let wish = other.wish.lock().unwrap().clone();
        let played = Self::new(wish, &other.tailnet, &other.pace, &other.dir, order);
        *played.provider.lock().unwrap() = other.provider();
        played
    }

    /// The same with waits that take their time.
    pub fn waiting(self, pace: Arc<dyn Pace>) -> Self {
        let provider = self.wish.lock().unwrap().provider(&self.dir, pace);
        *self.provider.lock().unwrap() = Arc::new(provider);
        self
    }

    pub fn provider(&self) -> Arc<Tailscale> {
        Arc::clone(&self.provider.lock().unwrap())
    }

    pub fn plan(&self) -> Vec<PlannedStep> {
        self.made().into_iter().map(|made| made.step).collect()
    }

    pub fn made(&self) -> Vec<Made> {
        self.made.lock().unwrap().clone()
    }

    /// Notes what a step made.
    pub fn note(&self, index: usize, artifact: Option<Artifact>) {
        self.made.lock().unwrap()[index].artifact = artifact;
    }

    /// What of this session is on this host or in the site.
    pub fn left(&self) -> Vec<String> {
        let folders = std::fs::read_dir(self.dir.join("n")).into_iter().flatten().flatten();
        let mut left: Vec<_> = folders.map(|it| format!("folder {:?}", it.path())).collect();
        left.extend(self.router.lock().unwrap().iter().map(|node| format!("program of {node}")));
        left
    }

    /// The id of the router.
    pub fn router(&self) -> Option<String> {
        self.router.lock().unwrap().clone()
    }

    async fn start_router(&self, step: &PlannedStep) -> Applied {
        let made = self.made();
        let secrets = match self.provider().secrets(self.call(step, None, &made)).await {
            Ok(secrets) => secrets,
            Err(why) => return Applied::Refused(why),
        };
        let launch = Launch::deserialize(&step.action).unwrap();
        let asked: Vec<&String> = launch.spec.secrets.iter().collect();
        assert_eq!(secrets.keys().collect::<Vec<_>>(), asked);
        let artifact = artifact("router", &launch.spec.environment["TS_HOSTNAME"]);
        if !self.joins {
            *self.router.lock().unwrap() = Some("nobody".to_owned());
            return Applied::Applied(Some(artifact));
        }
        let said = |name: &str| secrets[name].expose().to_owned();
        let (key, route) = (said("TS_AUTHKEY"), said("TS_ROUTES"));
        let mut routes: Vec<&str> =
            [route.as_str()].into_iter().chain(self.offers.iter().map(String::as_str)).collect();
        if !self.offers_at_once {
            routes.clear();
        }
        let mut tailnet = self.tailnet.lock().unwrap();
        match tailnet.join(&key, &artifact.name, &routes) {
            Ok(node) => {
                *self.router.lock().unwrap() = Some(node);
                Applied::Applied(Some(artifact))
            }
            Err(why) => Applied::Refused(format!("{why:?}")),
        }
    }

    /// Its process ends, without a word to the control server.
    fn stop_router(&self) {
        let Some(node) = self.router.lock().unwrap().take() else { return };
        let mut tailnet = self.tailnet.lock().unwrap();
        if tailnet.device(&node).is_some() {
            tailnet.go_offline(&node);
        }
    }

    fn call<'a>(
        &'a self,
        step: &'a PlannedStep,
        artifact: Option<&'a Artifact>,
        steps: &'a [Made],
    ) -> StepCall<'a> {
        StepCall {
            session: self.order.session,
            marker: &self.order.marker,
            step,
            artifact,
            steps,
            says: &self.says,
        }
    }
}

#[async_trait]
impl Carries for Played {
    fn told(&self, session: &Session) {
        for made in self.made.lock().unwrap().iter_mut() {
            made.artifact = session.artifact(made.index).cloned();
        }
    }

    fn died(&self) {
        let wish = self.wish.lock().unwrap().clone();
        *self.provider.lock().unwrap() = Arc::new(wish.provider(&self.dir, self.pace.clone()));
    }

    async fn apply(&self, step: &PlannedStep) -> Applied {
        if step.carrier == Carrier::Launcher {
            return self.start_router(step).await;
        }
        if does(step) == "start-node" && self.node.lock().unwrap().is_none() {
            let folder = PathBuf::from(step.action["folder"].as_str().unwrap());
            *self.node.lock().unwrap() = Some(Node::at(&folder, &self.tailnet));
        }
        let (provider, made) = (self.provider(), self.made());
        tokio::select! {
            biased;
            applied = provider.apply(self.call(step, None, &made)) => applied,
            () = self.pace.passes(step.timeout) => Applied::Unknown("no answer in time".to_owned()),
        }
    }

    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked {
        if step.carrier == Carrier::Launcher {
            let found = self.router().map(|_| artifact("router", &self.order.marker.to_string()));
            return found.map_or(Looked::Absent, Looked::Found);
        }
        self.provider().look(self.call(step, known, &self.made())).await
    }

    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone {
        if step.carrier == Carrier::Launcher {
            self.stop_router();
            return Undone::Sent;
        }
        if does(step) == "start-node" {
            self.node.lock().unwrap().take();
        }
        self.provider().undo(self.call(step, known, &self.made())).await
    }
}

/// What a step of the provider does.
pub fn does(step: &PlannedStep) -> &str {
    step.action["does"].as_str().unwrap_or_default()
}

fn artifact(kind: &str, name: &str) -> Artifact {
    let details = Value::Null;
    Artifact { kind: kind.to_owned(), name: name.to_owned(), details }
}

/// Steps by what they do; the router is one too.
pub fn numbers(plan: &[PlannedStep]) -> BTreeMap<String, usize> {
    let name = |step: &PlannedStep| match step.carrier {
        Carrier::Launcher => "router".to_owned(),
        _ => does(step).to_owned(),
    };
    plan.iter().enumerate().map(|(number, step)| (name(step), number)).collect()
}

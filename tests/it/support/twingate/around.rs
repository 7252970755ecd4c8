//! Everything around a provider in a network of Twingate that is not its API: the connector that a
//! launcher would start, and the client of this host, whose proxy is played here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::launcher::Launch;
use breakglass::domain::secret::Secret;
use breakglass::domain::time::Span;
use breakglass::domain::twingate::{ClientPath, TwingateSetup};
use breakglass::http::{Limits, Trust};
use breakglass::process::Variables;
use breakglass::provider::key::Key;
use breakglass::provider::pace::Pace;
use breakglass::provider::twingate::{Budgets, Cloud, Surroundings, Twingate};
use breakglass::provider::{Made, Order, Provider as _, StepCall, UNHEARD};
use breakglass::session::{Applied, Carrier, Looked, PlannedStep, Session, Undone};
use serde::Deserialize as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::hurry::Hurry;
use super::super::leaves_nothing::Carries;
use super::SharedTwingate;

/// The group that sessions let in.
pub const GROUP: &str = "On call";

/// The client of this host: it reaches what the group may reach, and everything there is an echo.
pub struct Client {
    pub address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Client {
    /// Starts it, signed in as somebody in that group.
    pub async fn start(network: &SharedTwingate, group: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, group) = (Arc::clone(network), group.to_owned());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(carry(stream, Arc::clone(&network), group.clone()));
            }
        });
        Self { address, _serving: serving }
    }
}

async fn carry(mut stream: TcpStream, network: SharedTwingate, group: String) {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let asked = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    let target: SocketAddr = asked.parse().unwrap();
    let (address, port) = (target.ip().to_string(), target.port());
    if !network.lock().unwrap().reaches(&group, &address, port) {
        stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.ok();
        return;
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await.ok();
}

/// How a test wants its provider.
#[derive(Clone)]
pub struct Wish {
    pub url: String,
    pub key: String,
    pub group: String,
    pub data_path: ClientPath,
    /// How long a call may take.
    pub patience: Span,
    pub budgets: Arc<Budgets>,
}

impl Wish {
    pub fn new(url: &str, key: &str, client: &Client) -> Self {
        Self {
            url: url.to_owned(),
            key: key.to_owned(),
            group: GROUP.to_owned(),
            data_path: ClientPath::Proxy(client.address.to_string().parse().unwrap()),
            patience: Span::from_seconds(10),
            budgets: Arc::default(),
        }
    }

    /// The settings of such a provider.
    pub fn setup(&self) -> TwingateSetup {
        TwingateSetup {
            network: "acme".parse().unwrap(),
            group: self.group.parse().unwrap(),
            data_path: self.data_path,
            connector_image: "example/connector:1".to_owned(),
            has_key: true,
        }
    }

    /// What is around it.
    pub fn around(&self, pace: Arc<dyn Pace>) -> Surroundings {
        Surroundings {
            trust: Trust::default(),
            variables: Variables::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            cloud: Cloud::At(self.url.parse().unwrap()),
            budgets: Arc::clone(&self.budgets),
            device: "lo".to_owned(),
            limits: Limits { total: self.patience, ..Limits::default() },
            pace,
        }
    }

    pub fn provider(&self, pace: Arc<dyn Pace>) -> Twingate {
        let key = Key::Given(Secret::new(&*self.key));
        Twingate::new("net".parse().unwrap(), self.setup(), key, self.around(pace))
    }
}

/// One session over a provider, with the connector that belongs to it.
pub struct Played {
    pub wish: Mutex<Wish>,
    pub network: SharedTwingate,
    pub pace: Arc<Hurry>,
    pub order: Order,
    /// The connector starts.
    pub starts: bool,
    provider: Mutex<Arc<Twingate>>,
    made: Mutex<Vec<Made>>,
    /// With what token the connector runs.
    runs: Mutex<Option<String>>,
}

impl Played {
    /// Nothing has happened yet.
    pub fn new(wish: Wish, network: &SharedTwingate, pace: &Arc<Hurry>, order: Order) -> Self {
        let provider = Arc::new(wish.provider(pace.clone()));
        let made = provider.plan(&order).unwrap().into_iter().enumerate();
        let made = made.map(|(index, step)| Made { index, step, artifact: None }).collect();
        Self {
            wish: Mutex::new(wish),
            network: Arc::clone(network),
            pace: Arc::clone(pace),
            order,
            starts: true,
            provider: Mutex::new(provider),
            made: Mutex::new(made),
            runs: Mutex::default(),
        }
    }

    pub fn provider(&self) -> Arc<Twingate> {
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

    /// What of this session is in the site.
    pub fn left(&self) -> Vec<String> {
        self.runs.lock().unwrap().iter().map(|_| "the connector's process".to_owned()).collect()
    }

    /// Its process ends, without a word to the network.
    pub fn stop(&self) {
        if let Some(token) = self.runs.lock().unwrap().take() {
            self.network.lock().unwrap().connector_stopped(&token);
        }
    }

    /// The token with which the connector runs.
    pub fn token(&self) -> Option<String> {
        self.runs.lock().unwrap().clone()
    }

    async fn start(&self, step: &PlannedStep) -> Applied {
        let made = self.made();
        let secrets = match self.provider().secrets(self.call(step, None, &made)).await {
            Ok(secrets) => secrets,
            Err(why) => return Applied::Refused(why),
        };
        let launch = Launch::deserialize(&step.action).unwrap();
        let asked: Vec<&String> = launch.spec.secrets.iter().collect();
        assert_eq!(secrets.keys().collect::<Vec<_>>(), asked);
        let token = secrets["TWINGATE_ACCESS_TOKEN"].expose().to_owned();
        if self.starts {
            let started = self.network.lock().unwrap().connector_started(&token);
            if let Err(why) = started {
                return Applied::Refused(format!("{why:?}"));
            }
        }
        *self.runs.lock().unwrap() = Some(token);
        Applied::Applied(Some(process(&self.order.marker.to_string())))
    }

    fn call<'a>(
        &'a self,
        step: &'a PlannedStep,
        artifact: Option<&'a Artifact>,
        steps: &'a [Made],
    ) -> StepCall<'a> {
        let (session, marker) = (self.order.session, &self.order.marker);
        StepCall { session, marker, step, artifact, steps, says: &UNHEARD }
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
        *self.provider.lock().unwrap() = Arc::new(wish.provider(self.pace.clone()));
    }

    async fn apply(&self, step: &PlannedStep) -> Applied {
        if step.carrier == Carrier::Launcher {
            return self.start(step).await;
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
            let runs = self.runs.lock().unwrap().is_some();
            let name = self.order.marker.to_string();
            return if runs { Looked::Found(process(&name)) } else { Looked::Absent };
        }
        self.provider().look(self.call(step, known, &self.made())).await
    }

    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone {
        if step.carrier == Carrier::Launcher {
            self.stop();
            return Undone::Sent;
        }
        self.provider().undo(self.call(step, known, &self.made())).await
    }
}

fn process(name: &str) -> Artifact {
    let details = Value::Null;
    Artifact { kind: "connector's process".to_owned(), name: name.to_owned(), details }
}

/// Steps by what they do; the start of the connector is one too.
pub fn numbers(plan: &[PlannedStep]) -> BTreeMap<String, usize> {
    let name = |step: &PlannedStep| match step.carrier {
        Carrier::Launcher => "start".to_owned(),
        _ => step.action["does"].as_str().unwrap_or_default().to_owned(),
    };
    plan.iter().enumerate().map(|(number, step)| (name(step), number)).collect()
}

//! A temporary connector in the site, in a network of Twingate.
//!
//! ```text
//! endpoint --> the client of this host ==(relays, or peer to peer)==> connector --> target
//!              its network device, or its proxy                      started by the site's launcher
//! ```
//!
//! Each session has a remote network of its own with one connector in it, and one resource: a single
//! address and a single TCP port. The members of one group may reach it, for a while. [`steps`] is the
//! plan; [`objects`] and [`running`] carry it out, [`client`] is this side, [`watching`] notices the
//! end, [`seeing`] says what can be done there, [`sweeping`] finds what nobody remembers.
//!
//! A client tells resources apart by their addresses alone, so two sites with the same address never
//! share this provider.
//!
//! Not here: how the network is spoken to ([`api`]), and how the connector is started (the launchers).

mod api;
mod client;
mod objects;
mod running;
mod seeing;
mod steps;
mod sweeping;
mod watching;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;

#[doc(hidden)]
pub use self::api::documents;
use self::api::{Api, Caller, LIMITS, Rank, Tokens};
pub use self::api::{Budgets, Cloud};
use self::steps::{ACCESS_TOKEN, Action, Does, REFRESH_TOKEN};
use super::key::Key;
use super::pace::{HostPace, Pace};
use super::{DialError, Dialed, Lost, Made, Order, Provider, ProviderError, Says, StepCall, Told};
use crate::domain::artifact::{Marked, Marker};
use crate::domain::id::{InstallationId, ProviderId};
use crate::domain::provider::{Health, ProviderKind, Validation};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::twingate::{ClientPath, NetworkName, TwingateSetup};
use crate::http::{Http, Limits, Trust};
use crate::process::Variables;
use crate::session::{Applied, Looked, PlannedStep, Undone};

/// What a provider in a network of Twingate finds around it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Whom its client trusts.
    pub trust: Trust,
    /// What the programs that it asks find in their environment.
    pub variables: Variables,
    /// Where networks are.
    pub cloud: Cloud,
    /// How often each network may be asked: of the whole process, as that is how it is counted.
    pub budgets: Arc<Budgets>,
    /// The network device of the client that runs on this host.
    pub device: String,
    /// How long the network may take.
    pub limits: Limits,
    /// The time, and waiting for it to pass.
    pub pace: Arc<dyn Pace>,
}

impl Surroundings {
    /// Those of this host, and of the vendor's own cloud.
    #[must_use]
    pub fn of_host(trust: Trust, variables: Variables) -> Self {
        Self {
            trust,
            variables,
            cloud: Cloud::Vendor,
            budgets: Arc::default(),
            device: DEVICE.to_owned(),
            limits: LIMITS,
            pace: Arc::new(HostPace),
        }
    }
}

/// A network of Twingate.
pub struct Twingate {
    id: ProviderId,
    /// None where it stands in no configuration any more.
    setup: Option<TwingateSetup>,
    key: Key,
    around: Surroundings,
    /// The way to the network, once its key was had.
    api: Mutex<Option<(Secret, Arc<Api>)>>,
    /// The tokens of connectors that were not started yet, by the marks of their sessions.
    made: Mutex<BTreeMap<String, Tokens>>,
}

impl Twingate {
    /// Makes the provider.
    #[must_use]
    pub fn new(id: ProviderId, setup: TwingateSetup, key: Key, around: Surroundings) -> Self {
        Self { id, setup: Some(setup), key, around, api: Mutex::default(), made: Mutex::default() }
    }

    /// Makes one that stands in no configuration any more: its key is gone, and it says so.
    #[must_use]
    pub fn gone(id: ProviderId, around: Surroundings) -> Self {
        let (api, made) = (Mutex::default(), Mutex::default());
        Self { id, setup: None, key: Key::None, around, api, made }
    }

    /// Who asks the network of a step, as long as that is the network of this provider.
    async fn caller(&self, action: &Action, rank: Rank, says: &Says) -> Result<Caller, String> {
        Ok(self.api_of(&action.network).await?.caller(rank, says.clone()))
    }

    async fn api_of(&self, network: &NetworkName) -> Result<Arc<Api>, String> {
        let setup = self.setup.as_ref().ok_or_else(|| {
            format!("the provider `{}` is not in the configuration, so its key is gone", self.id)
        })?;
        if setup.network != *network {
            return Err(format!(
                "`{}` leads to the network `{}` now, and this was made in `{network}`; its key is \
                 for no other network: set it back until this is over",
                self.id, setup.network
            ));
        }
        let key = self.key.get(&self.id).await?.ok_or_else(|| {
            format!("it has no key; give it one: `breakglass providers rotate-key {}`", self.id)
        })?;
        let mut kept = lock(&self.api);
        if let Some((with, api)) = kept.as_ref()
            && *with == key
        {
            return Ok(Arc::clone(api));
        }
        let around = &self.around;
        let http = Http::new(around.trust.clone(), around.limits);
        let pace = Arc::clone(&around.pace);
        let api = Api::new(http, &around.cloud, network, key.clone(), pace, &around.budgets);
        let api = Arc::new(api);
        *kept = Some((key, Arc::clone(&api)));
        Ok(api)
    }

    fn keep_tokens(&self, name: &str, tokens: Tokens) {
        lock(&self.made).insert(name.to_owned(), tokens);
    }

    fn forget_tokens(&self, name: &str) {
        lock(&self.made).remove(name);
    }
}

#[async_trait]
impl Provider for Twingate {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Twingate
    }

    fn label(&self) -> String {
        "Twingate".to_owned()
    }

    fn about(&self) -> String {
        match &self.setup {
            Some(setup) => {
                format!("a connector in the site for each session, in {}", setup.network.host())
            }
            None => "no longer in the configuration; only says what it cannot take back".to_owned(),
        }
    }

    fn keep(&self) -> Option<String> {
        None
    }

    fn plan(&self, order: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        let gone = || format!("the provider `{}` is not in the configuration", self.id);
        let planned = self.setup.as_ref().ok_or_else(gone);
        planned
            .and_then(|setup| steps::plan(&self.id, setup, order))
            .map_err(|why| ProviderError::CannotCarry { provider: self.id.clone(), why })
    }

    async fn apply(&self, call: StepCall<'_>) -> Applied {
        let action = match Action::of(call.step) {
            Ok(action) => action,
            Err(why) => return Applied::Refused(why),
        };
        let caller = match self.caller(&action, Rank::Session, call.says).await {
            Ok(caller) => caller,
            Err(why) => return Applied::Refused(why),
        };
        match action.does {
            Does::Network => objects::make_network(&caller, &action).await,
            Does::Connector => objects::make_connector(&caller, &action, call.steps).await,
            Does::Tokens => self.make_tokens(&caller, &action, call.steps).await,
            Does::Alive => self.await_life(&caller, call).await,
            Does::Resource => objects::make_resource(&caller, &action, call.steps).await,
            Does::Access => self.give_access(&caller, &action, call.steps).await,
            Does::Check => self.check_target(&action, call.says).await,
        }
    }

    async fn look(&self, call: StepCall<'_>) -> Looked {
        let action = match Action::of(call.step) {
            Ok(action) => action,
            Err(why) => return Looked::Unclear(why),
        };
        if matches!(action.does, Does::Tokens | Does::Alive | Does::Check) {
            return Looked::Absent;
        }
        match self.caller(&action, Rank::Teardown, call.says).await {
            Ok(caller) => objects::look(&caller, &action, call).await,
            // Without the key, this side still sees whether the path carries.
            Err(why) => match call.artifact {
                Some(artifact) if self.carries(&action).await => Looked::Found(artifact.clone()),
                _ => Looked::Unclear(why),
            },
        }
    }

    async fn undo(&self, call: StepCall<'_>) -> Undone {
        let action = match Action::of(call.step) {
            Ok(action) => action,
            Err(why) => return Undone::Problem(why),
        };
        self.forget_tokens(&action.name);
        match self.caller(&action, Rank::Teardown, call.says).await {
            Ok(caller) => objects::take_back(&caller, &action, call).await,
            Err(why) => Undone::Problem(why),
        }
    }

    async fn dial(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        self.dial_over(steps).await
    }

    async fn check(&self) -> Health {
        self.health().await
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        self.abilities(now).await
    }

    async fn prove(&self, mark: &Marker, now: Timestamp) -> Option<Validation> {
        Some(self.canary(mark, now).await)
    }

    async fn secrets(&self, call: StepCall<'_>) -> Result<BTreeMap<String, Secret>, String> {
        let (_, action) = steps::made(call.steps, Does::Tokens)
            .ok_or_else(|| "the session has no tokens for a connector".to_owned())?;
        let tokens = lock(&self.made).get(&action.name).cloned().ok_or_else(|| {
            "its tokens were made by another process, which alone knew them".to_owned()
        })?;
        Ok(BTreeMap::from([
            (ACCESS_TOKEN.to_owned(), tokens.access),
            (REFRESH_TOKEN.to_owned(), tokens.refresh),
        ]))
    }

    async fn watch(&self, steps: &[Made], tell: mpsc::Sender<Told>) -> Lost {
        self.guard(steps, tell).await
    }

    fn shared_way(&self) -> Option<String> {
        let path = self.setup.as_ref().map(|setup| setup.data_path).unwrap_or_default();
        Some(match path {
            ClientPath::Host => format!("the network device {}", self.around.device),
            ClientPath::Proxy(proxy) => format!("the proxy at {proxy}"),
        })
    }

    fn audience(&self, order: &Order) -> Vec<String> {
        let Some(setup) = &self.setup else { return vec![] };
        let here = match setup.data_path {
            ClientPath::Host => "on this host: every user, over the client that runs here",
            ClientPath::Proxy(_) => {
                "on this host: every user that may connect to the client's proxy"
            }
        };
        let beyond = format!(
            "in the network `{}`: everybody in the group `{}`; the resource opens 1 address and 1 TCP \
             port, until {} or an hour after access was given",
            setup.network,
            setup.group,
            steps::at(order.needed_until)
        );
        vec![here.to_owned(), beyond]
    }

    async fn list(&self, installation: &InstallationId) -> Result<Vec<Marked>, String> {
        self.list_marked(installation).await
    }

    async fn remove(&self, found: &Marked) -> Undone {
        self.remove_marked(found).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the client of Linux calls its device.
const DEVICE: &str = "sdwan0";

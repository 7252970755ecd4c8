//! A temporary router in the site, on a tailnet of Tailscale or Headscale.
//!
//! ```text
//! endpoint --> this session's node ==(tailnet)==> router in the site --> target
//!              `tailscaled`, own folder            started by the site's launcher
//! ```
//!
//! The router offers the target's own address and nothing else, and is allowed that alone; where the
//! address is taken, one of its own leads there ([`route`]). This side's node runs in user space: the
//! host's own `tailscaled` and its routes are left alone. Both nodes are ephemeral, their keys work
//! once and for ten minutes. [`steps`] is the plan; [`keys`], [`nodes`], [`policing`] and [`own`] carry
//! it out, [`watching`] notices the end, [`seeing`] says what can be done there, [`sweeping`] finds what
//! nobody remembers.
//!
//! Not here: how the control server is spoken to ([`api`]), how a node of this side is run ([`node`]),
//! how a policy file is edited ([`policy`]), and how the router is started (the launchers).

mod api;
mod by_hand;
mod keys;
mod node;
mod nodes;
mod own;
mod policing;
pub mod policy;
mod route;
mod seeing;
mod steps;
mod sweeping;
mod watching;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use self::api::LIMITS;
use self::api::{Access, Control, Place};
use self::steps::{AUTH_KEY, Action, Does, ROUTES, own_name};
use super::key::Key;
use super::pace::Pace;
use super::{DialError, Dialed, Lost, Made, Order, Provider, ProviderError, StepCall, Told};
use crate::domain::artifact::Marked;
use crate::domain::id::{InstallationId, ProviderId, SessionId};
use crate::domain::provider::{Health, ProviderKind, Validation};
use crate::domain::secret::Secret;
use crate::domain::site::Prefix;
use crate::domain::tailscale::{DataPath, ServerUrl, Tailnet, TailnetName, TailscaleSetup};
use crate::domain::time::Timestamp;
use crate::http::{Http, Limits, Trust};
use crate::process::Variables;
use crate::session::{Applied, Looked, PlannedStep, Undone};

/// What a provider on a tailnet finds around it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Whom its client trusts.
    pub trust: Trust,
    /// What the programs that it starts find in their environment.
    pub variables: Variables,
    /// Where the folders of this side's nodes lie.
    pub dir: PathBuf,
    /// Where copies of policy files are kept before they are edited.
    pub backups: PathBuf,
    /// How long a control server may take.
    pub limits: Limits,
    /// The time, and waiting for it to pass.
    pub pace: Arc<dyn Pace>,
}

/// A tailnet.
pub struct Tailscale {
    id: ProviderId,
    /// None where it stands in no configuration any more.
    setup: Option<TailscaleSetup>,
    key: Key,
    around: Surroundings,
    /// The way to the control server, once its key was had.
    access: Mutex<Option<(Secret, Arc<Access>)>>,
    /// The keys that were made and not used yet, by their descriptions.
    made: Mutex<BTreeMap<String, Secret>>,
    /// The routes that sessions of this process have chosen.
    claims: Mutex<BTreeMap<SessionId, Prefix>>,
    /// Whose turn it is to edit the policy file: of those of this process one at a time.
    editing: tokio::sync::Mutex<()>,
}

impl Tailscale {
    /// Makes the provider.
    #[must_use]
    pub fn new(id: ProviderId, setup: TailscaleSetup, key: Key, around: Surroundings) -> Self {
        Self {
            id,
            setup: Some(setup),
            key,
            around,
            access: Mutex::default(),
            made: Mutex::default(),
            claims: Mutex::default(),
            editing: tokio::sync::Mutex::default(),
        }
    }

    /// Makes one that stands in no configuration any more: it takes back what it has made here, and
    /// what it has made elsewhere goes by itself.
    #[must_use]
    pub fn gone(id: ProviderId, around: Surroundings) -> Self {
        Self {
            id,
            setup: None,
            key: Key::None,
            around,
            access: Mutex::default(),
            made: Mutex::default(),
            claims: Mutex::default(),
            editing: tokio::sync::Mutex::default(),
        }
    }

    /// Who controls the tailnet of a step.
    async fn control(&self, action: &Action) -> Result<Arc<dyn Control>, String> {
        self.control_of(&action.tailnet).await
    }

    async fn control_of(&self, tailnet: &Tailnet) -> Result<Arc<dyn Control>, String> {
        let key = self.key_for(tailnet).await?;
        self.access(tailnet, key).control().await.map_err(|why| why.to_string())
    }

    /// The key for a tailnet, where that is the one that it was given for.
    async fn key_for(&self, tailnet: &Tailnet) -> Result<Secret, String> {
        let setup = self.setup.as_ref().ok_or_else(|| {
            format!("the provider `{}` is not in the configuration, so its key is gone", self.id)
        })?;
        if setup.tailnet != *tailnet {
            return Err(format!(
                "`{}` leads to {} now, and this was made at {tailnet}; its key is for no other \
                 place: set it back until this is over",
                self.id, setup.tailnet
            ));
        }
        self.key.get(&self.id).await?.ok_or_else(|| {
            format!("it has no key; give it one: `breakglass providers rotate-key {}`", self.id)
        })
    }

    /// The way to the control server with that key; what was found out about it stays.
    fn access(&self, tailnet: &Tailnet, key: Secret) -> Arc<Access> {
        let mut kept = lock(&self.access);
        if let Some((with, access)) = kept.as_ref()
            && *with == key
        {
            return Arc::clone(access);
        }
        let mut trust = self.around.trust.clone();
        trust.ca_file = tailnet.ca_file.clone().or(trust.ca_file);
        let place = Place {
            server: tailnet.server.as_ref().map(ServerUrl::to_string),
            tailnet: tailnet.name.as_ref().map(TailnetName::to_string),
            user: tailnet.user.map(|user| user.to_string()),
        };
        let http = Http::new(trust, self.around.limits);
        let access = Arc::new(Access::new(http, place, key.clone(), Arc::clone(&self.around.pace)));
        *kept = Some((key, Arc::clone(&access)));
        access
    }

    fn keep_key(&self, description: &str, key: Secret) {
        lock(&self.made).insert(description.to_owned(), key);
    }

    fn kept_key(&self, description: &str) -> Result<Secret, String> {
        lock(&self.made).get(description).cloned().ok_or_else(|| {
            "the key for it was made by another process, which alone knew it".to_owned()
        })
    }

    fn forget_key(&self, description: &str) {
        lock(&self.made).remove(description);
    }

    fn claim(&self, session: SessionId, prefix: Prefix) {
        lock(&self.claims).insert(session, prefix);
    }

    fn unclaim(&self, session: SessionId) {
        lock(&self.claims).remove(&session);
    }

    /// The routes that other sessions of this process have chosen.
    fn claimed(&self, session: SessionId) -> Vec<Prefix> {
        let claims = lock(&self.claims);
        claims.iter().filter(|(other, _)| **other != session).map(|(_, prefix)| *prefix).collect()
    }
}

#[async_trait]
impl Provider for Tailscale {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Tailscale
    }

    fn label(&self) -> String {
        self.setup.as_ref().map_or("Tailscale", |setup| setup.tailnet.product()).to_owned()
    }

    fn about(&self) -> String {
        match &self.setup {
            Some(setup) => {
                format!("a router in the site for each session, on {}", setup.tailnet)
            }
            None => "no longer in the configuration; only takes back what it made".to_owned(),
        }
    }

    fn keep(&self) -> Option<String> {
        None
    }

    fn plan(&self, order: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        let gone = || format!("the provider `{}` is not in the configuration", self.id);
        let backups = self.around.backups.join(self.id.as_str());
        let planned =
            self.setup.as_ref().ok_or_else(gone).and_then(|setup| {
                steps::plan(&self.id, setup, (&self.around.dir, &backups), order)
            });
        planned.map_err(|why| ProviderError::CannotCarry { provider: self.id.clone(), why })
    }

    async fn changes(&self, order: &Order) -> Result<Vec<String>, String> {
        self.changes_in_policy(order).await
    }

    async fn apply(&self, call: StepCall<'_>) -> Applied {
        let action = match Action::of(call.step) {
            Ok(action) => action,
            Err(why) => return Applied::Refused(why),
        };
        match action.does {
            Does::ChooseRoute => self.choose_route(&action, call).await,
            Does::EditPolicy => self.edit_policy(&action, call).await,
            Does::RouterKey | Does::OperatorKey => self.make_key(&action).await,
            Does::AwaitRouter => self.await_router(&action, call.says).await,
            Does::ApproveRoute => self.approve_route(&action, call.steps).await,
            Does::StartNode => self.start_node(&action).await,
            Does::Join => self.join(&action).await,
            Does::SeeRoute => self.see_route(&action, call).await,
            Does::Check => self.check_target(&action, call.steps).await,
        }
    }

    async fn look(&self, call: StepCall<'_>) -> Looked {
        let action = match Action::of(call.step) {
            Ok(action) => action,
            Err(why) => return Looked::Unclear(why),
        };
        let looked = match action.does {
            Does::ChooseRoute => self.look_for_nodes(&action, call.artifact).await,
            Does::EditPolicy => self.look_at_policy(&action, call).await,
            Does::RouterKey | Does::OperatorKey => self.look_for_key(&action, call.artifact).await,
            Does::AwaitRouter => self.look_for_node(&action, &action.name, call.artifact).await,
            Does::Join => self.look_for_node(&action, &own_name(&action.name), call.artifact).await,
            Does::ApproveRoute => self.look_for_route(&action, call).await,
            Does::StartNode => self.look_for_own(&action),
            Does::SeeRoute | Does::Check => Looked::Absent,
        };
        match looked {
            // Without the control server, or its key, this side's node still knows what is there.
            Looked::Unclear(why) => {
                self.seen_from_here(&action, call).await.map_or(Looked::Unclear(why), Looked::Found)
            }
            clear => clear,
        }
    }

    async fn undo(&self, call: StepCall<'_>) -> Undone {
        let action = match Action::of(call.step) {
            Ok(action) => action,
            Err(why) => return Undone::Problem(why),
        };
        match action.does {
            Does::ChooseRoute => self.delete_nodes(&action, call).await,
            Does::EditPolicy => self.revert_policy(&action, call).await,
            Does::RouterKey | Does::OperatorKey => self.delete_key(&action, call.artifact).await,
            Does::AwaitRouter => self.delete_node(&action, call.artifact).await,
            Does::ApproveRoute => self.clear_routes(&action, call).await,
            Does::StartNode => self.end_node(&action).await,
            Does::Join => self.leave(&action, call.artifact).await,
            Does::SeeRoute | Does::Check => Undone::Sent,
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

    async fn secrets(&self, call: StepCall<'_>) -> Result<BTreeMap<String, Secret>, String> {
        let (_, key) = steps::made(call.steps, Does::RouterKey)
            .ok_or_else(|| "the session has no key for a router".to_owned())?;
        let route = steps::route(call.steps)?;
        Ok(BTreeMap::from([
            (AUTH_KEY.to_owned(), self.kept_key(&key.description())?),
            (ROUTES.to_owned(), Secret::new(route.prefix.to_string())),
        ]))
    }

    async fn watch(&self, steps: &[Made], tell: mpsc::Sender<Told>) -> Lost {
        self.guard(steps, tell).await
    }

    fn audience(&self, order: &Order) -> Vec<String> {
        let Some(setup) = &self.setup else { return vec![] };
        let target = &order.target.address;
        let here = match setup.data_path {
            DataPath::Node => {
                "on this host: the user that runs this engine, and root; nobody else can enter the \
                 folder of the session's node"
            }
            DataPath::Host => "on this host: every user, over the node that this host is",
        };
        let beyond = if setup.edit_policy {
            format!(
                "on the tailnet: this session's node, and every other node to which the policy file \
                 already allows {target}; the route opens 1 address"
            )
        } else {
            format!(
                "on the tailnet: every node to which the policy file allows {target}, with or \
                 without `{}`; the route opens 1 address and confines nobody by itself",
                setup.operator_tag
            )
        };
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

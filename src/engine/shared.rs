//! What every part of the engine may use.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::caller::{Caller, Standing};
use super::doors::Doors;
use super::people::{Kept, People, PeopleParts, Shown};
use super::providers::{Installed, Providers};
use crate::clock::Clock;
use crate::domain::artifact::Marker;
use crate::domain::audit_event::{Actor, Source};
use crate::domain::catalogue::Catalogue;
use crate::domain::id::{IdpId, InstallationId, ProviderId, SessionId};
use crate::domain::identity_provider::IdpSettings;
use crate::domain::operator::Operator;
use crate::domain::policy::Policy;
use crate::domain::provider::{ProviderKind, ProviderSettings};
use crate::domain::secret::Secret;
use crate::domain::sign_in::{SignIn, Token};
use crate::domain::time::{Span, Timestamp};
use crate::error::{Kind, Report};
use crate::launcher::Launcher;
use crate::protocol::Origin;
use crate::provider::Provider;
use crate::store::{Store, StoreError};

/// Everything that an engine is made of; `app` puts it together.
pub struct EngineParts {
    /// Where everything durable lives.
    pub store: Arc<dyn Store>,
    /// The sites and targets.
    pub catalogue: Catalogue,
    /// What is allowed.
    pub policy: Policy,
    /// The identity providers, in the order of the configuration.
    pub idps: Vec<IdpSettings>,
    /// The providers, in the order of the configuration.
    pub providers: Vec<Installed>,
    /// Makes further ones.
    pub builder: Arc<dyn BuildProviders>,
    /// Starts things inside sites.
    pub launcher: Arc<dyn Launcher>,
    /// Where a change of settings is kept.
    pub settings: Arc<dyn KeepSettings>,
    /// Whose engine this is.
    pub installation: InstallationId,
    /// The operator it serves.
    pub operator: Operator,
    /// The name of this host, as the system says.
    pub host: String,
    /// Where the state lies, for people.
    pub state_dir: String,
    /// Where sockets of sessions are made.
    pub sockets_dir: PathBuf,
    /// Connections at the same time, over all sessions; one more is refused.
    pub connections_max: usize,
    /// True for a drill.
    pub drill: bool,
    /// Who may sign in, and how.
    pub people: PeopleParts,
    /// True where the engine is a process of its own.
    pub detached: bool,
    /// Why nothing may be opened, if nothing may: a broken configuration.
    pub problem: Option<Report>,
}

/// What may be reached and opened, as the configuration says.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The sites and targets.
    pub catalogue: Catalogue,
    /// What is allowed.
    pub policy: Policy,
    /// The providers, in the order of the configuration; none where it has no say in them.
    pub providers: Option<Vec<ProviderSettings>>,
    /// The identity providers, in the order of the configuration.
    pub idps: Vec<IdpSettings>,
}

/// Makes providers out of settings: it knows the concrete ones.
pub trait BuildProviders: Send + Sync + 'static {
    /// Makes a provider. Where a key is given it is used in the place of the one in the vault.
    fn build(&self, settings: &ProviderSettings, key: Option<&Secret>) -> Arc<dyn Provider>;

    /// Makes a provider of which only the kind is known, enough to take back what one of its name
    /// has made; none where that takes more.
    fn bare(&self, id: &ProviderId, kind: ProviderKind) -> Option<Arc<dyn Provider>>;
}

/// Where settings are kept over a restart.
pub trait KeepSettings: Send + Sync + 'static {
    /// Keeps that a provider is switched on or off.
    ///
    /// # Errors
    ///
    /// When it cannot be kept; nothing is changed then.
    fn provider_enabled(&self, provider: &ProviderId, enabled: bool) -> Result<(), Report>;

    /// Keeps the settings of a provider, in the place of those of the same name.
    ///
    /// # Errors
    ///
    /// When they cannot be kept; nothing is changed then.
    fn put_provider(&self, settings: &ProviderSettings) -> Result<(), Report>;

    /// Forgets the settings of a provider, and takes it out of the order of every site.
    ///
    /// # Errors
    ///
    /// When they cannot be taken out; nothing is changed then.
    fn remove_provider(&self, provider: &ProviderId) -> Result<(), Report>;

    /// Keeps the settings of an identity provider, in the place of those of the same name.
    ///
    /// # Errors
    ///
    /// When they cannot be kept; nothing is changed then.
    fn put_idp(&self, settings: &IdpSettings) -> Result<(), Report>;

    /// Forgets the settings of an identity provider.
    ///
    /// # Errors
    ///
    /// When they cannot be taken out; nothing is changed then.
    fn remove_idp(&self, idp: &IdpId) -> Result<(), Report>;

    /// Reads the configuration again, where it has changed since it was last read.
    fn changed(&self) -> Option<Result<Rules, Report>>;
}

/// The rules in force.
#[derive(Clone)]
pub(super) struct InForce {
    pub catalogue: Catalogue,
    pub policy: Policy,
    pub idps: Vec<IdpSettings>,
    /// Why nothing may be opened, if nothing may.
    pub problem: Option<Report>,
}

/// What every part of the engine may use. Cheap to share, never changed but for what guards itself.
pub(super) struct Shared {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    rules: RwLock<Arc<InForce>>,
    pub providers: Providers,
    pub launcher: Arc<dyn Launcher>,
    pub settings: Arc<dyn KeepSettings>,
    pub installation: InstallationId,
    pub operator: Operator,
    pub host: String,
    pub state_dir: String,
    pub sockets_dir: PathBuf,
    pub drill: bool,
    pub people: People,
    pub detached: bool,
    pub doors: Doors,
    pub started_at: Timestamp,
    watched: AtomicBool,
    /// The short ids of the sessions that may have made something and are not over.
    living: Mutex<BTreeSet<String>>,
}

impl Shared {
    pub fn new(parts: EngineParts, clock: Clock, kept: Kept) -> Arc<Self> {
        let started_at = clock.now();
        Arc::new(Self {
            store: parts.store,
            clock,
            rules: RwLock::new(Arc::new(InForce {
                catalogue: parts.catalogue,
                policy: parts.policy,
                idps: parts.idps,
                problem: parts.problem,
            })),
            providers: Providers::new(parts.providers, parts.builder),
            launcher: parts.launcher,
            settings: parts.settings,
            installation: parts.installation,
            operator: parts.operator,
            host: crate::domain::text::shown(&parts.host),
            state_dir: parts.state_dir,
            sockets_dir: parts.sockets_dir,
            drill: parts.drill,
            people: People::new(parts.people, kept, parts.drill),
            detached: parts.detached,
            doors: Doors::new(parts.connections_max),
            started_at,
            watched: AtomicBool::new(false),
            living: Mutex::default(),
        })
    }

    /// True while some face listens; counters are looked at only then.
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    pub fn set_watched(&self, watched: bool) {
        self.watched.store(watched, Ordering::Relaxed);
    }

    /// Notes that a session may make something from here on.
    pub fn lives(&self, session: SessionId) {
        self.living.lock().unwrap_or_else(PoisonError::into_inner).insert(session.short());
    }

    /// Notes that a session is over, and that all it made was seen gone.
    pub fn is_over(&self, session: SessionId) {
        self.living.lock().unwrap_or_else(PoisonError::into_inner).remove(&session.short());
    }

    /// True where what bears this mark is ours and belongs to no living session.
    pub fn is_orphan(&self, marker: &Marker) -> bool {
        let living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        marker.installation == self.installation && !living.contains(&marker.session)
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<InForce> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in a configuration that has changed; `None` where it has not. A broken one blocks
    /// opening until it is mended.
    pub fn refresh(&self) -> Option<Result<(), Report>> {
        let changed = self.settings.changed()?;
        let (next, taken_in) = match changed {
            Ok(Rules { catalogue, policy, providers, idps }) => {
                if let Some(providers) = providers {
                    self.providers.take(providers);
                }
                (InForce { catalogue, policy, idps, problem: None }, Ok(()))
            }
            Err(report) => {
                let now = self.rules();
                let InForce { catalogue, policy, idps, .. } = (*now).clone();
                (InForce { catalogue, policy, idps, problem: Some(report.clone()) }, Err(report))
            }
        };
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Some(taken_in)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where the caller sat, for the audit.
    pub fn source(&self, origin: &Origin) -> Source {
        let clean = |text: &Option<String>| text.as_deref().map(crate::domain::text::shown);
        Source {
            host: Some(self.host.clone()),
            ip: clean(&origin.remote),
            tty: clean(&origin.tty),
            uid: Some(origin.uid),
        }
    }

    /// Who calls: what the kernel says of them, and who is signed in there.
    ///
    /// Where the use of a sign-in should be written down again, it is returned too.
    pub fn caller(&self, origin: &Origin, token: Option<&Token>) -> (Caller, Option<SignIn>) {
        let shown = token.and_then(|token| self.people.use_token(token, origin, self.now()));
        let source = self.source(origin);
        let unix = || self.unix_user(origin);
        match shown {
            _ if self.drill => {
                (Caller { operator: unix(), source, standing: Standing::Drill }, None)
            }
            Some(Shown { hash, operator, to_save }) => {
                (Caller { operator, source, standing: Standing::SignedIn(hash) }, to_save)
            }
            None => (Caller { operator: unix(), source, standing: self.people.nobody() }, None),
        }
    }

    /// The UNIX user who calls: in personal mode the one whose engine this is.
    pub fn unix_user(&self, origin: &Origin) -> Operator {
        if origin.uid == self.operator.uid {
            self.operator.clone()
        } else {
            Operator::unix(origin.uid, format!("uid {}", origin.uid))
        }
    }

    /// False where somebody acts by a sign-in that is over.
    pub fn may_still_act(&self, who: &Who) -> bool {
        who.sign_in.as_ref().is_none_or(|hash| self.people.lasts(hash, self.now()))
    }

    /// A new session's id.
    pub fn session_id(&self) -> SessionId {
        let mut random = [0; 10];
        // Without randomness the clock still tells sessions apart.
        if getrandom::fill(&mut random).is_err() {
            tracing::warn!("no randomness for a session id");
        }
        SessionId::new(self.now(), random)
    }
}

/// Who gave an order, and where they sat.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub actor: Actor,
    pub source: Source,
    /// The person, where it was one.
    pub operator: Option<Operator>,
    /// The sign-in by which they act, by the hash of its token.
    pub sign_in: Option<String>,
}

impl Who {
    pub fn engine() -> Self {
        Self { actor: Actor::engine(), source: Source::default(), operator: None, sign_in: None }
    }
}

impl From<&Caller> for Who {
    fn from(caller: &Caller) -> Self {
        Self {
            actor: Actor::person(caller.operator.clone()),
            source: caller.source.clone(),
            operator: Some(caller.operator.clone()),
            sign_in: match &caller.standing {
                Standing::SignedIn(hash) => Some(hash.clone()),
                Standing::Drill | Standing::Nobody { .. } => None,
            },
        }
    }
}

/// How long activation may take before it is given up.
pub(super) const ACTIVATION_MAX: Span = Span::from_minutes(10);

/// The latest instant at which anything that a session makes may still be needed.
pub(super) fn needed_until(requested_at: Timestamp, lease_max: Span) -> Timestamp {
    requested_at + ACTIVATION_MAX + lease_max
}

/// What an operator reads when the store says no.
#[must_use]
pub fn store_report(error: &StoreError) -> Report {
    let hint = match error {
        StoreError::Full { .. } => "free some space; sessions end as they should meanwhile",
        StoreError::ReadOnly { .. } => "make the state directory writable for this user",
        StoreError::Damaged { .. } | StoreError::Newer { .. } => {
            "breakglass doctor says what is there; nothing was overwritten"
        }
        StoreError::Gap { .. } | StoreError::Io { .. } | StoreError::Closed => "breakglass doctor",
    };
    Report::of(Kind::Unavailable, error).hint(hint)
}

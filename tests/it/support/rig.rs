//! An engine on a store in memory, with a real target on loopback.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use breakglass::domain::catalogue::Catalogue;
use breakglass::domain::connect::EndpointAddress;
use breakglass::domain::id::{IdpId, InstallationId, ProviderId, SessionId};
use breakglass::domain::identity_provider::IdpSettings;
use breakglass::domain::operator::Operator;
use breakglass::domain::policy::{OnPathLoss, Policy};
use breakglass::domain::provider::{ProviderSettings, ProviderSetup};
use breakglass::domain::request::{OpenRequest, TargetChoice};
use breakglass::domain::role::Role;
use breakglass::domain::target::{Address, TargetKind};
use breakglass::domain::time::Span;
use breakglass::engine::{
    BuildProviders, Engine, EngineParts, Installed, KeepSettings, Parcel, PeopleParts, Rules,
    Running,
};
use breakglass::error::Report;
use breakglass::launcher::Launcher;
use breakglass::protocol::{Command, Event, Reply, SessionState, SessionView, Subscription};
use breakglass::provider::Provider;
use breakglass::provider::direct::Direct;
use breakglass::vault::Vault;
use breakglass::vault::memory::MemoryVault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::memory_store::MemoryStore;
use super::outside::Nothing;
use super::people::{self, OWNER, ToldSso, account};

/// A store, and how to start engines on it.
pub struct Rig {
    pub store: Arc<MemoryStore>,
    pub providers: Vec<Arc<dyn Provider>>,
    pub sso: ToldSso,
    pub idps: Vec<IdpSettings>,
    /// What makes further providers, and starts things.
    pub builder: Arc<dyn BuildProviders>,
    /// Starts things inside sites.
    pub launcher: Arc<dyn Launcher>,
    /// The vault.
    pub vault: Arc<dyn Vault>,
    /// True where its process is there for it alone.
    pub detached: bool,
    /// The sites and targets.
    pub catalogue: Catalogue,
    /// What the configuration says of providers; nothing until somebody writes there.
    pub kept: Arc<Mutex<Option<Vec<ProviderSettings>>>>,
    /// What the configuration has become since it was last read.
    written: Arc<Mutex<Option<Vec<IdpSettings>>>>,
    sockets: tempfile::TempDir,
}

impl Rig {
    /// One with the provider Direct.
    pub fn new() -> Self {
        let direct: Arc<dyn Provider> = Arc::new(Direct::new("direct".parse().unwrap()));
        Self::with(vec![direct])
    }

    /// One with these providers.
    pub fn with(providers: Vec<Arc<dyn Provider>>) -> Self {
        let store = Arc::new(MemoryStore::default());
        let (sso, sockets) = (ToldSso::default(), tempfile::tempdir().unwrap());
        Self {
            store,
            providers,
            sso,
            idps: vec![],
            builder: Arc::new(Nothing),
            launcher: Arc::new(Nothing),
            vault: Arc::new(MemoryVault::default()),
            detached: false,
            catalogue: Catalogue::default(),
            kept: Arc::default(),
            written: Arc::default(),
            sockets,
        }
    }

    /// Somebody has changed the identity providers in the configuration.
    pub fn reconfigure(&self, idps: Vec<IdpSettings>) {
        *self.written.lock().unwrap() = Some(idps);
    }

    /// Starts an engine on the store, at whose handle an Owner is signed in.
    pub async fn start(&self) -> Running {
        self.start_with(Parcel::pack(vec![])).await
    }

    /// Starts an engine that takes over what another one handed over.
    pub async fn start_with(&self, parcel: Parcel) -> Running {
        let token = people::sign_in(&*self.store, &account(OWNER, Role::Owner)).await;
        let mut running = self.start_for_nobody(parcel).await;
        running.handle = running.handle.signed_in(Some(token));
        running
    }

    /// Starts an engine at whose handle nobody is signed in.
    pub async fn start_for_nobody(&self, parcel: Parcel) -> Running {
        let installed = |provider: &Arc<dyn Provider>| Installed {
            settings: None,
            provider: Arc::clone(provider),
            enabled: true,
            default: true,
        };
        let store: Arc<MemoryStore> = Arc::clone(&self.store);
        let parts = EngineParts {
            store,
            catalogue: self.catalogue.clone(),
            policy: policy(),
            idps: self.idps.clone(),
            people: PeopleParts { vault: self.vault.clone(), ..people::parts(&self.sso) },
            providers: self.providers.iter().map(installed).collect(),
            builder: Arc::clone(&self.builder),
            launcher: Arc::clone(&self.launcher),
            settings: Arc::new(Forgets {
                idps: self.idps.clone(),
                catalogue: self.catalogue.clone(),
                kept: Arc::clone(&self.kept),
                written: Arc::clone(&self.written),
            }),
            installation: InstallationId::from_random([1, 2, 3, 4, 5, 6]),
            operator: Operator::unix(rustix::process::getuid().as_raw(), "ana"),
            host: "jump\u{1b}[2J".into(),
            state_dir: "/state".into(),
            sockets_dir: self.sockets.path().to_owned(),
            connections_max: 4_096,
            drill: false,
            detached: self.detached,
            problem: None,
        };
        Engine::start(parts, parcel.unpack()).await.unwrap()
    }
}

/// Keeps identity providers in memory; what is switched is switched for this engine.
struct Forgets {
    idps: Vec<IdpSettings>,
    catalogue: Catalogue,
    kept: Arc<Mutex<Option<Vec<ProviderSettings>>>>,
    written: Arc<Mutex<Option<Vec<IdpSettings>>>>,
}

impl KeepSettings for Forgets {
    fn provider_enabled(&self, _: &ProviderId, _: bool) -> Result<(), Report> {
        Ok(())
    }

    fn put_provider(&self, settings: &ProviderSettings) -> Result<(), Report> {
        self.remove_provider(&settings.id)?;
        self.kept.lock().unwrap().get_or_insert_with(with_direct).push(settings.clone());
        Ok(())
    }

    fn remove_provider(&self, gone: &ProviderId) -> Result<(), Report> {
        let mut kept = self.kept.lock().unwrap();
        kept.get_or_insert_with(with_direct).retain(|settings| settings.id != *gone);
        *self.written.lock().unwrap() = Some(self.idps.clone());
        Ok(())
    }

    fn put_idp(&self, settings: &IdpSettings) -> Result<(), Report> {
        let mut idps = self.idps.clone();
        idps.retain(|idp| idp.id != settings.id);
        idps.push(settings.clone());
        *self.written.lock().unwrap() = Some(idps);
        Ok(())
    }

    fn remove_idp(&self, gone: &IdpId) -> Result<(), Report> {
        let idps = self.idps.iter().filter(|idp| idp.id != *gone).cloned().collect();
        *self.written.lock().unwrap() = Some(idps);
        Ok(())
    }

    fn changed(&self) -> Option<Result<Rules, Report>> {
        let idps = self.written.lock().unwrap().take()?;
        let (catalogue, providers) = (self.catalogue.clone(), self.kept.lock().unwrap().clone());
        Some(Ok(Rules { catalogue, policy: policy(), providers, idps }))
    }
}

/// What a configuration says of providers that names none.
fn with_direct() -> Vec<ProviderSettings> {
    let (id, setup) = ("direct".parse().unwrap(), ProviderSetup::Direct);
    vec![ProviderSettings { id, setup, enabled: true, default: false }]
}

fn policy() -> Policy {
    Policy {
        duration_max: Span::from_minutes(60),
        duration_default: Span::from_minutes(30),
        reason_pattern: None,
        ad_hoc_targets: true,
        idle: None,
        on_path_loss: OnPathLoss::default(),
    }
}

/// Asks for a session on an address, with the reason `INC-1`.
pub fn request(address: &Address) -> OpenRequest {
    let (address, kind) = (address.clone(), TargetKind::Tcp);
    let target = TargetChoice::AdHoc { address, kind, site: None };
    OpenRequest { target, reason: "INC-1".into(), duration: None, agreed: false }
}

/// Opens a session and waits until it is Active.
pub async fn open_active(engine: &Running, address: &Address) -> SessionView {
    let mut faces = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(address))).await);
    until(&mut faces, opened.id, SessionState::Active).await
}

/// Waits until a session is in a state.
pub async fn until(faces: &mut Subscription, id: SessionId, state: SessionState) -> SessionView {
    until_view(faces, id, |view| view.state == state).await
}

/// Waits until a session looks as wanted.
pub async fn until_view(
    faces: &mut Subscription,
    id: SessionId,
    wanted: impl Fn(&SessionView) -> bool,
) -> SessionView {
    let known = faces.snapshot.sessions.iter().find(|view| view.id == id);
    if let Some(view) = known.filter(|view| wanted(view)) {
        return view.clone();
    }
    loop {
        match faces.events.recv().await.expect("the engine goes on telling") {
            Event::Session(view) if view.id == id && wanted(&view) => return *view,
            _ => {}
        }
    }
}

/// The session in an answer.
pub fn session(answer: Result<Reply, Report>) -> SessionView {
    match answer.unwrap() {
        Reply::Session(view) => *view,
        other => panic!("expected a session, got {other:?}"),
    }
}

/// Connects to the endpoint of an Active session.
pub async fn connect(view: &SessionView) -> TcpStream {
    match view.endpoint.as_ref().expect("an Active session listens") {
        EndpointAddress::Loopback { port } => {
            TcpStream::connect(("127.0.0.1", *port)).await.unwrap()
        }
        EndpointAddress::Unix { path } => panic!("listens on {path}"),
    }
}

/// Sends a line through a connection and expects it back.
pub async fn echo(stream: &mut TcpStream, line: &str) {
    stream.write_all(line.as_bytes()).await.unwrap();
    let mut back = vec![0; line.len()];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(String::from_utf8(back).unwrap(), line);
}

/// A real target: sends back whatever comes.
pub struct EchoTarget {
    pub address: Address,
    _tasks: JoinSet<()>,
}

impl EchoTarget {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                clients.spawn(async move {
                    let (mut reader, mut writer) = client.split();
                    tokio::io::copy(&mut reader, &mut writer).await.ok();
                });
            }
        });
        Self { address, _tasks: tasks }
    }
}

/// An address that nobody listens on.
pub async fn nobody_there() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Address::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap()
}

/// What each of these sessions' lines of a map say.
pub fn providers_by_id(reply: Reply) -> BTreeMap<String, bool> {
    match reply {
        Reply::Providers(views) => {
            views.into_iter().map(|view| (view.id.to_string(), view.enabled)).collect()
        }
        other => panic!("expected providers, got {other:?}"),
    }
}

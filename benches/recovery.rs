//! A start with 1,000 open journals: until every session was looked at and is open again, or gone.
//!
//! Run it with `cargo bench --bench recovery`.
#![expect(clippy::print_stdout, reason = "a figure on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakglass::domain::catalogue::Catalogue;
use breakglass::domain::id::{IdpId, InstallationId, ProviderId};
use breakglass::domain::identity_provider::IdpSettings;
use breakglass::domain::operator::Operator;
use breakglass::domain::policy::Policy;
use breakglass::domain::request::{OpenRequest, TargetChoice};
use breakglass::domain::target::{Address, TargetKind};
use breakglass::domain::time::Span;
use breakglass::engine::{
    Engine, EngineParts, Installed, KeepSettings, PeopleParts, Rules, Running,
};
use breakglass::error::Report;
use breakglass::http::{Http, Limits, Trust};
use breakglass::identity::hashing::HashParameters;
use breakglass::identity::oidc::Oidc;
use breakglass::protocol::{Command, Event, Mode, SessionState};
use breakglass::provider::direct::Direct;
use breakglass::store::sqlite::SqliteStore;
use breakglass::vault::memory::MemoryVault;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error>>;

const SESSIONS: usize = 1_000;

fn main() -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(run())
}

async fn run() -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = Address::new("127.0.0.1", listener.local_addr()?.port())?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { while listener.accept().await.is_ok() {} });

    let mut engine = start(state.path()).await?;
    let begun = Instant::now();
    open_all(&engine, &address).await?;
    println!("{SESSIONS} sessions opened, all at once, in {:.2?}", begun.elapsed());
    engine.control.stop().await;
    engine.finished().await;

    let mut rounds = vec![];
    for _ in 0..5 {
        let begun = Instant::now();
        let mut engine = start(state.path()).await?;
        until_open(&engine, SESSIONS).await?;
        rounds.push(begun.elapsed());
        engine.control.stop().await;
        engine.finished().await;
    }
    rounds.sort_unstable();
    let median = rounds.get(rounds.len() / 2).copied().unwrap_or(Duration::ZERO);
    println!("{SESSIONS} open journals taken up, median of 5: {median:.2?}");
    Ok(())
}

async fn open_all(engine: &Running, address: &Address) -> Outcome<()> {
    let mut opening = JoinSet::new();
    for _ in 0..SESSIONS {
        let (handle, address) = (engine.handle.clone(), address.clone());
        opening.spawn(async move {
            let target = TargetChoice::AdHoc { address, kind: TargetKind::Tcp, site: None };
            let request = OpenRequest { target, reason: "bench".into(), duration: None };
            handle.call(Command::Open(request)).await.map(drop)
        });
    }
    while let Some(opened) = opening.join_next().await {
        opened??;
    }
    until_open(engine, SESSIONS).await
}

async fn until_open(engine: &Running, wanted: usize) -> Outcome<()> {
    let mut faces = engine.handle.subscribe().await?;
    let mut open = BTreeMap::new();
    for view in &faces.snapshot.sessions {
        open.insert(view.id, view.state == SessionState::Active && view.endpoint.is_some());
    }
    while open.values().filter(|open| **open).count() < wanted {
        match faces.events.recv().await {
            Some(Event::Session(view)) => {
                open.insert(view.id, view.state == SessionState::Active && view.endpoint.is_some());
            }
            Some(_) => {}
            // A burst may be more than a face can take: it starts again from a snapshot.
            None => return Box::pin(until_open(engine, wanted)).await,
        }
    }
    Ok(())
}

async fn start(state: &Path) -> Outcome<Running> {
    let store = SqliteStore::open(state).await?;
    let parts = EngineParts {
        store: Arc::new(store),
        catalogue: Catalogue::default(),
        policy: Policy {
            duration_max: Span::from_minutes(60),
            duration_default: Span::from_minutes(30),
            reason_pattern: None,
            ad_hoc_targets: true,
            idle: None,
        },
        providers: vec![Installed {
            provider: Arc::new(Direct::new("direct".parse()?)),
            enabled: true,
            default: false,
        }],
        settings: Arc::new(Forgets),
        installation: InstallationId::from_random([1; 6]),
        operator: Operator::unix(rustix::process::getuid().as_raw(), "bench"),
        host: "bench".into(),
        state_dir: state.to_string_lossy().into_owned(),
        sockets_dir: state.to_owned(),
        connections_max: 4_096,
        // Nobody signs in to a bench; sessions are taken up the same way.
        drill: true,
        idps: vec![],
        people: PeopleParts {
            mode: Mode::Personal,
            hashing: HashParameters::default(),
            sso: Arc::new(Oidc::new(Http::new(Trust::default(), Limits::default()))),
            vault: Arc::new(MemoryVault::default()),
            boot_id: "bench".into(),
        },
        detached: false,
        problem: None,
    };
    Ok(Engine::start(parts, BTreeMap::new()).await?)
}

struct Forgets;

impl KeepSettings for Forgets {
    fn put_idp(&self, _: &IdpSettings) -> Result<(), Report> {
        Ok(())
    }

    fn remove_idp(&self, _: &IdpId) -> Result<(), Report> {
        Ok(())
    }

    fn provider_enabled(&self, _: &ProviderId, _: bool) -> Result<(), Report> {
        Ok(())
    }

    fn changed(&self) -> Option<Result<Rules, Report>> {
        None
    }
}

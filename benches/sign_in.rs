//! What signing in by password costs beyond the hash: rule, throttle, two durable writes, audit.
//!
//! `cargo bench --bench sign_in`. Compared in one run with the hash alone, in turns, so that both
//! meet the same machine.
#![expect(clippy::print_stdout, reason = "a figure on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakglass::domain::catalogue::Catalogue;
use breakglass::domain::id::{IdpId, InstallationId, ProviderId};
use breakglass::domain::identity_provider::IdpSettings;
use breakglass::domain::operator::Operator;
use breakglass::domain::policy::Policy;
use breakglass::domain::secret::Secret;
use breakglass::domain::time::Span;
use breakglass::engine::{Engine, EngineParts, KeepSettings, PeopleParts, Rules, Running};
use breakglass::error::Report;
use breakglass::http::{Http, Limits, Trust};
use breakglass::identity::hashing::{HashParameters, hash, verify};
use breakglass::identity::oidc::Oidc;
use breakglass::identity::password::Password;
use breakglass::protocol::{Command, Mode, SignInAsk};
use breakglass::store::sqlite::SqliteStore;
use breakglass::vault::memory::MemoryVault;

type Outcome<T> = Result<T, Box<dyn Error>>;

const EMAIL: &str = "ana@example.com";
const PASSWORD: &str = "pelican orbit walnut seven";
const TURNS: usize = 40;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(compare())
}

async fn compare() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let engine = start(dir.path()).await?;
    let (email, password) = (EMAIL.parse()?, Secret::new(PASSWORD));
    engine.handle.call(Command::SignIn(SignInAsk::Init { email, password })).await?;
    let typed = Password::typed(&Secret::new(PASSWORD))?;
    let kept = hash(HashParameters::default(), &typed, [7; 16])?;
    let (mut alone, mut whole) = (vec![], vec![]);
    for _ in 0..TURNS {
        let start = Instant::now();
        let right = verify(&kept, &typed)?;
        alone.push(start.elapsed());
        assert!(right, "the hash is the password's");
        let (email, password) = (EMAIL.parse()?, Secret::new(PASSWORD));
        let start = Instant::now();
        engine.handle.call(Command::SignIn(SignInAsk::Password { email, password })).await?;
        whole.push(start.elapsed());
    }
    let (alone, whole) = (median(alone), median(whole));
    println!("the hash alone, median         {alone:>9.1?}");
    println!("a sign-in by password, median  {whole:>9.1?}");
    println!("beyond the hash                {:>9.1?}", whole.saturating_sub(alone));
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

async fn start(state: &std::path::Path) -> Outcome<Running> {
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
        idps: vec![],
        providers: vec![],
        settings: Arc::new(Forgets),
        installation: InstallationId::from_random([1; 6]),
        operator: Operator::unix(rustix::process::getuid().as_raw(), "bench"),
        host: "bench".into(),
        state_dir: state.to_string_lossy().into_owned(),
        sockets_dir: state.to_owned(),
        connections_max: 4_096,
        drill: false,
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
    fn provider_enabled(&self, _: &ProviderId, _: bool) -> Result<(), Report> {
        Ok(())
    }

    fn put_idp(&self, _: &IdpSettings) -> Result<(), Report> {
        Ok(())
    }

    fn remove_idp(&self, _: &IdpId) -> Result<(), Report> {
        Ok(())
    }

    fn changed(&self) -> Option<Result<Rules, Report>> {
        None
    }
}

//! What signing in by password costs beyond the hash: rule, throttle, two durable writes, audit.
//!
//! `cargo bench --bench sign_in`. Compared in one run with the hash alone, in turns, so that both
//! meet the same machine.
#![expect(clippy::print_stdout, reason = "a figure on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use breakglass::domain::secret::Secret;
use breakglass::engine::{Engine, EngineParts};
use breakglass::identity::hashing::{HashParameters, hash, verify};
use breakglass::identity::password::Password;
use breakglass::protocol::{Command, SignInAsk};

mod kit;

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
    let engine = Engine::start(
        EngineParts { drill: false, ..kit::parts(dir.path(), vec![]).await? },
        BTreeMap::new(),
    )
    .await?;
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

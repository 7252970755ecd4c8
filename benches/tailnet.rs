//! What a session on a tailnet costs: its activation beside the longest chain of calls that depend
//! on each other, and the list of a large tailnet.
//!
//! The control server is ours, on loopback; each of its calls takes 50 ms in the first table. The
//! router joins at once, and this side's node is played: what is measured is the provider. The large
//! tailnet is served by a process of its own, so that memory is the client's alone. Run it with
//! `cargo bench --bench tailnet`.

#![expect(clippy::print_stdout, reason = "a table on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::Span;
use breakglass::provider::Provider as _;
use breakglass::provider::pace::HostPace;
use breakglass::session::PlannedStep;

use self::activation::Opens;
use self::support::hurry::Hurry;
use self::support::launching::installation;
use self::support::orders::order;
use self::support::plans::START;
use self::support::tailnet::around::{Played, TAGS, Wish};
use self::support::tailnet::{Tailnet, TailnetServer};

#[path = "shared/activation.rs"]
mod activation;
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests"
)]
#[path = "../tests/it/support/mod.rs"]
mod support;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 9;
const CALL: Span = Span::from_millis(50);
const MANY: usize = 10_000;
const SERVE: &str = "serve-a-large-tailnet";

impl Opens for Played {
    fn plan(&self) -> Vec<PlannedStep> {
        self.plan()
    }

    fn note(&self, number: usize, artifact: Option<Artifact>) {
        self.note(number, artifact);
    }
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    if std::env::args().any(|word| word == SERVE) {
        return runtime.block_on(serve());
    }
    runtime.block_on(activations())?;
    runtime.block_on(listing())
}

/// A session, from its first step to its last.
async fn activations() -> Outcome<()> {
    println!("{:<34} {:>12} {:>12}", "activation, 50 ms a call", "median", "calls in it");
    for (name, edit_policy) in [("as it is", false), ("with an edit of the policy file", true)] {
        let mut times = vec![];
        let mut chain = 0;
        for _ in 0..ROUNDS {
            let (server, played, _dir) = session(edit_policy).await?;
            chain = activation::longest(&played, || server.calls()).await?;
            let (server, played, _dir) = session(edit_policy).await?;
            server.delay_calls(CALL);
            let start = Instant::now();
            activation::open(&Arc::new(played)).await?;
            times.push(start.elapsed());
        }
        println!("{name:<34} {:>12} {:>12}", millis(median(&mut times)), "");
        let least = CALL.to_std() * u32::try_from(chain)?;
        println!("{:<34} {:>12} {chain:>12}", "  longest chain of calls", millis(least));
    }
    Ok(())
}

async fn session(edit_policy: bool) -> Outcome<(TailnetServer, Played, tempfile::TempDir)> {
    let mut tailnet = Tailnet::new(START);
    tailnet.write_policy(TAGS);
    let key = tailnet.api_token("ann@example.com");
    let server = TailnetServer::start(tailnet).await;
    let dir = tempfile::Builder::new().prefix("bg").tempdir_in("/tmp")?;
    let pace = Hurry::new(&server.model);
    let wish = Wish { edit_policy, ..Wish::new(&server.url, &key) };
    let played = Played::new(wish, &server.model, &pace, dir.path(), order([7; 10]));
    Ok((server, played.waiting(Arc::new(HostPace)), dir))
}

/// The list of a large tailnet.
async fn listing() -> Outcome<()> {
    let program = std::env::current_exe()?;
    let mut child =
        Command::new(program).arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut line = || -> Outcome<String> { Ok(said.next().ok_or("it has ended")??) };
    let (url, key) = (line()?, line()?);
    let dir = tempfile::tempdir()?;
    let wish = Wish { bytes_max: 64 * 1024 * 1024, ..Wish::new(&url, &key) };
    let wish = Wish { patience: Span::from_seconds(30), ..wish };
    let provider = wish.provider(dir.path(), Arc::new(HostPace));
    provider.list(&installation()).await.ok();
    let before = memory("VmRSS")?;
    let mut times = vec![];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let found = provider.list(&installation()).await?;
        times.push(start.elapsed());
        if found.len() != 1 {
            return Err(format!("{} found", found.len()).into());
        }
    }
    let (after, most) = (memory("VmRSS")?, memory("VmHWM")?);
    println!("\nlist of {MANY} devices: median {}", millis(median(&mut times)));
    println!("memory: {before} kB before, {after} kB after {ROUNDS} lists, {most} kB at the most");
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}

/// Serves a large tailnet until nobody wants it any more.
async fn serve() -> Outcome<()> {
    let mut tailnet = Tailnet::new(START);
    for number in 1..MANY {
        tailnet.resident(&format!("host-{number}"), &["tag:server"], &["10.9.0.0/16"]);
    }
    tailnet.resident(&order([7; 10]).marker.to_string(), &["tag:breakglass-router"], &[]);
    let key = tailnet.api_token("ann@example.com");
    let server = TailnetServer::start(tailnet).await;
    println!("{}\n{key}", server.url);
    tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await??;
    Ok(())
}

/// What the kernel says of this process, in kB.
fn memory(what: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).ok_or("no such line")?;
    Ok(number.parse()?)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

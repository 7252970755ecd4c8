//! What a session in a network of Twingate costs: its activation beside the longest chain of calls
//! that depend on each other.
//!
//! The network is ours, on loopback; each of its calls takes 50 ms. The connector is alive as soon as it
//! is started, and this host's client is played: what is measured is the provider. Run it with
//! `cargo bench --bench twingate`.

#![expect(clippy::print_stdout, reason = "a table on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::Span;
use breakglass::provider::Provider as _;
use breakglass::session::PlannedStep;

use self::activation::Opens;
use self::support::hurry::Hurry;
use self::support::orders::order;
use self::support::plans::START;
use self::support::twingate::around::{Client, GROUP, Played, Wish};
use self::support::twingate::{Level, Twingate, TwingateServer};

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

impl Opens for Played {
    fn plan(&self) -> Vec<PlannedStep> {
        self.plan()
    }

    fn note(&self, number: usize, artifact: Option<Artifact>) {
        self.note(number, artifact);
    }
}

fn main() -> Outcome<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut times = vec![];
        let mut chain = 0;
        for _ in 0..ROUNDS {
            let (server, played, _client) = session().await;
            chain = activation::longest(&played, || server.calls()).await?;
            let (server, played, _client) = session().await;
            // Where the network's region is was found out when it was looked at first.
            played.provider().check().await;
            server.delay_calls(CALL);
            let start = Instant::now();
            activation::open(&Arc::new(played)).await?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let least = CALL.to_std() * u32::try_from(chain)?;
        println!("activation, 50 ms a call: median {}", millis(median));
        println!("longest chain of calls:   {}, {chain} calls", millis(least));
        Ok(())
    })
}

async fn session() -> (TwingateServer, Played, Client) {
    let mut network = Twingate::new(START);
    let (key, group) = (network.key(Level::Provision), network.group(GROUP, 3));
    network.switches.alive_after_looks = 0;
    let server = TwingateServer::start(network).await;
    let client = Client::start(&server.model, &group).await;
    let pace = Hurry::new(&server.model);
    let wish = Wish::new(&server.url, &key, &client);
    let played = Played::new(wish, &server.model, &pace, order([7; 10]));
    (server, played, client)
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

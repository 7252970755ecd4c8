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

use breakglass::domain::request::{OpenRequest, TargetChoice};
use breakglass::domain::target::{Address, TargetKind};
use breakglass::engine::{Engine, Running};
use breakglass::protocol::{Command, Event, SessionState};
use breakglass::provider::direct::Direct;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

mod kit;

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
            let request =
                OpenRequest { target, reason: "bench".into(), duration: None, agreed: false };
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
    let direct = Arc::new(Direct::new("direct".parse()?));
    Ok(Engine::start(kit::parts(state, vec![direct]).await?, BTreeMap::new()).await?)
}

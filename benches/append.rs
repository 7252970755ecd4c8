//! How much an append costs beyond the fsync that it cannot do without.
//!
//! Raw fsyncs and appends take turns, so that both meet the same machine. The raw one appends a
//! journal line to a file in the same directory and waits until it is durable.
//!
//! Everything is measured twice: on the disk as it is, and on one that others keep busy. A writer
//! waits for its answer before it asks again, so that no more than all writers share an fsync; how
//! many times the raw rate they reach is then a question of how long the fsync takes.

#![expect(clippy::print_stdout, reason = "a bench tells a person what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock itself")]
#![expect(clippy::expect_used, reason = "a bench that cannot run has nothing to say")]

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use breakglass::domain::audit_event::{Actor, AuditDraft};
use breakglass::domain::id::SessionId;
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::ProviderKind;
use breakglass::domain::request::NetworkPath;
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{SessionState, SessionView, Traffic};
use breakglass::session::{Entry, Fact};
use breakglass::store::sqlite::SqliteStore;
use breakglass::store::{Batch, SessionChange, Store};
use tokio::task::JoinSet;

const ROUNDS: u64 = 2_000;
/// Fewer, since each takes long.
const ROUNDS_BUSY: u64 = 200;
/// How many threads keep the disk busy, and how many bytes each makes durable at once.
const BUSY_THREADS: usize = 4;
const BUSY_BYTES: usize = 4 * 1024 * 1024;
const WRITERS: u64 = 16;
/// How many lines a session has.
const LINES_EACH: u64 = 24;
const GROUP_TIME: Duration = Duration::from_secs(3);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    // In a task, as in the engine: what waits for the store is already on a worker.
    runtime.block_on(runtime.spawn(measure())).expect("the measurements");
}

async fn measure() {
    // Not the temporary directory: that may live in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let store = Arc::new(SqliteStore::open(dir.path()).await.expect("a store"));
    println!("the disk as it is");
    costs(dir.path(), &store, 1, ROUNDS).await;
    let busy = Busy::start(dir.path());
    println!("a disk that others keep busy");
    costs(dir.path(), &store, 1 << 32, ROUNDS_BUSY).await;
    busy.stop();
    store.close().await;
}

/// Measures everything once; sessions are numbered from `number`.
async fn costs(dir: &Path, store: &Arc<SqliteStore>, number: u64, rounds: u64) {
    let mut raw = File::create(dir.join("raw")).expect("a file");
    let line = serde_json::to_vec(&entry()).expect("a line");
    let mut session = Session::new(number);
    let mut fsyncs = Vec::new();
    let mut lines = Vec::new();
    let mut decisions = Vec::new();
    for _ in 0..rounds {
        if session.next >= LINES_EACH - 1 {
            session = Session::new(session.number + 1);
        }
        fsyncs.push(fsync(&mut raw, &line));
        lines.push(append(store, session.line(false)).await);
        fsyncs.push(fsync(&mut raw, &line));
        decisions.push(append(store, session.line(true)).await);
    }
    let raw_time = median(&mut fsyncs);
    report("write and fsync", raw_time, raw_time);
    report("journal line", median(&mut lines), raw_time);
    report("journal line and audit event", median(&mut decisions), raw_time);
    for with_audit in [false, true] {
        let first = number + (1 << if with_audit { 24 } else { 20 });
        let before = fsync_rate(&mut raw, &line, rounds / 4);
        let rate = group_rate(store, first, with_audit).await;
        let fsyncs = f64::midpoint(before, fsync_rate(&mut raw, &line, rounds / 4));
        let what = if with_audit { "line and event" } else { "line" };
        let ratio = rate / fsyncs;
        println!(
            "{WRITERS} writers, {what:<19} {rate:>9.0} /s  {ratio:.1} x {fsyncs:.0} fsyncs /s"
        );
    }
}

/// Threads that keep the disk busy.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    fn start(dir: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |number: usize| {
            let stop = Arc::clone(&stop);
            let mut file = File::create(dir.join(format!("busy-{number}"))).expect("a file");
            std::thread::spawn(move || {
                let bytes = vec![0x5a; BUSY_BYTES];
                while !stop.load(Ordering::Relaxed) {
                    file.rewind().expect("a seek");
                    fsync(&mut file, &bytes);
                }
            })
        };
        let threads = (0..BUSY_THREADS).map(start).collect();
        Self { stop, threads }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
    }
}

fn report(what: &str, time: Duration, of: Duration) {
    let ratio = time.as_secs_f64() / of.as_secs_f64();
    println!("{what:<31} {:>9.1} us  {ratio:.2} x raw", time.as_secs_f64() * 1e6);
}

/// Appends from all writers at once for a while, and returns how many a second became durable.
async fn group_rate(store: &Arc<SqliteStore>, first: u64, with_audit: bool) -> f64 {
    let start = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(store);
        writers.spawn(async move {
            let mut session = Session::new(first + writer);
            let mut appended = 0_u32;
            while start.elapsed() < GROUP_TIME {
                if session.next == LINES_EACH {
                    session = Session::new(session.number + WRITERS);
                }
                store.append(session.line(with_audit)).await.expect("an append");
                appended += 1;
            }
            appended
        });
    }
    let total: u32 = writers.join_all().await.into_iter().sum();
    f64::from(total) / start.elapsed().as_secs_f64()
}

fn fsync_rate(file: &mut File, line: &[u8], rounds: u64) -> f64 {
    let mut times: Vec<_> = (0..rounds).map(|_| fsync(file, line)).collect();
    1.0 / median(&mut times).as_secs_f64()
}

fn fsync(file: &mut File, line: &[u8]) -> Duration {
    let start = Instant::now();
    file.write_all(line).and_then(|()| file.sync_all()).expect("an fsync");
    start.elapsed()
}

async fn append(store: &SqliteStore, batch: Batch) -> Duration {
    let start = Instant::now();
    store.append(batch).await.expect("an append");
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn wall() -> Timestamp {
    Timestamp::from_millis(1_763_655_000_000)
}

fn entry() -> Entry {
    Entry {
        at: wall(),
        fact: Fact::UndoSent { step: 3, problem: Some("connection refused".into()) },
    }
}

/// A session that grows line by line.
struct Session {
    number: u64,
    view: SessionView,
    next: u64,
}

impl Session {
    fn new(number: u64) -> Self {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        let target = Target {
            id: "orders-db".parse().expect("a name"),
            name: "Orders database".into(),
            site: None,
            kind: TargetKind::Postgres,
            address: "orders.acme.internal:5432".parse().expect("an address"),
            reachability: Reachability::Direct,
            user: Some("support".into()),
            database: Some("orders".into()),
            listen: Listen::Loopback { port: None },
            idle: None,
            duration_max: None,
        };
        let view = SessionView {
            id: SessionId::new(wall(), random),
            state: SessionState::Active,
            target,
            path: NetworkPath {
                provider: "direct".parse().expect("a name"),
                kind: ProviderKind::Direct,
                why: "`orders.acme.internal:5432` answers from here".into(),
            },
            reason: "INC-4711: the nightly job hangs".into(),
            operator: Operator::unix(1_000, "ana"),
            requested_at: wall(),
            activated_at: Some(wall()),
            lease: Span::from_minutes(30),
            lease_max: Span::from_minutes(480),
            lease_ends_at: Some(wall()),
            ended_at: None,
            end_reason: None,
            end_detail: None,
            endpoint: None,
            command: Some("psql -h 127.0.0.1 -p 41000 -U support -d orders".into()),
            steps: vec![],
            receipt: vec![],
            exit_card: vec![],
            traffic: Traffic::default(),

            audience: vec![],
            path_lost: None,
            live: vec![],
            path_losses: vec![],
            drill: false,
        };
        Self { number, view, next: 0 }
    }

    fn line(&mut self, with_audit: bool) -> Batch {
        let first = self.next;
        self.next += 1;
        if self.next == LINES_EACH {
            self.view.state = SessionState::Ended;
        }
        let actor = Actor::person(self.view.operator.clone());
        let mut audit = vec![];
        if with_audit {
            let mut draft = AuditDraft::new("session.step.undone", "undid step 3", actor);
            draft.session = Some(self.view.id);
            draft.reason = Some(self.view.reason.clone());
            audit.push(draft);
        }
        Batch {
            session: Some(SessionChange {
                view: Box::new(self.view.clone()),
                first,
                entries: vec![entry()],
            }),
            audit,
            ..Batch::at(wall())
        }
    }
}

//! The program as an operator has it: in a terminal, with 10,000 targets and 10,000 past sessions.
//!
//! Each figure is a median over its rounds (a p99 where it says so). The terminal answers no query.
//! Run it with `cargo bench --bench program`.
#![expect(clippy::print_stdout, reason = "a table on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use breakglass::domain::id::SessionId;
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::ProviderKind;
use breakglass::domain::request::NetworkPath;
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{SessionState, SessionView, Traffic};
use breakglass::store::sqlite::SqliteStore;
use breakglass::store::{Batch, SessionChange, Store};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_breakglass");
const TARGETS: usize = 10_000;
const SESSIONS: usize = 10_000;
const STARTS: usize = 15;
const KEYS: usize = 300;
const OWNER: &str = "ana@example.com";
const PASSWORD: &str = "seven kettles under the bridge";
const IDLE: Duration = Duration::from_secs(10);

fn main() -> Outcome<()> {
    let home = tempfile::tempdir()?;
    prepare(home.path())?;
    println!("10,000 targets, 10,000 past sessions, 80x24, a terminal that answers no query");

    let hosted = median(STARTS, || first_frame(home.path(), Engine::InTheFace))?;
    println!("first frame, hosting the engine      {hosted:>9.1?}");
    let face = Face::start(home.path(), Engine::InTheFace)?;
    println!("RSS of screens that host the engine  {:>9} KiB", face.rss()?);
    face.quit()?;

    let target = std::net::TcpListener::bind("127.0.0.1:0")?;
    let engine = start_engine(home.path(), target.local_addr()?.port())?;
    let attached = median(STARTS, || first_frame(home.path(), Engine::Apart))?;
    println!("first frame, attached                {attached:>9.1?}");
    println!("RSS of the engine                    {:>9} KiB", rss(engine)?);

    let mut face = Face::start(home.path(), Engine::Apart)?;
    println!("RSS of attached screens              {:>9} KiB", face.rss()?);
    let keys = face.keys(b"j", KEYS)?;
    println!("cursor key to screen, p50            {:>9.1?}", keys.time(50));
    println!("cursor key to screen, p99            {:>9.1?}", keys.time(99));
    println!("bytes per cursor key                 {:>9}", keys.bytes(50));
    let tabs = face.keys(b"\t", 40)?;
    println!("bytes per tab change, at most        {:>9}", tabs.bytes(100));
    face.send(b"1")?;
    face.settle();
    let (bytes, wakes) = face.idle()?;
    println!("idle, nothing shown that counts down {bytes:>9} B in {IDLE:?}, {wakes} wake-ups");
    // The live session is the first row; the cursor went far below it.
    face.send(b"2g")?;
    face.settle();
    let (bytes, wakes) = face.idle()?;
    println!("idle, one countdown                  {bytes:>9} B in {IDLE:?}, {wakes} wake-ups");
    let before = switches(engine)?;
    thread::sleep(IDLE);
    println!(
        "engine, one session, a face          {:>9} wake-ups in {IDLE:?}",
        switches(engine)? - before
    );
    face.quit()?;
    verb(home.path(), &["end", "--all"])?;
    verb(home.path(), &["engine", "stop"])?;
    Ok(())
}

/// Makes the configuration, the past and the Owner, who is signed in where this program runs.
fn prepare(home: &Path) -> Outcome<()> {
    let config = home.join(".config/breakglass");
    std::fs::create_dir_all(&config)?;
    let mut text = String::new();
    for number in 0..TARGETS {
        writeln!(
            text,
            "[[target]]\nid = \"orders-db-{number:05}\"\nname = \"Orders {number}\"\n\
             kind = \"postgres\"\naddress = \"db-{number}.orders.internal:5432\"\nuser = \"ana\"\n"
        )?;
    }
    std::fs::write(config.join("config.toml"), text)?;
    let state = home.join(".local/state/breakglass");
    std::fs::create_dir_all(&state)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let store = std::sync::Arc::new(SqliteStore::open(&state).await?);
        let mut appends = JoinSet::new();
        for number in 0..SESSIONS {
            let (store, batch) = (std::sync::Arc::clone(&store), past(number)?);
            appends.spawn(async move { store.append(batch).await.map(drop) });
        }
        while let Some(appended) = appends.join_next().await {
            appended??;
        }
        store.close().await;
        Outcome::Ok(())
    })?;
    let password = format!("{PASSWORD}\n");
    verb_told(home, &["init", "--email", OWNER, "--password-stdin"], &password)?;
    verb(home, &["engine", "stop"])?;
    Ok(())
}

fn past(number: usize) -> Outcome<Batch> {
    let millis = 1_760_000_000_000 + i64::try_from(number).unwrap_or(0) * 60_000;
    let at = Timestamp::from_millis(millis);
    let mut random = [0; 10];
    for (place, byte) in random.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    random.reverse();
    let target = Target {
        id: format!("orders-db-{number:05}").parse()?,
        name: format!("Orders {number}"),
        site: None,
        kind: TargetKind::Postgres,
        address: "db.orders.internal:5432".parse()?,
        reachability: Reachability::Auto,
        user: Some("ana".into()),
        database: None,
        listen: Listen::Loopback { port: None },
        idle: None,
        duration_max: None,
    };
    let view = SessionView {
        id: SessionId::new(at, random),
        state: SessionState::Ended,
        target,
        path: NetworkPath {
            provider: "direct".parse()?,
            kind: ProviderKind::Direct,
            why: "the target answers from this host".into(),
        },
        reason: format!("INC-{number} slow queries"),
        operator: Operator::unix(1000, "ana"),
        requested_at: at,
        activated_at: Some(at),
        lease: Span::from_minutes(30),
        lease_max: Span::from_minutes(480),
        lease_ends_at: Some(at + Span::from_minutes(30)),
        ended_at: Some(at + Span::from_minutes(9)),
        end_reason: Some("ended-by-operator".into()),
        end_detail: None,
        endpoint: None,
        command: None,
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
    let change = SessionChange { view: Box::new(view), first: 0, entries: vec![] };
    Ok(Batch { session: Some(change), ..Batch::at(at) })
}

/// Opens a session, which starts an engine, and returns the engine's process.
fn start_engine(home: &Path, port: u16) -> Outcome<u32> {
    let address = format!("127.0.0.1:{port}");
    verb(home, &["open", "--address", &address, "--kind", "tcp", "--reason", "bench"])?;
    let status = verb(home, &["engine", "status", "--json"])?;
    let status: serde_json::Value = serde_json::from_slice(&status)?;
    let pid = status.pointer("/engine/pid").and_then(serde_json::Value::as_u64);
    Ok(u32::try_from(pid.ok_or("the engine has no process")?)?)
}

fn verb(home: &Path, arguments: &[&str]) -> Outcome<Vec<u8>> {
    verb_told(home, arguments, "")
}

/// Runs a verb with this on its standard input.
fn verb_told(home: &Path, arguments: &[&str], input: &str) -> Outcome<Vec<u8>> {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("the verb has no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }
}

/// The time from the start to a whole first frame.
fn first_frame(home: &Path, engine: Engine) -> Outcome<Duration> {
    let face = Face::start(home, engine)?;
    let took = face.first_frame;
    face.quit()?;
    Ok(took)
}

/// Where the engine is.
#[derive(Clone, Copy, PartialEq)]
enum Engine {
    /// In the process of the screens.
    InTheFace,
    /// In a process of its own, which runs already.
    Apart,
}

/// The screens in a terminal at which the Owner is signed in.
struct Face {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    first_frame: Duration,
    _terminal: Box<dyn MasterPty + Send>,
}

impl Face {
    fn start(home: &Path, engine: Engine) -> Outcome<Self> {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size)?;
        let program = |arguments: &[&str]| {
            let mut command = CommandBuilder::new(PROGRAM);
            command.args(arguments);
            command.env_clear();
            command.env("HOME", home);
            command.env("TERM", "xterm-256color");
            command.env("LANG", "C.UTF-8");
            command
        };
        let mut reader = pair.master.try_clone_reader()?;
        let mut writer = pair.master.take_writer()?;
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(count) = reader.read(&mut buffer) {
                let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                    return;
                };
                if sender.send(bytes.to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut login = pair.slave.spawn_command(program(&["login", "--email", OWNER]))?;
        let mut said = vec![];
        while !String::from_utf8_lossy(&said).contains("Password:") {
            said.extend(output.recv_timeout(Duration::from_secs(20))?);
        }
        write!(writer, "{PASSWORD}\r")?;
        if !login.wait()?.success() {
            return Err("nobody could sign in".into());
        }
        if engine == Engine::InTheFace {
            verb(home, &["engine", "stop"])?;
        }
        while output.recv_timeout(Duration::from_millis(50)).is_ok() {}
        let begun = Instant::now();
        let child = pair.slave.spawn_command(program(&[]))?;
        drop(pair.slave);
        let (rows, columns) =
            (NonZeroU16::MIN.saturating_add(23), NonZeroU16::MIN.saturating_add(79));
        let mut screen = vt100::Parser::new(rows, columns, 0);
        while !is_whole(&screen.screen().contents()) {
            screen.process(&output.recv_timeout(Duration::from_secs(20))?);
        }
        let first_frame = begun.elapsed();
        let face = Self { child, writer, output, first_frame, _terminal: pair.master };
        face.settle();
        Ok(face)
    }

    fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.writer.write_all(bytes)?;
        Ok(self.writer.flush()?)
    }

    /// Reads until nothing has come for a while; returns how many bytes came.
    fn settle(&self) -> usize {
        let mut bytes = 0;
        while let Ok(some) = self.output.recv_timeout(Duration::from_millis(150)) {
            bytes += some.len();
        }
        bytes
    }

    fn keys(&mut self, key: &[u8], count: usize) -> Outcome<Keys> {
        let mut keys = Keys::default();
        for _ in 0..count {
            let begun = Instant::now();
            self.send(key)?;
            let first = self.output.recv_timeout(Duration::from_secs(5))?;
            keys.times.push(begun.elapsed());
            let mut bytes = first.len();
            while let Ok(more) = self.output.recv_timeout(Duration::from_millis(15)) {
                bytes += more.len();
            }
            keys.sizes.push(bytes);
        }
        Ok(keys)
    }

    fn idle(&self) -> Outcome<(usize, u64)> {
        let pid = self.pid()?;
        let before = switches(pid)?;
        let end = Instant::now() + IDLE;
        let mut bytes = 0;
        loop {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(some) => bytes += some.len(),
                Err(RecvTimeoutError::Timeout) => return Ok((bytes, switches(pid)? - before)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn pid(&self) -> Outcome<u32> {
        Ok(self.child.process_id().ok_or("the screens have no process")?)
    }

    fn rss(&self) -> Outcome<u64> {
        rss(self.pid()?)
    }

    fn quit(mut self) -> Outcome<()> {
        self.send(b"q")?;
        thread::sleep(Duration::from_millis(50));
        // Where sessions live it asks; to leave them is the second answer.
        if self.child.try_wait()?.is_none() {
            self.send(b"\x1b[C\r")?;
        }
        self.child.wait()?;
        Ok(())
    }
}

fn is_whole(screen: &str) -> bool {
    screen.contains("Break-Glass Users") && screen.contains("help") && screen.contains("INC-9999")
        || screen.contains("bench") && screen.contains("help")
}

#[derive(Default)]
struct Keys {
    times: Vec<Duration>,
    sizes: Vec<usize>,
}

impl Keys {
    fn time(&self, percent: usize) -> Duration {
        at_percent(self.times.clone(), percent)
    }

    fn bytes(&self, percent: usize) -> usize {
        at_percent(self.sizes.clone(), percent)
    }
}

fn at_percent<T: Ord + Copy + Default>(mut values: Vec<T>, percent: usize) -> T {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get((values.len() * percent / 100).min(last)).copied().unwrap_or_default()
}

fn median(rounds: usize, mut round: impl FnMut() -> Outcome<Duration>) -> Outcome<Duration> {
    let times = (0..rounds).map(|_| round()).collect::<Outcome<Vec<_>>>()?;
    Ok(at_percent(times, 50))
}

fn rss(pid: u32) -> Outcome<u64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// How often the threads of a process have gone to sleep by themselves: one for each wake-up.
fn switches(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = thread?.path().join("status");
        sum += field(&status.to_string_lossy(), "voluntary_ctxt_switches:").unwrap_or(0);
    }
    Ok(sum)
}

fn field(path: &str, name: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
    let number = line.split_whitespace().next().ok_or("no number")?;
    Ok(number.parse()?)
}

//! A scripted engine behind a real handle, and a verb whose every printed line is kept.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use breakglass::cli::output::{Output, Terminal};
use breakglass::cli::signals::Caught;
use breakglass::cli::{self, Checked, ConfigDocs, Context, Engines, Host, Signals, Task};
use breakglass::domain::artifact::Marker;
use breakglass::domain::connect::{EndpointAddress, command_line};
use breakglass::domain::id::{InstallationId, SessionId};
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::{Health, ProviderKind};
use breakglass::domain::request::NetworkPath;
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    Call, Command, EngineHandle, EngineView, Event, ExitLine, Origin, PolicyView, ProviderView,
    ReceiptLine, Reply, SessionState, SessionView, Snapshot, StepProgress, StepView, Subscription,
    Traffic,
};

/// The instant of every test: 2025-11-20T16:10:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);

/// One thing that the engine does by itself.
pub enum Beat {
    /// It tells an event.
    Tell(Event),
    /// It closes the connection.
    Cut,
}

/// What the engine knows.
pub struct World {
    pub sessions: Vec<SessionView>,
    pub providers: Vec<ProviderView>,
    pub engine: EngineView,
    /// What happens from the next subscription on.
    pub later: VecDeque<Beat>,
    /// Every command that arrived.
    pub heard: Vec<Command>,
    /// It has left: nobody can attach any more.
    pub stopped: bool,
    listeners: Vec<mpsc::Sender<Event>>,
}

impl World {
    /// Answers as an engine does that has nothing special in mind.
    pub fn usual(&mut self, command: Command) -> Result<Reply, Report> {
        Ok(match command {
            Command::Status => Reply::Engine(Box::new(self.engine.clone())),
            Command::Providers => Reply::Providers(self.providers.clone()),
            Command::Find { text } => Reply::Sessions(
                self.sessions.iter().filter(|view| view.id.matches(&text)).cloned().collect(),
            ),
            Command::Sessions(query) => {
                let wanted = |view: &&SessionView| {
                    (query.ended || view.state.is_live())
                        && query.state.is_none_or(|state| state == view.state)
                };
                let limit = usize::try_from(query.limit).unwrap();
                Reply::Sessions(self.sessions.iter().filter(wanted).take(limit).cloned().collect())
            }
            other => {
                return Err(Report::new(Kind::Internal, format!("not in the script: {other:?}")));
            }
        })
    }

    /// Tells every listener that a session has changed.
    pub fn tell(&mut self, view: SessionView) {
        self.put(view.clone());
        for listener in &self.listeners {
            listener.try_send(Event::Session(Box::new(view.clone()))).unwrap();
        }
    }

    /// Changes a session without telling anybody.
    pub fn put(&mut self, view: SessionView) {
        self.sessions.retain(|known| known.id != view.id);
        self.sessions.insert(0, view);
    }

    /// Tells these sessions, in this order, once somebody listens.
    pub fn later(&mut self, views: impl IntoIterator<Item = SessionView>) {
        let tell = |view| Beat::Tell(Event::Session(Box::new(view)));
        self.later.extend(views.into_iter().map(tell));
    }

    fn subscribe(&mut self) -> Subscription {
        let (sender, events) = mpsc::channel(64);
        let snapshot = Snapshot {
            now: NOW,
            engine: self.engine.clone(),
            identity: breakglass::protocol::IdentityView::of_drill(),
            providers: self.providers.clone(),
            sessions: self.sessions.clone(),
            sessions_ended_total: 0,
            audit: vec![],
            reasons: vec![],
            policy: PolicyView {
                duration_max: Span::from_minutes(240),
                duration_default: Span::from_minutes(30),
                reason_pattern: None,
                ad_hoc_targets: true,
            },
            targets_total: 2,
        };
        let mut cut = false;
        while let Some(beat) = self.later.pop_front() {
            match beat {
                Beat::Tell(event) => {
                    if let Event::Session(view) = &event {
                        self.put((**view).clone());
                    }
                    sender.try_send(event).unwrap();
                }
                Beat::Cut => {
                    cut = true;
                    break;
                }
            }
        }
        if !cut {
            self.listeners.push(sender);
        }
        Subscription { snapshot: Box::new(snapshot), events }
    }
}

type Answer = dyn FnMut(&mut World, Command) -> Result<Reply, Report> + Send;

/// A command line, an engine behind it, and a person who watches.
pub struct Cli {
    world: World,
    answer: Box<Answer>,
    terminal: Terminal,
    config: FakeConfig,
    host: Host,
    reflexes: Vec<(&'static str, Caught)>,
    stdout_fault: Option<io::ErrorKind>,
    runs: bool,
}

/// An engine that answers as usual.
pub fn usual() -> Cli {
    engine(World::usual)
}

/// An engine that answers by `answer`.
pub fn engine(
    answer: impl FnMut(&mut World, Command) -> Result<Reply, Report> + Send + 'static,
) -> Cli {
    Cli {
        world: World {
            sessions: vec![],
            providers: vec![provider()],
            engine: engine_view(),
            later: VecDeque::new(),
            heard: vec![],
            stopped: false,
            listeners: vec![],
        },
        answer: Box::new(answer),
        terminal: Terminal { unicode: true, ..Terminal::default() },
        config: FakeConfig::default(),
        host: Host::default(),
        reflexes: vec![],
        stdout_fault: None,
        runs: true,
    }
}

impl Cli {
    pub fn knowing(mut self, sessions: impl IntoIterator<Item = SessionView>) -> Self {
        self.world.sessions.extend(sessions);
        self
    }

    pub fn world(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }

    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = terminal;
        self
    }

    pub fn config(mut self, config: FakeConfig) -> Self {
        self.config = config;
        self
    }

    pub fn host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// A signal is sent as soon as this text was printed.
    pub fn on(mut self, text: &'static str, caught: Caught) -> Self {
        self.reflexes.push((text, caught));
        self
    }

    pub fn stdout_fails(mut self, kind: io::ErrorKind) -> Self {
        self.stdout_fault = Some(kind);
        self
    }

    pub fn without_engine(mut self) -> Self {
        self.runs = false;
        self
    }

    /// Runs a command line and returns what a person sees.
    pub async fn run(self, arguments: &[&str]) -> Ran {
        let (sent, received) = mpsc::unbounded_channel();
        let screen = Arc::new(Mutex::new(Screen { lines: vec![], reflexes: self.reflexes, sent }));
        let paper = |name, fault| Box::new(Paper { name, fault, screen: Arc::clone(&screen) });
        let mut arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        arguments.insert(0, "breakglass".into());
        let mut out = Output::new(
            paper("out", self.stdout_fault),
            paper("err", None),
            self.terminal,
            cli::args::format(&arguments),
        );
        let mut server = JoinSet::new();
        let (calls, incoming) = mpsc::channel(16);
        let world = Arc::new(Mutex::new(self.world));
        server.spawn(serve(incoming, Arc::clone(&world), self.answer));
        let engines = FakeEngines { calls, runs: self.runs, world: Arc::clone(&world) };
        let code = match cli::args::parse(arguments, &mut out) {
            Err(code) => code,
            Ok(invocation) => {
                let mut signals = FakeSignals { received, listening: vec![] };
                let mut context = Context {
                    engines: &engines,
                    config: &self.config,
                    signals: &mut signals,
                    out,
                    wall: || NOW,
                    host: self.host,
                };
                let result = match invocation.task {
                    Task::Verb(verb) => cli::run(verb, &mut context).await,
                    Task::Screens => cli::plain::run(&mut context).await,
                    other => panic!("{other:?} is for the program, not for the command line"),
                };
                result.unwrap_or_else(|report| context.out.report(&report))
            }
        };
        let mut screen = screen.lock().unwrap();
        assert!(screen.reflexes.is_empty(), "never printed: {:?}", screen.reflexes);
        let lines = std::mem::take(&mut screen.lines);
        let heard = std::mem::take(&mut world.lock().unwrap().heard);
        Ran { code, lines, heard }
    }
}

/// What a person has seen.
pub struct Ran {
    pub code: u8,
    lines: Vec<(&'static str, String)>,
    pub heard: Vec<Command>,
}

impl Ran {
    /// Standard output alone.
    pub fn stdout(&self) -> String {
        let of = |(name, text): &(&str, String)| (*name == "out").then(|| text.clone());
        self.lines.iter().filter_map(of).collect()
    }

    /// Standard error alone.
    pub fn stderr(&self) -> String {
        let of = |(name, text): &(&str, String)| (*name == "err").then(|| text.clone());
        self.lines.iter().filter_map(of).collect()
    }

    /// Standard output as JSON documents.
    pub fn documents(&self) -> Vec<serde_json::Value> {
        self.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit {}", self.code)?;
        for (name, text) in &self.lines {
            for line in text.lines() {
                writeln!(f, "{}", format!("{name}| {line}").trim_end())?;
            }
        }
        Ok(())
    }
}

async fn serve(
    mut incoming: mpsc::Receiver<Call>,
    world: Arc<Mutex<World>>,
    mut answer: Box<Answer>,
) {
    while let Some(call) = incoming.recv().await {
        let mut world = world.lock().unwrap();
        match call {
            Call::Command { command, reply, .. } => {
                world.heard.push(command.clone());
                let _ = reply.send(answer(&mut world, command));
            }
            Call::Subscribe { reply, .. } => {
                let _ = reply.send(world.subscribe());
            }
        }
    }
}

struct FakeEngines {
    calls: mpsc::Sender<Call>,
    runs: bool,
    world: Arc<Mutex<World>>,
}

#[async_trait]
impl Engines for FakeEngines {
    async fn attach_or_start(&self) -> Result<EngineHandle, Report> {
        Ok(EngineHandle::new(self.calls.clone(), Origin::default()))
    }

    async fn attach(&self) -> Result<Option<EngineHandle>, Report> {
        let handle = EngineHandle::new(self.calls.clone(), Origin::default());
        let stopped = self.world.lock().unwrap().stopped;
        Ok((self.runs && !stopped).then_some(handle))
    }
}

struct FakeSignals {
    received: mpsc::UnboundedReceiver<Caught>,
    listening: Vec<Caught>,
}

#[async_trait]
impl Signals for FakeSignals {
    fn listen(&mut self, which: &[Caught]) -> Result<(), Report> {
        self.listening.extend(which);
        Ok(())
    }

    async fn next(&mut self) -> Caught {
        if self.listening.is_empty() {
            std::future::pending::<()>().await;
        }
        let caught = self.received.recv().await.unwrap();
        assert!(self.listening.contains(&caught), "nobody listens for {caught:?}");
        caught
    }
}

struct Screen {
    lines: Vec<(&'static str, String)>,
    reflexes: Vec<(&'static str, Caught)>,
    sent: mpsc::UnboundedSender<Caught>,
}

struct Paper {
    name: &'static str,
    fault: Option<io::ErrorKind>,
    screen: Arc<Mutex<Screen>>,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.fault {
            return Err(io::Error::from(kind));
        }
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let mut screen = self.screen.lock().unwrap();
        if let Some((on, caught)) = screen.reflexes.first().copied()
            && text.contains(on)
        {
            screen.reflexes.remove(0);
            screen.sent.send(caught).unwrap();
        }
        screen.lines.push((self.name, text));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A configuration that is what a test says.
pub struct FakeConfig {
    pub text: String,
    pub checked: Result<Checked, Report>,
}

impl Default for FakeConfig {
    fn default() -> Self {
        let checked = Checked { found: true, sites: 1, targets: 2, providers: 1 };
        Self { text: "[policy]\nduration-max = \"4h\"\n".into(), checked: Ok(checked) }
    }
}

impl ConfigDocs for FakeConfig {
    fn path(&self) -> PathBuf {
        "/home/ana/.config/breakglass/config.toml".into()
    }

    fn example(&self) -> &'static str {
        "# What is allowed.\n[policy]\nduration-max = \"4h\"\n"
    }

    fn show(&self, origin: bool) -> Result<String, Report> {
        self.checked.clone()?;
        Ok(if origin {
            self.text.replace("\"\n", "\" # config.toml:2\n")
        } else {
            self.text.clone()
        })
    }

    fn check(&self) -> Result<Checked, Report> {
        self.checked.clone()
    }
}

/// The session `55667788`, or another one, in a state.
pub fn session(state: SessionState) -> SessionView {
    session_with([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa], state)
}

pub fn session_with(random: [u8; 10], state: SessionState) -> SessionView {
    let id = SessionId::new(NOW, random);
    let target = target();
    let endpoint = EndpointAddress::Loopback { port: 41_000 };
    let active = state == SessionState::Active;
    let over = matches!(state, SessionState::Ended | SessionState::CleanupOwed);
    let ends = over || state == SessionState::Ending;
    let began = ends || active;
    let lease = Span::from_minutes(30);
    SessionView {
        id,
        state,
        path: NetworkPath {
            provider: "direct".parse().unwrap(),
            kind: ProviderKind::Direct,
            why: "db.internal:5432 answers from here".into(),
        },
        reason: "INC-42 slow queries".into(),
        operator: Operator::unix(1_000, "ana"),
        requested_at: NOW,
        activated_at: began.then_some(NOW),
        lease,
        lease_max: Span::from_minutes(240),
        lease_ends_at: began.then_some(NOW + lease),
        ended_at: (state == SessionState::Ended).then_some(NOW + Span::from_minutes(10)),
        end_reason: ends.then(|| "ended-by-operator".to_owned()),
        end_detail: None,
        command: active.then(|| command_line(&target, &endpoint)),
        endpoint: active.then_some(endpoint),
        steps: steps(state),
        receipt: receipt(state),
        exit_card: exit_card(id, state),
        traffic: Traffic::default(),
        drill: false,
        target,
    }
}

pub fn step(label: &str, progress: StepProgress) -> StepView {
    let begun = !matches!(progress, StepProgress::Waiting | StepProgress::Skipped);
    StepView {
        label: label.into(),
        progress,
        detail: None,
        started_at: begun.then_some(NOW),
        finished_at: None,
        tries: if progress == StepProgress::Owed { 3 } else { 0 },
    }
}

fn steps(state: SessionState) -> Vec<StepView> {
    let (first, second) = match state {
        SessionState::Pending => (StepProgress::Waiting, StepProgress::Waiting),
        SessionState::Activating => (StepProgress::Applied, StepProgress::Applying),
        SessionState::Active => (StepProgress::Applied, StepProgress::Applied),
        SessionState::Ending => (StepProgress::Applied, StepProgress::Undoing),
        SessionState::Ended => (StepProgress::Gone, StepProgress::Gone),
        SessionState::CleanupOwed => (StepProgress::Owed, StepProgress::Gone),
    };
    vec![step("reach db.internal:5432", first), step("listen on 127.0.0.1", second)]
}

fn receipt(state: SessionState) -> Vec<ReceiptLine> {
    let gone = (state == SessionState::Ended).then_some(NOW + Span::from_minutes(10));
    match state {
        SessionState::Pending | SessionState::Activating => vec![],
        _ => vec![ReceiptLine {
            artifact: "listener 127.0.0.1:41000".into(),
            made_at: NOW,
            gone_at: gone,
        }],
    }
}

fn exit_card(id: SessionId, state: SessionState) -> Vec<ExitLine> {
    if state != SessionState::CleanupOwed {
        return vec![];
    }
    let marker = Marker::new(&installation(), id, NOW);
    vec![ExitLine {
        artifact: format!("device {marker}"),
        tried: "3 times; the provider answers 503".into(),
        commands: vec![format!("tailscale-admin delete {marker}")],
    }]
}

fn target() -> Target {
    Target {
        id: "orders-db".parse().unwrap(),
        name: "Orders".into(),
        site: Some("acme".parse().unwrap()),
        kind: TargetKind::Postgres,
        address: "db.internal:5432".parse().unwrap(),
        reachability: Reachability::Auto,
        user: Some("ana".into()),
        database: Some("orders".into()),
        listen: Listen::Loopback { port: None },
        idle: None,
        duration_max: None,
    }
}

pub fn provider() -> ProviderView {
    ProviderView {
        id: "direct".parse().unwrap(),
        kind: ProviderKind::Direct,
        label: "Direct".into(),
        enabled: true,
        health: Health::Healthy,
        checked_at: Some(NOW - Span::from_seconds(90)),
        latency_millis: Some(1),
        sessions: 1,
        keep: Some("Direct is built in; it can be disabled".into()),
        about: "a plain TCP connection from this host".into(),
    }
}

fn installation() -> InstallationId {
    InstallationId::from_random([0, 1, 2, 29, 30, 31])
}

pub fn engine_view() -> EngineView {
    EngineView {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: 4_242,
        detached: true,
        started_at: NOW - Span::from_minutes(90),
        installation: installation(),
        operator: Operator::unix(1_000, "ana"),
        host: "jump1".into(),
        state_dir: "/home/ana/.local/state/breakglass".into(),
        drill: false,
        faces: 1,
        wall_offset_millis: 0,
        alarms: vec![],
    }
}

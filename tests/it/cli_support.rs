//! A scripted engine behind a real handle, and a verb whose every printed line is kept.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use breakglass::cli::output::{Output, Terminal};
use breakglass::cli::signals::Caught;
use breakglass::cli::{self, AtStdin, Context, Host, Person, ProcessSignals, Signals, Task};
use breakglass::domain::artifact::Marker;
use breakglass::domain::connect::{EndpointAddress, command_line};
use breakglass::domain::id::{InstallationId, SessionId};
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::{Health, ProviderKind};
use breakglass::domain::request::NetworkPath;
use breakglass::domain::sign_in::Token;
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::domain::vault::{Backend, VaultState, VaultStatus};
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    Call, Command, EngineView, Event, ExitLine, IdentityView, IdpAsk, OperatorView, OperatorsAsk,
    OperatorsView, PolicyView, ProviderView, ReceiptLine, Reply, SessionState, SessionView,
    SignInAsk, Snapshot, StepProgress, StepView, Subscription, Traffic, VaultAsk,
};

use crate::cli_fakes::{
    FakeConfig, FakeEngines, FakeKeeper, FakePerson, FakeSignals, Paper, Screen,
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
    pub identity: IdentityView,
    pub operators: Vec<OperatorView>,
    pub vault: VaultStatus,
    /// What happens from the next subscription on.
    pub later: VecDeque<Beat>,
    /// Every command that arrived.
    pub heard: Vec<Command>,
    /// What came beside each.
    pub tokens: Vec<Option<Token>>,
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
            Command::SignIn(SignInAsk::Whoami) => Reply::Me(self.identity.me.clone().map(Box::new)),
            Command::SignIn(SignInAsk::Logout) => Reply::Done,
            Command::Operators(OperatorsAsk::List { filter, limit, offset }) => {
                self.operators(filter.as_deref().unwrap_or(""), limit, offset)
            }
            Command::Idp(IdpAsk::List) => Reply::IdentityProviders(self.identity.idps.clone()),
            Command::Vault(VaultAsk::Status) => Reply::Vault(self.vault.clone()),
            other => {
                return Err(Report::new(Kind::Internal, format!("not in the script: {other:?}")));
            }
        })
    }

    fn operators(&self, filter: &str, limit: u32, offset: u32) -> Reply {
        let matches = |view: &&OperatorView| {
            view.email.as_str().contains(filter) || view.role.as_str().eq_ignore_ascii_case(filter)
        };
        let matching: Vec<_> = self.operators.iter().filter(matches).cloned().collect();
        let (offset, limit) = (usize::try_from(offset).unwrap(), usize::try_from(limit).unwrap());
        Reply::Operators(OperatorsView {
            total: self.operators.len() as u64,
            matching: matching.len() as u64,
            operators: matching.into_iter().skip(offset).take(limit.min(1_000)).collect(),
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
            identity: self.identity.clone(),
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
                    match &event {
                        Event::Session(view) => self.put((**view).clone()),
                        Event::Identity(view) => self.identity = (**view).clone(),
                        Event::SignedOut { .. } => self.identity.me = None,
                        _ => {}
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
    /// What a person at a terminal types; none where there is no terminal.
    typed: Option<VecDeque<&'static str>>,
    piped: Vec<u8>,
    keeps: bool,
    token: Option<Token>,
    mute: fn(&Command) -> bool,
    real: bool,
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
            identity: IdentityView::of_drill(),
            operators: vec![],
            vault: VaultStatus {
                backend: Backend::File,
                state: VaultState::Open,
                detail: "/home/ana/.local/state/breakglass/vault".into(),
                names: vec![],
            },
            later: VecDeque::new(),
            heard: vec![],
            tokens: vec![],
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
        typed: None,
        piped: vec![],
        keeps: true,
        token: None,
        mute: |_| false,
        real: false,
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

    /// Somebody sits at a terminal and answers with these lines; `^C` is Ctrl-C.
    pub fn typing(mut self, lines: impl IntoIterator<Item = &'static str>) -> Self {
        self.typed = Some(lines.into_iter().collect());
        self
    }

    /// Standard input is a pipe with this in it.
    pub fn piping(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.piped = bytes.into();
        self
    }

    /// Such commands are heard and never answered.
    pub fn mute_at(mut self, mute: fn(&Command) -> bool) -> Self {
        self.mute = mute;
        self
    }

    /// The person and the signals are those of this process.
    pub fn at_this_terminal(mut self) -> Self {
        self.real = true;
        self
    }

    /// Somebody is signed in at this terminal already.
    pub fn holding(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// A sign-in cannot be kept.
    pub fn keeping_nothing(mut self) -> Self {
        self.keeps = false;
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
        let keeper = FakeKeeper { keeps: self.keeps, kept: Mutex::default() };
        let mut server = JoinSet::new();
        let (calls, incoming) = mpsc::channel(16);
        let world = Arc::new(Mutex::new(self.world));
        server.spawn(serve(incoming, Arc::clone(&world), self.answer, self.mute));
        let engines =
            FakeEngines { calls, runs: self.runs, token: self.token, world: Arc::clone(&world) };
        let code = match cli::args::parse(arguments, &mut out) {
            Err(code) => code,
            Ok(invocation) => {
                let mut signals: Box<dyn Signals> =
                    Box::new(FakeSignals { received, listening: vec![] });
                let mut person: Box<dyn Person> = Box::new(FakePerson {
                    typed: self.typed,
                    piped: self.piped,
                    screen: Arc::clone(&screen),
                });
                if self.real {
                    signals = Box::new(ProcessSignals::default());
                    person = Box::new(AtStdin { sequences: true });
                }
                let mut context = Context {
                    engines: &engines,
                    config: &self.config,
                    signals: &mut *signals,
                    person: &mut *person,
                    sign_in: &keeper,
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
        let kept = keeper.kept.into_inner().unwrap();
        let tokens = std::mem::take(&mut world.lock().unwrap().tokens);
        Ran { code, lines, heard, kept, tokens }
    }
}

/// What a person has seen.
pub struct Ran {
    pub code: u8,
    lines: Vec<(&'static str, String)>,
    pub heard: Vec<Command>,
    /// Each sign-in that was kept, and `None` for each time one was forgotten.
    pub kept: Vec<Option<Token>>,
    /// What came beside each command.
    pub tokens: Vec<Option<Token>>,
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
    mute: fn(&Command) -> bool,
) {
    let mut unanswered = vec![];
    while let Some(call) = incoming.recv().await {
        let mut world = world.lock().unwrap();
        match call {
            Call::Command { command, token, reply, .. } => {
                world.heard.push(command.clone());
                world.tokens.push(token);
                if mute(&command) {
                    unanswered.push(reply);
                } else {
                    let _ = reply.send(answer(&mut world, command));
                }
            }
            Call::Subscribe { reply, .. } => {
                let _ = reply.send(world.subscribe());
            }
        }
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

        audience: vec![],
        path_lost: None,
        live: vec![],
        path_losses: vec![],
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
        limit: None,
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
        words: None,
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
        settings: None,
        validation: None,
        errors: vec![],
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

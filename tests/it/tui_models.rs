//! Models by name: every screen that is worth looking at, made from messages alone.

use breakglass::domain::audit_event::{Actor, AuditDraft, AuditEvent, Object, Outcome, Source};
use breakglass::domain::connect::{EndpointAddress, command_line};
use breakglass::domain::id::{InstallationId, SessionId};
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::{Health, ProviderKind};
use breakglass::domain::request::NetworkPath;
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::error::Report;
use breakglass::protocol::{
    EngineView, ExitLine, PathView, PolicyView, ProviderView, ReceiptLine, Reply, SessionState,
    SessionView, Snapshot, StepProgress, StepView, TargetView, Traffic,
};
use breakglass::tui::keymap::Key;
use breakglass::tui::look::{Colours, Glyphs, Look, Multiplexer};
use breakglass::tui::model::Model;
use breakglass::tui::msg::{Effect, Msg, Purpose};
use breakglass::tui::update::update;
use jiff::tz::TimeZone;

/// 20 November 2025, 16:10 UTC.
pub const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);

/// The usual look.
pub const LOOK: Look = Look {
    colours: Colours::Ansi16,
    glyphs: Glyphs::Full,
    mouse: false,
    multiplexer: Multiplexer::None,
};

pub fn operator() -> Operator {
    Operator::unix(1_000, "ana")
}

pub fn engine() -> EngineView {
    EngineView {
        version: "0.1.0".into(),
        pid: 4_711,
        detached: false,
        started_at: NOW - Span::from_minutes(90),
        installation: InstallationId::from_random([0, 1, 2, 29, 30, 31]),
        operator: operator(),
        host: "jump-1".into(),
        state_dir: "/var/lib/breakglass".into(),
        drill: false,
        faces: 1,
        wall_offset_millis: 0,
        alarms: vec![],
    }
}

pub fn policy() -> PolicyView {
    PolicyView {
        duration_max: Span::from_minutes(240),
        duration_default: Span::from_minutes(30),
        reason_pattern: None,
        ad_hoc_targets: true,
    }
}

pub fn provider(id: &str, label: &str, health: Health) -> ProviderView {
    let direct = id == "direct";
    ProviderView {
        id: id.parse().unwrap(),
        kind: if direct { ProviderKind::Direct } else { ProviderKind::Simulated },
        label: label.into(),
        enabled: true,
        health,
        checked_at: Some(NOW - Span::from_seconds(95)),
        latency_millis: Some(if direct { 1 } else { 84 }),
        sessions: u32::from(direct),
        keep: direct.then(|| "Direct is built in; it can be switched off, not removed".into()),
        about: if direct {
            "Connects from this host by plain TCP; needs no key.".into()
        } else {
            "A temporary subnet router in the site, joined with a single-use key.".into()
        },
        settings: None,
        validation: None,
        errors: vec![],
    }
}

pub fn providers() -> Vec<ProviderView> {
    vec![
        provider("direct", "Direct", Health::Healthy),
        provider(
            "acme-tailnet",
            "Tailscale",
            Health::Degraded { why: "the key expires in 3 days".into() },
        ),
        provider(
            "acme-twingate",
            "Twingate",
            Health::Down { why: "401: the key is revoked".into() },
        ),
    ]
}

pub fn target(name: &str, kind: TargetKind, port: u16) -> Target {
    Target {
        id: name.parse().unwrap(),
        name: name.into(),
        site: Some("acme-prod".parse().unwrap()),
        kind,
        address: format!("{name}.acme.internal:{port}").parse().unwrap(),
        reachability: Reachability::Auto,
        user: Some("oncall".into()),
        database: (kind == TargetKind::Postgres).then(|| "orders".into()),
        listen: Listen::Loopback { port: None },
        idle: None,
        duration_max: None,
    }
}

pub fn session_id(number: u8) -> SessionId {
    SessionId::new(NOW, [number; 10])
}

fn step(
    label: &str,
    progress: StepProgress,
    millis: Option<u64>,
    detail: Option<&str>,
) -> StepView {
    let begun = !matches!(progress, StepProgress::Waiting | StepProgress::Skipped);
    let started_at = begun.then(|| NOW - Span::from_seconds(4));
    StepView {
        label: label.into(),
        progress,
        detail: detail.map(Into::into),
        started_at,
        finished_at: started_at.zip(millis).map(|(at, took)| at + Span::from_millis(took)),
        tries: 0,
        limit: None,
    }
}

fn receipt(artifact: &str, gone: Option<u64>) -> ReceiptLine {
    ReceiptLine {
        artifact: artifact.into(),
        made_at: NOW - Span::from_minutes(29),
        gone_at: gone.map(|seconds| NOW - Span::from_seconds(seconds)),
    }
}

/// An Active session that has lost its path and makes it again.
pub fn session_without_path(number: u8, name: &str) -> SessionView {
    let mut view = session(number, name, SessionState::Active);
    let why = "bastion.acme closed the connection";
    view.path_lost = Some(format!("ssh connection lost: {why}; being made again, try 2"));
    view.audience = vec![
        "every process of the user breakglass on jump-1".into(),
        "nobody else, as far as bastion.acme tells".into(),
    ];
    view.steps.insert(0, step("connect to bastion.acme", StepProgress::Applying, None, Some(why)));
    view
}

/// A session in a state, with everything that belongs to that state.
pub fn session(number: u8, name: &str, state: SessionState) -> SessionView {
    let target = target(name, TargetKind::Postgres, 5_432);
    let direct = !name.starts_with("billing");
    let path = NetworkPath {
        provider: if direct { "direct" } else { "acme-tailnet" }.parse().unwrap(),
        kind: if direct { ProviderKind::Direct } else { ProviderKind::Simulated },
        why: if direct {
            "answers from this host in 3 ms".into()
        } else {
            "does not answer from this host; first provider of acme-prod".into()
        },
    };
    let mut view = SessionView {
        id: session_id(number),
        state,
        target,
        path,
        reason: "INC-42 orders are stuck in the queue".into(),
        operator: operator(),
        requested_at: NOW - Span::from_minutes(2 + u64::from(number)),
        activated_at: None,
        lease: Span::from_minutes(30),
        lease_max: Span::from_minutes(240),
        lease_ends_at: None,
        ended_at: None,
        end_reason: None,
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
    dress(&mut view);
    view
}

fn dress(view: &mut SessionView) {
    use StepProgress::{Applied, Applying, Gone, Owed, Undoing, Waiting};
    let reach = "reach the target";
    let listen = "listen on 127.0.0.1";
    match view.state {
        SessionState::Pending => view.steps = vec![step(reach, Waiting, None, None)],
        SessionState::Activating => {
            view.steps = vec![
                step("make a single-use key", Applied, Some(310), None),
                step(
                    "start a router in acme-prod",
                    Applying,
                    None,
                    Some("waits for the router to join"),
                ),
                step("approve its route", Waiting, None, None),
                step(listen, Waiting, None, None),
            ];
        }
        SessionState::Active => {
            open(view);
            view.steps =
                vec![step(reach, Applied, Some(3), None), step(listen, Applied, Some(1), None)];
            view.receipt = vec![receipt("listener 127.0.0.1:41000", None)];
        }
        SessionState::Ending => {
            view.end_reason = Some("ended-by-operator".into());
            view.steps = vec![step(reach, Gone, Some(2), None), step(listen, Undoing, None, None)];
            view.receipt = vec![receipt("listener 127.0.0.1:41000", None)];
        }
        SessionState::Ended => {
            view.end_reason = Some("lease-expired".into());
            view.activated_at = Some(view.requested_at);
            view.ended_at = Some(NOW - Span::from_seconds(30));
            view.steps = vec![step(reach, Gone, Some(2), None), step(listen, Gone, Some(1), None)];
            view.receipt = vec![receipt("listener 127.0.0.1:41000", Some(30))];
        }
        SessionState::CleanupOwed => {
            view.end_reason = Some("lease-expired".into());
            view.steps = vec![
                step("make a single-use key", Gone, Some(120), None),
                step("start a router in acme-prod", Owed, None, Some("tried 4 times: 503")),
                step(listen, Gone, Some(1), None),
            ];
            view.receipt = vec![
                receipt("auth key bg-abc567-07070707-691f3d58", Some(40)),
                receipt("device bg-abc567-07070707-691f3d58", None),
                receipt("listener 127.0.0.1:41000", Some(41)),
            ];
            view.exit_card = vec![ExitLine {
                artifact: "device bg-abc567-07070707-691f3d58".into(),
                tried: "deleted 4 times; each time 503 Service Unavailable".into(),
                commands: vec![
                    "tailscale-admin device rm bg-abc567-07070707-691f3d58".into(),
                    "ssh router.acme 'systemctl stop bg-abc567-07070707-691f3d58'".into(),
                ],
                words: None,
            }];
        }
    }
}

fn open(view: &mut SessionView) {
    let endpoint = EndpointAddress::Loopback { port: 41_000 };
    view.command = Some(command_line(&view.target, &endpoint));
    view.endpoint = Some(endpoint);
    view.activated_at = Some(view.requested_at);
    view.lease_ends_at = Some(NOW + Span::from_seconds(28 * 60 + 14));
    view.traffic = Traffic {
        bytes_up: 3_174,
        bytes_down: 12_902,
        connections_open: 2,
        connections_total: 12,
        refused: 0,
    };
}

pub fn audit_event(seq: u64, kind: &str, description: &str) -> AuditEvent {
    let mut draft = AuditDraft::new(kind, description, Actor::person(operator()));
    draft.object =
        Some(Object { kind: "target".into(), id: "orders-db".into(), name: "orders-db".into() });
    draft.reason = Some("INC-42 orders are stuck in the queue".into());
    draft.session = Some(session_id(1));
    draft.source = Source {
        host: Some("jump-1".into()),
        ip: Some("203.0.113.9".into()),
        tty: Some("pts/3".into()),
        uid: Some(1_000),
    };
    if kind.ends_with("refused") {
        draft.outcome = Outcome::Failure;
    }
    AuditEvent {
        seq,
        id: format!("019aa1b2-0000-7000-8000-{seq:012}"),
        time: (NOW - Span::from_seconds(600 - seq.min(600))).to_rfc3339(),
        event: draft,
        prev: "0f".repeat(32),
        hash: "a7".repeat(32),
    }
}

pub fn audit() -> Vec<AuditEvent> {
    [
        ("engine.started", "the engine started"),
        ("session.requested", "ana asked for orders-db for 30m"),
        ("session.activating", "opening a path to orders-db by direct"),
        ("session.activated", "orders-db is open at 127.0.0.1:41000"),
        ("session.connection.opened", "a connection was opened"),
        ("session.connection.refused", "a connection of uid 1001 was refused"),
        ("session.extended", "ana made orders-db run for 45m"),
    ]
    .into_iter()
    .zip(1..)
    .map(|((kind, description), seq)| audit_event(seq, kind, description))
    .collect()
}

pub fn snapshot(sessions: Vec<SessionView>) -> Snapshot {
    let ended = sessions.iter().filter(|session| !session.state.is_live()).count();
    Snapshot {
        now: NOW,
        engine: engine(),
        identity: breakglass::protocol::IdentityView::of_drill(),
        providers: providers(),
        sessions,
        sessions_ended_total: u64::try_from(ended).unwrap(),
        audit: audit(),
        reasons: vec!["INC-42 orders are stuck in the queue".into(), "INC-41 slow".into()],
        policy: policy(),
        targets_total: 6,
    }
}

pub fn targets() -> Vec<TargetView> {
    [
        ("orders-db", TargetKind::Postgres, 5_432),
        ("orders-cache", TargetKind::Redis, 6_379),
        ("billing-db", TargetKind::Mysql, 3_306),
        ("k8s", TargetKind::Kubernetes, 6_443),
        ("bastion", TargetKind::Ssh, 22),
        ("shop", TargetKind::Https, 443),
    ]
    .into_iter()
    .map(|(name, kind, port)| TargetView { target: target(name, kind, port), path: None })
    .collect()
}

/// Drives a model by messages.
pub struct Stage {
    pub model: Model,
    /// What the model has asked for and nobody has done.
    pub effects: Vec<Effect>,
}

impl Stage {
    /// A face of the usual size that has heard nothing yet.
    pub fn new() -> Self {
        Self { model: Model::new(LOOK, (80, 24), TimeZone::UTC), effects: vec![] }
    }

    /// A face attached to an engine with these sessions.
    pub fn with(sessions: Vec<SessionView>) -> Self {
        Self::attached(snapshot(sessions))
    }

    pub fn attached(snapshot: Snapshot) -> Self {
        Self::new().then(Msg::Attached(Box::new(snapshot)))
    }

    pub fn send(&mut self, msg: Msg) {
        self.effects.extend(update(&mut self.model, msg));
    }

    pub fn then(mut self, msg: Msg) -> Self {
        self.send(msg);
        self
    }

    pub fn key(self, key: Key) -> Self {
        self.then(Msg::Key(key))
    }

    /// Types a text, key by key.
    pub fn types(self, text: &str) -> Self {
        text.chars().fold(self, |stage, c| stage.key(Key::Char(c)))
    }

    /// Answers the last call of the model.
    pub fn answer(self, answer: Result<Reply, Report>) -> Self {
        let purpose = self.last_purpose();
        self.then(Msg::Answer(purpose, answer))
    }

    fn last_purpose(&self) -> Purpose {
        let call = |effect: &Effect| match effect {
            Effect::Call(_, purpose) => Some(purpose.clone()),
            _ => None,
        };
        self.effects.iter().rev().find_map(call).expect("the model has called the engine")
    }
}

pub fn path_direct() -> Reply {
    Reply::Path(PathView {
        path: Ok(NetworkPath {
            provider: "direct".parse().unwrap(),
            kind: ProviderKind::Direct,
            why: "answers from this host in 3 ms".into(),
        }),
        considered: vec![],
    })
}

/// One that waits for a router, far down its steps, as a tailnet has them.
pub fn session_that_waits(number: u8, target: &str) -> SessionView {
    use StepProgress::{Applied, Applying, Waiting};
    let mut view = session(number, target, SessionState::Activating);
    let done = (1..14).map(|number| step(&format!("step {number}"), Applied, Some(210), None));
    view.steps = done.collect();
    let waits = "the router is started and has not joined the tailnet yet";
    view.steps.push(StepView {
        started_at: Some(NOW - Span::from_seconds(40)),
        limit: Some(Span::from_minutes(2)),
        ..step("wait for the router to join", Applying, None, Some(waits))
    });
    let rest = ["approve the route", "see the route", "listen on 127.0.0.1"];
    view.steps.extend(rest.map(|label| step(label, Waiting, None, Some("waits for: step"))));
    view
}

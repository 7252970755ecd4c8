//! What a key costs at the screen, with 10,000 sessions, targets and operators loaded.
//!
//! Time is from the key to the bytes that are handed to the terminal: taking in the key, drawing,
//! finding what differs. Bytes are those of the same frames. Run it with `cargo bench --bench
//! frame`.
#![expect(clippy::print_stdout, reason = "a table on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::time::{Duration, Instant};

use breakglass::domain::account::AccountId;
use breakglass::domain::id::{InstallationId, SessionId};
use breakglass::domain::identity_provider::IdpHealth;
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::{Health, ProviderKind};
use breakglass::domain::request::NetworkPath;
use breakglass::domain::role::Role;
use breakglass::domain::sign_in::SignInMethod;
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{
    EngineView, Event, IdentityView, IdpView, ListedView, Mode, OperatorView, OperatorsView,
    PolicyView, ProviderView, Reply, SessionState, SessionView, SignedInView, Snapshot, TargetView,
    Traffic,
};
use breakglass::tui::keymap::Key;
use breakglass::tui::look::{Environment, Look};
use breakglass::tui::model::Model;
use breakglass::tui::msg::{Effect, Msg, Purpose};
use breakglass::tui::screen::Screen;
use breakglass::tui::update::update;
use jiff::tz::TimeZone;

type Outcome<T> = Result<T, Box<dyn Error>>;

const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);
const MANY: u32 = 10_000;
const ROUNDS: usize = 1_000;

fn main() -> Outcome<()> {
    println!("{MANY} sessions, {MANY} targets, {MANY} operators, 80x24");
    println!("{:<22} {:>10} {:>10} {:>12} {:>12}", "", "p50", "p99", "bytes p50", "bytes max");
    let mut bench = Bench::start()?;
    bench.first_frame();
    bench.row("cursor key", &[Key::Down]);
    bench.row("page key", &[Key::PageDown, Key::PageUp]);
    bench.row("tab change", &[Key::Char('1'), Key::Char('4'), Key::Char('3'), Key::Char('2')]);
    bench.row("sort", &[Key::Char('s')]);
    bench.send(Key::Char('/'));
    let typed = ['t', '-', '9'].map(Key::Char);
    bench.row("filter key", &[typed.as_slice(), &[Key::Backspace; 3]].concat());
    bench.send(Key::Esc);
    bench.events()?;
    bench.send(Key::Char('o'));
    let targets = (0..MANY).map(target).collect::<Outcome<Vec<_>>>()?;
    let targets = targets.into_iter().map(|target| TargetView { target, path: None }).collect();
    bench.take_in(Msg::Answer(Purpose::Targets, Ok(Reply::Targets(targets))));
    bench.row("search key", &[typed.as_slice(), &[Key::Backspace; 3]].concat());
    bench.row("search cursor key", &[Key::Down]);
    bench.send(Key::Esc);
    bench.people()
}

struct Bench {
    model: Model,
    screen: Screen,
}

impl Bench {
    fn start() -> Outcome<Self> {
        let size = (80, 24);
        let look = Environment { locale: Some("C.UTF-8"), ..Environment::default() };
        let mut model = Model::new(Look::of(look), size, TimeZone::UTC);
        update(&mut model, Msg::Attached(Box::new(snapshot()?)));
        Ok(Self { model, screen: Screen::new(size) })
    }

    fn first_frame(&mut self) {
        let start = Instant::now();
        let bytes = self.screen.draw(&self.model).len();
        show("first frame", &mut [start.elapsed()], &mut [bytes]);
    }

    fn take_in(&mut self, msg: Msg) -> usize {
        update(&mut self.model, msg);
        self.screen.draw(&self.model).len()
    }

    fn send(&mut self, key: Key) -> usize {
        self.take_in(Msg::Key(key))
    }

    fn row(&mut self, name: &str, keys: &[Key]) {
        let mut times = vec![];
        let mut sizes = vec![];
        for key in keys.iter().cycle().take(ROUNDS) {
            let start = Instant::now();
            let bytes = self.send(*key);
            times.push(start.elapsed());
            sizes.push(bytes);
        }
        show(name, &mut times, &mut sizes);
    }

    /// The Break-Glass Users tab, and ten thousand operators behind it. The engine filters them;
    /// what is measured of a filter key is the key, its question, and taking in a page of answers.
    fn people(&mut self) -> Outcome<()> {
        self.take_in(Msg::Attached(Box::new(signed_in()?)));
        self.row("users tab", &[Key::Char('3'), Key::Char('2')]);
        self.send(Key::Char('3'));
        self.row("users cursor key", &[Key::Down, Key::Up]);
        let all = (0..MANY).map(operator_view).collect::<Outcome<Vec<_>>>()?;
        let mut question = self.key_asks(Key::Char('O'));
        for page in all.chunks(PAGE) {
            let Some(purpose) = question.take() else { break };
            self.take_in(Msg::Answer(purpose, Ok(Reply::Operators(page_of(page)))));
            question = self.key_asks(Key::End);
        }
        self.row("operators cursor key", &[Key::Up]);
        self.row("operators page key", &[Key::PageUp, Key::PageDown]);
        self.send(Key::Char('/'));
        let mut times = vec![];
        let mut sizes = vec![];
        for key in [Key::Char('a'), Key::Backspace].iter().cycle().take(ROUNDS) {
            let page = page_of(all.get(..PAGE).unwrap_or_default());
            let start = Instant::now();
            let asked = self.key_asks(*key);
            let mut bytes = self.screen.draw(&self.model).len();
            if let Some(purpose) = asked {
                bytes += self.take_in(Msg::Answer(purpose, Ok(Reply::Operators(page))));
            }
            times.push(start.elapsed());
            sizes.push(bytes);
        }
        show("operators filter key", &mut times, &mut sizes);
        Ok(())
    }

    /// Takes in a key, and returns what the question is for that it leads to.
    fn key_asks(&mut self, key: Key) -> Option<Purpose> {
        let asked = |effect| match effect {
            Effect::Call(_, purpose) => Some(purpose),
            _ => None,
        };
        update(&mut self.model, Msg::Key(key)).into_iter().find_map(asked)
    }

    /// A session that changes among ten thousand: the rows are put in order again.
    fn events(&mut self) -> Outcome<()> {
        let mut times = vec![];
        let mut sizes = vec![];
        for number in 0..100 {
            let changed = Event::Session(Box::new(session(number, SessionState::Ended)?));
            let start = Instant::now();
            let bytes = self.take_in(Msg::Events(vec![changed]));
            times.push(start.elapsed());
            sizes.push(bytes);
        }
        show("event of one session", &mut times, &mut sizes);
        Ok(())
    }
}

fn show(name: &str, times: &mut [Duration], sizes: &mut [usize]) {
    times.sort_unstable();
    sizes.sort_unstable();
    let at = |percent: usize| (times.len() * percent / 100).min(times.len() - 1);
    let time = |percent: usize| times.get(at(percent)).copied().unwrap_or_default();
    let bytes = |percent: usize| sizes.get(at(percent)).copied().unwrap_or_default();
    let (usual, most) = (bytes(50), bytes(100));
    println!("{name:<22} {:>10.1?} {:>10.1?} {usual:>12} {most:>12}", time(50), time(99));
}

fn signed_in() -> Outcome<Snapshot> {
    let listed = |number: u32| -> Outcome<ListedView> {
        let view = operator_view(number)?;
        Ok(ListedView {
            account: view.account,
            email: view.email,
            role: view.role,
            added_at: Some(NOW),
            proven_at: None,
            proof_due: true,
            stale: None,
            warning: None,
        })
    };
    let idp = IdpView {
        id: "entra".parse()?,
        label: "Microsoft Entra ID".into(),
        settings: None,
        enforced: true,
        health: IdpHealth::Healthy,
        probe: None,
        listed: (0..5).map(listed).collect::<Outcome<_>>()?,
        forecast: "if entra fails now, 5 of 5 listed can enter".into(),
        warnings: vec![],
    };
    let me = SignedInView {
        account: AccountId::new(NOW, [1; 10]),
        email: "ana@example.com".parse()?,
        role: Role::Owner,
        method: SignInMethod::Password,
        started_at: NOW,
        ends_at: NOW + Span::from_minutes(30),
    };
    let mut signed_in = snapshot()?;
    signed_in.identity = IdentityView {
        mode: Mode::System,
        owner_exists: true,
        sign_in_needed: true,
        me: Some(me),
        idps: vec![idp],
    };
    Ok(signed_in)
}

fn operator_view(number: u32) -> Outcome<OperatorView> {
    let [a, b, c, d] = number.to_be_bytes();
    Ok(OperatorView {
        account: AccountId::new(NOW, [a, b, c, d, 0, 0, 0, 0, 0, 0]),
        email: format!("person{number:05}@example.com").parse()?,
        role: Role::Member,
        member: true,
        has_password: true,
        bound_to: Some("entra".parse()?),
        code_expires_at: None,
        listed: vec![],
        created_at: NOW,
    })
}

fn page_of(operators: &[OperatorView]) -> OperatorsView {
    let total = u64::from(MANY);
    OperatorsView { total, matching: total, operators: operators.to_vec() }
}

/// How many operators come with one answer.
const PAGE: usize = 500;

fn operator() -> Operator {
    Operator::unix(1_000, "ana")
}

fn target(number: u32) -> Outcome<Target> {
    let name = format!("target-{number:05}");
    Ok(Target {
        id: name.parse()?,
        address: format!("{name}.acme.internal:5432").parse()?,
        name,
        site: Some("acme-prod".parse()?),
        kind: TargetKind::Postgres,
        reachability: Reachability::Auto,
        user: None,
        database: None,
        listen: Listen::Loopback { port: None },
        idle: None,
        duration_max: None,
    })
}

fn session(number: u32, state: SessionState) -> Outcome<SessionView> {
    let [a, b, c, d] = number.to_be_bytes();
    let requested_at = NOW - Span::from_minutes(u64::from(number) * 7);
    let active = state == SessionState::Active;
    Ok(SessionView {
        id: SessionId::new(requested_at, [0, 0, a, b, c, d, 1, 2, 3, 4]),
        state,
        target: target(number)?,
        path: NetworkPath {
            provider: "direct".parse()?,
            kind: ProviderKind::Direct,
            why: "answers from this host in 3 ms".into(),
        },
        reason: format!("INC-{number} looking into it"),
        operator: operator(),
        requested_at,
        activated_at: Some(requested_at),
        lease: Span::from_minutes(30),
        lease_max: Span::from_minutes(240),
        lease_ends_at: active.then(|| NOW + Span::from_minutes(20)),
        ended_at: (!active).then_some(requested_at + Span::from_minutes(30)),
        end_reason: (!active).then(|| "lease-expired".into()),
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
    })
}

fn snapshot() -> Outcome<Snapshot> {
    let mut sessions = vec![session(0, SessionState::Active)?];
    for number in 1..MANY {
        sessions.push(session(number, SessionState::Ended)?);
    }
    let direct = ProviderView {
        id: "direct".parse()?,
        kind: ProviderKind::Direct,
        label: "Direct".into(),
        enabled: true,
        health: Health::Healthy,
        checked_at: Some(NOW),
        latency_millis: Some(1),
        sessions: 1,
        keep: None,
        about: "Connects from this host by plain TCP.".into(),
        settings: None,
        validation: None,
        errors: vec![],
    };
    let engine = EngineView {
        version: "0.1.0".into(),
        pid: 1,
        detached: false,
        started_at: NOW,
        installation: InstallationId::from_random([1; 6]),
        operator: operator(),
        host: "jump-1".into(),
        state_dir: "/var/lib/breakglass".into(),
        drill: false,
        faces: 1,
        wall_offset_millis: 0,
        alarms: vec![],
    };
    let policy = PolicyView {
        duration_max: Span::from_minutes(240),
        duration_default: Span::from_minutes(30),
        reason_pattern: None,
        ad_hoc_targets: true,
    };
    Ok(Snapshot {
        now: NOW,
        engine,
        identity: breakglass::protocol::IdentityView::of_drill(),
        providers: vec![direct],
        sessions,
        sessions_ended_total: u64::from(MANY) - 1,
        audit: vec![],
        reasons: vec![],
        policy,
        targets_total: u64::from(MANY),
    })
}

//! Each check fails for its own reason, and for no other.

use std::collections::{BTreeMap, BTreeSet};

use super::host::proxies;
use super::*;
use crate::cli::Checked;
use crate::cli::doctor::facts::{EngineFacts, Logind};
use crate::cli::doctor::{Outcome, page};
use crate::cli::output::Terminal;
use crate::domain::account::AccountId;
use crate::domain::id::InstallationId;
use crate::domain::identity_provider::IdpHealth;
use crate::domain::operator::Operator;
use crate::domain::probe::{Probe, ProbeCheck};
use crate::domain::provider::{ProviderKind, Validation};
use crate::domain::role::Role;
use crate::domain::sign_in::SignInMethod;
use crate::domain::time::{Span, Timestamp};
use crate::domain::vault::{Backend, VaultState, VaultStatus};
use crate::error::{Kind, Report};
use crate::protocol::{AuditVerdict, IdentityView, IdpView, Mode, Notice, Severity, SignedInView};

const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);

fn entry(kind: EntryKind, mode: u32) -> Entry {
    Entry { kind, mode, uid: 1_000 }
}

/// A host on which all is well.
fn well() -> Facts {
    let pairs = [
        ("TERM", "xterm-256color"),
        ("LANG", "en_US.UTF-8"),
        ("XDG_RUNTIME_DIR", "/run/user/1000"),
        ("HOME", "/home/ana"),
    ];
    let environment: BTreeMap<_, _> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Facts {
        uid: 1_000,
        of_host: false,
        terminal: Terminal::new(&environment, true, Some(80), false),
        environment,
        stdin_tty: true,
        config_path: "/home/ana/.config/breakglass/config.toml".into(),
        config: Ok(Checked { found: true, sites: 2, targets: 14, providers: 1 }),
        config_file: Some(entry(EntryKind::File, 0o600)),
        config_dir: Some(entry(EntryKind::Directory, 0o755)),
        state_path: "/home/ana/.local/state/breakglass".into(),
        state_dir: Some(entry(EntryKind::Directory, 0o700)),
        state_free_bytes: Some(9_000 * MEBIBYTE),
        socket_path: "/run/user/1000/breakglass/engine.sock".into(),
        socket: Some(entry(EntryKind::Socket, 0o600)),
        runtime_dir: Some(entry(EntryKind::Directory, 0o700)),
        engine: Ok(Some(engine_facts())),
        wall: NOW,
        logind: Logind { runs: true, kills: Some(true), lingers: true },
        core_bytes_max: Some(0),
        open_files_max: Some(1_048_576),
        programs: BTreeSet::from(["ssh", "psql"]),
    }
}

fn engine_facts() -> EngineFacts {
    EngineFacts {
        view: EngineView {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: 4_242,
            detached: true,
            started_at: NOW,
            installation: InstallationId::from_random([0; 6]),
            operator: Operator::unix(1_000, "ana"),
            host: "jump1".into(),
            state_dir: "/home/ana/.local/state/breakglass".into(),
            drill: false,
            faces: 1,
            wall_offset_millis: 0,
            alarms: vec![],
        },
        providers: vec![provider_view(Health::Healthy)],
        owed: Some(0),
        lost: vec![],
        verdict: Some(verdict(None)),
        identity: IdentityView {
            mode: Mode::Personal,
            owner_exists: true,
            sign_in_needed: true,
            me: Some(me()),
            idps: vec![idp(IdpHealth::Healthy, true)],
        },
        vault: Some(vault(VaultState::Open)),
    }
}

fn verdict(broken: Option<(u64, String)>) -> AuditVerdict {
    AuditVerdict { events: 12, broken, head: "abcde fghij klmno pqrst".into() }
}

fn me() -> SignedInView {
    SignedInView {
        account: AccountId::new(NOW, [7; 10]),
        email: "ana@example.com".parse().unwrap(),
        role: Role::Owner,
        method: SignInMethod::Password,
        started_at: NOW,
        ends_at: NOW,
    }
}

fn idp(health: IdpHealth, enforced: bool) -> IdpView {
    let found =
        if health == IdpHealth::Unhealthy { Err("no route".to_owned()) } else { Ok("ok".into()) };
    IdpView {
        id: "entra".parse().unwrap(),
        label: "Microsoft Entra ID".into(),
        settings: None,
        enforced,
        health,
        probe: Some(Probe {
            at: NOW,
            checks: vec![ProbeCheck { name: "discovery".into(), needed: true, found, millis: 1 }],
        }),
        listed: vec![],
        forecast: String::new(),
        warnings: vec![],
    }
}

fn vault(state: VaultState) -> VaultStatus {
    VaultStatus { backend: Backend::File, state, detail: "vault.sealed".into(), names: vec![] }
}

fn provider_view(health: Health) -> ProviderView {
    ProviderView {
        id: "direct".parse().unwrap(),
        kind: ProviderKind::Direct,
        label: "Direct".into(),
        enabled: true,
        health,
        checked_at: None,
        latency_millis: None,
        sessions: 0,
        keep: None,
        about: String::new(),
        settings: None,
        validation: None,
        errors: vec![],
    }
}

/// What is not well on a host that differs from a good one in one thing.
fn complaints(change: impl FnOnce(&mut Facts)) -> Vec<(Outcome, String)> {
    let mut facts = well();
    change(&mut facts);
    all(&facts)
        .into_iter()
        .filter(|check| check.outcome != Outcome::Ok)
        .inspect(|check| assert!(check.fix.is_some(), "{check:?}"))
        .map(|check| (check.outcome, check.name))
        .collect()
}

fn with_engine(change: impl FnOnce(&mut EngineFacts)) -> impl FnOnce(&mut Facts) {
    |facts| {
        if let Ok(Some(engine)) = &mut facts.engine {
            change(engine);
        }
    }
}

fn one(outcome: Outcome, name: &str) -> Vec<(Outcome, String)> {
    vec![(outcome, name.to_owned())]
}

#[test]
fn a_host_on_which_all_is_well_reads_so() {
    let checks: Vec<_> =
        all(&well()).into_iter().map(|check| check.without_home(Some("/home/ana"))).collect();
    assert!(checks.len() >= 20, "{}", checks.len());
    let terminal = Terminal { unicode: true, ..Terminal::default() };
    insta::assert_snapshot!(page(&checks, terminal), @"
    breakglass 0.1.0 doctor
    ok    config             `~/.config/breakglass/config.toml` is right: sites 2, targets 14, providers 1
    ok    config owner       only uid 1000 may write it (mode 600)
    ok    state directory    `~/.local/state/breakglass` is yours alone (mode 700)
    ok    free space         9000 MiB are free for the state
    ok    runtime directory  `/run/user/1000/breakglass` is yours alone (mode 700)
    ok    XDG_RUNTIME_DIR    `/run/user/1000`
    ok    engine socket      `/run/user/1000/breakglass/engine.sock` is yours alone
    ok    engine             process 4242, a process of its own
    ok    engine version     0.1.0, the same as this program's
    ok    engine alarms      none
    ok    clean-up           no session owes anything
    ok    audit chain        holds: 12 events, head abcde fghij klmno pqrst
    ok    provider direct    healthy
    ok    owner              there is one
    ok    sign-in            ana@example.com (Owner) at this terminal
    ok    idp entra          SSO enforced, healthy
    ok    vault              open (vault.sealed)
    ok    clock              2025-11-20T16:10:00.000Z; leases go by the boot clock, which nobody can set
    ok    logout             lingering is on, so sessions outlive your logins
    ok    terminal           TERM is `xterm-256color`, 80 columns
    ok    locale             UTF-8
    ok    colour             in use; it only ever repeats a word
    ok    core dumps         off
    ok    open files         at most 1048576
    ok    client programs    found: psql, ssh; not found: mysql, redis-cli, mongosh, kubectl, curl, nc
    ok    proxies            none set
    ok    authorities        no file of the environment adds any
    ok    mode               personal: engine, sessions and audit belong to uid 1000; signing in records who acts, and cannot bar whoever owns that account: they can change all of it, which the audit shows only against a head noted elsewhere
    28 checks: 28 ok, 0 to look at, 0 failed
    ");
}

#[test]
fn no_two_checks_share_a_name() {
    let checks = all(&well());
    let names: BTreeSet<_> = checks.iter().map(|check| &check.name).collect();
    assert_eq!(names.len(), checks.len());
}

#[test]
fn files_that_others_may_touch_are_failures() {
    let fail = |name| one(Outcome::Fail, name);
    let open = |mode| Some(entry(EntryKind::Directory, mode));
    let stranger = Some(Entry { uid: 1_001, ..entry(EntryKind::Directory, 0o700) });
    let config = |facts: &mut Facts, mode| facts.config_file = Some(entry(EntryKind::File, mode));
    assert_eq!(complaints(|facts| config(facts, 0o620)), fail("config owner"));
    assert_eq!(complaints(|facts| facts.config_dir = open(0o777)), fail("config owner"));
    assert_eq!(complaints(|facts| facts.config_dir = stranger), fail("config owner"));
    assert_eq!(complaints(|facts| facts.state_dir = open(0o755)), fail("state directory"));
    assert_eq!(complaints(|facts| facts.state_dir = stranger), fail("state directory"));
    assert_eq!(complaints(|facts| facts.runtime_dir = stranger), fail("runtime directory"));
    let socket = |mode| Some(entry(EntryKind::Socket, mode));
    assert_eq!(complaints(|facts| facts.socket = socket(0o666)), fail("engine socket"));
    let file = Some(entry(EntryKind::File, 0o600));
    assert_eq!(complaints(|facts| facts.socket = file), fail("engine socket"));
    assert_eq!(complaints(|facts| facts.state_dir = file), fail("state directory"));
    assert_eq!(complaints(|facts| config(facts, 0o644)), vec![]);
}

#[test]
fn what_is_not_there_yet_is_no_complaint() {
    let fresh = |facts: &mut Facts| {
        facts.config = Ok(Checked::default());
        (facts.config_file, facts.config_dir) = (None, None);
        (facts.state_dir, facts.runtime_dir, facts.socket) = (None, None, None);
        facts.engine = Ok(None);
    };
    assert_eq!(complaints(fresh), vec![]);
}

#[test]
fn a_broken_configuration_says_what_and_where() {
    let mut facts = well();
    facts.config = Err(Report::new(Kind::Config, "`duration-mx` is no key")
        .because("config.toml:3:1")
        .hint("write `duration-max`"));
    let check = config(&facts);
    assert_eq!(check.detail, "`duration-mx` is no key: config.toml:3:1");
    assert_eq!(check.fix.as_deref(), Some("write `duration-max`"));
}

#[test]
fn room_and_limits_are_judged_by_what_a_session_needs() {
    for (free, outcome) in [(10, Outcome::Fail), (100, Outcome::Warn)] {
        let change = |facts: &mut Facts| facts.state_free_bytes = Some(free * MEBIBYTE);
        assert_eq!(complaints(change), one(outcome, "free space"));
    }
    for (files, outcome) in [(16, Outcome::Fail), (1_024, Outcome::Warn)] {
        let change = |facts: &mut Facts| facts.open_files_max = Some(files);
        assert_eq!(complaints(change), one(outcome, "open files"));
    }
    assert_eq!(complaints(|facts| facts.open_files_max = None), vec![]);
    let dumps = |facts: &mut Facts| facts.core_bytes_max = None;
    assert_eq!(complaints(dumps), one(Outcome::Warn, "core dumps"));
}

#[test]
fn a_logout_that_kills_the_engine_is_foretold() {
    let logind =
        |runs, kills, lingers| complaints(|facts| facts.logind = Logind { runs, kills, lingers });
    assert_eq!(logind(true, Some(true), false), one(Outcome::Warn, "logout"));
    assert_eq!(logind(true, None, false), one(Outcome::Warn, "logout"));
    assert_eq!(logind(true, Some(false), false), vec![]);
    assert_eq!(logind(false, Some(true), false), vec![]);
}

#[test]
fn logind_files_are_read_as_logind_reads_them() {
    let files = |texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        kills_at_logout(&texts)
    };
    assert_eq!(files(&[]), None);
    assert_eq!(files(&["[Login]\n#KillUserProcesses=no\n"]), Some(false));
    assert_eq!(files(&["[Login]\n#KillUserProcesses=no\nKillUserProcesses = yes\n"]), Some(true));
    assert_eq!(files(&["#KillUserProcesses=no\n", "[Login]\nKillUserProcesses=yes\n"]), Some(true));
    assert_eq!(files(&["KillUserProcesses=yes\n", "KillUserProcesses=off\n"]), Some(false));
    assert_eq!(files(&["KillUserProcesses=maybe\n"]), None);
}

#[test]
fn the_engine_is_judged_by_what_it_says() {
    let fail = |name| one(Outcome::Fail, name);
    let broken =
        |engine: &mut EngineFacts| engine.verdict = Some(verdict(Some((7, "changed".into()))));
    assert_eq!(complaints(with_engine(broken)), fail("audit chain"));
    assert_eq!(complaints(with_engine(|engine| engine.owed = Some(2))), fail("clean-up"));
    let lost = |engine: &mut EngineFacts| {
        engine.lost = vec![("55667788".into(), "connection lost: it is gone".into())];
    };
    let warned = one(Outcome::Warn, "path of session 55667788");
    assert_eq!(complaints(with_engine(lost)), warned);
    let other = |engine: &mut EngineFacts| engine.view.version = "9.9.9".into();
    assert_eq!(complaints(with_engine(other)), one(Outcome::Warn, "engine version"));
    let moved = |engine: &mut EngineFacts| engine.view.wall_offset_millis = -7_200_000;
    assert_eq!(complaints(with_engine(moved)), one(Outcome::Warn, "clock"));
    let alarm = Notice {
        severity: Severity::Alarm,
        text: "the disk is full".into(),
        session: None,
        at: NOW,
    };
    let alarmed = |engine: &mut EngineFacts| engine.view.alarms.push(alarm);
    assert_eq!(complaints(with_engine(alarmed)), fail("engine alarms"));
    let unreachable = |facts: &mut Facts| {
        facts.engine = Err(Report::new(Kind::Unavailable, "the engine does not answer"));
    };
    assert_eq!(complaints(unreachable), fail("engine"));
}

#[test]
fn a_provider_is_judged_by_its_health_unless_it_is_off() {
    let health = |health, enabled| {
        complaints(with_engine(|engine| {
            engine.providers = vec![ProviderView { enabled, ..provider_view(health) }];
        }))
    };
    let down = || Health::Down { why: "no route".into() };
    let slow = Health::Degraded { why: "slow".into() };
    assert_eq!(health(down(), true), one(Outcome::Fail, "provider direct"));
    assert_eq!(health(slow, true), one(Outcome::Warn, "provider direct"));
    assert_eq!(health(down(), false), vec![]);
}

/// A bastion whose key has this long.
fn bastion(left: Span) -> ProviderView {
    let probe = Probe { at: NOW, checks: vec![] };
    let validation = Some(Validation { probe, key_expires_at: Some(NOW + left) });
    let kind = ProviderKind::Ssh;
    ProviderView { kind, validation, ..provider_view(Health::Healthy) }
}

#[test]
fn a_key_is_called_out_before_it_ends() {
    let key = |left| complaints(with_engine(move |engine| engine.providers = vec![bastion(left)]));
    let day = 24 * 60;
    assert_eq!(key(Span::from_minutes(15 * day)), vec![]);
    assert_eq!(key(Span::from_minutes(13 * day)), one(Outcome::Warn, "provider direct"));
    assert_eq!(key(Span::ZERO), one(Outcome::Fail, "provider direct"));
}

#[test]
fn a_key_that_ends_soon_is_told_though_something_else_is_told_too() {
    let health = Health::Degraded { why: "slow".into() };
    let view = ProviderView { health, ..bastion(Span::from_hours(3 * 24)) };
    let checked = provider(&view, &Times::at_engine(NOW, 0));
    assert_eq!(checked.detail, "degraded: slow; and its key ends in 3d");
}

#[test]
fn a_bastion_needs_the_program_that_reaches_it() {
    let facts = |change: fn(&mut Facts)| {
        complaints(|facts| {
            with_engine(|engine| {
                engine.providers = vec![bastion(Span::from_minutes(99 * 24 * 60))]
            })(facts);
            facts.programs.remove("ssh");
            change(facts);
        })
    };
    assert_eq!(facts(|_| {}), one(Outcome::Fail, "ssh"));
    let without_bastion = complaints(|facts| {
        facts.programs.remove("ssh");
    });
    assert!(without_bastion.iter().all(|(_, name)| name != "ssh"), "{without_bastion:?}");
}

#[test]
fn the_look_is_judged_kindly() {
    let set = |name: &'static str, value: &'static str| {
        complaints(move |facts| {
            facts.environment.insert(name.into(), value.into());
        })
    };
    assert_eq!(set("TERM", "dumb"), one(Outcome::Warn, "terminal"));
    assert_eq!(set("LANG", "C"), one(Outcome::Warn, "locale"));
    assert_eq!(set("NO_COLOR", "1"), vec![]);
    assert_eq!(set("XDG_RUNTIME_DIR", ""), one(Outcome::Warn, "XDG_RUNTIME_DIR"));
    let narrow = |facts: &mut Facts| facts.terminal.width = Some(40);
    assert_eq!(complaints(narrow), one(Outcome::Warn, "terminal"));
    let past = |facts: &mut Facts| facts.wall = Timestamp::from_millis(0);
    assert_eq!(complaints(past), one(Outcome::Fail, "clock"));
    let bare = |facts: &mut Facts| facts.programs.clear();
    assert_eq!(complaints(bare), one(Outcome::Warn, "client programs"));
}

#[test]
fn a_proxys_password_is_not_shown() {
    for (url, host) in [
        ("http://ana:s3cret@proxy.corp:3128/x", "proxy.corp:3128"),
        ("proxy.corp:3128", "proxy.corp:3128"),
        ("http://a:b@c@proxy:1?q=s", "proxy:1"),
    ] {
        let mut facts = well();
        facts.environment.insert("HTTPS_PROXY".into(), url.into());
        let check = proxies(&facts);
        assert_eq!(
            check.detail,
            format!(
                "HTTPS_PROXY ({host}); single sign-on uses them in personal mode, Direct never"
            )
        );
    }
}

#[test]
fn root_is_told_whose_sessions_these_are() {
    let root = |facts: &mut Facts| {
        facts.uid = 0;
        let roots = |entry: Option<Entry>| entry.map(|entry| Entry { uid: 0, ..entry });
        facts.config_file = roots(facts.config_file);
        facts.config_dir = roots(facts.config_dir);
        facts.state_dir = roots(facts.state_dir);
        facts.runtime_dir = roots(facts.runtime_dir);
        facts.socket = roots(facts.socket);
    };
    assert_eq!(complaints(root), one(Outcome::Warn, "mode"));
}

#[test]
fn people_and_where_they_sign_on_are_judged_by_who_is_locked_out() {
    let health = |health, enforced| {
        complaints(with_engine(|engine| engine.identity.idps = vec![idp(health, enforced)]))
    };
    assert_eq!(health(IdpHealth::Unhealthy, true), one(Outcome::Fail, "idp entra"));
    assert_eq!(health(IdpHealth::Unhealthy, false), one(Outcome::Warn, "idp entra"));
    assert_eq!(health(IdpHealth::Unknown, true), one(Outcome::Warn, "idp entra"));
    let ownerless = |engine: &mut EngineFacts| engine.identity.owner_exists = false;
    assert_eq!(complaints(with_engine(ownerless)), one(Outcome::Warn, "owner"));
    let locked = |engine: &mut EngineFacts| engine.vault = Some(vault(VaultState::Locked));
    assert_eq!(complaints(with_engine(locked)), one(Outcome::Warn, "vault"));
    let absent = |engine: &mut EngineFacts| engine.vault = Some(vault(VaultState::Absent));
    assert_eq!(complaints(with_engine(absent)), vec![]);
}

#[test]
fn what_is_not_told_to_a_stranger_is_no_complaint() {
    let stranger = |engine: &mut EngineFacts| {
        engine.identity.me = None;
        (engine.owed, engine.verdict, engine.vault) = (None, None, None);
    };
    assert_eq!(complaints(with_engine(stranger)), vec![]);
    let drill = |engine: &mut EngineFacts| engine.identity = IdentityView::of_drill();
    assert_eq!(complaints(with_engine(drill)), vec![]);
}

#[test]
fn in_system_mode_signing_in_bars() {
    let mut facts = well();
    with_engine(|engine| engine.identity.mode = Mode::System)(&mut facts);
    let mode = all(&facts).into_iter().find(|check| check.name == "mode").unwrap();
    assert_eq!(mode.detail, Mode::System.meaning());
}

#[test]
fn the_files_of_a_hosts_engine_are_its_own_and_must_be_closed() {
    let mut facts = well();
    facts.of_host = true;
    let entry = |kind, mode| Some(Entry { kind, mode, uid: 990 });
    (facts.config_file, facts.state_dir) = (None, entry(EntryKind::Directory, 0o700));
    facts.socket = entry(EntryKind::Socket, 0o660);
    let judged = |facts: &Facts| -> Vec<_> {
        let files = ["config", "state directory", "engine socket", "logout"];
        let all = all(facts).into_iter().filter(|check| files.contains(&check.name.as_str()));
        all.map(|check| format!("{:?} {}", check.outcome, check.name)).collect()
    };
    assert_eq!(
        judged(&facts),
        ["Ok config", "Ok state directory", "Ok engine socket", "Ok logout"],
        "another's, and no complaint"
    );
    facts.state_dir = entry(EntryKind::Directory, 0o750);
    facts.socket = entry(EntryKind::Socket, 0o666);
    assert_eq!(
        judged(&facts),
        ["Ok config", "Fail state directory", "Fail engine socket", "Ok logout"]
    );
    facts.engine = Ok(None);
    let engine = all(&facts).into_iter().find(|check| check.name == "engine").unwrap();
    assert_eq!(engine.fix.as_deref(), Some("systemctl start breakglass"));
}

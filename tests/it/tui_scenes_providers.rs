//! The scenes about providers: seen through, added, changed, and what was left behind.

use breakglass::domain::probe::{Probe, ProbeCheck};
use breakglass::domain::provider::{
    Health, ProviderKind, ProviderSettings, ProviderSetup, SshSetup, Validation,
};
use breakglass::domain::role::Role;
use breakglass::domain::ssh::SshDestination;
use breakglass::domain::time::Span;
use breakglass::domain::twingate::{CONNECTOR_IMAGE, ClientPath, TwingateSetup};
use breakglass::protocol::{
    Kept, OrphanView, ProviderTrouble, ProviderView, Reply, SessionState, Snapshot, SweepProblem,
    SweepView, ValidationView,
};
use breakglass::tui::keymap::Key;
use breakglass::tui::msg::Msg;

use crate::tui_models::{NOW, Stage, provider, session};
use crate::tui_people::signed_in;
use crate::tui_scenes::Scenes;

fn check(name: &str, needed: bool, found: Result<&str, &str>) -> ProbeCheck {
    let found = found.map(Into::into).map_err(Into::into);
    ProbeCheck { name: name.into(), needed, found, millis: 41 }
}

/// What can be done at a bastion that does all but one thing.
pub fn limited() -> Validation {
    let checks = vec![
        check("ssh", true, Ok("OpenSSH_9.2p1")),
        check("connection", true, Ok("10.91.0.2:22")),
        check("host key", true, Ok("known, and the same")),
        check("sign-in", true, Ok("as ops, with 1 of 2 keys")),
        check(
            "forwarding",
            false,
            Err("127.0.0.1:9 is forbidden there; it may be allowed for your targets only"),
        ),
    ];
    let key_expires_at = Some(NOW + Span::from_hours(24 * 9));
    Validation { probe: Probe { at: NOW - Span::from_seconds(95), checks }, key_expires_at }
}

/// What can be done at one that does not let us in.
pub fn failing() -> Validation {
    let checks = vec![
        check("ssh", true, Ok("OpenSSH_9.2p1")),
        check("connection", true, Ok("10.91.0.2:22")),
        check("host key", true, Ok("known, and the same")),
        check(
            "sign-in",
            true,
            Err("none of 2 keys is accepted for the user `ops`: the user is wrong, or the key is \
                 not in that user's authorized_keys"),
        ),
    ];
    Validation { probe: Probe { at: NOW, checks }, key_expires_at: None }
}

/// A bastion that works, with a key in the vault.
pub fn bastion() -> ProviderView {
    let destination = SshDestination {
        user: Some("ops".parse().unwrap()),
        port: Some(2222),
        jump: vec!["edge".parse().unwrap()],
        ..SshDestination::new("bastion.acme.example".parse().unwrap())
    };
    let settings = ProviderSettings {
        id: "bastion".parse().unwrap(),
        setup: ProviderSetup::Ssh(SshSetup { destination, has_key: true }),
        enabled: true,
        default: true,
    };
    let text = "`bastion.acme.example` stopped answering".to_owned();
    ProviderView {
        kind: ProviderKind::Ssh,
        about: "through ops@bastion.acme.example:2222 via edge, by the system's ssh".into(),
        settings: Some(settings),
        health: Health::of(&limited().probe),
        validation: Some(limited()),
        errors: vec![ProviderTrouble { at: NOW - Span::from_hours(3), text }],
        sessions: 1,
        ..provider("bastion", "SSH", Health::Healthy)
    }
}

/// A network of Twingate that works, with a key in the vault.
pub fn network() -> ProviderView {
    let setup = TwingateSetup {
        network: "acme".parse().unwrap(),
        group: "On call".parse().unwrap(),
        data_path: ClientPath::Proxy("127.0.0.1:9999".parse().unwrap()),
        connector_image: CONNECTOR_IMAGE.to_owned(),
        has_key: true,
    };
    let settings = ProviderSettings {
        id: "acme-twingate".parse().unwrap(),
        setup: ProviderSetup::Twingate(Box::new(setup)),
        enabled: true,
        default: false,
    };
    let checks = vec![
        check("network", true, Ok("acme.twingate.com")),
        check("changes", true, Ok("likely; V shows it for certain")),
        check("group", true, Ok("On call")),
        check("client", true, Ok("online")),
    ];
    let probe = Probe { at: NOW - Span::from_seconds(95), checks };
    ProviderView {
        kind: ProviderKind::Twingate,
        about: "a connector for each session, in acme.twingate.com".into(),
        settings: Some(settings),
        validation: Some(Validation { probe, key_expires_at: None }),
        ..provider("acme-twingate", "Twingate", Health::Healthy)
    }
}

/// Everything as an Admin sees it who has a network.
pub fn snapshot_of_network() -> Snapshot {
    let mut snapshot = signed_in(Role::Admin);
    snapshot.providers = vec![provider("direct", "Direct", Health::Healthy), network()];
    snapshot
}

fn network_tab() -> Stage {
    Stage::attached(snapshot_of_network()).types("1").key(Key::Down)
}

/// The form of a new network, filled in but for its key.
pub fn network_form() -> Stage {
    let stage = network_tab().types("a").types("tg-eu").key(Key::Tab);
    let stage = stage.key(Key::Right).key(Key::Right).key(Key::Tab).types("acme-eu");
    stage.key(Key::Tab).types("On call")
}

/// Everything as somebody of this role sees it who has a bastion.
pub fn snapshot_of(role: Role) -> Snapshot {
    let mut session = session(1, "orders-db", SessionState::Active);
    session.path.provider = "bastion".parse().unwrap();
    let mut snapshot = signed_in(role);
    snapshot.providers = vec![provider("direct", "Direct", Health::Healthy), bastion()];
    snapshot.sessions = vec![session];
    snapshot
}

fn tab(role: Role) -> Stage {
    Stage::attached(snapshot_of(role)).types("1").key(Key::Down)
}

/// The form of a new bastion, filled in.
pub fn form() -> Stage {
    let stage = tab(Role::Admin).types("a").types("bastion-us").key(Key::Tab).key(Key::Tab);
    stage.types("bastion.us.example").key(Key::Tab).types("ops")
}

/// What was left behind.
pub fn left(removed: Option<Result<(), String>>) -> SweepView {
    let orphan = |name: &str, removed| OrphanView {
        place: "bastion".into(),
        artifact: format!("ssh connection {name}"),
        session: "deadbeef".into(),
        expires_at: NOW + Span::from_hours(2),
        removed,
        by_hand: vec![format!("pkill -f -- {name}")],
    };
    let gone = removed.is_some().then_some(Ok(()));
    let why = "no answer within 30s".to_owned();
    SweepView {
        orphans: vec![
            orphan("bg-abc234-deadbeef-691f2a3c", gone),
            orphan("bg-abc234-deadbeef-691f2a3d", removed),
        ],
        problems: vec![SweepProblem { place: "site acme".into(), why }],
        unlisted: vec![],
    }
}

fn validation(validation: Validation, kept: Option<Kept>) -> Reply {
    Reply::Validation(Box::new(ValidationView { validation, kept }))
}

/// Every scene about providers by its name.
pub fn all() -> Scenes {
    let swept = |view| tab(Role::Admin).types("S").answer(Ok(Reply::Sweep(view)));
    let failed = || form().key(Key::Enter).answer(Ok(validation(failing(), None)));
    let stuck = || Some(Err("it is still there".to_owned()));
    vec![
        ("bastion", tab(Role::Admin)),
        ("bastion in full", tab(Role::Admin).key(Key::Enter)),
        ("bastion checked", tab(Role::Admin).types("c").answer(Ok(validation(failing(), None)))),
        ("bastion as a member", tab(Role::Member).types("D")),
        ("add a bastion", form()),
        ("add a bastion looking", form().key(Key::Enter)),
        ("add a bastion failing", failed()),
        ("add a bastion to mend", failed().key(Key::Right)),
        ("change a bastion", tab(Role::Admin).types("e")),
        (
            "new key",
            tab(Role::Admin).types("K").then(Msg::Paste("-----BEGIN\nvole\n-----END\n".into())),
        ),
        ("network", network_tab()),
        ("network in full", network_tab().key(Key::Enter)),
        ("network to be looked at by a canary", network_tab().types("V")),
        ("add a network", network_form()),
        ("change a network", network_tab().types("e")),
        ("left behind", swept(left(None))),
        ("left behind asked", swept(left(None)).types("D")),
        ("left behind stuck", swept(left(stuck()))),
        ("nothing left behind", swept(SweepView::default())),
    ]
}

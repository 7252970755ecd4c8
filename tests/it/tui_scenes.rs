//! The named scenes: a model for every screen that is worth looking at.

use breakglass::domain::provider::Health;
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    AuditVerdict, Considered, Event, Notice, PathView, Reply, SessionState, SessionView, Severity,
};
use breakglass::tui::keymap::Key;
use breakglass::tui::model::Model;
use breakglass::tui::msg::Msg;

use crate::tui_models::{
    NOW, Stage, path_direct, session, session_id, session_that_waits, session_without_path,
    snapshot, targets,
};

fn path_none() -> Reply {
    let considered = |provider: &str, why: &str| Considered {
        provider: provider.parse().unwrap(),
        why: why.into(),
    };
    Reply::Path(PathView {
        path: Err("no provider can serve billing-db".into()),
        considered: vec![
            considered("direct", "does not answer from this host"),
            considered("acme-twingate", "down: the key is revoked"),
        ],
    })
}

fn usual() -> Vec<SessionView> {
    use SessionState::{Activating, Active, CleanupOwed, Ended, Ending};
    vec![
        session(1, "orders-db", Active),
        session(2, "billing-db", Activating),
        session(3, "search", Ending),
        session(4, "orders-cache", Ended),
        session(7, "billing-cache", CleanupOwed),
        session(8, "shop", Ended),
    ]
}

fn with_traffic() -> Stage {
    let mut stage = Stage::with(usual()).key(Key::Down);
    let mut traffic = session(1, "orders-db", SessionState::Active).traffic;
    for second in 0..40_u64 {
        traffic.bytes_down += (second % 7) * 900 + second * 40;
        stage.send(Msg::Tick(NOW + Span::from_seconds(second)));
        let session = session_id(1);
        stage.send(Msg::Events(vec![Event::Traffic { session, traffic }]));
    }
    stage
}

fn open_dialog() -> Stage {
    Stage::with(usual()).key(Key::Char('o')).answer(Ok(Reply::Targets(targets())))
}

fn filled_in() -> Stage {
    open_dialog()
        .types("ordb")
        .key(Key::Enter)
        .answer(Ok(path_direct()))
        .types("INC-43 replica lag")
}

fn hostile() -> Stage {
    let nasty = "\u{1b}]52;c;AAAA\u{7}\u{9b}31m\u{202e}evil\u{200b}\r\n\t東京👍e\u{301}".repeat(3);
    let mut snapshot = snapshot(usual());
    for session in &mut snapshot.sessions {
        session.target.name = nasty.clone();
        session.reason = nasty.clone();
        session.command = session.command.as_ref().map(|_| nasty.clone());
        session.path.why = nasty.clone();
        session.audience = vec![nasty.clone()];
        session.path_lost = session.path_lost.as_ref().map(|_| nasty.clone());
        for step in &mut session.steps {
            step.label = nasty.clone();
            step.detail = Some(nasty.clone());
        }
        for line in &mut session.receipt {
            line.artifact = nasty.clone();
        }
        for line in &mut session.exit_card {
            line.tried = nasty.clone();
            line.commands = vec![nasty.clone(); 3];
        }
    }
    for event in &mut snapshot.audit {
        event.event.description = nasty.clone();
        event.event.kind = nasty.clone();
        event.time = nasty.clone();
    }
    for provider in &mut snapshot.providers {
        provider.label = nasty.clone();
        provider.about = nasty.clone();
        provider.health = Health::Down { why: nasty.clone() };
    }
    snapshot.engine.host = nasty.clone();
    snapshot.engine.operator.name = nasty.clone();
    snapshot.engine.alarms = vec![notice(&nasty)];
    snapshot.reasons = vec![nasty.clone()];
    let mut stage = Stage::attached(snapshot);
    stage.send(Msg::Events(vec![Event::Notice(notice(&nasty))]));
    stage.then(Msg::Paste(nasty))
}

fn notice(text: &str) -> Notice {
    Notice { severity: Severity::Alarm, text: text.into(), session: None, at: NOW }
}

fn drill() -> Stage {
    let mut snapshot = snapshot(usual());
    snapshot.engine.drill = true;
    for session in &mut snapshot.sessions {
        session.drill = true;
    }
    for event in &mut snapshot.audit {
        event.event.drill = true;
    }
    Stage::attached(snapshot)
}

fn alarmed() -> Stage {
    let mut snapshot = snapshot(usual());
    let text = "the state directory is full: nothing can be opened, ending goes on";
    snapshot.engine.alarms = vec![notice(text), notice("a port was lost")];
    Stage::attached(snapshot)
}

fn wide() -> Stage {
    let mut sessions = usual();
    for (session, name) in
        sessions.iter_mut().zip(["東京本番データベース👍👍", "Zürich-日本語-データ"])
    {
        session.target.name = name.into();
        session.reason = "注文が詰まっている 🚒 — INC-42 を見てください、急いで".into();
    }
    Stage::with(sessions)
}

fn verdict(broken: Option<(u64, String)>) -> Stage {
    let head = "mzxw6 ytboi 2gk43 7ourb".to_owned();
    Stage::with(usual())
        .key(Key::Char('4'))
        .key(Key::Char('v'))
        .answer(Ok(Reply::AuditVerdict(AuditVerdict { events: 1_234, broken, head })))
}

/// What the engine says where opening changes a policy file.
pub fn policy_change() -> Report {
    let rule = "+    {\"src\": [\"tag:breakglass-operator-55667788\"], \"dst\": [\"10.20.0.7\"], \"ip\": \
                [\"tcp:5432\"]},";
    let mut lines = vec!["@@ -11,7 +11,8 @@".to_owned()];
    lines.extend((11..14).map(|number| format!("     // line {number}")));
    lines.extend(["-  \"grants\": [".to_owned(), "+  \"grants\": [".to_owned(), rule.to_owned()]);
    lines.extend((15..40).map(|number| format!("     // line {number}")));
    let message = "opening changes the shared policy file of `acme-tailnet`";
    let report = lines.iter().fold(Report::new(Kind::Denied, message), Report::because);
    report.hint("to agree, open it again just so; on the command line with --agree")
}

/// Every model by its name.
pub fn gallery() -> Vec<(&'static str, Model)> {
    let scenes = sessions()
        .into_iter()
        .chain(opening())
        .chain(others())
        .chain(crate::tui_scenes_people::all())
        .chain(crate::tui_scenes_providers::all());
    scenes.map(|(name, stage)| (name, stage.model)).collect()
}

pub type Scenes = Vec<(&'static str, Stage)>;

pub fn down(stage: Stage, times: usize) -> Stage {
    (0..times).fold(stage, |stage, _| stage.key(Key::Down))
}

fn sessions() -> Scenes {
    let ended = |name| session(9, name, SessionState::Ended);
    vec![
        ("connecting", Stage::new()),
        ("no session yet", Stage::with(vec![])),
        ("sessions", Stage::with(usual())),
        ("sessions active", Stage::with(usual()).key(Key::Down)),
        ("sessions active with traffic", with_traffic()),
        ("sessions path lost", {
            let mut sessions = usual();
            sessions.insert(1, session_without_path(5, "billing-replica"));
            down(Stage::with(sessions), 4)
        }),
        ("sessions activating", down(Stage::with(usual()), 2)),
        (
            "sessions waiting for a router",
            Stage::with(vec![session_that_waits(2, "billing-replica")]),
        ),
        ("sessions ending", down(Stage::with(usual()), 3)),
        ("sessions ended", down(Stage::with(usual()), 4)),
        ("sessions one", Stage::with(vec![session(1, "orders-db", SessionState::Active)])),
        ("sessions past", Stage::with(vec![ended("orders-db")])),
        ("sessions owed in full", Stage::with(usual()).key(Key::Enter)),
        ("sessions sorted", Stage::with(usual()).types(">>s")),
        ("sessions filtered", Stage::with(usual()).types("/ord")),
        ("sessions filtered to none", Stage::with(usual()).types("/zzz").key(Key::Enter)),
        ("sessions wide characters", wide()),
        ("sessions hostile", hostile()),
        ("sessions hostile in full", hostile().key(Key::Enter)),
        ("drill", drill()),
        ("drill leave", {
            let mut stage = drill();
            stage.model.hosting = true;
            stage.key(Key::Char('q'))
        }),
        ("drill audit", drill().key(Key::Char('4'))),
        ("alarmed", alarmed()),
        (
            "engine lost",
            Stage::with(usual())
                .then(Msg::Detached(Report::new(Kind::Unavailable, "connection refused"))),
        ),
        ("engine stopped", Stage::with(vec![]).then(Msg::Events(vec![Event::Stopped]))),
    ]
}

fn asked_to_change() -> Stage {
    filled_in().key(Key::Enter).answer(Err(policy_change()))
}

fn opening() -> Scenes {
    let refused =
        Report::new(Kind::Denied, "the reason must match `INC-[0-9]+` (policy.reason-pattern)")
            .hint("write the incident's number first");
    vec![
        ("open", open_dialog()),
        ("open fetching", Stage::with(usual()).key(Key::Char('o'))),
        ("open searching", open_dialog().types("or")),
        ("open nothing fits", open_dialog().types("zzz").key(Key::Enter)),
        ("open checking", open_dialog().types("ordb").key(Key::Enter)),
        ("open filled in", filled_in()),
        ("open duration", filled_in().key(Key::Tab).key(Key::Right)),
        ("open no path", open_dialog().types("bill").key(Key::Enter).answer(Ok(path_none()))),
        ("open by address", open_dialog().types("10.2.3.4:5432").key(Key::Enter)),
        ("open sent", filled_in().key(Key::Enter)),
        ("open changes a policy file", asked_to_change()),
        (
            "open changes a policy file, marked",
            asked_to_change().key(Key::PageDown).key(Key::Right),
        ),
        ("open refused", filled_in().key(Key::Enter).answer(Err(refused))),
    ]
}

fn others() -> Scenes {
    vec![
        ("extend", Stage::with(usual()).key(Key::Down).key(Key::Char('x')).key(Key::Right)),
        ("end", Stage::with(usual()).key(Key::Down).key(Key::Char('e'))),
        ("quit", {
            let mut stage = Stage::with(usual());
            stage.model.hosting = true;
            stage.key(Key::Char('q'))
        }),
        ("quit attached", Stage::with(usual()).key(Key::Char('q'))),
        (
            "leaving",
            Stage::with(usual())
                .key(Key::Char('q'))
                .key(Key::Left)
                .key(Key::Enter)
                .answer(Ok(Reply::Done)),
        ),
        ("help", Stage::with(usual()).key(Key::Char('?'))),
        ("help searched", Stage::with(usual()).types("?/sort")),
        ("messages", hostile().key(Key::Char('m'))),
        ("palette", Stage::with(usual()).types(":e")),
        ("palette mistyped", Stage::with(usual()).types(":quti").key(Key::Enter)),
        ("providers", Stage::with(usual()).key(Key::Char('1'))),
        ("providers down", down(Stage::with(usual()).key(Key::Char('1')), 2)),
        ("providers switch off", Stage::with(usual()).types("1t")),
        ("providers keep", Stage::with(usual()).types("1D")),
        ("users nobody signs in", Stage::with(usual()).key(Key::Char('3'))),
        ("audit", Stage::with(usual()).key(Key::Char('4'))),
        ("audit in full", Stage::with(usual()).key(Key::Char('4')).key(Key::Enter)),
        ("audit hostile", hostile().key(Key::Char('4')).key(Key::Enter)),
        ("audit verified", verdict(None)),
        ("audit broken", verdict(Some((17, "the hash does not fit the event".into())))),
    ]
}

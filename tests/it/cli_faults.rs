//! What a verb does when its surroundings are hostile or broken.

use std::io;

use breakglass::cli::output::Terminal;
use breakglass::domain::identity_provider::{IdpHealth, IdpKind};
use breakglass::domain::provider::Health;
use breakglass::domain::text;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    Command, Event, IdentityView, IdpAsk, Notice, ProviderView, Reply, SessionState, SessionView,
    Severity, SignInAsk, SsoPromptView,
};

use crate::cli_people::{entra, identity, unhealthy};
use crate::cli_support::{Beat, NOW, Ran, World, engine, provider, session, usual};

/// A text that tries to take over the terminal.
fn evil() -> String {
    "x\u{1b}]52;c;ZWNo\u{7}\u{9b}31m\u{202e}\u{200b}\r\n\ty".to_owned() + &"z".repeat(9_999)
}

/// A view whose every foreign text tries to take over the terminal.
fn hostile(state: SessionState) -> SessionView {
    let evil = evil();
    let mut view = session(state);
    view.reason.clone_from(&evil);
    view.operator.name.clone_from(&evil);
    view.target.name.clone_from(&evil);
    view.path.why.clone_from(&evil);
    view.command = Some(evil.clone());
    view.end_reason = Some(evil.clone());
    view.end_detail = Some(evil.clone());
    for step in &mut view.steps {
        step.label.clone_from(&evil);
        step.detail = Some(evil.clone());
    }
    for line in &mut view.receipt {
        line.artifact.clone_from(&evil);
    }
    for line in &mut view.exit_card {
        line.artifact.clone_from(&evil);
        line.tried.clone_from(&evil);
        line.commands.push(evil.clone());
    }
    view
}

/// The first character that a terminal would act on.
fn raw(ran: &Ran) -> Option<char> {
    let printed = ran.stdout() + &ran.stderr();
    printed.chars().find(|c| *c != '\n' && text::must_show(*c))
}

#[tokio::test]
async fn no_foreign_text_of_a_session_reaches_the_terminal_raw() {
    for state in SessionState::ALL {
        for line in [
            &["sessions", "--all"][..],
            &["sessions", "--all", "--json"],
            &["show", "5566"],
            &["show", "5566", "--json"],
            &["--plain"],
        ] {
            let ran = usual()
                .knowing([hostile(state)])
                .world(|world| world.later.push_back(Beat::Tell(Event::Stopped)))
                .run(line)
                .await;
            assert_eq!((ran.code, raw(&ran)), (0, None), "{line:?} {state}");
        }
    }
}

#[tokio::test]
async fn no_other_foreign_text_reaches_the_terminal_raw() {
    for line in [
        &["engine"][..],
        &["engine", "--json"],
        &["providers"],
        &["providers", "show", "direct"],
        &["providers", "--json"],
        &["--plain"],
    ] {
        let ran = usual()
            .world(|world| {
                world.engine.host = evil();
                world.engine.version = evil();
                world.engine.operator.name = evil();
                world.engine.state_dir = evil();
                let at = world.engine.started_at;
                let alarm = Notice { severity: Severity::Alarm, text: evil(), session: None, at };
                world.engine.alarms.push(alarm.clone());
                world.providers = vec![ProviderView {
                    label: evil(),
                    about: evil(),
                    keep: Some(evil()),
                    health: Health::Down { why: evil() },
                    ..provider()
                }];
                world.later.push_back(Beat::Tell(Event::Notice(alarm)));
                world.later.push_back(Beat::Tell(Event::Stopped));
            })
            .run(line)
            .await;
        assert_eq!((ran.code, raw(&ran)), (0, None), "{line:?}");
    }
}

#[tokio::test]
async fn an_error_that_came_uncleaned_is_cleaned() {
    for line in [&["sessions"][..], &["sessions", "--json"]] {
        let ran = engine(|_: &mut World, _: Command| {
            let message = evil();
            Err(Report { kind: Kind::Denied, causes: vec![evil()], hint: Some(evil()), message })
        })
        .run(line)
        .await;
        assert_eq!((ran.code, raw(&ran)), (4, None), "{line:?}");
    }
}

#[tokio::test]
async fn an_ascii_locale_gets_no_other_byte() {
    let mut view = session(SessionState::Active);
    view.reason = "Zürich 東京".into();
    for line in [&["show", "5566"][..], &["show", "5566", "--json"], &["sessions"]] {
        let ran = usual().knowing([view.clone()]).terminal(Terminal::default()).run(line).await;
        assert!(ran.stdout().is_ascii(), "{ran}");
    }
}

#[tokio::test]
async fn a_reader_that_went_away_is_no_error() {
    for line in [&["sessions"][..], &["show", "5566"], &["sessions", "--json"], &["--help"]] {
        let ran = usual()
            .knowing([session(SessionState::Active)])
            .stdout_fails(io::ErrorKind::BrokenPipe)
            .run(line)
            .await;
        insta::allow_duplicates! { insta::assert_snapshot!(ran, @"exit 0"); }
    }
}

#[tokio::test]
async fn a_full_disk_behind_stdout_is_an_error() {
    let full = |line: &'static [&'static str]| {
        usual()
            .knowing([session(SessionState::Active)])
            .stdout_fails(io::ErrorKind::StorageFull)
            .run(line)
    };
    insta::assert_snapshot!(full(&["sessions"]).await, @"
    exit 5
    err| unavailable: cannot write to standard output
    err|   because: no storage space
    ");
    insta::assert_snapshot!(full(&["--help"]).await, @"
    exit 5
    err| unavailable: cannot write to standard output
    err|   because: no storage space
    ");
    insta::assert_snapshot!(full(&["sessions", "--json"]).await, @r#"
    exit 5
    err| {"version":1,"error":{"kind":"unavailable","message":"cannot write to standard output","causes":["no storage space"],"hint":null}}
    "#);
}

#[tokio::test]
async fn every_kind_of_error_has_its_exit_code() {
    for (kind, code) in [
        (Kind::Usage, 2),
        (Kind::Config, 3),
        (Kind::Denied, 4),
        (Kind::Unavailable, 5),
        (Kind::CleanupOwed, 6),
        (Kind::Internal, 70),
    ] {
        let ran = engine(move |_: &mut World, _: Command| Err(Report::new(kind, "no")))
            .run(&["sessions"])
            .await;
        assert_eq!(ran.code, code, "{ran}");
    }
}

/// An identity half whose every foreign text tries to take over the terminal.
fn hostile_identity() -> IdentityView {
    let evil = evil();
    let mut idp = entra();
    idp.label.clone_from(&evil);
    idp.forecast.clone_from(&evil);
    idp.warnings.push(evil.clone());
    for listed in &mut idp.listed {
        listed.warning = Some(evil.clone());
    }
    let mut probe = unhealthy();
    for check in &mut probe.checks {
        check.name.clone_from(&evil);
        check.found = Err(evil.clone());
    }
    (idp.health, idp.probe) = (IdpHealth::Unhealthy, Some(probe));
    if let Some(settings) = &mut idp.settings {
        settings.kind = IdpKind::Oidc { issuer: evil.clone() };
        settings.client_id.clone_from(&evil);
        settings.domains.push(evil);
    }
    IdentityView { idps: vec![idp], ..identity() }
}

#[tokio::test]
async fn no_foreign_text_about_people_reaches_the_terminal_raw() {
    for line in [
        "idp list",
        "idp list --json",
        "idp validate entra",
        "idp validate entra --json",
        "break-glass-users list",
        "break-glass-users list --json",
        "login --sso entra",
        "login --sso entra --json",
        "vault status",
        "doctor",
        "--plain",
    ] {
        let hostile = engine(|world: &mut World, command| match command {
            Command::Idp(IdpAsk::Validate { .. }) => {
                Ok(Reply::Probe(world.identity.idps[0].probe.clone().unwrap()))
            }
            Command::SignIn(SignInAsk::BeginSso { .. }) => Ok(Reply::SsoPrompt(SsoPromptView {
                attempt: 1,
                user_code: evil(),
                verification_uri: evil(),
                verification_uri_complete: Some(evil()),
                expires_at: NOW,
            })),
            Command::SignIn(SignInAsk::FinishSso { .. }) => Err(Report::new(Kind::Denied, evil())),
            other => world.usual(other),
        });
        let hostile = hostile.world(|world| {
            world.identity = hostile_identity();
            world.vault.detail = evil();
            world.later.extend([
                Beat::Tell(Event::SignedOut { why: evil() }),
                Beat::Cut,
                Beat::Tell(Event::Stopped),
            ]);
        });
        let ran = hostile.run(&line.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(raw(&ran), None, "{line}: {ran}");
        assert!(ran.stdout().len() + ran.stderr().len() > 20, "{line}: {ran}");
    }
}

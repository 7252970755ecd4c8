//! A session's life in the engine, on a real target over the real local endpoint.

use breakglass::protocol::{Command, Reply, SessionState};
use tokio::io::AsyncReadExt;

use crate::support::rig::{
    EchoTarget, Rig, connect, echo, nobody_there, open_active, providers_by_id, request, session,
    until, until_view,
};

#[tokio::test]
async fn a_session_opens_carries_bytes_ends_and_is_seen_gone() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let view = open_active(&engine, &target.address).await;
    assert_eq!(view.path.why, "the target answers from this host");
    assert!(view.command.as_deref().is_some_and(|it| it.starts_with("nc 127.0.0.1 ")));
    let mut client = connect(&view).await;
    echo(&mut client, "over the path").await;

    let mut faces = engine.handle.subscribe().await.unwrap();
    let reason = Some("done\u{1b}[2J".to_owned());
    let ending = engine.handle.call(Command::End { session: view.id, reason }).await;
    assert!(matches!(session(ending).state, SessionState::Ending | SessionState::Ended));
    let ended = until(&mut faces, view.id, SessionState::Ended).await;

    assert_eq!(ended.end_reason.as_deref(), Some("ended-by-operator"));
    assert_eq!(ended.end_detail.as_deref(), Some("done<1B>[2J"));
    assert!(ended.receipt.iter().all(|line| line.gone_at.is_some()), "{:?}", ended.receipt);
    assert_eq!(ended.receipt.len(), 1, "Direct leaves nothing but the listener");
    assert_eq!((ended.traffic.bytes_up, ended.traffic.bytes_down), (13, 13));
    assert_eq!(ended.endpoint, None);
    let mut rest = vec![];
    let closed = client.read_to_end(&mut rest).await;
    assert!(closed.is_err() || rest.is_empty(), "the connection was cut");
    let kinds = rig.store.audit_kinds();
    insta::assert_snapshot!(
        kinds.iter().filter(|kind| !kind.contains("connection")).cloned().collect::<Vec<_>>().join("\n"),
        @r"
    engine.started
    session.requested
    session.activating
    session.step.applied
    session.step.applied
    session.activated
    session.end_requested
    session.step.gone
    session.ended
    "
    );
}

#[tokio::test]
async fn every_connection_that_opened_is_recorded_as_closed_when_the_session_ends() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let view = open_active(&engine, &target.address).await;
    let mut clients = vec![];
    for _ in 0..200 {
        let mut client = connect(&view).await;
        echo(&mut client, "x").await;
        clients.push(client);
    }
    let mut faces = engine.handle.subscribe().await.unwrap();
    engine.handle.call(Command::End { session: view.id, reason: None }).await.unwrap();
    until(&mut faces, view.id, SessionState::Ended).await;
    let kinds = rig.store.audit_kinds();
    let count = |wanted: &str| kinds.iter().filter(|kind| *kind == wanted).count();
    assert_eq!(count("session.connection.opened"), 200);
    assert_eq!(count("session.connection.closed"), 200);
    assert_eq!(kinds.last().unwrap(), "session.ended", "nothing of a session comes after its end");
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_refused_with_the_reason() {
    let rig = Rig::new();
    let engine = rig.start().await;
    let address = nobody_there().await;
    let report = engine.handle.call(Command::Open(request(&address))).await.unwrap_err();
    assert_eq!(report.kind.exit_code(), 5);
    let message = report.message.replace(&address.port().to_string(), "PORT");
    insta::assert_snapshot!(message, @"there is no path to `127.0.0.1-PORT`: direct: the target does not answer from this host (Connection refused (os error 111))");
    assert_eq!(rig.store.audit_kinds().last().unwrap(), "session.rejected");
}

#[tokio::test]
async fn two_faces_see_the_same() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let mut first = engine.handle.subscribe().await.unwrap();
    let mut second = engine.handle.subscribe().await.unwrap();
    let opened = session(engine.handle.call(Command::Open(request(&target.address))).await);
    let one = until(&mut first, opened.id, SessionState::Active).await;
    let other = until(&mut second, opened.id, SessionState::Active).await;
    assert_eq!(one, other);
}

#[tokio::test]
async fn a_lease_grows_within_its_bounds_only() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let view = open_active(&engine, &target.address).await;
    let by = |text: &str| Command::Extend { session: view.id, by: text.parse().unwrap() };
    let longer = session(engine.handle.call(by("20m")).await);
    assert_eq!(longer.lease.to_string(), "50m");
    let report = engine.handle.call(by("20m")).await.unwrap_err();
    insta::assert_snapshot!(report, @r"
    denied: `20m` more would exceed the `1h` allowed for this target
      hint: at most `10m` more is allowed; open another session after it
    ");
}

#[tokio::test]
async fn a_disabled_provider_opens_nothing_and_running_sessions_keep_their_path() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let view = open_active(&engine, &target.address).await;
    let provider: breakglass::domain::id::ProviderId = "direct".parse().unwrap();
    let disable = Command::SetProviderEnabled { provider: provider.clone(), enabled: false };
    let reply = engine.handle.call(disable).await.unwrap();
    assert_eq!(providers_by_id(reply).get("direct"), Some(&false));
    echo(&mut connect(&view).await, "still here").await;
    let report = engine.handle.call(Command::Open(request(&target.address))).await.unwrap_err();
    assert!(report.message.ends_with("direct: is switched off"), "{report}");
    assert_eq!(report.hint.as_deref(), Some("breakglass providers enable direct"));
    let report = engine.handle.call(Command::RemoveProvider { provider }).await.unwrap_err();
    insta::assert_snapshot!(report, @r"
    denied: Direct is built in and cannot be removed; it can be disabled
      hint: breakglass providers disable direct
    ");
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_does_nothing() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let reply = engine.handle.call(Command::Plan(request(&target.address))).await.unwrap();
    let Reply::Plan(plan) = reply else { panic!("{reply:?}") };
    let lines: Vec<_> = plan
        .steps
        .iter()
        .map(|step| format!("{} -> {:?} needs {:?}", step.label, step.creates, step.needs))
        .collect();
    let port = target.address.port().to_string();
    insta::assert_snapshot!(lines.join("\n").replace(&port, "PORT"), @r#"
    connect to 127.0.0.1:PORT -> None needs []
    open the local endpoint -> Some("listener") needs [0]
    "#);
    assert_eq!(rig.store.audit_kinds(), ["engine.started"]);
}

#[tokio::test]
async fn a_face_that_does_not_keep_up_is_cut_off_and_nobody_else_notices() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let engine = rig.start().await;
    let mut asleep = engine.handle.subscribe().await.unwrap();
    for _ in 0..60 {
        let view = open_active(&engine, &target.address).await;
        let mut faces = engine.handle.subscribe().await.unwrap();
        engine.handle.call(Command::End { session: view.id, reason: None }).await.unwrap();
        until_view(&mut faces, view.id, |view| view.state == SessionState::Ended).await;
    }
    while asleep.events.recv().await.is_some() {}
}

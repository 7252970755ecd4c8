//! An engine at the far end of a socket: the same answers, and no patience for nonsense.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use breakglass::domain::role::Role;
use breakglass::domain::sign_in::Token;
use breakglass::protocol::{Command, Event, Origin, Reply, SessionState};
use breakglass::socket::{self, AttachError, Attached, Server, Serves};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::support::people::{self, OWNER, account};
use crate::support::rig::{EchoTarget, Rig, open_active, request, session, until};

struct Served {
    engine: breakglass::engine::Running,
    token: Token,
    _server: Server,
    path: PathBuf,
    _dir: tempfile::TempDir,
    _rig: Rig,
}

async fn served() -> Served {
    let rig = Rig::new();
    let here = socket::origin_of(own_uid(), i32::try_from(std::process::id()).ok());
    let owner = account(OWNER, Role::Owner);
    let token = people::sign_in_at(&*rig.store, &owner, &here).await;
    let engine = rig.start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = socket::serve(listener, engine.handle.clone(), Serves::Uid(own_uid()));
    Served { engine, token, _server: server, path, _dir: dir, _rig: rig }
}

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn origin() -> Origin {
    Origin { uid: own_uid(), tty: Some("pts/7".into()), ..Origin::default() }
}

/// Attaches, as the Owner who is signed in at this terminal.
async fn attached(served: &Served) -> Attached {
    let mut attached = socket::attach(&served.path, origin(), own_uid()).await.unwrap();
    attached.handle = attached.handle.signed_in(Some(served.token.clone()));
    attached
}

#[tokio::test]
async fn a_face_far_away_sees_what_one_here_sees() {
    let (served, target) = (served().await, EchoTarget::start().await);
    let far = attached(&served).await;
    let mut here = served.engine.handle.subscribe().await.unwrap();
    let mut there = far.handle.subscribe().await.unwrap();
    assert_eq!(there.snapshot.engine.pid, here.snapshot.engine.pid);
    let opened = session(far.handle.call(Command::Open(request(&target.address))).await);
    let one = until(&mut here, opened.id, SessionState::Active).await;
    let other = until(&mut there, opened.id, SessionState::Active).await;
    assert_eq!(one, other);
    let report = far.handle.call(Command::Stop).await.unwrap_err();
    assert_eq!(report.message, "the engine stays: 1 session not ended yet");
    let audit = far.handle.call(Command::AuditTail { limit: 10, before: None }).await.unwrap();
    let Reply::Audit(events) = audit else { panic!("{audit:?}") };
    let asked = events.iter().find(|event| event.event.kind == "session.requested").unwrap();
    assert_ne!(asked.event.source.tty.as_deref(), Some("pts/7"), "what a face says is not asked");
    assert_eq!(asked.event.source.uid, Some(own_uid()), "what the kernel says");
}

#[tokio::test]
async fn who_waits_hears_that_the_engine_has_gone() {
    let served = served().await;
    let far = attached(&served).await;
    let mut events = far.handle.subscribe().await.unwrap().events;
    served.engine.control.stop().await;
    while events.recv().await.is_some_and(|event| event != Event::Stopped) {}
    let report = far.handle.call(Command::Status).await.unwrap_err();
    insta::assert_snapshot!(report, @r"
    unavailable: the engine has gone away
      hint: run the command again; what was open goes on or is taken up after the start
    ");
}

#[tokio::test]
async fn where_nobody_serves_there_is_no_engine() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let nobody = socket::attach(&path, origin(), own_uid()).await.unwrap_err();
    assert!(matches!(nobody, AttachError::Nobody));
    drop(UnixListener::bind(&path).unwrap());
    let stale = socket::attach(&path, origin(), own_uid()).await.unwrap_err();
    assert!(matches!(stale, AttachError::Nobody), "a socket that a dead engine left: {stale}");
}

#[tokio::test]
async fn an_engine_of_another_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut face, _) = listener.accept().await.unwrap();
        let hello = br#"{"protocol":999,"program":"9.9.9\u001b[2J","tty":null,"ip":null}"#;
        face.write_all(&u32::try_from(hello.len()).unwrap().to_be_bytes()).await.unwrap();
        face.write_all(hello).await.unwrap();
        face.read_to_end(&mut vec![]).await.ok();
    });
    let error = socket::attach(&path, origin(), own_uid()).await.unwrap_err();
    let ours = env!("CARGO_PKG_VERSION");
    let expected = format!("the running engine is version 9.9.9<1B>[2J, this program is {ours}");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn nonsense_is_hung_up_on_and_harms_nobody_else() {
    let (served, target) = (served().await, EchoTarget::start().await);
    let good = attached(&served).await;
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], b"\0\0\0\x02{}", b"\0\0\0\x05nu"]
    {
        let mut bad = UnixStream::connect(&served.path).await.unwrap();
        bad.write_all(nonsense).await.unwrap();
        bad.shutdown().await.unwrap();
        bad.read_to_end(&mut vec![]).await.ok();
    }
    let view = open_active(&served.engine, &target.address).await;
    let found = good.handle.call(Command::Find { text: view.id.short() }).await.unwrap();
    assert!(matches!(found, Reply::Sessions(found) if found.len() == 1));
}

#[tokio::test]
async fn another_user_is_turned_away() {
    let rig = Rig::new();
    let engine = rig.start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let _server = socket::serve(listener, engine.handle.clone(), Serves::Uid(own_uid() + 1));
    let error = socket::attach(&path, origin(), own_uid()).await.unwrap_err();
    assert!(matches!(error, AttachError::Silent | AttachError::Io(_)), "{error}");
    let error = socket::attach(&path, origin(), own_uid() + 1).await.unwrap_err();
    assert!(matches!(error, AttachError::Stranger(uid) if uid == own_uid()), "{error}");
}

/// A face that speaks the frames by hand, past the hellos.
async fn by_hand(served: &Served) -> UnixStream {
    let mut face = UnixStream::connect(&served.path).await.unwrap();
    let length = face.read_u32().await.unwrap();
    let mut hello = vec![0; usize::try_from(length).unwrap()];
    face.read_exact(&mut hello).await.unwrap();
    face.write_all(&length.to_be_bytes()).await.unwrap();
    face.write_all(&hello).await.unwrap();
    face
}

#[tokio::test]
async fn a_face_that_asks_and_never_listens_waits_and_is_hung_up_on() {
    const ASKS: usize = 20_000;
    let served = served().await;
    let mut deaf = by_hand(&served).await;
    let token = served.token.expose();
    let ask = format!(
        r#"{{"command":{{"id":1,"token":"{token}","command":{{"find":{{"text":"{:01000}"}}}}}}}}"#,
        0
    );
    let mut frame = u32::try_from(ask.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(ask.bytes());
    // The first is understood: what follows is held back, not hung up on.
    deaf.write_all(&frame).await.unwrap();
    let length = deaf.read_u32().await.unwrap();
    let mut answer = vec![0; usize::try_from(length).unwrap()];
    deaf.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, br#"{"answer":{"id":1,"answer":{"Ok":{"sessions":[]}}}}"#);

    let other = attached(&served).await;
    let (mut written, mut held_back) = (0, 0);
    while held_back < 50 {
        let rest = &frame[written % frame.len()..];
        match deaf.try_write(rest) {
            Ok(bytes) => (written, held_back) = (written + bytes, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                held_back += 1;
                // The engine has its turn, and somebody else their answer.
                other.handle.call(Command::Status).await.unwrap();
            }
            Err(error) => panic!("hung up on after {written} bytes: {error}"),
        }
        assert!(written < frame.len() * ASKS / 4, "every ask is taken in, and none answered");
    }
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let gone = deaf.try_write(b"\0").unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::BrokenPipe, "it is hung up on in the end");
    other.handle.call(Command::Status).await.unwrap();
}

#[tokio::test]
async fn a_second_subscription_takes_the_place_of_the_first() {
    let (served, target) = (served().await, EchoTarget::start().await);
    let far = attached(&served).await;
    let mut first = far.handle.subscribe().await.unwrap();
    let mut second = far.handle.subscribe().await.unwrap();
    while first.events.recv().await.is_some_and(|event| event != Event::Stopped) {}
    let opened = session(far.handle.call(Command::Open(request(&target.address))).await);
    until(&mut second, opened.id, SessionState::Active).await;
}

#[tokio::test]
async fn a_user_has_so_many_places_and_a_face_that_leaves_makes_room() {
    const PLACES: usize = 64;
    let served = served().await;
    let mut faces = vec![];
    for _ in 0..PLACES {
        faces.push(attached(&served).await);
    }
    let refused = socket::attach(&served.path, origin(), own_uid()).await.unwrap_err();
    assert!(matches!(refused, AttachError::Silent | AttachError::Io(_)), "{refused}");
    faces.pop();
    let again = async {
        while socket::attach(&served.path, origin(), own_uid()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("there is room again");
}

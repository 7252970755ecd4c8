//! The conversation, with a control socket behind which nothing is.

use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::fake::{Target, serve};
use super::*;

fn address() -> Address {
    "db:5432".parse().unwrap()
}

/// Waits until somebody listens.
async fn connect(socket: &Path) -> Mux {
    loop {
        match Mux::connect(socket).await {
            Ok(mux) => return mux,
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

#[tokio::test]
async fn a_running_ssh_is_asked_to_listen_to_try_and_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let (control, listen) = (dir.path().join("c"), dir.path().join("f"));
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(control.clone(), Target::Opens));
    let mut mux = connect(&control).await;
    mux.alive().await.unwrap();
    mux.forward(&listen, &address()).await.unwrap();
    assert!(listen.exists());
    assert!(connect(&control).await.probe(&address(), ANSWER).await.unwrap());
    connect(&control).await.terminate().await.unwrap();
    mux.alive().await.unwrap();
    tasks.shutdown().await;
    mux.ended().await;
    assert!(matches!(Mux::connect(&control).await, Err(MuxError::Socket(_))));
}

#[tokio::test]
async fn a_target_that_is_refused_is_no_failure_of_ssh() {
    let dir = tempfile::tempdir().unwrap();
    let (control, log) = (dir.path().join("c"), dir.path().join("log"));
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(control.clone(), Target::Refuses(log.clone(), "channel 1: open failed: x")));
    assert!(!connect(&control).await.probe(&address(), ANSWER).await.unwrap());
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "channel 1: open failed: x\n");
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let control = dir.path().join("c");
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(control.clone(), Target::Hangs));
    let probed = connect(&control).await.probe(&address(), Duration::from_millis(20)).await;
    assert!(matches!(probed, Err(MuxError::Silent(_))), "{probed:?}");
}

#[tokio::test]
async fn whatever_else_listens_there_is_not_taken_for_ssh() {
    let dir = tempfile::tempdir().unwrap();
    for (name, said) in [
        ("huge", &b"\xff\xff\xff\xff"[..]),
        ("tiny", b"\0\0\0\x01x"),
        ("other version", b"\0\0\0\x08\0\0\0\x01\0\0\0\x03"),
        ("cut off", b"\0\0\0\x04\0\0\0\x01"),
        ("nothing", b""),
    ] {
        let control = dir.path().join(name);
        let listener = UnixListener::bind(&control).unwrap();
        let talk = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(said).await.unwrap();
        };
        let ((), connected) = tokio::join!(talk, Mux::connect(&control));
        assert!(connected.is_err(), "{name}");
    }
}

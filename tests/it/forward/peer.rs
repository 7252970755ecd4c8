//! Who passes and who does not, with real processes of other users.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdTcpStream};
use std::process::Stdio;
use std::sync::Arc;

use breakglass::forward::peer::{ESTABLISHED, SocketFacts, TurnedAway, judge};
use breakglass::forward::{Bound, Endpoint, ForwardEvent, Listen, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::kit::{
    To, am_root, connect, gone, me, port, serve, settings, settings_of, target, within,
};

/// A user that every system has and that runs nothing here.
const NOBODY: u32 = 65534;

/// A process of another user that connects, says `hello` and stays. Root only.
fn connect_as(uid: u32, port: u16) -> Child {
    Command::new("setpriv")
        .args([&format!("--reuid={uid}"), "--clear-groups", "bash", "-c"])
        .arg(format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo hello >&3; cat <&3"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn refused(events: &mut mpsc::Receiver<ForwardEvent>) -> (Option<u32>, Refusal) {
    match events.recv().await {
        Some(ForwardEvent::Refused { uid, why, .. }) => (uid, why),
        other => panic!("not refused: {other:?}"),
    }
}

/// Asserts that nobody has reached the target: its queue is empty.
fn assert_untouched(listener: TcpListener) {
    let listener = listener.into_std().unwrap();
    let error = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn another_user_is_refused() {
    if !am_root() {
        // Only root can become another user; the same rule then decides on the same facts.
        let found = SocketFacts { state: ESTABLISHED, uid: me() + 1, inode: 1 };
        let away = TurnedAway { uid: Some(me() + 1), why: Refusal::Stranger };
        assert_eq!(judge(Some(found), me()), Err(away));
        return;
    }
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let mut stranger = connect_as(NOBODY, port(endpoint.address()));
        assert_eq!(refused(&mut events).await, (Some(NOBODY), Refusal::Stranger));
        // Its connection was closed, so its `cat` ends.
        stranger.wait().await.unwrap();
        assert_eq!(endpoint.close().await.refused, 1);
        assert_untouched(listener);
    })
    .await;
}

#[tokio::test]
async fn the_one_who_runs_the_engine_is_refused_where_another_is_the_owner() {
    within(async {
        let owner = if am_root() { NOBODY } else { me() + 1 };
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings_of(owner));
        let mut client = connect(&endpoint).await;
        let why = if am_root() { Refusal::Root } else { Refusal::Stranger };
        assert_eq!(refused(&mut events).await, (Some(me()), why));
        gone(&mut client).await;
        if am_root() {
            let mut the_owner = connect_as(owner, port(endpoint.address()));
            let (mut far, _) = listener.accept().await.unwrap();
            let mut hello = [0; 6];
            far.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"hello\n");
            let Some(ForwardEvent::Opened { uid, .. }) = events.recv().await else {
                panic!("the owner did not pass");
            };
            assert_eq!(uid, owner);
            endpoint.close().await;
            the_owner.wait().await.unwrap();
        } else {
            assert_untouched(listener);
        }
    })
    .await;
}

/// Serves a listener on which somebody has been already.
fn serve_late(bound: Bound, dial: To) -> (Endpoint, mpsc::Receiver<ForwardEvent>) {
    let (sender, events) = mpsc::channel(16);
    (Endpoint::start(bound, Arc::new(dial), settings(), sender).unwrap(), events)
}

#[tokio::test]
async fn a_client_that_closed_before_it_was_accepted_is_refused() {
    within(async {
        for reset in [false, true] {
            let (listener, dial) = target().await;
            let bound = Listen::Loopback { port: None }.bind().unwrap();
            let address = (Ipv4Addr::LOCALHOST, port(bound.address()));
            let mut client = StdTcpStream::connect(address).unwrap();
            client.write_all(b"drop table orders;").unwrap();
            if reset {
                let at_once = Some(std::time::Duration::ZERO);
                rustix::net::sockopt::set_socket_linger(&client, at_once).unwrap();
            }
            drop(client);
            let (endpoint, mut events) = serve_late(bound, dial);
            assert_eq!(refused(&mut events).await, (None, Refusal::Gone), "reset: {reset}");
            let totals = endpoint.close().await;
            assert_eq!((totals.refused, totals.bytes_up, totals.connections_total), (1, 0, 0));
            assert_untouched(listener);
        }
    })
    .await;
}

/// Connects from an address of its own, on which nobody else takes the port in between.
async fn connect_from(ours: SocketAddr, theirs: SocketAddr) -> (TcpStream, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(ours).unwrap();
    let stream = socket.connect(theirs).await.unwrap();
    let ours = stream.local_addr().unwrap();
    (stream, ours)
}

#[tokio::test]
async fn the_bytes_of_a_gone_stranger_are_not_taken_for_those_of_a_later_client() {
    within(async {
        let (listener, dial) = target().await;
        let bound = Listen::Loopback { port: None }.bind().unwrap();
        let endpoint = (Ipv4Addr::LOCALHOST, port(bound.address()));
        // The first client resets; the second then has the very same two ends.
        let (first, ends) = connect_from("127.77.0.1:0".parse().unwrap(), endpoint.into()).await;
        let mut first = first.into_std().unwrap();
        first.write_all(b"drop table orders;").unwrap();
        rustix::net::sockopt::set_socket_linger(&first, Some(std::time::Duration::ZERO)).unwrap();
        drop(first);
        let (mut second, again) = connect_from(ends, endpoint.into()).await;
        assert_eq!(again, ends);
        second.write_all(b"select 1;").await.unwrap();

        let (served, mut events) = serve_late(bound, dial);
        assert_eq!(refused(&mut events).await, (None, Refusal::Gone));
        let (mut far, _) = listener.accept().await.unwrap();
        let mut asked = [0; 9];
        far.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"select 1;");
        assert_eq!(served.close().await.bytes_up, 9);
    })
    .await;
}

#[tokio::test]
async fn an_ipv6_socket_that_speaks_ipv4_passes() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let mapped = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port(endpoint.address()));
        let _client = TcpStream::connect(mapped).await.unwrap();
        listener.accept().await.unwrap();
        assert!(matches!(events.recv().await, Some(ForwardEvent::Opened { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_foreign_owner_is_refused_on_a_unix_socket_too() {
    within(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sockets/db.sock");
        let bound = Listen::Unix { path: path.clone(), owner: rustix::process::geteuid().as_raw() }
            .bind()
            .unwrap();
        let (listener, dial) = target().await;
        let (sender, mut events) = mpsc::channel(16);
        let settings = settings_of(me() + 1);
        let endpoint = Endpoint::start(bound, Arc::new(dial), settings, sender).unwrap();
        let mut client = UnixStream::connect(&path).await.unwrap();
        let why = if am_root() { Refusal::Root } else { Refusal::Stranger };
        assert_eq!(refused(&mut events).await, (Some(me()), why));
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        endpoint.close().await;
        assert_untouched(listener);
    })
    .await;
}

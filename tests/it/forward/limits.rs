//! Idle time, too many connections, and a system that has nothing left.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use breakglass::forward::{Endpoint, ForwardEvent, Listen, Refusal, Room, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::{Instant, sleep};

use super::kit::{
    Silence, To, connect, gone, in_child, knock, me, pair, serve, settings, target, within,
};

const LIMIT: Duration = Duration::from_secs(60);

fn with_idle_limit() -> Settings {
    Settings { idle_limit: Some(LIMIT), ..settings() }
}

/// Timers tick in milliseconds.
fn assert_just_after(moment: Instant, due: Instant) {
    assert!(moment >= due && moment - due <= Duration::from_millis(2), "{:?}", moment - due);
}

#[tokio::test(start_paused = true)]
async fn idle_is_told_once_where_nobody_ever_connects() {
    let started = Instant::now();
    let (_endpoint, mut events) = serve(Silence, with_idle_limit());
    assert!(matches!(events.recv().await, Some(ForwardEvent::Idle)));
    assert_just_after(Instant::now(), started + LIMIT);
    sleep(LIMIT * 10).await;
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[tokio::test(start_paused = true)]
async fn idle_counts_from_the_last_byte_in_either_direction() {
    let (listener, dial) = target().await;
    let (endpoint, mut events) = serve(dial, with_idle_limit());
    let (mut client, mut far, _) = pair(&endpoint, &listener, &mut events).await;
    sleep(LIMIT - Duration::from_secs(1)).await;
    client.write_all(b"u").await.unwrap();
    far.read_exact(&mut [0]).await.unwrap();
    sleep(LIMIT - Duration::from_secs(1)).await;
    far.write_all(b"d").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
    let last = Instant::now();
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
    assert!(matches!(events.recv().await, Some(ForwardEvent::Idle)));
    assert_just_after(Instant::now(), last + LIMIT);
}

#[tokio::test(start_paused = true)]
async fn idle_is_told_even_if_the_channel_was_full() {
    let (listener, dial) = target().await;
    let (sender, mut events) = mpsc::channel(1);
    let bound = Listen::Loopback { port: None }.bind().unwrap();
    let endpoint = Endpoint::start(bound, Arc::new(dial), with_idle_limit(), sender).unwrap();
    let _client = connect(&endpoint).await;
    let _far = listener.accept().await.unwrap();
    sleep(LIMIT * 2).await;
    assert!(matches!(events.recv().await, Some(ForwardEvent::Opened { .. })));
    assert!(matches!(events.recv().await, Some(ForwardEvent::Idle)));
}

#[tokio::test]
async fn one_connection_too_many_is_refused_and_room_comes_back() {
    within(async {
        let (listener, dial) = target().await;
        let settings = Settings { room: Room::new(2), ..settings() };
        let (endpoint, mut events) = serve(dial, settings);
        let first = pair(&endpoint, &listener, &mut events).await;
        let _second = pair(&endpoint, &listener, &mut events).await;
        turned_away(&endpoint).await;
        let Some(ForwardEvent::Refused { uid, why, .. }) = events.recv().await else {
            panic!("not refused");
        };
        assert_eq!((uid, why), (Some(me()), Refusal::Full));
        drop(first);
        assert!(matches!(events.recv().await, Some(ForwardEvent::Closed { .. })));
        pair(&endpoint, &listener, &mut events).await;
        assert_eq!(endpoint.close().await.refused, 1);
    })
    .await;
}

/// Connects and is turned away, at once or a moment later.
async fn turned_away(endpoint: &Endpoint) {
    if let Some(mut client) = knock(endpoint).await {
        gone(&mut client).await;
    }
}

/// The far sides of all connections that are relayed, and how many were refused for lack of room.
async fn settled(
    listener: &TcpListener,
    events: &mut [mpsc::Receiver<ForwardEvent>],
    clients: usize,
) -> (Vec<TcpStream>, usize) {
    let (mut far, mut refused) = (Vec::new(), 0);
    for event in 0..clients {
        let share = events.len();
        match events[event % share].recv().await {
            Some(ForwardEvent::Opened { .. }) => far.push(listener.accept().await.unwrap().0),
            Some(ForwardEvent::Refused { why: Refusal::Full, .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    (far, refused)
}

#[tokio::test]
async fn all_endpoints_share_one_room() {
    within(async {
        const PLACES: usize = 40;
        let (listener, dial) = target().await;
        let one_room = Settings { room: Room::new(PLACES), ..settings() };
        let (first, one) = serve(To(dial.0), one_room.clone());
        let (second, other) = serve(dial, one_room);
        let mut events = [one, other];
        let mut clients = Vec::new();
        for _ in 0..(PLACES + 50) / 2 {
            clients.push(knock(&first).await);
            clients.push(knock(&second).await);
        }
        let (mut far, refused) = settled(&listener, &mut events, clients.len()).await;
        assert_eq!((far.len(), refused), (PLACES, 50));
        let counted = [&first, &second].map(|endpoint| endpoint.counters().read());
        assert_eq!(counted.map(|totals| totals.refused).iter().sum::<u64>(), 50);
        assert_eq!(counted.map(|totals| totals.connections_open).iter().sum::<u64>(), 40);
        // A place that one endpoint gives back serves the next client of the other.
        let open_before = counted[0].connections_open;
        assert!(open_before > 0 && counted[1].connections_open > 0, "{counted:?}");
        first.close().await;
        for _ in 0..open_before {
            clients.push(knock(&second).await);
            far.push(listener.accept().await.unwrap().0);
        }
        turned_away(&second).await;
        let totals = second.close().await;
        assert_eq!(totals.refused, counted[1].refused + 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_handed_over_stays_even_where_there_is_less_room() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(To(dial.0), settings());
        let mut kept = pair(&endpoint, &listener, &mut events).await;
        let other = pair(&endpoint, &listener, &mut events).await;
        let parts = endpoint.dismantle().await.unwrap();
        let less = Settings { room: Room::new(1), ..settings() };
        let (sender, mut events) = mpsc::channel(16);
        let endpoint = Endpoint::resume(parts, Arc::new(dial), less, sender).unwrap();
        drop(other);
        assert!(matches!(events.recv().await, Some(ForwardEvent::Closed { .. })));
        turned_away(&endpoint).await;
        assert!(matches!(events.recv().await, Some(ForwardEvent::Refused { .. })));
        kept.0.write_all(b"k").await.unwrap();
        kept.1.read_exact(&mut [0]).await.unwrap();
        drop(kept);
        assert!(matches!(events.recv().await, Some(ForwardEvent::Closed { .. })));
        pair(&endpoint, &listener, &mut events).await;
    })
    .await;
}

#[test]
fn a_full_room_leaves_descriptors_for_everything_else() {
    let name = "forward::limits::a_full_room_leaves_descriptors_for_everything_else";
    if !in_child(name, "ulimit -n 160") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(within(async {
        let (listener, dial) = target().await;
        let (endpoint, events) = serve(dial, Settings { room: Room::new(16), ..settings() });
        let mut clients = Vec::new();
        for _ in 0..60 {
            clients.push(knock(&endpoint).await);
        }
        let (far, refused) = settled(&listener, &mut [events], clients.len()).await;
        assert_eq!((far.len(), refused), (16, 44));
        let others: Vec<_> = (0..20).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        assert_eq!((others.len(), endpoint.close().await.accepts_failed), (20, 0));
    }));
}

#[test]
fn a_process_without_descriptors_waits_and_goes_on() {
    let name = "forward::limits::a_process_without_descriptors_waits_and_goes_on";
    if !in_child(name, "ulimit -n 64") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        // The client has its descriptor before the rest are taken.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let address = endpoint.address().to_string().parse().unwrap();
        let mut client = socket.connect(address).await.unwrap();
        client.write_all(b"late").await.unwrap();
        let Some(ForwardEvent::Exhausted { why }) = events.recv().await else {
            panic!("the shortage was not told");
        };
        assert_eq!(why.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
        drop(hoard);
        let (mut far, _) = listener.accept().await.unwrap();
        let mut late = [0; 4];
        far.read_exact(&mut late).await.unwrap();
        assert_eq!(&late, b"late");
        let Some(ForwardEvent::Opened { .. }) = events.recv().await else {
            panic!("the client was lost");
        };
        let totals = endpoint.close().await;
        assert!((1..=60).contains(&totals.accepts_failed), "it spun: {totals:?}");
    }));
}

#[test]
fn a_socket_file_is_private_whatever_the_umask() {
    let name = "forward::limits::a_socket_file_is_private_whatever_the_umask";
    if !in_child(name, "umask 000") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sockets/db.sock");
    let bound = Listen::Unix { path: path.clone(), owner: rustix::process::geteuid().as_raw() }
        .bind()
        .unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
    drop(bound);
}

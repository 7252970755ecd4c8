//! An endpoint taken apart and put together again while bytes flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use breakglass::forward::{
    CloseReason, Conduit, Dial, DialError, Endpoint, ForwardEvent, Settings,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::kit::{
    Once, Silence, To, connect, gone, hand_over, me, noise, pair, receive_all, serve, settings,
    target, within,
};

/// Sends until told to stop, in pieces of many sizes. Returns how much.
async fn send_until(stop: Arc<AtomicBool>, mut to: OwnedWriteHalf, noise: Arc<[u8]>) -> u64 {
    let (mut sent, mut at) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let piece = 1 + usize::from(noise[at]) * 300;
        let end = noise.len().min(at + piece);
        to.write_all(&noise[at..end]).await.unwrap();
        sent += (end - at) as u64;
        at = end % noise.len();
    }
    to.shutdown().await.unwrap();
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_come_through_many_hand_overs_whole() {
    const CONNECTIONS: u64 = 4;
    const HAND_OVERS: usize = 25;
    within(async {
        let (listener, dial) = target().await;
        let address = dial.0;
        let (mut endpoint, mut events) = serve(dial, settings());
        let (stop, noise) = (Arc::new(AtomicBool::new(false)), noise());
        let mut streams = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (client, far, _) = pair(&endpoint, &listener, &mut events).await;
            let ((client_in, client_out), (far_in, far_out)) =
                (client.into_split(), far.into_split());
            let (stop, noise) = (Arc::clone(&stop), Arc::clone(&noise));
            streams.spawn(async move {
                tokio::join!(
                    send_until(Arc::clone(&stop), client_out, Arc::clone(&noise)),
                    receive_all(far_in, Arc::clone(&noise)),
                    send_until(stop, far_out, Arc::clone(&noise)),
                    receive_all(client_in, noise),
                )
            });
        }
        for _ in 0..HAND_OVERS {
            let before = endpoint.counters().read().bytes_up;
            let (resumed, parted) = hand_over(endpoint, Arc::new(To(address))).await;
            endpoint = resumed;
            events = parted.events;
            assert_eq!(parted.note.connections.len() as u64, CONNECTIONS);
            // The next one comes only when bytes flow again.
            while endpoint.counters().read().bytes_up <= before {
                tokio::task::yield_now().await;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let (mut sent_up, mut sent_down) = (0, 0);
        while let Some(stream) = streams.join_next().await {
            let (up_sent, up_received, down_sent, down_received) = stream.unwrap();
            assert_eq!(up_sent, up_received);
            assert_eq!(down_sent, down_received);
            sent_up += up_sent;
            sent_down += down_sent;
        }
        for _ in 0..CONNECTIONS {
            let Some(ForwardEvent::Closed { why, .. }) = events.recv().await else {
                panic!("not closed");
            };
            assert_eq!(why, CloseReason::Finished);
        }
        assert!(sent_up > 1_000_000, "too little to prove anything: {sent_up}");
        let totals = endpoint.close().await;
        assert_eq!((totals.bytes_up, totals.bytes_down), (sent_up, sent_down));
        assert_eq!((totals.connections_open, totals.connections_total), (0, CONNECTIONS));
    })
    .await;
}

#[tokio::test]
async fn a_half_closed_connection_stays_half_closed() {
    within(async {
        let (listener, dial) = target().await;
        let address = dial.0;
        let (endpoint, mut events) = serve(dial, settings());
        let (mut client, mut far, conn) = pair(&endpoint, &listener, &mut events).await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        far.read_to_string(&mut question).await.unwrap();

        let (_endpoint, mut parted) = hand_over(endpoint, Arc::new(To(address))).await;
        let note = parted.note.connections[0];
        assert_eq!((note.conn, note.uid, note.up.bytes), (conn, me(), 8));
        assert!(note.up.ended && !note.down.ended);
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        match parted.events.recv().await {
            Some(ForwardEvent::Closed { conn: closed, bytes_up, bytes_down, why }) => {
                let expected = (conn, 8, 6, CloseReason::Finished);
                assert_eq!((closed, bytes_up, bytes_down, why), expected);
            }
            other => panic!("not closed: {other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn who_connects_in_between_waits_and_is_served() {
    within(async {
        let (listener, dial) = target().await;
        let address = dial.0;
        let (endpoint, mut events) = serve(dial, settings());
        let first = pair(&endpoint, &listener, &mut events).await;
        let whereabouts = endpoint.address().to_string();
        let parts = endpoint.dismantle().await.unwrap();
        let mut early = tokio::net::TcpStream::connect(&whereabouts).await.unwrap();
        early.write_all(b"early").await.unwrap();
        let (sender, mut events) = mpsc::channel(16);
        let dial = Arc::new(To(address));
        let endpoint = Endpoint::resume(parts, dial, settings(), sender).unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"early");
        match events.recv().await {
            Some(ForwardEvent::Opened { conn, .. }) => assert_eq!(conn, first.2 + 1),
            other => panic!("not opened: {other:?}"),
        }
        assert_eq!(endpoint.address().to_string(), whereabouts);
        assert_eq!(endpoint.close().await.connections_total, 2);
    })
    .await;
}

#[tokio::test]
async fn dropped_parts_close_everything() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let (mut client, mut far, _) = pair(&endpoint, &listener, &mut events).await;
        drop(endpoint.dismantle().await.unwrap());
        gone(&mut client).await;
        gone(&mut far).await;
    })
    .await;
}

/// Never answers, and says that it was asked.
struct Asked(Arc<Notify>);

#[async_trait]
impl Dial for Asked {
    async fn dial(&self) -> Result<Conduit, DialError> {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_connection_that_still_dials_is_closed_and_told() {
    within(async {
        let asked = Arc::new(Notify::new());
        let (endpoint, mut events) = serve(Asked(Arc::clone(&asked)), settings());
        let mut client = connect(&endpoint).await;
        asked.notified().await;
        let parts = endpoint.dismantle().await.unwrap();
        let Some(ForwardEvent::DialFailed { why: DialError::Interrupted, .. }) =
            events.recv().await
        else {
            panic!("the interruption was not told");
        };
        assert_eq!(parts.totals.dials_failed, 1);
        assert!(parts.connections.is_empty());
        gone(&mut client).await;
    })
    .await;
}

/// A stream whose far side takes nothing more, because its queue is full already.
fn stuck() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let near = near.into_std().unwrap();
    while std::io::Write::write(&mut &near, &[0; 4096]).is_ok() {}
    (UnixStream::from_std(near).unwrap(), far)
}

#[tokio::test]
async fn a_side_that_takes_nothing_is_handed_over_and_loses_nothing() {
    within(async {
        let (near, mut far) = stuck();
        let (endpoint, mut events) = serve(Once::new(near), settings());
        let mut client = connect(&endpoint).await;
        assert!(matches!(events.recv().await, Some(ForwardEvent::Opened { .. })));
        client.write_all(b"late").await.unwrap();
        client.shutdown().await.unwrap();
        let mut endpoint = endpoint;
        for _ in 0..3 {
            let (resumed, parted) = hand_over(endpoint, Arc::new(Silence)).await;
            assert_eq!(parted.note.connections[0].up.bytes, 0);
            (endpoint, events) = (resumed, parted.events);
        }
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert!(heard.ends_with(b"\0late"), "the last bytes: {:?}", heard.last_chunk::<8>());
        drop(far);
        match events.recv().await {
            Some(ForwardEvent::Closed { bytes_up, why, .. }) => {
                assert_eq!((bytes_up, why), (4, CloseReason::Finished));
            }
            other => panic!("not closed: {other:?}"),
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn quiet_time_goes_on_over_a_hand_over() {
    const LIMIT: Duration = Duration::from_secs(60);
    let idle = || Settings { idle_limit: Some(LIMIT), ..settings() };
    let (endpoint, _events) = serve(Silence, idle());
    tokio::time::sleep(LIMIT / 2).await;
    let started = Instant::now();
    let parts = endpoint.dismantle().await.unwrap();
    let (sender, mut events) = mpsc::channel(16);
    let _endpoint = Endpoint::resume(parts, Arc::new(Silence), idle(), sender).unwrap();
    assert!(matches!(events.recv().await, Some(ForwardEvent::Idle)));
    let waited = started.elapsed();
    assert!(waited >= LIMIT / 2 - Duration::from_millis(2), "{waited:?}");
    assert!(waited <= LIMIT / 2 + Duration::from_millis(2), "{waited:?}");
}

#[tokio::test]
async fn the_words_of_an_interrupted_dial() {
    insta::assert_snapshot!(
        DialError::Interrupted,
        @"failed to reach the target: the endpoint closed while it was being dialled"
    );
}

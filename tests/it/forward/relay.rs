//! Bytes, ends, breaks and numbers.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;

use breakglass::forward::{CloseReason, DialError, Endpoint, ForwardEvent, Listen, Totals};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::kit::{Once, Silence, connect, gone, me, pair, port, serve, settings, target, within};

async fn closed(events: &mut mpsc::Receiver<ForwardEvent>) -> (u64, u64, u64, CloseReason) {
    match events.recv().await {
        Some(ForwardEvent::Closed { conn, bytes_up, bytes_down, why }) => {
            (conn, bytes_up, bytes_down, why)
        }
        other => panic!("not closed: {other:?}"),
    }
}

#[tokio::test]
async fn bytes_flow_both_ways_and_are_counted() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let (mut client, mut far, conn) = pair(&endpoint, &listener, &mut events).await;
        let up: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 251) as u8).collect();
        let down: Vec<u8> = (0..300_007_u32).map(|i| (i % 241) as u8).collect();

        let (mut at_target, mut at_client) = (vec![0; up.len()], vec![0; down.len()]);
        {
            let (mut client_in, mut client_out) = client.split();
            let (mut far_in, mut far_out) = far.split();
            tokio::try_join!(
                client_out.write_all(&up),
                far_out.write_all(&down),
                async { far_in.read_exact(&mut at_target).await.map(|_| ()) },
                async { client_in.read_exact(&mut at_client).await.map(|_| ()) },
            )
            .unwrap();
        }
        assert!(at_target == up && at_client == down, "bytes came changed");

        let counters = endpoint.counters();
        assert_eq!(counters.read().connections_open, 1);
        drop(client);
        gone(&mut far).await;
        drop(far);
        let ended = (conn, 1_000_003, 300_007, CloseReason::Finished);
        assert_eq!(closed(&mut events).await, ended);
        let totals = Totals {
            bytes_up: 1_000_003,
            bytes_down: 300_007,
            connections_total: 1,
            ..Totals::default()
        };
        assert_eq!(counters.read(), totals);
        assert_eq!(endpoint.close().await, totals);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_done_sending_still_gets_its_answer() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let (mut client, mut far, conn) = pair(&endpoint, &listener, &mut events).await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = String::new();
        far.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(closed(&mut events).await, (conn, 8, 6, CloseReason::Finished));
    })
    .await;
}

#[tokio::test]
async fn a_target_that_is_done_sending_still_hears_the_client() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let (mut client, mut far, conn) = pair(&endpoint, &listener, &mut events).await;
        far.write_all(b"banner").await.unwrap();
        far.shutdown().await.unwrap();
        let mut banner = String::new();
        client.read_to_string(&mut banner).await.unwrap();
        assert_eq!(banner, "banner");
        client.write_all(b"bye").await.unwrap();
        drop(client);
        let mut bye = String::new();
        far.read_to_string(&mut bye).await.unwrap();
        assert_eq!(bye, "bye");
        assert_eq!(closed(&mut events).await, (conn, 3, 6, CloseReason::Finished));
    })
    .await;
}

#[tokio::test]
async fn a_reset_is_passed_on_as_a_reset_in_either_direction() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());

        let (mut client, far, _) = pair(&endpoint, &listener, &mut events).await;
        far.set_zero_linger().unwrap();
        drop(far);
        let error = client.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let why = closed(&mut events).await.3;
        assert_eq!(why, CloseReason::TargetBroke(ErrorKind::ConnectionReset));

        let (client, mut far, _) = pair(&endpoint, &listener, &mut events).await;
        client.set_zero_linger().unwrap();
        drop(client);
        let error = far.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let why = closed(&mut events).await.3;
        assert_eq!(why, CloseReason::ClientBroke(ErrorKind::ConnectionReset));
    })
    .await;
}

#[tokio::test]
async fn the_last_words_of_a_target_that_takes_no_more_are_heard() {
    within(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        rustix::net::shutdown(&far, rustix::net::Shutdown::Read).unwrap();
        let (endpoint, mut events) = serve(Once::new(near), settings());
        let mut client = connect(&endpoint).await;
        client.write_all(b"much").await.unwrap();
        far.write_all(b"too much").await.unwrap();
        drop(far);
        let mut last = String::new();
        client.read_to_string(&mut last).await.unwrap();
        assert_eq!(last, "too much");
        drop(client);
        assert!(matches!(events.recv().await, Some(ForwardEvent::Opened { .. })));
        let (_, bytes_up, bytes_down, why) = closed(&mut events).await;
        assert_eq!((bytes_up, bytes_down), (0, 8));
        assert_eq!(why, CloseReason::TargetBroke(ErrorKind::BrokenPipe));
    })
    .await;
}

#[tokio::test]
async fn a_target_that_refuses_is_told_and_the_client_is_let_go() {
    within(async {
        let (listener, dial) = target().await;
        drop(listener);
        let (endpoint, mut events) = serve(dial, settings());
        let mut client = connect(&endpoint).await;
        gone(&mut client).await;
        let Some(ForwardEvent::DialFailed { why, .. }) = events.recv().await else {
            panic!("the failure was not told");
        };
        let DialError::Unreachable { source, .. } = why else { panic!("{why}") };
        assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
        let totals = Totals { dials_failed: 1, ..Totals::default() };
        assert_eq!(endpoint.close().await, totals);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_never_answers_is_given_up() {
    let (endpoint, mut events) = serve(Silence, settings());
    let mut client = connect(&endpoint).await;
    gone(&mut client).await;
    let Some(ForwardEvent::DialFailed { why, .. }) = events.recv().await else {
        panic!("the failure was not told");
    };
    insta::assert_snapshot!(
        why,
        @"failed to reach the target: no answer within 10 s; is it up?"
    );
}

#[tokio::test]
async fn a_thousand_connections_are_closed_when_close_returns() {
    const MANY: u64 = 1000;
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let mut ends = Vec::new();
        for _ in 0..MANY {
            let (mut client, far, _) = pair(&endpoint, &listener, &mut events).await;
            client.write_all(b"hello").await.unwrap();
            ends.push((client, far));
        }
        let totals = endpoint.counters().read();
        assert_eq!((totals.connections_open, totals.connections_total), (MANY, MANY));
        let address = endpoint.address().clone();

        let totals = endpoint.close().await;
        assert_eq!((totals.connections_open, totals.events_dropped), (0, 0));
        let again = Listen::Loopback { port: Some(port(&address)) }.bind().unwrap();
        drop(again);
        for (client, far) in &mut ends {
            gone(client).await;
            let mut sent = Vec::new();
            // What was brought to the target before the cut may still be read there.
            if let Err(error) = far.read_to_end(&mut sent).await {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
        }
        for _ in 0..MANY {
            assert_eq!(closed(&mut events).await.3, CloseReason::Cut);
        }
        assert!(events.recv().await.is_none(), "nothing happens after the end");
    })
    .await;
}

#[tokio::test]
async fn a_dropped_endpoint_closes_everything() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        let (mut client, mut far, _) = pair(&endpoint, &listener, &mut events).await;
        let address = endpoint.address().clone();
        drop(endpoint);
        gone(&mut client).await;
        gone(&mut far).await;
        assert_eq!(closed(&mut events).await.3, CloseReason::Cut);
        assert!(events.recv().await.is_none());
        Listen::Loopback { port: Some(port(&address)) }.bind().unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_unix_socket_serves_and_goes_at_the_end() {
    within(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sockets/db.sock");
        let bound = Listen::Unix { path: path.clone(), owner: rustix::process::geteuid().as_raw() }
            .bind()
            .unwrap();
        let (listener, dial) = target().await;
        let (sender, mut events) = mpsc::channel(16);
        let endpoint = Endpoint::start(bound, Arc::new(dial), settings(), sender).unwrap();
        let mut client = UnixStream::connect(&path).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        client.write_all(b"ping").await.unwrap();
        let mut ping = [0; 4];
        far.read_exact(&mut ping).await.unwrap();
        assert_eq!(&ping, b"ping");
        let Some(ForwardEvent::Opened { peer, uid, .. }) = events.recv().await else {
            panic!("not opened");
        };
        assert_eq!(uid, me());
        assert_eq!(peer.to_string(), format!("process {}", std::process::id()));
        assert_eq!(endpoint.address().to_string(), path.display().to_string());
        endpoint.close().await;
        assert!(!path.exists());
        gone(&mut far).await;
    })
    .await;
}

#[tokio::test]
async fn a_fixed_port_is_ours_again_at_once_after_connections() {
    within(async {
        let (listener, dial) = target().await;
        let (endpoint, mut events) = serve(dial, settings());
        // The endpoint ends first, which leaves its side in TIME_WAIT.
        let (mut client, far, _) = pair(&endpoint, &listener, &mut events).await;
        drop(far);
        gone(&mut client).await;
        drop(client);
        closed(&mut events).await;
        let port = port(endpoint.address());
        endpoint.close().await;
        Listen::Loopback { port: Some(port) }.bind().unwrap();
    })
    .await;
}

#[tokio::test]
async fn events_that_do_not_fit_are_counted_and_stop_nobody() {
    within(async {
        let (listener, dial): (TcpListener, _) = target().await;
        let (sender, mut events) = mpsc::channel(1);
        let bound = Listen::Loopback { port: None }.bind().unwrap();
        let endpoint = Endpoint::start(bound, Arc::new(dial), settings(), sender).unwrap();
        let address = (Ipv4Addr::LOCALHOST, port(endpoint.address()));
        for _ in 0..3 {
            let mut client = TcpStream::connect(address).await.unwrap();
            let (mut far, _) = listener.accept().await.unwrap();
            client.write_all(b"x").await.unwrap();
            far.read_exact(&mut [0]).await.unwrap();
        }
        let totals = endpoint.close().await;
        assert_eq!((totals.connections_total, totals.bytes_up), (3, 3));
        // Three were opened and three closed; one event fits.
        assert_eq!(totals.events_dropped, 5);
        assert!(matches!(events.recv().await, Some(ForwardEvent::Opened { conn: 1, .. })));
        assert!(events.recv().await.is_none());
    })
    .await;
}

//! Bytes in bulk: through a pipe, through hand-overs, and past a far side that takes its time.

use std::io::ErrorKind;
use std::sync::Arc;

use async_trait::async_trait;
use breakglass::forward::{
    CloseReason, Conduit, Dial, DialError, Direction, EVENTS_MAX, Endpoint, ForwardEvent, Listen,
};
use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::kit::{
    Once, Silence, connect, hand_over, in_child, me, noise, receive_all, serve, settings, target,
    within,
};

/// Bytes after which a direction is surely one of bulk, whatever the queues hold.
const MUCH: usize = 8 * 1024 * 1024;

/// Which way the bytes of a test go: from TCP to a UNIX socket, the way that takes a pipe.
#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
}

/// A connection over TCP to a target behind a UNIX socket, as a bastion has it.
async fn through_unix() -> (Endpoint, mpsc::Receiver<ForwardEvent>, TcpStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let (endpoint, mut events) = serve(Once::new(near), settings());
    let client = connect(&endpoint).await;
    assert!(matches!(events.recv().await, Some(ForwardEvent::Opened { .. })));
    (endpoint, events, client, far)
}

/// A connection over a UNIX socket to a target over TCP.
async fn from_unix() -> (Endpoint, UnixStream, TcpStream) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sockets/db.sock");
    let bound = Listen::Unix { path: path.clone(), owner: me() }.bind().unwrap();
    let (listener, dial) = target().await;
    let (sender, _events) = mpsc::channel(EVENTS_MAX);
    let endpoint = Endpoint::start(bound, Arc::new(dial), settings(), sender).unwrap();
    let client = UnixStream::connect(&path).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (endpoint, client, far)
}

/// So many bytes of the stream.
fn stream_of(noise: &[u8], length: usize) -> Vec<u8> {
    noise.iter().copied().cycle().take(length).collect()
}

/// Sends all of it in the background, and then the end.
fn send(mut to: impl AsyncWrite + Unpin + Send + 'static, bytes: Vec<u8>) -> JoinHandle<()> {
    TaskTracker::new().spawn(async move {
        to.write_all(&bytes).await.unwrap();
        to.shutdown().await.unwrap();
    })
}

/// Receives exactly so many bytes.
async fn receive(from: &mut (impl AsyncRead + Unpin), length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// Waits until no byte moves: everything on the way is full.
async fn settled(endpoint: &Endpoint) {
    let moved = || {
        let totals = endpoint.counters().read();
        totals.bytes_up + totals.bytes_down
    };
    let (mut before, mut turns) = (moved(), 0);
    while turns < 1000 {
        tokio::task::yield_now().await;
        let after = moved();
        turns = if after == before { turns + 1 } else { 0 };
        before = after;
    }
}

/// Reads a piece, waits until everything is full, and hands over, until the hand-over finds bytes
/// in the pipe of that way. Returns what was read.
async fn until_a_pipe_holds(
    mut endpoint: Endpoint,
    far: &mut (impl AsyncRead + Unpin),
    way: Way,
) -> (Endpoint, Vec<u8>) {
    let mut read = vec![];
    loop {
        read.extend(receive(far, MUCH / 2).await);
        settled(&endpoint).await;
        let (resumed, parted) = hand_over(endpoint, Arc::new(Silence)).await;
        endpoint = resumed;
        let note = parted.note.connections[0];
        let (Direction { held, .. }, descriptors) = match way {
            Way::Up => (note.up, parted.note.descriptors()),
            Way::Down => (note.down, parted.note.descriptors()),
        };
        if held > 0 {
            assert_eq!(descriptors, 4, "the listener, both sockets and the pipe");
            return (endpoint, read);
        }
    }
}

async fn what_is_in_a_pipe_is_handed_over(way: Way) {
    const ALL: usize = 4 * MUCH;
    let noise = noise();
    let bytes = stream_of(&noise, ALL);
    // The other halves stay, so that the connection does.
    let (endpoint, sent, mut from, _back) = match way {
        Way::Up => {
            let (endpoint, _, client, far) = through_unix().await;
            let (back, out) = client.into_split();
            (endpoint, send(out, bytes), far, back)
        }
        Way::Down => {
            let (endpoint, client, far) = from_unix().await;
            let (back, out) = far.into_split();
            (endpoint, send(out, bytes), client, back)
        }
    };
    let (mut endpoint, mut read) = until_a_pipe_holds(endpoint, &mut from, way).await;
    // Nobody reads: each engine tries once, and gives on what it has.
    let mut seen = vec![];
    for _ in 0..3 {
        let (resumed, parted) = hand_over(endpoint, Arc::new(Silence)).await;
        endpoint = resumed;
        let note = parted.note.connections[0];
        seen.push(match way {
            Way::Up => note.up,
            Way::Down => note.down,
        });
    }
    assert!(seen[0].held > 0, "{seen:?}");
    assert!(seen.iter().all(|one| *one == seen[0]), "bytes moved and nobody took them: {seen:?}");
    from.read_to_end(&mut read).await.unwrap();
    sent.await.unwrap();
    assert_eq!(read.len(), ALL);
    assert!(read == stream_of(&noise, ALL), "bytes came changed");
    let totals = endpoint.close().await;
    let counted = match way {
        Way::Up => totals.bytes_up,
        Way::Down => totals.bytes_down,
    };
    assert_eq!(counted, ALL as u64);
}

#[tokio::test]
async fn bulk_for_a_target_that_takes_nothing_is_handed_over_and_loses_nothing() {
    within(what_is_in_a_pipe_is_handed_over(Way::Up)).await;
}

#[tokio::test]
async fn bulk_for_a_client_that_takes_nothing_is_handed_over_and_loses_nothing() {
    within(what_is_in_a_pipe_is_handed_over(Way::Down)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_both_ways_comes_whole_through_hand_overs_to_sides_that_read_slowly() {
    const ALL: usize = 5 * MUCH;
    within(async {
        let noise = noise();
        let (mut endpoint, _, client, far) = through_unix().await;
        let ((mut client_in, client_out), (mut far_in, far_out)) =
            (client.into_split(), far.into_split());
        let up = send(client_out, stream_of(&noise, ALL));
        let down = send(far_out, stream_of(&noise, ALL));
        let (mut at_target, mut at_client, mut held) = (vec![], vec![], 0);
        let mut events;
        loop {
            // In small pieces, so that the pipes are mostly full.
            for _ in 0..MUCH / 4 / 4096 {
                at_target.extend(receive(&mut far_in, 4096).await);
                at_client.extend(receive(&mut client_in, 4096).await);
            }
            let (resumed, parted) = hand_over(endpoint, Arc::new(Silence)).await;
            (endpoint, events) = (resumed, parted.events);
            let note = parted.note.connections[0];
            held += note.up.held;
            if at_target.len() >= ALL - MUCH {
                break;
            }
        }
        assert!(held > 0, "no pipe was ever handed over");
        let rest = tokio::try_join!(
            far_in.read_to_end(&mut at_target),
            client_in.read_to_end(&mut at_client)
        );
        rest.unwrap();
        tokio::try_join!(up, down).unwrap();
        let expected = stream_of(&noise, ALL);
        assert!(at_target == expected, "wrong at the target: {} bytes", at_target.len());
        assert!(at_client == expected, "wrong at the client: {} bytes", at_client.len());
        match events.recv().await {
            Some(ForwardEvent::Closed { bytes_up, bytes_down, why, .. }) => {
                let all = ALL as u64;
                assert_eq!((bytes_up, bytes_down, why), (all, all, CloseReason::Finished));
            }
            other => panic!("not closed: {other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_waits_after_bulk_holds_no_pipe() {
    within(async {
        let noise = noise();
        let (endpoint, _events, mut client, mut far) = through_unix().await;
        let bytes = stream_of(&noise, MUCH);
        let (sent, read) = tokio::join!(client.write_all(&bytes), receive(&mut far, MUCH));
        sent.unwrap();
        assert!(read == bytes, "bytes came changed");
        let (endpoint, parted) = hand_over(endpoint, Arc::new(Silence)).await;
        let note = parted.note.connections[0];
        assert_eq!(note.up, Direction { bytes: MUCH as u64, ended: false, held: 0 });
        assert_eq!(parted.note.descriptors(), 3);
        client.write_all(b"and then").await.unwrap();
        assert_eq!(receive(&mut far, 8).await, b"and then");
        endpoint.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_target_that_breaks_under_bulk_has_its_last_words_heard() {
    within(async {
        let (endpoint, _events, client, mut far) = through_unix().await;
        let (mut client_in, mut client_out) = client.into_split();
        let bytes = stream_of(&noise(), 4 * MUCH);
        let sent = send_what_goes(&mut client_out, &bytes);
        let heard = async {
            let (endpoint, mut read) = until_a_pipe_holds(endpoint, &mut far, Way::Up).await;
            rustix::net::shutdown(&far, rustix::net::Shutdown::Read).unwrap();
            far.write_all(b"too much").await.unwrap();
            far.read_to_end(&mut read).await.unwrap();
            drop(far);
            let mut last = String::new();
            client_in.read_to_string(&mut last).await.unwrap();
            assert_eq!(last, "too much");
            (endpoint, read)
        };
        let (endpoint, read) = tokio::select! {
            heard = heard => heard,
            () = sent => panic!("a target that was gone took everything"),
        };
        assert!(bytes.starts_with(&read), "bytes came changed");
        // What was left in the pipe reached nobody, and is not counted.
        assert_eq!(endpoint.close().await.bytes_up, read.len() as u64);
    })
    .await;
}

/// Sends; then waits for ever if the other side takes no more.
async fn send_what_goes(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    if to.write_all(bytes).await.is_err() {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_client_that_breaks_under_bulk_is_told_after_what_it_sent() {
    within(async {
        let (endpoint, _events, mut client, mut far) = through_unix().await;
        let bytes = stream_of(&noise(), 4 * MUCH);
        let (endpoint, mut read) = {
            let sent = send_what_goes(&mut client, &bytes);
            tokio::select! {
                held = until_a_pipe_holds(endpoint, &mut far, Way::Up) => held,
                () = sent => panic!("nobody took that much"),
            }
        };
        let (_endpoint, mut parted) = hand_over(endpoint, Arc::new(Silence)).await;
        let note = parted.note.connections[0];
        let taken = note.up.bytes + note.up.held;
        client.set_zero_linger().unwrap();
        drop(client);
        far.read_to_end(&mut read).await.unwrap();
        assert!(bytes.starts_with(&read), "bytes came changed");
        assert!(read.len() as u64 >= taken, "what was in the pipe was lost");
        match parted.events.recv().await {
            Some(ForwardEvent::Closed { bytes_up, why, .. }) => {
                assert_eq!(bytes_up, read.len() as u64);
                assert_eq!(why, CloseReason::ClientBroke(ErrorKind::ConnectionReset));
            }
            other => panic!("not closed: {other:?}"),
        }
    })
    .await;
}

#[tokio::test]
async fn an_urgent_byte_does_not_hold_bulk_up() {
    within(async {
        let noise = noise();
        let (endpoint, _events, client, far) = through_unix().await;
        let bytes = stream_of(&noise, MUCH);
        let (_client_in, mut client_out) = client.into_split();
        let sent = async {
            let (before, after) = bytes.split_at(MUCH / 2);
            client_out.write_all(before).await.unwrap();
            let stream = client_out.as_ref();
            let urgent = || Ok(rustix::net::send(stream, b"!", SendFlags::OOB)?);
            assert_eq!(stream.async_io(Interest::WRITABLE, urgent).await.unwrap(), 1);
            client_out.write_all(after).await.unwrap();
            client_out.shutdown().await.unwrap();
        };
        let ((), received) = tokio::join!(sent, receive_all(far, Arc::clone(&noise)));
        // The urgent byte is no part of the stream.
        assert_eq!(received, MUCH as u64);
        endpoint.close().await;
    })
    .await;
}

#[test]
fn bulk_without_a_descriptor_for_a_pipe_is_copied() {
    let name = "forward::bulk::bulk_without_a_descriptor_for_a_pipe_is_copied";
    if !in_child(name, "ulimit -n 64") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(within(async {
        let noise = noise();
        let (endpoint, _events, client, far) = through_unix().await;
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let (mut client_in, client_out) = client.into_split();
        let sent = send(client_out, stream_of(&noise, MUCH));
        assert_eq!(receive_all(far, noise).await, MUCH as u64);
        sent.await.unwrap();
        assert_eq!(client_in.read(&mut [0]).await.unwrap(), 0);
        drop(hoard);
        assert_eq!(endpoint.close().await.bytes_up, MUCH as u64);
    }));
}

/// Dials UNIX sockets whose far ends go to the test.
struct Sockets(mpsc::UnboundedSender<UnixStream>);

#[async_trait]
impl Dial for Sockets {
    async fn dial(&self) -> Result<Conduit, DialError> {
        let (near, far) = UnixStream::pair().unwrap();
        self.0.send(far).unwrap();
        Ok(Conduit::Unix(near))
    }
}

#[tokio::test]
async fn more_bulk_than_there_are_pipes_comes_whole() {
    const CONNECTIONS: usize = 24;
    const PIPES_MAX: usize = 16;
    within(async {
        let expected = stream_of(&noise(), MUCH / 2);
        let (dialled, mut far_ends) = mpsc::unbounded_channel();
        let (endpoint, _events) = serve(Sockets(dialled), settings());
        let (mut clients, mut streams) = (vec![], vec![]);
        for _ in 0..CONNECTIONS {
            let (client_in, client_out) = connect(&endpoint).await.into_split();
            clients.push(client_in);
            let sent = send(client_out, expected.clone());
            streams.push((far_ends.recv().await.unwrap(), vec![], sent));
        }
        for (far, read, _) in &mut streams {
            read.extend(receive(far, MUCH / 4).await);
        }
        settled(&endpoint).await;
        let (endpoint, parted) = hand_over(endpoint, Arc::new(Silence)).await;
        let piped = parted.note.connections.iter().filter(|note| note.up.held > 0).count();
        assert!((1..=PIPES_MAX).contains(&piped), "{piped} pipes");
        assert_eq!(parted.note.descriptors(), 1 + 2 * CONNECTIONS + piped);
        for (mut far, mut read, sent) in streams {
            far.read_to_end(&mut read).await.unwrap();
            sent.await.unwrap();
            assert!(read == expected, "bytes came changed");
        }
        let all = (CONNECTIONS * expected.len()) as u64;
        assert_eq!(endpoint.close().await.bytes_up, all);
    })
    .await;
}

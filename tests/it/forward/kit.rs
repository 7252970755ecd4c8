//! Targets, dialers and small waits for the tests of the endpoint.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use breakglass::domain::connect::EndpointAddress;
use breakglass::forward::{
    Conduit, Dial, DialError, Endpoint, ForwardEvent, Listen, Parts, PartsNote, Room, Settings,
};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Mutex, mpsc};

/// The uid that runs the tests.
pub fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub fn am_root() -> bool {
    me() == 0
}

/// The usual settings, for this user.
pub fn settings() -> Settings {
    settings_of(me())
}

/// The usual settings, for a user, with a room of its own.
pub fn settings_of(owner: u32) -> Settings {
    Settings::new(owner, Room::new(4_096))
}

/// Fails a test that hangs, long after it should have ended.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
}

/// Dials a TCP address.
pub struct To(pub SocketAddr);

#[async_trait]
impl Dial for To {
    async fn dial(&self) -> Result<Conduit, DialError> {
        let stream = TcpStream::connect(self.0).await;
        let target = self.0.to_string();
        stream.map(Conduit::Tcp).map_err(|source| DialError::Unreachable { target, source })
    }
}

/// Never answers.
pub struct Silence;

#[async_trait]
impl Dial for Silence {
    async fn dial(&self) -> Result<Conduit, DialError> {
        std::future::pending().await
    }
}

/// Gives out a UNIX stream that was made beforehand, once.
pub struct Once(Mutex<Option<UnixStream>>);

impl Once {
    pub fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(Some(stream)))
    }
}

#[async_trait]
impl Dial for Once {
    async fn dial(&self) -> Result<Conduit, DialError> {
        let stream = self.0.lock().await.take();
        stream.map(Conduit::Unix).ok_or(DialError::PathDown { why: "given out already".into() })
    }
}

/// A TCP target that the test accepts on by hand.
pub async fn target() -> (TcpListener, To) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, To(address))
}

/// An endpoint on a free port, with a channel that drops nothing.
pub fn serve(dial: impl Dial, settings: Settings) -> (Endpoint, mpsc::Receiver<ForwardEvent>) {
    let (sender, events) = mpsc::channel(breakglass::forward::EVENTS_MAX);
    let bound = Listen::Loopback { port: None }.bind().unwrap();
    (Endpoint::start(bound, Arc::new(dial), settings, sender).unwrap(), events)
}

pub fn port(address: &EndpointAddress) -> u16 {
    match address {
        EndpointAddress::Loopback { port } => *port,
        EndpointAddress::Unix { path } => panic!("{path} is no port"),
    }
}

pub async fn connect(endpoint: &Endpoint) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port(endpoint.address()))).await.unwrap()
}

/// Connects where the endpoint may turn the client away, which it may hear of already here.
pub async fn knock(endpoint: &Endpoint) -> Option<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port(endpoint.address()))).await.ok()
}

/// A client and the target's side of the same connection, and its number.
pub async fn pair(
    endpoint: &Endpoint,
    target: &TcpListener,
    events: &mut mpsc::Receiver<ForwardEvent>,
) -> (TcpStream, TcpStream, u64) {
    let client = connect(endpoint).await;
    let (accepted, _) = target.accept().await.unwrap();
    match events.recv().await {
        Some(ForwardEvent::Opened { conn, .. }) => (client, accepted, conn),
        other => panic!("not opened: {other:?}"),
    }
}

/// Waits until the far side has ended or reset the connection.
pub async fn gone(stream: &mut TcpStream) {
    let mut byte = [0];
    match stream.read(&mut byte).await {
        Ok(0) => {}
        Ok(_) => panic!("a byte came where none should"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

/// Takes an endpoint apart and puts it together as another process would: from a note in text and
/// a list of descriptors.
pub async fn hand_over(endpoint: Endpoint, dial: Arc<dyn Dial>) -> (Endpoint, Parted) {
    let (note, descriptors) = endpoint.dismantle().await.unwrap().into_pieces();
    let text = serde_json::to_string(&note).unwrap();
    let note: PartsNote = serde_json::from_str(&text).unwrap();
    let parts = Parts::from_pieces(note.clone(), descriptors).unwrap();
    let (sender, events) = mpsc::channel(breakglass::forward::EVENTS_MAX);
    let endpoint = Endpoint::resume(parts, dial, settings(), sender).unwrap();
    (endpoint, Parted { note, events })
}

/// What a hand-over brought along, and where its events are heard.
pub struct Parted {
    pub note: PartsNote,
    pub events: mpsc::Receiver<ForwardEvent>,
}

/// Bytes without any order. A stream is these again and again, so that one byte lost or sent twice
/// shows in the next comparison; the length tells the rest.
pub fn noise() -> Arc<[u8]> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..1_000_003).map(|_| next()).collect()
}

/// Receives to the end and compares every byte. Returns how many came.
pub async fn receive_all(mut from: impl AsyncRead + Unpin, noise: Arc<[u8]>) -> u64 {
    let (mut received, mut at, mut buffer) = (0, 0, vec![0; 48 * 1024]);
    loop {
        let room = buffer.len().min(noise.len() - at);
        match from.read(&mut buffer[..room]).await.unwrap() {
            0 => return received,
            length => {
                assert!(buffer[..length] == noise[at..at + length], "wrong after {received}");
                received += length as u64;
                at = (at + length) % noise.len();
            }
        }
    }
}

/// Runs the test `name` of this binary again in a child, in a shell that has run `setup` first.
///
/// Returns true in the child: the test then does its work there. In the parent it asserts that the
/// child passed, and returns false. For what belongs to a whole process, such as limits and umask.
pub fn in_child(name: &str, setup: &str) -> bool {
    const MARK: &str = "--skip=in-a-child";
    if std::env::args().any(|arg| arg == MARK) {
        return true;
    }
    let child = Command::new("sh")
        .args(["-c", &format!("{setup}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", MARK])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("1 passed"), "the child ran no test: {said}");
    false
}

//! A server on loopback that fails the n-th call in every way a server can.
//!
//! It speaks just enough HTTP/1.1 for one call a connection. What it serves is a [`Model`], plain
//! data with a record of its own of what exists; the faults lie around it.

use std::sync::{Arc, Mutex};

use breakglass::domain::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What is served.
pub trait Model: Send {
    /// Serves one call, and says the status and the body.
    fn serve(&mut self, call: &HttpCall) -> (u16, String);

    /// What exists, and what will come to exist.
    fn left(&self) -> Vec<String>;

    /// What the next change does: at once, or at a later time; and from when on it is listed.
    fn delay(&mut self, lands_at: Timestamp, listed_at: Timestamp);

    /// Lets time pass.
    fn advance(&mut self, now: Timestamp);
}

/// One call.
#[derive(Clone, Debug)]
pub struct HttpCall {
    pub method: String,
    pub path: String,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is read, and the connection is gone.
    Closed,
    /// An answer of this status; nothing is done.
    Status(u16),
    /// 429, with this `Retry-After`.
    TooMany(Option<&'static str>),
    /// Nothing is done, and no answer comes.
    SilentBefore,
    /// It is done, and no answer comes.
    SilentAfter,
    /// It is done, and the answer breaks off after so many bytes.
    CutAfter(usize),
    /// The request is cut off after so many bytes; nothing is done.
    CutRequest(usize),
    /// It is done, and the answer comes a byte at a time, without end.
    Drips,
    /// It is done, and the answer is no JSON.
    Malformed,
    /// It is done, and the answer is a page for people.
    Html,
    /// It is done, and the answer is larger than anybody reads.
    Huge,
    /// It is done later, and no answer comes.
    LandsLate,
    /// It is done, but not listed before later, and no answer comes.
    ListedLate,
}

/// Every fault.
pub const FAULTS: [Fault; 25] = [
    Fault::Closed,
    Fault::Status(400),
    Fault::Status(401),
    Fault::Status(403),
    Fault::Status(409),
    Fault::Status(500),
    Fault::Status(502),
    Fault::Status(503),
    Fault::Status(504),
    Fault::TooMany(None),
    Fault::TooMany(Some("1")),
    Fault::TooMany(Some("999999999999")),
    Fault::SilentBefore,
    Fault::SilentAfter,
    Fault::CutRequest(1),
    Fault::CutRequest(40),
    Fault::CutAfter(0),
    Fault::CutAfter(9),
    Fault::CutAfter(60),
    Fault::Drips,
    Fault::Malformed,
    Fault::Html,
    Fault::Huge,
    Fault::LandsLate,
    Fault::ListedLate,
];

/// The server.
pub struct FaultyServer {
    /// Where it is: `http://127.0.0.1:PORT`.
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    _tasks: JoinSet<()>,
}

struct Inner {
    model: Box<dyn Model>,
    calls: usize,
    armed: Option<(usize, Fault)>,
    late: Timestamp,
}

impl FaultyServer {
    /// Serves a model without any fault.
    pub async fn start(model: Box<dyn Model>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let late = Timestamp::default();
        let inner = Arc::new(Mutex::new(Inner { model, calls: 0, armed: None, late }));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&inner);
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                clients.spawn(serve(client, Arc::clone(&shared)));
            }
        });
        Self { url, inner, _tasks: tasks }
    }

    /// The call of this number, counted from zero, goes wrong; what is late in it comes at `late`.
    pub fn arm(&self, number: usize, fault: Fault, late: Timestamp) {
        let mut inner = self.inner.lock().unwrap();
        (inner.armed, inner.late) = (Some((number, fault)), late);
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.inner.lock().unwrap().calls
    }

    /// What exists there by its own record.
    pub fn left(&self) -> Vec<String> {
        self.inner.lock().unwrap().model.left()
    }

    /// Lets time pass.
    pub fn advance(&self, now: Timestamp) {
        self.inner.lock().unwrap().model.advance(now);
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Mutex<Inner>>) {
    let fault = {
        let mut inner = shared.lock().unwrap();
        let number = inner.calls;
        inner.calls += 1;
        inner.armed.filter(|(at, _)| *at == number).map(|(_, fault)| fault)
    };
    let limit = match fault {
        Some(Fault::Closed) => return,
        Some(Fault::CutRequest(bytes)) => bytes,
        _ => usize::MAX,
    };
    let Some(call) = read(&mut client, limit).await else { return };
    let (status, body, retry_after) = answer(&call, fault, &shared);
    match fault {
        Some(Fault::SilentBefore | Fault::SilentAfter | Fault::LandsLate | Fault::ListedLate) => {
            until_gone(&mut client).await
        }
        Some(Fault::Drips) => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
            for byte in head.bytes().chain(std::iter::repeat_n(b' ', 1_000_000)) {
                if client.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        _ => {
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\ncontent-type: application/json\r\n\
                 connection: close\r\n{retry_after}\r\n",
                body.len()
            );
            let whole = [head.as_bytes(), body.as_bytes()].concat();
            let bytes = match fault {
                Some(Fault::CutAfter(bytes)) => whole.get(..bytes).unwrap_or(&whole),
                _ => &whole,
            };
            client.write_all(bytes).await.ok();
        }
    }
}

fn answer(call: &HttpCall, fault: Option<Fault>, shared: &Mutex<Inner>) -> (u16, String, String) {
    let mut inner = shared.lock().unwrap();
    let late = inner.late;
    match fault {
        Some(Fault::Status(status)) => return (status, "{}".to_owned(), String::new()),
        Some(Fault::TooMany(after)) => {
            let after = after.map_or(String::new(), |after| format!("retry-after: {after}\r\n"));
            return (429, "{}".to_owned(), after);
        }
        Some(Fault::SilentBefore) => return (200, String::new(), String::new()),
        Some(Fault::LandsLate) => inner.model.delay(late, late),
        Some(Fault::ListedLate) => inner.model.delay(Timestamp::default(), late),
        _ => inner.model.delay(Timestamp::default(), Timestamp::default()),
    }
    let (status, body) = inner.model.serve(call);
    let body = match fault {
        Some(Fault::Malformed) => "{\"things\": [nul".to_owned(),
        Some(Fault::Html) => "<html>sign in first</html>".to_owned(),
        Some(Fault::Huge) => format!("\"{}\"", "x".repeat(5_000_000)),
        _ => body,
    };
    (status, body, String::new())
}

async fn read(client: &mut TcpStream, limit: usize) -> Option<HttpCall> {
    let mut bytes = vec![];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split_once("content-length: ").map_or(0, |(_, rest)| {
                rest.lines().next().and_then(|line| line.trim().parse().ok()).unwrap_or(0)
            });
            if body.len() >= length {
                let mut words = head.split_whitespace();
                let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
                return Some(HttpCall { method, path });
            }
        }
        let mut chunk = [0; 4096];
        let count = client.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
        if bytes.len() >= limit {
            return None;
        }
    }
}

async fn until_gone(client: &mut TcpStream) {
    let mut chunk = [0; 64];
    while client.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
}

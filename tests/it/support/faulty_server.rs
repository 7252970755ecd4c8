//! A server on loopback that fails the n-th call in every way a server can.
//!
//! It speaks just enough HTTP/1.1 for one call a connection. What it serves is a [`Model`], plain
//! data with a record of its own of what exists; the faults lie around it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use breakglass::domain::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::leaves_nothing::FarSide;

/// What is served.
pub trait Model: Send {
    /// Serves one call, and says the status and the body.
    fn serve(&mut self, call: &HttpCall) -> (u16, String);

    /// Serves one call where headers matter too.
    fn answer(&mut self, call: &HttpCall) -> HttpAnswer {
        let (status, body) = self.serve(call);
        HttpAnswer { status, headers: BTreeMap::new(), body }
    }

    /// What exists, and what will come to exist.
    fn left(&self) -> Vec<String>;

    /// What the next change does: at once, or at a later time; and from when on it is listed.
    fn delay(&mut self, lands_at: Timestamp, listed_at: Timestamp);

    /// Lets time pass.
    fn advance(&mut self, now: Timestamp);
}

/// One call.
#[derive(Clone, Debug, Default)]
pub struct HttpCall {
    pub method: String,
    /// Without its query.
    pub path: String,
    pub query: String,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What comes back.
#[derive(Clone, Debug, Default)]
pub struct HttpAnswer {
    pub status: u16,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
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
    armed: Vec<(usize, Fault)>,
    late: Timestamp,
}

impl FaultyServer {
    /// Serves a model without any fault.
    pub async fn start(model: Box<dyn Model>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let late = Timestamp::default();
        let inner = Arc::new(Mutex::new(Inner { model, calls: 0, armed: vec![], late }));
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
}

impl FarSide for FaultyServer {
    fn faults(&self) -> Vec<String> {
        FAULTS.iter().map(|fault| format!("{fault:?}")).collect()
    }

    fn arm(&self, wrong: &[(usize, usize)], late: Timestamp) {
        let mut inner = self.inner.lock().unwrap();
        inner.armed = wrong.iter().map(|(call, fault)| (*call, FAULTS[*fault])).collect();
        inner.late = late;
    }

    fn calls(&self) -> usize {
        self.inner.lock().unwrap().calls
    }

    fn left(&self) -> Vec<String> {
        self.inner.lock().unwrap().model.left()
    }

    fn advance(&self, now: Timestamp) {
        self.inner.lock().unwrap().model.advance(now);
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Mutex<Inner>>) {
    let fault = {
        let mut inner = shared.lock().unwrap();
        let number = inner.calls;
        inner.calls += 1;
        inner.armed.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault)
    };
    let limit = match fault {
        Some(Fault::Closed) => return,
        Some(Fault::CutRequest(bytes)) => bytes,
        _ => usize::MAX,
    };
    let Some(call) = read(&mut client, limit).await else { return };
    let HttpAnswer { status, mut headers, body } = answer(&call, fault, &shared);
    headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
    let headers: String = headers.iter().map(|(name, is)| format!("{name}: {is}\r\n")).collect();
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
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
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

fn answer(call: &HttpCall, fault: Option<Fault>, shared: &Mutex<Inner>) -> HttpAnswer {
    let mut inner = shared.lock().unwrap();
    let late = inner.late;
    let only =
        |status, body: &str| HttpAnswer { status, body: body.to_owned(), ..HttpAnswer::default() };
    match fault {
        Some(Fault::Status(status)) => return only(status, "{}"),
        Some(Fault::TooMany(after)) => {
            let mut answer = only(429, "{}");
            answer.headers.extend(after.map(|after| ("retry-after".to_owned(), after.to_owned())));
            return answer;
        }
        Some(Fault::SilentBefore) => return only(200, ""),
        Some(Fault::LandsLate) => inner.model.delay(late, late),
        Some(Fault::ListedLate) => inner.model.delay(Timestamp::default(), late),
        _ => inner.model.delay(Timestamp::default(), Timestamp::default()),
    }
    let mut answer = inner.model.answer(call);
    match fault {
        Some(Fault::Malformed) => answer.body = "{\"things\": [nul".to_owned(),
        Some(Fault::Html) => answer.body = "<html>sign in first</html>".to_owned(),
        Some(Fault::Huge) => answer.body = format!("\"{}\"", "x".repeat(5_000_000)),
        _ => {}
    }
    answer
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
                return parsed(head, body);
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

fn parsed(head: &str, body: &str) -> Option<HttpCall> {
    let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = rest.lines().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, is)| (name.to_lowercase(), is.trim().to_owned())).collect();
    let (path, query) = (path.to_owned(), query.to_owned());
    Some(HttpCall { method, path, query, headers, body: body.to_owned() })
}

async fn until_gone(client: &mut TcpStream) {
    let mut chunk = [0; 64];
    while client.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
}

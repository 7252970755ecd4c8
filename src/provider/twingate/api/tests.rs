//! A network that says what a test wants it to say, and remembers what it was asked.

mod changes;
mod reads;
mod region;
mod trouble;
mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;

use super::asking::{Api, Caller, LIMITS};
use super::cloud::Cloud;
use super::trouble::{Change, Level, Trouble};
use super::turns::{Budgets, Rank};
use crate::domain::secret::Secret;
use crate::domain::time::{Span, Timestamp};
use crate::http::{Http, Limits, Trust};
use crate::provider::pace::Pace;
use crate::provider::{Says as Saying, UNHEARD};

/// The instant at which every test begins, and as the network writes it.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const NOW_AS_DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// What must never be seen.
const CANARY: &str = "s3cr3tc4n4ry";

/// Ids as a network has them.
const NETWORK: &str = "UmVtb3RlTmV0d29yazox";
const CONNECTOR: &str = "Q29ubmVjdG9yOjI=";
const RESOURCE: &str = "UmVzb3VyY2U6Mw==";
const GROUP: &str = "R3JvdXA6NA==";

/// One request, as it came.
#[derive(Clone, Debug)]
struct Seen {
    /// `HEAD`, or the operation.
    what: String,
    path: String,
    headers: HeaderMap,
    variables: Value,
}

/// One answer.
#[derive(Clone, Debug)]
struct Says {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    hangs: bool,
}

fn says(status: u16, body: impl Into<String>) -> Says {
    Says { status, headers: vec![], body: body.into(), hangs: false }
}

/// An answer with data.
fn data(data: &Value) -> Says {
    says(200, json!({ "data": data }).to_string())
}

/// What came of a change.
fn done(done: &Value) -> Says {
    data(&json!({ "done": done }))
}

fn made() -> Says {
    done(&json!({ "ok": true, "error": null }))
}

/// That it was not made.
fn not(error: &str) -> Says {
    done(&json!({ "ok": false, "error": error }))
}

/// A thing by its id.
fn one(thing: &Value) -> Says {
    data(&json!({ "one": thing }))
}

/// A page of a list, and where it goes on.
fn page(things: &[Value], next: Option<&str>) -> Says {
    let edges: Vec<_> = things.iter().map(|thing| json!({ "node": thing })).collect();
    let info = json!({ "hasNextPage": next.is_some(), "endCursor": next });
    data(&json!({ "page": { "edges": edges, "pageInfo": info } }))
}

fn connector(id: &str, name: &str) -> Value {
    json!({
        "id": id, "name": name, "state": "ALIVE", "version": "1.80.0",
        "lastHeartbeatAt": "2026-01-01T00:00:00.500Z",
    })
}

fn resource(id: &str, name: &str, access: &Value) -> Value {
    json!({ "id": id, "name": name, "isActive": true, "access": access })
}

fn access(principals: &[&str], next: Option<&str>) -> Value {
    let edge = |id: &&str| json!({ "expiresAt": "2026-01-01T01:00:00Z", "node": { "id": id } });
    let info = json!({ "hasNextPage": next.is_some(), "endCursor": next });
    json!({ "edges": principals.iter().map(edge).collect::<Vec<_>>(), "pageInfo": info })
}

/// An answer that never comes.
fn silence() -> Says {
    Says { hangs: true, ..says(200, "") }
}

impl Says {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

#[derive(Default)]
struct Script {
    says: BTreeMap<String, VecDeque<Says>>,
    seen: Vec<Seen>,
}

/// The server; it ends with the test.
struct Server {
    url: String,
    script: Arc<Mutex<Script>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, script, _tasks: tasks }
    }

    /// What is answered to an operation or to `HEAD`, in this order; the last answer stays.
    fn on(&self, what: &str, answers: impl IntoIterator<Item = Says>) -> &Self {
        let answers = answers.into_iter().collect();
        self.script.lock().unwrap().says.insert(what.to_owned(), answers);
        self
    }

    fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }

    /// All that was asked but where the region is.
    fn asked(&self) -> Vec<String> {
        let whats = self.seen().into_iter().map(|seen| seen.what);
        whats.filter(|what| what != "HEAD").collect()
    }

    fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }

    /// A text with the address of this server hidden.
    fn hidden(&self, said: impl ToString) -> String {
        said.to_string().replace(&self.url, "SERVER")
    }

    fn cloud(&self) -> Cloud {
        Cloud::At(Url::parse(&self.url).unwrap())
    }

    /// The network, asked at that pace.
    fn api(&self, pace: &Arc<Passing>) -> Arc<Api> {
        let silent = self.script.lock().unwrap().says.values().flatten().any(|says| says.hangs);
        let total = if silent { Span::from_millis(500) } else { Span::from_minutes(1) };
        let http = Http::new(Trust::default(), Limits { total, ..LIMITS });
        let key = Secret::new(format!("k-{CANARY}"));
        let network = "acme".parse().unwrap();
        let pace = Arc::clone(pace) as Arc<dyn Pace>;
        Arc::new(Api::new(http, &self.cloud(), &network, key, pace, &Budgets::default()))
    }

    /// One who asks for a session.
    fn caller(&self) -> Caller {
        self.api(&Passing::new()).caller(Rank::Session, UNHEARD.clone())
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (what, variables) = if method == Method::HEAD {
        ("HEAD".to_owned(), Value::Null)
    } else {
        let document = sent["query"].as_str().unwrap_or_default();
        let name = document.split_whitespace().nth(1).unwrap_or_default();
        (name.split('(').next().unwrap().to_owned(), sent["variables"].clone())
    };
    let says = {
        let mut script = script.lock().unwrap();
        let path = uri.path().to_owned();
        script.seen.push(Seen { what: what.clone(), path, headers, variables });
        match script.says.get_mut(&what) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers.front().unwrap().clone(),
            None if what == "HEAD" => says(200, ""),
            None => panic!("nothing is to be said to {what}"),
        }
    };
    if says.hangs {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(says.status);
    if !says.headers.iter().any(|(name, _)| *name == "date") {
        response = response.header("date", NOW_AS_DATE);
    }
    for (name, value) in says.headers {
        response = response.header(name, value);
    }
    response.body(says.body.into()).unwrap()
}

/// A time that passes only while somebody waits.
#[derive(Debug)]
struct Passing {
    now: Mutex<Timestamp>,
    pauses: Mutex<Vec<Span>>,
}

impl Passing {
    fn new() -> Arc<Self> {
        Arc::new(Self { now: Mutex::new(NOW), pauses: Mutex::default() })
    }

    fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap().iter().map(|span| span.as_millis()).collect()
    }

    /// How long was waited in all, in seconds.
    fn waited(&self) -> u64 {
        self.pauses().iter().sum::<u64>() / 1_000
    }
}

#[async_trait]
impl Pace for Passing {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn pause(&self, at_least: Span) {
        self.pauses.lock().unwrap().push(at_least);
        let mut now = self.now.lock().unwrap();
        *now = *now + at_least;
    }
}

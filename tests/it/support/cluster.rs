//! A Kubernetes API server of our own: as much of one as `kubectl` needs to make, list and delete
//! Jobs, Secrets and pods. It checks nothing and runs nothing. Behind a faulty server, it is a model.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use breakglass::domain::time::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::faulty_server::{HttpCall, Model};

/// The server; it ends when it is stopped or dropped.
pub struct Cluster {
    address: String,
    state: Shared,
    server: Mutex<JoinSet<()>>,
}

type Shared = Arc<Mutex<Inner>>;

/// What a cluster holds.
#[derive(Default)]
pub struct Inner {
    /// What there is, by kind (`jobs`) and name.
    objects: BTreeMap<(String, String), Value>,
    /// The methods of all requests.
    asked: Vec<String>,
    /// What is made: when it comes to be, and from when on it is listed.
    next: (Timestamp, Timestamp),
    /// What is not there or not listed before a time.
    hidden: BTreeMap<(String, String), (Timestamp, Timestamp)>,
    now: Timestamp,
}

impl Inner {
    fn is_there(&self, key: &(String, String)) -> bool {
        self.hidden.get(key).is_none_or(|(lands, _)| self.now >= *lands)
    }

    fn is_listed(&self, key: &(String, String)) -> bool {
        self.is_there(key) && self.hidden.get(key).is_none_or(|(_, listed)| self.now >= *listed)
    }
}

impl Model for Inner {
    fn serve(&mut self, call: &HttpCall) -> (u16, String) {
        let (status, value) =
            answer(self, &call.method, &call.path, &call.query, call.body.as_bytes());
        (status, value.to_string())
    }

    fn left(&self) -> Vec<String> {
        self.objects.keys().map(|(kind, name)| format!("{kind}/{name}")).collect()
    }

    fn delay(&mut self, lands_at: Timestamp, listed_at: Timestamp) {
        self.next = (lands_at, listed_at);
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = now;
    }
}

impl Cluster {
    /// Starts an empty one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Shared::default();
        let app = Router::new().fallback(serve).with_state(Arc::clone(&state));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, state, server: Mutex::new(server) }
    }

    /// How it is reached.
    pub fn kubeconfig(&self) -> String {
        kubeconfig(&self.address)
    }

    /// What was made; null where it is not there.
    pub fn object(&self, kind: &str, name: &str) -> Value {
        let key = (kind.to_owned(), name.to_owned());
        self.state.lock().unwrap().objects.get(&key).cloned().unwrap_or_default()
    }

    /// How many requests were made with a method.
    pub fn count(&self, method: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| *asked == method).count()
    }

    /// Ends it: nobody answers any more.
    pub fn stop(&self) {
        self.server.lock().unwrap().abort_all();
    }
}

/// How a cluster at an address is reached.
pub fn kubeconfig(address: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "clusters": [{ "name": "it", "cluster": { "server": address } }],
        "users": [{ "name": "it", "user": {} }],
    });
    config.to_string()
}

async fn serve(State(state): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let query = uri.query().unwrap_or_default();
    let mut state = state.lock().unwrap();
    let (status, value) = answer(&mut state, method.as_str(), uri.path(), query, &body);
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn answer(state: &mut Inner, method: &str, path: &str, query: &str, body: &[u8]) -> (u16, Value) {
    let path: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    match path.as_slice() {
        ["api"] => (200, json!({ "kind": "APIVersions", "versions": ["v1"] })),
        ["apis"] => (200, groups()),
        ["api", "v1"] => (200, resources("v1", &[("secrets", "Secret"), ("pods", "Pod")])),
        ["apis", "batch", "v1"] => (200, resources("batch/v1", &[("jobs", "Job")])),
        ["api", "v1", "namespaces", "net", kind @ ("secrets" | "pods"), name @ ..]
        | ["apis", "batch", "v1", "namespaces", "net", kind @ "jobs", name @ ..] => {
            state.asked.push(method.to_owned());
            match (method, name) {
                ("POST", []) => create(state, kind, body),
                ("GET", []) => (200, list(state, kind, query)),
                ("GET" | "DELETE", [name]) => one(state, method, kind, name),
                _ => (405, failure(405, "MethodNotAllowed", "this is not served")),
            }
        }
        _ => (404, failure(404, "NotFound", "there is no such thing")),
    }
}

fn create(state: &mut Inner, kind: &str, body: &[u8]) -> (u16, Value) {
    let mut object: Value = serde_json::from_slice(body).unwrap();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let key = (kind.to_owned(), name);
    if state.objects.contains_key(&key) {
        return (409, failure(409, "AlreadyExists", "it is there already"));
    }
    object["metadata"]["uid"] = json!(format!("uid-{}", state.asked.len()));
    state.hidden.insert(key.clone(), state.next);
    state.objects.insert(key, object.clone());
    (201, object)
}

fn list(state: &Inner, kind: &str, query: &str) -> Value {
    let wanted = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector="));
    let wanted = wanted.map(|text| text.replace("%2F", "/").replace("%3D", "="));
    let fits = |object: &Value| {
        let Some((label, value)) = wanted.as_deref().and_then(|it| it.split_once('=')) else {
            return true;
        };
        object["metadata"]["labels"][label] == value
    };
    let all = state.objects.iter();
    let all = all.filter(|(key, object)| key.0 == kind && fits(object) && state.is_listed(key));
    let items: Vec<_> = all.map(|(_, object)| object.clone()).collect();
    let (list, version) = match kind {
        "jobs" => ("JobList", "batch/v1"),
        "pods" => ("PodList", "v1"),
        _ => ("SecretList", "v1"),
    };
    json!({ "kind": list, "apiVersion": version, "metadata": {}, "items": items })
}

fn one(state: &mut Inner, method: &str, kind: &str, name: &str) -> (u16, Value) {
    let key = (kind.to_owned(), name.to_owned());
    let found = match method {
        _ if !state.is_there(&key) => None,
        "GET" => state.objects.get(&key).cloned(),
        _ => {
            let job = state.objects.remove(&key);
            if kind == "jobs" && job.is_some() {
                // What it owns goes with it.
                state.objects.remove(&("secrets".to_owned(), name.to_owned()));
            }
            job
        }
    };
    match found {
        Some(object) => (200, object),
        None => (404, failure(404, "NotFound", &format!("{kind} {name:?} not found"))),
    }
}

fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    })
}

fn groups() -> Value {
    let version = json!({ "groupVersion": "batch/v1", "version": "v1" });
    json!({
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{ "name": "batch", "versions": [version], "preferredVersion": version }],
    })
}

fn resources(version: &str, kinds: &[(&str, &str)]) -> Value {
    let resource = |(plural, kind): &(&str, &str)| {
        json!({
            "name": plural,
            "singularName": kind.to_lowercase(),
            "namespaced": true,
            "kind": kind,
            "verbs": ["create", "delete", "get", "list"],
        })
    };
    let resources: Vec<_> = kinds.iter().map(resource).collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": resources,
    })
}

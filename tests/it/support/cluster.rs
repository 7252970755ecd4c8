//! A Kubernetes API server of our own: as much of one as `kubectl` needs to make, list and delete
//! Jobs, Secrets and pods. It checks nothing and runs nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The server; it ends when it is stopped or dropped.
pub struct Cluster {
    address: String,
    state: Shared,
    server: Mutex<JoinSet<()>>,
}

type Shared = Arc<Mutex<Inner>>;

#[derive(Default)]
struct Inner {
    /// What there is, by kind (`jobs`) and name.
    objects: BTreeMap<(String, String), Value>,
    /// The methods of all requests.
    asked: Vec<String>,
}

impl Cluster {
    /// Starts an empty one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Shared::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, state, server: Mutex::new(server) }
    }

    /// How it is reached.
    pub fn kubeconfig(&self) -> String {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
            "clusters": [{ "name": "it", "cluster": { "server": self.address } }],
            "users": [{ "name": "it", "user": {} }],
        });
        config.to_string()
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

async fn answer(State(state): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path: Vec<_> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let query = uri.query().unwrap_or_default().to_owned();
    match path.as_slice() {
        ["api"] => said(200, &json!({ "kind": "APIVersions", "versions": ["v1"] })),
        ["apis"] => said(200, &groups()),
        ["api", "v1"] => said(200, &resources("v1", &[("secrets", "Secret"), ("pods", "Pod")])),
        ["apis", "batch", "v1"] => said(200, &resources("batch/v1", &[("jobs", "Job")])),
        ["api", "v1", "namespaces", "net", kind @ ("secrets" | "pods"), name @ ..]
        | ["apis", "batch", "v1", "namespaces", "net", kind @ "jobs", name @ ..] => {
            serve(&state, &method, kind, name.first().copied(), &query, &body)
        }
        _ => said(404, &failure("NotFound", "there is no such thing")),
    }
}

fn serve(
    state: &Shared,
    method: &Method,
    kind: &str,
    name: Option<&str>,
    query: &str,
    body: &[u8],
) -> Response {
    let mut state = state.lock().unwrap();
    state.asked.push(method.to_string());
    let version = if kind == "jobs" { "batch/v1" } else { "v1" };
    match (method.as_str(), name) {
        ("POST", None) => {
            let mut object: Value = serde_json::from_slice(body).unwrap();
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let key = (kind.to_owned(), name);
            if state.objects.contains_key(&key) {
                return said(409, &failure("AlreadyExists", "it is there already"));
            }
            object["metadata"]["uid"] = json!(format!("uid-{}", state.asked.len()));
            state.objects.insert(key, object.clone());
            said(201, &object)
        }
        ("GET", None) => {
            let wanted = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector="));
            let wanted = wanted.map(|text| text.replace("%2F", "/").replace("%3D", "="));
            let fits = |object: &Value| {
                let Some((label, value)) = wanted.as_deref().and_then(|it| it.split_once('='))
                else {
                    return true;
                };
                object["metadata"]["labels"][label] == value
            };
            let all = state.objects.iter().filter(|((of, _), object)| of == kind && fits(object));
            let items: Vec<_> = all.map(|(_, object)| object.clone()).collect();
            let list = match kind {
                "jobs" => "JobList",
                "pods" => "PodList",
                _ => "SecretList",
            };
            said(
                200,
                &json!({ "kind": list, "apiVersion": version, "metadata": {}, "items": items }),
            )
        }
        ("GET" | "DELETE", Some(name)) => {
            let key = (kind.to_owned(), name.to_owned());
            let found = match method.as_str() {
                "GET" => state.objects.get(&key).cloned(),
                _ => state.objects.remove(&key),
            };
            match found {
                Some(object) => said(200, &object),
                None => said(404, &failure("NotFound", &format!("{kind} {name:?} not found"))),
            }
        }
        _ => said(405, &failure("MethodNotAllowed", "this is not served")),
    }
}

fn said(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn failure(reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": 404,
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

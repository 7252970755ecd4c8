//! Whoever asks a tailnet in the tests of the tailnet itself: no socket, no client.

use breakglass::domain::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::super::faulty_server::{HttpAnswer, HttpCall, Model};
use super::Tailnet;

/// When every test begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A policy file with one of everything.
pub const POLICY: &str = r#"// Ours.
{
  "tagOwners": {
    "tag:admin": ["autogroup:admin"],
    "tag:other": [], // nobody's
    "tag:router": ["tag:admin"],
  },
  "groups": { "group:ops": ["ann@example.com"] },
  "hosts": { "base": "10.1.0.5" },
  "autoApprovers": { "routes": { "10.9.0.0/16": ["tag:router"] } },
  "acls": [
    { "action": "accept", "src": ["group:ops"], "dst": ["base:22", "10.2.0.0/16:80-90"] },
  ],
  "grants": [
    { "src": ["tag:router"], "dst": ["10.3.0.0/24"], "ip": ["tcp:5432"] },
  ],
}
"#;

/// A tailnet with [`POLICY`] in force, and whoever asks it.
pub struct Desk {
    pub tailnet: Tailnet,
    pub token: String,
}

impl Desk {
    pub fn new() -> Self {
        let mut tailnet = Tailnet::new(START);
        tailnet.write_policy(POLICY);
        let token = tailnet.api_token("ann@example.com");
        tailnet.settle();
        Self { tailnet, token }
    }

    /// One that asks with a token minted for a client with one tag.
    pub fn of_client(scopes: &[&str], tags: &[&str]) -> Self {
        let mut desk = Self::new();
        let secret = desk.tailnet.oauth_client(scopes, tags);
        let (status, minted) = desk.mint(&format!("client_id=x&client_secret={secret}"));
        assert_eq!(status, 200);
        desk.token = minted["access_token"].as_str().unwrap().to_owned();
        desk
    }

    pub fn mint(&mut self, form: &str) -> (u16, Value) {
        let mut call = HttpCall {
            method: "POST".into(),
            path: "/api/v2/oauth/token".into(),
            body: form.into(),
            ..HttpCall::default()
        };
        let kind = "application/x-www-form-urlencoded".to_owned();
        call.headers.insert("content-type".into(), kind);
        said(&self.tailnet.answer(&call))
    }

    pub fn call(&self, method: &str, target: &str, body: &str) -> HttpCall {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut call = HttpCall {
            method: method.into(),
            path: format!("/api/v2{path}"),
            query: query.into(),
            body: body.into(),
            ..HttpCall::default()
        };
        call.headers.insert("authorization".into(), format!("Bearer {}", self.token));
        if !body.is_empty() {
            call.headers.insert("content-type".into(), "application/json".into());
        }
        call
    }

    pub fn ask(&mut self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let call = self.call(method, target, &body);
        said(&self.tailnet.answer(&call))
    }

    pub fn get(&mut self, target: &str) -> (u16, Value) {
        self.ask("GET", target, &Value::Null)
    }

    pub fn make_key(&mut self, seconds: u64, tags: &[&str]) -> (u16, Value) {
        let create = json!({ "ephemeral": true, "preauthorized": true, "tags": tags });
        let capabilities = json!({ "devices": { "create": create } });
        let order = json!({
            "description": "bg-1", "expirySeconds": seconds, "capabilities": capabilities
        });
        self.ask("POST", "/tailnet/-/keys", &order)
    }

    /// A router that joined with a key of its own. Gives back its id.
    pub fn router(&mut self, routes: &[&str]) -> String {
        let (_, key) = self.make_key(600, &["tag:router"]);
        self.tailnet.join(key["key"].as_str().unwrap(), "bg-1", routes).unwrap()
    }

    pub fn advance(&mut self, minutes: u64) {
        let now = self.tailnet.now() + Span::from_minutes(minutes);
        self.tailnet.advance(now);
    }

    /// Sends a policy file.
    pub fn put(&mut self, body: &str, if_match: Option<&str>) -> HttpAnswer {
        let mut call = self.call("POST", "/tailnet/-/acl", body);
        call.headers.insert("content-type".into(), "application/hujson".into());
        call.headers.extend(if_match.map(|tag| ("if-match".into(), tag.into())));
        self.tailnet.answer(&call)
    }

    pub fn validate(&mut self, kind: &str, body: &str) -> (u16, Value) {
        let mut call = self.call("POST", "/tailnet/-/acl/validate", body);
        call.headers.insert("content-type".into(), kind.into());
        said(&self.tailnet.answer(&call))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.tailnet.take_violations(), Vec::<String>::new());
        }
    }
}

/// Status and body.
pub fn said(answer: &HttpAnswer) -> (u16, Value) {
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

/// The ids in a list.
pub fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect()
}

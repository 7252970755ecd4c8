//! An identity provider of our own, for what a real one never sends.
//!
//! A server on loopback that gives out one device code and one person, and misbehaves as its
//! [`Manners`] say. What it was asked is kept.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use breakglass::clock;
use breakglass::domain::identity_provider::{BreakGlassMode, IdpKind, IdpSettings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use super::signing::SigningKey;

/// The id under which the program is known there.
pub const CLIENT: &str = "breakglass";

/// How it behaves.
pub struct Manners {
    /// Replaces fields of the discovery document; `null` removes one.
    pub document: Value,
    /// Replaces fields of the answer with the code; `null` removes one.
    pub code: Value,
    /// What the token endpoint says, in turn, before the token; a text is an error of OAuth.
    pub before_token: VecDeque<Reply>,
    /// Replaces claims; `null` removes one.
    pub claims: Value,
    /// The token itself, in the place of a good one.
    pub token: Option<Value>,
    /// What it tells of a person beside the token; nothing unless the document names `/me`.
    pub person: Value,
    /// With what it signs.
    pub key: SigningKey,
    /// What it publishes.
    pub published: Vec<Value>,
    /// What it does at a path instead of an answer.
    pub instead: Vec<(&'static str, Reply)>,
    /// How far its clock is ahead, in seconds.
    pub clock_ahead: i64,
}

/// Something other than a good answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status of 400 with an error of OAuth.
    Error(&'static str),
    /// The same, with a description.
    Described(u16, &'static str, &'static str),
    /// A status and nothing else, with a time to wait.
    Status(u16, Option<u64>),
    /// Nothing, for ever.
    Hang,
    /// The beginning of a body, and nothing more.
    SlowBody,
    /// A body that announces its size, in bytes.
    Announced(usize),
    /// A body that never ends.
    Endless,
    /// A redirect.
    Redirect(&'static str),
    /// Any other text.
    Text(&'static str),
}

/// The server; it ends when it is dropped.
pub struct Idp {
    pub issuer: String,
    state: Arc<Mutex<Inner>>,
    _server: JoinSet<()>,
}

struct Inner {
    issuer: String,
    manners: Manners,
    asked: Vec<Asked>,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub body: String,
    pub authorization: Option<String>,
}

type Shared = Arc<Mutex<Inner>>;

impl Idp {
    /// Starts one that behaves well.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = SigningKey::ec("first");
        let manners = Manners {
            document: json!({}),
            code: json!({}),
            before_token: VecDeque::new(),
            claims: json!({}),
            token: None,
            person: json!({}),
            published: vec![key.public()],
            key,
            instead: vec![],
            clock_ahead: 0,
        };
        let inner = Inner { issuer: issuer.clone(), manners, asked: vec![] };
        let state = Arc::new(Mutex::new(inner));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { issuer, state, _server: server }
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut lock(&self.state).manners);
    }

    /// What it was asked at a path.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        lock(&self.state).asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// What the configuration would say of it.
    pub fn settings(&self) -> IdpSettings {
        IdpSettings {
            id: "corp".parse().unwrap(),
            kind: IdpKind::Oidc { issuer: self.issuer.clone() },
            client_id: CLIENT.to_owned(),
            has_secret: false,
            scopes: vec!["email".to_owned()],
            domains: vec!["example.com".to_owned()],
            break_glass: BreakGlassMode::Always,
        }
    }
}

impl Inner {
    fn claims(&self) -> Value {
        let now = clock::wall().as_seconds();
        let claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "alice-1", "iat": now, "exp": now + 300,
            "email": "alice@example.com", "email_verified": true,
        });
        with(claims, &self.manners.claims)
    }

    fn document(&self) -> Value {
        let issuer = &self.issuer;
        let document = json!({
            "issuer": issuer,
            "device_authorization_endpoint": format!("{issuer}/device"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        });
        with(document, &self.manners.document)
    }

    fn code(&self) -> Value {
        let code = json!({
            "device_code": "GmRhmhcxhwAzkoEqiMEg",
            "user_code": "WDJB-MJHT",
            "verification_uri": format!("{}/activate", self.issuer),
            "verification_uri_complete": format!("{}/activate?user_code=WDJB-MJHT", self.issuer),
            "expires_in": 600,
            "interval": 5,
        });
        with(code, &self.manners.code)
    }

    fn token(&mut self) -> Response {
        if let Some(reply) = self.manners.before_token.pop_front() {
            return reply.into_response();
        }
        let token = match &self.manners.token {
            Some(token) => token.clone(),
            None => json!(self.manners.key.sign(&self.claims())),
        };
        json_text(json!({"access_token": "x", "token_type": "Bearer", "id_token": token}))
    }
}

async fn answer(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 65_536).await.unwrap();
    let authorization = parts.headers.get(header::AUTHORIZATION);
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
        authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
    };
    match decide(&state, asked) {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

/// The answer; none where it hangs.
fn decide(state: &Shared, asked: Asked) -> Option<Response> {
    let mut inner = lock(state);
    let path = asked.path.clone();
    inner.asked.push(asked);
    let instead = inner.manners.instead.iter().find(|(at, _)| *at == path);
    let mut answer = match instead {
        Some((_, Reply::Hang)) => return None,
        Some((_, reply)) => reply.clone().into_response(),
        None => match path.as_str() {
            "/.well-known/openid-configuration" => json_text(inner.document()),
            "/device" => json_text(inner.code()),
            "/token" => inner.token(),
            "/me" => json_text(inner.manners.person.clone()),
            "/keys" => json_text(json!({"keys": inner.manners.published})),
            _ => StatusCode::NOT_FOUND.into_response(),
        },
    };
    date(answer.headers_mut(), inner.manners.clock_ahead);
    Some(answer)
}

fn date(headers: &mut HeaderMap, ahead: i64) {
    let at = jiff::Timestamp::from_second(clock::wall().as_seconds() + ahead).unwrap();
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    headers
        .insert(header::DATE, printer.timestamp_to_rfc9110_string(&at).unwrap().parse().unwrap());
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let start = || tokio_stream::once(Ok::<_, Infallible>(Bytes::from_static(b"{\"issuer\":")));
        match self {
            Self::Error(code) => {
                (StatusCode::BAD_REQUEST, json!({ "error": code }).to_string()).into_response()
            }
            Self::Described(status, code, prose) => {
                let text = json!({"error": code, "error_description": prose}).to_string();
                (StatusCode::from_u16(status).unwrap(), text).into_response()
            }
            Self::Status(status, wait) => {
                let mut answer = StatusCode::from_u16(status).unwrap().into_response();
                if let Some(wait) = wait {
                    answer.headers_mut().insert(header::RETRY_AFTER, wait.into());
                }
                answer
            }
            Self::Hang => panic!("one that hangs has no answer"),
            Self::SlowBody => {
                Body::from_stream(start().chain(tokio_stream::pending())).into_response()
            }
            Self::Announced(size) => "x".repeat(size).into_response(),
            Self::Endless => {
                let chunk = Ok::<_, Infallible>(Bytes::from(vec![b' '; 16_384]));
                Body::from_stream(tokio_stream::iter(std::iter::repeat(chunk))).into_response()
            }
            Self::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
            Self::Text(text) => text.into_response(),
        }
    }
}

fn json_text(value: Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn with(mut value: Value, changes: &Value) -> Value {
    for (field, change) in changes.as_object().unwrap() {
        if change.is_null() {
            value.as_object_mut().unwrap().remove(field);
        } else {
            value[field] = change.clone();
        }
    }
    value
}

fn lock(state: &Shared) -> MutexGuard<'_, Inner> {
    state.lock().unwrap()
}

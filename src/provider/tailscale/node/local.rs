//! The local API of a `tailscaled`: HTTP over its UNIX socket.
//!
//! Every answer has an end, in time and in size. An auth key goes through the body of one request
//! and nowhere else; what the daemon answers to that is shown without it.

use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::status::{HostPrefs, Status, Way};
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::Span;

/// The local API behind a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalApi {
    socket: PathBuf,
}

/// How a node joins a tailnet. It takes the routes of others, leaves the names of this host alone,
/// lets nobody in, offers nothing, and does not update itself.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// The control server; empty for that of Tailscale.
    pub control_url: &'a str,
    /// What the node calls itself.
    pub hostname: &'a str,
    /// The auth key.
    pub key: &'a Secret,
}

/// How a node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinged {
    /// How long it took.
    pub latency: Duration,
    /// Which way it took.
    pub way: Way,
}

/// Why the local API did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LocalError {
    /// Nobody listens.
    #[error("no `tailscaled` listens at `{socket}`: {why}")]
    NotThere {
        /// Where.
        socket: String,
        /// Why.
        why: String,
    },
    /// It is not for this user.
    #[error(
        "`tailscaled` does not let this user {what} ({why}); root can allow it: \
         `sudo tailscale set --operator=USER`"
    )]
    NotAllowed {
        /// What was asked.
        what: &'static str,
        /// Its words.
        why: String,
    },
    /// It says no.
    #[error("`tailscaled` does not {what}: {why}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Its words.
        why: String,
    },
    /// It was asked, and no answer came in time.
    #[error("`tailscaled` did not {what} within {limit}")]
    TooLate {
        /// What was asked.
        what: &'static str,
        /// How long was waited.
        limit: Span,
    },
    /// It was asked, and its answer was lost or makes no sense.
    #[error("`tailscaled` was asked to {what}, and its answer is no answer: {why}")]
    Lost {
        /// What was asked.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl LocalError {
    /// True where it may have done as asked all the same.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::TooLate { .. } | Self::Lost { .. })
    }
}

impl LocalApi {
    #[cfg(test)]
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// The one behind this socket. Nothing is touched.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Asks for everything that it sees.
    ///
    /// # Errors
    ///
    /// When there is no answer that makes sense.
    pub async fn status(&self) -> Result<Status, LocalError> {
        self.read(Call::get("say how it is", "status")).await
    }

    /// Asks how it is, without its peers: cheap on a large tailnet.
    ///
    /// # Errors
    ///
    /// When there is no answer that makes sense.
    pub async fn state(&self) -> Result<Status, LocalError> {
        self.read(Call::get("say how it is", "status?peers=false")).await
    }

    /// Asks what it was told.
    ///
    /// # Errors
    ///
    /// When there is no answer that makes sense.
    pub async fn prefs(&self) -> Result<HostPrefs, LocalError> {
        self.read(Call::get("say what it was told", "prefs")).await
    }

    /// Joins a tailnet. It goes on without us: [`Self::state`] says how far it has come.
    ///
    /// # Errors
    ///
    /// When it is not begun, or nobody knows.
    pub async fn join(&self, how: Joining<'_>) -> Result<(), LocalError> {
        const WHAT: &str = "join the tailnet";
        let mut body = Zeroizing::new(Vec::with_capacity(BODY_BYTES));
        serde_json::to_writer(&mut *body, &Options::of(how))
            .map_err(|error| LocalError::Refused { what: WHAT, why: error.to_string() })?;
        let start = Call { body: Bytes::from_owner(body), ..Call::post(WHAT, "start") };
        // With a key, too, it begins to sign in only when it is told to: as `tailscale up` does.
        let login = Call::post(WHAT, "login-interactive");
        for call in [start, login] {
            self.done(Call { hides: how.key.clone(), ..call }).await?;
        }
        Ok(())
    }

    /// Leaves the tailnet: the control server forgets an ephemeral node at once.
    ///
    /// # Errors
    ///
    /// When nobody saw it leave; the control server knows.
    pub async fn logout(&self) -> Result<(), LocalError> {
        let call = Call::post("leave the tailnet", "logout");
        self.done(Call { limit: LOGOUT_MAX, ..call }).await
    }

    /// Sees how long a node takes to answer, and which way.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn ping(&self, node: IpAddr) -> Result<Pinged, LocalError> {
        const WHAT: &str = "reach the node";
        let path = format!("ping?type=disco&ip={node}");
        let pong: Pong = self.read(Call { limit: PING_MAX, ..Call::post(WHAT, path) }).await?;
        if !pong.err.is_empty() {
            return Err(LocalError::Refused { what: WHAT, why: text::shown(&pong.err) });
        }
        let latency = Duration::try_from_secs_f64(pong.latency_seconds);
        let latency =
            latency.map_err(|error| LocalError::Lost { what: WHAT, why: error.to_string() })?;
        Ok(Pinged { latency, way: pong.way() })
    }

    pub(super) async fn connect(&self, what: &'static str) -> Result<UnixStream, LocalError> {
        UnixStream::connect(&self.socket).await.map_err(|error| {
            let why = error.to_string();
            if error.kind() == std::io::ErrorKind::PermissionDenied {
                return LocalError::NotAllowed { what, why };
            }
            LocalError::NotThere { socket: text::shown(&self.socket.to_string_lossy()), why }
        })
    }

    async fn done(&self, call: Call) -> Result<(), LocalError> {
        self.ask(call).await.map(drop)
    }

    async fn read<T>(&self, call: Call) -> Result<T, LocalError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let what = call.what;
        let body = self.ask(call).await?;
        // The status of a large tailnet is long: whoever draws a screen does not wait for it.
        let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&body)).await;
        let lost = |why: String| LocalError::Lost { what, why };
        read.map_err(|error| lost(error.to_string()))?
            .map_err(|error| lost(text::shown(&error.to_string())))
    }

    /// Returns the body of a good answer.
    async fn ask(&self, call: Call) -> Result<Vec<u8>, LocalError> {
        let (what, limit, hides) = (call.what, call.limit, call.hides.clone());
        let stream = self.connect(what).await?;
        let exchanged = timeout(limit.to_std(), exchange(stream, call)).await;
        let (status, body) = exchanged.map_err(|_| LocalError::TooLate { what, limit })??;
        match status {
            200..=299 => Ok(body),
            403 => Err(LocalError::NotAllowed { what, why: said(&body, &hides) }),
            _ => Err(LocalError::Refused { what, why: said(&body, &hides) }),
        }
    }
}

/// One request.
struct Call {
    what: &'static str,
    method: Method,
    path: String,
    body: Bytes,
    /// What must not come back in the words of a refusal.
    hides: Secret,
    limit: Span,
}

impl Call {
    fn get(what: &'static str, path: impl AsRef<str>) -> Self {
        let path = format!("/localapi/v0/{}", path.as_ref());
        let (body, hides) = (Bytes::new(), Secret::new(""));
        Self { what, method: Method::GET, path, body, hides, limit: LIMIT }
    }

    fn post(what: &'static str, path: impl AsRef<str>) -> Self {
        Self { method: Method::POST, ..Self::get(what, path) }
    }
}

async fn exchange(stream: UnixStream, call: Call) -> Result<(u16, Vec<u8>), LocalError> {
    let what = call.what;
    let lost = |why: String| LocalError::Lost { what, why: text::shown(&why) };
    let request = Request::builder()
        .method(call.method)
        .uri(call.path)
        .header(HOST, LOCAL_HOST)
        .body(Full::new(call.body))
        .map_err(|error| LocalError::Refused { what, why: error.to_string() })?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| lost(error.to_string()))?;
    // It moves the bytes; what becomes of it is seen in the answer.
    let moving = async {
        connection.await.ok();
        pending::<Infallible>().await
    };
    let asking = async {
        let answer = sender.send_request(request).await.map_err(|error| lost(error.to_string()))?;
        let (status, mut parts) = (answer.status().as_u16(), answer.into_body());
        let mut body = vec![];
        while let Some(part) = parts.frame().await {
            let part = part.map_err(|error| lost(error.to_string()))?;
            let data = part.data_ref().map(AsRef::as_ref).unwrap_or_default();
            if body.len() + data.len() > BODY_BYTES_MAX {
                return Err(lost(format!("it is longer than {BODY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(data);
        }
        Ok((status, body))
    };
    tokio::select! {
        answer = asking => answer,
        never = moving => match never {},
    }
}

/// The words of a refusal, clean and without what was secret in the request.
pub(super) fn said(body: &[u8], hides: &Secret) -> String {
    #[derive(Deserialize)]
    struct Said {
        #[serde(alias = "Error")]
        error: String,
    }

    let short = body.get(..WORDS_BYTES_MAX).unwrap_or(body);
    let words = serde_json::from_slice::<Said>(short)
        .map_or_else(|_| String::from_utf8_lossy(short).into_owned(), |said| said.error);
    let words = if hides.is_empty() { words } else { words.replace(hides.expose(), "...") };
    let words = text::shown(words.trim());
    if words.is_empty() { "it gives no reason".to_owned() } else { words }
}

/// What `start` is told (`ipn.Options`). Preferences that are not named are off.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Options<'a> {
    auth_key: &'a str,
    update_prefs: Prefs<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Prefs<'a> {
    #[serde(rename = "ControlURL")]
    control_url: &'a str,
    hostname: &'a str,
    want_running: bool,
    route_all: bool,
    #[serde(rename = "CorpDNS")]
    corp_dns: bool,
    shields_up: bool,
    advertise_routes: [&'a str; 0],
    netfilter_mode: u8,
    auto_update: AutoUpdate,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AutoUpdate {
    check: bool,
    apply: bool,
}

impl<'a> Options<'a> {
    fn of(how: Joining<'a>) -> Self {
        Self {
            auth_key: how.key.expose(),
            update_prefs: Prefs {
                control_url: how.control_url,
                hostname: how.hostname,
                want_running: true,
                route_all: true,
                corp_dns: false,
                shields_up: true,
                advertise_routes: [],
                netfilter_mode: 0,
                auto_update: AutoUpdate { check: false, apply: false },
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Pong {
    err: String,
    latency_seconds: f64,
    endpoint: String,
    peer_relay: String,
    #[serde(rename = "DERPRegionCode")]
    region: String,
}

impl Pong {
    fn way(&self) -> Way {
        let clean = |text: &str| text::clean(text, 64).into_owned();
        match self {
            Self { endpoint, .. } if !endpoint.is_empty() => Way::Direct(clean(endpoint)),
            Self { peer_relay, .. } if !peer_relay.is_empty() => Way::Peer(clean(peer_relay)),
            Self { region, .. } if !region.is_empty() => Way::Relay(clean(region)),
            _ => Way::Unknown,
        }
    }
}

/// What a daemon wants to be called; anything else it refuses.
pub(super) const LOCAL_HOST: &str = "local-tailscaled.sock";
/// The longest head of an answer.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest answer: a tailnet of ten thousand nodes says some 20 MB.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const WORDS_BYTES_MAX: usize = 4 * 1024;
/// More than a request to join takes, so that no copy of its key is left behind by a move.
const BODY_BYTES: usize = 4 * 1024;
const LIMIT: Span = Span::from_seconds(10);
const LOGOUT_MAX: Span = Span::from_seconds(15);
const PING_MAX: Span = Span::from_seconds(5);

//! The one client of everything that is asked over HTTP: identity providers, and systems that
//! carry paths.
//!
//! Rules that hold in every line below:
//!
//! 1. `https` only; plain `http` reaches this host's own loopback, never through a proxy.
//! 2. A redirect is never followed: a secret goes where it was sent, or nowhere.
//! 3. Every answer has an end: in time and in size.
//! 4. A body, sent or received, is in no error and in no log.
//!
//! A host without a store of certificates can still speak to the world: the roots that Mozilla
//! trusts are part of the program, and the host's own are added to them.

mod certificate;
mod error;
mod request;
mod tls;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AGE, DATE, ETAG, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, redirect};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::clock;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};

pub use error::{HttpError, Phase};
pub use request::{Answer, Request};

/// Whom the client trusts beside the roots that it brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Whether `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and the like are obeyed: only where the
    /// person who set them is the person who is served.
    pub use_environment: bool,
    /// A file of further certificates to trust, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// How long and how large an exchange may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the name, the connection and TLS together.
    pub connect: Span,
    /// For everything, to the last byte of the answer.
    pub total: Span,
    /// The largest body that is read, in bytes.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Span::from_seconds(5),
            total: Span::from_seconds(10),
            bytes_max: 1024 * 1024,
        }
    }
}

/// The client. Cheap to clone; clones share their connections.
///
/// Reading the certificates of a host takes a while, so it is done when something is sent first,
/// away from everybody who must not wait.
#[derive(Clone, Debug)]
pub struct Http(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trust: Trust,
    limits: Limits,
    clients: OnceCell<Clients>,
}

#[derive(Debug)]
struct Clients {
    abroad: Client,
    loopback: Client,
}

impl Http {
    /// Makes the client. Nothing is read and nothing sent yet.
    #[must_use]
    pub fn new(trust: Trust, limits: Limits) -> Self {
        Self(Arc::new(Inner { trust, limits, clients: OnceCell::new() }))
    }

    /// Reads the certificates of the host and of its [`Trust`], if that was not done yet.
    ///
    /// # Errors
    ///
    /// When the file of further certificates cannot be read or holds none. It is tried again with
    /// the next thing that is sent.
    pub async fn ready(&self) -> Result<(), HttpError> {
        self.clients().await.map(|_| ())
    }

    async fn clients(&self) -> Result<&Clients, HttpError> {
        let make = || async {
            let (trust, limits) = (self.0.trust.clone(), self.0.limits);
            let made = tokio::task::spawn_blocking(move || Clients::new(&trust, limits)).await;
            made.unwrap_or(Err(HttpError::Setup))
        };
        self.0.clients.get_or_try_init(make).await
    }

    /// Asks, and reads the whole answer, whatever its status is.
    ///
    /// # Errors
    ///
    /// When there is no answer, it leads elsewhere, it is not within the limits, or the client is not
    /// [ready](Self::ready).
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let open = self.open(request).await?;
        let Open { response, asked, url, limits, deadline } = open;
        let status = response.status();
        if status.is_redirection() {
            let to = target(&url, response.headers());
            let to = to.map(|to| to.map_or_else(|text| text::shown(&text), |to| address(&to)));
            return Err(HttpError::Redirected { address: asked.address, to });
        }
        let (retry_after, date) = (retry_after(response.headers()), date(response.headers()));
        let etag = etag(response.headers());
        let body = timeout_at(deadline, read(response, &asked, &limits))
            .await
            .map_err(|_| asked.late(Phase::Reading, &limits))??;
        Ok(Answer::new(asked.address, status, retry_after, date, etag, body))
    }

    /// Asks only where the answer leads: the status and the place, or nothing where it leads nowhere
    /// else. Nothing is sent there, and the body is not read.
    ///
    /// # Errors
    ///
    /// When there is no answer, it leads to no URL, or the client is not [ready](Self::ready).
    pub async fn leads_to(&self, request: Request) -> Result<Option<(u16, Url)>, HttpError> {
        let Open { response, asked, url, .. } = self.open(request).await?;
        if !response.status().is_redirection() {
            return Ok(None);
        }
        match target(&url, response.headers()) {
            Some(Ok(to)) => Ok(Some((response.status().as_u16(), to))),
            Some(Err(text)) => {
                let to = Some(text::shown(&text));
                Err(HttpError::Redirected { address: asked.address, to })
            }
            None => Err(HttpError::Redirected { address: asked.address, to: None }),
        }
    }

    async fn open(&self, request: Request) -> Result<Open, HttpError> {
        let url = allowed(request.url())?;
        let asked = Asked::of(&url);
        let limits = self.0.limits;
        let total = request.total().map_or(limits.total, |asked| asked.min(limits.total));
        let limits = Limits { total, ..limits };
        let clients = self.clients().await?;
        let deadline = Instant::now() + total.to_std();
        let client = if asked.is_loopback { &clients.loopback } else { &clients.abroad };
        let sent = request.into_sendable(client, url.clone())?;
        let answered = timeout_at(deadline, sent.send()).await;
        let response = answered
            .map_err(|_| asked.late(Phase::Waiting, &limits))?
            .map_err(|failed| error::of(&failed, &asked, &limits))?;
        Ok(Open { response, asked, url, limits, deadline })
    }
}

/// An answer that has begun.
struct Open {
    response: reqwest::Response,
    asked: Asked,
    url: Url,
    limits: Limits,
    deadline: Instant,
}

impl Clients {
    fn new(trust: &Trust, limits: Limits) -> Result<Self, HttpError> {
        let tls = tls::settings(trust)?;
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Resolver)
                .redirect(redirect::Policy::none())
                .referer(false)
                .connect_timeout(limits.connect.min(limits.total).to_std())
                .pool_idle_timeout(POOL_IDLE)
                .user_agent(concat!("breakglass/", env!("CARGO_PKG_VERSION")))
        };
        let built = |builder: reqwest::ClientBuilder| builder.build().map_err(|_| HttpError::Setup);
        let loopback = built(builder().no_proxy())?;
        let abroad = if trust.use_environment { built(builder())? } else { loopback.clone() };
        Ok(Self { abroad, loopback })
    }
}

/// True for a URL to which something may be sent: `https`, or `http` on loopback, with a host and
/// without a name or password in it.
#[must_use]
pub fn is_allowed(url: &str) -> bool {
    allowed(url).is_ok()
}

/// True where the URL leads to this host's own loopback: `localhost`, 127.0.0.0/8, `::1`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == LOCALHOST,
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What was asked, in words that may be shown: a query may hold what nobody should see.
struct Asked {
    origin: String,
    address: String,
    host: String,
    is_loopback: bool,
}

impl Asked {
    fn of(url: &Url) -> Self {
        Self {
            origin: text::shown(&url.origin().ascii_serialization()),
            address: address(url),
            host: text::shown(url.host_str().unwrap_or_default()),
            is_loopback: is_loopback(url),
        }
    }

    fn late(&self, phase: Phase, limits: &Limits) -> HttpError {
        HttpError::TimedOut { origin: self.origin.clone(), phase, after: limits.total }
    }
}

/// Where a URL leads, without what may be secret in it.
fn address(url: &Url) -> String {
    text::shown(&format!("{}{}", url.origin().ascii_serialization(), url.path()))
}

fn allowed(url: &str) -> Result<Url, HttpError> {
    let parsed = Url::parse(url).map_err(|_| HttpError::NoUrl { text: text::shown(url) })?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(HttpError::Userinfo { address: address(&parsed) });
    }
    match parsed.scheme() {
        _ if parsed.host().is_none() => Err(HttpError::NoUrl { text: text::shown(url) }),
        "https" => Ok(parsed),
        "http" if is_loopback(&parsed) => Ok(parsed),
        _ => Err(HttpError::NotHttps { address: address(&parsed) }),
    }
}

/// Where a redirect leads, or what stands there if that is no URL; nothing where it does not say.
fn target(from: &Url, headers: &HeaderMap) -> Option<Result<Url, String>> {
    let to = headers.get(LOCATION)?.to_str().ok()?;
    Some(from.join(to).map_err(|_| to.to_owned()))
}

async fn read(
    mut response: reqwest::Response,
    asked: &Asked,
    limits: &Limits,
) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    let too_large =
        || HttpError::TooLarge { address: asked.address.clone(), bytes_max: limits.bytes_max };
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > limits.bytes_max) {
        return Err(too_large());
    }
    // Room for all of it at once: a body that moves while it grows leaves copies behind.
    let room = usize::try_from(announced).unwrap_or(0);
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > limits.bytes_max => {
                return Err(too_large());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(failed) => return Err(error::of(&failed, asked, limits)),
        }
    }
}

/// How long to leave the other side alone: seconds, or an instant (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    said.parse().ok().map(Span::from_seconds).or_else(|| Some(instant(said)?.since(clock::wall())))
}

/// What the other side's clock shows. An answer that lay in a cache keeps its date and tells its age
/// (RFC 9111, section 5.1).
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
    let date = instant(headers.get(DATE)?.to_str().ok()?)?;
    Some(date + Span::from_seconds(age.unwrap_or(0)))
}

/// The tag of a version, where it is one that can be sent back.
fn etag(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(ETAG)?.to_str().ok()?.trim();
    (!said.is_empty() && said.len() <= ETAG_BYTES_MAX).then(|| said.to_owned())
}

/// An instant as HTTP writes it (RFC 9110, section 5.6.7).
fn instant(said: &str) -> Option<Timestamp> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(said).ok().map(|at| Timestamp::from_millis(at.as_millisecond()))
}

/// Asks the host for addresses, and itself for its own: no hosts file leads `localhost` astray.
#[derive(Debug)]
struct Resolver;

/// That a name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
struct NoAddress;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            if name == LOCALHOST {
                let own =
                    [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), (Ipv6Addr::LOCALHOST, 0).into()];
                return Ok(Box::new(own.into_iter()) as Addrs);
            }
            // No resolver need be asked for these (RFC 6761, section 6.4).
            if name.ends_with(".invalid") {
                return Err(NoAddress.into());
            }
            match tokio::net::lookup_host((name, 0)).await {
                Ok(found) => Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs),
                Err(_) => Err(NoAddress.into()),
            }
        })
    }
}

const LOCALHOST: &str = "localhost";

const ETAG_BYTES_MAX: usize = 1_024;

const POOL_IDLE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_are_spoken_to() {
        for url in [
            "https://idp.example.com",
            "https://idp.example.com:8443/realms/a",
            "http://127.0.0.1:8080/",
            "http://127.255.3.9/",
            "http://[::1]:9000",
            "http://localhost:3000/x",
            "http://LOCALHOST/",
        ] {
            assert!(is_allowed(url), "{url}");
        }
        let refused = [
            "http://idp.example.com/token?code=1",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "http://[::ffff:127.0.0.1]/",
            "http://10.0.0.1/",
            "ftp://127.0.0.1/",
            "https://ana:secret@idp.example.com/",
            "file:///etc/passwd",
            "idp.example.com",
            "",
        ]
        .map(|url| allowed(url).unwrap_err().to_string());
        insta::assert_snapshot!(refused.join("\n"), @r"
        `http://idp.example.com/token` is not https; plain http is accepted on this host's loopback only
        `http://127.0.0.1.example.com/` is not https; plain http is accepted on this host's loopback only
        `http://localhost.example.com/` is not https; plain http is accepted on this host's loopback only
        `http://[::ffff:7f00:1]/` is not https; plain http is accepted on this host's loopback only
        `http://10.0.0.1/` is not https; plain http is accepted on this host's loopback only
        `ftp://127.0.0.1/` is not https; plain http is accepted on this host's loopback only
        the URL `https://idp.example.com/` must not hold a user name or password
        `file:///etc/passwd` is no URL; one looks like `https://idp.example.com`
        `idp.example.com` is no URL; one looks like `https://idp.example.com`
        `` is no URL; one looks like `https://idp.example.com`
        ");
    }

    #[test]
    fn a_time_to_wait_is_seconds_or_an_instant() {
        let waits = |said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, said.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(waits("120"), Some(Span::from_seconds(120)));
        assert_eq!(waits("soon"), None);
        assert_eq!(waits("-3"), None);
        assert_eq!(waits("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Span::from_seconds(0)));
        assert!(waits("Tue, 31 Dec 2199 23:59:59 GMT") > Some(Span::from_hours(1)));
    }

    #[test]
    fn an_answer_out_of_a_cache_is_as_old_as_it_says() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Thu, 01 Jan 1970 00:00:10 GMT".parse().unwrap());
        assert_eq!(date(&headers), Some(Timestamp::from_millis(10_000)));
        headers.insert(AGE, "300".parse().unwrap());
        assert_eq!(date(&headers), Some(Timestamp::from_millis(310_000)));
    }
}

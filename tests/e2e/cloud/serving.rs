//! The cloud as a process: its API over TLS, with a certificate of an authority of its own, and the
//! port on which connectors, clients and the walk ask.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use breakglass::domain::time::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Outcome;
use super::cloud::{Cloud, Clouds, Said};
use super::support::faulty_server::{HttpAnswer, HttpCall};

/// The port on which connectors, clients and the walk ask.
pub const ASKED_AT: u16 = 8081;

/// The networks that there are.
const HOSTS: [&str; 2] = ["acme.twingate.com", "globex.twingate.com"];

/// Serves until it is ended; writes the authority's certificate into the folder first.
pub async fn serve(address: IpAddr, folder: &Path) -> Outcome<()> {
    let clouds = HOSTS.map(|host| (host.to_owned(), Cloud::new(now())));
    let clouds = Arc::new(Mutex::new(Clouds::from(clouds)));
    let acceptor = acceptor(&folder.join("ca.pem"))?;
    let api =
        Arc::new(Api { at: SocketAddr::new(address, 443), acceptor, clouds, up: Mutex::default() });
    api.up().await?;
    let listener = TcpListener::bind(SocketAddr::new(address, ASKED_AT)).await?;
    let mut asked = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        asked.spawn(hear(stream, Arc::clone(&api)));
        while asked.try_join_next().is_some() {}
    }
}

/// The API, which can go away and come back with all that it knows.
struct Api {
    at: SocketAddr,
    acceptor: TlsAcceptor,
    clouds: Arc<Mutex<Clouds>>,
    /// All its connections end with it.
    up: Mutex<Option<Runtime>>,
}

impl Api {
    async fn up(&self) -> Outcome<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let inside = runtime.enter();
        let listener = TcpListener::from_std(listener(self.at)?)?;
        drop(inside);
        let listener = Tls { listener, acceptor: self.acceptor.clone() };
        let app = Router::new().fallback(answer).with_state(Arc::clone(&self.clouds));
        runtime.spawn(async move { axum::serve(listener, app).await });
        *lock(&self.up) = Some(runtime);
        Ok(())
    }

    async fn down(&self) -> Outcome<()> {
        if let Some(runtime) = lock(&self.up).take() {
            runtime.shutdown_background();
        }
        // A connection may still be taken for a moment.
        while TcpStream::connect(self.at).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

fn listener(at: SocketAddr) -> Outcome<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Hears one question, or a connector for as long as it runs.
async fn hear(stream: TcpStream, api: Arc<Api>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let said = match words.as_slice() {
        [host, "started", access, refresh, port] => {
            let started = Started { host, access, refresh, port };
            return accompany(stream, &api.clouds, started).await;
        }
        [_, "up"] => api.up().await.map(|()| String::new()),
        [_, "down"] => api.down().await.map(|()| String::new()),
        [host, question @ ..] => of_network(&api.clouds, host, |cloud| cloud.ask(question, now())),
        [] => return,
    };
    stream.write_all(spoken(said).as_bytes()).await.ok();
}

fn of_network(clouds: &Mutex<Clouds>, host: &str, ask: impl FnOnce(&mut Cloud) -> Said) -> Said {
    lock(clouds).get_mut(host).map_or_else(|| Err("there is no such network".into()), ask)
}

/// What a connector says of itself.
struct Started<'a> {
    host: &'a str,
    access: &'a str,
    refresh: &'a str,
    port: &'a str,
}

/// A connector runs for as long as its connection lasts.
async fn accompany(mut stream: BufReader<TcpStream>, clouds: &Mutex<Clouds>, it: Started<'_>) {
    let place = stream.get_ref().peer_addr().ok().zip(it.port.parse().ok());
    let Some(at) = place.map(|(peer, port)| SocketAddr::new(peer.ip(), port)) else { return };
    let said = of_network(clouds, it.host, |cloud| cloud.started(it.access, it.refresh, at));
    let id = said.as_ref().ok().cloned();
    stream.write_all(spoken(said).as_bytes()).await.ok();
    if let Some(id) = id {
        stream.read_u8().await.ok();
        if let Some(cloud) = lock(clouds).get_mut(it.host) {
            cloud.stopped(it.access, &id, now());
        }
    }
}

/// `ok` or `no`, and what there is to say.
fn spoken(said: Said) -> String {
    match said {
        Ok(text) => format!("ok {text}\n"),
        Err(why) => format!("no {why}\n"),
    }
}

async fn answer(
    State(clouds): State<Arc<Mutex<Clouds>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let headers = headers.iter().map(|(name, is)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(is.as_bytes()).into_owned())
    });
    let call = HttpCall {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let host = call.headers.get("host").cloned().unwrap_or_default();
    let answer = match lock(&clouds).get_mut(&host) {
        Some(cloud) => cloud.answer(&call, now()),
        None => HttpAnswer::plain(404, "Not Found"),
    };
    let made = Response::builder().status(answer.status);
    let made = answer.headers.iter().fold(made, |made, (name, is)| made.header(name, is));
    made.body(Body::from(answer.body)).unwrap_or_else(|_| {
        let mut bad = Response::new(Body::empty());
        *bad.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        bad
    })
}

/// Connections over TLS; who does not believe the certificate has hung up, and the next one is taken.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.listener.accept().await else { continue };
            let greeted = timeout(Duration::from_secs(2), self.acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = greeted {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A certificate for every network of the vendor, from an authority whose own is written to a file.
fn acceptor(ca_file: &Path) -> Outcome<TlsAcceptor> {
    let mut params = CertificateParams::new(vec![])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "e2e authority");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["*.twingate.com".to_owned()])?.signed_by(&key, &ca)?;
    std::fs::write(ca_file, pem(ca.der()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())?;
    Ok(TlsAcceptor::from(Arc::new(settings)))
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

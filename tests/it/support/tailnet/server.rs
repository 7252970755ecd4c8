//! A tailnet on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use breakglass::domain::time::Span;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::faulty_server::{HttpCall, Model};
use super::{SharedTailnet, Tailnet};

/// The server; it ends when it is dropped, and then complains of what did not fit the extract.
pub struct TailnetServer {
    /// Where it is: `http://127.0.0.1:PORT`.
    pub url: String,
    pub tailnet: SharedTailnet,
    delay: Arc<Mutex<Span>>,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Served {
    tailnet: SharedTailnet,
    delay: Arc<Mutex<Span>>,
}

impl TailnetServer {
    /// Serves it.
    pub async fn start(tailnet: Tailnet) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tailnet, delay) = (tailnet.shared(), Arc::new(Mutex::new(Span::ZERO)));
        let served = Served { tailnet: Arc::clone(&tailnet), delay: Arc::clone(&delay) };
        let app = Router::new().fallback(answer).with_state(served);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, tailnet, delay, _server: server }
    }

    /// Every call takes so long from now on.
    pub fn delay_calls(&self, delay: Span) {
        *self.delay.lock().unwrap() = delay;
    }

    /// Looks at the tailnet, or plays its nodes.
    pub fn with<T>(&self, see: impl FnOnce(&mut Tailnet) -> T) -> T {
        see(&mut self.tailnet.lock().unwrap())
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.with(|tailnet| tailnet.calls().len())
    }
}

impl Drop for TailnetServer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.with(Tailnet::take_violations), Vec::<String>::new());
        }
    }
}

async fn answer(
    State(mut served): State<Served>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let delay = *served.delay.lock().unwrap();
    if delay > Span::ZERO {
        tokio::time::sleep(Duration::from_millis(delay.as_millis())).await;
    }
    let told = headers.iter().map(|(name, is)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(is.as_bytes()).into_owned())
    });
    let answer = served.tailnet.answer(&HttpCall {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: told.collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    let made = Response::builder().status(answer.status);
    let made = answer.headers.iter().fold(made, |made, (name, is)| made.header(name, is));
    made.body(Body::from(answer.body)).unwrap()
}

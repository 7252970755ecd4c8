//! A model on loopback: real HTTP, and no faults but delay.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use breakglass::domain::time::{Span, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::faulty_server::{HttpAnswer, HttpCall, Model};

/// A model that holds what it is asked against an interface.
pub trait Held: Model + 'static {
    /// What did not fit, and forgets it.
    fn take_violations(&mut self) -> Vec<String>;

    /// How many calls there were.
    fn calls(&self) -> usize;
}

/// The server; it ends when it is dropped, and then complains of what did not fit the extract.
pub struct ModelServer<M: Held> {
    /// Where it is: `http://127.0.0.1:PORT`.
    pub url: String,
    pub model: Arc<Mutex<M>>,
    delay: Arc<Mutex<Span>>,
    _server: JoinSet<()>,
}

struct Served<M> {
    model: Arc<Mutex<M>>,
    delay: Arc<Mutex<Span>>,
}

impl<M> Clone for Served<M> {
    fn clone(&self) -> Self {
        Self { model: Arc::clone(&self.model), delay: Arc::clone(&self.delay) }
    }
}

impl<M: Held> ModelServer<M> {
    /// Serves it.
    pub async fn start(model: M) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (model, delay) = (Arc::new(Mutex::new(model)), Arc::new(Mutex::new(Span::ZERO)));
        let served = Served { model: Arc::clone(&model), delay: Arc::clone(&delay) };
        let app = Router::new().fallback(answer::<M>).with_state(served);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, model, delay, _server: server }
    }

    /// Every call takes so long from now on.
    pub fn delay_calls(&self, delay: Span) {
        *self.delay.lock().unwrap() = delay;
    }

    /// Looks at the model, or plays what is around it.
    pub fn with<T>(&self, see: impl FnOnce(&mut M) -> T) -> T {
        see(&mut self.model.lock().unwrap())
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.with(|model| model.calls())
    }
}

impl<M: Held> Drop for ModelServer<M> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.with(M::take_violations), Vec::<String>::new());
        }
    }
}

async fn answer<M: Held>(
    State(served): State<Served<M>>,
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
    let answer = served.model.lock().unwrap().answer(&HttpCall {
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

/// A model that several hold: the one that serves it, and the test that plays what is around it.
impl<M: Model> Model for Arc<Mutex<M>> {
    fn serve(&mut self, call: &HttpCall) -> (u16, String) {
        self.lock().unwrap().serve(call)
    }

    fn answer(&mut self, call: &HttpCall) -> HttpAnswer {
        self.lock().unwrap().answer(call)
    }

    fn left(&self) -> Vec<String> {
        self.lock().unwrap().left()
    }

    fn delay(&mut self, lands_at: Timestamp, listed_at: Timestamp) {
        self.lock().unwrap().delay(lands_at, listed_at);
    }

    fn advance(&mut self, now: Timestamp) {
        self.lock().unwrap().advance(now);
    }
}

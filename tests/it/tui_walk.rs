//! Walks: keys in, screens out, at a real loop with a scripted engine at its other end.
//!
//! A walk waits for what a screen shows or what the engine is asked, never for a while; the limit
//! is for a test that fails.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use breakglass::domain::sign_in::Token;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    Call, Command, EngineHandle, Event, Origin, Reply, SessionState, SessionView, Snapshot,
    Subscription,
};
use breakglass::tui::input::Input;
use breakglass::tui::keymap::Key;
use breakglass::tui::msg::Msg;
use breakglass::tui::outlet::Outlet;
use breakglass::tui::{Exit, Options, Reattach, Seat, drive};
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::tui_models::{LOOK, snapshot};

/// The other end of a handle: it gives a snapshot, and hands on what it is asked.
pub struct Engine {
    pub handle: EngineHandle,
    pub asked: mpsc::UnboundedReceiver<Asked>,
    /// The token of every call and subscription so far, in order.
    pub tokens: Arc<Mutex<Vec<Option<String>>>>,
    events: watch::Receiver<Option<mpsc::Sender<Event>>>,
}

pub type Asked = (Command, oneshot::Sender<Result<Reply, Report>>);

impl Engine {
    /// Starts an engine that says this to everybody who subscribes.
    pub fn start(tasks: &mut JoinSet<()>, snapshot: Snapshot) -> Self {
        Self::telling(tasks, move |_| snapshot.clone())
    }

    /// Starts an engine that says to everybody what they may see by their token.
    pub fn telling(
        tasks: &mut JoinSet<()>,
        snapshot: impl Fn(Option<&str>) -> Snapshot + Send + 'static,
    ) -> Self {
        let tokens = Arc::new(Mutex::new(vec![]));
        let shown = Arc::clone(&tokens);
        let note = move |token: Option<Token>| {
            let token = token.map(|token| token.expose().to_owned());
            shown.lock().unwrap().push(token.clone());
            token
        };
        let (calls, mut queue) = mpsc::channel(16);
        let (ask, asked) = mpsc::unbounded_channel();
        let (subscribed, events) = watch::channel(None);
        tasks.spawn(async move {
            while let Some(call) = queue.recv().await {
                match call {
                    Call::Command { command, token, reply, .. } => {
                        note(token);
                        let _ = ask.send((command, reply));
                    }
                    Call::Subscribe { token, reply, .. } => {
                        let token = note(token);
                        let (tell, events) = mpsc::channel(256);
                        subscribed.send_replace(Some(tell));
                        let snapshot = Box::new(snapshot(token.as_deref()));
                        let _ = reply.send(Subscription { snapshot, events });
                    }
                }
            }
        });
        let handle = EngineHandle::new(calls, Origin::default());
        Self { handle, asked, tokens, events }
    }

    /// Tells the face something.
    pub async fn tell(&mut self, event: Event) {
        let there = self.events.wait_for(Option::is_some).await.unwrap();
        let tell = there.clone().unwrap();
        drop(there);
        tell.send(event).await.unwrap();
    }
}

/// Gives the engine that was put there, once there is one.
pub struct Elsewhere(pub watch::Receiver<Option<EngineHandle>>);

#[async_trait]
impl Reattach for Elsewhere {
    async fn reattach(&self) -> Result<EngineHandle, Report> {
        let mut engine = self.0.clone();
        let gone = |_| Report::new(Kind::Unavailable, "there is no engine");
        let there = engine.wait_for(Option::is_some).await.map_err(gone)?;
        there.clone().ok_or_else(|| Report::new(Kind::Unavailable, "there is no engine"))
    }
}

/// A terminal in memory.
#[derive(Clone)]
struct Glass {
    parser: Arc<Mutex<vt100::Parser>>,
    bytes: watch::Sender<Vec<u8>>,
    held: watch::Receiver<bool>,
}

impl Write for Glass {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while *self.held.borrow() {
            std::thread::yield_now();
        }
        self.parser.lock().unwrap().process(bytes);
        self.bytes.send_modify(|all| all.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A face at a terminal in memory, with an engine at its other end.
pub struct Walk {
    pub engine: Engine,
    /// Puts another engine where the face looks for one.
    pub elsewhere: watch::Sender<Option<EngineHandle>>,
    /// Holds the terminal, as ctrl-s does.
    pub hold: watch::Sender<bool>,
    pub tasks: JoinSet<()>,
    keys: mpsc::UnboundedSender<Input>,
    glass: Glass,
    written: watch::Receiver<Vec<u8>>,
    face: JoinSet<Exit>,
}

impl Walk {
    pub fn start(sessions: Vec<SessionView>) -> Self {
        Self::at(snapshot(sessions), (80, 24), true)
    }

    pub fn at(snapshot: Snapshot, size: (u16, u16), hosting: bool) -> Self {
        Self::telling(move |_| snapshot.clone(), size, hosting)
    }

    /// Starts a face whose engine says to everybody what they may see by their token.
    pub fn telling(
        snapshot: impl Fn(Option<&str>) -> Snapshot + Send + 'static,
        size: (u16, u16),
        hosting: bool,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let engine = Engine::telling(&mut tasks, snapshot);
        let (elsewhere, there) = watch::channel(None);
        let (hold, held) = watch::channel(false);
        let (bytes, written) = watch::channel(vec![]);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(
            size.1.try_into().unwrap(),
            size.0.try_into().unwrap(),
            0,
        )));
        let glass = Glass { parser, bytes, held };
        let (keys, inputs) = mpsc::unbounded_channel();
        let seat = Seat {
            size,
            inputs: UnboundedReceiverStream::new(inputs),
            outlet: Outlet::new(glass.clone()),
            suspend: || false,
            resume: |_| (80, 24),
        };
        let options = Options {
            look: LOOK,
            hosting,
            drill: false,
            zone: TimeZone::UTC,
            reattach: Arc::new(Elsewhere(there)),
        };
        let mut face = JoinSet::new();
        face.spawn(drive(engine.handle.clone(), options, seat));
        Self { engine, elsewhere, hold, tasks, keys, glass, written, face }
    }

    pub fn key(&self, key: Key) -> &Self {
        self.input(Input::Msg(Msg::Key(key)))
    }

    pub fn types(&self, text: &str) -> &Self {
        text.chars().fold(self, |walk, c| walk.key(Key::Char(c)))
    }

    pub fn input(&self, input: Input) -> &Self {
        self.keys.send(input).unwrap();
        self
    }

    /// What is on screen.
    pub fn screen(&self) -> String {
        self.glass.parser.lock().unwrap().screen().contents()
    }

    /// Every byte that was written.
    pub fn bytes(&self) -> Vec<u8> {
        self.written.borrow().clone()
    }

    /// Waits until this was written, after so many bytes: what a terminal acts on and does not show.
    pub async fn writes(&self, after: usize, wanted: &[u8]) -> &Self {
        let mut written = self.written.clone();
        let there = |bytes: &Vec<u8>| {
            bytes.get(after..).is_some_and(|new| new.windows(wanted.len()).any(|at| at == wanted))
        };
        let waited = tokio::time::timeout(LIMIT, written.wait_for(there)).await;
        assert!(waited.is_ok_and(|it| it.is_ok()), "waited for {wanted:?} in vain");
        self
    }

    /// Waits until the screen shows a text.
    pub async fn sees(&self, text: &str) -> &Self {
        self.screen_where(text, |screen| screen.contains(text)).await
    }

    /// Waits until the screen shows a text no more.
    pub async fn sees_no(&self, text: &str) -> &Self {
        self.screen_where(text, |screen| !screen.contains(text)).await
    }

    async fn screen_where(&self, what: &str, fits: impl Fn(&str) -> bool) -> &Self {
        let mut written = self.written.clone();
        let glass = &self.glass;
        let shown = written.wait_for(|_| fits(&glass.parser.lock().unwrap().screen().contents()));
        let waited = tokio::time::timeout(LIMIT, shown).await.is_ok_and(|shown| shown.is_ok());
        assert!(waited, "waited for `{what}` in vain:\n{}", self.screen());
        self
    }

    /// Waits until the engine is asked something.
    pub async fn asked(&mut self) -> Asked {
        let asked = tokio::time::timeout(LIMIT, self.engine.asked.recv()).await;
        match asked {
            Ok(Some(asked)) => asked,
            _ => panic!("the engine was asked nothing:\n{}", self.screen()),
        }
    }

    /// Waits until the engine is asked something and answers it.
    pub async fn answers(&mut self, answer: Result<Reply, Report>) -> Command {
        let (command, reply) = self.asked().await;
        reply.send(answer).unwrap();
        command
    }

    pub async fn tells(&mut self, session: SessionView) {
        self.engine.tell(Event::Session(Box::new(session))).await;
    }

    /// Waits until the face has left.
    pub async fn leaves(&mut self) -> Exit {
        let left = tokio::time::timeout(LIMIT, self.face.join_next()).await;
        match left {
            Ok(Some(Ok(exit))) => exit,
            other => panic!("the face has not left: {other:?}\n{}", self.screen()),
        }
    }
}

/// The same session in another state.
pub fn turned(session: &SessionView, state: SessionState) -> SessionView {
    let mut other = crate::tui_models::session(9, session.target.id.as_str(), state);
    other.id = session.id;
    other
}

const LIMIT: Duration = Duration::from_secs(20);

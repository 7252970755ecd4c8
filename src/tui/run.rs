//! The loop: the only place where the terminal, the engine and the clock meet.
//!
//! It waits for the first of: a key or a signal, an event, an answer, a frame that is written, the
//! instant at which time alone changes the screen. Then it takes in everything that is ready,
//! and draws once.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::Stream;

use super::input::{Input, Inputs};
use super::look::Look;
use super::model::Model;
use super::msg::{Effect, Leave, Msg, Purpose};
use super::outlet::Outlet;
use super::screen::Screen;
use super::update::{safe_leave, update};
use super::{clipboard, terminal};
use crate::clock::{Clock, Stopwatch, wall};
use crate::domain::sign_in::Token;
use crate::error::Report;
use crate::protocol::{Command, EngineHandle, Event, Reply, Severity, SignInAsk, Subscription};

/// What the loop must know from outside.
#[derive(Clone)]
pub struct Options {
    /// How the screens may look.
    pub look: Look,
    /// True when this process hosts the engine.
    pub hosting: bool,
    /// True for a drill, so that even the first frame says so.
    pub drill: bool,
    /// The time zone of this host.
    pub zone: TimeZone,
    /// Finds the engine again when it has gone elsewhere.
    pub reattach: Arc<dyn Reattach>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("look", &self.look).finish_non_exhaustive()
    }
}

/// Finds the engine again after it was handed over, or was cut off.
#[async_trait]
pub trait Reattach: Send + Sync {
    /// Returns a handle of the engine, wherever it is now.
    ///
    /// # Errors
    ///
    /// When there is none, or it does not answer. The loop tries again after a while.
    async fn reattach(&self) -> Result<EngineHandle, Report>;
}

/// How the face has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What becomes of the sessions.
    pub leave: Leave,
    /// What ended it.
    pub cause: Cause,
}

/// What has ended the face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The operator, or a signal that asks a process to end.
    Asked,
    /// The terminal has vanished. Standard input, output and error lead nowhere; nothing may be
    /// printed any more.
    HungUp,
    /// A task of this process has panicked; its message is on the terminal.
    Panicked,
}

/// Runs the screens on this process's terminal until the operator leaves.
///
/// # Errors
///
/// When there is no terminal, or it cannot be set up. It is restored in any case.
pub async fn run(engine: EngineHandle, options: Options) -> Result<Exit, Report> {
    let (guard, trouble) = terminal::Guard::enter(options.look.mouse)?;
    let inputs = Inputs::new(trouble)?;
    let seat = Seat {
        size: terminal::size(),
        inputs,
        outlet: Outlet::new(terminal::Tty),
        suspend: terminal::suspend,
        resume: |mouse| {
            terminal::resume(mouse);
            terminal::size()
        },
    };
    let exit = drive(engine, options, seat).await;
    if exit.cause == Cause::HungUp {
        terminal::silence();
    }
    drop(guard);
    Ok(exit)
}

/// A place to sit at: where keys come from and bytes go to.
#[derive(Debug)]
pub struct Seat<I> {
    /// Columns and rows at the start.
    pub size: (u16, u16),
    /// What comes in.
    pub inputs: I,
    /// Where bytes go.
    pub outlet: Outlet,
    /// Stops the process until it is continued; returns false where nobody could continue it.
    pub suspend: fn() -> bool,
    /// Sets the terminal up again after a stop, and returns its size.
    pub resume: fn(bool) -> (u16, u16),
}

/// Runs the screens at any seat. [`run`] is this at the process's own terminal.
pub async fn drive<I>(engine: EngineHandle, options: Options, mut seat: Seat<I>) -> Exit
where
    I: Stream<Item = Input> + Unpin,
{
    let mut face = Face::new(engine, options, seat.size);
    face.subscribe();
    // The engine in this process answers at once: then the first frame is a whole one.
    if let Ok(Some(Ok(done))) = tokio::time::timeout(FIRST_WAIT, face.calls.join_next()).await {
        face.done(done);
    }
    face.urgent = true;
    loop {
        face.draw(&mut seat.outlet);
        let pause = face.pause(&seat.outlet);
        let arrived = tokio::select! {
            inputs = ready(&mut seat.inputs) => Arrived::Inputs(inputs),
            written = seat.outlet.written() => Arrived::Written(written.is_ok()),
            Some(Ok(done)) = face.calls.join_next(), if !face.calls.is_empty() => Arrived::Done(done),
            events = next_events(&mut face.events) => Arrived::Events(events),
            () = sleep(pause) => Arrived::Late,
        };
        let exit = match arrived {
            Arrived::Inputs(inputs) => {
                inputs.into_iter().find_map(|input| face.input(input, &mut seat))
            }
            Arrived::Written(true) => None,
            Arrived::Written(false) => Some(face.exit(Cause::HungUp)),
            Arrived::Done(done) => face.done(done),
            Arrived::Events(events) => face.heard(events),
            Arrived::Late => face.take_in(Msg::Tick(face.clock.now())),
        };
        if let Some(exit) = exit {
            let _ = tokio::time::timeout(LAST_WAIT, seat.outlet.written()).await;
            return exit;
        }
    }
}

/// What the loop woke up for.
enum Arrived {
    Inputs(Vec<Input>),
    Written(bool),
    Done(Done),
    Events(Vec<Event>),
    Late,
}

/// What a task of the loop has brought.
enum Done {
    Answer(Purpose, Result<Reply, Report>),
    Subscribed(EngineHandle, Result<Subscription, Report>),
    Lost(Report),
    GivenBack,
}

struct Face {
    model: Model,
    screen: Screen,
    engine: EngineHandle,
    reattach: Arc<dyn Reattach>,
    events: Option<mpsc::Receiver<Event>>,
    calls: JoinSet<Done>,
    clock: Clock,
    /// What shows who is signed in here. It is nowhere else: not in the model, which is shown in
    /// tests, and not in a message.
    token: Option<Token>,
    /// The token that the answer at hand brought, until the model says what becomes of it.
    offered: Option<Token>,
    /// Bytes that are no frame: the clipboard, the bell.
    aside: Vec<u8>,
    /// True when the model may differ from the screen.
    dirty: bool,
    /// True when somebody waits for the screen: a key was pressed.
    urgent: bool,
    drawn: Stopwatch,
    tries: u32,
    suspended: bool,
}

impl Face {
    fn new(engine: EngineHandle, options: Options, size: (u16, u16)) -> Self {
        let mut model = Model::new(options.look, size, options.zone);
        model.hosting = options.hosting;
        model.drill = options.drill;
        let clock = Clock::starting_at(wall());
        model.now = clock.now();
        Self {
            model,
            screen: Screen::new(size),
            token: engine.token().cloned(),
            offered: None,
            engine,
            reattach: options.reattach,
            events: None,
            calls: JoinSet::new(),
            clock,
            aside: vec![],
            dirty: true,
            urgent: true,
            drawn: Stopwatch::start(),
            tries: 0,
            suspended: false,
        }
    }

    fn exit(&self, cause: Cause) -> Exit {
        Exit { leave: safe_leave(&self.model), cause }
    }

    fn input<I>(&mut self, input: Input, seat: &mut Seat<I>) -> Option<Exit> {
        self.urgent = true;
        match input {
            Input::Msg(msg) => {
                let exit = self.take_in(Msg::Tick(self.clock.now())).or_else(|| self.take_in(msg));
                if std::mem::take(&mut self.suspended) {
                    if (seat.suspend)() {
                        self.repaint((seat.resume)(self.model.mouse));
                    } else {
                        let why = "not suspended: no shell above this process could continue it";
                        self.model.messages.tell(self.model.now, Severity::Warning, why);
                    }
                }
                exit
            }
            Input::Continued => {
                self.repaint((seat.resume)(self.model.mouse));
                None
            }
            Input::HungUp => Some(self.exit(Cause::HungUp)),
            Input::Panicked => Some(self.exit(Cause::Panicked)),
        }
    }

    fn repaint(&mut self, size: (u16, u16)) {
        self.take_in(Msg::Resize(size.0, size.1));
        self.screen.forget();
        self.urgent = true;
    }

    fn heard(&mut self, events: Vec<Event>) -> Option<Exit> {
        let ended = events.is_empty()
            || events.iter().any(|event| matches!(event, Event::HandedOver | Event::Stopped));
        let exit =
            self.take_in(Msg::Tick(self.clock.now())).or_else(|| self.take_in(Msg::Events(events)));
        if !ended {
            return exit;
        }
        self.events = None;
        exit.or_else(|| self.take_in(Msg::CutOff))
    }

    fn done(&mut self, done: Done) -> Option<Exit> {
        match done {
            Done::Answer(purpose, answer) => {
                self.urgent = true;
                let answer = self.without_token(answer);
                let exit = self.take_in(Msg::Answer(purpose, answer));
                self.offered = None;
                exit
            }
            // Somebody has signed in or out since; the subscription for them is on its way.
            Done::Subscribed(engine, _) if engine.token() != self.token.as_ref() => None,
            Done::Subscribed(engine, Ok(subscription)) => {
                self.tries = 0;
                self.engine = engine;
                self.clock = Clock::starting_at(subscription.snapshot.now);
                self.events = Some(subscription.events);
                self.take_in(Msg::Attached(subscription.snapshot))
            }
            Done::GivenBack => None,
            Done::Subscribed(_, Err(report)) | Done::Lost(report) => {
                self.tries = self.tries.saturating_add(1);
                self.find_engine();
                self.take_in(Msg::Detached(report))
            }
        }
    }

    fn take_in(&mut self, msg: Msg) -> Option<Exit> {
        self.dirty = true;
        let effects = update(&mut self.model, msg);
        effects.into_iter().find_map(|effect| self.run(effect))
    }

    fn run(&mut self, effect: Effect) -> Option<Exit> {
        match effect {
            Effect::Call(command, purpose) => self.call(command, purpose),
            Effect::Copy(text) => {
                self.aside.extend(clipboard::sequence(&text, self.model.look.multiplexer));
            }
            Effect::CopySecret(secret) => {
                self.aside
                    .extend(clipboard::sequence(secret.expose(), self.model.look.multiplexer));
            }
            Effect::Enter => {
                if let Some(token) = self.offered.take() {
                    self.go_on_as(Some(token));
                }
            }
            Effect::GiveBack => self.give_back(),
            Effect::SignOut => {
                if self.token.is_some() {
                    self.go_on_as(None);
                }
            }
            Effect::Bell => self.aside.push(b'\x07'),
            Effect::Mouse(on) => self.aside.extend_from_slice(terminal::mouse_sequence(on)),
            Effect::Suspend => self.suspended = true,
            Effect::Repaint => self.screen.forget(),
            Effect::Reattach { same: true } => self.subscribe(),
            Effect::Reattach { same: false } => self.find_engine(),
            Effect::Quit(leave) => return Some(Exit { leave, cause: Cause::Asked }),
        }
        None
    }

    fn call(&mut self, command: Command, purpose: Purpose) {
        let engine = self.engine.clone();
        self.calls.spawn(async move { Done::Answer(purpose, engine.call(command).await) });
    }

    /// Takes the token out of an answer, so that the model hears who, and not what shows it.
    fn without_token(&mut self, answer: Result<Reply, Report>) -> Result<Reply, Report> {
        match answer {
            Ok(Reply::SignedIn { token, me }) => {
                self.offered = Some(token);
                Ok(Reply::Me(Some(me)))
            }
            other => other,
        }
    }

    /// Goes on as whoever the token is of, or as nobody: what they may see is asked for anew.
    fn go_on_as(&mut self, token: Option<Token>) {
        self.engine = self.engine.signed_in(token.clone());
        self.token = token;
        self.events = None;
        self.subscribe();
    }

    /// Ends a sign-in that nobody waits for any more.
    fn give_back(&mut self) {
        let Some(token) = self.offered.take() else { return };
        let engine = self.engine.signed_in(Some(token));
        self.calls.spawn(async move {
            // Where the engine has gone the sign-in has gone with it, or ends by itself unused.
            let _ = engine.call(Command::SignIn(SignInAsk::Logout)).await;
            Done::GivenBack
        });
    }

    fn subscribe(&mut self) {
        let engine = self.engine.clone();
        self.calls.spawn(async move {
            let subscribed = engine.subscribe().await;
            Done::Subscribed(engine, subscribed)
        });
    }

    /// Looks for the engine elsewhere; after each failure a while longer later.
    fn find_engine(&mut self) {
        let reattach = Arc::clone(&self.reattach);
        let token = self.token.clone();
        let wait = match self.tries {
            0 => Duration::ZERO,
            tries => Duration::from_secs(1 << tries.min(4)).min(TRY_WAIT_MAX),
        };
        self.calls.spawn(async move {
            tokio::time::sleep(wait).await;
            match reattach.reattach().await {
                Ok(engine) => {
                    let engine = engine.signed_in(token);
                    let subscribed = engine.subscribe().await;
                    Done::Subscribed(engine, subscribed)
                }
                Err(report) => Done::Lost(report),
            }
        });
    }

    /// Draws, if something has changed, the last frame is written, and it is time.
    fn draw(&mut self, outlet: &mut Outlet) {
        let anything = self.dirty || !self.aside.is_empty();
        if !anything || outlet.is_busy() || !self.is_due() {
            return;
        }
        let mut bytes = self.screen.draw(&self.model);
        bytes.append(&mut self.aside);
        outlet.write(bytes);
        (self.dirty, self.urgent) = (false, false);
        self.drawn = Stopwatch::start();
    }

    fn is_due(&self) -> bool {
        self.urgent || self.drawn.elapsed().to_std() >= FRAME_WAIT
    }

    /// How long nothing needs to happen; none where only somebody else can make it happen.
    fn pause(&self, outlet: &Outlet) -> Option<Duration> {
        let frame = (self.dirty && !outlet.is_busy())
            .then(|| FRAME_WAIT.saturating_sub(self.drawn.elapsed().to_std()));
        let tick = self.model.wake_at().map(|at| at.since(self.clock.now()).to_std());
        frame.into_iter().chain(tick).min()
    }
}

/// Waits for what comes in, and returns everything that is ready.
async fn ready<I: Stream<Item = Input> + Unpin>(inputs: &mut I) -> Vec<Input> {
    poll_fn(|cx| {
        let mut arrived = vec![];
        while arrived.len() < INPUTS_MAX {
            match Pin::new(&mut *inputs).poll_next(cx) {
                Poll::Ready(Some(input)) => arrived.push(input),
                Poll::Ready(None) => {
                    arrived.push(Input::HungUp);
                    break;
                }
                Poll::Pending => break,
            }
        }
        if arrived.is_empty() { Poll::Pending } else { Poll::Ready(arrived) }
    })
    .await
}

/// Waits for events, and returns all that have come; none when they have ended.
async fn next_events(events: &mut Option<mpsc::Receiver<Event>>) -> Vec<Event> {
    let Some(events) = events else { return std::future::pending().await };
    let mut arrived = vec![];
    events.recv_many(&mut arrived, EVENTS_MAX).await;
    arrived
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// How long the first frame waits for the engine.
const FIRST_WAIT: Duration = Duration::from_millis(15);

/// How long the way out waits for the last frame.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// The least time between two frames that nobody waits for.
const FRAME_WAIT: Duration = Duration::from_millis(33);

/// The longest time between two tries to find the engine.
const TRY_WAIT_MAX: Duration = Duration::from_secs(10);

/// How many inputs are taken in for one frame.
const INPUTS_MAX: usize = 1_024;

/// How many events are taken in for one frame.
const EVENTS_MAX: usize = 4_096;

//! What comes in from outside the engine: keys, signals, a terminal that vanishes.
//!
//! Keys are read on a thread of their own. When the terminal vanishes, crossterm 0.29 does not come
//! back from looking for a key, not even from a look that must not wait; the loop must not be
//! where that happens. The thread then sleeps in a read that never ends (see [`silence`]), or ends
//! as soon as nobody listens.
//!
//! [`silence`]: super::terminal::silence

use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use crossterm::event::{
    Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEvent, MouseEventKind,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt};

use super::keymap::Key;
use super::msg::Msg;
use super::terminal::Trouble;
use crate::error::{Kind, Report};

/// One thing that comes in.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Something for the model.
    Msg(Msg),
    /// The process was stopped and goes on: the terminal must be set up again.
    Continued,
    /// The terminal has vanished.
    HungUp,
    /// A task of this process has panicked, and the terminal was restored for its message.
    Panicked,
}

/// Everything that comes in, as one stream.
#[derive(Debug)]
pub struct Inputs {
    keys: mpsc::Receiver<Msg>,
    signals: Vec<(Signal, Input)>,
    trouble: mpsc::Receiver<Trouble>,
}

impl Inputs {
    /// Starts to listen. Must be called within the runtime.
    ///
    /// # Errors
    ///
    /// When a signal handler cannot be set.
    pub fn new(trouble: mpsc::Receiver<Trouble>) -> Result<Self, Report> {
        let on = |kind: SignalKind, input: Input| {
            let stream = signal(kind).map_err(|error| Report::of(Kind::Internal, &error))?;
            Ok::<_, Report>((stream, input))
        };
        let raw = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        let signals = vec![
            on(SignalKind::terminate(), Input::Msg(Msg::Terminate))?,
            on(SignalKind::interrupt(), Input::Msg(Msg::Terminate))?,
            on(SignalKind::quit(), Input::Msg(Msg::Terminate))?,
            on(SignalKind::hangup(), Input::HungUp)?,
            on(raw(rustix::process::Signal::TSTP), Input::Msg(Msg::Suspend))?,
            on(raw(rustix::process::Signal::CONT), Input::Continued)?,
        ];
        let keys = read_keys().map_err(|error| Report::of(Kind::Internal, &error))?;
        Ok(Self { keys, signals, trouble })
    }
}

impl Stream for Inputs {
    type Item = Input;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Input>> {
        if let Poll::Ready(Some(trouble)) = self.trouble.poll_recv(cx) {
            return Poll::Ready(Some(match trouble {
                Trouble::HungUp => Input::HungUp,
                Trouble::Panicked => Input::Panicked,
            }));
        }
        for (signal, input) in &mut self.signals {
            if signal.poll_recv(cx) == Poll::Ready(Some(())) {
                return Poll::Ready(Some(input.clone()));
            }
        }
        // A terminal from which nothing can be read any more has hung up.
        self.keys.poll_recv(cx).map(|key| Some(key.map_or(Input::HungUp, Input::Msg)))
    }
}

/// Starts the thread that reads keys. It ends when the receiver is dropped.
fn read_keys() -> std::io::Result<mpsc::Receiver<Msg>> {
    let (pass, keys) = mpsc::channel(KEYS_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    thread::spawn(move || runtime.block_on(pass_on(pass)));
    Ok(keys)
}

async fn pass_on(pass: mpsc::Sender<Msg>) {
    let mut keys = EventStream::new();
    loop {
        let event = tokio::select! {
            () = pass.closed() => return,
            event = keys.next() => event,
        };
        let Some(Ok(event)) = event else { return };
        if let Some(msg) = message(event)
            && pass.send(msg).await.is_err()
        {
            return;
        }
    }
}

/// Turns a terminal's event into a message; none for one that means nothing here.
fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => key_of(key).map(Msg::Key),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(width, height) => Some(Msg::Resize(width, height)),
        Event::Mouse(MouseEvent { kind, column, row, .. }) => match kind {
            MouseEventKind::Down(crossterm::event::MouseButton::Left) => {
                Some(Msg::Click(column, row))
            }
            MouseEventKind::ScrollUp => Some(Msg::Wheel(-WHEEL_ROWS)),
            MouseEventKind::ScrollDown => Some(Msg::Wheel(WHEEL_ROWS)),
            _ => None,
        },
        Event::FocusGained | Event::FocusLost => None,
    }
}

fn key_of(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match event.code {
        // Some terminals send these for Backspace and Enter.
        KeyCode::Char('h') if control => Key::Backspace,
        KeyCode::Char('j' | 'm') if control => Key::Enter,
        KeyCode::Char(c) if control => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}

/// How many keys wait to be taken in before the terminal must hold them.
const KEYS_MAX: usize = 1_024;

/// How many rows one notch of the wheel moves.
const WHEEL_ROWS: i16 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_as_the_keymap_knows_them() {
        let key = |code, modifiers| key_of(KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Key::Char('G')));
        assert_eq!(key(KeyCode::Char('C'), KeyModifiers::CONTROL), Some(Key::Ctrl('c')));
        assert_eq!(key(KeyCode::Char('h'), KeyModifiers::CONTROL), Some(Key::Backspace));
        assert_eq!(key(KeyCode::Char('j'), KeyModifiers::CONTROL), Some(Key::Enter));
        assert_eq!(key(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(key(KeyCode::F(1), KeyModifiers::NONE), None);
        let up = KeyEvent::new_with_kind(KeyCode::Enter, KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(key_of(up), None);
    }
}

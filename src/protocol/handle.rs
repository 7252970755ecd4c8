//! A face's end of the engine.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::command::{Command, Reply};
use super::event::Event;
use super::view::Snapshot;
use crate::domain::sign_in::Token;
use crate::error::{Kind, Report};

/// Who calls, in the kernel's words; nothing here comes from an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The UNIX user id: this process's own, or that of the socket's peer.
    pub uid: u32,
    /// The process id, from the same source.
    pub pid: Option<i32>,
    /// The terminal that the process belongs to, as the kernel says.
    pub tty: Option<String>,
    /// The login at that terminal: the kernel's session id (setsid(2)). The next one who gets the
    /// terminal has another.
    #[serde(default)]
    pub session: Option<i32>,
    /// Where the login came from, as logind has recorded it (sd-login(3)).
    #[serde(default)]
    pub remote: Option<String>,
}

/// One call, as it reaches whoever serves the handle.
#[derive(Debug)]
pub enum Call {
    /// Do something and answer.
    Command {
        /// Who calls.
        origin: Origin,
        /// What shows who is signed in there.
        token: Option<Token>,
        /// What to do.
        command: Command,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Reply, Report>>,
    },
    /// Tell everything from now on.
    Subscribe {
        /// Who calls.
        origin: Origin,
        /// What shows who is signed in there.
        token: Option<Token>,
        /// Where the subscription goes.
        reply: oneshot::Sender<Subscription>,
    },
}

/// A snapshot, and every event after it.
///
/// A face that does not keep up is cut off: `events` ends without [`Event::HandedOver`] or
/// [`Event::Stopped`], and the face subscribes again. Frames are dropped, never queued without end.
#[derive(Debug)]
pub struct Subscription {
    /// Everything as it stands.
    pub snapshot: Box<Snapshot>,
    /// What happens from then on.
    pub events: mpsc::Receiver<Event>,
}

/// A face's end of the engine: cheap to clone, the same for an engine here and one at the far end
/// of a socket.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    calls: mpsc::Sender<Call>,
    origin: Origin,
    token: Option<Token>,
}

impl EngineHandle {
    /// Makes a handle from the sending half of whoever serves it.
    #[must_use]
    pub const fn new(calls: mpsc::Sender<Call>, origin: Origin) -> Self {
        Self { calls, origin, token: None }
    }

    /// Returns the same engine's handle for another caller.
    #[must_use]
    pub fn for_origin(&self, origin: Origin) -> Self {
        Self { origin, ..self.clone() }
    }

    /// Returns the same handle for whoever this token was given to; without one, for nobody.
    #[must_use]
    pub fn signed_in(&self, token: Option<Token>) -> Self {
        Self { token, ..self.clone() }
    }

    /// What shows who is signed in.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Asks the engine for something and waits for its answer.
    ///
    /// # Errors
    ///
    /// The engine's refusal, or that there is no engine any more.
    pub async fn call(&self, command: Command) -> Result<Reply, Report> {
        let (reply, answer) = oneshot::channel();
        let (origin, token) = (self.origin.clone(), self.token.clone());
        let call = Call::Command { origin, token, command, reply };
        self.calls.send(call).await.map_err(|_| gone())?;
        self.answered(answer).await?
    }

    /// Gets everything as it stands, and from then on every event.
    ///
    /// # Errors
    ///
    /// That there is no engine any more.
    pub async fn subscribe(&self) -> Result<Subscription, Report> {
        let (reply, answer) = oneshot::channel();
        let (origin, token) = (self.origin.clone(), self.token.clone());
        self.calls.send(Call::Subscribe { origin, token, reply }).await.map_err(|_| gone())?;
        self.answered(answer).await
    }

    /// Waits for an answer for as long as somebody could give one: a call that was sent just as
    /// the engine went away may lie in the channel for ever, heard by nobody.
    async fn answered<T>(&self, answer: oneshot::Receiver<T>) -> Result<T, Report> {
        tokio::select! {
            biased;
            answered = answer => answered.map_err(|_| gone()),
            () = self.calls.closed() => Err(gone()),
        }
    }
}

fn gone() -> Report {
    Report::new(Kind::Unavailable, "the engine has gone away")
        .hint("run the command again; what was open goes on or is taken up after the start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_nobody_hears_any_more_is_answered_all_the_same() {
        let (calls, mut inbox) = mpsc::channel(4);
        let handle = EngineHandle::new(calls, Origin::default());
        let close = async {
            while inbox.is_empty() {
                tokio::task::yield_now().await;
            }
            inbox.close();
        };
        let (answered, ()) = tokio::join!(handle.call(Command::Status), close);
        assert_eq!(answered.unwrap_err().kind, Kind::Unavailable);
        assert!(handle.subscribe().await.is_err());
    }
}

//! The faces that listen.

use std::future::Future;

use tokio::sync::mpsc;

use super::caller::{Caller, Standing};
use crate::domain::id::SessionId;
use crate::protocol::Event;

/// Every face that subscribed and keeps up.
#[derive(Default)]
pub(super) struct Faces {
    all: Vec<Face>,
}

/// One face.
struct Face {
    caller: Caller,
    sender: mpsc::Sender<Event>,
}

/// How many events may wait for a face before it is cut off.
const EVENTS_MAX: usize = 512;

impl Faces {
    /// Takes in a new face.
    pub fn add(&mut self, caller: Caller) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        self.all.push(Face { caller, sender });
        receiver
    }

    /// Tells every face as much as it may see, and lets go of those that have left or do not keep
    /// up. `owns` tells whether a caller may see a session.
    pub fn tell(&mut self, event: &Event, owns: impl Fn(&Caller, SessionId) -> bool) {
        self.all.retain(|face| {
            let shown = face.caller.filter(event, |session| owns(&face.caller, session));
            shown.is_none_or(|event| face.sender.try_send(event).is_ok())
        });
    }

    /// Tells every face something of its own.
    pub fn tell_each(&mut self, event: impl Fn(&Caller) -> Event) {
        self.all.retain(|face| face.sender.try_send(event(&face.caller)).is_ok());
    }

    /// Tells the faces of a sign-in that it is over, and lets go of them.
    pub fn sign_out(&mut self, hash: &str, why: &str) {
        self.all.retain(|face| {
            let over = face.caller.standing == Standing::SignedIn(hash.to_owned());
            if over {
                // One that does not keep up subscribes anew all the same.
                face.sender.try_send(Event::SignedOut { why: why.to_owned() }).ok();
            }
            !over
        });
    }

    /// The sign-ins that some face needs, by the hashes of their tokens.
    pub fn sign_ins(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter_map(|face| match &face.caller.standing {
            Standing::SignedIn(hash) => Some(hash.as_str()),
            Standing::Drill | Standing::Nobody { .. } => None,
        })
    }

    /// Lets go of those that have left; true when any had.
    pub fn sweep(&mut self) -> bool {
        let before = self.all.len();
        self.all.retain(|face| !face.sender.is_closed());
        self.all.len() != before
    }

    /// How many listen.
    pub fn count(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    /// Waits until some face leaves; for ever where none listens.
    pub async fn one_left(&self) {
        let closed = self.all.iter().map(|face| Box::pin(face.sender.closed()));
        let mut closed: Vec<_> = closed.collect();
        std::future::poll_fn(move |context| {
            let ready = closed.iter_mut().any(|one| one.as_mut().poll(context).is_ready());
            if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

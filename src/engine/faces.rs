//! The faces that listen.

use std::future::Future;

use tokio::sync::mpsc;

use crate::protocol::Event;

/// Every face that subscribed and keeps up.
#[derive(Default)]
pub(super) struct Faces {
    senders: Vec<mpsc::Sender<Event>>,
}

/// How many events may wait for a face before it is cut off.
const EVENTS_MAX: usize = 512;

impl Faces {
    /// Takes in a new face.
    pub fn add(&mut self) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        self.senders.push(sender);
        receiver
    }

    /// Tells every face, and lets go of those that have left or do not keep up.
    pub fn tell(&mut self, event: &Event) {
        self.senders.retain(|sender| sender.try_send(event.clone()).is_ok());
    }

    /// Lets go of those that have left; true when any had.
    pub fn sweep(&mut self) -> bool {
        let before = self.senders.len();
        self.senders.retain(|sender| !sender.is_closed());
        self.senders.len() != before
    }

    /// How many listen.
    pub fn count(&self) -> u32 {
        u32::try_from(self.senders.len()).unwrap_or(u32::MAX)
    }

    /// Waits until some face leaves; for ever where none listens.
    pub async fn one_left(&self) {
        let closed = self.senders.iter().map(|sender| Box::pin(sender.closed()));
        let mut closed: Vec<_> = closed.collect();
        std::future::poll_fn(move |context| {
            let ready = closed.iter_mut().any(|one| one.as_mut().poll(context).is_ready());
            if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

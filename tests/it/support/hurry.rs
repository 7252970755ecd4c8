//! Time that passes at once when somebody waits for it, here and at the far side.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::provider::pace::Pace;
use tokio::sync::watch;

use super::faulty_server::Model;
use super::plans::START;

/// Time that passes when somebody waits for it.
pub struct Hurry {
    now: watch::Sender<Timestamp>,
    far: Arc<Mutex<dyn Model>>,
}

impl std::fmt::Debug for Hurry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hurry").field("now", &*self.now.borrow()).finish_non_exhaustive()
    }
}

impl Hurry {
    /// It begins when every test does; at the far side it is as late.
    pub fn new<M: Model + 'static>(far: &Arc<Mutex<M>>) -> Arc<Self> {
        let far: Arc<Mutex<dyn Model>> = far.clone();
        Arc::new(Self { now: watch::Sender::new(START), far })
    }

    /// It is at least so late.
    pub fn is_now(&self, now: Timestamp) {
        self.now.send_if_modified(|is| {
            let is_later = now > *is;
            *is = (*is).max(now);
            is_later
        });
        self.far.lock().unwrap().advance(*self.now.borrow());
    }

    /// Returns once so much time has passed.
    pub async fn passes(&self, span: Span) {
        let until = *self.now.borrow() + span;
        self.now.subscribe().wait_for(|now| *now >= until).await.unwrap();
    }
}

#[async_trait]
impl Pace for Hurry {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn pause(&self, at_least: Span) {
        self.is_now(self.now() + at_least);
        tokio::task::yield_now().await;
    }
}

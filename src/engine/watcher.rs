//! Watches the path of one session through its provider, one watch at a time.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

use crate::domain::time::{Span, Timestamp};
use crate::provider::{Lost, Made, Provider, Told};

/// The watch over a path, if it is watched.
pub(super) struct Watcher {
    watch: JoinSet<Lost>,
    /// What is watched.
    steps: Option<Vec<Made>>,
    said: mpsc::Receiver<Told>,
    sender: mpsc::Sender<Told>,
    /// What was told lately, and when.
    told: Vec<(String, Timestamp)>,
    pause: Duration,
}

/// What came of watching.
#[derive(Debug)]
pub(super) enum News {
    /// Something of the path is gone. Nothing is watched any more.
    Lost(Lost),
    /// Something went wrong with a single connection, in words of the provider.
    Trouble(String),
    /// How the path does now.
    Live(Vec<String>),
    /// The watch itself failed. Nothing is watched any more.
    Broke,
}

impl Watcher {
    /// Watches nothing yet.
    pub fn new() -> Self {
        let (sender, said) = mpsc::channel(TROUBLES_MAX);
        let (watch, told, pause) = (JoinSet::new(), vec![], Duration::ZERO);
        Self { watch, steps: None, said, sender, told, pause }
    }

    /// True where just these steps are watched.
    pub fn watches(&self, steps: &[Made]) -> bool {
        self.steps.as_deref() == Some(steps)
    }

    /// Watches these steps and no others.
    pub fn watch(&mut self, provider: Arc<dyn Provider>, steps: Vec<Made>) {
        self.rest();
        self.steps = Some(steps.clone());
        let (tell, pause) = (self.sender.clone(), std::mem::take(&mut self.pause));
        self.watch.spawn(async move {
            sleep(pause).await;
            provider.watch(&steps, tell).await
        });
    }

    /// Watches nothing.
    pub fn rest(&mut self) {
        self.steps = None;
        // Dropping the set aborts its task.
        self.watch = JoinSet::new();
    }

    /// The next watch begins a while after it is asked for.
    pub fn be_patient(&mut self) {
        self.pause = PATIENCE;
    }

    /// Waits for news. Dropping the future loses nothing.
    pub async fn news(&mut self) -> News {
        tokio::select! {
            Some(ended) = self.watch.join_next() => {
                self.steps = None;
                match ended {
                    Ok(lost) => News::Lost(lost),
                    Err(error) => {
                        tracing::error!(%error, "the watch over a path failed");
                        self.be_patient();
                        News::Broke
                    }
                }
            }
            Some(said) = self.said.recv() => match said {
                Told::Trouble(text) => News::Trouble(text),
                Told::Live(lines) => News::Live(lines),
            },
        }
    }

    /// True unless this was told a moment ago, or too much was.
    pub fn is_news(&mut self, text: &str, now: Timestamp) -> bool {
        self.told.retain(|(_, at)| now < *at + TOLD_ONCE_IN);
        let known = self.told.iter().any(|(told, _)| told == text);
        if known || self.told.len() >= TROUBLES_MAX {
            return false;
        }
        self.told.push((text.to_owned(), now));
        true
    }
}

const TROUBLES_MAX: usize = 16;
const TOLD_ONCE_IN: Span = Span::from_seconds(10);
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_trouble_is_told_once_in_ten_seconds() {
        let mut watcher = Watcher::new();
        let at = |seconds: u64| Timestamp::from_millis(0) + Span::from_seconds(seconds);
        assert!(watcher.is_news("refused", at(0)));
        assert!(!watcher.is_news("refused", at(9)));
        assert!(watcher.is_news("timed out", at(9)));
        assert!(watcher.is_news("refused", at(10)));
    }

    #[tokio::test]
    async fn a_flood_of_troubles_is_told_in_part() {
        let mut watcher = Watcher::new();
        let at = Timestamp::from_millis(0);
        let told = (0..100).filter(|number| watcher.is_news(&number.to_string(), at)).count();
        assert_eq!(told, TROUBLES_MAX);
    }
}

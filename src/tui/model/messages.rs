//! What was told to the operator: the newest for a moment on screen, all of it in `:messages`.

use std::collections::VecDeque;

use crate::domain::time::{Span, Timestamp};
use crate::protocol::Severity;

/// What was told to the operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Messages {
    all: VecDeque<Message>,
    toast: Option<Toast>,
}

/// One thing that was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// When, in engine time.
    pub at: Timestamp,
    /// How much it matters.
    pub severity: Severity,
    /// One line.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Toast {
    message: Message,
    until: Option<Timestamp>,
}

impl Messages {
    /// Everything that was told, the oldest first.
    #[must_use]
    pub const fn all(&self) -> &VecDeque<Message> {
        &self.all
    }

    /// The message on screen.
    #[must_use]
    pub fn toast(&self) -> Option<&Message> {
        self.toast.as_ref().map(|toast| &toast.message)
    }

    /// Tells something. It stays on screen for a moment, an alarm until it is dismissed; a lesser
    /// message does not hide an alarm.
    pub fn tell(&mut self, now: Timestamp, severity: Severity, text: impl Into<String>) {
        let message = Message { at: now, severity, text: text.into() };
        self.all.push_back(message.clone());
        while self.all.len() > MESSAGES_MAX {
            self.all.pop_front();
        }
        let alarmed = self.toast().is_some_and(|shown| shown.severity == Severity::Alarm);
        if !alarmed || severity == Severity::Alarm {
            let until = match severity {
                Severity::Info => Some(now + Span::from_seconds(6)),
                Severity::Warning => Some(now + Span::from_seconds(12)),
                Severity::Alarm => None,
            };
            self.toast = Some(Toast { message, until });
        }
    }

    /// Takes the message off the screen, and returns whether there was one.
    pub fn dismiss(&mut self) -> bool {
        self.toast.take().is_some()
    }

    /// Takes a message off the screen that is no longer so, where it is there.
    pub fn take_back(&mut self, text: &str) {
        self.toast.take_if(|toast| toast.message.text == text);
    }

    /// Takes the message off the screen once its time is over.
    pub fn expire(&mut self, now: Timestamp) {
        self.toast.take_if(|toast| toast.until.is_some_and(|until| until <= now));
    }

    /// When the message on screen leaves it.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.toast.as_ref().and_then(|toast| toast.until)
    }
}

/// The most messages kept.
const MESSAGES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesser_message_does_not_hide_an_alarm_and_nothing_is_lost() {
        let now = Timestamp::from_millis(0);
        let mut messages = Messages::default();
        messages.tell(now, Severity::Info, "one");
        assert_eq!(messages.expires_at(), Some(now + Span::from_seconds(6)));
        messages.tell(now, Severity::Alarm, "two");
        messages.tell(now, Severity::Warning, "three");
        assert_eq!(messages.toast().unwrap().text, "two");
        messages.expire(now + Span::from_minutes(60));
        assert_eq!(messages.toast().unwrap().text, "two", "an alarm stays until it is dismissed");
        assert!(messages.dismiss());
        assert!(!messages.dismiss());
        assert_eq!(messages.all().len(), 3);
        for number in 0..2_000 {
            messages.tell(now, Severity::Info, number.to_string());
        }
        assert_eq!(messages.all().len(), MESSAGES_MAX);
    }
}

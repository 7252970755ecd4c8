//! The Audit tab: the newest events of the chain, bounded, with older ones fetched on the way down.

use std::collections::VecDeque;

use super::rows::Rows;
use super::sessions::{Older, holds};
use crate::domain::audit_event::AuditEvent;

/// The Audit tab. Its rows are places in the chain, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    events: VecDeque<AuditEvent>,
    /// The list.
    pub rows: Rows<u64>,
    /// Whether older events are being fetched, or there are none.
    pub older: Older,
    stale: bool,
}

impl Audit {
    /// The loaded events, the oldest first.
    #[must_use]
    pub const fn events(&self) -> &VecDeque<AuditEvent> {
        &self.events
    }

    /// The event at a place in the chain, if it is loaded.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<&AuditEvent> {
        let at = self.events.binary_search_by_key(&seq, |event| event.seq).ok()?;
        self.events.get(at)
    }

    /// The event under the cursor.
    #[must_use]
    pub fn selected(&self) -> Option<&AuditEvent> {
        self.rows.selected().and_then(|seq| self.get(*seq))
    }

    /// Forgets everything and takes in what a snapshot says, the newest last.
    pub fn replace(&mut self, events: Vec<AuditEvent>) {
        self.events = events.into();
        self.older = self.older_than_first();
        self.stale = true;
    }

    /// Takes in a new event. The cursor stays on its row, but follows while it is on the newest.
    pub fn put(&mut self, event: AuditEvent) {
        if self.events.back().is_some_and(|last| last.seq >= event.seq) {
            return;
        }
        self.events.push_back(event);
        while self.events.len() > EVENTS_MAX {
            self.events.pop_front();
            self.older = self.older_than_first();
        }
        self.stale = true;
    }

    /// Takes in older events, the newest last.
    pub fn put_older(&mut self, events: Vec<AuditEvent>) {
        let first = self.events.front().map_or(u64::MAX, |event| event.seq);
        for event in events.into_iter().rev().filter(|event| event.seq < first) {
            if self.events.len() < EVENTS_MAX {
                self.events.push_front(event);
            }
        }
        let grew = self.events.front().map_or(u64::MAX, |event| event.seq) < first;
        self.older = if grew { self.older_than_first() } else { Older::None };
        self.stale = true;
    }

    /// True when no older event will be loaded, although there are some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX && self.events.front().is_some_and(|event| event.seq > 1)
    }

    /// Says that the rows must be worked out again, since the filter has changed.
    pub const fn touch(&mut self) {
        self.stale = true;
    }

    /// Works out the rows again where something has changed.
    pub fn arrange(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let needle = self.rows.filter.needle();
        let follow = self.rows.cursor() == 0;
        let newest_first = self.events.iter().rev();
        let shown = newest_first.filter(|event| needle.is_empty() || fits(event, &needle));
        self.rows.set(shown.map(|event| event.seq).collect());
        if follow {
            self.rows.move_by(isize::MIN);
        }
    }

    fn older_than_first(&self) -> Older {
        let more = self.events.front().is_some_and(|event| event.seq > 1);
        if more && self.events.len() < EVENTS_MAX { Older::Maybe } else { Older::None }
    }
}

fn fits(event: &AuditEvent, needle: &str) -> bool {
    let draft = &event.event;
    let actor = draft.actor.name();
    let object = draft.object.as_ref().map_or("", |object| object.name.as_str());
    holds(&draft.kind, needle)
        || holds(&draft.description, needle)
        || holds(actor, needle)
        || holds(object, needle)
        || holds(draft.reason.as_deref().unwrap_or_default(), needle)
        || holds(&event.time, needle)
        || draft.session.is_some_and(|session| session.short().contains(needle))
}

/// The most events held in memory.
pub const EVENTS_MAX: usize = 2_000;

//! Room for connections, shared by every endpoint of a process.
//!
//! A connection costs descriptors, and descriptors belong to the process. So the bound does too:
//! however many endpoints there are, enough descriptors stay for everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most connections that a process ever relays at the same time.
pub const CONNECTIONS_MAX: usize = 65_536;

/// Room for so many connections at the same time. A clone is the same room.
#[derive(Debug, Clone)]
pub struct Room {
    max: usize,
    taken: Arc<AtomicUsize>,
}

impl Room {
    /// A room for `max` connections, those that still dial included; [`CONNECTIONS_MAX`] at most.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max: max.min(CONNECTIONS_MAX), taken: Arc::default() }
    }

    /// Takes a place for a new connection; nothing where none is left.
    pub(super) fn enter(&self) -> Option<Place> {
        let one_more = |taken| (taken < self.max).then_some(taken + 1);
        let entered = self.taken.fetch_update(Relaxed, Relaxed, one_more);
        entered.is_ok().then(|| Place(Arc::clone(&self.taken)))
    }

    /// Takes a place for a connection that is open already: it stays, even where that is one too
    /// many. No new one comes in until there is room again.
    pub(super) fn stay(&self) -> Place {
        self.taken.fetch_add(1, Relaxed);
        Place(Arc::clone(&self.taken))
    }
}

/// A place in a room, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

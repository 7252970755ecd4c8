//! Room for connections and their pipes, shared by every endpoint of a process.
//!
//! Both cost descriptors, and descriptors belong to the process. So the bounds do too: however many
//! endpoints there are, enough descriptors stay for everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::forward::pipe::Pipes;

/// The most connections that a process ever relays at the same time.
pub const CONNECTIONS_MAX: usize = 65_536;

/// Room for so many connections at the same time, and the pipes that they share. A clone is the
/// same room.
#[derive(Debug, Clone)]
pub struct Room {
    connections: Places,
    pipes: Pipes,
}

impl Room {
    /// A room for `max` connections, those that still dial included; [`CONNECTIONS_MAX`] at most.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { connections: Places::new(max.min(CONNECTIONS_MAX)), pipes: Pipes::new() }
    }

    /// The places for connections.
    pub(super) fn connections(&self) -> &Places {
        &self.connections
    }

    /// The pipes for bulk bytes.
    pub(super) fn pipes(&self) -> &Pipes {
        &self.pipes
    }
}

/// A bounded number of places. A clone is the same places.
#[derive(Debug, Clone)]
pub(super) struct Places {
    max: usize,
    taken: Arc<AtomicUsize>,
}

impl Places {
    /// So many places, all free.
    pub(super) fn new(max: usize) -> Self {
        Self { max, taken: Arc::default() }
    }

    /// Takes a place for something new; nothing where none is left.
    pub(super) fn enter(&self) -> Option<Place> {
        let one_more = |taken| (taken < self.max).then_some(taken + 1);
        let entered = self.taken.fetch_update(Relaxed, Relaxed, one_more);
        entered.is_ok().then(|| Place(Arc::clone(&self.taken)))
    }

    /// Takes a place for something that is there already: it stays, even where that is one too
    /// many. Nothing new comes in until there is room again.
    pub(super) fn stay(&self) -> Place {
        self.taken.fetch_add(1, Relaxed);
        Place(Arc::clone(&self.taken))
    }
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

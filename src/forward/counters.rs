//! Numbers of an endpoint that anybody may read at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// Live counters of one endpoint. Reading them costs a few loads and stops nobody.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) bytes_up: AtomicU64,
    pub(super) bytes_down: AtomicU64,
    pub(super) connections_open: AtomicU64,
    pub(super) connections_total: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) dials_failed: AtomicU64,
    pub(super) accepts_failed: AtomicU64,
    pub(super) events_dropped: AtomicU64,
}

/// The counters at one moment. All but `connections_open` only grow, over hand-overs too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Bytes handed to the target.
    pub bytes_up: u64,
    /// Bytes handed to clients.
    pub bytes_down: u64,
    /// Connections that are relayed at this moment.
    pub connections_open: u64,
    /// Connections that were ever relayed.
    pub connections_total: u64,
    /// Connections that were turned away: strangers, and those above the maximum.
    pub refused: u64,
    /// Connections that passed the check but found no target.
    pub dials_failed: u64,
    /// Times the system had no descriptor or memory for a new connection.
    pub accepts_failed: u64,
    /// Events that did not fit into the channel.
    pub events_dropped: u64,
}

impl Counters {
    /// Goes on counting where another endpoint stopped; nothing is open yet.
    pub(super) fn starting_at(totals: Totals) -> Self {
        Self {
            bytes_up: totals.bytes_up.into(),
            bytes_down: totals.bytes_down.into(),
            connections_open: 0.into(),
            connections_total: totals.connections_total.into(),
            refused: totals.refused.into(),
            dials_failed: totals.dials_failed.into(),
            accepts_failed: totals.accepts_failed.into(),
            events_dropped: totals.events_dropped.into(),
        }
    }

    /// Returns all numbers, each as of its own moment.
    #[must_use]
    pub fn read(&self) -> Totals {
        Totals {
            bytes_up: self.bytes_up.load(Relaxed),
            bytes_down: self.bytes_down.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
            connections_total: self.connections_total.load(Relaxed),
            refused: self.refused.load(Relaxed),
            dials_failed: self.dials_failed.load(Relaxed),
            accepts_failed: self.accepts_failed.load(Relaxed),
            events_dropped: self.events_dropped.load(Relaxed),
        }
    }
}

//! Whose turn it is to ask a network: one budget for all that ask it from this process, those who
//! take something down first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::{Budget, Kind};
use crate::domain::time::{Span, Timestamp};
use crate::provider::Says;
use crate::provider::pace::Pace;

/// Who goes first where calls must wait: in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It takes something down.
    Teardown,
    /// A session waits for it.
    Session,
    /// It only looks how things do.
    Watch,
}

/// The budgets of all networks that are asked from this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Budgets(Arc<Mutex<BTreeMap<String, Arc<Turns>>>>);

impl Budgets {
    /// The turns of one network.
    pub(super) fn of(&self, network: &str) -> Arc<Turns> {
        Arc::clone(lock(&self.0).entry(network.to_owned()).or_default())
    }
}

/// The turns of one network.
#[derive(Debug, Default)]
pub struct Turns(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    budget: Budget,
    waiting: BTreeSet<Ticket>,
    next: u64,
}

/// A place in the queue: of the same kind and rank, who came first.
type Ticket = (Kind, Rank, u64);

impl Turns {
    /// Waits for a turn and takes it, and says how long it waits.
    pub async fn take(&self, kind: Kind, rank: Rank, pace: &dyn Pace, says: &Says) {
        let place = Place::new(self, kind, rank);
        let mut earliest = pace.now();
        loop {
            // However the clock goes, what was waited is past.
            let now = pace.now().max(earliest);
            let (wait, closed) = {
                let mut book = lock(&self.0);
                let ahead = book.ahead(place.ticket) + kept_free(kind, rank);
                let wait = book.budget.wait(kind, ahead, now);
                if wait == Span::ZERO {
                    book.budget.take(kind, now);
                    return;
                }
                (wait, book.budget.closed_for(now) > Span::ZERO)
            };
            says.say(waits(kind, wait, closed));
            let slice = wait.min(SLICE);
            pace.pause(slice).await;
            earliest = now + slice;
        }
    }

    /// Asks nothing of the network for so long.
    pub fn close(&self, now: Timestamp, wait: Span) {
        lock(&self.0).budget.close(now, wait);
    }

    /// How many calls could be made at once now, beside those that wait already.
    pub fn left(&self, kind: Kind, now: Timestamp) -> usize {
        let mut book = lock(&self.0);
        let waiting = book.waiting.iter().filter(|(of, ..)| *of == kind).count();
        book.budget.free(kind, now).saturating_sub(waiting)
    }
}

impl Book {
    fn ahead(&self, ticket: Ticket) -> usize {
        self.waiting.range(..ticket).filter(|(kind, ..)| *kind == ticket.0).count()
    }
}

/// How many calls are left to those who take something down: a session's whole way down.
const fn kept_free(kind: Kind, rank: Rank) -> usize {
    match (rank, kind) {
        (Rank::Teardown, _) => 0,
        (_, Kind::Write) => 4,
        (_, Kind::Read) => 8,
    }
}

/// One who waits; who gives up leaves the queue.
struct Place<'a> {
    turns: &'a Turns,
    ticket: Ticket,
}

impl<'a> Place<'a> {
    fn new(turns: &'a Turns, kind: Kind, rank: Rank) -> Self {
        let mut book = lock(&turns.0);
        let ticket = (kind, rank, book.next);
        book.next = book.next.wrapping_add(1);
        book.waiting.insert(ticket);
        Self { turns, ticket }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.turns.0).waiting.remove(&self.ticket);
    }
}

fn waits(kind: Kind, wait: Span, is_closed: bool) -> String {
    let seconds = wait.as_millis().div_ceil(1_000);
    if is_closed {
        return format!("waits {seconds} s: the network of Twingate was asked too often");
    }
    let (max, what) = match kind {
        Kind::Read => (kind.max(), "reads"),
        Kind::Write => (kind.max(), "changes"),
    };
    format!("waits {seconds} s: a network of Twingate takes {max} {what} a minute")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who waits looks again so often: a pause may take longer than was asked for.
const SLICE: Span = Span::from_seconds(5);

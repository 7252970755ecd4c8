//! The Sessions tab: what is known of every session, and the list of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::rows::Rows;
use crate::domain::id::SessionId;
use crate::domain::time::{Span, Timestamp};
use crate::protocol::{SessionState, SessionView, Traffic};

/// The Sessions tab.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sessions {
    known: BTreeMap<SessionId, SessionView>,
    /// The known ones that are not over and gone: few, and asked for at every frame.
    live: BTreeSet<SessionId>,
    histories: BTreeMap<SessionId, History>,
    /// The list.
    pub rows: Rows<SessionId>,
    /// How many sessions have ended in all, loaded or not.
    pub ended_total: u64,
    /// Whether older ones are being fetched, or there are none.
    pub older: Older,
    stale: bool,
}

/// Whether there is more behind the last row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Older {
    /// There may be.
    #[default]
    Maybe,
    /// It is being fetched.
    Asked,
    /// There is nothing.
    None,
}

/// The columns of the list, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The state; sorts the urgent first.
    State,
    /// The target.
    Target,
    /// The provider of the path.
    Path,
    /// The time left.
    Left,
    /// The bytes.
    Traffic,
    /// When it was asked for.
    Opened,
    /// Why.
    Reason,
}

impl Column {
    /// Every column, from left to right.
    pub const ALL: [Self; 7] = [
        Self::State,
        Self::Target,
        Self::Path,
        Self::Left,
        Self::Traffic,
        Self::Opened,
        Self::Reason,
    ];
}

impl Sessions {
    /// Every session that is known, by id.
    #[must_use]
    pub const fn known(&self) -> &BTreeMap<SessionId, SessionView> {
        &self.known
    }

    /// One session.
    #[must_use]
    pub fn get(&self, id: &SessionId) -> Option<&SessionView> {
        self.known.get(id)
    }

    /// The session under the cursor.
    #[must_use]
    pub fn selected(&self) -> Option<&SessionView> {
        self.rows.selected().and_then(|id| self.known.get(id))
    }

    /// The sessions that are not over and gone.
    pub fn live(&self) -> impl Iterator<Item = &SessionView> {
        self.live.iter().filter_map(|id| self.known.get(id))
    }

    /// How many are in a state that is not over and gone.
    #[must_use]
    pub fn count(&self, state: SessionState) -> usize {
        self.live().filter(|session| session.state == state).count()
    }

    /// How many of the known ones have ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.known.len() - self.live.len()
    }

    /// The bytes of the last minute.
    #[must_use]
    pub fn history(&self, id: &SessionId) -> Option<&History> {
        self.histories.get(id)
    }

    /// Forgets everything and takes in what a snapshot says; the cursor stays where it can.
    pub fn replace(&mut self, sessions: Vec<SessionView>, ended_total: u64) {
        self.known = sessions.into_iter().map(|session| (session.id, session)).collect();
        let live = self.known.values().filter(|session| session.state.is_live());
        self.live = live.map(|session| session.id).collect();
        self.histories.retain(|id, _| self.known.contains_key(id));
        self.ended_total = ended_total;
        self.older = Older::Maybe;
        self.stale = true;
    }

    /// Takes in one session, and returns what was known of it.
    pub fn put(&mut self, session: SessionView) -> Option<SessionView> {
        self.stale = true;
        let (id, over) = (session.id, session.state == SessionState::Ended);
        let before = self.known.insert(id, session);
        if over {
            self.live.remove(&id);
        } else {
            self.live.insert(id);
        }
        if over && before.as_ref().is_some_and(|before| before.state.is_live()) {
            self.ended_total = self.ended_total.saturating_add(1);
            self.histories.remove(&id);
        }
        before
    }

    /// Takes in older sessions.
    pub fn put_older(&mut self, sessions: Vec<SessionView>) {
        let before = self.known.len();
        for session in sessions.into_iter().filter(|session| !session.state.is_live()) {
            self.known.entry(session.id).or_insert(session);
        }
        let grew = self.known.len() > before && self.known.len() < SESSIONS_MAX;
        self.older = if grew { Older::Maybe } else { Older::None };
        self.stale = true;
    }

    /// Takes in a session's counters.
    pub fn put_traffic(&mut self, id: SessionId, traffic: Traffic, now: Timestamp) {
        let Some(session) = self.known.get_mut(&id) else { return };
        let up = traffic.bytes_up.saturating_sub(session.traffic.bytes_up);
        let down = traffic.bytes_down.saturating_sub(session.traffic.bytes_down);
        session.traffic = traffic;
        self.histories.entry(id).or_default().add(now, up.saturating_add(down));
        self.stale |= self.rows.sort.column == Column::Traffic as usize;
    }

    /// Says that the rows must be worked out again, since filter or order have changed.
    pub const fn touch(&mut self) {
        self.stale = true;
    }

    /// Works out the rows again where something has changed.
    pub fn arrange(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let needle = self.rows.filter.needle();
        let shown = |session: &&SessionView| needle.is_empty() || fits(session, &needle);
        let mut shown: Vec<&SessionView> = self.known.values().filter(shown).collect();
        let sort = self.rows.sort;
        // What is owed stands first whatever sorts: it must never be out of sight.
        shown.sort_by_cached_key(|session| {
            (session.state != SessionState::CleanupOwed, Reverse(session.requested_at))
        });
        shown.sort_by(|one, other| {
            let owed = |it: &SessionView| it.state != SessionState::CleanupOwed;
            let by_column = compare(column(sort.column), one, other);
            let by_column = if sort.reversed { by_column.reverse() } else { by_column };
            owed(one).cmp(&owed(other)).then(by_column)
        });
        self.rows.set(shown.into_iter().map(|session| session.id).collect());
    }
}

/// The column of a number; the first where there is none.
#[must_use]
pub fn column(number: usize) -> Column {
    Column::ALL.get(number).copied().unwrap_or(Column::State)
}

fn compare(column: Column, one: &SessionView, other: &SessionView) -> std::cmp::Ordering {
    match column {
        Column::State => {
            // Live ones by time, the newest first; past ones after them.
            (!one.state.is_live()).cmp(&!other.state.is_live())
        }
        Column::Target => one.target.name.cmp(&other.target.name),
        Column::Path => one.path.provider.cmp(&other.path.provider),
        Column::Left => {
            let end = |it: &SessionView| match it.state {
                SessionState::Active => it.lease_ends_at,
                _ => None,
            };
            let far = Timestamp::from_millis(i64::MAX);
            end(one).unwrap_or(far).cmp(&end(other).unwrap_or(far))
        }
        Column::Traffic => {
            let sum = |it: &SessionView| it.traffic.bytes_up.saturating_add(it.traffic.bytes_down);
            sum(other).cmp(&sum(one))
        }
        Column::Opened => other.requested_at.cmp(&one.requested_at),
        Column::Reason => one.reason.cmp(&other.reason),
    }
}

/// True when any text that a row stands for holds the needle, which is in small letters.
fn fits(session: &SessionView, needle: &str) -> bool {
    let site = session.target.site.as_ref().map_or("", |site| site.as_str());
    holds(&session.target.name, needle)
        || holds(session.target.id.as_str(), needle)
        || holds(&session.reason, needle)
        || holds(session.state.as_str(), needle)
        || holds(session.path.provider.as_str(), needle)
        || holds(session.target.kind.as_str(), needle)
        || holds(site, needle)
        || holds(session.target.address.host(), needle)
        || session.id.short().contains(needle)
}

/// True when `text` holds `needle`, whatever the case; the needle is in small letters.
#[must_use]
pub fn holds(text: &str, needle: &str) -> bool {
    if needle.is_empty() {
        return true;
    }
    if text.is_ascii() && needle.is_ascii() {
        let (text, needle) = (text.as_bytes(), needle.as_bytes());
        return text.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle));
    }
    text.to_lowercase().contains(needle)
}

/// The bytes of one session in each of the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    seconds: VecDeque<(i64, u64)>,
}

impl History {
    /// Adds bytes of the second that `now` lies in.
    pub fn add(&mut self, now: Timestamp, bytes: u64) {
        let second = now.as_seconds();
        match self.seconds.back_mut() {
            Some((last, sum)) if *last >= second => *sum = sum.saturating_add(bytes),
            _ => self.seconds.push_back((second, bytes)),
        }
        while self.seconds.len() > SECONDS_KEPT {
            self.seconds.pop_front();
        }
    }

    /// Returns the bytes of the last `count` seconds up to `now`, the oldest first.
    #[must_use]
    pub fn last(&self, now: Timestamp, count: usize) -> Vec<u64> {
        let newest = now.as_seconds();
        let span = i64::try_from(count).unwrap_or(i64::MAX);
        let mut bytes = vec![0; count];
        for (second, sum) in &self.seconds {
            let place = usize::try_from(second - newest + span - 1);
            if let Some(slot) = place.ok().and_then(|place| bytes.get_mut(place)) {
                *slot = *sum;
            }
        }
        bytes
    }

    /// True when the last `count` seconds saw any byte.
    #[must_use]
    pub fn moves(&self, now: Timestamp, count: usize) -> bool {
        let oldest = now.as_seconds() - i64::try_from(count).unwrap_or(0);
        self.seconds.back().is_some_and(|(last, _)| *last > oldest)
    }
}

/// The thresholds of the time left at which the operator is warned, the longest first.
pub const WARNINGS: [Span; 3] =
    [Span::from_minutes(15), Span::from_minutes(5), Span::from_minutes(1)];

/// How many sessions may be held before no older ones are fetched any more.
const SESSIONS_MAX: usize = 10_000;

const SECONDS_KEPT: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_keeps_its_seconds_apart() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000 + 250);
        let mut history = History::default();
        history.add(at(10), 5);
        history.add(at(10), 6);
        history.add(at(12), 7);
        assert_eq!(history.last(at(12), 4), [0, 11, 0, 7]);
        assert_eq!(history.last(at(14), 4), [0, 7, 0, 0]);
        assert_eq!(history.last(at(9), 0), [0u64; 0]);
        assert!(history.moves(at(14), 4));
        assert!(!history.moves(at(16), 4));
        for second in 0..1_000 {
            history.add(at(second), 1);
        }
        assert_eq!(history.seconds.len(), SECONDS_KEPT);
    }

    #[test]
    fn filters_ignore_case() {
        assert!(holds("Orders-DB", "orders"));
        assert!(holds("Zürich", "zür"));
        assert!(holds("ZÜRICH", "zür"));
        assert!(!holds("a", "orders"));
        assert!(holds("", ""));
    }
}

//! How often a network may be asked: 60 reads and 20 changes a minute, whoever asks
//! (<https://www.twingate.com/docs/api-overview>). Whether that is counted by key or by network is
//! nowhere said, so it is counted by network here.
//!
//! Pure: the time comes in as an argument. One clock that is set back neither closes a budget for
//! long nor opens it for good.

use std::collections::VecDeque;

use crate::domain::time::{Span, Timestamp};

/// What a call is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It changes nothing.
    Read,
    /// It changes something.
    Write,
}

/// What was asked of one network lately.
#[derive(Debug, Default)]
pub struct Budget {
    reads: VecDeque<Timestamp>,
    writes: VecDeque<Timestamp>,
    closed: Option<Closed>,
}

/// That the network wants to be left alone.
#[derive(Clone, Copy, Debug)]
struct Closed {
    since: Timestamp,
    until: Timestamp,
}

impl Kind {
    /// How many of it a network takes in [`MINUTE`].
    pub const fn max(self) -> usize {
        match self {
            Self::Read => READS_MAX,
            Self::Write => WRITES_MAX,
        }
    }
}

impl Budget {
    /// How many calls could be made at once now.
    pub fn free(&mut self, kind: Kind, now: Timestamp) -> usize {
        if self.closed_for(now) > Span::ZERO {
            return 0;
        }
        kind.max().saturating_sub(self.live(kind, now).len())
    }

    /// How long one waits who lets `ahead` others go first; nothing where it may go now.
    pub fn wait(&mut self, kind: Kind, ahead: usize, now: Timestamp) -> Span {
        let closed = self.closed_for(now);
        let max = kind.max();
        let taken = self.live(kind, now);
        let free = max.saturating_sub(taken.len());
        if ahead < free {
            return closed;
        }
        // A place behind all that are taken is judged again when the last of them is free.
        let place = (ahead - free).min(taken.len().saturating_sub(1));
        let opens = taken.get(place).map_or(now, |at| *at + MINUTE);
        closed.max(opens.since(now)).max(LEAST)
    }

    /// Notes one call.
    pub fn take(&mut self, kind: Kind, now: Timestamp) {
        let taken = self.live(kind, now);
        let at = taken.partition_point(|at| *at <= now);
        taken.insert(at, now);
    }

    /// Makes no call until then.
    pub fn close(&mut self, now: Timestamp, wait: Span) {
        let until = now + wait;
        if self.closed.is_none_or(|closed| closed.until < until) {
            self.closed = Some(Closed { since: now, until });
        }
    }

    /// How long it is left alone.
    pub fn closed_for(&mut self, now: Timestamp) -> Span {
        self.closed = self.closed.filter(|closed| closed.since <= now && now < closed.until);
        self.closed.map_or(Span::ZERO, |closed| closed.until.since(now))
    }

    fn live(&mut self, kind: Kind, now: Timestamp) -> &mut VecDeque<Timestamp> {
        let taken = match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
        };
        taken.retain(|at| *at <= now + MINUTE && now < *at + MINUTE);
        taken
    }
}

const READS_MAX: usize = 60;
const WRITES_MAX: usize = 20;

/// Who must let others go first waits so long at least.
const LEAST: Span = Span::from_millis(100);

/// A minute, and a second for calls that are longer under way than others.
const MINUTE: Span = Span::from_seconds(61);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    #[test]
    fn the_twenty_first_change_of_a_minute_waits_for_the_first_to_be_past() {
        let mut budget = Budget::default();
        for second in 0..20 {
            let now = NOW + Span::from_seconds(second);
            assert_eq!(budget.wait(Kind::Write, 0, now), Span::ZERO);
            budget.take(Kind::Write, now);
        }
        let now = NOW + Span::from_seconds(20);
        assert_eq!(budget.free(Kind::Write, now), 0);
        assert_eq!(budget.wait(Kind::Write, 0, now), Span::from_seconds(41));
        assert_eq!(budget.wait(Kind::Write, 2, now), Span::from_seconds(43));
        assert_eq!(budget.wait(Kind::Write, 99, now), Span::from_seconds(60));
        assert_eq!(budget.wait(Kind::Read, 0, now), Span::ZERO, "reads are counted apart");
        assert_eq!(budget.wait(Kind::Write, 0, now + Span::from_seconds(41)), Span::ZERO);
    }

    #[test]
    fn a_network_that_wants_to_be_left_alone_is_asked_nothing() {
        for kind in [Kind::Read, Kind::Write] {
            let mut budget = Budget::default();
            budget.close(NOW, Span::from_seconds(30));
            budget.close(NOW, Span::from_seconds(5));
            assert_eq!(budget.wait(kind, 0, NOW), Span::from_seconds(30));
            assert_eq!(budget.free(kind, NOW), 0);
            assert_eq!(budget.free(kind, NOW + Span::from_seconds(30)), kind.max());
        }
    }

    #[test]
    fn a_clock_that_is_set_back_closes_nothing_for_long() {
        let mut budget = Budget::default();
        (0..20).for_each(|_| budget.take(Kind::Write, NOW));
        budget.close(NOW, Span::from_minutes(1));
        assert_eq!(budget.wait(Kind::Write, 0, NOW - Span::from_hours(24)), Span::ZERO);
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_its_number_and_no_wait_is_in_vain(
            steps in proptest::collection::vec((0_u64..20_000, any::<bool>()), 1..300),
        ) {
            let (mut budget, mut now) = (Budget::default(), NOW);
            let mut made: Vec<(Kind, Timestamp)> = vec![];
            for (millis, is_read) in steps {
                let kind = if is_read { Kind::Read } else { Kind::Write };
                now = now + Span::from_millis(millis / 20);
                let wait = budget.wait(kind, 0, now);
                prop_assert_eq!(wait == Span::ZERO, budget.free(kind, now) > 0);
                prop_assert!(wait <= MINUTE);
                now = now + wait;
                prop_assert_eq!(budget.wait(kind, 0, now), Span::ZERO);
                budget.take(kind, now);
                made.push((kind, now));
                let minute = now - Span::from_seconds(60);
                let lately = made.iter().filter(|(of, at)| *of == kind && *at > minute).count();
                prop_assert!(lately <= kind.max());
            }
        }
    }
}

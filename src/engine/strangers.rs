//! Connections that were turned away, told so that a flood of them floods neither audit nor screen.
//!
//! The first of a kind is told at once. Those that follow are counted and told together, after 1 s,
//! then 2, 4 and so on up to a minute. Nothing is lost: the counts of all that is told add up.

use std::collections::BTreeMap;

use crate::domain::time::{Span, Timestamp};

/// Every kind of stranger that came so far.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    kinds: BTreeMap<Kind, Tally>,
}

/// Whose process it was, as far as that is known, and why it was turned away.
type Kind = (Option<u32>, String);

#[derive(Debug)]
struct Tally {
    untold: u64,
    peer: String,
    told_at: Timestamp,
    pause: Span,
}

/// Strangers of one kind, told together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub uid: Option<u32>,
    pub why: String,
    /// Who came last.
    pub peer: String,
    pub count: u64,
}

impl Strangers {
    /// Counts one that was turned away.
    pub fn count(&mut self, uid: Option<u32>, why: String, peer: String, now: Timestamp) {
        let kind = (uid, why);
        let known = self.kinds.contains_key(&kind);
        // Many users at once are told as one.
        let kind = if known || self.kinds.len() < KINDS_MAX { kind } else { (None, kind.1) };
        let fresh = Tally { untold: 0, peer: String::new(), told_at: now, pause: Span::ZERO };
        let tally = self.kinds.entry(kind).or_insert(fresh);
        tally.untold += 1;
        tally.peer = peer;
    }

    /// Returns what is to be told by now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Refused> {
        self.tell(|tally| now >= tally.told_at + tally.pause, now)
    }

    /// Returns everything that is not told yet.
    pub fn rest(&mut self, now: Timestamp) -> Vec<Refused> {
        self.tell(|_| true, now)
    }

    /// When something is to be told, if anything is.
    pub fn next_due(&self) -> Option<Timestamp> {
        let untold = self.kinds.values().filter(|tally| tally.untold > 0);
        untold.map(|tally| tally.told_at + tally.pause).min()
    }

    fn tell(&mut self, is_due: impl Fn(&Tally) -> bool, now: Timestamp) -> Vec<Refused> {
        let mut told = vec![];
        for ((uid, why), tally) in &mut self.kinds {
            if tally.untold == 0 || !is_due(tally) {
                continue;
            }
            let quiet = now.since(tally.told_at) >= PAUSE_MAX;
            let doubled = Span::from_millis(tally.pause.as_millis().saturating_mul(2));
            tally.pause = if quiet { PAUSE_MIN } else { doubled.max(PAUSE_MIN).min(PAUSE_MAX) };
            tally.told_at = now;
            let (count, peer) = (std::mem::take(&mut tally.untold), tally.peer.clone());
            told.push(Refused { uid: *uid, why: why.clone(), peer, count });
        }
        told
    }
}

const PAUSE_MIN: Span = Span::from_seconds(1);
const PAUSE_MAX: Span = Span::from_seconds(60);
const KINDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_handful_of_lines_whose_counts_add_up() {
        let mut strangers = Strangers::default();
        let mut told = vec![];
        for millis in 0..10_000 {
            let now = Timestamp::from_millis(millis);
            strangers.count(Some(1001), "stranger".into(), "127.0.0.1:9".into(), now);
            told.extend(strangers.due(now));
        }
        told.extend(strangers.rest(Timestamp::from_millis(10_000)));
        let counts: Vec<_> = told.iter().map(|refused| refused.count).collect();
        assert_eq!(counts, [1, 1_000, 2_000, 4_000, 2_999]);
    }

    #[test]
    fn the_first_of_each_kind_is_told_at_once_and_again_after_a_quiet_time() {
        let mut strangers = Strangers::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        for (seconds, uid, lines) in
            [(0, 1, 1), (0, 2, 1), (0, 1, 0), (1, 1, 1), (2, 1, 0), (90, 1, 1)]
        {
            strangers.count(Some(uid), "stranger".into(), "peer".into(), at(seconds));
            assert_eq!(strangers.due(at(seconds)).len(), lines, "{seconds} s, uid {uid}");
        }
        assert_eq!(strangers.next_due(), None);
        strangers.count(Some(1), "stranger".into(), "peer".into(), at(90));
        assert_eq!(strangers.next_due(), Some(at(91)));
    }

    #[test]
    fn many_users_at_once_are_told_as_one() {
        let mut strangers = Strangers::default();
        for uid in 0..1_000 {
            strangers.count(Some(uid), "stranger".into(), "peer".into(), Timestamp::default());
        }
        let told = strangers.due(Timestamp::default());
        assert_eq!(told.len(), KINDS_MAX + 1);
        assert_eq!(told.iter().map(|refused| refused.count).sum::<u64>(), 1_000);
    }
}

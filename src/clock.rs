//! The only reader of clocks.
//!
//! [`Clock`] counts on from an instant with the boot clock (`CLOCK_BOOTTIME`, clock_gettime(2)),
//! which nobody can set and which counts time asleep. The wall clock is read in two places: once a
//! boot for the instant to count from, and for the times in the audit.

use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::{Span, Timestamp};

/// Tells engine time: an instant, counted on with the boot clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    anchor: Timestamp,
    anchor_boot_millis: i64,
}

/// What to keep so that a later process of the same boot tells the same time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Anchor {
    /// The boot during which this holds.
    pub boot_id: String,
    /// An instant of engine time.
    pub at: Timestamp,
    /// The boot clock at that instant, in milliseconds.
    pub boot_millis: i64,
}

impl Clock {
    /// Returns a clock that shows `now` at this moment.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        Self { anchor: now, anchor_boot_millis: boot_millis() }
    }

    /// Returns the clock of this boot.
    ///
    /// Within the boot of `kept` it goes on from there. After a reboot it starts with the wall
    /// clock, but never before `latest`, the last instant on record: a wall clock that was set
    /// back must not lengthen a lease.
    #[must_use]
    pub fn resume(kept: Option<&Anchor>, latest: Timestamp) -> Self {
        match kept {
            Some(anchor) if anchor.boot_id == boot_id() => {
                Self { anchor: anchor.at, anchor_boot_millis: anchor.boot_millis }
            }
            _ => Self::starting_at(wall().max(latest)),
        }
    }

    /// Engine time at this moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.anchor.offset(boot_millis().saturating_sub(self.anchor_boot_millis))
    }

    /// What to keep for the next process.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor { boot_id: boot_id(), at: self.anchor, boot_millis: self.anchor_boot_millis }
    }

    /// Wall clock minus engine time, in milliseconds; zero unless the wall clock was set.
    #[must_use]
    pub fn wall_offset_millis(&self) -> i64 {
        wall().as_millis().saturating_sub(self.now().as_millis())
    }
}

/// The wall clock at this moment.
#[must_use]
pub fn wall() -> Timestamp {
    millis(ClockId::Realtime)
}

/// A length of time, measured from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(i64);

impl Stopwatch {
    /// Starts to measure.
    #[must_use]
    pub fn start() -> Self {
        Self(boot_millis())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Span {
        Span::from_millis(u64::try_from(boot_millis().saturating_sub(self.0)).unwrap_or(0))
    }
}

/// The kernel's name of this boot (random(4)), or nothing where there is none.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn boot_millis() -> i64 {
    millis(ClockId::Boottime).as_millis()
}

fn millis(clock: ClockId) -> Timestamp {
    let time = clock_gettime(clock);
    Timestamp::from_millis(
        time.tv_sec.saturating_mul(1_000).saturating_add(time.tv_nsec / 1_000_000),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_of_the_same_boot_tells_the_same_time() {
        let first = Clock::starting_at(Timestamp::from_millis(5_000));
        let second = Clock::resume(Some(&first.anchor()), Timestamp::from_millis(99_000_000));
        assert_eq!(first, second);
        assert!(second.now() >= Timestamp::from_millis(5_000));
        assert!(second.now() < Timestamp::from_millis(5_000) + Span::from_minutes(5));
    }

    #[test]
    fn a_reboot_never_goes_back_behind_the_record() {
        let other_boot =
            Anchor { boot_id: "another".into(), at: Timestamp::from_millis(5_000), boot_millis: 1 };
        let ahead = wall() + Span::from_minutes(60);
        assert!(Clock::resume(Some(&other_boot), ahead).now() >= ahead);
        let behind = Timestamp::from_millis(1);
        assert!(Clock::resume(Some(&other_boot), behind).now() >= wall() - Span::from_minutes(1));
    }
}

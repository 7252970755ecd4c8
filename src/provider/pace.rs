//! The time, and waiting for it to pass: what a test brings along itself.

use async_trait::async_trait;

use crate::clock;
use crate::domain::time::{Span, Timestamp};

/// Tells the time and waits.
#[async_trait]
pub trait Pace: std::fmt::Debug + Send + Sync {
    /// The wall clock of this host.
    fn now(&self) -> Timestamp;

    /// Waits so long, or somewhat longer.
    async fn pause(&self, at_least: Span);
}

/// The host's own clock, and waits of uneven length: two who failed together do not come back
/// together.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostPace;

#[async_trait]
impl Pace for HostPace {
    fn now(&self) -> Timestamp {
        clock::wall()
    }

    async fn pause(&self, at_least: Span) {
        let mut random = [0];
        // Without randomness the waits are even, and that is all.
        let random = if getrandom::fill(&mut random).is_ok() { random } else { [0] };
        tokio::time::sleep(uneven(at_least, random[0]).to_std()).await;
    }
}

/// A span and up to half of it on top.
fn uneven(span: Span, random: u8) -> Span {
    let millis = span.as_millis();
    Span::from_millis(millis.saturating_add(millis.saturating_mul(u64::from(random)) / 510))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_shorter_and_at_most_half_longer() {
        let second = Span::from_seconds(1);
        assert_eq!(uneven(second, 0), second);
        assert_eq!(uneven(second, 255), Span::from_millis(1_500));
        assert_eq!(uneven(Span::ZERO, 255), Span::ZERO);
    }
}

//! Instants and spans, in whole milliseconds and seconds.
//!
//! A [`Timestamp`] is *engine time*: it is read from the wall once per boot and from then on
//! advances with the boot clock, which also counts time asleep. Setting the wall clock back or
//! forward therefore neither lengthens nor shortens a lease. `clock` is the only reader.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An instant, in milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes an instant from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Returns the time from `earlier` to here, or zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns this instant moved by a signed number of milliseconds.
    #[must_use]
    pub const fn offset(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns RFC 3339 text in UTC with milliseconds, as the audit and `--json` show it.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map_or_else(|_| "invalid-time".to_owned(), |instant| format!("{instant:.3}"))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

/// A length of time, in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Makes a span from milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Makes a span from seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Makes a span from minutes.
    #[must_use]
    pub const fn from_minutes(minutes: u64) -> Self {
        Self::from_seconds(minutes.saturating_mul(60))
    }

    /// Makes a span of hours.
    #[must_use]
    pub const fn from_hours(hours: u64) -> Self {
        Self::from_minutes(hours.saturating_mul(60))
    }

    /// The span in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The span in whole seconds, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// The span as the standard library has it.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Why a text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpanError {
    /// Not of the form `1h30m`.
    #[error("`{0}` is not a duration; write it like `30m`, `1h30m` or `90s`")]
    Form(String),
    /// Zero, or less.
    #[error("a duration must be longer than zero")]
    Zero,
    /// More than a year.
    #[error("a duration must be at most 365 days")]
    TooLong,
}

impl FromStr for Span {
    type Err = SpanError;

    /// Reads `90s`, `30m`, `1h30m`, `1h 30m`, `2d`: whole numbers with a unit, largest first.
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let form = || SpanError::Form(super::text::clean(text, 32).into_owned());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(form());
        }
        let mut seconds: u64 = 0;
        let mut ceiling = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let unit = tail.chars().next().ok_or_else(form)?;
            let scale = unit_seconds(unit).filter(|scale| *scale < ceiling).ok_or_else(form)?;
            if number.is_empty() {
                return Err(form());
            }
            let count: u64 = number.parse().map_err(|_| SpanError::TooLong)?;
            seconds = seconds.saturating_add(count.saturating_mul(scale));
            ceiling = scale;
            rest = tail.get(unit.len_utf8()..).unwrap_or("").trim_start();
        }
        match seconds {
            0 => Err(SpanError::Zero),
            more if more > SECONDS_MAX => Err(SpanError::TooLong),
            seconds => Ok(Self::from_seconds(seconds)),
        }
    }
}

impl fmt::Display for Span {
    /// Writes `2d`, `1h30m`, `45s`: no unit that is zero, and `0s` for nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.as_seconds();
        let mut text = String::new();
        for (unit, seconds) in UNITS {
            let count = left / seconds;
            left %= seconds;
            if count > 0 {
                text.push_str(&format!("{count}{unit}"));
            }
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

fn unit_seconds(unit: char) -> Option<u64> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds)
}

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const SECONDS_MAX: u64 = 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_the_same() {
        for text in ["30m", "1h30m", "90s", "2d", "1d2h3m4s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>(), Ok(span), "{text}");
        }
        assert_eq!("90s".parse::<Span>().unwrap().to_string(), "1m30s");
        assert_eq!(" 1h 30m ".parse::<Span>(), Ok(Span::from_minutes(90)));
        assert_eq!(Span::ZERO.to_string(), "0s");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_form() {
        for text in ["", "0x", "-5m", "5", "m", "1.5h", "30m1h", "1h1h", "5\u{1b}[31m"] {
            assert!(matches!(text.parse::<Span>(), Err(SpanError::Form(_))), "{text:?}");
        }
        assert_eq!("0s".parse::<Span>(), Err(SpanError::Zero));
        assert_eq!("9999d".parse::<Span>(), Err(SpanError::TooLong));
        assert_eq!("99999999999999999999999s".parse::<Span>(), Err(SpanError::TooLong));
        assert_eq!(
            "5\u{1b}m".parse::<Span>().unwrap_err().to_string(),
            "`5<1B>m` is not a duration; write it like `30m`, `1h30m` or `90s`"
        );
    }

    #[test]
    fn instants_saturate_and_print_in_utc() {
        let instant = Timestamp::from_millis(1_763_655_000_123);
        assert_eq!(instant.to_rfc3339(), "2025-11-20T16:10:00.123Z");
        assert_eq!(instant.since(instant + Span::from_seconds(5)), Span::ZERO);
        assert_eq!((instant + Span::from_seconds(5)).since(instant), Span::from_seconds(5));
        assert_eq!(Timestamp::from_millis(i64::MAX) + Span::from_seconds(1), Timestamp(i64::MAX));
    }
}

//! Times, lengths and sizes as people read them. Pure functions.

use jiff::tz::TimeZone;

use crate::domain::time::{Span, Timestamp};

/// Returns the time left until `end`, in whole seconds.
///
/// Both ends are cut to whole seconds first, so that every countdown on a screen changes at the
/// same instant.
#[must_use]
pub fn left(now: Timestamp, end: Timestamp) -> Span {
    let seconds = end.as_seconds().saturating_sub(now.as_seconds());
    Span::from_seconds(u64::try_from(seconds).unwrap_or(0))
}

/// Writes a countdown: `0:09`, `28:14`, `1:28:14`, `2d 03:10:00`.
#[must_use]
pub fn countdown(left: Span) -> String {
    let seconds = left.as_seconds();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, hours) => format!("{hours}:{minutes:02}:{seconds:02}"),
        (days, hours) => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// Writes how long something took that is over: `3ms`, `1.2s`, `12s`, `2m30s`.
#[must_use]
pub fn took(span: Span) -> String {
    match span.as_millis() {
        millis if millis < 1_000 => format!("{millis}ms"),
        millis if millis < 10_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        _ => span.to_string(),
    }
}

/// Writes how long something has been running, in whole seconds: `2s`, `1m05s`.
#[must_use]
pub fn running(now: Timestamp, since: Timestamp) -> String {
    let seconds = u64::try_from(now.as_seconds().saturating_sub(since.as_seconds())).unwrap_or(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Writes a number of bytes in at most nine characters: `0 B`, `12.3 KiB`, `1.0 GiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let (number, unit) = scaled(count);
    if unit == 'B' { format!("{number} B") } else { format!("{number} {unit}iB") }
}

/// Writes a number of bytes in at most five characters: `0`, `12.3K`, `1.0G`.
#[must_use]
pub fn bytes_short(count: u64) -> String {
    let (number, unit) = scaled(count);
    if unit == 'B' { number } else { format!("{number}{unit}") }
}

fn scaled(count: u64) -> (String, char) {
    let mut tenths = u128::from(count) * 10;
    let mut unit = 'B';
    for next in ['K', 'M', 'G', 'T', 'P', 'E'] {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1_024;
        unit = next;
    }
    match unit {
        'B' => (count.to_string(), unit),
        _ if tenths < 1_000 => (format!("{}.{}", tenths / 10, tenths % 10), unit),
        _ => ((tenths / 10).to_string(), unit),
    }
}

/// Writes a count with a thin mark between thousands: `10,234`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a number with its noun: `1 session`, `2 sessions`.
#[must_use]
pub fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(u64::try_from(number).unwrap_or(u64::MAX)))
}

/// The wall clock of this place: a zone, and how far the wall is from engine time.
#[derive(Clone, Debug, PartialEq)]
pub struct Wall {
    /// The zone of this host.
    pub zone: TimeZone,
    /// Wall clock minus engine time, in milliseconds.
    pub offset_millis: i64,
}

impl Wall {
    /// Writes an instant of engine time as `16:42`.
    #[must_use]
    pub fn minutes(&self, at: Timestamp) -> String {
        self.write(at, "%H:%M")
    }

    /// Writes an instant of engine time as `16:42:05`.
    #[must_use]
    pub fn seconds(&self, at: Timestamp) -> String {
        self.write(at, "%H:%M:%S")
    }

    /// Writes an instant of engine time as `20 Nov 16:42:05 UTC+01:00`, or with a plain `UTC`.
    #[must_use]
    pub fn whole(&self, at: Timestamp) -> String {
        self.write(at, "%d %b %H:%M:%S UTC%:z").replace("UTC+00:00", "UTC")
    }

    /// Writes an instant as `16:42` if it lies on the same day as `now`, else as `20 Nov`.
    #[must_use]
    pub fn short(&self, at: Timestamp, now: Timestamp) -> String {
        let day = |at| self.write(at, "%Y-%m-%d");
        if day(at) == day(now) { self.minutes(at) } else { self.write(at, "%d %b") }
    }

    /// Writes an instant as `16:42` if it lies on the same day as `now`, else as `20 Nov 16:42`.
    #[must_use]
    pub fn until(&self, at: Timestamp, now: Timestamp) -> String {
        let day = |at| self.write(at, "%Y-%m-%d");
        if day(at) == day(now) { self.minutes(at) } else { self.write(at, "%d %b %H:%M") }
    }

    fn write(&self, at: Timestamp, form: &str) -> String {
        jiff::Timestamp::from_millisecond(at.offset(self.offset_millis).as_millis()).map_or_else(
            |_| "?".to_owned(),
            |instant| instant.to_zoned(self.zone.clone()).strftime(form).to_string(),
        )
    }
}

/// Reads an RFC 3339 time of the audit; those are of the wall clock, not of engine time.
#[must_use]
pub fn read_wall(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countdowns_change_on_whole_seconds_only() {
        let at = Timestamp::from_millis;
        assert_eq!(left(at(10_500), at(12_500)), Span::from_seconds(2));
        assert_eq!(left(at(10_999), at(12_500)), Span::from_seconds(2));
        assert_eq!(left(at(11_000), at(12_500)), Span::from_seconds(1));
        assert_eq!(left(at(99_000), at(12_500)), Span::ZERO);
        for (seconds, text) in [
            (0, "0:00"),
            (9, "0:09"),
            (1_694, "28:14"),
            (5_294, "1:28:14"),
            (183_000, "2d 02:50:00"),
        ] {
            assert_eq!(countdown(Span::from_seconds(seconds)), text);
        }
    }

    #[test]
    fn lengths_of_steps_read_well() {
        assert_eq!(took(Span::from_millis(310)), "310ms");
        assert_eq!(took(Span::from_millis(1_310)), "1.3s");
        assert_eq!(took(Span::from_millis(9_999)), "9.9s");
        assert_eq!(took(Span::from_seconds(150)), "2m30s");
        let at = Timestamp::from_millis;
        assert_eq!(running(at(5_000), at(3_999)), "2s");
        assert_eq!(running(at(65_000), at(0)), "1m05s");
        assert_eq!(running(at(3_900_000), at(0)), "1h05m");
        assert_eq!(running(at(0), at(5_000)), "0s");
    }

    #[test]
    fn sizes_stay_narrow() {
        for (number, long, short) in [
            (0, "0 B", "0"),
            (999, "999 B", "999"),
            (1_023, "1023 B", "1023"),
            (1_024, "1.0 KiB", "1.0K"),
            (12_345, "12.0 KiB", "12.0K"),
            (1_023_999, "999 KiB", "999K"),
            (900 * 1_024, "900 KiB", "900K"),
            (u64::MAX, "15.9 EiB", "15.9E"),
        ] {
            assert_eq!(bytes(number), long, "{number}");
            assert_eq!(bytes_short(number), short, "{number}");
            assert!(bytes_short(number).len() <= 5);
        }
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "session"), "1 session");
        assert_eq!(plural(2_000, "event"), "2,000 events");
    }

    #[test]
    fn times_are_local_and_follow_the_wall() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let wall = Wall { zone, offset_millis: 60_000 };
        let at = Timestamp::from_millis(1_763_655_000_000);
        assert_eq!(wall.seconds(at), "18:11:00");
        assert_eq!(wall.whole(at), "20 Nov 18:11:00 UTC+02:00");
        assert_eq!(wall.short(at, at + Span::from_minutes(60)), "18:11");
        assert_eq!(wall.short(at, at + Span::from_minutes(600)), "20 Nov");
        assert_eq!(wall.until(at, at + Span::from_minutes(600)), "20 Nov 18:11");
        assert_eq!(wall.minutes(Timestamp::from_millis(i64::MAX)), "?");
        assert_eq!(
            read_wall("2025-11-20T16:10:00.123Z"),
            Some(Timestamp::from_millis(1_763_655_000_123))
        );
        assert_eq!(read_wall("yesterday"), None);
    }
}

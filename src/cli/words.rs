//! How sessions, steps, times and sizes are put in words for people.

use super::output::{Terminal, Tone};
use crate::domain::target::Target;
use crate::domain::time::{Span, Timestamp};
use crate::protocol::{SessionState, SessionView, StepProgress, Traffic};

/// What it takes to tell the wall's time of engine time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    now: Timestamp,
    wall_offset_millis: i64,
}

impl Times {
    /// Makes it from the engine's instant.
    pub(super) const fn at_engine(now: Timestamp, wall_offset_millis: i64) -> Self {
        Self { now, wall_offset_millis }
    }

    /// Makes it from the wall's instant.
    pub(super) const fn at_wall(wall: Timestamp, wall_offset_millis: i64) -> Self {
        Self::at_engine(wall.offset(wall_offset_millis.saturating_neg()), wall_offset_millis)
    }

    /// The same at another instant of the wall.
    pub(super) const fn at(&self, wall: Timestamp) -> Self {
        Self::at_wall(wall, self.wall_offset_millis)
    }

    /// The wall's time as programs read it.
    pub(super) fn rfc3339(&self, at: Timestamp) -> String {
        at.offset(self.wall_offset_millis).to_rfc3339()
    }

    /// The wall's time as people read it: `2025-11-20 16:10:00 UTC`.
    pub(super) fn people(&self, at: Timestamp) -> String {
        let text = self.rfc3339(at);
        match (text.get(..10), text.get(11..19)) {
            (Some(day), Some(time)) => format!("{day} {time} UTC"),
            _ => text,
        }
    }

    /// How long it is until an instant; nothing once it has passed.
    pub(super) fn left(&self, until: Timestamp) -> Span {
        until.since(self.now)
    }

    /// How long ago an instant was.
    pub(super) fn ago(&self, at: Timestamp) -> Span {
        self.now.since(at)
    }
}

/// The state of a session, with the mark of a drill.
pub(super) fn state(view: &SessionView) -> String {
    let lost = if view.path_lost.is_some() { ", path lost" } else { "" };
    let drill = if view.drill { " DRILL" } else { "" };
    format!("{}{lost}{drill}", view.state)
}

/// What the colour of a state repeats.
pub(super) const fn state_tone(view: &SessionView) -> Tone {
    match view.state {
        _ if view.path_lost.is_some() => Tone::Odd,
        SessionState::CleanupOwed => Tone::Alarm,
        SessionState::Active => Tone::Good,
        SessionState::Pending | SessionState::Activating | SessionState::Ending => Tone::Odd,
        SessionState::Ended => Tone::Plain,
    }
}

/// The mark in front of a line about a drill.
pub(super) const fn drill(view: &SessionView) -> &'static str {
    if view.drill { "DRILL " } else { "" }
}

/// A target in one line: `orders-db (postgres db.internal:5432, site acme)`.
pub(super) fn target(target: &Target) -> String {
    let site = target.site.as_ref().map_or(String::new(), |site| format!(", site {site}"));
    format!("{} ({} {}{site})", target.id, target.kind, target.address)
}

/// How a session gets to its target: `direct: the target answers from here`.
pub(super) fn path(view: &SessionView) -> String {
    format!("{}: {}", view.path.provider, view.path.why)
}

/// The word for what has become of a step.
pub(super) const fn progress(progress: StepProgress) -> &'static str {
    match progress {
        StepProgress::Waiting => "waiting",
        StepProgress::Applying => "applying",
        StepProgress::Unsure => "unsure",
        StepProgress::Applied => "applied",
        StepProgress::Refused => "refused",
        StepProgress::Undoing => "undoing",
        StepProgress::Gone => "gone",
        StepProgress::Owed => "OWED",
        StepProgress::Skipped => "skipped",
    }
}

/// Bytes and connections in one line.
pub(super) fn traffic(traffic: &Traffic) -> String {
    let strangers = match traffic.refused {
        0 => String::new(),
        1 => ", 1 stranger turned away".to_owned(),
        more => format!(", {more} strangers turned away"),
    };
    format!(
        "{} open of {} connections, {} up, {} down{strangers}",
        traffic.connections_open,
        traffic.connections_total,
        bytes(traffic.bytes_up),
        bytes(traffic.bytes_down),
    )
}

/// A number of bytes, to four digits at most.
pub(super) fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut whole = count;
    let mut tenths = 0;
    let mut name = "B";
    for unit in units {
        if whole < 1_024 {
            break;
        }
        tenths = (whole % 1_024) * 10 / 1_024;
        whole /= 1_024;
        name = unit;
    }
    if name == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {name}") }
}

/// What a session left, and when each was seen gone.
pub(super) fn receipt(view: &SessionView, times: &Times, terminal: Terminal) -> String {
    let mut lines = format!(
        "{}receipt of session {}: {}\n",
        drill(view),
        view.id.short(),
        verdict(view, times, terminal)
    );
    if view.receipt.is_empty() {
        lines.push_str("  nothing was made, so nothing had to go\n");
    }
    for line in &view.receipt {
        let artifact = terminal.text(&line.artifact);
        let seen = match line.gone_at {
            Some(at) => format!("  gone {}  {artifact}\n", times.people(at)),
            None => format!("  NOT PROVEN GONE           {artifact}\n"),
        };
        lines.push_str(&seen);
    }
    lines
}

fn verdict(view: &SessionView, times: &Times, terminal: Terminal) -> String {
    let reason = terminal.text(view.end_reason.as_deref().unwrap_or("not ended"));
    match (view.state, view.ended_at) {
        (SessionState::Ended, Some(at)) => {
            format!("{reason}, all seen gone at {}", times.people(at))
        }
        (SessionState::CleanupOwed, _) => format!("{reason}, CLEANUP OWED"),
        _ => format!("{reason}, {}", view.state),
    }
}

/// How to finish a removal by hand; empty unless something is owed.
pub(super) fn exit_card(view: &SessionView, terminal: Terminal) -> String {
    if view.exit_card.is_empty() {
        return String::new();
    }
    let title = format!("{}CLEANUP OWED: what may still exist, and how to remove it", drill(view));
    let mut lines = format!("{}\n", terminal.paint(Tone::Alarm, &title));
    for (at, owed) in view.exit_card.iter().enumerate() {
        let artifact = terminal.text(&owed.artifact);
        lines.push_str(&format!("  {}. {artifact}\n", at + 1));
        lines.push_str(&format!("     tried: {}\n", terminal.text(&owed.tried)));
        if let Some(words) = &owed.words {
            lines.push_str(&format!("     by hand: {}\n", terminal.text(words)));
        }
        for command in &owed.commands {
            lines.push_str(&format!("     $ {}\n", terminal.text(command)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (count, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (1_048_576, "1.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a_wall_clock_that_was_set_moves_what_is_shown_and_not_what_is_left() {
        let wall = Timestamp::from_millis(1_763_655_000_000);
        let times = Times::at_wall(wall, 3_600_000);
        let ends = wall.offset(-3_600_000) + Span::from_minutes(5);
        assert_eq!(times.left(ends), Span::from_minutes(5));
        assert_eq!(times.people(ends), "2025-11-20 16:15:00 UTC");
        assert_eq!(times.rfc3339(ends), "2025-11-20T16:15:00.000Z");
        assert_eq!(times.left(wall - Span::from_minutes(99)), Span::ZERO);
    }
}

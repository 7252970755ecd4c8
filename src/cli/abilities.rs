//! A look at another system in lines: what is there, and what to do about what is not.

use super::output::{Terminal, Tone};
use crate::domain::probe::{Probe, ProbeCheck};
use crate::error::{Kind, Report};

/// A line for each thing that was looked for. What is missing and not needed is a limit, no fault.
pub(super) fn lines(probe: &Probe, terminal: Terminal) -> String {
    let [tick, cross, limit] =
        if terminal.unicode { ["✓", "✗", "!"] } else { ["ok  ", "FAIL", "warn"] };
    let line = |check: &ProbeCheck| {
        let (mark, tone, found) = match &check.found {
            Ok(found) => (tick, Tone::Good, found),
            Err(wrong) if check.needed => (cross, Tone::Alarm, wrong),
            Err(wrong) => (limit, Tone::Odd, wrong),
        };
        let mark = terminal.paint(tone, mark);
        let (name, found) = (terminal.text(&check.name), terminal.text(found));
        format!("{mark} {name:<22} {:>6} ms  {found}\n", check.millis)
    };
    probe.checks.iter().map(line).collect()
}

/// The error where something that is needed is missing.
pub(super) fn unhealthy(message: String, probe: &Probe) -> Report {
    let report = Report::new(Kind::Unavailable, message);
    match probe.trouble() {
        Some(trouble) => report.because(trouble),
        None => report,
    }
}

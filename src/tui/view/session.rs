//! The detail of one session: what it is, what it made, and what is left to do.

use super::{LABEL, labelled};
use crate::domain::time::Span;
use crate::protocol::{ReceiptLine, SessionState, SessionView, StepProgress, StepView};
use crate::tui::format;
use crate::tui::layout::BARS_MAX;
use crate::tui::model::Model;
use crate::tui::theme::{Signs, Tone, step_word};
use crate::tui::widgets::pen::{Line, part, wrap};
use crate::tui::widgets::spark;

/// Returns the lines of the detail, what matters in this state first.
#[must_use]
pub fn lines(model: &Model, session: &SessionView, width: u16) -> Vec<Line> {
    let mut lines = vec![];
    match session.state {
        SessionState::Pending | SessionState::Activating => {
            lines.extend(steps(model, session, width));
            lines.extend(about(model, session, width));
        }
        SessionState::Active => {
            lines.extend(access(model, session, width));
            lines.extend(about(model, session, width));
            lines.push(vec![]);
            lines.extend(receipt(model, session, width));
            lines.extend(steps(model, session, width));
        }
        SessionState::Ending => {
            lines.extend(end(session, width));
            lines.extend(steps(model, session, width));
            lines.extend(receipt(model, session, width));
            lines.extend(about(model, session, width));
        }
        SessionState::CleanupOwed => {
            lines.extend(exit_card(model, session, width));
            lines.extend(end(session, width));
            lines.extend(receipt(model, session, width));
            lines.extend(steps(model, session, width));
            lines.extend(about(model, session, width));
        }
        SessionState::Ended => {
            lines.extend(end(session, width));
            lines.extend(receipt(model, session, width));
            lines.extend(about(model, session, width));
            lines.push(vec![]);
            lines.extend(steps(model, session, width));
        }
    }
    lines
}

/// How to use what is open.
fn access(model: &Model, session: &SessionView, width: u16) -> Vec<Line> {
    let signs = Signs::of(model.look);
    let mut lines = vec![];
    if let Some(lost) = &session.path_lost {
        lines.extend(labelled("path", Tone::Warn, lost, width));
    }
    if let Some(command) = &session.command {
        lines.extend(labelled("connect", Tone::Strong, command, width));
    }
    for state in &session.live {
        lines.extend(labelled("now", Tone::Body, state, width));
    }
    let traffic = session.traffic;
    if let Some(endpoint) = &session.endpoint {
        let refused = match traffic.refused {
            0 => String::new(),
            strangers => format!("; {strangers} refused, not from you"),
        };
        let text = format!(
            "{endpoint}; {} open, {} in all{refused}",
            traffic.connections_open, traffic.connections_total
        );
        lines.extend(labelled("endpoint", Tone::Body, &text, width));
    }
    let bytes = format!(
        "{} {}  {} {}  ",
        signs.down,
        format::bytes(traffic.bytes_down),
        signs.up,
        format::bytes(traffic.bytes_up)
    );
    let room = usize::from(width).saturating_sub(LABEL + 4 + bytes.chars().count()).min(BARS_MAX);
    let history = model.sessions.history(&session.id);
    let seconds = history.map(|history| history.last(model.now, room)).unwrap_or_default();
    lines.push(vec![
        part(Tone::Dim, format!("  {:<LABEL$}", "traffic")),
        part(Tone::Body, bytes),
        part(Tone::Accent, spark::bars(&seconds, &signs.bars).trim_end().to_owned()),
    ]);
    if let Some(end) = session.lease_ends_at {
        let until = model.wall.until(end, model.now);
        let more = if session.lease < session.lease_max {
            format!("may be extended to {}", session.lease_max)
        } else {
            "the longest it may be".to_owned()
        };
        let text = format!("until {until} ({} in all; {more})", session.lease);
        lines.extend(labelled("lease", Tone::Body, &text, width));
    }
    lines
}

/// What it is, how it is reached, who wanted it and why.
fn about(model: &Model, session: &SessionView, width: u16) -> Vec<Line> {
    let target = &session.target;
    let site = target.site.as_ref().map(|site| format!(" in {site}")).unwrap_or_default();
    let what = format!("{} at {}{site}", target.kind, target.address);
    let path = format!("{}: {}", session.path.provider, session.path.why);
    let opened = format!("{} by {}", model.wall.whole(session.requested_at), session.operator);
    let mut lines = labelled("reason", Tone::Body, &session.reason, width);
    lines.extend(labelled("target", Tone::Body, &what, width));
    lines.extend(labelled("path", Tone::Body, &path, width));
    for other in &session.audience {
        lines.extend(labelled("also by", Tone::Body, other, width));
    }
    lines.extend(labelled("opened", Tone::Body, &opened, width));
    lines.extend(labelled("session", Tone::Dim, &session.id.short(), width));
    lines
}

/// Why and when it ended.
fn end(session: &SessionView, width: u16) -> Vec<Line> {
    let Some(reason) = &session.end_reason else { return vec![] };
    let text = match &session.end_detail {
        Some(detail) => format!("{reason}: {detail}"),
        None => reason.clone(),
    };
    labelled("ended", Tone::Body, &text, width)
}

/// The steps, each with what has become of it and how long it takes.
fn steps(model: &Model, session: &SessionView, width: u16) -> Vec<Line> {
    let signs = Signs::of(model.look);
    let mut lines = vec![];
    for (number, step) in session.steps.iter().enumerate() {
        let label = if number == 0 { "steps" } else { "" };
        let tone = Tone::of_step(step.progress);
        let sign = signs.step(step.progress);
        lines.push(vec![
            part(Tone::Dim, format!("  {label:<LABEL$}")),
            part(tone, format!("{sign} {:<8}", step_word(step.progress))),
            part(Tone::Dim, format!("{:>6}  ", time_of(model, step))),
            part(Tone::Body, step.label.clone()),
        ]);
        let Some(detail) = detail(model, step) else { continue };
        let indent = if width < STEP_WIDE { LABEL + 4 } else { STEP_INDENT };
        let room = usize::from(width).saturating_sub(indent);
        let indent = " ".repeat(indent);
        // What a step waits for is worth a line; what went wrong is worth as many as it takes.
        let room = if step.progress == StepProgress::Waiting { usize::MAX } else { room };
        for text in wrap(&detail, room) {
            lines.push(vec![part(Tone::Dim, indent.clone()), part(Tone::Dim, text)]);
        }
    }
    lines
}

/// What is said of a step; of one that takes a while also how long it may.
fn detail(model: &Model, step: &StepView) -> Option<String> {
    let Some((limit, since)) = step.limit.zip(step.started_at) else { return step.detail.clone() };
    let is_long = model.now.since(since) >= LONG;
    let so_far = format!("{} of {limit}", format::running(model.now, since));
    match &step.detail {
        Some(detail) => Some(format!("{so_far}: {detail}")),
        None => is_long.then_some(so_far),
    }
}

/// From which line on the detail is shown where it does not fit, so that what is under way while a
/// session opens is in view, with what it waits for.
#[must_use]
pub fn first_line(model: &Model, session: &SessionView, width: u16, height: usize) -> usize {
    let is_under_way =
        |step: &StepView| matches!(step.progress, StepProgress::Applying | StepProgress::Unsure);
    let last = session.steps.iter().rposition(is_under_way);
    let Some(last) = last.filter(|_| session.state == SessionState::Activating) else { return 0 };
    let upto = |steps: usize| {
        let steps = session.steps.iter().take(steps).cloned().collect();
        self::steps(model, &SessionView { steps, ..session.clone() }, width).len()
    };
    let first = session.steps.iter().position(is_under_way).unwrap_or(last);
    // The last row says how much more there is.
    let needed = (upto(last + 1) + 1).saturating_sub(height);
    needed.min(upto(first))
}

fn time_of(model: &Model, step: &StepView) -> String {
    match (step.started_at, step.finished_at) {
        (Some(start), Some(end)) => format::took(end.since(start)),
        (Some(start), None) => format::running(model.now, start),
        (None, _) => String::new(),
    }
}

/// What existed because of the session, and when each thing was seen gone.
fn receipt(model: &Model, session: &SessionView, width: u16) -> Vec<Line> {
    let signs = Signs::of(model.look);
    let heading = if session.state == SessionState::Active { "made" } else { "receipt" };
    let row = |(number, line): (usize, &ReceiptLine)| {
        let label = if number == 0 { heading } else { "" };
        let (tone, state) = match line.gone_at {
            Some(at) => (Tone::Good, format!("{} gone {}", signs.good, model.wall.seconds(at))),
            None if session.state == SessionState::CleanupOwed => {
                (Tone::Alarm, format!("{} not seen gone", signs.alarm))
            }
            None => (Tone::Body, format!("{} exists", signs.active)),
        };
        let since = match width {
            0..RECEIPT_WIDE => String::new(),
            _ => format!("  since {}", model.wall.seconds(line.made_at)),
        };
        vec![
            part(Tone::Dim, format!("  {label:<LABEL$}")),
            part(tone, format!("{state:<15}  ")),
            part(Tone::Body, line.artifact.clone()),
            part(Tone::Dim, since),
        ]
    };
    session.receipt.iter().enumerate().map(row).collect()
}

/// What is not proven gone, what was tried, and how to remove it by hand.
fn exit_card(model: &Model, session: &SessionView, width: u16) -> Vec<Line> {
    let signs = Signs::of(model.look);
    let said = "Not proven gone. It is tried again without end; r tries now.";
    let mut lines: Vec<Line> = vec![];
    for (number, text) in wrap(said, usize::from(width.saturating_sub(4))).into_iter().enumerate() {
        let sign = if number == 0 { signs.alarm } else { " " };
        lines.push(vec![part(Tone::Alarm, format!("  {sign} {text}"))]);
    }
    for line in &session.exit_card {
        lines.extend(labelled("may exist", Tone::Strong, &line.artifact, width));
        lines.extend(labelled("tried", Tone::Body, &line.tried, width));
        let by_hand = line.words.iter().chain(&line.commands);
        for (number, command) in by_hand.enumerate() {
            let label = if number == 0 { "by hand" } else { "" };
            lines.extend(labelled(label, Tone::Strong, command, width));
        }
    }
    lines.push(vec![]);
    lines
}

/// From when on it is said how long a step may take.
const LONG: Span = Span::from_seconds(5);

/// From which width on a receipt also says since when a thing existed.
const RECEIPT_WIDE: u16 = 70;

/// From which width on what is said of a step stands below its text.
const STEP_WIDE: u16 = 76;

/// Where the text of a step begins.
const STEP_INDENT: usize = LABEL + 2 + 10 + 8;

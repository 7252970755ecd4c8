//! One line for each thing that changes in a session, and none for what is known already.

use super::output::Terminal;
use super::words;
use crate::protocol::{SessionState, SessionView, StepProgress, StepView};

/// What of a session was told already.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Option<SessionState>,
    steps: Vec<StepProgress>,
    path_lost: bool,
}

impl Progress {
    /// Takes the steps in `view` as told, and the state as new.
    pub(super) fn of_steps(view: &SessionView) -> Self {
        let steps = view.steps.iter().map(|step| step.progress).collect();
        Self { state: None, steps, path_lost: view.path_lost.is_some() }
    }

    /// Takes everything in `view` as told.
    pub(super) fn told(view: &SessionView) -> Self {
        Self { state: Some(view.state), ..Self::of_steps(view) }
    }

    /// Returns what is new in `view`, a line each.
    pub(super) fn lines(&mut self, view: &SessionView, terminal: Terminal) -> Vec<String> {
        let mut lines = Vec::new();
        match self.state {
            None => lines.push(first_line(view, terminal)),
            Some(state) if state != view.state => lines.extend(next_line(view, terminal)),
            Some(_) => {}
        }
        let steps = self.step_lines(view, terminal);
        lines.extend(steps.into_iter().map(|line| format!("{}  {line}", words::drill(view))));
        *self = Self::told(view);
        lines
    }

    /// Returns what is new in the steps, a line each.
    pub(super) fn step_lines(&mut self, view: &SessionView, terminal: Terminal) -> Vec<String> {
        let mut lines = Vec::new();
        match &view.path_lost {
            Some(lost) if !self.path_lost => {
                lines.push(format!("path lost: {}", terminal.text(lost)));
            }
            None if self.path_lost && view.state == SessionState::Active => {
                lines.push("path is back".to_owned());
            }
            _ => {}
        }
        self.path_lost = view.path_lost.is_some();
        for (at, step) in view.steps.iter().enumerate() {
            let before = self.steps.get(at).copied().unwrap_or(StepProgress::Waiting);
            if step.progress != before {
                lines.push(step_line(step, terminal));
            }
        }
        self.steps = view.steps.iter().map(|step| step.progress).collect();
        lines
    }
}

/// A step in one line: `applied   listen on 127.0.0.1 (port 41000)`.
pub(super) fn step_line(step: &StepView, terminal: Terminal) -> String {
    let progress = words::progress(step.progress);
    let detail = match &step.detail {
        Some(detail) => format!(": {}", terminal.text(detail)),
        None => String::new(),
    };
    format!("{progress:<9} {}{detail}", terminal.text(&step.label))
}

fn first_line(view: &SessionView, terminal: Terminal) -> String {
    next_line(view, terminal).unwrap_or_else(|| {
        format!(
            "{}session {}: {} by {}",
            words::drill(view),
            view.id.short(),
            terminal.text(&words::target(&view.target)),
            terminal.text(&words::path(view)),
        )
    })
}

/// What is told of a state besides its steps. That a session is Active or over is the verb's to
/// say.
fn next_line(view: &SessionView, terminal: Terminal) -> Option<String> {
    (view.state == SessionState::Ending).then(|| {
        let (drill, id) = (words::drill(view), view.id.short());
        format!("{drill}session {id} is ending: {}", why(view, terminal))
    })
}

/// Why a session ends, in words.
pub(super) fn why(view: &SessionView, terminal: Terminal) -> String {
    let reason = terminal.text(view.end_reason.as_deref().unwrap_or("no reason given"));
    match &view.end_detail {
        Some(detail) => format!("{reason} ({})", terminal.text(detail)),
        None => reason,
    }
}

//! What each tone of a text and each sign looks like.
//!
//! Body text has the terminal's own colour, never white or black, so that light and dark
//! backgrounds both work. Colour only confirms what a word and a shape already say. Red is for
//! alarms alone.

use ratatui::style::{Color, Modifier, Style};

use super::look::{Colours, Glyphs, Look};
use crate::protocol::{SessionState, Severity, StepProgress};

/// What a text is, as far as its look goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Plain text.
    #[default]
    Body,
    /// Labels, and what may be overlooked.
    Dim,
    /// What is looked for first.
    Strong,
    /// The one accent: keys, the chosen tab, what fits the search.
    Accent,
    /// Well.
    Good,
    /// Odd, still whole.
    Warn,
    /// A person must act now.
    Alarm,
    /// The row under the cursor.
    Selected,
    /// The mark of a drill, and other badges.
    Badge,
}

impl Tone {
    /// The tone of a severity.
    #[must_use]
    pub const fn of_severity(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Body,
            Severity::Warning => Self::Warn,
            Severity::Alarm => Self::Alarm,
        }
    }

    /// The tone of a session's state.
    #[must_use]
    pub const fn of_state(state: SessionState) -> Self {
        match state {
            SessionState::CleanupOwed => Self::Alarm,
            SessionState::Active => Self::Good,
            SessionState::Pending | SessionState::Activating | SessionState::Ending => Self::Accent,
            SessionState::Ended => Self::Dim,
        }
    }

    /// The tone of a step.
    #[must_use]
    pub const fn of_step(progress: StepProgress) -> Self {
        match progress {
            StepProgress::Applied | StepProgress::Gone => Self::Good,
            StepProgress::Applying | StepProgress::Undoing => Self::Accent,
            StepProgress::Unsure | StepProgress::Refused => Self::Warn,
            StepProgress::Owed => Self::Alarm,
            StepProgress::Waiting | StepProgress::Skipped => Self::Dim,
        }
    }
}

/// Returns the style of a tone.
#[must_use]
pub fn style(colours: Colours, tone: Tone) -> Style {
    let plain = Style::new();
    let coloured = |colour| match colours {
        Colours::None => plain,
        Colours::Ansi16 => plain.fg(colour),
    };
    match tone {
        Tone::Body => plain,
        Tone::Dim => plain.add_modifier(Modifier::DIM),
        Tone::Strong => plain.add_modifier(Modifier::BOLD),
        Tone::Accent => coloured(Color::Cyan),
        Tone::Good => coloured(Color::Green),
        Tone::Warn => coloured(Color::Yellow).add_modifier(Modifier::BOLD),
        Tone::Alarm => coloured(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Selected => plain.add_modifier(Modifier::REVERSED),
        Tone::Badge => plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
    }
}

/// The signs of one set of glyphs. Each is one column wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each sign is named by what it stands for")]
pub struct Signs {
    pub alarm: &'static str,
    pub good: &'static str,
    pub bad: &'static str,
    pub waiting: &'static str,
    pub running: &'static str,
    pub undoing: &'static str,
    pub active: &'static str,
    pub ended: &'static str,
    pub pending: &'static str,
    pub cursor: &'static str,
    pub down: &'static str,
    pub up: &'static str,
    pub ellipsis: &'static str,
    pub rule: &'static str,
    pub wall: &'static str,
    pub corners: [&'static str; 4],
    pub dash: &'static str,
    pub dot: &'static str,
    pub bars: [&'static str; 8],
}

impl Signs {
    /// Returns the signs for a look.
    #[must_use]
    pub const fn of(look: Look) -> &'static Self {
        match look.glyphs {
            Glyphs::Full => &FULL,
            Glyphs::Console => &CONSOLE,
            Glyphs::Ascii => &ASCII,
        }
    }

    /// The sign of a session's state.
    #[must_use]
    pub const fn state(&self, state: SessionState) -> &'static str {
        match state {
            SessionState::CleanupOwed => self.alarm,
            SessionState::Pending => self.pending,
            SessionState::Activating => self.running,
            SessionState::Active => self.active,
            SessionState::Ending => self.undoing,
            SessionState::Ended => self.ended,
        }
    }

    /// The sign of a step.
    #[must_use]
    pub const fn step(&self, progress: StepProgress) -> &'static str {
        match progress {
            StepProgress::Waiting => self.waiting,
            StepProgress::Applying => self.running,
            StepProgress::Unsure => "?",
            StepProgress::Applied | StepProgress::Gone => self.good,
            StepProgress::Refused => self.bad,
            StepProgress::Undoing => self.undoing,
            StepProgress::Owed => self.alarm,
            StepProgress::Skipped => "-",
        }
    }

    /// The sign of a severity.
    #[must_use]
    pub const fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Info => self.dot,
            Severity::Warning => "!",
            Severity::Alarm => self.alarm,
        }
    }
}

/// The word for what has become of a step.
#[must_use]
pub const fn step_word(progress: StepProgress) -> &'static str {
    match progress {
        StepProgress::Waiting => "waiting",
        StepProgress::Applying => "applying",
        StepProgress::Unsure => "unsure",
        StepProgress::Applied => "applied",
        StepProgress::Refused => "refused",
        StepProgress::Undoing => "undoing",
        StepProgress::Gone => "gone",
        StepProgress::Owed => "owed",
        StepProgress::Skipped => "skipped",
    }
}

const FULL: Signs = Signs {
    alarm: "▲",
    good: "✓",
    bad: "×",
    waiting: "·",
    running: "►",
    undoing: "◄",
    active: "●",
    ended: "□",
    pending: "○",
    cursor: "▌",
    down: "↓",
    up: "↑",
    ellipsis: "…",
    rule: "─",
    wall: "│",
    corners: ["╭", "╮", "╰", "╯"],
    dash: "–",
    dot: "·",
    bars: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
};

const CONSOLE: Signs = Signs {
    good: "√",
    bad: "x",
    ended: "■",
    cursor: "►",
    running: "»",
    undoing: "«",
    ellipsis: "~",
    corners: ["┌", "┐", "└", "┘"],
    dash: "-",
    bars: ["░", "░", "▒", "▒", "▓", "▓", "█", "█"],
    ..FULL
};

const ASCII: Signs = Signs {
    alarm: "!",
    good: "+",
    bad: "x",
    waiting: ".",
    running: ">",
    undoing: "<",
    active: "*",
    ended: "=",
    pending: "o",
    cursor: ">",
    down: "v",
    up: "^",
    ellipsis: "~",
    rule: "-",
    wall: "|",
    corners: ["+", "+", "+", "+"],
    dash: "-",
    dot: "-",
    bars: ["_", ".", ".", ":", "-", "=", "*", "#"],
};

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn every_sign(signs: &Signs) -> Vec<&'static str> {
        let mut all = vec![
            signs.cursor,
            signs.down,
            signs.up,
            signs.ellipsis,
            signs.rule,
            signs.wall,
            signs.dash,
        ];
        all.extend(signs.corners);
        all.extend(signs.bars);
        all.extend(SessionState::ALL.map(|state| signs.state(state)));
        all.extend(STEPS.map(|step| signs.step(step)));
        all.extend(SEVERITIES.map(|severity| signs.severity(severity)));
        all
    }

    const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Alarm];
    const STEPS: [StepProgress; 9] = [
        StepProgress::Waiting,
        StepProgress::Applying,
        StepProgress::Unsure,
        StepProgress::Applied,
        StepProgress::Refused,
        StepProgress::Undoing,
        StepProgress::Gone,
        StepProgress::Owed,
        StepProgress::Skipped,
    ];

    #[test]
    fn every_sign_is_one_column_and_ascii_is_ascii() {
        for signs in [&FULL, &CONSOLE, &ASCII] {
            for sign in every_sign(signs) {
                assert_eq!(sign.width(), 1, "{sign}");
            }
        }
        assert!(every_sign(&ASCII).iter().all(|sign| sign.is_ascii()));
    }

    #[test]
    fn states_differ_by_shape_without_any_colour() {
        for signs in [&FULL, &CONSOLE, &ASCII] {
            let mut shapes = SessionState::ALL.map(|state| signs.state(state));
            shapes.sort_unstable();
            assert!(shapes.windows(2).all(|pair| pair[0] != pair[1]), "{shapes:?}");
        }
    }

    #[test]
    fn no_tone_paints_white_or_black_and_no_colour_means_none() {
        for tone in [
            Tone::Body,
            Tone::Dim,
            Tone::Strong,
            Tone::Accent,
            Tone::Good,
            Tone::Warn,
            Tone::Alarm,
            Tone::Selected,
            Tone::Badge,
        ] {
            let style = style(Colours::Ansi16, tone);
            assert!(!matches!(style.fg, Some(Color::White | Color::Black | Color::Gray)));
            assert_eq!(style.bg, None);
            assert_eq!(super::style(Colours::None, tone).fg, None);
        }
    }
}

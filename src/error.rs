//! What an operator reads when something cannot be done: what, why, and what to do now.
//!
//! Each module has an error enum of its own. At the edge it becomes a [`Report`], whose
//! [`Kind`] says whose turn it is and fixes the exit code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::text;

/// Whose turn it is. The kind fixes the label and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The operator's: the command line.
    Usage,
    /// The operator's: a file, with path, line and key.
    Config,
    /// Nobody's: policy or sign-in said no, and the audit has it.
    Denied,
    /// A provider, the target or the store cannot be reached.
    Unavailable,
    /// Something is not proven gone.
    CleanupOwed,
    /// Ours: a bug.
    Internal,
}

impl Kind {
    /// The exit code of a command that ends with an error of this kind.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Config => 3,
            Self::Denied => 4,
            Self::Unavailable => 5,
            Self::CleanupOwed => 6,
            Self::Internal => 70,
        }
    }

    /// The word in front of the message.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::CleanupOwed => "cleanup owed",
            Self::Internal => "internal error",
        }
    }
}

/// An error as a person reads it. Its texts are clean: no control character reaches a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose turn it is.
    pub kind: Kind,
    /// What failed: one lower-case fragment.
    pub message: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do now, such that it can be typed as it stands.
    pub hint: Option<String>,
}

impl Report {
    /// Makes a report of one line.
    #[must_use]
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Self {
        Self { kind, message: shown(message.as_ref()), causes: vec![], hint: None }
    }

    /// Makes a report of an error and everything that caused it.
    #[must_use]
    pub fn of(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        Self {
            causes: causes.map(|cause| shown(&cause.to_string())).collect(),
            ..Self::new(kind, error.to_string())
        }
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl AsRef<str>) -> Self {
        self.causes.push(shown(cause.as_ref()));
        self
    }

    /// Says what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(shown(hint.as_ref()));
        self
    }
}

impl fmt::Display for Report {
    /// Writes message, causes and hint, a line each, without an end of line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.label(), self.message)?;
        for cause in &self.causes {
            write!(f, "\n  because: {cause}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Report {}

fn shown(text: &str) -> String {
    text::clean(text, REPORT_CHARS_MAX).into_owned()
}

const REPORT_CHARS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_what_why_and_what_to_do() {
        let report = Report::new(Kind::Unavailable, "cannot reach `db:5432`")
            .because("connection refused\u{1b}[2J")
            .hint("breakglass doctor");
        insta::assert_snapshot!(report, @r"
        unavailable: cannot reach `db:5432`
          because: connection refused<1B>[2J
          hint: breakglass doctor
        ");
    }
}

//! Why a policy file is not edited.

use jsonc_parser::errors::ParseErrorKind;
use thiserror::Error;

use crate::domain::text::shown;

/// A policy file that is left as it is.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PolicyFault {
    /// It is not HuJSON as Tailscale reads it.
    #[error(
        "line {}, column {} of the policy file is not valid HuJSON ({problem}); correct it there, \
         in the admin console or in its repository", at.line, at.column
    )]
    Syntax {
        /// Where.
        at: Position,
        /// What is wrong there.
        problem: String,
    },
    /// A name occurs twice, maybe in two spellings: which one counts is for the server to say.
    #[error(
        "`{first}` on line {} and `{second}` on line {}, column {} of the policy file name the \
         same; merge them into one", first_at.line, at.line, at.column
    )]
    Twice {
        /// The one that comes first.
        first: String,
        /// Where that is.
        first_at: Position,
        /// The other.
        second: String,
        /// Where that is.
        at: Position,
    },
    /// A section is something else than Tailscale's syntax says.
    #[error(
        "`{name}` on line {}, column {} of the policy file is not {wanted}; make it one, or \
         remove it", at.line, at.column
    )]
    Kind {
        /// The section.
        name: String,
        /// What it has to be.
        wanted: &'static str,
        /// Where it is.
        at: Position,
    },
    /// There is neither `grants` nor `acls`.
    #[error(
        "the policy file has neither `grants` nor `acls`, so everybody may reach everything, and \
         the first rule would shut all others out; write the rules of the tailnet first (`\"acls\": \
         []` allows nothing)"
    )]
    NoRules,
    /// The text after an edit differs from the one before by something else than the edit.
    #[error(
        "the edit of the policy file would change more than it should, so it was not made; change \
         the file by hand, and report this as a bug of breakglass"
    )]
    Unproven,
}

/// A place in a text, as an editor counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character on that line, from 1.
    pub column: usize,
}

impl Position {
    /// Returns the place of a byte.
    pub(super) fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
    }
}

impl PolicyFault {
    pub(super) fn syntax(text: &str, byte: usize, problem: &str) -> Self {
        Self::Syntax { at: Position::of(text, byte), problem: shown(problem) }
    }

    /// A complaint of the parser, whose words are its own.
    pub(super) fn parser(text: &str, byte: usize, kind: &ParseErrorKind) -> Self {
        let words = kind.to_string();
        let mut chars = words.chars();
        let first = chars.next().map(|c| c.to_ascii_lowercase());
        let problem: String = first.into_iter().chain(chars).collect();
        Self::syntax(text, byte, &problem)
    }
}

//! What stands over a pane. There is one dialog or none.

use super::open::OpenForm;
use crate::domain::id::{ProviderId, SessionId};
use crate::error::Report;
use crate::protocol::AuditVerdict;
use crate::tui::keymap::Context;
use crate::tui::widgets::field::Field;

/// What stands over a pane.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// To open a session.
    Open(Box<OpenForm>),
    /// To let a session run longer.
    Extend(ExtendForm),
    /// A question.
    Confirm(Confirm),
    /// The help.
    Help(Help),
    /// The messages; how many lines are scrolled away from the newest.
    Messages(usize),
    /// The `:` commands.
    Palette(Palette),
    /// The verdict on the audit chain: none while it is being verified.
    Verdict(Option<Result<AuditVerdict, Report>>),
}

/// A question with its answers. The first answer is the safe one, and the one marked at first.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// What is asked.
    pub question: Question,
    /// The number of the marked answer.
    pub marked: usize,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether to end this session.
    End(SessionId),
    /// Whether to switch this provider on or off.
    Switch {
        /// Which.
        provider: ProviderId,
        /// On, or off.
        on: bool,
    },
    /// Whether to remove this provider.
    Remove(ProviderId),
    /// What becomes of the live sessions.
    Quit,
    /// Whether to leave a drill, which ends with this process.
    LeaveDrill,
}

/// An answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Do nothing.
    Stay,
    /// Do what was asked.
    Do,
    /// Leave; the sessions go on.
    Leave,
    /// End every session, then leave.
    EndAll,
}

impl Question {
    /// The answers, the safe one first.
    #[must_use]
    pub const fn answers(&self) -> &'static [Answer] {
        match self {
            Self::Quit => &[Answer::Stay, Answer::Leave, Answer::EndAll],
            Self::End(_) | Self::Switch { .. } | Self::Remove(_) | Self::LeaveDrill => {
                &[Answer::Stay, Answer::Do]
            }
        }
    }
}

/// The dialog that lets a session run longer.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtendForm {
    /// Which session.
    pub session: SessionId,
    /// By how much.
    pub by: Field,
    /// What is wrong.
    pub refusal: Option<Report>,
    /// True while the engine considers it.
    pub sent: bool,
}

/// The help.
#[derive(Clone, Debug, PartialEq)]
pub struct Help {
    /// The contexts it explains.
    pub contexts: &'static [Context],
    /// The search.
    pub search: Field,
    /// True while the search is being typed.
    pub typing: bool,
    /// How many lines are scrolled away.
    pub scroll: usize,
}

/// The `:` commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Palette {
    /// What was typed.
    pub field: Field,
    /// The number of the marked command.
    pub marked: usize,
    /// What is wrong with what was typed.
    pub refusal: Option<String>,
}

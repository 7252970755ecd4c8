//! What stands over a pane. There is one dialog or none.

use super::form::Form;
use super::open::OpenForm;
use crate::domain::email::Email;
use crate::domain::id::{IdpId, ProviderId, SessionId};
use crate::domain::probe::Probe;
use crate::domain::provider::ProviderSettings;
use crate::domain::request::OpenRequest;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::error::Report;
use crate::protocol::{AuditVerdict, SweepView};
use crate::tui::keymap::Context;
use crate::tui::widgets::field::Field;

/// What stands over a pane.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// To open a session.
    Open(Box<OpenForm>),
    /// Whether a file of others may be changed so that a session opens.
    Agree(Box<Agreement>),
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
    /// A few fields to fill in.
    Form(Box<FormDialog>),
    /// A one-time code, shown once.
    Code(OneTimeCode),
    /// Something to read.
    Note(Note),
    /// What was left behind.
    Sweep(SweepDialog),
}

/// A few fields to fill in, and what for.
#[derive(Clone, Debug, PartialEq)]
pub struct FormDialog {
    /// What for.
    pub what: Filling,
    /// The fields.
    pub form: Form,
}

/// What a form is filled in for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling {
    /// To add somebody to the working copy of this list.
    AddListed(IdpId),
    /// To show that one's own password works, on this list.
    Prove(IdpId),
    /// To take somebody into the team.
    Invite,
    /// To give this operator another role.
    Role(Email),
    /// To set one's own password.
    Password,
    /// To set a password with a one-time code.
    Redeem,
    /// To add an identity provider; what the look at it showed, where it is not healthy.
    AddIdp(Option<Probe>),
    /// To add a provider, or to change the one that is known.
    Provider {
        /// How it is now, where there is one.
        known: Option<Box<ProviderSettings>>,
        /// What the look at it showed, where something is missing.
        looked: Option<Probe>,
    },
    /// To give this provider another key.
    RotateKey {
        /// Which.
        provider: ProviderId,
        /// What the look with that key showed, where something is missing.
        looked: Option<Probe>,
    },
    /// To show that a switch of enforcement is meant, by typing the identity provider's name.
    NameToEnforce {
        /// Which.
        idp: IdpId,
        /// Why that is asked.
        why: String,
    },
    /// To show that the change of a list is meant, by typing the identity provider's name.
    NameToSave {
        /// Whose list.
        idp: IdpId,
        /// Why that is asked.
        why: String,
    },
}

/// A one-time code, shown once: nobody can look it up again.
#[derive(Clone, Debug, PartialEq)]
pub struct OneTimeCode {
    /// Whose.
    pub email: Email,
    /// The code.
    pub code: Secret,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub title: &'static str,
    /// One paragraph each.
    pub texts: Vec<String>,
}

/// What was left behind and belongs to no session.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepDialog {
    /// What was found, and what became of it.
    pub view: SweepView,
    /// How many lines are scrolled away.
    pub scroll: usize,
}

impl SweepDialog {
    /// How many things are still there.
    #[must_use]
    pub fn left(&self) -> usize {
        self.view.orphans.iter().filter(|orphan| orphan.removed != Some(Ok(()))).count()
    }
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
    /// Whether to make something at this provider and take it away again, to see what can be done.
    CheckDeep(ProviderId),
    /// What becomes of the live sessions.
    Quit,
    /// Whether to leave a drill, which ends with this process.
    LeaveDrill,
    /// Whether to enforce the SSO of this identity provider, or to stop enforcing it.
    Enforce {
        /// Which.
        idp: IdpId,
        /// Enforce or not.
        on: bool,
    },
    /// Whether to remove this identity provider, with its list.
    RemoveIdp(IdpId),
    /// Whether to throw away what was changed in the working copy of a list.
    DropEdit,
    /// Whether to make a code with which this operator sets a password anew.
    ResetCode(Email),
    /// Whether to remove this operator.
    RemoveOperator(Email),
    /// Whether to sign out.
    Logout,
    /// Whether to remove so many things that were left behind.
    RemoveOrphans(usize),
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
            _ => &[Answer::Stay, Answer::Do],
        }
    }
}

/// The question whether a file of others may be changed so that a session opens. The answer marked
/// at first is the safe one.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The dialog that asked for the session, as it was left.
    pub form: Box<OpenForm>,
    /// What was asked for.
    pub request: OpenRequest,
    /// What the engine says: whose file changes, and the lines of the change as causes.
    pub report: Report,
    /// The number of the marked answer.
    pub marked: usize,
    /// How many lines of the change are scrolled away.
    pub scroll: usize,
}

impl Agreement {
    /// The marked answer.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        if self.marked == 0 { Answer::Stay } else { Answer::Do }
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

//! What happens to the model, and what it asks for.

use super::keymap::Key;
use crate::domain::email::Email;
use crate::domain::id::{IdpId, ProviderId, SessionId};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::error::Report;
use crate::protocol::{Command, Event, Reply, Snapshot};

/// Something that happens to the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Msg {
    /// It is this late, in engine time.
    Tick(Timestamp),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// A key was pressed.
    Key(Key),
    /// A text was pasted.
    Paste(String),
    /// The mouse was clicked at this column and row.
    Click(u16, u16),
    /// The wheel was turned by this many rows, downwards if positive.
    Wheel(i16),
    /// The engine answers, with everything as it stands.
    Attached(Box<Snapshot>),
    /// The engine cannot be reached; it is tried again.
    Detached(Report),
    /// The engine's events ended without a word.
    CutOff,
    /// What has happened at the engine.
    Events(Vec<Event>),
    /// What the engine answered.
    Answer(Purpose, Result<Reply, Report>),
    /// The process is asked to end (SIGTERM, SIGINT).
    Terminate,
    /// Somebody else stops the process (SIGTSTP).
    Suspend,
}

/// What the model asks for. The loop does it; what comes of it is a [`Msg`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the engine.
    Call(Command, Purpose),
    /// Send a text to the terminal's clipboard.
    Copy(String),
    /// Send a text that nobody may see to the terminal's clipboard.
    CopySecret(Secret),
    /// Go on as whoever the last answer signed in: the loop has the token, and nobody else.
    Enter,
    /// End the sign-in that the last answer brought: nobody waits for it any more.
    GiveBack,
    /// Go on as nobody.
    SignOut,
    /// Ring the terminal's bell.
    Bell,
    /// Take the mouse from the terminal, or give it back.
    Mouse(bool),
    /// Stop this process until somebody brings it back.
    Suspend,
    /// Paint the whole screen again.
    Repaint,
    /// Attach to the engine again: where it went, if it was handed over.
    Reattach {
        /// True where the handle at hand may still serve.
        same: bool,
    },
    /// Leave.
    Quit(Leave),
}

/// What becomes of the sessions when the face leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing lives, or the engine lives elsewhere and goes on.
    Nothing,
    /// This process hosts the engine and sessions live: hand them over.
    HandOver,
    /// Every session was told to end and nothing lives any more.
    EndedAll,
}

/// What a call was for, so that its answer finds its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To open a session, from the dialog of this number.
    Open(u64),
    /// To know the path, for the dialog's question of this number.
    Path(u64),
    /// To get the catalogue.
    Targets,
    /// To end this session.
    End(SessionId),
    /// To extend this session.
    Extend(SessionId),
    /// To remove what this session owes.
    Retry(SessionId),
    /// To change or check this provider.
    Provider(ProviderId),
    /// To see what can be done at this provider.
    ValidateProvider(ProviderId),
    /// To find or remove what was left behind.
    Sweep,
    /// To get older sessions.
    OlderSessions,
    /// To get older audit events.
    OlderAudit,
    /// To verify the chain.
    Verify,
    /// To end everything and leave.
    EndAll,
    /// To sign in, by the question of this number.
    SignIn(u64),
    /// To begin a single sign-on, by the question of this number.
    BeginSso(u64),
    /// To do what the form of this number is for.
    Form(u64),
    /// To look at this identity provider.
    Validate(IdpId),
    /// To switch the enforcement of this identity provider.
    Enforce {
        /// Which.
        idp: IdpId,
        /// Enforce or not.
        on: bool,
    },
    /// To save the list of this identity provider.
    Save(IdpId),
    /// To remove this identity provider.
    RemoveIdp(IdpId),
    /// To get the operators, by the question of this number.
    Operators(u64),
    /// To get a code for this operator.
    ResetCode(Email),
    /// To remove this operator.
    RemoveOperator(Email),
    /// To sign out.
    Logout,
    /// To say who is signed in.
    Whoami,
    /// To tell the engine that somebody sits here, so that the sign-in lasts.
    InUse,
}

//! What faces and engine say to each other, and nothing else.
//!
//! A face sends a [`Command`] through an [`EngineHandle`] and gets one [`Reply`] or a
//! [`Report`](crate::error::Report). A face that subscribes gets a [`Snapshot`] and from then on
//! every [`Event`]. The other end of the handle is the engine in this process or a socket to the
//! engine in another one; a face cannot tell, and need not.
//!
//! The same types are the wire format of the socket (JSON in length-prefixed frames), so a change
//! here that an older copy cannot read raises [`VERSION`].

mod command;
mod event;
mod handle;
mod identity;
mod view;

pub use command::{Command, Reply, Save, SessionQuery};
pub use event::Event;
pub use handle::{Call, EngineHandle, Origin, Subscription};
pub use identity::{
    BreakGlassAsk, IdentityView, IdpAsk, IdpView, ListedView, Mode, OperatorView, OperatorsAsk,
    OperatorsView, SignInAsk, SignedInView, SsoPromptView, VaultAsk,
};
pub use view::{
    AuditVerdict, Considered, EngineView, ExitLine, Kept, Notice, OrphanView, PathLossView,
    PathView, PlanStepView, PlanView, PolicyView, ProviderTrouble, ProviderView, ReceiptLine,
    SessionState, SessionView, Severity, Snapshot, StepProgress, StepView, SweepProblem, SweepView,
    TargetView, Traffic, ValidationView,
};

/// The version of everything in this module. Both ends of a socket must have the same.
pub const VERSION: u32 = 4;

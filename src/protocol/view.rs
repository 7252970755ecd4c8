//! What faces see: read models, cleaned and complete, with nothing left to work out but the time.
//!
//! Times are engine time; [`EngineView::wall_offset_millis`] leads to the wall clock.

use serde::{Deserialize, Serialize};

use super::identity::IdentityView;
use crate::domain::audit_event::AuditEvent;
use crate::domain::connect::EndpointAddress;
use crate::domain::id::{InstallationId, ProviderId, SessionId};
use crate::domain::operator::Operator;
use crate::domain::provider::{Health, ProviderKind, ProviderSettings, Validation};
use crate::domain::request::NetworkPath;
use crate::domain::target::Target;
use crate::domain::time::{Span, Timestamp};

/// Everything that a face needs to draw its first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Engine time as the snapshot was taken; a face counts on from here with its own boot clock.
    pub now: Timestamp,
    /// The engine itself.
    pub engine: EngineView,
    /// Who is signed in, and who might. Where nobody is, everything below is empty.
    pub identity: IdentityView,
    /// The providers, in the order of the configuration.
    pub providers: Vec<ProviderView>,
    /// Every live session and the newest ended ones, the newest first.
    pub sessions: Vec<SessionView>,
    /// How many sessions have ended in all.
    pub sessions_ended_total: u64,
    /// The newest audit events, the newest last.
    pub audit: Vec<AuditEvent>,
    /// The last five reasons, the newest first, each once.
    pub reasons: Vec<String>,
    /// What policy allows.
    pub policy: PolicyView,
    /// How many targets the catalogue has; they are fetched with `Command::Targets`.
    pub targets_total: u64,
}

/// The engine itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineView {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// True where the engine is a process of its own; false where a terminal hosts it.
    pub detached: bool,
    /// When it started.
    pub started_at: Timestamp,
    /// The installation it serves.
    pub installation: InstallationId,
    /// The operator it serves.
    pub operator: Operator,
    /// The name of this host, cleaned.
    pub host: String,
    /// Where its state lies.
    pub state_dir: String,
    /// True for a drill.
    pub drill: bool,
    /// How many faces listen.
    pub faces: u32,
    /// Wall clock minus engine time, in milliseconds; zero unless the wall clock was set.
    pub wall_offset_millis: i64,
    /// What a person must know until it is mended: a full disk, a lost port.
    pub alarms: Vec<Notice>,
}

/// What policy allows, so that a dialog can say so before the engine does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// The longest session.
    pub duration_max: Span,
    /// The duration that is offered first.
    pub duration_default: Span,
    /// The pattern of a reason, if any.
    pub reason_pattern: Option<String>,
    /// Whether a target may be opened by address.
    pub ad_hoc_targets: bool,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderView {
    /// Its name in the configuration.
    pub id: ProviderId,
    /// What kind of system it is.
    pub kind: ProviderKind,
    /// What people call the system, `Tailscale` for a simulated one that behaves so.
    pub label: String,
    /// False when an operator switched it off.
    pub enabled: bool,
    /// How it does.
    pub health: Health,
    /// When that was last looked at.
    pub checked_at: Option<Timestamp>,
    /// How long the last look took.
    pub latency_millis: Option<u64>,
    /// Sessions that use it, those that owe a clean-up counted.
    pub sessions: u32,
    /// Why it cannot be removed, if it cannot.
    pub keep: Option<String>,
    /// What it does, in one line.
    pub about: String,
    /// What the configuration says of it; absent in a drill.
    pub settings: Option<ProviderSettings>,
    /// What could be done there when that was last looked at.
    pub validation: Option<Validation>,
    /// The last things that went wrong with it, the newest first, at most five.
    pub errors: Vec<ProviderTrouble>,
}

impl ProviderView {
    /// The abilities that are needed and missing.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let probe = self.validation.iter().map(|validation| &validation.probe);
        probe.flat_map(|probe| probe.wrong(true)).map(|(name, _)| name)
    }
}

/// Something that went wrong with a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderTrouble {
    /// When.
    pub at: Timestamp,
    /// What, in one clean line.
    pub text: String,
}

/// What can be done at a provider, and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationView {
    /// What can be done there.
    pub validation: Validation,
    /// How it was kept; not at all where it was only looked at, or does not work.
    pub kept: Option<Kept>,
}

/// How a provider was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// As the settings say.
    AsAsked,
    /// Switched off: something is missing that is needed.
    Disabled,
}

/// What bears the mark of this installation and belongs to no living session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepView {
    /// What was found.
    pub orphans: Vec<OrphanView>,
    /// Where nobody could look, and why.
    pub problems: Vec<SweepProblem>,
    /// Where nobody can ever look, as it is configured: no failure, but the sweep is not whole.
    #[serde(default)]
    pub unlisted: Vec<SweepProblem>,
}

/// One thing that belongs to no living session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanView {
    /// Where it was found: the provider, or the site whose launcher has it.
    pub place: String,
    /// What it is.
    pub artifact: String,
    /// The short id of the session that made it.
    pub session: String,
    /// Until when that session could have needed it; the wall's time.
    pub expires_at: Timestamp,
    /// What became of it: nothing yet, seen gone, or why it is still there.
    pub removed: Option<Result<(), String>>,
    /// The commands that remove it by hand, every word quoted.
    pub by_hand: Vec<String>,
}

/// A place where nobody could look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepProblem {
    /// Which.
    pub place: String,
    /// Why.
    pub why: String,
}

/// One target, and the path it would get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetView {
    /// The target.
    pub target: Target,
    /// The path it would get now, where that was asked for.
    pub path: Option<PathView>,
}

/// Which path a target would get now, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathView {
    /// The path, or why there is none.
    pub path: Result<NetworkPath, String>,
    /// Each provider that was considered and passed over.
    pub considered: Vec<Considered>,
}

/// A provider that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Which.
    pub provider: ProviderId,
    /// Why.
    pub why: String,
}

/// What opening would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// The target.
    pub target: Target,
    /// The path.
    pub path: NetworkPath,
    /// How long the session would be Active.
    pub lease: Span,
    /// How long extensions could make it.
    pub lease_max: Span,
    /// The steps, in order.
    pub steps: Vec<PlanStepView>,
    /// Who besides the session could reach the target over the path: a sentence each.
    pub audience: Vec<String>,
    /// What opening would change in a file of others, as the lines of a diff.
    #[serde(default)]
    pub changes: Vec<String>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStepView {
    /// What it does.
    pub label: String,
    /// What would exist because of it, if anything.
    pub creates: Option<String>,
    /// What removes it even if this host is gone, if anything can.
    pub expires: Option<String>,
    /// The numbers of the steps that must be done before it, counted from zero.
    pub needs: Vec<usize>,
}

/// The states of a session, as far as sessions can be in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// Something that the session made is not proven gone. Sorted first.
    CleanupOwed,
    /// Requested; not yet begun.
    Pending,
    /// Its steps are being applied.
    Activating,
    /// The path is there.
    Active,
    /// Its steps are being undone.
    Ending,
    /// Everything was seen gone.
    Ended,
}

impl SessionState {
    /// Every state, the most urgent first.
    pub const ALL: [Self; 6] = [
        Self::CleanupOwed,
        Self::Pending,
        Self::Activating,
        Self::Active,
        Self::Ending,
        Self::Ended,
    ];

    /// The word on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CleanupOwed => "CleanupOwed",
            Self::Pending => "Pending",
            Self::Activating => "Activating",
            Self::Active => "Active",
            Self::Ending => "Ending",
            Self::Ended => "Ended",
        }
    }

    /// True unless everything is over and gone.
    #[must_use]
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Ended)
    }
}

impl std::fmt::Display for SessionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Its state.
    pub state: SessionState,
    /// What it reaches.
    pub target: Target,
    /// How.
    pub path: NetworkPath,
    /// Why.
    pub reason: String,
    /// Who opened it.
    pub operator: Operator,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it became Active.
    pub activated_at: Option<Timestamp>,
    /// How long the lease is, extensions counted.
    pub lease: Span,
    /// How long extensions could make it.
    pub lease_max: Span,
    /// When the lease ends; known from activation on.
    pub lease_ends_at: Option<Timestamp>,
    /// When everything was seen gone.
    pub ended_at: Option<Timestamp>,
    /// Why it ends or ended: `lease-expired` and the like.
    pub end_reason: Option<String>,
    /// More about the end, in words.
    pub end_detail: Option<String>,
    /// Where the local endpoint listens, while it does.
    pub endpoint: Option<EndpointAddress>,
    /// The line to paste, while the endpoint listens.
    pub command: Option<String>,
    /// The steps with what has become of each.
    pub steps: Vec<StepView>,
    /// What existed because of the session, and when each was seen gone.
    pub receipt: Vec<ReceiptLine>,
    /// How to finish the removal by hand; empty unless something is owed.
    pub exit_card: Vec<ExitLine>,
    /// Bytes and connections.
    pub traffic: Traffic,
    /// Who besides the session could reach the target over the path: a sentence each.
    #[serde(default)]
    pub audience: Vec<String>,
    /// What of the path is lost and being made again, in words.
    #[serde(default)]
    pub path_lost: Option<String>,
    /// How the path does, as its provider sees it: a line each.
    #[serde(default)]
    pub live: Vec<String>,
    /// When the path was lost, the oldest first.
    #[serde(default)]
    pub path_losses: Vec<PathLossView>,
    /// True for a drill.
    pub drill: bool,
}

/// A while in which the path of a session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathLossView {
    /// Since when.
    pub lost_at: Timestamp,
    /// Until when; nothing where it did not come back.
    pub back_at: Option<Timestamp>,
}

/// One step of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// What it does.
    pub label: String,
    /// What has become of it.
    pub progress: StepProgress,
    /// What it waits for, or what went wrong, in words.
    pub detail: Option<String>,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// When it was applied, refused or seen gone.
    pub finished_at: Option<Timestamp>,
    /// How often its undo was tried.
    pub tries: u32,
    /// How long it may take in all, while it is being applied.
    #[serde(default)]
    pub limit: Option<Span>,
}

/// What has become of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepProgress {
    /// Not begun.
    Waiting,
    /// Being applied.
    Applying,
    /// Nobody saw the outcome; it is looked up.
    Unsure,
    /// Applied.
    Applied,
    /// Refused: surely unchanged.
    Refused,
    /// Being undone.
    Undoing,
    /// Seen gone.
    Gone,
    /// Not proven gone after three tries; tried on without end.
    Owed,
    /// Never begun, and never will be.
    Skipped,
}

/// One line of the teardown receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptLine {
    /// What existed.
    pub artifact: String,
    /// Since when.
    pub made_at: Timestamp,
    /// When it was seen gone; absent while it is not.
    pub gone_at: Option<Timestamp>,
}

/// One thing to remove by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitLine {
    /// What may still exist.
    pub artifact: String,
    /// What was tried, and what came of it.
    pub tried: String,
    /// The exact commands, every word quoted, without a secret.
    pub commands: Vec<String>,
    /// What is to be known for them, or done where there is none, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// Bytes and connections of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Bytes from the client to the target.
    pub bytes_up: u64,
    /// Bytes from the target to the client.
    pub bytes_down: u64,
    /// Connections that are open.
    pub connections_open: u32,
    /// Connections ever opened.
    pub connections_total: u64,
    /// Strangers turned away.
    pub refused: u64,
}

/// Whether the audit chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// How many events were read.
    pub events: u64,
    /// The first bad place and what is wrong with it; absent where the chain holds.
    pub broken: Option<(u64, String)>,
    /// The head as four groups of five base32 characters, to be read aloud.
    pub head: String,
}

/// Something to tell people once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// One clean line.
    pub text: String,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// When.
    pub at: Timestamp,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Odd, still whole.
    Warning,
    /// A person must act now.
    Alarm,
}

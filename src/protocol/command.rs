//! What a face may ask of the engine, and what it may get.
//!
//! Who is signed in is said beside each command (`EngineHandle::signed_in`), never in it.

use serde::{Deserialize, Serialize};

use super::identity::{
    BreakGlassAsk, IdpAsk, IdpView, ListedView, OperatorsAsk, OperatorsView, SignInAsk,
    SignedInView, SsoPromptView, VaultAsk,
};
use super::view::{
    AuditVerdict, EngineView, PathView, PlanView, ProviderView, SessionState, SessionView,
    SweepView, TargetView, ValidationView,
};
use crate::domain::audit_event::AuditEvent;
use crate::domain::email::Email;
use crate::domain::id::{ProviderId, SessionId, SiteId};
use crate::domain::probe::Probe;
use crate::domain::provider::ProviderSettings;
use crate::domain::request::{OpenRequest, TargetChoice};
use crate::domain::secret::Secret;
use crate::domain::sign_in::Token;
use crate::domain::site::Site;
use crate::domain::time::{Span, Timestamp};
use crate::domain::vault::VaultStatus;

/// What a face may ask of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Open a session. Answered with [`Reply::Session`] as soon as the request is on record; what
    /// becomes of it comes as events.
    Open(OpenRequest),
    /// Say what opening would do, and do nothing. Answered with [`Reply::Plan`].
    Plan(OpenRequest),
    /// Say which path a target would get now, and why. Answered with [`Reply::Path`].
    Path(TargetChoice),
    /// End a session. Answered with [`Reply::Session`] as soon as the end is on record.
    End {
        /// Which.
        session: SessionId,
        /// Why, if the operator says so.
        reason: Option<String>,
    },
    /// Let a session run longer, within its longest lease. Answered with [`Reply::Session`].
    Extend {
        /// Which.
        session: SessionId,
        /// By how much.
        by: Span,
    },
    /// Try at once to remove what is owed. Answered with [`Reply::Session`].
    Retry {
        /// Which.
        session: SessionId,
    },
    /// End every live session. Answered with [`Reply::Done`] once each end is on record.
    EndAll,
    /// List sessions, the newest first. Answered with [`Reply::Sessions`].
    Sessions(SessionQuery),
    /// Find the sessions that a shortened id may mean, ended ones too. Answered with
    /// [`Reply::Sessions`].
    Find {
        /// The id, or the start of its long or short form.
        text: String,
    },
    /// List the catalogue. Answered with [`Reply::Targets`].
    Targets {
        /// Also work out the path that each would get now, which may try to connect to each.
        with_paths: bool,
    },
    /// List the sites. Answered with [`Reply::Sites`].
    Sites,
    /// List the providers. Answered with [`Reply::Providers`].
    Providers,
    /// Switch a provider on or off. Answered with [`Reply::Providers`].
    SetProviderEnabled {
        /// Which.
        provider: ProviderId,
        /// On or off.
        enabled: bool,
    },
    /// Remove a provider, with its key. Answered with [`Reply::Providers`].
    RemoveProvider {
        /// Which.
        provider: ProviderId,
    },
    /// See what can be done at a provider, ability by ability. Answered with
    /// [`Reply::Validation`].
    ValidateProvider {
        /// Which.
        provider: ProviderId,
        /// Whether something is made there and taken away again, so that it is known for certain;
        /// refused where nothing needs that.
        deep: bool,
    },
    /// Add a provider, or change the settings of one, once it was seen what can be done there.
    /// Answered with [`Reply::Validation`]; where something is missing that is needed, it is kept only
    /// as `save` says.
    PutProvider {
        /// How it is to be.
        settings: Box<ProviderSettings>,
        /// Its key; where none is given, the one that it has stays.
        key: Option<Secret>,
        /// Whether to keep what does not work.
        save: Save,
    },
    /// Give a provider another key, once it was seen to work. Answered with [`Reply::Validation`];
    /// where it does not work, the old one stays.
    RotateKey {
        /// Which.
        provider: ProviderId,
        /// The new key.
        key: Secret,
    },
    /// See what can be done by a site's launcher. Answered with [`Reply::Probe`].
    ValidateSite {
        /// Which.
        site: SiteId,
    },
    /// List everything that bears the mark of this installation and belongs to no living session.
    /// Answered with [`Reply::Sweep`].
    Sweep {
        /// Also remove it, where its time is over.
        apply: bool,
        /// Also what could still be needed by an engine on another host with a copy of this state.
        also_unexpired: bool,
    },
    /// List audit events, the newest last. Answered with [`Reply::Audit`].
    AuditTail {
        /// At most this many; the engine gives at most 1,000.
        limit: u32,
        /// Only events before this place in the chain.
        before: Option<u64>,
    },
    /// Verify the whole audit chain. Answered with [`Reply::AuditVerdict`].
    AuditVerify,
    /// Say how the engine is. Answered with [`Reply::Engine`].
    Status,
    /// Something about one's own sign-in and password.
    SignIn(SignInAsk),
    /// Something about accounts.
    Operators(OperatorsAsk),
    /// Something about identity providers.
    Idp(IdpAsk),
    /// Something about break-glass users.
    BreakGlass(BreakGlassAsk),
    /// Something about the vault.
    Vault(VaultAsk),
    /// Stop the engine. Refused while sessions live. Answered with [`Reply::Done`].
    Stop,
}

/// Whether to keep a provider that lacks something that is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Save {
    /// Keep only what works.
    #[default]
    WhenHealthy,
    /// Keep it, switched off where it does not work.
    Disabled,
}

/// Which sessions to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionQuery {
    /// Only sessions in this state.
    pub state: Option<SessionState>,
    /// Ended sessions too.
    pub ended: bool,
    /// At most this many; the engine gives at most 1,000.
    pub limit: u32,
    /// Skip this many of the newest.
    pub offset: u32,
}

/// What the engine answers when it does as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is named by the command it answers")]
pub enum Reply {
    Done,
    Session(Box<SessionView>),
    Sessions(Vec<SessionView>),
    Plan(Box<PlanView>),
    Path(PathView),
    Targets(Vec<TargetView>),
    Sites(Vec<Site>),
    Providers(Vec<ProviderView>),
    Audit(Vec<AuditEvent>),
    AuditVerdict(AuditVerdict),
    Engine(Box<EngineView>),
    SignedIn { token: Token, me: Box<SignedInView> },
    Me(Option<Box<SignedInView>>),
    SsoPrompt(SsoPromptView),
    Operators(OperatorsView),
    Code { email: Email, code: Secret, expires_at: Timestamp },
    IdentityProviders(Vec<IdpView>),
    Probe(Probe),
    Validation(Box<ValidationView>),
    Sweep(SweepView),
    Listed(Box<ListedView>),
    Vault(VaultStatus),
    Sealed(Secret),
}

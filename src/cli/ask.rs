//! One command, one answer, with the answer's type checked.

use super::words::Times;
use crate::domain::audit_event::AuditEvent;
use crate::domain::email::Email;
use crate::domain::probe::Probe;
use crate::domain::secret::Secret;
use crate::domain::sign_in::Token;
use crate::domain::site::Site;
use crate::domain::time::Timestamp;
use crate::domain::vault::VaultStatus;
use crate::error::{Kind, Report};
use crate::protocol::{
    AuditVerdict, Command, EngineHandle, EngineView, IdentityView, IdpAsk, IdpView, OperatorsAsk,
    OperatorsView, PlanView, ProviderView, Reply, SessionView, SignInAsk, SignedInView,
    SsoPromptView, SweepView, TargetView, ValidationView, VaultAsk,
};

/// Asks for a session.
pub(super) async fn session(
    engine: &EngineHandle,
    command: Command,
) -> Result<SessionView, Report> {
    match engine.call(command).await? {
        Reply::Session(view) => Ok(*view),
        other => Err(unexpected(&other)),
    }
}

/// Asks for sessions.
pub(super) async fn sessions(
    engine: &EngineHandle,
    command: Command,
) -> Result<Vec<SessionView>, Report> {
    match engine.call(command).await? {
        Reply::Sessions(views) => Ok(views),
        other => Err(unexpected(&other)),
    }
}

/// Asks for a plan.
pub(super) async fn plan(engine: &EngineHandle, command: Command) -> Result<PlanView, Report> {
    match engine.call(command).await? {
        Reply::Plan(view) => Ok(*view),
        other => Err(unexpected(&other)),
    }
}

/// Asks for targets.
pub(super) async fn targets(
    engine: &EngineHandle,
    command: Command,
) -> Result<Vec<TargetView>, Report> {
    match engine.call(command).await? {
        Reply::Targets(views) => Ok(views),
        other => Err(unexpected(&other)),
    }
}

/// Asks for the sites.
pub(super) async fn sites(engine: &EngineHandle) -> Result<Vec<Site>, Report> {
    match engine.call(Command::Sites).await? {
        Reply::Sites(sites) => Ok(sites),
        other => Err(unexpected(&other)),
    }
}

/// Asks for providers.
pub(super) async fn providers(
    engine: &EngineHandle,
    command: Command,
) -> Result<Vec<ProviderView>, Report> {
    match engine.call(command).await? {
        Reply::Providers(views) => Ok(views),
        other => Err(unexpected(&other)),
    }
}

/// Asks what can be done at a provider.
pub(super) async fn validation(
    engine: &EngineHandle,
    command: Command,
) -> Result<ValidationView, Report> {
    match engine.call(command).await? {
        Reply::Validation(view) => Ok(*view),
        other => Err(unexpected(&other)),
    }
}

/// Asks for what belongs to no living session.
pub(super) async fn sweep(
    engine: &EngineHandle,
    apply: bool,
    also_unexpired: bool,
) -> Result<SweepView, Report> {
    match engine.call(Command::Sweep { apply, also_unexpired }).await? {
        Reply::Sweep(view) => Ok(view),
        other => Err(unexpected(&other)),
    }
}

/// Asks for audit events, the newest last.
pub(super) async fn audit(
    engine: &EngineHandle,
    limit: u32,
    before: Option<u64>,
) -> Result<Vec<AuditEvent>, Report> {
    match engine.call(Command::AuditTail { limit, before }).await? {
        Reply::Audit(events) => Ok(events),
        other => Err(unexpected(&other)),
    }
}

/// Asks whether the audit chain holds.
pub(super) async fn verdict(engine: &EngineHandle) -> Result<AuditVerdict, Report> {
    match engine.call(Command::AuditVerify).await? {
        Reply::AuditVerdict(verdict) => Ok(verdict),
        other => Err(unexpected(&other)),
    }
}

/// Asks how the engine is.
pub(super) async fn status(engine: &EngineHandle) -> Result<EngineView, Report> {
    match engine.call(Command::Status).await? {
        Reply::Engine(view) => Ok(*view),
        other => Err(unexpected(&other)),
    }
}

/// Asks to be signed in.
pub(super) async fn sign_in(
    engine: &EngineHandle,
    ask: SignInAsk,
) -> Result<(Token, SignedInView), Report> {
    match engine.call(Command::SignIn(ask)).await? {
        Reply::SignedIn { token, me } => Ok((token, *me)),
        other => Err(unexpected(&other)),
    }
}

/// Asks who is signed in here.
pub(super) async fn me(engine: &EngineHandle) -> Result<Option<SignedInView>, Report> {
    match engine.call(Command::SignIn(SignInAsk::Whoami)).await? {
        Reply::Me(me) => Ok(me.map(|me| *me)),
        other => Err(unexpected(&other)),
    }
}

/// Asks for what a person types at an identity provider's page.
pub(super) async fn sso(engine: &EngineHandle, ask: SignInAsk) -> Result<SsoPromptView, Report> {
    match engine.call(Command::SignIn(ask)).await? {
        Reply::SsoPrompt(prompt) => Ok(prompt),
        other => Err(unexpected(&other)),
    }
}

/// Asks for operators.
pub(super) async fn operators(
    engine: &EngineHandle,
    ask: OperatorsAsk,
) -> Result<OperatorsView, Report> {
    match engine.call(Command::Operators(ask)).await? {
        Reply::Operators(view) => Ok(view),
        other => Err(unexpected(&other)),
    }
}

/// Asks for a one-time code.
pub(super) async fn code(
    engine: &EngineHandle,
    ask: OperatorsAsk,
) -> Result<(Email, Secret, Timestamp), Report> {
    match engine.call(Command::Operators(ask)).await? {
        Reply::Code { email, code, expires_at } => Ok((email, code, expires_at)),
        other => Err(unexpected(&other)),
    }
}

/// Asks for identity providers, with their lists.
pub(super) async fn idps(engine: &EngineHandle, command: Command) -> Result<Vec<IdpView>, Report> {
    match engine.call(command).await? {
        Reply::IdentityProviders(views) => Ok(views),
        other => Err(unexpected(&other)),
    }
}

/// Asks for a look at an identity provider.
pub(super) async fn probe(engine: &EngineHandle, ask: IdpAsk) -> Result<Probe, Report> {
    look(engine, Command::Idp(ask)).await
}

/// Asks for a look at another system.
pub(super) async fn look(engine: &EngineHandle, command: Command) -> Result<Probe, Report> {
    match engine.call(command).await? {
        Reply::Probe(probe) => Ok(probe),
        other => Err(unexpected(&other)),
    }
}

/// Asks for how the vault is, after what was asked of it.
pub(super) async fn vault(engine: &EngineHandle, ask: VaultAsk) -> Result<VaultStatus, Report> {
    match engine.call(Command::Vault(ask)).await? {
        Reply::Vault(status) => Ok(status),
        other => Err(unexpected(&other)),
    }
}

/// Asks for all that is in the vault, sealed.
pub(super) async fn sealed(engine: &EngineHandle, passphrase: Secret) -> Result<Secret, Report> {
    match engine.call(Command::Vault(VaultAsk::Export { passphrase })).await? {
        Reply::Sealed(sealed) => Ok(sealed),
        other => Err(unexpected(&other)),
    }
}

/// Asks for whose engine it is and who may sign in: what every face is told when it subscribes.
pub(super) async fn identity(engine: &EngineHandle) -> Result<IdentityView, Report> {
    Ok(engine.subscribe().await?.snapshot.identity)
}

/// Asks for something that has no answer but that it is done.
pub(super) async fn done(engine: &EngineHandle, command: Command) -> Result<(), Report> {
    match engine.call(command).await? {
        Reply::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// Asks for what it takes to tell the wall's time of the engine's instants.
pub(super) async fn times(engine: &EngineHandle, wall: Timestamp) -> Result<Times, Report> {
    Ok(Times::at_wall(wall, status(engine).await?.wall_offset_millis))
}

fn unexpected(reply: &Reply) -> Report {
    let name = match reply {
        Reply::Done => "done",
        Reply::Session(_) => "a session",
        Reply::Sessions(_) => "sessions",
        Reply::Plan(_) => "a plan",
        Reply::Path(_) => "a path",
        Reply::Targets(_) => "targets",
        Reply::Sites(_) => "sites",
        Reply::Providers(_) => "providers",
        Reply::Audit(_) => "audit events",
        Reply::AuditVerdict(_) => "an audit verdict",
        Reply::Engine(_) => "its status",
        Reply::SignedIn { .. } => "a sign-in",
        Reply::Me(_) => "who is signed in",
        Reply::SsoPrompt(_) => "a code for single sign-on",
        Reply::Operators(_) => "operators",
        Reply::Code { .. } => "a one-time code",
        Reply::IdentityProviders(_) => "identity providers",
        Reply::Probe(_) => "a look at another system",
        Reply::Validation(_) => "a look at a provider",
        Reply::Sweep(_) => "a sweep",
        Reply::Listed(_) => "how somebody would stand on a list",
        Reply::Vault(_) => "how the vault is",
        Reply::Sealed(_) => "a sealed vault",
    };
    Report::new(Kind::Internal, format!("the engine answered with {name}, which was not asked for"))
        .hint("breakglass doctor")
}

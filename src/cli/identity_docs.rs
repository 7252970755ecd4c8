//! What `--json` prints of people, identity providers and the vault. [`super::docs`] says how.

use serde::Serialize;

use super::words::Times;
use crate::domain::break_glass_user::{LISTED_MAX, Stale};
use crate::domain::id::{IdpId, SecretName};
use crate::domain::identity_provider::{BreakGlassMode, IdpHealth, IdpKind, IdpSettings};
use crate::domain::probe::Probe;
use crate::domain::role::Role;
use crate::domain::sign_in::SignInMethod;
use crate::domain::vault::{Backend, VaultState, VaultStatus};
use crate::protocol::{IdpView, ListedView, OperatorView, SignedInView, SsoPromptView};

#[derive(Serialize)]
pub(super) struct SignInDoc<'a> {
    account: String,
    email: &'a str,
    role: Role,
    method: &'static str,
    idps: Vec<&'a IdpId>,
    started_at: String,
    ends_at: String,
}

impl<'a> SignInDoc<'a> {
    pub(super) fn new(me: &'a SignedInView, times: &Times) -> Self {
        let (method, idps) = match &me.method {
            SignInMethod::Password => ("password", vec![]),
            SignInMethod::BreakGlass(idps) => ("break-glass", idps.iter().collect()),
            SignInMethod::Sso(idp) => ("sso", vec![idp]),
        };
        Self {
            account: me.account.to_string(),
            email: me.email.as_str(),
            role: me.role,
            method,
            idps,
            started_at: times.rfc3339(me.started_at),
            ends_at: times.rfc3339(me.ends_at),
        }
    }
}

#[derive(Serialize)]
pub(super) struct SsoPromptDoc<'a> {
    idp: &'a IdpId,
    user_code: &'a str,
    verification_uri: &'a str,
    verification_uri_complete: Option<&'a str>,
    expires_at: String,
}

impl<'a> SsoPromptDoc<'a> {
    pub(super) fn new(idp: &'a IdpId, prompt: &'a SsoPromptView, times: &Times) -> Self {
        Self {
            idp,
            user_code: &prompt.user_code,
            verification_uri: &prompt.verification_uri,
            verification_uri_complete: prompt.verification_uri_complete.as_deref(),
            expires_at: times.rfc3339(prompt.expires_at),
        }
    }
}

#[derive(Serialize)]
pub(super) struct OperatorDoc<'a> {
    account: String,
    email: &'a str,
    role: Role,
    member: bool,
    has_password: bool,
    bound_to: Option<&'a IdpId>,
    code_expires_at: Option<String>,
    listed: &'a [IdpId],
    created_at: String,
}

impl<'a> OperatorDoc<'a> {
    pub(super) fn new(view: &'a OperatorView, times: &Times) -> Self {
        Self {
            account: view.account.to_string(),
            email: view.email.as_str(),
            role: view.role,
            member: view.member,
            has_password: view.has_password,
            bound_to: view.bound_to.as_ref(),
            code_expires_at: view.code_expires_at.map(|at| times.rfc3339(at)),
            listed: &view.listed,
            created_at: times.rfc3339(view.created_at),
        }
    }
}

#[derive(Serialize)]
pub(super) struct IdpDoc<'a> {
    id: &'a IdpId,
    label: &'a str,
    kind: Option<&'static str>,
    tenant: Option<&'a str>,
    issuer: Option<String>,
    client_id: Option<&'a str>,
    has_secret: Option<bool>,
    scopes: Option<&'a [String]>,
    domains: Option<&'a [String]>,
    break_glass: Option<BreakGlassMode>,
    enforced: bool,
    health: &'static str,
    probe: Option<ProbeDoc<'a>>,
}

impl<'a> IdpDoc<'a> {
    pub(super) fn new(view: &'a IdpView, times: &Times) -> Self {
        let settings = view.settings.as_ref();
        let tenant = |settings: &'a IdpSettings| match &settings.kind {
            IdpKind::EntraId { tenant } => Some(tenant.as_str()),
            IdpKind::Oidc { .. } => None,
        };
        Self {
            id: &view.id,
            label: &view.label,
            kind: settings.map(|settings| settings.kind.as_str()),
            tenant: settings.and_then(tenant),
            issuer: settings.map(IdpSettings::issuer),
            client_id: settings.map(|settings| settings.client_id.as_str()),
            has_secret: settings.map(|settings| settings.has_secret),
            scopes: settings.map(|settings| settings.scopes.as_slice()),
            domains: settings.map(|settings| settings.domains.as_slice()),
            break_glass: settings.map(|settings| settings.break_glass),
            enforced: view.enforced,
            health: health(view.health),
            probe: view.probe.as_ref().map(|probe| ProbeDoc::new(&view.id, probe, times)),
        }
    }
}

const fn health(health: IdpHealth) -> &'static str {
    match health {
        IdpHealth::Unknown => "unknown",
        IdpHealth::Healthy => "healthy",
        IdpHealth::Unhealthy => "unhealthy",
    }
}

#[derive(Serialize)]
pub(super) struct ProbeDoc<'a> {
    idp: &'a IdpId,
    healthy: bool,
    at: String,
    checks: Vec<ProbeCheckDoc<'a>>,
}

#[derive(Serialize)]
struct ProbeCheckDoc<'a> {
    name: &'a str,
    ok: bool,
    detail: &'a str,
    millis: u64,
}

impl<'a> ProbeDoc<'a> {
    pub(super) fn new(idp: &'a IdpId, probe: &'a Probe, times: &Times) -> Self {
        let checks = probe.checks.iter().map(|check| ProbeCheckDoc {
            name: &check.name,
            ok: check.found.is_ok(),
            detail: match &check.found {
                Ok(text) | Err(text) => text,
            },
            millis: check.millis,
        });
        Self {
            idp,
            healthy: probe.is_healthy(),
            at: times.rfc3339(probe.at),
            checks: checks.collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ListDoc<'a> {
    idp: &'a IdpId,
    label: &'a str,
    enforced: bool,
    health: &'static str,
    listed_max: usize,
    listed: Vec<ListedDoc<'a>>,
    forecast: &'a str,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct ListedDoc<'a> {
    account: String,
    email: &'a str,
    role: Role,
    added_at: Option<String>,
    proven_at: Option<String>,
    proof_due: bool,
    stale: Option<Stale>,
    warning: Option<&'a str>,
}

impl<'a> ListDoc<'a> {
    pub(super) fn new(view: &'a IdpView, times: &Times) -> Self {
        Self {
            idp: &view.id,
            label: &view.label,
            enforced: view.enforced,
            health: health(view.health),
            listed_max: LISTED_MAX,
            listed: view.listed.iter().map(|listed| ListedDoc::new(listed, times)).collect(),
            forecast: &view.forecast,
            warnings: &view.warnings,
        }
    }
}

impl<'a> ListedDoc<'a> {
    fn new(view: &'a ListedView, times: &Times) -> Self {
        Self {
            account: view.account.to_string(),
            email: view.email.as_str(),
            role: view.role,
            added_at: view.added_at.map(|at| times.rfc3339(at)),
            proven_at: view.proven_at.map(|at| times.rfc3339(at)),
            proof_due: view.proof_due,
            stale: view.stale,
            warning: view.warning.as_deref(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct VaultDoc<'a> {
    backend: Backend,
    state: VaultState,
    detail: &'a str,
    names: &'a [SecretName],
}

impl<'a> VaultDoc<'a> {
    pub(super) fn new(status: &'a VaultStatus) -> Self {
        Self {
            backend: status.backend,
            state: status.state,
            detail: &status.detail,
            names: &status.names,
        }
    }
}

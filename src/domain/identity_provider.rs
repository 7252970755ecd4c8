//! Identity providers: where single sign-on happens, and when it is enforced.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::email::Email;
use super::id::{IdpId, SecretName};
use super::probe::Probe;

/// How to speak to one identity provider: what the configuration says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdpSettings {
    /// Its name.
    pub id: IdpId,
    /// What kind it is, and where.
    pub kind: IdpKind,
    /// The id under which this program is known there.
    pub client_id: String,
    /// Whether a client secret lies in the vault, under [`IdpSettings::secret_name`].
    pub has_secret: bool,
    /// What is asked for, beside `openid`.
    pub scopes: Vec<String>,
    /// The e-mail domains that it owns, lower case; none where it claims none.
    pub domains: Vec<String>,
    /// When listed operators may sign in by password.
    pub break_glass: BreakGlassMode,
}

impl IdpSettings {
    /// The issuer that its discovery document and its tokens must name, exactly.
    #[must_use]
    pub fn issuer(&self) -> String {
        match &self.kind {
            IdpKind::EntraId { tenant } => {
                format!("https://login.microsoftonline.com/{tenant}/v2.0")
            }
            IdpKind::Oidc { issuer } => issuer.clone(),
        }
    }

    /// Under which name its client secret lies in the vault; none where its own name is so long
    /// that there is none.
    #[must_use]
    pub fn secret_name(id: &IdpId) -> Option<SecretName> {
        format!("idp-{id}").parse().ok()
    }

    /// True where the address lies in one of its domains.
    #[must_use]
    pub fn owns(&self, email: &Email) -> bool {
        self.domains.iter().any(|domain| domain == email.domain())
    }
}

/// What kind of identity provider it is, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdpKind {
    /// Microsoft Entra ID.
    EntraId {
        /// The tenant's id, a UUID; `common` and the like are refused, since their issuer is a
        /// template.
        tenant: String,
    },
    /// Any `OpenID` provider with the device authorization grant (RFC 8628).
    Oidc {
        /// Its issuer, an `https` URL, or `http` on loopback.
        issuer: String,
    },
}

impl IdpKind {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::EntraId { .. } => "entra-id",
            Self::Oidc { .. } => "oidc",
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::EntraId { .. } => "Microsoft Entra ID",
            Self::Oidc { .. } => "OpenID Connect",
        }
    }
}

/// When listed operators may sign in by password while SSO is enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakGlassMode {
    /// At any time.
    #[default]
    Always,
    /// Only while the identity provider was seen not to work.
    OnlyWhileUnhealthy,
}

impl BreakGlassMode {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnlyWhileUnhealthy => "only-while-unhealthy",
        }
    }
}

/// How an identity provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdpHealth {
    /// Not looked at yet.
    Unknown,
    /// Everything that a sign-in needs is there.
    Healthy,
    /// Something that a sign-in needs is not there.
    Unhealthy,
}

impl IdpHealth {
    /// What a look says.
    #[must_use]
    pub fn of(probe: Option<&Probe>) -> Self {
        match probe {
            None => Self::Unknown,
            Some(probe) if probe.is_healthy() => Self::Healthy,
            Some(_) => Self::Unhealthy,
        }
    }

    /// The word on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "not looked at",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for IdpHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

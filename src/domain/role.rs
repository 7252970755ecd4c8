//! Roles, and what each may do. The engine asks here; a face may ask early for a kinder screen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What an operator is in the team. Each may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Requests and ends their own sessions and sees their own audit.
    Member,
    /// Also all sessions, providers, targets, break-glass lists, enforcement and the whole audit.
    Admin,
    /// Also accounts, roles and Owners.
    Owner,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Member, Self::Admin, Self::Owner];

    /// The word on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "Member",
            Self::Admin => "Admin",
            Self::Owner => "Owner",
        }
    }

    /// Decides whether this role may do something.
    ///
    /// # Errors
    ///
    /// Who may.
    pub fn may(self, ability: Ability) -> Result<(), RoleError> {
        let least = ability.least();
        if self >= least { Ok(()) } else { Err(RoleError { ability, role: self, least }) }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let named = |role: &Self| role.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or_else(|| UnknownRole(super::text::shown(text)))
    }
}

/// Something that not every role may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Request sessions, and end, extend and retry one's own.
    UseSessions,
    /// See the sessions of others, and end, extend and retry them.
    AllSessions,
    /// Switch, change or remove providers.
    Providers,
    /// See the whole audit and verify it.
    WholeAudit,
    /// See the operators and what they may.
    SeeOperators,
    /// Change a break-glass list.
    BreakGlassLists,
    /// Look at identity providers, enforce their SSO or stop.
    Enforcement,
    /// Add, change or remove identity providers. Who may say where people prove who they are could
    /// become any of them, an Owner too.
    IdentityProviders,
    /// Invite, reset and remove operators and give roles.
    Operators,
    /// Look after the vault.
    Vault,
    /// Stop the engine.
    StopEngine,
}

impl Ability {
    /// The least role that has it.
    #[must_use]
    pub const fn least(self) -> Role {
        match self {
            Self::UseSessions => Role::Member,
            Self::AllSessions
            | Self::Providers
            | Self::WholeAudit
            | Self::SeeOperators
            | Self::BreakGlassLists
            | Self::Enforcement
            | Self::StopEngine => Role::Admin,
            Self::IdentityProviders | Self::Operators | Self::Vault => Role::Owner,
        }
    }

    /// What it is, to stand behind "may".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UseSessions => "request sessions",
            Self::AllSessions => "see or end the sessions of others",
            Self::Providers => "change providers",
            Self::WholeAudit => "see the whole audit",
            Self::SeeOperators => "see the operators",
            Self::BreakGlassLists => "change a break-glass list",
            Self::Enforcement => "look at identity providers or enforce their SSO",
            Self::IdentityProviders => "add, change or remove identity providers",
            Self::Operators => "invite, reset or remove operators or give roles",
            Self::Vault => "look after the vault",
            Self::StopEngine => "stop the engine",
        }
    }
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("only {} may {}; you are {}", who(*.least), .ability.as_str(), one(*.role))]
pub struct RoleError {
    /// What was to be done.
    pub ability: Ability,
    /// Who tried.
    pub role: Role,
    /// The least role that may.
    pub least: Role,
}

/// Not a role.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no role; there are owner, admin and member")]
pub struct UnknownRole(String);

const fn who(least: Role) -> &'static str {
    match least {
        Role::Member => "a member of the team",
        Role::Admin => "an Admin or an Owner",
        Role::Owner => "an Owner",
    }
}

const fn one(role: Role) -> &'static str {
    match role {
        Role::Member => "a Member",
        Role::Admin => "an Admin",
        Role::Owner => "an Owner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_may() {
        assert_eq!(Role::Owner.may(Ability::Vault), Ok(()));
        assert_eq!(Role::Admin.may(Ability::BreakGlassLists), Ok(()));
        let said = |role: Role, ability| role.may(ability).unwrap_err().to_string();
        assert_eq!(
            said(Role::Admin, Ability::Operators),
            "only an Owner may invite, reset or remove operators or give roles; you are an Admin"
        );
        assert_eq!(
            said(Role::Member, Ability::AllSessions),
            "only an Admin or an Owner may see or end the sessions of others; you are a Member"
        );
    }

    #[test]
    fn a_role_is_read_in_any_case() {
        assert_eq!("oWNER".parse(), Ok(Role::Owner));
        let said = "root".parse::<Role>().unwrap_err().to_string();
        assert_eq!(said, "`root` is no role; there are owner, admin and member");
    }
}

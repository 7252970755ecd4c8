//! Who may sign in and who is, where single sign-on happens, and the vault: as the engine says.

use super::super::Check;
use super::super::facts::EngineFacts;
use crate::cli::vault;
use crate::domain::identity_provider::IdpHealth;
use crate::domain::probe::Probe;
use crate::domain::vault::{VaultState, VaultStatus};
use crate::protocol::{IdentityView, IdpView};

/// Every check of people, identity providers and the vault.
pub(super) fn all(found: &EngineFacts) -> Vec<Check> {
    let identity = &found.identity;
    if !identity.sign_in_needed {
        return vec![Check::ok("sign-in", "none is needed: this is a drill")];
    }
    let mut checks = vec![owner(identity), sign_in(identity)];
    checks.extend(identity.idps.iter().map(idp));
    checks.push(vault(found.vault.as_ref()));
    checks
}

fn owner(identity: &IdentityView) -> Check {
    if identity.owner_exists {
        return Check::ok("owner", "there is one");
    }
    Check::warn("owner", "there is none yet, so nothing opens", "breakglass init --email EMAIL")
}

fn sign_in(identity: &IdentityView) -> Check {
    match &identity.me {
        Some(me) => Check::ok("sign-in", format!("{} ({}) at this terminal", me.email, me.role)),
        None => Check::ok("sign-in", "nobody is signed in at this terminal: breakglass login"),
    }
}

fn idp(view: &IdpView) -> Check {
    let name = format!("idp {}", view.id);
    let fix = format!("breakglass idp validate {}", view.id);
    let sso = if view.enforced { "SSO enforced" } else { "SSO not enforced" };
    let trouble = view.probe.as_ref().and_then(Probe::trouble);
    let trouble = trouble.map_or(String::new(), |why| format!(": {why}"));
    match view.health {
        IdpHealth::Healthy => Check::ok(&name, format!("{sso}, healthy")),
        IdpHealth::Unknown => Check::warn(&name, format!("{sso}, not looked at yet"), fix),
        IdpHealth::Unhealthy if view.enforced => {
            let detail = format!("{sso}, unhealthy{trouble}; only break-glass users get in");
            Check::fail(&name, detail, fix)
        }
        IdpHealth::Unhealthy => Check::warn(&name, format!("{sso}, unhealthy{trouble}"), fix),
    }
}

fn vault(status: Option<&VaultStatus>) -> Check {
    let Some(status) = status else { return Check::ok("vault", super::UNTOLD) };
    let detail = format!("{} ({})", vault::state(status.state), status.detail);
    match status.state {
        VaultState::Locked => Check::warn("vault", detail, "breakglass vault unlock"),
        VaultState::Absent | VaultState::Open => Check::ok("vault", detail),
    }
}

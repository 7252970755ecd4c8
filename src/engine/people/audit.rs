//! What the audit gets of people.

use serde_json::{Value, json};

use crate::domain::account::Account;
use crate::domain::audit_event::{AuditDraft, Object, Outcome};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::probe::Probe;
use crate::engine::chronicle;
use crate::engine::shared::{Shared, Who};

/// An event about an operator.
pub(super) fn operator(
    shared: &Shared,
    who: &Who,
    kind: &str,
    what: &str,
    account: &Account,
) -> AuditDraft {
    let object = Object {
        kind: "operator".to_owned(),
        id: account.id.to_string(),
        name: account.email.to_string(),
    };
    chronicle::plain(shared, kind, what, who, Some(object))
}

/// An event about an address that somebody typed, whoever it may belong to.
pub(super) fn address(
    shared: &Shared,
    who: &Who,
    kind: &str,
    what: &str,
    email: &Email,
) -> AuditDraft {
    let object =
        Object { kind: "operator".to_owned(), id: email.to_string(), name: email.to_string() };
    chronicle::plain(shared, kind, what, who, Some(object))
}

/// An event about an identity provider.
pub(super) fn idp(shared: &Shared, who: &Who, kind: &str, what: &str, idp: &IdpId) -> AuditDraft {
    let object =
        Object { kind: "identity-provider".to_owned(), id: idp.to_string(), name: idp.to_string() };
    chronicle::plain(shared, kind, what, who, Some(object))
}

/// The event of a try to sign in that came to nothing.
pub(super) fn not_signed_in(
    shared: &Shared,
    who: &Who,
    what: &str,
    email: &Email,
    method: &str,
    is_break_glass: bool,
) -> AuditDraft {
    let mut draft = failed(address(shared, who, "auth.login.failure", what, email));
    draft.metadata = Some(json!({ "method": method, "isBreakGlassAccess": is_break_glass }));
    draft
}

/// The same event as a failure.
pub(super) fn failed(mut draft: AuditDraft) -> AuditDraft {
    draft.outcome = Outcome::Failure;
    draft
}

/// The same event with what changed.
pub(super) fn changed(mut draft: AuditDraft, before: Value, after: Value) -> AuditDraft {
    draft.changes = Some(json!({ "before": before, "after": after }));
    draft
}

/// What the audit says of an account before and after a change.
pub(super) fn of_account(account: &Account) -> Value {
    json!({
        "role": account.role,
        "member": account.member,
        "has_password": account.has_password(),
        "bound_to": account.binding.as_ref().map(|binding| &binding.idp),
    })
}

/// What a look at an identity provider showed, as evidence.
pub(super) fn evidence(idp: &IdpId, probe: Option<&Probe>) -> Value {
    let check = |check: &crate::domain::probe::ProbeCheck| {
        let (ok, said) = match &check.found {
            Ok(said) => (true, said),
            Err(said) => (false, said),
        };
        json!({ "check": check.name, "ok": ok, "said": said, "millis": check.millis })
    };
    json!({
        "idp": idp,
        "healthy": probe.map(Probe::is_healthy),
        "at": probe.map(|probe| probe.at.to_rfc3339()),
        "checks": probe.map(|probe| probe.checks.iter().map(check).collect::<Vec<_>>()),
    })
}

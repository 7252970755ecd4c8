//! How people look to faces.

use std::sync::{Arc, PoisonError};

use super::People;
use crate::domain::account::Account;
use crate::domain::break_glass_user::{Listing, stale, warning};
use crate::domain::identity_provider::{IdpHealth, IdpSettings};
use crate::domain::time::Timestamp;
use crate::identity::directory::Directory;
use crate::protocol::{IdentityView, IdpView, ListedView, OperatorView};

impl People {
    /// Makes how people look anew.
    pub(super) fn show(&self, directory: &Directory, now: Timestamp) {
        let before = self.view();
        let idps = directory.idps().iter().map(|idp| self.idp_view(directory, idp, now)).collect();
        let view = IdentityView {
            mode: self.mode,
            owner_exists: directory.has_owner(),
            sign_in_needed: before.sign_in_needed,
            me: None,
            idps,
        };
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    fn idp_view(&self, directory: &Directory, idp: &IdpSettings, now: Timestamp) -> IdpView {
        let list = directory.list(&idp.id);
        let forecast = directory.forecast(&idp.id, now);
        let probe = self.probe(&idp.id);
        let listed = list.listed.iter().filter_map(|listing| {
            Some(self::listed(directory.account(listing.account)?, Some(listing), now))
        });
        let health = IdpHealth::of(probe.as_ref());
        let mut warnings: Vec<_> = forecast.warnings.iter().map(ToString::to_string).collect();
        if list.enforced && health == IdpHealth::Unhealthy && forecast.usable == 0 {
            // No longer what might be.
            let id = &idp.id;
            warnings.insert(0, format!(
                "{id} does not work NOW and nobody listed can enter: whom it governs is locked out; \
                 who is signed in lets them in: breakglass idp unenforce {id}"
            ));
        }
        IdpView {
            id: idp.id.clone(),
            label: idp.kind.label().to_owned(),
            settings: Some(idp.clone()),
            enforced: list.enforced,
            health,
            listed: listed.collect(),
            forecast: forecast.to_string(),
            warnings,
            probe,
        }
    }
}

/// One operator as they stand on a list, or would.
pub(super) fn listed(account: &Account, listing: Option<&Listing>, now: Timestamp) -> ListedView {
    ListedView {
        account: account.id,
        email: account.email.clone(),
        role: account.role,
        added_at: listing.map(|listing| listing.added_at),
        proven_at: listing.and_then(|listing| listing.proven_at),
        proof_due: listing.is_none_or(|listing| listing.proof_is_due(now)),
        stale: stale(account),
        warning: warning(account.role).map(str::to_owned),
    }
}

/// One operator.
pub(super) fn operator(directory: &Directory, account: &Account) -> OperatorView {
    let on = |idp: &&IdpSettings| directory.list(&idp.id).listing(account.id).is_some();
    OperatorView {
        account: account.id,
        email: account.email.clone(),
        role: account.role,
        member: account.member,
        has_password: account.has_password(),
        bound_to: account.binding.as_ref().map(|binding| binding.idp.clone()),
        code_expires_at: account.code.as_ref().map(|code| code.expires_at),
        listed: directory.idps().iter().filter(on).map(|idp| idp.id.clone()).collect(),
        created_at: account.created_at,
    }
}

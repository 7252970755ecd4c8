//! All operators and lists in memory, and every change to them as a decision.
//!
//! ```text
//!  records of the store ──► put_account, put_list ──► Directory ──► decide: what would change
//!           ▲                                                             │
//!           └────────── made durable, then put back ◄─────────────────────┘
//! ```
//!
//! Rules that hold in every line below:
//!
//! 1. **Deciding changes nothing.** A decision returns the changed record; the engine makes it
//!    durable and puts it back.
//! 2. **An account is never taken out.** Who is removed and invited again has the same one.
//! 3. **Somebody can always repair things.** The last Owner who can sign in stays, and nobody
//!    loses the last way around an enforced identity provider without having said so.
//!
//! - [`operators`]: inviting, removing, roles, passwords, bindings.
//! - [`lists`]: break-glass lists, enforcement, proofs.
//!
//! Not here: who may ask for a change (`domain::role`), and when sign-ins end because of one.

pub mod lists;
pub mod operators;

use std::collections::BTreeMap;

use super::SsoIdentity;
use super::forecast::{Entrant, Forecast};
use super::login::{self, IdpFacts, Refusal, SsoFacts, SsoMatch, SsoRefusal, Verdict};
use crate::domain::account::{Account, AccountId, Binding};
use crate::domain::break_glass_user::{BreakGlassList, Listing};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::{IdpHealth, IdpSettings};
use crate::domain::role::Role;
use crate::domain::time::Timestamp;

/// All that is known of operators, lists and identity providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    accounts: BTreeMap<AccountId, Account>,
    by_email: BTreeMap<Email, AccountId>,
    by_binding: BTreeMap<Binding, AccountId>,
    lists: BTreeMap<IdpId, BreakGlassList>,
    idps: Vec<IdpSettings>,
}

impl Directory {
    /// Makes a directory of what the store and the configuration hold.
    #[must_use]
    pub fn new(
        accounts: impl IntoIterator<Item = Account>,
        lists: impl IntoIterator<Item = BreakGlassList>,
        idps: Vec<IdpSettings>,
    ) -> Self {
        let mut directory = Self { idps, ..Self::default() };
        accounts.into_iter().for_each(|account| directory.put_account(account));
        lists.into_iter().for_each(|list| directory.put_list(list));
        directory
    }

    /// Takes in an account as it has become.
    pub fn put_account(&mut self, account: Account) {
        if let Some(before) = self.accounts.get(&account.id) {
            self.by_email.remove(&before.email);
            if let Some(binding) = &before.binding {
                self.by_binding.remove(binding);
            }
        }
        self.by_email.insert(account.email.clone(), account.id);
        if let Some(binding) = account.binding.clone() {
            self.by_binding.insert(binding, account.id);
        }
        self.accounts.insert(account.id, account);
    }

    /// Takes in a list as it has become.
    pub fn put_list(&mut self, list: BreakGlassList) {
        self.lists.insert(list.idp.clone(), list);
    }

    /// Takes in that an identity provider has no list any more.
    pub fn forget_list(&mut self, idp: &IdpId) {
        self.lists.remove(idp);
    }

    /// Takes in the identity providers as they are configured.
    pub fn put_idps(&mut self, idps: Vec<IdpSettings>) {
        self.idps = idps;
    }

    /// The account of an id.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// The account of an address.
    #[must_use]
    pub fn by_email(&self, email: &Email) -> Option<&Account> {
        self.account(*self.by_email.get(email)?)
    }

    /// Every account in the order of addresses, also those that have left the team.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.by_email.values().filter_map(|id| self.accounts.get(id))
    }

    /// The accounts whose address or role holds a text, in the order of addresses.
    pub fn holding(&self, part: &str) -> impl Iterator<Item = &Account> {
        let part = part.trim().to_lowercase();
        self.accounts().filter(move |account| {
            account.email.as_str().contains(&part)
                || account.role.as_str().to_lowercase().contains(&part)
        })
    }

    /// True once there is an Owner of the team: until then there is nothing to sign in to.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.accounts.values().any(|account| account.member && account.role == Role::Owner)
    }

    /// True where an address stands on some list.
    #[must_use]
    pub fn is_listed(&self, email: &Email) -> bool {
        let account = self.by_email(email).map(|account| account.id);
        account.is_some_and(|id| self.lists.values().any(|list| list.listing(id).is_some()))
    }

    /// True where some Owner could sign in without an identity provider: by password, or by another.
    #[must_use]
    pub fn has_owner_without(&self, idp: &IdpId) -> bool {
        let bound = |account: &Account| {
            account.binding.as_ref().is_some_and(|to| to.idp != *idp && self.idp(&to.idp).is_some())
        };
        let owners = self.accounts.values().filter(|it| it.member && it.role == Role::Owner);
        owners.into_iter().any(|owner| owner.has_password() || bound(owner))
    }

    /// The identity providers that are configured, in the order of the file.
    #[must_use]
    pub fn idps(&self) -> &[IdpSettings] {
        &self.idps
    }

    /// One that is configured.
    #[must_use]
    pub fn idp(&self, id: &IdpId) -> Option<&IdpSettings> {
        self.idps.iter().find(|idp| idp.id == *id)
    }

    /// The list of an identity provider; an empty one where none was kept.
    #[must_use]
    pub fn list(&self, idp: &IdpId) -> BreakGlassList {
        self.lists.get(idp).cloned().unwrap_or_else(|| BreakGlassList::new(idp.clone()))
    }

    /// What the rule must know of every configured identity provider.
    pub fn facts(
        &self,
        account: Option<&Account>,
        health: impl Fn(&IdpId) -> IdpHealth,
    ) -> Vec<IdpFacts<'_>> {
        let facts = |settings: &'_ IdpSettings| {
            let list = self.lists.get(&settings.id);
            let listing = list.zip(account).and_then(|(list, account)| list.listing(account.id));
            let enforced = list.is_some_and(|list| list.enforced);
            (enforced, health(&settings.id), listing.is_some())
        };
        let all = self.idps.iter().map(|settings| {
            let (enforced, health, listed) = facts(settings);
            IdpFacts { settings, enforced, health, listed }
        });
        all.collect()
    }

    /// Decides on a try by password ([`login::decide`]).
    pub fn decide(
        &self,
        address: &Email,
        health: impl Fn(&IdpId) -> IdpHealth,
        password_right: bool,
    ) -> Verdict {
        let account = self.by_email(address);
        login::decide(account, address, &self.facts(account, health), password_right)
    }

    /// Decides whom a proven identity means ([`login::bind_or_match`]).
    ///
    /// # Errors
    ///
    /// Why it means nobody.
    pub fn sign_on(&self, identity: &SsoIdentity, idp: &IdpId) -> Result<SsoMatch, SsoRefusal> {
        let bound = self.by_binding.get(&login::binding(identity, idp));
        let facts = SsoFacts {
            bound: bound.and_then(|id| self.account(*id)),
            invited: identity.email.as_ref().and_then(|email| self.by_email(email)),
            idps: &self.idps,
        };
        login::bind_or_match(identity, idp, facts)
    }

    /// Who could enter if an identity provider failed now, with its SSO enforced.
    ///
    /// The others are taken to fail too: somebody who needs another that works is no way around.
    #[must_use]
    pub fn forecast(&self, idp: &IdpId, now: Timestamp) -> Forecast {
        let list = self.list(idp);
        let entrant = |listing: &Listing| match self.account(listing.account) {
            Some(account) => {
                let barred = self.barred(idp, &list, account);
                Entrant::new(account.email.to_string(), account.role, barred, listing)
            }
            None => {
                let barred = Some("has no account".to_owned());
                Entrant::new(listing.account.to_string(), Role::Member, barred, listing)
            }
        };
        let entrants: Vec<_> = list.listed.iter().map(entrant).collect();
        Forecast::new(idp.clone(), list.enforced, &entrants, now)
    }

    /// The operators of a list who could enter if its identity provider failed, as the list would
    /// be.
    fn usable(&self, list: &BreakGlassList) -> Vec<AccountId> {
        let accounts = list.listed.iter().filter_map(|listing| self.account(listing.account));
        let usable = accounts.filter(|account| self.barred(&list.idp, list, account).is_none());
        usable.map(|account| account.id).collect()
    }

    /// Why somebody on a list could not enter if its identity provider failed; none where they
    /// could.
    fn barred(&self, idp: &IdpId, list: &BreakGlassList, account: &Account) -> Option<String> {
        let mut facts = self.facts(Some(account), |_| IdpHealth::Unhealthy);
        for fact in facts.iter_mut().filter(|fact| fact.settings.id == *idp) {
            fact.enforced = true;
            fact.listed = list.listing(account.id).is_some();
        }
        match login::decide(Some(account), &account.email, &facts, true) {
            Verdict::Admitted { .. } => None,
            Verdict::Refused { refusal: Refusal::StaleListing { why, .. }, .. } => {
                Some(why.as_str().to_owned())
            }
            Verdict::Refused { refusal, .. } => Some(refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;

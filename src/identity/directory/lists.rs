//! Decisions on break-glass lists: who is on one, whether SSO is enforced, and proofs.

use thiserror::Error;

use super::Directory;
use crate::domain::account::AccountId;
use crate::domain::break_glass_user::{BreakGlassList, ListError, Listing, Stale, stale};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::time::Timestamp;

/// Why a list does not change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ListChangeError {
    /// No such identity provider is configured.
    #[error("`{0}` is not configured; breakglass idp list shows what is")]
    UnknownIdp(IdpId),
    /// These cannot be added, or are not there to be removed; nothing was changed.
    #[error("the list of `{idp}` stays as it is: {}", said(.entries))]
    Entries {
        /// Whose list.
        idp: IdpId,
        /// Who, and why not, in the order in which they were given.
        entries: Vec<(Email, EntryError)>,
    },
    /// Nobody could enter while the identity provider fails.
    #[error(
        "with SSO enforced, nobody listed for `{0}` could enter by password: its failure would lock out all whom it governs; type its name to confirm that"
    )]
    NobodyCouldEnter(IdpId),
    /// A proof by somebody who is not listed.
    #[error("you are not listed for `{0}`, so there is nothing to prove")]
    NotListed(IdpId),
    /// A proof by somebody whose listing counts for nothing.
    #[error("your listing for `{0}` counts for nothing: the operator {why}", why = .1.as_str())]
    Stale(IdpId, Stale),
}

/// Why one entry cannot be added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Cannot be added.
    #[error(transparent)]
    Add(#[from] ListError),
    /// Cannot be removed.
    #[error("this user is not on the list")]
    NotThere,
}

impl EntryError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Add(error) => error.remedy(),
            Self::NotThere => "nothing is to be done",
        }
    }
}

impl Directory {
    /// Decides on one save of an edited list: first these are removed, then those added, all of
    /// them or none.
    ///
    /// Who is removed and added in one save is listed anew, without the proof.
    ///
    /// # Errors
    ///
    /// [`ListChangeError::UnknownIdp`]; [`ListChangeError::Entries`] with everybody who is in the
    /// way; [`ListChangeError::NobodyCouldEnter`] where SSO is enforced, the last who could enter
    /// would go, and that was not `confirmed`.
    pub fn change_list(
        &self,
        idp: &IdpId,
        add: &[Email],
        remove: &[Email],
        confirmed: bool,
        now: Timestamp,
    ) -> Result<BreakGlassList, ListChangeError> {
        self.configured(idp)?;
        let before = self.list(idp);
        let mut after = before.clone();
        let mut entries = vec![];
        for email in remove {
            let known = self.by_email(email).map(|account| account.id);
            let listed = after.listed.len();
            after.listed.retain(|listing| Some(listing.account) != known);
            if after.listed.len() == listed {
                entries.push((email.clone(), EntryError::NotThere));
            }
        }
        for email in add {
            match after.admits(self.by_email(email)) {
                Ok(account) => {
                    after.listed.push(Listing { account, added_at: now, proven_at: None });
                }
                Err(error) => entries.push((email.clone(), error.into())),
            }
        }
        if !entries.is_empty() {
            return Err(ListChangeError::Entries { idp: idp.clone(), entries });
        }
        let loses = || !self.usable(&before).is_empty() && self.usable(&after).is_empty();
        if after.enforced && !confirmed && loses() {
            return Err(ListChangeError::NobodyCouldEnter(idp.clone()));
        }
        Ok(after)
    }

    /// Decides on turning enforcement on or off. A list that is so already stays as it is.
    ///
    /// # Errors
    ///
    /// [`ListChangeError::UnknownIdp`]; [`ListChangeError::NobodyCouldEnter`] where it is turned
    /// on, nobody listed could enter, and that was not `confirmed`.
    pub fn enforce(
        &self,
        idp: &IdpId,
        on: bool,
        confirmed: bool,
    ) -> Result<BreakGlassList, ListChangeError> {
        self.configured(idp)?;
        let list = self.list(idp);
        if on && !list.enforced && !confirmed && self.usable(&list).is_empty() {
            return Err(ListChangeError::NobodyCouldEnter(idp.clone()));
        }
        Ok(BreakGlassList { enforced: on, ..list })
    }

    /// Notes that a listed operator signed in by password on purpose.
    ///
    /// # Errors
    ///
    /// [`ListChangeError::UnknownIdp`], [`ListChangeError::NotListed`],
    /// [`ListChangeError::Stale`].
    pub fn prove(
        &self,
        idp: &IdpId,
        id: AccountId,
        now: Timestamp,
    ) -> Result<BreakGlassList, ListChangeError> {
        self.configured(idp)?;
        let not_listed = || ListChangeError::NotListed(idp.clone());
        let account = self.account(id).ok_or_else(not_listed)?;
        let mut list = self.list(idp);
        let listing = list.listed.iter_mut().find(|listing| listing.account == id);
        listing.ok_or_else(not_listed)?.proven_at = Some(now);
        match stale(account) {
            Some(why) => Err(ListChangeError::Stale(idp.clone(), why)),
            None => Ok(list),
        }
    }

    fn configured(&self, idp: &IdpId) -> Result<(), ListChangeError> {
        let found = self.idp(idp).map(|_| ());
        found.ok_or_else(|| ListChangeError::UnknownIdp(idp.clone()))
    }
}

fn said(entries: &[(Email, EntryError)]) -> String {
    let said = entries.iter().map(|(email, error)| format!("`{email}`: {error}"));
    said.collect::<Vec<_>>().join("; ")
}

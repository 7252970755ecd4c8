//! Break-glass users: operators listed for one identity provider who may sign in by password while
//! its SSO is enforced. A listing, not a special account.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::account::{Account, AccountId};
use super::id::IdpId;
use super::role::Role;
use super::time::{Span, Timestamp};

/// The most operators that one identity provider's list may hold.
pub const LISTED_MAX: usize = 5;

/// Fewer than this are shown as a warning: one person may be ill or asleep.
pub const LISTED_WISE: usize = 2;

/// After this long a proof is asked for again.
pub const PROOF_LIFE: Span = Span::from_hours(90 * 24);

/// What the store keeps of one identity provider: whether SSO is enforced, and who is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassList {
    /// The identity provider.
    pub idp: IdpId,
    /// Whether its SSO is enforced.
    pub enforced: bool,
    /// Who is listed, in the order in which they were added.
    pub listed: Vec<Listing>,
}

/// One operator on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Whose account.
    pub account: AccountId,
    /// Since when.
    pub added_at: Timestamp,
    /// When they last signed in by password on purpose, to show that it works.
    pub proven_at: Option<Timestamp>,
}

impl Listing {
    /// How long ago that was, or that it never was, where it is time for a proof.
    #[must_use]
    pub fn proof_is_due(&self, now: Timestamp) -> bool {
        self.proven_at.is_none_or(|at| now.since(at) >= PROOF_LIFE)
    }
}

impl BreakGlassList {
    /// An empty list of an identity provider whose SSO is not enforced.
    #[must_use]
    pub const fn new(idp: IdpId) -> Self {
        Self { idp, enforced: false, listed: vec![] }
    }

    /// The listing of an account.
    #[must_use]
    pub fn listing(&self, account: AccountId) -> Option<&Listing> {
        self.listed.iter().find(|listing| listing.account == account)
    }

    /// Decides whether an operator may be listed, in this order: known, with a password, of the
    /// team, not listed already, and a place free.
    ///
    /// `account` is what was found for the address that somebody typed.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn admits(&self, account: Option<&Account>) -> Result<AccountId, ListError> {
        let account = account.ok_or(ListError::Unknown)?;
        if self.listing(account.id).is_some() {
            return Err(ListError::Already);
        }
        match stale(account) {
            Some(Stale::NoPassword) => return Err(ListError::NoPassword),
            Some(Stale::NotMember) => return Err(ListError::NotMember),
            None => {}
        }
        if self.listed.len() >= LISTED_MAX {
            return Err(ListError::Full(self.listed.len()));
        }
        Ok(account.id)
    }
}

/// Why a listing counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stale {
    /// The operator has left the team.
    NotMember,
    /// The operator has no password any more.
    NoPassword,
}

impl Stale {
    /// The words on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotMember => "has left the team",
            Self::NoPassword => "has no password",
        }
    }
}

/// Returns why a listing of this account counts for nothing; none where it counts.
#[must_use]
pub const fn stale(account: &Account) -> Option<Stale> {
    if !account.member {
        Some(Stale::NotMember)
    } else if account.has_password() {
        None
    } else {
        Some(Stale::NoPassword)
    }
}

/// Returns what to warn of when an operator of this role is listed.
#[must_use]
pub const fn warning(role: Role) -> Option<&'static str> {
    match role {
        Role::Member => Some("a Member can get in, but cannot repair SSO"),
        Role::Admin | Role::Owner => None,
    }
}

/// Why an operator cannot be listed. The words are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    /// Nobody has that address.
    #[error("this user does not exist")]
    Unknown,
    /// No password is set.
    #[error("this user has no password configured")]
    NoPassword,
    /// Not of the team.
    #[error("this user is not a member of this team")]
    NotMember,
    /// Five are listed.
    #[error("maximum number reached ({0} of {LISTED_MAX})")]
    Full(usize),
    /// On the list already.
    #[error("this user is already added")]
    Already,
}

impl ListError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unknown => "check the address, or invite them: breakglass operators invite EMAIL",
            Self::NoPassword => "they set one themselves: breakglass password set",
            Self::NotMember => "an Owner invites them back: breakglass operators invite EMAIL",
            Self::Full(_) => "remove somebody first",
            Self::Already => "nothing is to be done",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::PasswordHash;

    fn account(number: u8) -> Account {
        Account {
            id: AccountId::new(Timestamp::from_millis(1), [number; 10]),
            email: format!("user{number}@example.com").parse().unwrap(),
            role: Role::Admin,
            member: true,
            password: Some(PasswordHash::new("$argon2id$".into())),
            binding: None,
            code: None,
            created_at: Timestamp::from_millis(1),
        }
    }

    fn list(numbers: std::ops::Range<u8>) -> BreakGlassList {
        let listed = numbers.map(|number| Listing {
            account: account(number).id,
            added_at: Timestamp::from_millis(1),
            proven_at: None,
        });
        BreakGlassList { listed: listed.collect(), ..BreakGlassList::new("entra".parse().unwrap()) }
    }

    #[test]
    fn each_of_the_five_rules_refuses_in_its_own_words() {
        let said = |list: &BreakGlassList, account: Option<&Account>| {
            let error = list.admits(account).unwrap_err();
            format!("{error}: {}", error.remedy())
        };
        let without = Account { password: None, ..account(1) };
        let left = Account { member: false, ..account(1) };
        let lines = [
            said(&list(0..0), None),
            said(&list(0..0), Some(&without)),
            said(&list(0..0), Some(&left)),
            said(&list(0..5), Some(&account(9))),
            said(&list(0..5), Some(&account(4))),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        this user does not exist: check the address, or invite them: breakglass operators invite EMAIL
        this user has no password configured: they set one themselves: breakglass password set
        this user is not a member of this team: an Owner invites them back: breakglass operators invite EMAIL
        maximum number reached (5 of 5): remove somebody first
        this user is already added: nothing is to be done
        ");
        assert_eq!(list(0..4).admits(Some(&account(4))), Ok(account(4).id));
    }

    #[test]
    fn a_list_that_was_loaded_with_more_takes_nobody_in() {
        assert_eq!(list(0..7).admits(Some(&account(8))), Err(ListError::Full(7)));
    }

    #[test]
    fn a_listing_counts_only_with_a_password_and_in_the_team() {
        assert_eq!(stale(&account(1)), None);
        assert_eq!(stale(&Account { password: None, ..account(1) }), Some(Stale::NoPassword));
        assert_eq!(stale(&Account { member: false, ..account(1) }), Some(Stale::NotMember));
    }

    #[test]
    fn a_proof_is_due_after_ninety_days_and_where_there_was_none() {
        let mut one = list(0..1).listed.remove(0);
        let now = Timestamp::from_millis(90 * 86_400_000);
        assert!(one.proof_is_due(now));
        one.proven_at = Some(Timestamp::from_millis(1));
        assert!(!one.proof_is_due(now));
        one.proven_at = Some(Timestamp::from_millis(0));
        assert!(one.proof_is_due(now));
    }
}

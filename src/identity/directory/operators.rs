//! Decisions on operators: inviting, removing, roles, passwords, bindings.

use thiserror::Error;

use super::Directory;
use crate::domain::account::{Account, AccountId, Binding, PasswordHash};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;
use crate::identity::codes::{CODE_RANDOM_BYTES, Code, CodeError};
use crate::identity::login::names;

/// Why an account does not change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DirectoryError {
    /// An Owner is there, so nobody becomes one by being first.
    #[error("there is an Owner already; an Owner invites you: breakglass operators invite EMAIL")]
    HasOwner,
    /// The address belongs to a member of the team.
    #[error("`{0}` is an operator already; for a new password: breakglass operators reset EMAIL")]
    Exists(Email),
    /// No account.
    #[error("this user does not exist; breakglass operators list shows who does")]
    Unknown,
    /// Not of the team.
    #[error("`{0}` has left the team; to bring them back: breakglass operators invite EMAIL")]
    NotMember(Email),
    /// Nobody could repair roles.
    #[error(
        "`{0}` is the last Owner who can sign in; make another first: breakglass operators role EMAIL owner"
    )]
    LastOwner(Email),
    /// The last way around SSO that is enforced.
    #[error("`{email}` is the last who can enter while {} fails, and its SSO is enforced; type the address to confirm that", names(.idps))]
    LastUsable {
        /// Who.
        email: Email,
        /// Where.
        idps: Vec<IdpId>,
    },
    /// The account has another identity.
    #[error("`{0}` is bound to another SSO identity")]
    Bound(Email),
    /// The identity has another account.
    #[error("this SSO identity belongs to `{0}`")]
    Taken(Email),
    /// The password was changed while its hash was made anew.
    #[error("the password was changed meanwhile")]
    Changed,
    /// A one-time code that opens nothing.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// Random bytes for an invite.
#[derive(Clone, Copy)]
pub struct InviteRandom {
    /// For the account's id.
    pub id: [u8; 10],
    /// For the one-time code.
    pub code: [u8; CODE_RANDOM_BYTES],
}

/// An operator who was invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The account as it becomes.
    pub account: Account,
    /// What the Owner hands over; shown once.
    pub code: Code,
    /// On whose lists they stand still from an earlier time; that counts again once they have a
    /// password, so the Owner is told.
    pub listed: Vec<IdpId>,
}

impl Directory {
    /// Makes the first Owner.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::HasOwner`].
    pub fn first_owner(
        &self,
        email: Email,
        password: PasswordHash,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<Account, DirectoryError> {
        if self.has_owner() {
            return Err(DirectoryError::HasOwner);
        }
        let account = self.anew(email, Role::Owner, now, random);
        Ok(Account { password: Some(password), ..account })
    }

    /// Invites somebody, or brings somebody back who has left the team: the same account, with
    /// nothing of what they had.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Exists`].
    pub fn invite(
        &self,
        email: Email,
        role: Role,
        now: Timestamp,
        random: InviteRandom,
    ) -> Result<Invite, DirectoryError> {
        if self.by_email(&email).is_some_and(|account| account.member) {
            return Err(DirectoryError::Exists(email));
        }
        let (code, kept) = Code::issue(random.code, now);
        let account = Account { code: Some(kept), ..self.anew(email, role, now, random.id) };
        let lists = self.lists.values().filter(|list| list.listing(account.id).is_some());
        let listed = lists.map(|list| list.idp.clone()).collect();
        Ok(Invite { account, code, listed })
    }

    /// Makes a one-time code for somebody who needs a new password. What they have works until it
    /// is redeemed, and a code that was out works no more.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`], [`DirectoryError::NotMember`].
    pub fn reset(
        &self,
        id: AccountId,
        now: Timestamp,
        random: [u8; CODE_RANDOM_BYTES],
    ) -> Result<(Account, Code), DirectoryError> {
        let account = self.member(id)?;
        let (code, kept) = Code::issue(random, now);
        Ok((Account { code: Some(kept), ..account.clone() }, code))
    }

    /// Decides whether a code opens the account of an address, before a password is asked for.
    ///
    /// # Errors
    ///
    /// [`CodeError::Wrong`], also where there is no such account, or [`CodeError::Expired`].
    pub fn check_code(
        &self,
        address: &Email,
        code: &Code,
        now: Timestamp,
    ) -> Result<&Account, CodeError> {
        let account = self.by_email(address).filter(|account| account.member);
        code.opens(account.and_then(|account| account.code.as_ref()), now)?;
        account.ok_or(CodeError::Wrong)
    }

    /// Sets a password by a one-time code, which is looked at once more: of two at once, one is
    /// late.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Code`].
    pub fn redeem(
        &self,
        address: &Email,
        code: &Code,
        password: PasswordHash,
        now: Timestamp,
    ) -> Result<Account, DirectoryError> {
        let account = self.check_code(address, code, now)?;
        Ok(Account { password: Some(password), code: None, ..account.clone() })
    }

    /// Sets somebody's own password; a code that was out works no more.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Unknown`], [`DirectoryError::NotMember`].
    pub fn set_password(
        &self,
        id: AccountId,
        password: PasswordHash,
    ) -> Result<Account, DirectoryError> {
        let account = self.member(id)?;
        Ok(Account { password: Some(password), code: None, ..account.clone() })
    }

    /// Puts a hash of the same password in the place of one of another cost.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Changed`] where the password is not the one that was compared;
    /// [`DirectoryError::Unknown`], [`DirectoryError::NotMember`].
    pub fn rehash(
        &self,
        id: AccountId,
        before: &PasswordHash,
        after: PasswordHash,
    ) -> Result<Account, DirectoryError> {
        let account = self.member(id)?;
        if account.password.as_ref() != Some(before) {
            return Err(DirectoryError::Changed);
        }
        Ok(Account { password: Some(after), ..account.clone() })
    }

    /// Gives somebody a role.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::LastOwner`], [`DirectoryError::Unknown`], [`DirectoryError::NotMember`].
    pub fn set_role(&self, id: AccountId, role: Role) -> Result<Account, DirectoryError> {
        let account = self.member(id)?;
        if role != Role::Owner {
            self.another_owner(account)?;
        }
        Ok(Account { role, ..account.clone() })
    }

    /// Takes somebody out of the team: password, binding and code go, the account stays, and so do
    /// its listings, which count for nothing.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::LastOwner`]; [`DirectoryError::LastUsable`] unless `confirmed`;
    /// [`DirectoryError::Unknown`], [`DirectoryError::NotMember`].
    pub fn remove(&self, id: AccountId, confirmed: bool) -> Result<Account, DirectoryError> {
        let account = self.member(id)?;
        self.another_owner(account)?;
        let idps = self.relying_on(id);
        if !confirmed && !idps.is_empty() {
            return Err(DirectoryError::LastUsable { email: account.email.clone(), idps });
        }
        Ok(Account { member: false, password: None, binding: None, code: None, ..account.clone() })
    }

    /// Binds an account to an SSO identity, at the first sign-on.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Bound`], [`DirectoryError::Taken`], [`DirectoryError::Unknown`],
    /// [`DirectoryError::NotMember`].
    pub fn bind(&self, id: AccountId, binding: Binding) -> Result<Account, DirectoryError> {
        let account = self.member(id)?;
        if account.binding.as_ref().is_some_and(|bound| *bound != binding) {
            return Err(DirectoryError::Bound(account.email.clone()));
        }
        let holder = self.by_binding.get(&binding).filter(|holder| **holder != id);
        if let Some(holder) = holder.and_then(|holder| self.account(*holder)) {
            return Err(DirectoryError::Taken(holder.email.clone()));
        }
        Ok(Account { binding: Some(binding), ..account.clone() })
    }

    fn member(&self, id: AccountId) -> Result<&Account, DirectoryError> {
        let account = self.account(id).ok_or(DirectoryError::Unknown)?;
        let member = account.member.then_some(account);
        member.ok_or_else(|| DirectoryError::NotMember(account.email.clone()))
    }

    /// An account without a past, or the one of that address that has left the team.
    fn anew(&self, email: Email, role: Role, now: Timestamp, random: [u8; 10]) -> Account {
        let before = self.by_email(&email);
        Account {
            id: before.map_or_else(|| AccountId::new(now, random), |account| account.id),
            role,
            member: true,
            password: None,
            binding: None,
            code: None,
            created_at: before.map_or(now, |account| account.created_at),
            email,
        }
    }

    /// Refuses where this account is an Owner and no other Owner can sign in.
    fn another_owner(&self, account: &Account) -> Result<(), DirectoryError> {
        let able = |other: &Account| {
            let bound = other.binding.as_ref().is_some_and(|to| self.idp(&to.idp).is_some());
            other.member && other.role == Role::Owner && (other.has_password() || bound)
        };
        let others = || self.accounts.values().filter(|other| other.id != account.id);
        if account.role == Role::Owner && !others().any(able) {
            return Err(DirectoryError::LastOwner(account.email.clone()));
        }
        Ok(())
    }

    /// The identity providers that enforce SSO and for which nobody else could enter.
    fn relying_on(&self, id: AccountId) -> Vec<IdpId> {
        let enforced = self.idps.iter().filter_map(|idp| self.lists.get(&idp.id));
        let enforced = enforced.filter(|list| list.enforced && self.usable(list) == [id]);
        enforced.map(|list| list.idp.clone()).collect()
    }
}

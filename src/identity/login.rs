//! The rule: who is let in by password, and whom a single sign-on speaks of.
//!
//! ```text
//!  who governs?   the IdP that the account is bound to
//!                 else those that own the address's domain
//!                 else those that claim no domain
//!  which enforce? a listing is needed with each of them that enforces
//!                 nobody governs, and any enforces: a listing with any that does
//!  then           of the team? password right?
//! ```
//!
//! Rules that hold in every line below:
//!
//! 1. **A listing counts or it does not.** It counts where its account has a password and belongs
//!    to the team; a stale one is none.
//! 2. **Nothing that an outsider reads depends on an account.** [`said`] is given none, and reads
//!    no listing.
//! 3. **An address binds nobody by itself.** A sign-on goes by `iss` and `sub`; the address finds
//!    an invite once, and only where the identity provider owns its domain.
//!
//! Not here: hashing ([`super::hashing`]), waiting after failures ([`super::lockout`]).

use thiserror::Error;

use super::SsoIdentity;
use crate::domain::account::{Account, AccountId, Binding};
use crate::domain::break_glass_user::{Stale, stale};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::{BreakGlassMode, IdpHealth, IdpSettings};

/// What the rule must know of one configured identity provider.
#[derive(Clone, Copy, Debug)]
pub struct IdpFacts<'a> {
    /// What the configuration says of it.
    pub settings: &'a IdpSettings,
    /// Whether its SSO is enforced.
    pub enforced: bool,
    /// How it does. [`IdpHealth::Unknown`] opens no list that is open only while it fails: look
    /// first, then ask.
    pub health: IdpHealth,
    /// Whether the account stands on its list, stale or not; false where there is no account.
    pub listed: bool,
}

/// What the rule says to a try by password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let in.
    Admitted {
        /// Those that enforce SSO and whose listing was needed; empty where nothing was in the
        /// way.
        bypass: Vec<IdpId>,
    },
    /// Not let in.
    Refused {
        /// Why, for the audit alone.
        refusal: Refusal,
        /// Whether it was a try at the bypass: enforced, and listed wherever that is needed.
        is_break_glass: bool,
        /// What the person reads.
        said: String,
    },
}

impl Verdict {
    /// `isBreakGlassAccess`: the bypass was needed and there was a listing for it.
    #[must_use]
    pub const fn is_break_glass(&self) -> bool {
        match self {
            Self::Admitted { bypass } => !bypass.is_empty(),
            Self::Refused { is_break_glass, .. } => *is_break_glass,
        }
    }
}

/// Why somebody was not let in by password. The audit says it; the person reads [`said`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No account has that address.
    #[error("no account has that address")]
    UnknownAddress,
    /// SSO is enforced by these, and the operator is not on their lists.
    #[error("SSO is enforced and the operator is not listed for {}", names(.0))]
    NotListed(Vec<IdpId>),
    /// SSO is enforced by these, and the listing counts for nothing.
    #[error("SSO is enforced and the listing for {} is stale: the operator {}", names(.idps), .why.as_str())]
    StaleListing {
        /// Where they are listed.
        idps: Vec<IdpId>,
        /// Why it counts for nothing.
        why: Stale,
    },
    /// Listed, but these open their lists only while they fail, and were not seen to.
    #[error("listed, but only while {} was seen not to work, and it was not", names(.0))]
    NotUnhealthy(Vec<IdpId>),
    /// Not of the team.
    #[error("the operator has left the team")]
    NotMember,
    /// The account has no password.
    #[error("the operator has no password")]
    NoPassword,
    /// The password is another.
    #[error("wrong password")]
    WrongPassword,
}

/// Decides on a try by password.
///
/// `account` is what was found for `address`. `password_right` is what comparing the hash said;
/// without an account or a password a dummy was compared and the answer counts for nothing.
/// `idps` are all that are configured.
#[must_use]
pub fn decide(
    account: Option<&Account>,
    address: &Email,
    idps: &[IdpFacts<'_>],
    password_right: bool,
) -> Verdict {
    let refused = |refusal, is_break_glass| Verdict::Refused {
        refusal,
        is_break_glass,
        said: said(address, idps),
    };
    let Some(account) = account else {
        return refused(Refusal::UnknownAddress, false);
    };
    let bypass = match listings(account, address, idps) {
        Ok(bypass) => bypass,
        Err(refusal) => {
            let is_break_glass = matches!(refusal, Refusal::NotUnhealthy(_));
            return refused(refusal, is_break_glass);
        }
    };
    let bypassing = !bypass.is_empty();
    if !account.member {
        refused(Refusal::NotMember, bypassing)
    } else if !account.has_password() {
        refused(Refusal::NoPassword, bypassing)
    } else if !password_right {
        refused(Refusal::WrongPassword, bypassing)
    } else {
        Verdict::Admitted { bypass }
    }
}

/// Returns who governs an operator: the identity provider that the account is bound to; else those
/// that own the address's domain; else those that claim none. Empty where nobody does.
///
/// A binding to an identity provider that is configured no longer counts as none. Its switch went
/// with it, so it could only ever say no; the address still says whom the team trusts for it.
#[must_use]
pub fn governing<'f, 'a>(
    binding: Option<&Binding>,
    address: &Email,
    idps: &'f [IdpFacts<'a>],
) -> Vec<&'f IdpFacts<'a>> {
    let bound = binding.and_then(|to| idps.iter().find(|idp| idp.settings.id == to.idp));
    bound.map_or_else(|| by_address(address, idps, |idp| idp.settings), |bound| vec![bound])
}

/// Returns what a person reads who was not let in, whatever the reason was.
///
/// It is given the address as it was typed, and no account, and looks at no listing: an address that nobody has, one whose
/// password was wrong and one that is not listed read the same because nothing here could tell
/// them apart. Whom SSO is enforced for is a matter of the configuration, which is no secret.
#[must_use]
pub fn said(address: &Email, idps: &[IdpFacts<'_>]) -> String {
    let wrong = "the e-mail address or the password is wrong";
    // Who is bound elsewhere than the address says is told of SSO too, and so is everybody else.
    let governed = enforcing(&governing(None, address, idps));
    let named =
        if governed.is_empty() { enforcing(&idps.iter().collect::<Vec<_>>()) } else { governed };
    if named.is_empty() {
        return wrong.to_owned();
    }
    let all = names(named.iter().map(|idp| &idp.settings.id));
    let down: Vec<_> = named.iter().filter(|idp| idp.health == IdpHealth::Unhealthy).collect();
    let start = format!("{wrong}, or SSO is enforced for you: sign in with SSO at {all}");
    if down.is_empty() {
        return start;
    }
    let down = names(down.iter().map(|idp| &idp.settings.id));
    format!(
        "{start}; {down} was seen not to work: until it does, an Admin or Owner on its break-glass \
         list can let you in"
    )
}

/// Returns the identity providers whose listing lets the account by, or why there is none.
fn listings(
    account: &Account,
    address: &Email,
    idps: &[IdpFacts<'_>],
) -> Result<Vec<IdpId>, Refusal> {
    let governing = governing(account.binding.as_ref(), address, idps);
    if governing.is_empty() {
        return any_listing(account, &enforcing(&idps.iter().collect::<Vec<_>>()));
    }
    let needed = enforcing(&governing);
    let bars = needed.iter().filter_map(|idp| bar(account, idp).map(|bar| (bar, *idp)));
    refusal(account, &bars.collect::<Vec<_>>()).map_or_else(|| Ok(ids(&needed)), Err)
}

/// Whom nobody governs needs one listing, wherever SSO is enforced: else a private address would
/// walk around it.
fn any_listing(account: &Account, needed: &[&IdpFacts<'_>]) -> Result<Vec<IdpId>, Refusal> {
    let (open, shut): (Vec<_>, Vec<_>) =
        needed.iter().map(|idp| (bar(account, idp), *idp)).partition(|(bar, _)| bar.is_none());
    if needed.is_empty() || !open.is_empty() {
        return Ok(open.iter().map(|(_, idp)| idp.settings.id.clone()).collect());
    }
    // One listing would do, so what came nearest to it is the reason.
    let mut shut: Vec<_> = shut.into_iter().filter_map(|(bar, idp)| Some((bar?, idp))).collect();
    if shut.iter().any(|(bar, _)| *bar != Bar::NotListed) {
        shut.retain(|(bar, _)| *bar != Bar::NotListed);
    }
    refusal(account, &shut).map_or_else(|| Ok(vec![]), Err)
}

/// What keeps a listing from letting somebody by, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bar {
    NotListed,
    Stale,
    NotUnhealthy,
}

fn bar(account: &Account, idp: &IdpFacts<'_>) -> Option<Bar> {
    if !idp.listed {
        return Some(Bar::NotListed);
    }
    if stale(account).is_some() {
        return Some(Bar::Stale);
    }
    let open = match idp.settings.break_glass {
        BreakGlassMode::Always => true,
        BreakGlassMode::OnlyWhileUnhealthy => idp.health == IdpHealth::Unhealthy,
    };
    (!open).then_some(Bar::NotUnhealthy)
}

/// Returns the worst of what is in the way, with all that it holds for.
fn refusal(account: &Account, bars: &[(Bar, &IdpFacts<'_>)]) -> Option<Refusal> {
    let with = |wanted: Bar| {
        let of = bars.iter().filter(|(bar, _)| *bar == wanted).map(|(_, idp)| *idp);
        Some(ids(&of.collect::<Vec<_>>())).filter(|ids| !ids.is_empty())
    };
    let stale_listing =
        || Some(Refusal::StaleListing { idps: with(Bar::Stale)?, why: stale(account)? });
    with(Bar::NotListed)
        .map(Refusal::NotListed)
        .or_else(stale_listing)
        .or_else(|| with(Bar::NotUnhealthy).map(Refusal::NotUnhealthy))
}

fn enforcing<'f, 'a>(idps: &[&'f IdpFacts<'a>]) -> Vec<&'f IdpFacts<'a>> {
    idps.iter().copied().filter(|idp| idp.enforced).collect()
}

fn by_address<'f, T>(
    address: &Email,
    idps: &'f [T],
    settings: impl Fn(&T) -> &IdpSettings,
) -> Vec<&'f T> {
    let owners: Vec<_> = idps.iter().filter(|idp| settings(idp).owns(address)).collect();
    if owners.is_empty() {
        idps.iter().filter(|idp| settings(idp).domains.is_empty()).collect()
    } else {
        owners
    }
}

fn ids(idps: &[&IdpFacts<'_>]) -> Vec<IdpId> {
    idps.iter().map(|idp| idp.settings.id.clone()).collect()
}

/// Returns names as a person reads them: `` `a` `` or `` `a` and `b` ``.
pub(super) fn names<'a>(idps: impl IntoIterator<Item = &'a IdpId>) -> String {
    let mut names: Vec<_> = idps.into_iter().map(|idp| format!("`{idp}`")).collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) }
}

/// Whom a single sign-on speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SsoMatch {
    /// An account that is bound to this very identity.
    Bound(AccountId),
    /// An invited account, to be bound to it now.
    First(AccountId, Binding),
}

/// Why a person whom an identity provider vouches for is not let in.
///
/// They may read it: the identity provider has proven who they are.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SsoRefusal {
    /// The account is bound to this identity, and has left the team.
    #[error("`{0}` has left the team; an Owner invites them back")]
    NotMember(Email),
    /// Nothing to find an invite by.
    #[error(
        "`{0}` sends no e-mail address that can be used, and you have not signed in with it before; ask who runs it for the `email` claim"
    )]
    NoAddress(IdpId),
    /// The address may be anybody's.
    #[error("`{idp}` does not say that `{email}` was verified, so it finds no invite")]
    NotVerified {
        /// Who sent it.
        idp: IdpId,
        /// What it sent.
        email: Email,
    },
    /// Another identity provider answers for that domain.
    #[error("addresses like `{email}` belong to {}, not to `{idp}`; sign in there", names(.owners))]
    ForeignDomain {
        /// Who sent it.
        idp: IdpId,
        /// What it sent.
        email: Email,
        /// Who owns its domain.
        owners: Vec<IdpId>,
    },
    /// This one answers for other domains only.
    #[error("`{idp}` does not own the domain of `{email}`; add it to its `domains`")]
    NotItsDomain {
        /// Who sent it.
        idp: IdpId,
        /// What it sent.
        email: Email,
    },
    /// Nobody of the team has that address.
    #[error("`{0}` was not invited; an Owner invites them: breakglass operators invite EMAIL")]
    NotInvited(Email),
    /// The account belongs to another identity already.
    #[error("`{0}` is bound to another SSO identity; an Owner removes and invites them anew")]
    BoundElsewhere(Email),
}

/// What is known of the accounts that a sign-on could mean.
#[derive(Clone, Copy, Debug)]
pub struct SsoFacts<'a> {
    /// The account that is bound to exactly this identity provider, issuer and subject.
    pub bound: Option<&'a Account>,
    /// The account that has the address of the e-mail claim.
    pub invited: Option<&'a Account>,
    /// All identity providers that are configured.
    pub idps: &'a [IdpSettings],
}

/// Decides whom a proven identity means: whom it is bound to, and only where it is bound to nobody
/// the invite that its address finds.
///
/// An account that is bound is never found by its address, not even where its identity provider is
/// configured no longer: else who may configure one could become anybody.
///
/// # Errors
///
/// Why it means nobody.
pub fn bind_or_match(
    identity: &SsoIdentity,
    idp: &IdpId,
    facts: SsoFacts<'_>,
) -> Result<SsoMatch, SsoRefusal> {
    if let Some(account) = facts.bound {
        let member = account.member.then_some(SsoMatch::Bound(account.id));
        return member.ok_or_else(|| SsoRefusal::NotMember(account.email.clone()));
    }
    let email = identity.email.clone().ok_or_else(|| SsoRefusal::NoAddress(idp.clone()))?;
    if !identity.email_verified {
        return Err(SsoRefusal::NotVerified { idp: idp.clone(), email });
    }
    answers_for(idp, &email, facts.idps)?;
    let invited = facts.invited.filter(|account| account.member && account.email == email);
    let account = invited.ok_or_else(|| SsoRefusal::NotInvited(email.clone()))?;
    if account.binding.is_some() {
        return Err(SsoRefusal::BoundElsewhere(email));
    }
    Ok(SsoMatch::First(account.id, binding(identity, idp)))
}

/// Returns the pair by which an identity is known from its first sign-on.
#[must_use]
pub fn binding(identity: &SsoIdentity, idp: &IdpId) -> Binding {
    Binding { idp: idp.clone(), issuer: identity.issuer.clone(), subject: identity.subject.clone() }
}

fn answers_for(idp: &IdpId, email: &Email, idps: &[IdpSettings]) -> Result<(), SsoRefusal> {
    let answering = by_address(email, idps, |settings| settings);
    if answering.iter().any(|settings| settings.id == *idp) {
        return Ok(());
    }
    let owners = idps.iter().filter(|settings| settings.owns(email));
    let owners: Vec<_> = owners.map(|settings| settings.id.clone()).collect();
    let (idp, email) = (idp.clone(), email.clone());
    Err(if owners.is_empty() {
        SsoRefusal::NotItsDomain { idp, email }
    } else {
        SsoRefusal::ForeignDomain { idp, email, owners }
    })
}

#[cfg(test)]
mod tests;

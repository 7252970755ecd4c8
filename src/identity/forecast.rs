//! The lock-out forecast: who could enter if one identity provider failed now.
//!
//! It is a matter of the list as it stands, whether or not SSO is enforced: a list is prepared
//! first and needed later. [`super::directory::Directory::forecast`] asks the rule itself for every
//! entry.

use std::fmt;

use crate::domain::break_glass_user::{self, LISTED_WISE, Listing, PROOF_LIFE};
use crate::domain::id::IdpId;
use crate::domain::role::Role;
use crate::domain::text::counted;
use crate::domain::time::{Span, Timestamp};

/// One entry of a list, and whether it would work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// Who, as screens name them: their address.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Why they could not enter, in words; none where they could.
    pub barred: Option<String>,
    /// Since when they are listed.
    pub added_at: Timestamp,
    /// When they last proved it.
    pub proven_at: Option<Timestamp>,
}

/// What would be if one identity provider failed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Which.
    pub idp: IdpId,
    /// Whether its SSO is enforced, so that it matters already.
    pub enforced: bool,
    /// How many are listed.
    pub listed: usize,
    /// How many of them could enter.
    pub usable: usize,
    /// How many of those have not proved it, or not within [`PROOF_LIFE`].
    pub untested: usize,
    /// For how many days the longest of these was not proved, counted from the last proof, or
    /// where there was none from the day they were listed.
    pub untested_days: u64,
    /// How many of those who could enter are Owner.
    pub owners: usize,
    /// What to do something about, the worst first.
    pub warnings: Vec<Warning>,
}

/// What to do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Nobody could enter, and SSO is enforced.
    NobodyCanEnter,
    /// Nobody could enter once SSO is enforced.
    NobodyCouldEnter,
    /// Exactly one could.
    OnlyOne,
    /// Listed, but could not enter.
    Barred {
        /// Who.
        name: String,
        /// Why.
        why: String,
    },
    /// It is time for a proof.
    ProofDue {
        /// Who.
        name: String,
        /// The last one, in days; none where there was none.
        days: Option<u64>,
    },
    /// Can enter, and do little there.
    Role {
        /// Who.
        name: String,
        /// What they cannot do.
        why: &'static str,
    },
}

impl Forecast {
    /// Makes the forecast from the entries of a list.
    #[must_use]
    pub fn new(idp: IdpId, enforced: bool, entrants: &[Entrant], now: Timestamp) -> Self {
        let usable: Vec<_> = entrants.iter().filter(|entrant| entrant.barred.is_none()).collect();
        let untested = usable.iter().filter(|entrant| is_due(entrant, now));
        let days = untested.clone().map(|entrant| untested_days(entrant, now));
        Self {
            idp,
            enforced,
            listed: entrants.len(),
            usable: usable.len(),
            untested: untested.clone().count(),
            untested_days: days.max().unwrap_or(0),
            owners: usable.iter().filter(|entrant| entrant.role == Role::Owner).count(),
            warnings: warnings(enforced, entrants, usable.len(), now),
        }
    }
}

impl fmt::Display for Forecast {
    /// Writes `if entra fails now, 2 of 3 listed can enter; 1 untested for 143 days; 0 are Owner`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { idp, listed, usable, untested, owners, .. } = self;
        write!(f, "if {idp} fails now, {usable} of {listed} listed can enter; ")?;
        match (untested, self.untested_days) {
            (0, _) => {}
            (1, 0) => write!(f, "1 untested; ")?,
            (1, days) => write!(f, "1 untested for {}; ", days_of(days))?,
            (more, 0) => write!(f, "{more} untested; ")?,
            (more, days) => write!(f, "{more} untested, one for {}; ", days_of(days))?,
        }
        let are = if *owners == 1 { "is" } else { "are" };
        write!(f, "{owners} {are} Owner")
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyCanEnter => {
                f.write_str("SSO is enforced and nobody listed can enter: a failure locks all out")
            }
            Self::NobodyCouldEnter => f.write_str("nobody listed could enter by password"),
            Self::OnlyOne => {
                f.write_str("only one could enter, who may be ill or asleep: list two or three")
            }
            Self::Barred { name, why } => write!(f, "`{name}` is listed and cannot enter: {why}"),
            Self::ProofDue { name, days: Some(days) } => {
                write!(f, "`{name}` last proved {} ago that it works", days_of(*days))
            }
            Self::ProofDue { name, days: None } => write!(f, "`{name}` never proved that it works"),
            Self::Role { name, why } => write!(f, "`{name}`: {why}"),
        }
    }
}

fn warnings(enforced: bool, entrants: &[Entrant], usable: usize, now: Timestamp) -> Vec<Warning> {
    let few = match usable {
        0 if enforced => Some(Warning::NobodyCanEnter),
        0 => Some(Warning::NobodyCouldEnter),
        few if few < LISTED_WISE => Some(Warning::OnlyOne),
        _ => None,
    };
    let name = |entrant: &Entrant| entrant.name.clone();
    let barred = entrants.iter().filter_map(|entrant| {
        Some(Warning::Barred { name: name(entrant), why: entrant.barred.clone()? })
    });
    let usable = || entrants.iter().filter(|entrant| entrant.barred.is_none());
    let due = usable().filter(|entrant| is_due(entrant, now)).map(|entrant| {
        let days = entrant.proven_at.map(|at| days(now.since(at)));
        Warning::ProofDue { name: name(entrant), days }
    });
    let roles = usable().filter_map(|entrant| {
        let why = break_glass_user::warning(entrant.role)?;
        Some(Warning::Role { name: name(entrant), why })
    });
    few.into_iter().chain(barred).chain(due).chain(roles).collect()
}

fn is_due(entrant: &Entrant, now: Timestamp) -> bool {
    entrant.proven_at.is_none_or(|at| now.since(at) >= PROOF_LIFE)
}

fn untested_days(entrant: &Entrant, now: Timestamp) -> u64 {
    days(now.since(entrant.proven_at.unwrap_or(entrant.added_at)))
}

const fn days(span: Span) -> u64 {
    span.as_seconds() / 86_400
}

fn days_of(days: u64) -> String {
    counted(usize::try_from(days).unwrap_or(usize::MAX), "day")
}

impl Entrant {
    /// Takes a listing in.
    #[must_use]
    pub fn new(name: String, role: Role, barred: Option<String>, listing: &Listing) -> Self {
        let Listing { added_at, proven_at, .. } = *listing;
        Self { name, role, barred, added_at, proven_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24;
    const START: Timestamp = Timestamp::from_millis(1_763_655_000_000);

    fn entrant(name: &str, role: Role, proven_days_ago: Option<u64>) -> Entrant {
        let ago = |days: u64| now() - Span::from_hours(days * DAY);
        Entrant {
            name: format!("{name}@example.com"),
            role,
            barred: None,
            added_at: START,
            proven_at: proven_days_ago.map(ago),
        }
    }

    fn now() -> Timestamp {
        START + Span::from_hours(200 * DAY)
    }

    fn said(enforced: bool, entrants: &[Entrant]) -> String {
        let forecast = Forecast::new("entra".parse().unwrap(), enforced, entrants, now());
        let warnings = forecast.warnings.iter().map(|warning| format!("\n  {warning}"));
        forecast.to_string() + &warnings.collect::<String>()
    }

    #[test]
    fn it_counts_who_can_enter_who_is_untested_and_who_is_owner() {
        let left = Entrant {
            barred: Some("has left the team".into()),
            ..entrant("eva", Role::Owner, Some(1))
        };
        let (ana, bob) =
            (entrant("ana", Role::Admin, Some(143)), entrant("bob", Role::Admin, Some(3)));
        insta::assert_snapshot!(said(true, &[ana, bob, left]), @r"
        if entra fails now, 2 of 3 listed can enter; 1 untested for 143 days; 0 are Owner
          `eva@example.com` is listed and cannot enter: has left the team
          `ana@example.com` last proved 143 days ago that it works
        ");
    }

    #[test]
    fn a_list_in_order_warns_of_nothing() {
        let list = [entrant("ana", Role::Owner, Some(1)), entrant("bob", Role::Admin, Some(89))];
        insta::assert_snapshot!(said(true, &list), @"if entra fails now, 2 of 2 listed can enter; 1 is Owner");
    }

    #[test]
    fn what_was_never_proved_counts_from_the_day_of_the_listing() {
        let fresh = Entrant { added_at: now(), ..entrant("eva", Role::Owner, None) };
        insta::assert_snapshot!(said(true, std::slice::from_ref(&fresh)), @r"
        if entra fails now, 1 of 1 listed can enter; 1 untested; 1 is Owner
          only one could enter, who may be ill or asleep: list two or three
          `eva@example.com` never proved that it works
        ");
        let list =
            [entrant("ana", Role::Member, None), entrant("bob", Role::Owner, Some(90)), fresh];
        insta::assert_snapshot!(said(true, &list), @r"
        if entra fails now, 3 of 3 listed can enter; 3 untested, one for 200 days; 2 are Owner
          `ana@example.com` never proved that it works
          `bob@example.com` last proved 90 days ago that it works
          `eva@example.com` never proved that it works
          `ana@example.com`: a Member can get in, but cannot repair SSO
        ");
    }

    #[test]
    fn an_empty_list_is_worse_once_sso_is_enforced() {
        insta::assert_snapshot!(said(false, &[]), @r"
        if entra fails now, 0 of 0 listed can enter; 0 are Owner
          nobody listed could enter by password
        ");
        insta::assert_snapshot!(said(true, &[]), @r"
        if entra fails now, 0 of 0 listed can enter; 0 are Owner
          SSO is enforced and nobody listed can enter: a failure locks all out
        ");
    }
}

//! The person at the keyboard, and where they sit.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::{Account, AccountId};
use super::email::Email;
use super::role::Role;

/// Who acts: the UNIX user, and the account that is signed in there.
///
/// The uid comes from the kernel (the process's own, or the peer of a socket), never from the
/// environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The UNIX user id.
    pub uid: u32,
    /// The address of the account. Where nobody is signed in, the UNIX user's name, or `uid 1000`
    /// where the system knows none.
    pub name: String,
    /// The account that is signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<SignedInAs>,
}

/// The account that acts, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedInAs {
    /// Its id.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// What it may do.
    pub role: Role,
}

impl Operator {
    /// A UNIX user at whose face nobody is signed in.
    #[must_use]
    pub fn unix(uid: u32, name: impl Into<String>) -> Self {
        Self { uid, name: name.into(), account: None }
    }

    /// An account that is signed in at a UNIX user's face.
    #[must_use]
    pub fn signed_in(uid: u32, account: &Account) -> Self {
        let Account { id, email, role, .. } = account;
        let signed_in = SignedInAs { id: *id, email: email.clone(), role: *role };
        Self { uid, name: email.to_string(), account: Some(signed_in) }
    }

    /// True where this is the same person as another: the same account, or, where neither is
    /// signed in, the same UNIX user.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.account, &other.account) {
            (Some(one), Some(other)) => one.id == other.id,
            (None, None) => self.uid == other.uid,
            _ => false,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

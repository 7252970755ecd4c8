//! Operators' accounts: who may sign in, as what, and how.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::email::Email;
use super::id::{IdError, IdpId};
use super::role::Role;
use super::time::{Span, Timestamp};

/// Identifies one account for good, whatever becomes of its e-mail address: a UUIDv7 (RFC 9562).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(Uuid);

impl AccountId {
    /// Makes an id from the time and ten random bytes.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

impl FromStr for AccountId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::parse_str(text).map(Self).map_err(|_| IdError::Account)
    }
}

/// One operator's account.
///
/// It is never taken out, since the audit speaks of it: who is removed stops being a member, and
/// loses password, binding and code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The address that names it; unique.
    pub email: Email,
    /// What it may do.
    pub role: Role,
    /// Whether it belongs to the team.
    pub member: bool,
    /// The password, hashed; none where there is none.
    pub password: Option<PasswordHash>,
    /// The SSO identity it is bound to since its first SSO sign-in.
    pub binding: Option<Binding>,
    /// A one-time code that is out.
    pub code: Option<OneTimeCode>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Account {
    /// True where a password is set.
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

/// A password's hash in the PHC string format, such as `$argon2id$v=19$m=65536,t=3,p=1$..$..`.
///
/// It is no secret like the password, yet worth guessing at: it is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes in a PHC string.
    #[must_use]
    pub const fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Who somebody is at an identity provider: the pair that never changes and is never given to
/// anybody else (`OpenID` Connect Core 1.0, section 5.7; for Entra ID `tid` and `oid`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Binding {
    /// The identity provider, as the configuration names it.
    pub idp: IdpId,
    /// `iss`, or Entra's `tid`.
    pub issuer: String,
    /// `sub`, or Entra's `oid`.
    pub subject: String,
}

/// A code that lets somebody set a password once: SHA-256 of it, since it has 100 random bits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeCode {
    /// 64 hexadecimal digits.
    pub hash: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTimeCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// How long a one-time code works.
pub const CODE_LIFE: Span = Span::from_hours(24);

//! Sign-ins: one operator's authenticated time at one face.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::AccountId;
use super::id::IdpId;
use super::secret::Secret;
use super::time::{Span, Timestamp};

/// What a face shows with every call, to be taken for the operator who signed in there.
///
/// 256 random bits in hexadecimal digits. The engine keeps only its SHA-256.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(Secret);

impl Token {
    /// Makes a token from random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(Secret::new(digits))
    }

    /// Takes in the digits of a token.
    #[must_use]
    pub fn new(digits: &str) -> Self {
        Self(Secret::new(digits))
    }

    /// The digits themselves.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// One sign-in, as the store keeps it: it works for one UNIX user at one terminal until this host
/// starts anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// SHA-256 of the token, 64 hexadecimal digits.
    pub token_hash: String,
    /// Who.
    pub account: AccountId,
    /// How.
    pub method: SignInMethod,
    /// The UNIX user, as the kernel said.
    pub uid: u32,
    /// The terminal, as the kernel said.
    pub tty: Option<String>,
    /// The login at that terminal, as the kernel said (setsid(2)).
    #[serde(default)]
    pub session: Option<i32>,
    /// The kernel's boot id (random(4)).
    pub boot_id: String,
    /// Since when.
    pub started_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
}

impl SignIn {
    /// When it ends unless it is used.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        (self.started_at + SIGN_IN_MAX).min(self.used_at + SIGN_IN_IDLE)
    }
}

/// How somebody signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInMethod {
    /// By password, where no SSO stood in the way.
    Password,
    /// By password as a break-glass user: the SSO of these was enforced.
    BreakGlass(Vec<IdpId>),
    /// By single sign-on.
    Sso(IdpId),
}

impl SignInMethod {
    /// True where the bypass was needed: enforced, password, listed.
    #[must_use]
    pub const fn is_break_glass(&self) -> bool {
        matches!(self, Self::BreakGlass(_))
    }
}

/// How long a sign-in lasts.
pub const SIGN_IN_MAX: Span = Span::from_hours(8);

/// How long it lasts unused.
pub const SIGN_IN_IDLE: Span = Span::from_minutes(30);

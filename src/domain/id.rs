//! Identifiers: of the installation, of sessions, and the names that a configuration gives.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::time::Timestamp;

/// The longest name a configuration may give to a target, site or provider, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// Identifies one installation (one state directory), so that it never touches what belongs to
/// another: six lower-case base32 characters, 30 random bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstallationId(String);

impl InstallationId {
    /// Makes an id from random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 6]) -> Self {
        Self(bytes.iter().map(|byte| base32_digit(*byte)).collect())
    }

    /// The six characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstallationId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let fits = text.len() == 6 && text.bytes().all(|byte| BASE32.contains(&byte));
        if fits { Ok(Self(text)) } else { Err(IdError::Installation) }
    }
}

impl From<InstallationId> for String {
    fn from(id: InstallationId) -> Self {
        id.0
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifies one session: a UUIDv7 (RFC 9562), so that ids sort by the time of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Makes an id from the time of the request and ten random bytes.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Returns the eight characters that people read, type and find in an artifact's marker.
    ///
    /// They are random bits: the leading characters of a UUIDv7 are its clock.
    #[must_use]
    pub fn short(&self) -> String {
        self.tail().chars().take(SHORT_CHARS).collect()
    }

    /// True when `text` is how somebody may have shortened this id: the start of the whole id, or
    /// the start of its short form, four characters at least.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let whole = self.0.hyphenated().to_string();
        whole == text
            || (text.len() >= SHORT_CHARS_MIN
                && (self.tail().starts_with(&text) || whole.starts_with(&text)))
    }

    fn tail(&self) -> String {
        let whole = self.0.simple().to_string();
        whole.chars().skip(20).collect()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

impl FromStr for SessionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::parse_str(text).map(Self).map_err(|_| IdError::Session)
    }
}

/// Why a text is no identifier.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not six base32 characters.
    #[error("an installation id is six characters of a-z and 2-7")]
    Installation,
    /// Not a UUID.
    #[error("a session id is a UUID, or the start of one")]
    Session,
    /// Not a UUID.
    #[error("an account id is a UUID")]
    Account,
    /// Not a name as a configuration gives it.
    #[error("a name starts with a letter or digit and holds only a-z, 0-9, `.`, `_` and `-`")]
    Name,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("a name has at most {NAME_BYTES_MAX} characters")]
    NameTooLong,
}

/// Declares an identifier that a configuration gives: lower-case letters, digits, `.`, `_`, `-`.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                check_name(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                check_name(&text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// Names a target, such as `orders-db`.
    TargetId
}
name! {
    /// Names a site, such as `acme-prod`.
    SiteId
}
name! {
    /// Names a provider, such as `direct` or `acme-tailnet`.
    ProviderId
}
name! {
    /// Names an identity provider, such as `entra`.
    IdpId
}
name! {
    /// Names a secret in the vault, such as `idp-entra`.
    SecretName
}

fn check_name(text: &str) -> Result<(), IdError> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
    };
    let head = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if text.len() > NAME_BYTES_MAX {
        return Err(IdError::NameTooLong);
    }
    let fits = text.as_bytes().first().is_some_and(head) && text.bytes().all(allowed);
    if fits { Ok(()) } else { Err(IdError::Name) }
}

fn base32_digit(byte: u8) -> char {
    BASE32.get(usize::from(byte % 32)).map_or('a', |digit| char::from(*digit))
}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const SHORT_CHARS: usize = 8;
const SHORT_CHARS_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::new(
            Timestamp::from_millis(1_763_655_000_000),
            [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa],
        )
    }

    #[test]
    fn the_short_form_is_random_bits() {
        let later = SessionId::new(Timestamp::from_millis(1_763_655_999_999), [7; 10]);
        assert_eq!(id().short(), "55667788");
        assert_ne!(id().short(), later.short());
        assert_eq!(id().to_string().get(14..15), Some("7"), "a UUIDv7: {}", id());
    }

    #[test]
    fn an_id_may_be_shortened_from_either_end() {
        let whole = id().to_string();
        for text in ["5566", "55667788", "556677889", whole.as_str(), &whole[..8]] {
            assert!(id().matches(text), "{text}");
        }
        for text in ["", "556", "5567", "667788"] {
            assert!(!id().matches(text), "{text}");
        }
    }

    #[test]
    fn names_are_refused_that_could_be_a_path_or_hide_something() {
        for text in ["", ".hidden", "-x", "../etc", "a/b", "A", "a b", "a\u{202e}b", "naïve"] {
            assert_eq!(text.parse::<TargetId>(), Err(IdError::Name), "{text:?}");
        }
        assert_eq!("a".repeat(64).parse::<TargetId>(), Err(IdError::NameTooLong));
        assert_eq!("orders-db.eu_1".parse::<TargetId>().unwrap().as_str(), "orders-db.eu_1");
    }
}

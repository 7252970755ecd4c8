//! E-mail addresses, as names of people: compared without regard to case, spaces around them, or
//! how a letter is composed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::text;

/// The longest address, in bytes (RFC 5321, section 4.5.3.1.3, less its brackets).
pub const EMAIL_BYTES_MAX: usize = 254;

/// An e-mail address in the one form in which it is compared and shown: trimmed, NFKC (Unicode
/// Annex 15), lower case.
///
/// A plus-address is an address of its own. A look-alike (`а` of Cyrillic for `a` of Latin) is
/// another address too, and [`Email::mixes_scripts`] says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// Why a text is no address that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EmailError {
    /// Not `someone@somewhere`.
    #[error("`{0}` is no e-mail address; one looks like `ana@example.com`")]
    Form(String),
    /// Longer than [`EMAIL_BYTES_MAX`].
    #[error("an e-mail address has at most {EMAIL_BYTES_MAX} bytes; this one has {0}")]
    TooLong(usize),
    /// Holds a character that a terminal would act on or hide, or a space.
    #[error(
        "an e-mail address holds no spaces, control or invisible characters; this one reads `{0}`"
    )]
    Unclean(String),
}

impl Email {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// True where Latin letters stand beside Cyrillic or Greek ones, which look alike: no real
    /// address does that, a deceiving one may.
    #[must_use]
    pub fn mixes_scripts(&self) -> bool {
        let latin = self.0.chars().any(|c| c.is_ascii_alphabetic());
        let alike = |c: char| matches!(c, '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}');
        latin && self.0.chars().any(alike)
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        // Composing can make a text longer, so the length is looked at before and after.
        if text.len() > EMAIL_BYTES_MAX * 4 {
            return Err(EmailError::TooLong(text.len()));
        }
        let normal: String = text.nfkc().collect::<String>().to_lowercase().nfkc().collect();
        if normal.len() > EMAIL_BYTES_MAX {
            return Err(EmailError::TooLong(normal.len()));
        }
        if normal.chars().any(|c| text::must_show(c) || c.is_whitespace()) {
            return Err(EmailError::Unclean(text::shown(text)));
        }
        let form = || EmailError::Form(text::shown(text));
        let (local, domain) = normal.split_once('@').ok_or_else(form)?;
        let dotted = |part: &str| !part.is_empty() && part.split('.').all(|it| !it.is_empty());
        if dotted(local) && dotted(domain) && !domain.contains('@') {
            Ok(Self(normal))
        } else {
            Err(form())
        }
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    #[test]
    fn one_person_is_one_address_however_it_is_typed() {
        for typed in
            ["ana@example.com", " Ana@Example.COM\n", "ＡＮＡ@example.com", "ana@ｅxample.com"]
        {
            assert_eq!(email(typed).as_str(), "ana@example.com", "{typed}");
        }
        assert_eq!(email("Zoe\u{308}@example.com"), email("ZOË@EXAMPLE.COM"));
    }

    #[test]
    fn a_plus_address_and_a_look_alike_are_somebody_else() {
        assert_ne!(email("ana+x@example.com"), email("ana@example.com"));
        let alike = email("\u{430}na@example.com");
        assert_ne!(alike, email("ana@example.com"));
        assert!(alike.mixes_scripts());
        assert!(!email("ana@example.com").mixes_scripts());
        assert!(!email("анна@пример.рф").mixes_scripts());
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_one_looks_like() {
        let said = |text: &str| text.parse::<Email>().unwrap_err().to_string();
        let form = "`ana` is no e-mail address; one looks like `ana@example.com`";
        assert_eq!(said("ana"), form);
        for text in ["", "@", "ana@", "@example.com", "a@b@c", "ana@.com", "ana@x..y", ".a@x"] {
            assert!(matches!(text.parse::<Email>(), Err(EmailError::Form(_))), "{text}");
        }
        for text in
            ["a na@example.com", "ana@exam\u{202e}ple.com", "ana\u{200b}@example.com", "a\0@b"]
        {
            assert!(matches!(text.parse::<Email>(), Err(EmailError::Unclean(_))), "{text:?}");
        }
        assert_eq!(
            said(&format!("{}@example.com", "a".repeat(1_000))),
            "an e-mail address has at most 254 bytes; this one has 1012"
        );
    }

    #[test]
    fn the_domain_is_what_stands_behind_the_at() {
        assert_eq!(email("ana@sub.example.com").domain(), "sub.example.com");
    }
}

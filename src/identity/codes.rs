//! One-time codes: what an Owner hands to an operator, so that they set a password themselves.
//!
//! A code is 100 random bits in Crockford's base32 (<https://www.crockford.com/base32.html>), to
//! be read aloud or copied by hand: `5G8KQ-ZT2AB-0XNVM-4JC7D`. What is kept is its SHA-256, which
//! is enough: nobody guesses 100 bits, so there is nothing to slow down.
//!
//! Not here: whose code it is and what it opens ([`super::directory`]).

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::domain::account::{CODE_LIFE, OneTimeCode};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// How many random bytes a code is made of; four bits of them are left over.
pub const CODE_RANDOM_BYTES: usize = 13;

/// A one-time code as it was made or typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code(Secret);

/// Why a code opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Not twenty digits of the alphabet.
    #[error("a one-time code has 20 letters and digits, like `5G8KQ-ZT2AB-0XNVM-4JC7D`")]
    Form,
    /// Another code, or none is out: which of them is not said.
    #[error("the e-mail address or the one-time code is wrong")]
    Wrong,
    /// The right code, too late.
    #[error(
        "this one-time code has expired; an Owner makes another: breakglass operators reset EMAIL"
    )]
    Expired,
}

impl Code {
    /// Makes a code, and what is kept of it.
    #[must_use]
    pub fn issue(random: [u8; CODE_RANDOM_BYTES], now: Timestamp) -> (Self, OneTimeCode) {
        let code = Self::from_random(random);
        let kept = OneTimeCode { hash: code.hash(), expires_at: now + CODE_LIFE };
        (code, kept)
    }

    /// Reads what a person typed: any case, any spaces and dashes, `I` and `L` for `1`, `O` for
    /// `0`.
    ///
    /// # Errors
    ///
    /// [`CodeError::Form`].
    pub fn parse(typed: &Secret) -> Result<Self, CodeError> {
        let mut digits = String::with_capacity(DIGITS);
        let meant = typed.expose().chars().filter(|c| !c.is_whitespace() && *c != '-');
        for c in meant {
            let digit = match c.to_ascii_uppercase() {
                'I' | 'L' => '1',
                'O' => '0',
                other => other,
            };
            // The length is looked at as it grows: what is typed may be long.
            if digits.len() >= DIGITS || !ALPHABET.contains(digit) {
                return Err(CodeError::Form);
            }
            digits.push(digit);
        }
        if digits.len() == DIGITS { Ok(Self(Secret::new(digits))) } else { Err(CodeError::Form) }
    }

    /// The code in four groups of five, to be shown once.
    #[must_use]
    pub fn grouped(&self) -> Secret {
        let mut grouped = String::with_capacity(DIGITS + 3);
        for (at, digit) in self.0.expose().chars().enumerate() {
            if at > 0 && at % 5 == 0 {
                grouped.push('-');
            }
            grouped.push(digit);
        }
        Secret::new(grouped)
    }

    /// Decides whether this code is the one that is out and still works. It takes the same time
    /// whether none is out or another.
    ///
    /// # Errors
    ///
    /// [`CodeError::Wrong`] or [`CodeError::Expired`].
    pub fn opens(&self, out: Option<&OneTimeCode>, now: Timestamp) -> Result<(), CodeError> {
        let own = self.hash();
        // As long as a hash, and the hash of nothing.
        let none = "-".repeat(own.len());
        let kept = out.map_or(none.as_str(), |code| code.hash.as_str());
        if !bool::from(own.as_bytes().ct_eq(kept.as_bytes())) {
            return Err(CodeError::Wrong);
        }
        match out {
            Some(code) if now < code.expires_at => Ok(()),
            _ => Err(CodeError::Expired),
        }
    }

    fn from_random(random: [u8; CODE_RANDOM_BYTES]) -> Self {
        let bits = random.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let digit = |at: usize| {
            let five = usize::try_from((bits >> (5 * at)) & 31).unwrap_or(0);
            ALPHABET.chars().nth(five).unwrap_or('0')
        };
        Self(Secret::new((0..DIGITS).rev().map(digit).collect::<String>()))
    }

    fn hash(&self) -> String {
        let digest = Sha256::digest(self.0.expose().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Crockford's digits: no `I`, `L`, `O`, `U`.
const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many digits make 100 bits.
const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);

    fn typed(text: &str) -> Result<Code, CodeError> {
        Code::parse(&Secret::new(text))
    }

    #[test]
    fn a_code_is_four_groups_of_five() {
        let (code, _) = Code::issue([0; 13], NOW);
        assert_eq!(code.grouped().expose(), "00000-00000-00000-00000");
        let (code, _) = Code::issue([0xff; 13], NOW);
        assert_eq!(code.grouped().expose(), "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ");
        let (code, _) = Code::issue([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], NOW);
        insta::assert_snapshot!(code.grouped().expose(), @"20G30-G2GC1-R8145-0P30D");
    }

    #[test]
    fn a_code_is_read_as_a_person_types_it() {
        let meant = typed("10ABC-DEFGH-JKMNP-QRSTV").unwrap();
        for text in [
            "10abc-defgh-jkmnp-qrstv",
            " 10ABC DEFGH JKMNP QRSTV\n",
            "ioabcdefghjkmnpqrstv",
            "L0ABC--DEFGH--JKMNP--QRSTV",
        ] {
            assert_eq!(typed(text).unwrap(), meant, "{text}");
        }
        for text in ["", "10ABC", "U0ABC-DEFGH-JKMNP-QRSTV", "10ABC-DEFGH-JKMNP-QRSTVW", "é"] {
            assert_eq!(typed(text), Err(CodeError::Form), "{text}");
        }
        assert_eq!(typed(&"1".repeat(1_000_000)), Err(CodeError::Form));
    }

    #[test]
    fn a_code_works_for_a_day_and_only_the_one_that_is_out() {
        let (code, kept) = Code::issue([7; 13], NOW);
        let (other, _) = Code::issue([8; 13], NOW);
        let last = Timestamp::from_millis(kept.expires_at.as_millis() - 1);
        assert_eq!(code.opens(Some(&kept), last), Ok(()));
        assert_eq!(code.opens(Some(&kept), NOW + CODE_LIFE), Err(CodeError::Expired));
        assert_eq!(other.opens(Some(&kept), NOW), Err(CodeError::Wrong));
        assert_eq!(other.opens(Some(&kept), NOW + CODE_LIFE), Err(CodeError::Wrong));
        assert_eq!(code.opens(None, NOW), Err(CodeError::Wrong));
    }

    #[test]
    fn neither_the_code_nor_its_hash_is_shown_for_debugging() {
        let (code, kept) = Code::issue([7; 13], NOW);
        let shown = format!("{code:?} {kept:?}");
        assert!(!shown.contains(code.grouped().expose()) && !shown.contains(&kept.hash), "{shown}");
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let errors = [CodeError::Form, CodeError::Wrong, CodeError::Expired];
        insta::assert_snapshot!(errors.map(|error| error.to_string()).join("\n"), @r"
        a one-time code has 20 letters and digits, like `5G8KQ-ZT2AB-0XNVM-4JC7D`
        the e-mail address or the one-time code is wrong
        this one-time code has expired; an Owner makes another: breakglass operators reset EMAIL
        ");
    }

    proptest! {
        #[test]
        fn what_was_made_is_read_back(random: [u8; 13]) {
            let (code, kept) = Code::issue(random, NOW);
            let again = Code::parse(&code.grouped()).unwrap();
            prop_assert_eq!(again.opens(Some(&kept), NOW), Ok(()));
        }

        #[test]
        fn nothing_typed_is_too_odd(text: String) {
            let _ = typed(&text);
        }
    }
}

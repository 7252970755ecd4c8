//! What may be a password, and what is said of one that may not.
//!
//! ```text
//!  typed ──► Password::typed   bounded, NFKC, no control characters ──► compared with a hash
//!                 │
//!                 └──► Password::chosen   long enough, hard to guess ──► hashed and kept
//! ```
//!
//! After NIST SP 800-63B-4, section 3.1.1.2: length counts, composition does not, nothing is cut
//! off, spaces and pastes are welcome, and what is common or personal is refused with the reason.
//!
//! Not here: Argon2id ([`super::hashing`]).

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;
use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Entropy, Score, zxcvbn};

use crate::domain::email::Email;
use crate::domain::secret::Secret;

/// The fewest characters, counted after NFKC (NIST SP 800-63B-4, section 3.1.1.2).
pub const PASSWORD_CHARS_MIN: usize = 15;

/// The most bytes, counted before and after NFKC: enough for any sentence, and a bound for what a
/// stranger can make this program normalise and hash.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// A password in the one form in which it is hashed: NFKC (Unicode Annex 15), so that it is the
/// same from every keyboard. Spaces around it are part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password(Secret);

/// Why a text is no password, or not one that may be chosen. It never quotes the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// More than [`PASSWORD_BYTES_MAX`].
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes; this one has more")]
    TooLong,
    /// Ends in a line break, as what is pasted may.
    #[error("the password ends in a line break, as a pasted one may; take it off and try again")]
    EndsInLineBreak,
    /// Holds a control character elsewhere.
    #[error(
        "the password holds a tab, a line break or another control character; no keyboard types those into a password reliably"
    )]
    Control,
    /// Fewer than [`PASSWORD_CHARS_MIN`].
    #[error(
        "a password has at least {PASSWORD_CHARS_MIN} characters; this one has {0}. Four or five words that do not belong together will do"
    )]
    TooShort(usize),
    /// Too few guesses would find it.
    #[error("this password is easy to guess: {why}; {advice}")]
    Guessable {
        /// What makes it so, in words.
        why: String,
        /// What would make it better, in words.
        advice: String,
    },
}

impl Password {
    /// Takes in what was typed to be compared with a hash. What it refuses could not be anybody's
    /// password, so that the refusal says nothing of an account.
    ///
    /// # Errors
    ///
    /// [`PasswordError::TooLong`], [`PasswordError::EndsInLineBreak`], [`PasswordError::Control`].
    pub fn typed(typed: &Secret) -> Result<Self, PasswordError> {
        let text = typed.expose();
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        // Large enough from the start: a text that grows leaves copies of itself in memory. No
        // character has more than 18 in its place (Unicode Annex 15, section 10).
        let mut normal = String::with_capacity(text.len() * 18);
        normal.extend(text.nfkc());
        let normal = Self(Secret::new(normal));
        let text = normal.0.expose();
        if text.len() > PASSWORD_BYTES_MAX {
            Err(PasswordError::TooLong)
        } else if text.ends_with(['\n', '\r']) {
            Err(PasswordError::EndsInLineBreak)
        } else if text.chars().any(char::is_control) {
            Err(PasswordError::Control)
        } else {
            Ok(normal)
        }
    }

    /// Takes in what somebody chose for themselves. It takes milliseconds: on a task that others
    /// wait for, use [`super::hashing::Hasher::choose`].
    ///
    /// # Errors
    ///
    /// Every [`PasswordError`].
    pub fn chosen(typed: &Secret, email: &Email) -> Result<Self, PasswordError> {
        let password = Self::typed(typed)?;
        let chars = password.expose().chars().count();
        if chars < PASSWORD_CHARS_MIN {
            return Err(PasswordError::TooShort(chars));
        }
        let personal = personal(email);
        if own_share(password.expose(), &personal) < OWN_CHARS_MIN {
            let advice = "add another word or two".to_owned();
            return Err(PasswordError::Guessable { why: PERSONAL.to_owned(), advice });
        }
        let inputs: Vec<_> = personal.iter().map(String::as_str).collect();
        let strength = zxcvbn(password.expose(), &inputs);
        if strength.score() >= SCORE_MIN {
            Ok(password)
        } else {
            Err(guessable(&strength, &personal))
        }
    }

    /// The text itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Returns how many characters are left without the personal words. zxcvbn counts each repetition
/// of a word as another guess; a guesser does not.
fn own_share(password: &str, personal: &[String]) -> usize {
    let mut rest = Zeroizing::new(password.to_lowercase());
    let mut longest_first: Vec<_> = personal.iter().collect();
    longest_first.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for word in longest_first {
        rest = Zeroizing::new(rest.replace(word.as_str(), ""));
    }
    rest.chars().count()
}

/// What a guesser who knows whose password it is would try first.
fn personal(email: &Email) -> Vec<String> {
    let address = email.as_str();
    let parts = address.split(['@', '.', '-', '_', '+']).filter(|part| part.chars().count() > 2);
    let local = address.split('@').next().unwrap_or_default();
    let whole = [address, local, email.domain(), PRODUCT, "break-glass"];
    whole.into_iter().chain(parts).map(str::to_owned).collect()
}

fn guessable(strength: &Entropy, personal: &[String]) -> PasswordError {
    let is_personal = strength.sequence().iter().any(|part| match &part.pattern {
        MatchPattern::Dictionary(found) => personal.contains(&found.matched_word),
        _ => false,
    });
    let feedback = strength.feedback();
    let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning);
    let why = match warning {
        _ if is_personal => PERSONAL.to_owned(),
        Some(warning) => fragment(&warning.to_string()),
        None => "a few well-known words or patterns make it up".to_owned(),
    };
    let advice = feedback.and_then(|feedback| feedback.suggestions().first());
    let advice = advice
        .map_or_else(|| "add another word or two".to_owned(), |first| fragment(&first.to_string()));
    PasswordError::Guessable { why, advice }
}

/// Turns one or two sentences into a fragment: lower case at the start, no full stop at the end.
fn fragment(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.').replace(". ", ": ");
    let mut chars = sentence.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

const PERSONAL: &str = "it is built on your e-mail address or the name of this program";

/// The fewest characters that must be of somebody's own, beside personal words.
const OWN_CHARS_MIN: usize = 8;

const PRODUCT: &str = "breakglass";

/// At least 10^8 guesses (zxcvbn, section "scoring"), which Argon2id makes dear and waiting after
/// failures out of reach.
const SCORE_MIN: Score = Score::Three;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(text: &str) -> Result<Password, PasswordError> {
        Password::chosen(&Secret::new(text), &"ana.lima@example.com".parse().unwrap())
    }

    fn said(text: &str) -> String {
        chosen(text).unwrap_err().to_string()
    }

    #[test]
    fn words_that_do_not_belong_together_will_do() {
        for text in [
            "correct horse battery staple",
            "&^%#)_{>:?,~$!|+=;",
            "ñandú tejado 42 brújula",
            "横断歩道 三輪車 夕焼け 郵便局 雪だるま",
        ] {
            assert_eq!(chosen(text).unwrap().expose(), text);
        }
    }

    #[test]
    fn each_refusal_gives_its_reason_and_a_way_out() {
        let lines = [
            said("short"),
            said("passwordpassword"),
            said("qwertyuiopasdfghjkl"),
            said("aaaaaaaaaaaaaaaaaaaa"),
            said("abcdefghijklmnopqrst"),
            said("ana.lima@example.com"),
            said("breakglass-breakglass"),
            said("P@ssw0rdP@ssw0rd"),
            said(&"x".repeat(1_025)),
            said("correct horse battery staple\n"),
            said("correct horse\tbattery staple"),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        a password has at least 15 characters; this one has 5. Four or five words that do not belong together will do
        this password is easy to guess: repeats like "abcabcabc" are only slightly harder to guess than "abc"; add another word or two: Uncommon words are better
        this password is easy to guess: this is similar to a commonly used password; add another word or two: Uncommon words are better
        this password is easy to guess: repeats like "aaa" are easy to guess; add another word or two: Uncommon words are better
        this password is easy to guess: sequences like abc or 6543 are easy to guess; add another word or two: Uncommon words are better
        this password is easy to guess: it is built on your e-mail address or the name of this program; add another word or two
        this password is easy to guess: it is built on your e-mail address or the name of this program; add another word or two
        this password is easy to guess: repeats like "abcabcabc" are only slightly harder to guess than "abc"; add another word or two: Uncommon words are better
        a password has at most 1024 bytes; this one has more
        the password ends in a line break, as a pasted one may; take it off and try again
        the password holds a tab, a line break or another control character; no keyboard types those into a password reliably
        "#);
    }

    #[test]
    fn a_pasted_line_break_is_named_when_signing_in_too() {
        for pasted in ["secret words\n", "secret words\r\n", "secret words\r"] {
            let refused = Password::typed(&Secret::new(pasted));
            assert_eq!(refused, Err(PasswordError::EndsInLineBreak), "{pasted:?}");
        }
        assert_eq!(Password::typed(&Secret::new("a\u{1b}[31mb")), Err(PasswordError::Control));
    }

    #[test]
    fn a_password_is_the_same_from_every_keyboard_and_otherwise_as_it_was_typed() {
        let typed = |text: &str| Password::typed(&Secret::new(text)).unwrap();
        assert_eq!(typed("zoe\u{308} ｆｕｌｌ"), typed("zo\u{eb} full"));
        assert_ne!(typed("Secret Words"), typed("secret words"));
        assert_ne!(typed(" secret words"), typed("secret words"));
    }

    #[test]
    fn characters_are_counted_and_bytes_are_bounded_after_nfkc() {
        // 14 characters, of which three letters make up each of the last.
        let ligature = "\u{fb03}".repeat(5);
        assert_eq!(Password::typed(&Secret::new(ligature.clone())).unwrap().expose().len(), 15);
        assert!(!matches!(chosen(&ligature), Err(PasswordError::TooShort(_))));
        // One character of three bytes that stands for 33.
        let swelling = "\u{fdfa}".repeat(300);
        assert_eq!(Password::typed(&Secret::new(swelling)), Err(PasswordError::TooLong));
        assert!(Password::typed(&Secret::new("x".repeat(PASSWORD_BYTES_MAX))).is_ok());
    }

    #[test]
    fn a_password_is_not_shown_for_debugging() {
        assert_eq!(
            format!("{:?}", chosen("correct horse battery staple")),
            "Ok(Password(Secret(..)))"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_typed_is_too_odd_and_no_refusal_quotes_it(text in "\\PC{0,60}") {
            if let Err(error) = chosen(&text) {
                let quoted = text.chars().count() >= 12 && error.to_string().contains(&text);
                prop_assert!(!quoted, "{error}");
            }
        }
    }
}

//! Cleaning of foreign text: nothing from outside reaches a terminal raw.
//!
//! A device name, an error body or a line of a config file may hold escape sequences, bidi
//! overrides or zero-width characters that change what a person believes to see (CVE-2021-42574).
//! They are shown as `<1B>` or `<202E>`, so that they are seen and do nothing.

use std::borrow::Cow;

/// The longest foreign text that a screen or an error quotes, in characters.
pub const SHOWN_CHARS_MAX: usize = 200;

/// Returns `text` with every character shown that a terminal would act on or hide, and cut after
/// `chars_max` characters with `…`.
///
/// Line breaks and tabs count as such characters: one foreign text is one line.
#[must_use]
pub fn clean(text: &str, chars_max: usize) -> Cow<'_, str> {
    let harmless = |c: char| !must_show(c);
    if text.len() <= chars_max && text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().min(chars_max.saturating_mul(4)));
    for (count, c) in text.chars().enumerate() {
        if count >= chars_max {
            shown.push('…');
            break;
        }
        if must_show(c) {
            shown.push_str(&format!("<{:02X}>", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// [`clean`] for texts of a usual length, as an owned text.
#[must_use]
pub fn shown(text: &str) -> String {
    clean(text, SHOWN_CHARS_MAX).into_owned()
}

/// Returns a number and its noun: `1 session`, `2 sessions`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// True when a terminal would act on the character, or a person could not see it.
#[must_use]
pub fn must_show(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (hostile, harmless) in [
            ("plain", "plain"),
            ("\u{1b}]52;c;AAAA\u{7}", "<1B>]52;c;AAAA<07>"),
            ("a\u{9b}31mb", "a<9B>31mb"),
            ("a\r\nb\tc", "a<0D><0A>b<09>c"),
            ("safe\u{202e}gpj.exe", "safe<202E>gpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero<200B>width<FEFF>"),
            ("Zürich 東京 👍", "Zürich 東京 👍"),
        ] {
            assert_eq!(clean(hostile, 100), harmless);
        }
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(clean(&"x".repeat(10_000), 5), "xxxxx…");
        assert_eq!(clean("東京都庁", 2), "東京…");
    }

    proptest! {
        #[test]
        fn nothing_hostile_survives_and_cleaning_twice_changes_nothing(text in any::<String>()) {
            let once = shown(&text);
            prop_assert!(!once.chars().any(must_show));
            prop_assert_eq!(clean(&once, usize::MAX), once.as_str());
        }
    }
}

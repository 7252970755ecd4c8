//! What an answer means.
//!
//! A failure has five shapes: a status; a page of the web; `errors` without `data`, as nothing was
//! begun; `errors` beside `data`, as something went wrong while it was done; and a change that says
//! `ok: false`. None of them bears a code, so what a network says is read for a few words
//! (<https://github.com/Twingate/kubernetes-operator/issues/403>).

use serde::de::DeserializeOwned;

use super::documents::Deed;
use super::trouble::{Level, Trouble};
use super::wire::{self, Done, Outline, Whole};
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::Span;
use crate::http::Answer;

/// Who answered what.
#[derive(Clone, Copy)]
pub struct Heard<'a> {
    /// The network's address, as it is shown.
    pub server: &'a str,
    /// What was to be done.
    pub deed: Deed,
    /// What must be shown nowhere.
    pub key: &'a Secret,
}

impl Heard<'_> {
    /// Reads what was asked for.
    ///
    /// # Errors
    ///
    /// What is to be done about it, where it is not there.
    pub fn read<T: DeserializeOwned>(self, answer: &Answer) -> Result<T, Trouble> {
        if is_page(answer) && answer.status != 429 {
            return Err(self.page(answer.status));
        }
        let outline: Option<Outline> = serde_json::from_slice(answer.body()).ok();
        if !answer.is_success() {
            let errors = outline.as_ref().and_then(|outline| self.words(outline));
            return Err(self.status(answer, errors));
        }
        let Some(outline) = outline else {
            return Err(self.unclear("what came is no answer to it"));
        };
        if let Some(said) = self.words(&outline) {
            let was_done = self.deed.needs > Level::Read && wire::was_done(answer.body());
            return Err(self.errors(said, outline.was_begun, was_done));
        }
        let whole: Result<Whole<T>, _> = answer.json();
        whole.map(|whole| whole.data).map_err(|why| self.unclear(why.to_string()))
    }

    /// Reads what came of a change: what was made, where that is told.
    ///
    /// # Errors
    ///
    /// What is to be done about it, where it was not made or nobody knows.
    pub fn outcome<T: DeserializeOwned>(self, answer: &Answer) -> Result<Option<T>, Trouble> {
        let Done { done } = self.read::<Done<T>>(answer)?;
        if done.ok {
            return Ok(done.entity);
        }
        let said = done.error.unwrap_or_default();
        let (absent, forbidden) = (says(&said, ABSENT), says(&said, FORBIDDEN));
        let said = self.clean(&said);
        if absent {
            return Err(self.absent(said.unwrap_or_default()));
        }
        if forbidden {
            return Err(self.ability(said));
        }
        Err(self.refused(said.unwrap_or_else(|| "it says no reason".to_owned())))
    }

    /// That nobody knows what came of it.
    pub fn unclear(self, why: impl Into<String>) -> Trouble {
        Trouble::Unclear { server: self.server(), deed: self.deed.words, why: why.into() }
    }

    /// That it will not be done.
    pub fn refused(self, said: impl Into<String>) -> Trouble {
        Trouble::Refused { server: self.server(), deed: self.deed.words, said: said.into() }
    }

    fn absent(self, said: String) -> Trouble {
        Trouble::Absent { server: self.server(), deed: self.deed.words, said }
    }

    /// That the key may not do it.
    pub fn ability(self, said: Option<String>) -> Trouble {
        let Deed { words: deed, needs, .. } = self.deed;
        Trouble::Ability { server: self.server(), deed, needs, said }
    }

    fn server(self) -> String {
        self.server.to_owned()
    }

    /// Who sends a page knows nothing of networks, or there is no network of that name.
    fn page(self, status: u16) -> Trouble {
        let why = format!("a web page came instead of an answer (status {status})");
        if self.deed.needs == Level::Read && (200..500).contains(&status) {
            return Trouble::NoNetwork { server: self.server(), why };
        }
        self.unclear(format!(
            "{why}; a proxy, or a network that wants a sign-in, may stand between"
        ))
    }

    fn status(self, answer: &Answer, said: Option<String>) -> Trouble {
        let server = self.server();
        match answer.status {
            401 => Trouble::Key { server, said },
            403 if self.deed.needs == Level::Read => Trouble::Key { server, said },
            403 => self.ability(said),
            404 | 410 => Trouble::NoNetwork { server, why: format!("status {}", answer.status) },
            429 => Trouble::Busy { server, wait: answer.retry_after.unwrap_or(WAIT) },
            status @ 400..=499 if status != 408 => {
                self.refused(said.unwrap_or_else(|| format!("it says nothing but status {status}")))
            }
            status => {
                let said = said.map(|said| format!(", and it says `{said}`")).unwrap_or_default();
                self.unclear(format!("status {status}{said}"))
            }
        }
    }

    /// What `errors` mean: without `data` nothing was begun, with it something may be done, and beside
    /// an outcome something surely was. A read that fails sees nothing gone, whatever it says.
    fn errors(self, said: String, was_begun: bool, was_done: bool) -> Trouble {
        if was_done {
            self.unclear(format!("it is done, and it says `{said}`"))
        } else if says(&said, ABSENT) && self.deed.needs > Level::Read {
            self.absent(said)
        } else if says(&said, FORBIDDEN) {
            self.ability(Some(said))
        } else if !was_begun || says(&said, UNPARSED) {
            self.refused(said)
        } else {
            self.unclear(format!("it says `{said}`"))
        }
    }

    /// All that went wrong, in one line.
    fn words(self, outline: &Outline) -> Option<String> {
        let said = outline.errors.iter().take(ERRORS_MAX).map(|error| error.message.trim());
        let said = said.collect::<Vec<_>>().join("; ");
        if outline.errors.is_empty() {
            return None;
        }
        Some(self.clean(&said).unwrap_or_else(|| "an error without words".to_owned()))
    }

    /// Foreign text in one line without what is or looks like a secret; nothing where there is none.
    fn clean(self, said: &str) -> Option<String> {
        let said = said.trim();
        (!said.is_empty()).then(|| text::shown(&without_secrets(said, self.key)))
    }
}

/// True for a page where an answer should be.
fn is_page(answer: &Answer) -> bool {
    answer.body().trim_ascii_start().first() == Some(&b'<')
}

/// True where one of the words stands in it, in whatever case.
fn says(said: &str, words: &[&str]) -> bool {
    let said = said.to_ascii_lowercase();
    words.iter().any(|word| said.contains(word))
}

/// Takes out of foreign text the key, and whatever looks like a token of a connector.
fn without_secrets(said: &str, key: &Secret) -> String {
    let said = if key.is_empty() { said.to_owned() } else { said.replace(key.expose(), "[key]") };
    let mut kept = String::with_capacity(said.len());
    let mut rest = said.as_str();
    while let Some(at) = rest.find(TOKEN_START) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        kept.push_str("[token]");
        let in_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
        rest = from.trim_start_matches(in_token);
    }
    kept.push_str(rest);
    kept
}

/// So every JWT begins: `{"` in base64.
const TOKEN_START: &str = "eyJ";

const ABSENT: &[&str] = &["does not exist"];
const UNPARSED: &[&str] = &["unable to parse global id"];
/// Nowhere is said how a key is told that it lacks a permission.
const FORBIDDEN: &[&str] = &[
    "permission",
    "not allowed to",
    "not authorized",
    "unauthorized",
    "forbidden",
    "access denied",
];

/// What is waited where a network does not say how long.
const WAIT: Span = Span::from_seconds(60);

/// How many errors are quoted.
const ERRORS_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_or_looks_like_a_secret_is_taken_out() {
        let key = Secret::new("AbC_123");
        let said = "bad AbC_123, or eyJhbGciOi.eyJzdWIi.s-_x= here; eyJ";
        assert_eq!(without_secrets(said, &key), "bad [key], or [token] here; [token]");
        assert_eq!(without_secrets("nothing", &Secret::new("")), "nothing");
    }
}

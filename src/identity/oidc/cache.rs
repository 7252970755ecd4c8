//! What was learnt of identity providers, and until when it is believed.

use std::collections::BTreeMap;

use crate::domain::time::{Span, Timestamp};
use crate::identity::discovery::Document;
use crate::identity::id_token::Keys;

/// What was learnt, by issuer.
#[derive(Debug, Default)]
pub(super) struct Cache(BTreeMap<String, Entry>);

#[derive(Debug, Default)]
struct Entry {
    document: Option<(Timestamp, Document)>,
    keys: Option<(Timestamp, Keys)>,
    asked_again_at: Option<Timestamp>,
}

impl Cache {
    /// The document of an issuer, if it is young enough.
    pub(super) fn document(&self, issuer: &str, now: Timestamp) -> Option<Document> {
        young(self.0.get(issuer)?.document.as_ref()?, now)
    }

    /// The keys of an issuer, if they are young enough.
    pub(super) fn keys(&self, issuer: &str, now: Timestamp) -> Option<Keys> {
        young(self.0.get(issuer)?.keys.as_ref()?, now)
    }

    pub(super) fn keep_document(&mut self, document: Document, now: Timestamp) {
        let issuer = document.issuer.clone();
        self.entry(&issuer).document = Some((now, document));
    }

    pub(super) fn keep_keys(&mut self, issuer: &str, keys: Keys, now: Timestamp) {
        self.entry(issuer).keys = Some((now, keys));
    }

    /// True where keys may be fetched again for the sake of one that is not known, at most once in
    /// [`ASK_AGAIN`]; it counts as done.
    pub(super) fn may_ask_again(&mut self, issuer: &str, now: Timestamp) -> bool {
        let entry = self.entry(issuer);
        let may = entry.asked_again_at.is_none_or(|at| now.since(at) >= ASK_AGAIN);
        if may {
            entry.asked_again_at = Some(now);
        }
        may
    }

    fn entry(&mut self, issuer: &str) -> &mut Entry {
        // Issuers come from the configuration; only one that changes all the time has many.
        if self.0.len() >= ISSUERS_MAX && !self.0.contains_key(issuer) {
            self.0.clear();
        }
        self.0.entry(issuer.to_owned()).or_default()
    }
}

fn young<T: Clone>((at, value): &(Timestamp, T), now: Timestamp) -> Option<T> {
    (now.since(*at) < AGE_MAX).then(|| value.clone())
}

/// How long a document or a set of keys is believed.
const AGE_MAX: Span = Span::from_hours(1);

/// How long to wait before keys are fetched again for the sake of one that is not known.
const ASK_AGAIN: Span = Span::from_minutes(1);

const ISSUERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://idp.example.com";

    #[test]
    fn keys_are_believed_for_an_hour() {
        let mut cache = Cache::default();
        let start = Timestamp::from_millis(0);
        cache.keep_keys(ISSUER, Keys::default(), start);
        let minutes = |minutes| start + Span::from_minutes(minutes);
        assert_eq!(cache.keys(ISSUER, minutes(59)), Some(Keys::default()));
        assert_eq!(cache.keys(ISSUER, minutes(60)), None);
        assert_eq!(cache.keys("https://other.example.com", start), None);
    }

    #[test]
    fn an_unknown_key_is_looked_for_once_a_minute_and_issuer() {
        let mut cache = Cache::default();
        let start = Timestamp::from_millis(0);
        assert!(cache.may_ask_again(ISSUER, start));
        assert!(!cache.may_ask_again(ISSUER, start + Span::from_seconds(59)));
        assert!(cache.may_ask_again("https://other.example.com", start));
        assert!(cache.may_ask_again(ISSUER, start + Span::from_seconds(60)));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut cache = Cache::default();
        for turn in 0..1_000 {
            let issuer = format!("https://{turn}.example.com");
            cache.keep_keys(&issuer, Keys::default(), Timestamp::from_millis(0));
            assert!(cache.0.len() <= ISSUERS_MAX);
        }
    }
}

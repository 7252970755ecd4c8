//! What a faulty server serves: a shelf, on which things are put and from which they are taken.

use std::collections::BTreeMap;

use breakglass::domain::time::Timestamp;
use serde_json::json;

use super::faulty_server::{HttpCall, Model};

/// A shelf with things on it.
#[derive(Default)]
pub struct Shelf {
    things: BTreeMap<String, (Timestamp, Timestamp)>,
    next: (Timestamp, Timestamp),
    now: Timestamp,
}

impl Model for Shelf {
    fn serve(&mut self, call: &HttpCall) -> (u16, String) {
        let name = call.path.strip_prefix("/things/").unwrap_or_default().to_owned();
        match (call.method.as_str(), name.as_str()) {
            ("GET", "") => {
                let seen = |(lands, listed): &(Timestamp, Timestamp)| {
                    self.now >= *lands && self.now >= *listed
                };
                let names = self.things.iter().filter(|(_, times)| seen(times));
                let names: Vec<_> = names.map(|(name, _)| name).collect();
                (200, json!({ "things": names }).to_string())
            }
            ("PUT", name) if self.things.contains_key(name) => (409, "{}".to_owned()),
            ("PUT", name) => {
                self.things.insert(name.to_owned(), self.next);
                (201, json!({ "name": name }).to_string())
            }
            ("DELETE", name) => match self.things.get(name) {
                // What has not come to be cannot be taken away.
                Some((lands, _)) if self.now >= *lands => {
                    self.things.remove(name);
                    (200, "{}".to_owned())
                }
                _ => (404, "{}".to_owned()),
            },
            _ => (405, "{}".to_owned()),
        }
    }

    fn left(&self) -> Vec<String> {
        self.things.keys().cloned().collect()
    }

    fn delay(&mut self, lands_at: Timestamp, listed_at: Timestamp) {
        self.next = (lands_at, listed_at);
    }

    fn advance(&mut self, now: Timestamp) {
        self.now = now;
    }
}

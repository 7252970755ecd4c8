//! A look at a provider, ability by ability.

use crate::clock::Stopwatch;
use crate::domain::probe::ProbeCheck;

/// The checks so far, with the time since the last one.
pub(super) struct Checks {
    list: Vec<ProbeCheck>,
    watch: Stopwatch,
}

impl Checks {
    /// Nothing was looked at yet.
    pub fn start() -> Self {
        Self { list: vec![], watch: Stopwatch::start() }
    }

    /// Notes something without which nothing works.
    pub fn note(&mut self, name: &str, found: Result<String, String>) -> Result<(), ()> {
        let is_well = found.is_ok();
        self.push(name, true, found);
        if is_well { Ok(()) } else { Err(()) }
    }

    /// Notes something that is only good to know.
    pub fn also(&mut self, name: &str, found: Result<String, String>) {
        self.push(name, false, found);
    }

    /// What was looked at, in order.
    pub fn into_list(self) -> Vec<ProbeCheck> {
        self.list
    }

    fn push(&mut self, name: &str, needed: bool, found: Result<String, String>) {
        let millis = self.watch.elapsed().as_millis();
        self.watch = Stopwatch::start();
        self.list.push(ProbeCheck { name: name.to_owned(), needed, found, millis });
    }
}

//! The dialog that opens a session, and the catalogue it chooses from.

use neo_frizbee::{Config, Matcher};

use super::rows::Rows;
use crate::domain::request::{OpenRequest, TargetChoice};
use crate::domain::target::{Address, Target, TargetKind};
use crate::domain::time::Span;
use crate::error::Report;
use crate::protocol::{PathView, PolicyView, TargetView};
use crate::tui::widgets::field::Field;

/// The catalogue, fetched when it is first needed.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Catalogue {
    /// Not asked for yet.
    #[default]
    Unknown,
    /// Asked for.
    Asked,
    /// Here.
    Here(Vec<Entry>),
    /// The engine could not give it.
    Failed(Report),
}

/// One target, with the texts that are searched: its names loosely, everything else to the letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The target.
    pub target: Target,
    names: String,
    all: String,
}

impl AsRef<str> for Entry {
    fn as_ref(&self) -> &str {
        &self.names
    }
}

impl Catalogue {
    /// Takes in the targets.
    #[must_use]
    pub fn of(targets: Vec<TargetView>) -> Self {
        let entry = |view: TargetView| {
            let target = view.target;
            let site = target.site.as_ref().map_or("", |site| site.as_str());
            let name = if target.name == target.id.as_str() { "" } else { target.name.as_str() };
            let kind = target.kind;
            let names = format!("{} {name}", target.id).trim_end().to_owned();
            let all = format!("{names} {site} {kind} {}", target.address).to_lowercase();
            Entry { target, names, all }
        };
        Self::Here(targets.into_iter().map(entry).collect())
    }

    /// The targets, where they are here.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        if let Self::Here(entries) = self { entries } else { &[] }
    }

    /// Returns the places of the targets that fit a search, the best first.
    #[must_use]
    pub fn search(&self, query: &str) -> Vec<usize> {
        let entries = self.entries();
        if query.trim().is_empty() {
            return (0..entries.len()).collect();
        }
        let query = query.trim().to_lowercase();
        let mut matcher = Matcher::from_query(&query, &Config::default());
        let mut hits = matcher.match_list(entries);
        hits.sort_by_key(|hit| {
            let entry = usize::try_from(hit.index).ok().and_then(|place| entries.get(place));
            let literal = entry.is_some_and(|entry| entry.names.contains(&query));
            let whole = entry.is_some_and(|entry| entry.target.id.as_str() == query);
            (!whole, !literal, std::cmp::Reverse(hit.score))
        });
        let by_name: Vec<usize> =
            hits.iter().filter_map(|hit| usize::try_from(hit.index).ok()).collect();
        let mut seen = vec![false; entries.len()];
        for place in &by_name {
            if let Some(seen) = seen.get_mut(*place) {
                *seen = true;
            }
        }
        let words: Vec<&str> = query.split_whitespace().collect();
        let by_rest = entries.iter().zip(seen).enumerate().filter_map(|(place, (entry, seen))| {
            (!seen && words.iter().all(|word| entry.all.contains(word))).then_some(place)
        });
        by_name.into_iter().chain(by_rest).collect()
    }
}

/// The dialog that opens a session.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenForm {
    /// Its number, so that an answer to an earlier dialog is not taken for one to this.
    pub number: u64,
    /// The field with the cursor.
    pub focus: Focus,
    /// The search for a target.
    pub search: Field,
    /// What fits the search; places in the catalogue, or the address as typed.
    pub rows: Rows<Candidate>,
    /// What speaks at an address that is in no catalogue.
    pub kind: TargetKind,
    /// The chosen target.
    pub chosen: Option<Chosen>,
    /// Why.
    pub reason: Field,
    /// Which of the last reasons stands in the field, counted from the newest.
    pub earlier: Option<usize>,
    /// For how long.
    pub duration: Field,
    /// What is wrong, and with which field.
    pub refusal: Option<(Focus, Report)>,
    /// True while the engine considers the request.
    pub sent: bool,
    /// What was asked for last.
    pub asked: Option<OpenRequest>,
}

/// The fields of the dialog, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// The target.
    Target,
    /// What speaks at an address.
    Kind,
    /// The reason.
    Reason,
    /// The duration.
    Duration,
}

/// One row of the list of targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// The target at this place of the catalogue.
    Known(usize),
    /// The address that was typed.
    Address(Address),
}

/// The chosen target, and its path as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// What the engine is asked for.
    pub choice: TargetChoice,
    /// What people call it.
    pub name: String,
    /// The longest session it allows by itself, if it says so.
    pub duration_max: Option<Span>,
    /// The number of the question for its path.
    pub question: u64,
    /// The path: none while it is being worked out.
    pub path: Option<Result<PathView, Report>>,
}

impl OpenForm {
    /// Opens the dialog with everything empty but the duration.
    #[must_use]
    pub fn new(number: u64, policy: Option<&PolicyView>) -> Self {
        let default = policy.map_or(Span::from_minutes(30), |policy| policy.duration_default);
        Self {
            number,
            focus: Focus::Target,
            search: Field::default(),
            rows: Rows::default(),
            kind: TargetKind::Tcp,
            chosen: None,
            reason: Field::default(),
            earlier: None,
            duration: Field::from(default.to_string().as_str()),
            refusal: None,
            sent: false,
            asked: None,
        }
    }

    /// Works out which targets fit the search; an address may stand first.
    pub fn search_again(&mut self, catalogue: &Catalogue) {
        let typed: Option<Address> = self.search.text().trim().parse().ok();
        let known = catalogue.search(self.search.text()).into_iter().map(Candidate::Known);
        let mut order: Vec<_> = known.collect();
        if let Some(address) = typed {
            order.push(Candidate::Address(address));
        }
        self.rows.set(order);
        self.rows.move_by(isize::MIN);
    }

    /// True when the chosen target is an address in no catalogue.
    #[must_use]
    pub const fn is_ad_hoc(&self) -> bool {
        matches!(&self.chosen, Some(Chosen { choice: TargetChoice::AdHoc { .. }, .. }))
    }

    /// The fields that the dialog has at the moment, in order.
    #[must_use]
    pub const fn fields(&self) -> &'static [Focus] {
        if self.is_ad_hoc() {
            &[Focus::Target, Focus::Kind, Focus::Reason, Focus::Duration]
        } else {
            &[Focus::Target, Focus::Reason, Focus::Duration]
        }
    }

    /// The longest session that may be asked for.
    #[must_use]
    pub fn duration_max(&self, policy: Option<&PolicyView>) -> Option<Span> {
        let own = self.chosen.as_ref().and_then(|chosen| chosen.duration_max);
        let all = policy.map(|policy| policy.duration_max);
        own.into_iter().chain(all).min()
    }
}

/// The durations that are offered.
pub const PRESETS: [Span; 5] = [
    Span::from_minutes(15),
    Span::from_minutes(30),
    Span::from_minutes(60),
    Span::from_minutes(120),
    Span::from_minutes(240),
];

/// Returns the presets within a bound; the bound itself where it is shorter than all of them.
#[must_use]
pub fn presets(max: Option<Span>) -> Vec<Span> {
    let within: Vec<_> =
        PRESETS.into_iter().filter(|preset| max.is_none_or(|max| *preset <= max)).collect();
    if within.is_empty() { max.into_iter().collect() } else { within }
}

/// Returns the next longer (or shorter) of `offered` than what was typed.
#[must_use]
pub fn step(offered: &[Span], typed: &str, longer: bool) -> Option<Span> {
    let Ok(typed) = typed.parse::<Span>() else { return offered.first().copied() };
    if longer {
        offered.iter().find(|span| **span > typed).or(offered.last()).copied()
    } else {
        offered.iter().rev().find(|span| **span < typed).or(offered.first()).copied()
    }
}

/// Returns what usually speaks at a port.
#[must_use]
pub const fn usual_kind(port: u16) -> TargetKind {
    match port {
        22 => TargetKind::Ssh,
        80 | 8080 => TargetKind::Http,
        443 | 8443 => TargetKind::Https,
        3306 => TargetKind::Mysql,
        5432 => TargetKind::Postgres,
        6379 => TargetKind::Redis,
        6443 => TargetKind::Kubernetes,
        27017 => TargetKind::Mongodb,
        _ => TargetKind::Tcp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_step_through_what_is_allowed() {
        let hour = presets(Some(Span::from_minutes(60)));
        assert_eq!(hour.len(), 3);
        assert_eq!(step(&hour, "30m", true), Some(Span::from_minutes(60)));
        assert_eq!(step(&hour, "1h", true), Some(Span::from_minutes(60)));
        assert_eq!(step(&hour, "45m", false), Some(Span::from_minutes(30)));
        assert_eq!(step(&hour, "nonsense", true), Some(Span::from_minutes(15)));
        assert_eq!(presets(Some(Span::from_minutes(5))), [Span::from_minutes(5)]);
        assert_eq!(presets(None).len(), PRESETS.len());
        assert_eq!(step(&[], "5m", true), None);
    }
}

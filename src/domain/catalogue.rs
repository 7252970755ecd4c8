//! What there is to reach: the sites and targets of the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::id::{SiteId, TargetId};
use super::site::Site;
use super::target::Target;

/// All sites and targets, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The sites.
    pub sites: BTreeMap<SiteId, Site>,
    /// The targets.
    pub targets: BTreeMap<TargetId, Target>,
}

impl Catalogue {
    /// Returns the site whose private ranges hold the address, the first by name where several do.
    #[must_use]
    pub fn site_of_range(&self, address: IpAddr) -> Option<&Site> {
        let holds = |site: &&Site| site.private_ranges.iter().any(|range| range.contains(address));
        self.sites.values().find(holds)
    }

    /// Returns up to three target names that resemble a mistyped one, the nearest first.
    #[must_use]
    pub fn similar(&self, mistyped: &str) -> Vec<&TargetId> {
        let typed = mistyped.to_ascii_lowercase();
        let rank = |id: &TargetId| {
            if id.as_str().contains(&typed) && !typed.is_empty() {
                return Some(0);
            }
            let distance = edit_distance(&typed, id.as_str());
            (distance <= 1 + typed.len() / 4).then_some(distance)
        };
        let mut near: Vec<_> =
            self.targets.keys().filter_map(|id| rank(id).map(|distance| (distance, id))).collect();
        near.sort();
        near.into_iter().take(3).map(|(_, id)| id).collect()
    }
}

/// Returns how many letters must be added, dropped or changed to turn one text into the other.
#[must_use]
pub fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(COMPARED_CHARS_MAX).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(COMPARED_CHARS_MAX).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (b, above) in to.iter().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(a != *b);
            left = changed.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

const COMPARED_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_letters() {
        for (from, to, distance) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("kitten", "sitting", 3),
            ("", "ab", 2),
        ] {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
            assert_eq!(edit_distance(to, from), distance, "{to} {from}");
        }
    }
}

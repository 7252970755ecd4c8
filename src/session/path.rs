//! Which path a session gets, and why that one. The operator never chooses it.
//!
//! 1. A target says `direct`, `private` or `auto`; `auto` means a try to connect from here, but an
//!    address inside any site's private range never counts as reachable that way: another customer
//!    may live at the same address.
//! 2. Reachable, and Direct is switched on: Direct.
//! 3. Otherwise the first provider of the target's site, in the site's order, that is switched on
//!    and can serve; a target without a site uses the providers marked `default`.
//! 4. None: refused, naming each provider and why it cannot serve. Never a silent fallback.

use std::net::{IpAddr, SocketAddr};

use crate::domain::catalogue::Catalogue;
use crate::domain::id::ProviderId;
use crate::domain::provider::{Health, ProviderKind, ProviderStanding};
use crate::domain::request::NetworkPath;
use crate::domain::site::{Prefix, Site};
use crate::domain::target::{Reachability, Target};
use crate::domain::text;
use crate::domain::time::Span;

/// How long a try to connect may take before a target of unknown reachability counts as private.
pub const PROBE_TIMEOUT: Span = Span::from_seconds(2);

/// What came of a try to connect from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A connection was made.
    Connected,
    /// Every address lies in a private range of the named site, so none was tried.
    Private(String),
    /// No connection could be made; why, in words.
    Failed(String),
}

/// Which path, or why none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The path.
    pub path: Option<NetworkPath>,
    /// Each provider that was passed over, and why.
    pub considered: Vec<(ProviderId, String)>,
}

impl Choice {
    /// Says in one line why there is no path.
    #[must_use]
    pub fn why_not(&self) -> String {
        if self.considered.is_empty() {
            return "no provider serves this target".to_owned();
        }
        let each = self.considered.iter().map(|(id, why)| format!("{id}: {why}"));
        each.collect::<Vec<_>>().join("; ")
    }
}

/// True when the choice needs to know whether the target can be reached from here.
#[must_use]
pub fn needs_probe(target: &Target, providers: &[ProviderStanding]) -> bool {
    target.reachability == Reachability::Auto && direct(providers).is_some_and(|it| it.enabled)
}

/// Returns those addresses that a try to connect may use: none inside a site's private range, and
/// not the unspecified one, which would be this host.
///
/// # Errors
///
/// The name of the site, when that leaves no address.
pub fn outside_sites(
    addresses: &[SocketAddr],
    catalogue: &Catalogue,
) -> Result<Vec<SocketAddr>, String> {
    let private = |address: &SocketAddr| catalogue.site_of_range(address.ip());
    let usable = |address: &&SocketAddr| {
        private(address).is_none() && !address.ip().to_canonical().is_unspecified()
    };
    let outside: Vec<_> = addresses.iter().filter(usable).copied().collect();
    match addresses.iter().find_map(private) {
        Some(site) if outside.is_empty() => Err(site.name.clone()),
        _ => Ok(outside),
    }
}

/// Returns the ranges that a plain connection to this target must not lead into.
#[must_use]
pub fn forbidden_ranges(target: &Target, catalogue: &Catalogue) -> Vec<Prefix> {
    if target.reachability == Reachability::Direct {
        return vec![];
    }
    catalogue.sites.values().flat_map(|site| site.private_ranges.iter().copied()).collect()
}

/// Returns the two sites, in words, whose addresses a provider could not tell apart: the target's
/// own and another one that uses one of the providers that share a way, and has an address range in
/// common with it, holds the target's address, or has a target of that address.
#[must_use]
pub fn shares_addresses(
    target: &Target,
    catalogue: &Catalogue,
    providers: &[ProviderId],
) -> Option<String> {
    let own = target.site.as_ref().and_then(|id| catalogue.sites.get(id))?;
    let host = target.address.host();
    let address: Option<IpAddr> = host.parse().ok();
    let meets = |other: &&Site| {
        let shared = |range: &Prefix| other.private_ranges.iter().any(|it| it.overlaps(range));
        let holds = |range: &Prefix| address.is_some_and(|address| range.contains(address));
        let has_target = || {
            let mut theirs = catalogue.targets.values();
            theirs.any(|it| it.site.as_ref() == Some(&other.id) && it.address.host() == host)
        };
        other.id != own.id
            && other.providers.iter().any(|id| providers.contains(id))
            && (own.private_ranges.iter().any(shared)
                || other.private_ranges.iter().any(holds)
                || has_target())
    };
    let other = catalogue.sites.values().find(meets)?;
    Some(format!("{} and {}", own.id, other.id))
}

/// Chooses the path. `probe` is what came of a try to connect, where [`needs_probe`] asked for one.
#[must_use]
pub fn choose(
    target: &Target,
    catalogue: &Catalogue,
    providers: &[ProviderStanding],
    probe: Option<&Probe>,
) -> Choice {
    let mut considered = vec![];
    if let Some(direct) = direct(providers) {
        match directly(target, direct, probe) {
            Ok(why) => return found(direct, why, considered),
            Err(why) => considered.push((direct.id.clone(), why)),
        }
    }
    for (candidate, why) in candidates(target, catalogue, providers) {
        match candidate {
            Err(id) => considered.push((id, "is not configured".to_owned())),
            Ok(provider) => match cannot_serve(provider) {
                None => return found(provider, why, considered),
                Some(why_not) => considered.push((provider.id.clone(), why_not)),
            },
        }
    }
    Choice { path: None, considered }
}

fn directly(
    target: &Target,
    direct: &ProviderStanding,
    probe: Option<&Probe>,
) -> Result<String, String> {
    if !direct.enabled {
        return Err(SWITCHED_OFF.to_owned());
    }
    match (target.reachability, probe) {
        (Reachability::Direct, _) => Ok("the target is marked as directly reachable".to_owned()),
        (Reachability::Private, _) => Err("the target is marked as private".to_owned()),
        (Reachability::Auto, Some(Probe::Connected)) => {
            Ok("the target answers from this host".to_owned())
        }
        (Reachability::Auto, Some(Probe::Private(site))) => {
            let site = text::shown(site);
            Err(format!("its address lies in a private range of {site}"))
        }
        (Reachability::Auto, Some(Probe::Failed(why))) => {
            Err(format!("the target does not answer from this host ({})", text::shown(why)))
        }
        (Reachability::Auto, None) => Err("nobody tried to connect".to_owned()),
    }
}

type Candidate<'a> = (Result<&'a ProviderStanding, ProviderId>, String);

fn candidates<'a>(
    target: &Target,
    catalogue: &Catalogue,
    providers: &'a [ProviderStanding],
) -> Vec<Candidate<'a>> {
    let tunnel = |provider: &&ProviderStanding| provider.kind != ProviderKind::Direct;
    let site = target.site.as_ref().and_then(|id| catalogue.sites.get(id));
    match site {
        Some(site) => {
            let named = |id: &ProviderId| providers.iter().find(|provider| provider.id == *id);
            let ids = site.providers.iter().filter(|id| named(id).is_none_or(|p| tunnel(&p)));
            ids.enumerate()
                .map(|(place, id)| {
                    let why = match place {
                        0 => format!("{id} is the preferred provider of {}", site.id),
                        place => format!("{id} is choice {} of {}", place + 1, site.id),
                    };
                    (named(id).ok_or_else(|| id.clone()), why)
                })
                .collect()
        }
        None => {
            let marked = providers.iter().filter(tunnel).filter(|provider| provider.default);
            marked
                .map(|provider| (Ok(provider), format!("{} serves by default", provider.id)))
                .collect()
        }
    }
}

fn cannot_serve(provider: &ProviderStanding) -> Option<String> {
    if !provider.enabled {
        return Some(SWITCHED_OFF.to_owned());
    }
    match &provider.health {
        Health::Down { why } => Some(format!("is down ({})", text::shown(why))),
        Health::Healthy | Health::Degraded { .. } => None,
    }
}

fn direct(providers: &[ProviderStanding]) -> Option<&ProviderStanding> {
    providers.iter().find(|provider| provider.kind == ProviderKind::Direct)
}

fn found(
    provider: &ProviderStanding,
    why: String,
    considered: Vec<(ProviderId, String)>,
) -> Choice {
    let path = NetworkPath { provider: provider.id.clone(), kind: provider.kind, why };
    Choice { path: Some(path), considered }
}

/// Why a provider is passed over that an operator has switched off.
pub const SWITCHED_OFF: &str = "is switched off";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::target::{Listen, TargetKind};

    fn target(reachability: Reachability, site: Option<&str>) -> Target {
        Target {
            id: "orders".parse().unwrap(),
            name: "orders".into(),
            site: site.map(|site| site.parse().unwrap()),
            kind: TargetKind::Tcp,
            address: "10.20.0.7:5432".parse().unwrap(),
            reachability,
            user: None,
            database: None,
            listen: Listen::Loopback { port: None },
            idle: None,
            duration_max: None,
        }
    }

    fn catalogue() -> Catalogue {
        let site = Site {
            id: "acme".parse().unwrap(),
            name: "Acme".into(),
            private_ranges: vec!["10.20.0.0/16".parse().unwrap()],
            providers: vec!["net-a".parse().unwrap(), "net-b".parse().unwrap()],
            launcher: None,
        };
        Catalogue { sites: [(site.id.clone(), site)].into(), ..Catalogue::default() }
    }

    fn standing(id: &str, kind: ProviderKind) -> ProviderStanding {
        let id = id.parse().unwrap();
        ProviderStanding { id, kind, enabled: true, default: false, health: Health::Healthy }
    }

    fn providers() -> Vec<ProviderStanding> {
        vec![
            standing("direct", ProviderKind::Direct),
            standing("net-a", ProviderKind::Simulated),
            standing("net-b", ProviderKind::Simulated),
        ]
    }

    fn says(target: &Target, providers: &[ProviderStanding], probe: Option<&Probe>) -> String {
        let choice = choose(target, &catalogue(), providers, probe);
        match &choice.path {
            Some(path) => format!("{}: {}", path.provider, path.why),
            None => format!("refused: {}", choice.why_not()),
        }
    }

    #[test]
    fn the_rule_in_words() {
        use Reachability::{Auto, Direct, Private};
        let all = providers();
        let mut no_direct = providers();
        no_direct[0].enabled = false;
        let mut only_b = providers();
        only_b[1].health = Health::Down { why: "timed out\u{7}".into() };
        let mut none = only_b.clone();
        none[2].enabled = false;
        let refused = Probe::Failed("connection refused".into());
        let private = Probe::Private("Acme".into());
        let acme = Some("acme");
        let lines = [
            says(&target(Direct, acme), &all, None),
            says(&target(Direct, acme), &no_direct, None),
            says(&target(Auto, acme), &all, Some(&Probe::Connected)),
            says(&target(Auto, acme), &all, Some(&refused)),
            says(&target(Auto, acme), &all, Some(&private)),
            says(&target(Private, acme), &only_b, None),
            says(&target(Private, acme), &none, None),
            says(&target(Private, None), &all, None),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        direct: the target is marked as directly reachable
        net-a: net-a is the preferred provider of acme
        direct: the target answers from this host
        net-a: net-a is the preferred provider of acme
        net-a: net-a is the preferred provider of acme
        net-b: net-b is choice 2 of acme
        refused: direct: the target is marked as private; net-a: is down (timed out<07>); net-b: is switched off
        refused: direct: the target is marked as private
        ");
    }

    #[test]
    fn a_target_without_a_site_uses_the_defaults_in_file_order() {
        let mut all = providers();
        all[2].default = true;
        assert_eq!(
            says(&target(Reachability::Private, None), &all, None),
            "net-b: net-b serves by default"
        );
    }

    #[test]
    fn an_address_in_a_private_range_is_never_tried() {
        let inside: SocketAddr = "10.20.0.7:5432".parse().unwrap();
        let outside: SocketAddr = "192.0.2.7:5432".parse().unwrap();
        assert_eq!(outside_sites(&[inside, outside], &catalogue()), Ok(vec![outside]));
        assert_eq!(outside_sites(&[inside], &catalogue()), Err("Acme".to_owned()));
        let this_host = ["0.0.0.0:1", "[::]:1", "[::ffff:0:0]:1"].map(|at| at.parse().unwrap());
        assert_eq!(outside_sites(&this_host, &catalogue()), Ok(vec![]));
        assert_eq!(forbidden_ranges(&target(Reachability::Direct, None), &catalogue()), vec![]);
        assert_eq!(forbidden_ranges(&target(Reachability::Auto, None), &catalogue()).len(), 1);
    }

    #[test]
    fn sites_with_the_same_addresses_do_not_share_a_provider_that_cannot_tell_them_apart() {
        let mut catalogue = catalogue();
        let acme = catalogue.sites.values().next().unwrap().clone();
        let mut other = Site { id: "beta".parse().unwrap(), ..acme };
        other.private_ranges = vec!["10.20.7.0/24".parse().unwrap()];
        catalogue.sites.insert(other.id.clone(), other.clone());
        let target = target(Reachability::Private, Some("acme"));
        let net_a = "net-a".parse().unwrap();
        let said = shares_addresses(&target, &catalogue, std::slice::from_ref(&net_a));
        assert_eq!(said.as_deref(), Some("acme and beta"));
        other.providers = vec!["net-b".parse().unwrap()];
        catalogue.sites.insert(other.id.clone(), other);
        assert_eq!(shares_addresses(&target, &catalogue, std::slice::from_ref(&net_a)), None);
        let both = [net_a, "net-b".parse().unwrap()];
        assert!(shares_addresses(&target, &catalogue, &both).is_some(), "over one way");
    }

    #[test]
    fn a_site_without_ranges_has_the_addresses_of_its_targets() {
        let mut catalogue = catalogue();
        let acme = catalogue.sites.values().next().unwrap().clone();
        let other = Site { id: "beta".parse().unwrap(), private_ranges: vec![], ..acme };
        catalogue.sites.insert(other.id.clone(), other);
        let own = target(Reachability::Private, Some("acme"));
        let net_a = ["net-a".parse().unwrap()];
        assert_eq!(shares_addresses(&own, &catalogue, &net_a), None);
        let theirs = Target { id: "theirs".parse().unwrap(), ..own.clone() };
        let theirs = Target { site: Some("beta".parse().unwrap()), ..theirs };
        catalogue.targets.insert(theirs.id.clone(), theirs);
        assert!(shares_addresses(&own, &catalogue, &net_a).is_some());
    }

    #[test]
    fn a_probe_is_made_only_where_it_decides() {
        let mut all = providers();
        assert!(needs_probe(&target(Reachability::Auto, None), &all));
        assert!(!needs_probe(&target(Reachability::Private, None), &all));
        all[0].enabled = false;
        assert!(!needs_probe(&target(Reachability::Auto, None), &all));
    }
}

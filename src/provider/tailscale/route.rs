//! Which route leads to a target, so that no two sites ever meet. Pure.
//!
//! A router advertises the target's own address and nothing else. Where that address is taken, by
//! another site or by a route that the tailnet has already, an IPv4 target gets an address of its own
//! instead: 4via6 puts a number of a site in front of it
//! (<https://tailscale.com/docs/features/subnet-routers/4via6-subnets>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::domain::site::Prefix;

/// The route of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// What the router advertises: one address.
    pub prefix: Prefix,
    /// The number of the site in it, with 4via6.
    pub site: Option<u16>,
}

impl Route {
    /// The address by which the target is reached from a node.
    pub const fn address(&self) -> IpAddr {
        self.prefix.address()
    }
}

/// What a choice depends on, besides the routes that the tailnet has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The target.
    pub target: IpAddr,
    /// True where another site of the configuration has this address too.
    pub is_shared: bool,
    /// The number of a site that is tried first; drawn by lot, so that others draw another.
    pub first_site: u16,
}

/// Chooses the route to a target. `taken` are the routes that other nodes advertise or have approved.
///
/// # Errors
///
/// Why there is no route that leads to this target alone, in words.
pub(super) fn choose<'a>(
    wish: Wish,
    taken: impl Iterator<Item = &'a Prefix> + Clone,
) -> Result<Route, String> {
    let Wish { target, is_shared, first_site } = wish;
    let target = target.to_canonical();
    if is_of_tailnet(target) {
        return Err(format!(
            "`{target}` is an address of the tailnet itself, which no router may serve"
        ));
    }
    // The default routes of exit nodes are for the whole internet, and the longest prefix wins.
    let mut taken = taken.filter(|prefix| prefix.length() > 0);
    let in_the_way = taken.clone().find(|prefix| prefix.contains(target));
    if in_the_way.is_none() && !is_shared {
        return Ok(Route { prefix: Prefix::single(target), site: None });
    }
    let why = match in_the_way {
        Some(prefix) => format!("the tailnet has a route to `{prefix}` already"),
        None => "another site has this address too".to_owned(),
    };
    let IpAddr::V4(target) = target else {
        return Err(format!("{why}, and only an IPv4 address can be told apart from it (4via6)"));
    };
    if let Some(kind) = refused(target) {
        return Err(format!("{why}, and routers refuse 4via6 to {kind} such as `{target}`"));
    }
    let sites = (0..=u16::MAX).map(|step| first_site.wrapping_add(step));
    let is_free = |site: &u16| !taken.any(|prefix| prefix.contains(via(*site, target).into()));
    let site = sites.take(TRIES).find(is_free).ok_or_else(|| {
        format!("{why}, and the numbers of sites that were tried for 4via6 are taken too")
    })?;
    Ok(Route { prefix: Prefix::single(via(site, target).into()), site: Some(site) })
}

/// The address of an IPv4 target in a site with a number: `fd7a:115c:a1e0:b1a`, the number in 32 bits,
/// the address.
fn via(site: u16, target: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = target.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0x0b1a, 0, site, high, low)
}

/// True for an address that a tailnet gives to nodes.
fn is_of_tailnet(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_cgnat(address),
        IpAddr::V6(address) => address.segments().starts_with(&[0xfd7a, 0x115c, 0xa1e0]),
    }
}

/// What kind of address routers do not serve by 4via6 (tailscale commit 90ed0bc of August 2026).
fn refused(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("loopback addresses")
    } else if address.is_link_local() {
        Some("link-local addresses")
    } else if address.is_multicast() || address.is_broadcast() {
        Some("multicast addresses")
    } else {
        None
    }
}

/// 100.64.0.0/10 (RFC 6598).
const fn is_cgnat(address: Ipv4Addr) -> bool {
    address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64
}

/// Beyond so many, something other than chance has taken them.
const TRIES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(target: &str, is_shared: bool, taken: &[&str]) -> Result<String, String> {
        let taken: Vec<Prefix> = taken.iter().map(|text| text.parse().unwrap()).collect();
        let wish = Wish { target: target.parse().unwrap(), is_shared, first_site: 7 };
        choose(wish, taken.iter()).map(|route| route.prefix.to_string())
    }

    #[test]
    fn a_target_is_reached_by_its_own_address_alone() {
        let chosen = |taken: &[&str]| chosen("10.1.1.16", false, taken).unwrap();
        assert_eq!(chosen(&[]), "10.1.1.16/32");
        assert_eq!(chosen(&["10.1.1.17/32", "10.2.0.0/16", "::/0"]), "10.1.1.16/32");
        assert_eq!(chosen(&["0.0.0.0/0"]), "10.1.1.16/32", "an exit node is in nobody's way");
    }

    #[test]
    fn what_is_taken_gets_an_address_of_its_own() {
        // The vendor's own example: site 7, 10.1.1.0/24 is fd7a:115c:a1e0:b1a:0:7:a01:100/120.
        let via = "fd7a:115c:a1e0:b1a:0:7:a01:110/128";
        assert_eq!(chosen("10.1.1.16", true, &[]).unwrap(), via);
        assert_eq!(chosen("10.1.1.16", false, &["10.1.1.16/32"]).unwrap(), via);
        assert_eq!(chosen("10.1.1.16", false, &["10.0.0.0/8"]).unwrap(), via);
        let next = "fd7a:115c:a1e0:b1a:0:8:a01:110/128";
        assert_eq!(chosen("10.1.1.16", true, &[via]).unwrap(), next);
        let whole_site = "fd7a:115c:a1e0:b1a:0:7:a01:100/120";
        assert_eq!(chosen("10.1.1.16", true, &[whole_site]).unwrap(), next);
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let all: Vec<String> = (0_u32..2000)
            .map(|site| format!("fd7a:115c:a1e0:b1a:0:{site:x}:a01:110/128"))
            .collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let refused = [
            chosen("100.100.3.4", false, &[]),
            chosen("fd7a:115c:a1e0::1", false, &[]),
            chosen("fd00::1", true, &[]),
            chosen("169.254.169.254", false, &["169.254.0.0/16"]),
            chosen("10.1.1.16", true, &all),
        ];
        let refused = refused.map(Result::unwrap_err);
        insta::assert_snapshot!(refused.join("\n"), @r"
        `100.100.3.4` is an address of the tailnet itself, which no router may serve
        `fd7a:115c:a1e0::1` is an address of the tailnet itself, which no router may serve
        another site has this address too, and only an IPv4 address can be told apart from it (4via6)
        the tailnet has a route to `169.254.0.0/16` already, and routers refuse 4via6 to link-local addresses such as `169.254.169.254`
        another site has this address too, and the numbers of sites that were tried for 4via6 are taken too
        ");
    }
}

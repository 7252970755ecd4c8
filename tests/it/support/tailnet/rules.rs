//! What the rules of a policy file allow, and which routes it approves by itself.

use std::net::IpAddr;

use serde_json::Value;

use super::hujson::section;

/// A rule in one form, whether it was written as an ACL or as a grant.
pub struct Rule {
    pub sources: Vec<String>,
    /// `host:ports`.
    pub destinations: Vec<String>,
    protocol: Option<String>,
    /// The section it stands in, and its place there.
    pub place: (&'static str, usize),
}

/// All rules.
pub fn rules(policy: &Value) -> Vec<Rule> {
    let acls = entries(policy, "acls").map(|(at, rule)| {
        let either = |new: &str, old: &str| {
            if rule[new].is_array() { texts(&rule[new]) } else { texts(&rule[old]) }
        };
        Rule {
            sources: either("src", "users"),
            destinations: either("dst", "ports"),
            protocol: rule["proto"].as_str().map(str::to_owned),
            place: ("acls", at),
        }
    });
    let grants = entries(policy, "grants").flat_map(|(at, rule)| {
        let ways = texts(&rule["ip"]);
        ways.into_iter().map(move |way| {
            let (protocol, ports) = match way.split_once(':') {
                Some((protocol, ports)) => (Some(protocol.to_owned()), ports.to_owned()),
                None => (None, way),
            };
            let to = texts(&rule["dst"]).into_iter().map(|host| format!("{host}:{ports}"));
            let (sources, destinations) = (texts(&rule["src"]), to.collect());
            Rule { sources, destinations, protocol, place: ("grants", at) }
        })
    });
    acls.chain(grants).collect()
}

fn entries<'v>(policy: &'v Value, name: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    section(policy, name).and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// The texts of a list.
pub fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Rule {
    /// True where it lets a source reach `host:port`.
    pub fn allows(&self, policy: &Value, from: &str, to: &str, protocol: &str) -> bool {
        self.comes_from(policy, from) && self.leads_to(policy, to) && self.speaks(protocol)
    }

    pub fn comes_from(&self, policy: &Value, from: &str) -> bool {
        self.sources.iter().any(|source| same_party(policy, source, from))
    }

    pub fn leads_to(&self, policy: &Value, to: &str) -> bool {
        let Some((host, port)) = host_and_port(to) else { return false };
        self.destinations.iter().any(|destination| {
            let (party, ports) = destination.rsplit_once(':').unwrap_or((destination, "*"));
            same_party(policy, party.trim_matches(['[', ']']), &host) && has_port(ports, port)
        })
    }

    fn speaks(&self, protocol: &str) -> bool {
        self.protocol.as_ref().is_none_or(|own| own == "*" || own == protocol)
    }
}

/// True where what a rule names is, or holds, who is asked about.
fn same_party(policy: &Value, named: &str, who: &str) -> bool {
    if named == "*" || named == who {
        return true;
    }
    if named.starts_with("group:") {
        let groups = section(policy, "groups").unwrap_or(&Value::Null);
        return texts(&groups[named]).iter().any(|member| member == who);
    }
    if named == "autogroup:member" {
        return who.contains('@');
    }
    let host = |name: &str| section(policy, "hosts").and_then(|hosts| hosts[name].as_str());
    let (named, who) = (host(named).unwrap_or(named), host(who).unwrap_or(who));
    match (prefix(named), who.parse::<IpAddr>()) {
        (Some(prefix), Ok(ip)) => contains(prefix, ip),
        (_, who) => who.is_ok_and(|who| named.parse::<IpAddr>() == Ok(who)),
    }
}

fn host_and_port(to: &str) -> Option<(String, u16)> {
    let (host, port) = to.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

fn has_port(ports: &str, port: u16) -> bool {
    ports.split(',').any(|range| match range.split_once('-') {
        Some((from, to)) => {
            let bounds = from.parse::<u16>().ok().zip(to.parse::<u16>().ok());
            bounds.is_some_and(|(from, to)| (from..=to).contains(&port))
        }
        None => range == "*" || range.parse::<u16>() == Ok(port),
    })
}

/// True where `autoApprovers` approves a route of a device with these tags.
pub fn approves(policy: &Value, route: &str, tags: &[String]) -> bool {
    let routes = section(policy, "autoapprovers").and_then(|both| section(both, "routes"));
    let Some(((ip, length), routes)) = prefix(route).zip(routes.and_then(Value::as_object)) else {
        return false;
    };
    routes.iter().any(|(wide, who)| {
        let holds = prefix(wide).is_some_and(|wide| wide.1 <= length && contains(wide, ip));
        holds && texts(who).iter().any(|who| tags.contains(who))
    })
}

/// Reads a prefix, and only one without bits behind its length.
pub fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, length) = text.split_once('/')?;
    let (ip, length) = (ip.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?);
    let (bits, most) = bits(ip);
    let is_whole = length <= most && masked(bits, most, length) == bits;
    is_whole.then_some((ip, length))
}

/// True where an address lies in a prefix.
pub fn contains((network, length): (IpAddr, u8), ip: IpAddr) -> bool {
    let ((network, most), (ip, same)) = (bits(network), bits(ip));
    most == same && masked(ip, most, length) == network
}

fn bits(ip: IpAddr) -> (u128, u8) {
    match ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    }
}

fn masked(bits: u128, most: u8, length: u8) -> u128 {
    let free = u32::from(most - length);
    bits.checked_shr(free).and_then(|kept| kept.checked_shl(free)).unwrap_or(0)
}

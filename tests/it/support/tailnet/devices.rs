//! Devices, and what their own side does.

use std::net::IpAddr;

use breakglass::domain::time::Timestamp;
use serde_json::{Value, json};

use super::super::faulty_server::{HttpAnswer, HttpCall};
use super::super::mishap::wire_time;
use super::Tailnet;
use super::rules::{contains, prefix};

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    pub node_id: String,
    /// The legacy one.
    pub id: String,
    pub hostname: String,
    pub name: String,
    pub user: String,
    pub tags: Vec<String>,
    pub created: Timestamp,
    pub online: bool,
    pub last_seen: Option<Timestamp>,
    pub authorized: bool,
    pub is_external: bool,
    pub ephemeral: bool,
    pub lock_error: String,
    pub advertised: Vec<String>,
    pub enabled: Vec<String>,
    /// The id of the key with which it joined.
    pub joined_with: Option<String>,
    pub listed_at: Timestamp,
    number: u64,
}

/// Why a device cannot join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such key.
    UnknownKey,
    /// It is over, taken back or spent.
    InvalidKey,
}

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// To this device, which carries it on.
    Device(String),
    /// To this device, which is off: it is lost, even where a wider route would do.
    BlackHole(String),
    Nobody,
}

/// The nodes' side.
impl Tailnet {
    /// A node joins and says which routes it has. Gives back its id.
    pub fn join(
        &mut self,
        secret: &str,
        hostname: &str,
        routes: &[&str],
    ) -> Result<String, Refusal> {
        let now = self.now;
        let key = self.keys.iter_mut().find(|key| key.joins_devices() && key.secret == secret);
        let key = key.ok_or(Refusal::UnknownKey)?;
        if key.is_invalid(now) {
            return Err(Refusal::InvalidKey);
        }
        key.used = true;
        let key = key.clone();
        let mut device = self.new_device(hostname);
        device.user = key.user.clone().unwrap_or(device.user);
        device.tags = key.tags.clone();
        device.ephemeral = key.ephemeral;
        device.joined_with = Some(key.id);
        device.authorized = !self.switches.approval_on || key.preauthorized;
        if self.switches.lock_on {
            device.lock_error = "node key is not signed".to_owned();
        }
        let id = device.node_id.clone();
        self.devices.push(device);
        self.advertise(&id, routes);
        Ok(id)
    }

    /// A device that was there before, of no session. Gives back its id.
    pub fn resident(&mut self, hostname: &str, tags: &[&str], routes: &[&str]) -> String {
        let mut device = self.new_device(hostname);
        device.tags = super::credentials::owned(tags);
        device.enabled = super::credentials::owned(routes);
        device.advertised = device.enabled.clone();
        let id = device.node_id.clone();
        self.devices.push(device);
        id
    }

    /// A device of another tailnet that is shared with this one. Gives back its id.
    pub fn shared_in(&mut self, hostname: &str) -> String {
        let id = self.resident(hostname, &[], &[]);
        self.known(&id).is_external = true;
        id
    }

    /// A node says which routes it has. Auto-approvers see those alone that it did not have before.
    pub fn advertise(&mut self, node: &str, routes: &[&str]) {
        let known = self.known(node).clone();
        let new = routes.iter().filter(|route| !known.advertised.iter().any(|has| has == *route));
        let approved: Vec<_> =
            new.filter(|route| self.policy.approves(route, &known.tags)).collect();
        let device = self.known(node);
        device.advertised = super::credentials::owned(routes);
        for route in approved {
            if !device.enabled.iter().any(|has| has == route) {
                device.enabled.push((*route).to_owned());
            }
        }
    }

    /// A node is cut off. It stays listed, and an ephemeral one for a while only.
    pub fn go_offline(&mut self, node: &str) {
        let now = self.now;
        let device = self.known(node);
        (device.online, device.last_seen) = (false, Some(now));
    }

    /// A node is back.
    pub fn go_online(&mut self, node: &str) {
        let device = self.known(node);
        (device.online, device.last_seen) = (true, None);
    }

    /// A node logs out: an ephemeral one is gone at once, another is off.
    pub fn leave(&mut self, node: &str) {
        if self.known(node).ephemeral {
            self.devices.retain(|device| device.node_id != node);
        } else {
            self.go_offline(node);
        }
    }

    /// What is known of a device, for a test to look at.
    pub fn device(&self, node: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.node_id == node)
    }

    /// The ids of all devices.
    pub fn nodes(&self) -> Vec<String> {
        self.devices.iter().map(|device| device.node_id.clone()).collect()
    }

    /// Where packets to this address go: the longest route that is advertised and enabled decides,
    /// whether its device is there or not.
    pub fn carrier(&self, to: IpAddr) -> Carrier {
        let routes = self.devices.iter().flat_map(|device| {
            let is_on = move |route: &&String| device.enabled.contains(route);
            device.advertised.iter().filter(is_on).map(move |route| (device, route))
        });
        let fitting = routes.filter_map(|(device, route)| {
            let prefix = prefix(route).filter(|prefix| contains(*prefix, to))?;
            let works = device.online && device.authorized && device.lock_error.is_empty();
            Some((prefix.1, works, device.node_id.clone()))
        });
        match fitting.max_by_key(|(length, works, _)| (*length, *works)) {
            Some((_, true, node)) => Carrier::Device(node),
            Some((_, false, node)) => Carrier::BlackHole(node),
            None => Carrier::Nobody,
        }
    }

    fn new_device(&mut self, hostname: &str) -> Device {
        let number = self.serial();
        let taken = |name: &String| self.devices.iter().any(|device| device.name == *name);
        let names = (0..).map(|suffix| match suffix {
            0 => hostname.to_owned(),
            _ => format!("{hostname}-{suffix}"),
        });
        let name = names.map(|name| format!("{name}.{DOMAIN}")).find(|name| !taken(name));
        let is_headscale = self.headscale.is_some();
        Device {
            node_id: if is_headscale { number.to_string() } else { format!("n{number:06}CNTRL") },
            id: format!("{}", 9_000_000_000_000_000 + number),
            hostname: hostname.to_owned(),
            name: name.unwrap_or_default(),
            user: "ops@example.com".to_owned(),
            tags: vec![],
            created: self.now,
            online: true,
            last_seen: None,
            authorized: true,
            is_external: false,
            ephemeral: false,
            lock_error: String::new(),
            advertised: vec![],
            enabled: vec![],
            joined_with: None,
            listed_at: self.now + self.switches.devices_listed_after,
            number,
        }
    }

    fn known(&mut self, node: &str) -> &mut Device {
        let found = self.devices.iter_mut().find(|device| device.node_id == node);
        found.unwrap_or_else(|| panic!("there is no node {node}"))
    }

    /// Forgets ephemeral devices that were off for long.
    pub fn forget_ephemeral(&mut self) {
        let (now, lag) = (self.now, self.switches.ephemeral_lag);
        self.devices.retain(|device| {
            !device.ephemeral || device.last_seen.is_none_or(|seen| now.since(seen) < lag)
        });
    }
}

impl Device {
    /// Its two addresses.
    pub fn addresses(&self) -> [String; 2] {
        let (high, low) = (self.number / 250 % 64, self.number % 250 + 1);
        [format!("100.{}.0.{low}", 64 + high), format!("fd7a:115c:a1e0::{high:x}:{low:x}")]
    }

    fn record(&self, all: bool, empty_times: bool) -> Value {
        let time = |at| if empty_times { String::new() } else { wire_time(at) };
        let mut said = json!({
            "addresses": self.addresses(),
            "id": self.id,
            "nodeId": self.node_id,
            "user": self.user,
            "name": self.name,
            "hostname": self.hostname,
            "clientVersion": if self.is_external { "" } else { "1.96.2-t0123456789-g0123456789" },
            "updateAvailable": false,
            "os": "linux",
            "created": time(self.created),
            "connectedToControl": self.online,
            "keyExpiryDisabled": !self.tags.is_empty(),
            "expires": time(self.created.offset(180 * 86_400_000)),
            "authorized": self.authorized,
            "isExternal": self.is_external,
            "machineKey": "",
            "nodeKey": format!("nodekey:{:064x}", self.number),
            "blocksIncomingConnections": false,
            "tailnetLockKey": format!("nlpub:{:064x}", self.number),
            "tailnetLockError": self.lock_error,
            "isEphemeral": self.ephemeral,
        });
        if !self.tags.is_empty() {
            said["tags"] = json!(self.tags);
        }
        if let Some(seen) = self.last_seen {
            said["lastSeen"] = json!(wire_time(seen));
        }
        if all {
            said["advertisedRoutes"] = json!(self.advertised);
            said["enabledRoutes"] = json!(self.enabled);
            said["clientConnectivity"] = json!({
                "endpoints": [],
                "mappingVariesByDestIP": false,
                "latency": { "Frankfurt": { "preferred": true, "latencyMs": 1.5 } },
                "clientSupports": { "hairPinning": null, "ipv6": false, "pcp": false, "pmp": false,
                    "udp": true, "upnp": false },
            });
            said["sshEnabled"] = json!(false);
            said["multipleConnections"] = json!(false);
        }
        said
    }

    fn routes(&self) -> HttpAnswer {
        let said = json!({ "advertisedRoutes": self.advertised, "enabledRoutes": self.enabled });
        HttpAnswer::json(200, &said)
    }
}

/// What the API does with them.
impl Tailnet {
    pub fn list_devices(&self, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
        let all = query.iter().any(|(name, is)| (name.as_str(), is.as_str()) == ("fields", "all"));
        let passes = |device: &Value| {
            query.iter().filter(|(name, _)| name != "fields").all(|(name, is)| {
                match &device[name] {
                    Value::String(text) => text == is,
                    Value::Bool(flag) => flag.to_string() == *is,
                    Value::Array(list) => list.iter().any(|one| one == is),
                    _ => false,
                }
            })
        };
        let seen = self.devices.iter().filter(|device| device.listed_at <= self.now);
        let records = seen.map(|device| {
            let empty = self.switches.empty_times;
            (device.record(true, empty), device.record(all, empty))
        });
        let devices = records.filter(|(whole, _)| passes(whole)).map(|(_, said)| said);
        Ok(HttpAnswer::json(200, &json!({ "devices": devices.collect::<Vec<_>>() })))
    }

    pub fn read_device(&self, id: &str, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        let all = call.query.split('&').any(|pair| pair == "fields=all");
        let device = &self.devices[self.place_of(id)?];
        Ok(HttpAnswer::json(200, &device.record(all, self.switches.empty_times)))
    }

    pub fn delete_device(&mut self, id: &str) -> Result<HttpAnswer, HttpAnswer> {
        let at = self.place_of(id)?;
        if self.devices[at].is_external {
            return Err(HttpAnswer::problem(501, "cannot delete devices outside of your tailnet"));
        }
        self.devices.remove(at);
        Ok(HttpAnswer { status: 200, ..HttpAnswer::default() })
    }

    pub fn authorize_device(
        &mut self,
        id: &str,
        call: &HttpCall,
    ) -> Result<HttpAnswer, HttpAnswer> {
        let at = self.place_of(id)?;
        let order: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let authorized = order["authorized"].as_bool();
        self.devices[at].authorized =
            authorized.ok_or_else(|| HttpAnswer::problem(400, "authorized is required"))?;
        Ok(HttpAnswer { status: 200, ..HttpAnswer::default() })
    }

    pub fn read_routes(&self, id: &str) -> Result<HttpAnswer, HttpAnswer> {
        Ok(self.devices[self.place_of(id)?].routes())
    }

    /// Replaces what is enabled; a route may be enabled before it is advertised.
    pub fn set_routes(&mut self, id: &str, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        let at = self.place_of(id)?;
        let order: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let routes: Vec<String> = serde_json::from_value(order["routes"].clone())
            .map_err(|_| HttpAnswer::problem(400, "routes must be a list of prefixes"))?;
        if let Some(bad) = routes.iter().find(|route| prefix(route).is_none()) {
            return Err(HttpAnswer::problem(400, &format!("invalid route {bad}")));
        }
        self.devices[at].enabled = routes;
        Ok(self.devices[at].routes())
    }

    fn place_of(&self, id: &str) -> Result<usize, HttpAnswer> {
        let found = self.devices.iter().position(|device| device.node_id == id || device.id == id);
        found.ok_or_else(|| HttpAnswer::problem(404, "no such device"))
    }
}

const DOMAIN: &str = "tail0123.ts.net";

//! A network of Twingate of our own, with a memory.
//!
//! [`Twingate`] is pure: it has no clock and no socket. Time comes through `advance`, calls through
//! [`Model`], and what connectors do through `connector_started` and `connector_stopped`.
//! [`TwingateServer`] puts it on loopback; [`FaultyServer`](super::faulty_server::FaultyServer) does
//! too, and fails calls. Every document is read and carried out against our own extract of the
//! vendor's schema (`tests/it/twingate_interface`); what does not fit is kept as a violation.

pub mod around;
mod fields;
pub mod graph;
pub mod objects;
pub mod usage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use breakglass::domain::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::faulty_server::{HttpAnswer, HttpCall, Model};
pub use super::mishap::{Mishap, Odd};
use super::mishap::{http_date, take};
use super::model_server::{Held, ModelServer};
use graph::Graph;
use objects::{Connector, Group, Network, Resource, Runs, global_id};

/// A network on loopback; it ends when it is dropped, and then complains of what did not fit.
pub type TwingateServer = ModelServer<Twingate>;

/// A network that several hold: the one that serves it, and the test that plays its connectors.
pub type SharedTwingate = Arc<Mutex<Twingate>>;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Read,
    Write,
    Provision,
}

/// What a network is set to, and what its vendor is known, or may be feared, to do.
#[derive(Clone, Debug)]
pub struct Switches {
    /// There is no network of that name: what comes instead.
    pub unknown: Option<Unknown>,
    /// Where the region is: a `HEAD` is answered 308 with it.
    pub region: Option<String>,
    /// So many seconds the header `Date` is ahead.
    pub date_skew_seconds: i64,
    /// So many looks after it was started a connector is alive.
    pub alive_after_looks: usize,
    /// A missing permission is told in the payload (`ok: false`), and not in `errors`.
    pub forbids_in_payload: bool,
    /// A group may be let in for no less.
    pub access_at_least: Span,
    /// Whoever is let in is let in for good, whatever was asked.
    pub forgets_ends: bool,
    /// 60 reads and 20 changes a minute.
    pub limits: bool,
}

/// What comes where there is no network of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Status404,
    Page,
}

/// Why the program of a connector is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401: the token is none, or another pair was made since.
    InvalidToken,
    /// 410: the connector was removed.
    Gone,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            unknown: None,
            region: None,
            date_skew_seconds: 0,
            alive_after_looks: 2,
            forbids_in_payload: true,
            // An hour, as the console has it, less a minute for clocks.
            access_at_least: Span::from_minutes(59),
            forgets_ends: false,
            limits: true,
        }
    }
}

/// A network.
#[derive(Clone)]
pub struct Twingate {
    pub switches: Switches,
    now: Timestamp,
    serial: u64,
    keys: Vec<(String, Level)>,
    /// What the key of the call under way may do.
    caller: Level,
    networks: Vec<Network>,
    connectors: Vec<Connector>,
    resources: Vec<Resource>,
    groups: Vec<Group>,
    graph: Arc<Graph>,
    /// How many calls were too many.
    too_many: usize,
    /// When calls were let through, and whether each changed something.
    asked: Vec<(Timestamp, bool)>,
    /// When the next change lands, and from when on it is listed.
    next: (Timestamp, Timestamp),
    late: Vec<(Timestamp, HttpCall)>,
    mishaps: Vec<Mishap>,
    calls: Vec<HttpCall>,
    violations: Vec<String>,
    /// Every token that was ever good, and of which connector.
    tokens: BTreeMap<String, String>,
    /// What was there when the test began.
    before: Vec<String>,
}

impl Twingate {
    /// A network with nothing in it.
    pub fn new(now: Timestamp) -> Self {
        Self {
            switches: Switches::default(),
            now,
            serial: 0,
            keys: vec![],
            caller: Level::Read,
            networks: vec![],
            connectors: vec![],
            resources: vec![],
            groups: vec![],
            graph: Arc::new(Graph::of_twingate()),
            too_many: 0,
            asked: vec![],
            next: Default::default(),
            late: vec![],
            mishaps: vec![],
            calls: vec![],
            violations: vec![],
            tokens: BTreeMap::new(),
            before: vec![],
        }
    }

    /// For several to hold.
    pub fn shared(self) -> SharedTwingate {
        Arc::new(Mutex::new(self))
    }

    /// What there is now belongs here: `left` does not count it.
    pub fn settle(&mut self) {
        self.before = self.inventory();
    }

    /// A key that may do so much. Gives back its text.
    pub fn key(&mut self, level: Level) -> String {
        let key = format!("tgk-{}", self.serial());
        self.keys.push((key.clone(), level));
        key
    }

    /// Forgets a key.
    pub fn revoke(&mut self, key: &str) {
        self.keys.retain(|(there, _)| there != key);
    }

    /// A group of so many people. Gives back its id.
    pub fn group(&mut self, name: &str, members: usize) -> String {
        let id = global_id("Group", self.serial());
        let group = Group { id: id.clone(), name: name.to_owned(), is_active: true, members };
        self.groups.push(group);
        id
    }

    /// Somebody switches a group on or off in the console.
    pub fn set_group_active(&mut self, id: &str, is_active: bool) {
        self.groups.iter_mut().filter(|group| group.id == id).for_each(|group| {
            group.is_active = is_active;
        });
    }

    /// Somebody switches a resource on or off in the console.
    pub fn set_resource_active(&mut self, id: &str, is_active: bool) {
        self.resources.iter_mut().filter(|resource| resource.id == id).for_each(|resource| {
            resource.is_active = is_active;
        });
    }

    /// Somebody removes a thing in the console.
    pub fn remove(&mut self, id: &str) {
        self.networks.retain(|network| network.id != id);
        self.connectors.retain(|connector| connector.id != id);
        self.resources.retain(|resource| resource.id != id);
        self.groups.retain(|group| group.id != id);
        let edges = self.resources.iter_mut().map(|resource| &mut resource.access);
        edges.for_each(|access| access.retain(|edge| edge.principal != id));
    }

    /// The program of a connector starts with an access token. Gives back the connector's id.
    pub fn connector_started(&mut self, access_token: &str) -> Result<String, Refusal> {
        let looks = self.switches.alive_after_looks;
        let connector = self.holder(access_token)?;
        connector.runs = if looks == 0 { Runs::Alive } else { Runs::Connecting(looks) };
        Ok(connector.id.clone())
    }

    /// It reaches no relay.
    pub fn connector_loses_relays(&mut self, access_token: &str) -> Result<(), Refusal> {
        self.holder(access_token)?.runs = Runs::NoRelays;
        Ok(())
    }

    /// It ends. One that is gone here may end too.
    pub fn connector_stopped(&mut self, access_token: &str) {
        let now = self.now;
        if let Ok(connector) = self.holder(access_token) {
            connector.runs = match connector.runs {
                Runs::Never | Runs::Connecting(_) => Runs::Never,
                _ => Runs::Stopped(now),
            };
        }
    }

    /// The connector whose token this is.
    fn holder(&mut self, access_token: &str) -> Result<&mut Connector, Refusal> {
        let id = self.tokens.get(access_token).ok_or(Refusal::InvalidToken)?;
        let found = self.connectors.iter_mut().find(|connector| connector.id == *id);
        let connector = found.ok_or(Refusal::Gone)?;
        let good = connector.tokens.as_ref().is_some_and(|(access, _)| access == access_token);
        if good { Ok(connector) } else { Err(Refusal::InvalidToken) }
    }

    /// The connectors, for a test to look at.
    pub fn connectors(&self) -> &[Connector] {
        &self.connectors
    }

    /// The resources, for a test to look at.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The remote networks, for a test to look at.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// True where a member of the group reaches that address and TCP port now.
    pub fn reaches(&self, group: &str, address: &str, port: u16) -> bool {
        let open = |resource: &Resource| {
            let ports = resource.protocols["tcp"]["ports"].as_array();
            let in_range = |range: &Value| {
                let (start, end) = (range["start"].as_u64(), range["end"].as_u64());
                start <= Some(port.into()) && Some(port.into()) <= end
            };
            resource.address == address
                && resource.is_active
                && ports.is_some_and(|ports| ports.iter().any(in_range))
                && resource.access.iter().any(|edge| edge.principal == group)
        };
        let carried = |resource: &&Resource| {
            let alive = |connector: &Connector| {
                connector.network == resource.network && connector.runs == Runs::Alive
            };
            self.connectors.iter().any(alive)
        };
        let lets_in = self.groups.iter().any(|it| it.id == group && it.is_active);
        lets_in && self.resources.iter().filter(carried).any(open)
    }

    /// Makes something go wrong: with the method `POST` and the name of the operation or of a field.
    pub fn mishap(&mut self, mishap: Mishap) {
        self.mishaps.push(mishap);
    }

    /// All calls so far.
    pub fn calls(&self) -> &[HttpCall] {
        &self.calls
    }

    /// How many calls there were in whose document this part stands.
    pub fn count(&self, part: &str) -> usize {
        self.calls.iter().filter(|call| document(call).contains(part)).count()
    }

    /// How many calls were too many.
    pub fn too_many(&self) -> usize {
        self.too_many
    }

    /// What time it is here.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn network(&self, id: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.id == id)
    }

    fn resource(&self, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.id == id)
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn inventory(&self) -> Vec<String> {
        let networks = self.networks.iter().map(|it| format!("network {} {}", it.name, it.id));
        let connectors =
            self.connectors.iter().map(|it| format!("connector {} {}", it.name, it.id));
        let resources = self.resources.iter().map(|it| format!("resource {} {}", it.name, it.id));
        let access = self.resources.iter().flat_map(|it| {
            it.access.iter().map(|edge| format!("access of {} to {}", edge.principal, it.id))
        });
        networks.chain(connectors).chain(resources).chain(access).collect()
    }

    /// Who may not come in, or not now.
    fn turned_away(&mut self, call: &HttpCall) -> Option<HttpAnswer> {
        match self.switches.unknown {
            Some(Unknown::Status404) => return Some(HttpAnswer::plain(404, "Not Found")),
            Some(Unknown::Page) => {
                let page = HttpAnswer { status: 200, ..HttpAnswer::default() };
                let page = page.with("content-type", "text/html");
                return Some(HttpAnswer { body: "<!DOCTYPE html>no such page".into(), ..page });
            }
            None => {}
        }
        let key = call.headers.get("x-api-key").cloned().unwrap_or_default();
        let Some((_, level)) = self.keys.iter().find(|(there, _)| *there == key) else {
            return Some(refusal(401, "Invalid API key"));
        };
        self.caller = *level;
        let changes = is_change(call);
        let minute = self.now - Span::from_minutes(1);
        self.asked.retain(|(at, _)| *at > minute);
        let alike: Vec<_> = self.asked.iter().filter(|(_, change)| *change == changes).collect();
        let max = if changes { 20 } else { 60 };
        if self.switches.limits && alike.len() >= max {
            self.too_many += 1;
            let opens = alike[0].0 + Span::from_minutes(1);
            let wait = opens.since(self.now).as_millis().div_ceil(1_000).to_string();
            return Some(refusal(429, "429 Too Many Requests").with("retry-after", &wait));
        }
        self.asked.push((self.now, changes));
        None
    }

    /// Carries a document out, now or later.
    fn carry_out(&mut self, call: &HttpCall) -> HttpAnswer {
        let graph = Arc::clone(&self.graph);
        let parsed = match graph.read(&document(call)) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.violations.push(format!("{}: {why}", operation(call)));
                return refusal(400, &why);
            }
        };
        if is_change(call) && self.now < self.next.0 {
            self.late.push((self.next.0, call.clone()));
            return refusal(504, "it takes longer");
        }
        let variables = sent(call)["variables"].clone();
        let done = graph.execute(&parsed, &variables, self);
        let good = self.connectors.iter().filter_map(|connector| {
            connector.tokens.as_ref().map(|(access, _)| (access.clone(), connector.id.clone()))
        });
        self.tokens.extend(good);
        match done {
            Ok(body) => HttpAnswer::json(200, &body),
            Err(why) => {
                self.violations.push(format!("{}: {why}", operation(call)));
                refusal(400, &why)
            }
        }
    }

    fn land(&mut self, until: Timestamp) {
        let next = std::mem::take(&mut self.next);
        let (due, late) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= until);
        self.late = late;
        let due: Vec<(Timestamp, HttpCall)> = due;
        for (_, call) in due {
            self.carry_out(&call);
        }
        self.next = next;
    }
}

impl Model for Twingate {
    fn serve(&mut self, call: &HttpCall) -> (u16, String) {
        let answer = self.answer(call);
        (answer.status, answer.body)
    }

    fn answer(&mut self, call: &HttpCall) -> HttpAnswer {
        let date = http_date(self.now.offset(self.switches.date_skew_seconds * 1_000));
        if call.method == "HEAD" {
            self.violations.extend(too_early(call));
            let to = self.switches.region.clone();
            let status = if to.is_some() { 308 } else { 200 };
            let answer = HttpAnswer { status, ..HttpAnswer::default() }.with("date", &date);
            return to.map_or(answer.clone(), |to| answer.with("location", &to));
        }
        self.calls.push(call.clone());
        self.violations.extend(misplaced(call));
        let odd = take(&mut self.mishaps, &call.method, &document(call));
        let answer = if odd.as_ref().is_none_or(Odd::is_done) {
            let away = self.turned_away(call);
            away.unwrap_or_else(|| self.carry_out(call))
        } else {
            HttpAnswer::default()
        };
        odd.map_or(answer.clone(), |odd| odd.instead_of(answer, refusal)).with("date", &date)
    }

    fn left(&self) -> Vec<String> {
        let mut later = self.clone();
        later.land(Timestamp::from_millis(i64::MAX));
        let mut left = [self.inventory(), later.inventory()].concat();
        left.retain(|thing| !self.before.contains(thing));
        left.sort();
        left.dedup();
        left
    }

    fn delay(&mut self, lands_at: Timestamp, listed_at: Timestamp) {
        self.next = (lands_at, listed_at);
    }

    fn advance(&mut self, now: Timestamp) {
        self.land(now);
        self.now = now;
        let is_over = |edge: &objects::Edge| edge.expires_at.is_some_and(|end| end <= now);
        let edges = self.resources.iter_mut().map(|resource| &mut resource.access);
        edges.for_each(|access| access.retain(|edge| !is_over(edge)));
    }
}

impl Held for Twingate {
    fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    fn calls(&self) -> usize {
        self.calls.len()
    }
}

/// A call as a client makes it.
pub fn call(key: &str, document: &str, variables: &Value) -> HttpCall {
    let mut call = HttpCall {
        method: "POST".into(),
        path: "/api/graphql/".into(),
        body: json!({ "query": document, "variables": variables }).to_string(),
        ..HttpCall::default()
    };
    call.headers.insert("x-api-key".into(), key.into());
    call.headers.insert("content-type".into(), "application/json".into());
    call
}

/// What is wrong with how a call is made, whatever it asks.
fn misplaced(call: &HttpCall) -> Vec<String> {
    let mut wrong = vec![];
    if call.method != "POST" || call.path != "/api/graphql/" || !call.query.is_empty() {
        wrong.push(format!("{} {}: is no address of it", call.method, call.path));
    }
    let kind = call.headers.get("content-type").cloned().unwrap_or_default();
    if !kind.starts_with("application/json") {
        wrong.push(format!("`{kind}` is no kind of its body"));
    }
    let key = call.headers.get("x-api-key").cloned().unwrap_or_default();
    if call.headers.contains_key("authorization") || !key.is_empty() && call.body.contains(&key) {
        wrong.push("the key is elsewhere than in its header".to_owned());
    }
    wrong
}

/// Whoever looks where the region is asks for the API itself, and has not shown the key yet.
fn too_early(call: &HttpCall) -> Vec<String> {
    let mut wrong = vec![];
    if call.headers.contains_key("x-api-key") || call.headers.contains_key("authorization") {
        wrong.push("the key is sent before it is known where to".to_owned());
    }
    if call.path != "/api/graphql/" {
        wrong.push(format!("HEAD {}: is no address of it", call.path));
    }
    wrong
}

fn sent(call: &HttpCall) -> Value {
    serde_json::from_str(&call.body).unwrap_or_default()
}

fn document(call: &HttpCall) -> String {
    sent(call)["query"].as_str().unwrap_or_default().to_owned()
}

fn is_change(call: &HttpCall) -> bool {
    document(call).trim_start().starts_with("mutation")
}

fn operation(call: &HttpCall) -> String {
    document(call).split(['(', '{']).next().unwrap_or_default().trim().to_owned()
}

/// A refusal as the network words it.
fn refusal(status: u16, message: &str) -> HttpAnswer {
    HttpAnswer::json(status, &json!({ "errors": [{ "message": message }] }))
}

//! What is in a network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use breakglass::domain::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::super::mishap::wire_time;
use super::graph::connection;

/// A remote network.
#[derive(Clone, Debug)]
pub struct Network {
    pub id: String,
    pub name: String,
    pub listed_at: Timestamp,
}

/// A connector.
#[derive(Clone, Debug)]
pub struct Connector {
    pub id: String,
    pub name: String,
    pub network: String,
    /// Whether admins are mailed when it goes away.
    pub mails: bool,
    /// The pair that is good now: access, refresh.
    pub tokens: Option<(String, String)>,
    /// How many pairs were made.
    pub pairs: usize,
    pub runs: Runs,
    pub listed_at: Timestamp,
}

/// What the program of a connector does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// It was never started.
    Never,
    /// It is connecting; so many looks more until it is.
    Connecting(usize),
    /// It is connected.
    Alive,
    /// It reaches no relay.
    NoRelays,
    /// It stopped then.
    Stopped(Timestamp),
}

/// A resource.
#[derive(Clone, Debug)]
pub struct Resource {
    pub id: String,
    pub name: String,
    pub network: String,
    pub address: String,
    pub is_active: bool,
    /// As they were sent.
    pub protocols: Value,
    /// As they were sent.
    pub tags: Value,
    pub access: Vec<Edge>,
    pub listed_at: Timestamp,
}

/// That somebody may reach a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub principal: String,
    pub expires_at: Option<Timestamp>,
}

/// A group of people.
#[derive(Clone, Debug)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub is_active: bool,
    pub members: usize,
}

impl Network {
    pub fn whole(&self) -> Value {
        json!({ "__typename": "RemoteNetwork", "id": self.id, "name": self.name })
    }
}

impl Connector {
    /// As it is seen at that time.
    pub fn whole(&self, now: Timestamp) -> Value {
        let (state, heard) = match self.runs {
            Runs::Never | Runs::Connecting(_) => ("DEAD_NO_HEARTBEAT", None),
            Runs::Alive => ("ALIVE", Some(now)),
            Runs::NoRelays => ("DEAD_NO_RELAYS", Some(now)),
            Runs::Stopped(at) if now.since(at) < HEARD_FOR => ("ALIVE", Some(at)),
            Runs::Stopped(at) => ("DEAD_HEARTBEAT_TOO_OLD", Some(at)),
        };
        json!({
            "__typename": "Connector", "id": self.id, "name": self.name, "state": state,
            "lastHeartbeatAt": heard.map(wire_time), "version": heard.map(|_| "1.80.0"),
        })
    }

    /// Somebody looks at it.
    pub fn looked_at(&mut self) {
        self.runs = match self.runs {
            Runs::Connecting(0 | 1) => Runs::Alive,
            Runs::Connecting(more) => Runs::Connecting(more - 1),
            other => other,
        };
    }
}

impl Resource {
    pub fn whole(&self) -> Value {
        let edge = |edge: &Edge| {
            let kind = if edge.principal.starts_with(GROUP) { "Group" } else { "ServiceAccount" };
            let node = json!({ "__typename": kind, "id": edge.principal });
            json!({ "node": node, "expiresAt": edge.expires_at.map(wire_time) })
        };
        let access = self.access.iter().map(edge).collect();
        json!({
            "__typename": "NetworkResource", "id": self.id, "name": self.name,
            "isActive": self.is_active, "access": connection("Access", access),
        })
    }
}

impl Group {
    pub fn whole(&self) -> Value {
        let users = vec![json!({}); self.members];
        json!({
            "__typename": "Group", "id": self.id, "name": self.name,
            "isActive": self.is_active, "users": connection("User", users),
        })
    }
}

/// A global id: a type and a number, in base64.
pub fn global_id(kind: &str, number: u64) -> String {
    STANDARD.encode(format!("{kind}:{number}"))
}

/// The type and the number of a global id.
pub fn parsed_id(id: &str) -> Option<(String, u64)> {
    let text = String::from_utf8(STANDARD.decode(id).ok()?).ok()?;
    let (kind, number) = text.split_once(':')?;
    Some((kind.to_owned(), number.parse().ok()?))
}

/// So long after its last word a connector is still called alive.
const HEARD_FOR: Span = Span::from_seconds(60);

/// `Group:` in base64.
const GROUP: &str = "R3JvdXA6";

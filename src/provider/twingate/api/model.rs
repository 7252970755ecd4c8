//! What is in a network, as a session sees it. Every text that comes from there is clean.

use std::net::IpAddr;

use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// A group of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its global id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it lets anybody in.
    pub is_active: bool,
    /// How many people are in it.
    pub members: u64,
}

/// Something with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its global id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A connector: the vendor's program in a site, and what the network knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its global id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it does.
    pub state: ConnectorState,
    /// When it was last heard of; never yet, where nothing stands here.
    pub last_heartbeat_at: Option<Timestamp>,
    /// Its version, once it was heard of.
    pub version: Option<String>,
}

/// How a connector does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorState {
    /// It is connected.
    Alive,
    /// It was never heard of: so is every new one.
    DeadNoHeartbeat,
    /// It was not heard of for too long.
    DeadHeartbeatTooOld,
    /// It reaches the controller, but no relay: what leaves the site is held back or looked into.
    DeadNoRelays,
    /// Something that was not known when this was written.
    Other,
}

/// The two tokens with which a connector joins; each pair makes the one before useless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The refresh token.
    pub refresh: Secret,
}

/// An address that somebody may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its global id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it can be reached at all.
    pub is_active: bool,
    /// Who may reach it.
    pub access: Vec<Access>,
}

/// That somebody may reach a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The global id of a group or a service account.
    pub principal: String,
    /// Until when, by the network's clock; for good, where nothing stands here.
    pub expires_at: Option<Timestamp>,
}

/// A resource to be made: one address, one TCP port, and nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewResource {
    /// Its name; it need not be the only one of that name.
    pub name: String,
    /// The one address.
    pub address: IpAddr,
    /// The one TCP port.
    pub port: u16,
    /// The global id of the remote network that it is in.
    pub network_id: String,
    /// The one tag on it: key and value.
    pub tag: (String, String),
}

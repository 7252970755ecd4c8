//! What a `tailscaled` says of itself and of the tailnet, as far as it is used here.
//!
//! It says much more, and of each of ten thousand peers; the rest is read past, not kept.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::domain::site::Prefix;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// The answer of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Status {
    /// The daemon's version.
    #[serde(default)]
    pub version: String,
    /// How far it has come.
    pub backend_state: BackendState,
    /// Where a person would have to approve the node; empty where nobody has to.
    #[serde(default, rename = "AuthURL")]
    pub auth_url: String,
    /// This node.
    #[serde(default, rename = "Self")]
    pub this: Option<Node>,
    /// What is wrong, in the daemon's words; not clean.
    #[serde(default, deserialize_with = "or_default")]
    pub health: Vec<String>,
    /// The other nodes that it sees.
    #[serde(default, rename = "Peer", deserialize_with = "values")]
    pub peers: Vec<Node>,
}

impl Status {
    /// The node with this stable id.
    #[must_use]
    pub fn peer(&self, id: &str) -> Option<&Node> {
        self.peers.iter().find(|peer| !id.is_empty() && peer.id == id)
    }
}

/// How far a daemon has come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum BackendState {
    /// It has just begun.
    NoState,
    /// It has no key of the tailnet, or one that counts no longer.
    NeedsLogin,
    /// An administrator has to approve the device.
    NeedsMachineAuth,
    /// It was told to stop.
    Stopped,
    /// It is about to run.
    Starting,
    /// It is on the tailnet.
    Running,
    /// Something that this program does not know.
    Other(String),
}

impl From<String> for BackendState {
    fn from(word: String) -> Self {
        match word.as_str() {
            "NoState" => Self::NoState,
            "NeedsLogin" => Self::NeedsLogin,
            "NeedsMachineAuth" => Self::NeedsMachineAuth,
            "Stopped" => Self::Stopped,
            "Starting" => Self::Starting,
            "Running" => Self::Running,
            _ => Self::Other(word),
        }
    }
}

impl fmt::Display for BackendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoState => f.write_str("has only just begun"),
            Self::NeedsLogin => f.write_str("is not signed in to the tailnet"),
            Self::NeedsMachineAuth => f.write_str("waits for an administrator to approve it"),
            Self::Stopped => f.write_str("was told to stop"),
            Self::Starting => f.write_str("is about to join the tailnet"),
            Self::Running => f.write_str("is on the tailnet"),
            Self::Other(word) => write!(f, "is in a state `{}`", text::clean(word, 40)),
        }
    }
}

/// One node of the tailnet, as another one sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    /// Its stable id, which the control server calls `nodeId`; empty before it has joined.
    #[serde(rename = "ID")]
    pub id: String,
    /// What it calls itself; not clean, and not unique.
    pub host_name: String,
    /// Its addresses on the tailnet.
    #[serde(rename = "TailscaleIPs", deserialize_with = "readable")]
    pub addresses: Vec<IpAddr>,
    /// What is sent to it: its own addresses, and the routes that it carries.
    #[serde(rename = "AllowedIPs", deserialize_with = "readable")]
    pub allowed: Vec<Prefix>,
    /// The routes that it carries rather than another router.
    #[serde(deserialize_with = "readable")]
    pub primary_routes: Vec<Prefix>,
    /// Its tags.
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
    /// Where it is reached directly; empty where it is not.
    #[serde(rename = "CurAddr")]
    pub direct: String,
    /// The region of the relay that it listens at.
    pub relay: String,
    /// The other node that relays to it; empty where none does.
    pub peer_relay: String,
    /// Bytes received from it.
    pub rx_bytes: i64,
    /// Bytes sent to it.
    pub tx_bytes: i64,
    /// When keys were last agreed with it.
    #[serde(deserialize_with = "instant")]
    pub last_handshake: Option<Timestamp>,
    /// True where the control server hears it.
    pub online: bool,
    /// True where something was sent to it lately.
    pub active: bool,
    /// True where its key counts no longer.
    pub expired: bool,
}

impl Node {
    /// True where packets for exactly this range go to it.
    #[must_use]
    pub fn carries(&self, route: &Prefix) -> bool {
        self.routes().any(|carried| carried == route)
    }

    /// Everything that is sent to it.
    pub fn routes(&self) -> impl Iterator<Item = &Prefix> {
        self.allowed.iter().chain(&self.primary_routes)
    }

    /// How it is reached.
    #[must_use]
    pub fn way(&self) -> Way {
        let clean = |text: &str| text::clean(text, 64).into_owned();
        match self {
            Self { direct, .. } if !direct.is_empty() => Way::Direct(clean(direct)),
            Self { peer_relay, .. } if !peer_relay.is_empty() => Way::Peer(clean(peer_relay)),
            Self { relay, active: true, .. } if !relay.is_empty() => Way::Relay(clean(relay)),
            _ => Way::Unknown,
        }
    }
}

/// How a node is reached; what is named is clean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// At this address.
    Direct(String),
    /// Through another node of the tailnet.
    Peer(String),
    /// Through the relay of this region.
    Relay(String),
    /// Nothing went there lately.
    Unknown,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(at) => write!(f, "direct, at {at}"),
            Self::Peer(through) => write!(f, "through the peer relay {through}"),
            Self::Relay(region) => write!(f, "through the relay {region}"),
            Self::Unknown => f.write_str("no way in use yet"),
        }
    }
}

/// What a daemon was told, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostPrefs {
    /// The control server; empty for that of Tailscale.
    #[serde(default, rename = "ControlURL")]
    pub control_url: String,
    /// True where it takes the routes of others.
    pub route_all: bool,
}

fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// Reads a list, and leaves out what cannot be read: it is nothing that is looked for here.
fn readable<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    let texts: Vec<String> = or_default(from)?;
    Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
}

/// Reads an instant; the year 1 is none.
fn instant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text: String = or_default(from)?;
    let millis = text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
    Ok((millis > 0).then(|| Timestamp::from_millis(millis)))
}

/// Reads the values of a map, one after the other.
fn values<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Node>, D::Error> {
    struct Values;

    impl<'de> Visitor<'de> for Values {
        type Value = Vec<Node>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the peers by their keys")
        }

        fn visit_unit<E>(self) -> Result<Vec<Node>, E> {
            Ok(vec![])
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Node>, A::Error> {
            let mut nodes = vec![];
            while let Some((IgnoredAny, node)) = map.next_entry::<IgnoredAny, Option<Node>>()? {
                nodes.extend(node);
            }
            Ok(nodes)
        }
    }

    from.deserialize_any(Values)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// As version 1.102.5 answers, shortened.
    pub const RUNNING: &str = r#"{
        "Version": "1.102.5", "TUN": false, "BackendState": "Running", "AuthURL": "",
        "TailscaleIPs": ["100.64.0.7"],
        "Self": {"ID": "nSELF", "HostName": "bg-1", "TailscaleIPs": ["100.64.0.7"], "Online": true,
                 "LastHandshake": "0001-01-01T00:00:00Z", "PeerAPIURL": null},
        "Health": null, "CurrentTailnet": {"Name": "x"}, "User": null,
        "Peer": {
            "nodekey:aa": {"ID": "nROUTER", "HostName": "bg-router", "TailscaleIPs": ["100.64.0.8"],
                "AllowedIPs": ["100.64.0.8/32", "10.20.0.5/32"], "PrimaryRoutes": ["10.20.0.5/32"],
                "Tags": ["tag:breakglass"], "CurAddr": "", "Relay": "fra", "PeerRelay": "",
                "RxBytes": 2048, "TxBytes": 512, "LastHandshake": "2025-11-20T16:10:00.5Z",
                "Online": true, "Active": true, "CapMap": {"x": null}},
            "nodekey:bb": {"ID": "nOTHER", "HostName": "laptop", "TailscaleIPs": null,
                "AllowedIPs": ["100.64.0.9/32", "nonsense"], "Online": false}
        }
    }"#;

    #[test]
    fn what_is_used_is_read_and_the_rest_is_passed() {
        let status: Status = serde_json::from_str(RUNNING).unwrap();
        assert_eq!(status.backend_state, BackendState::Running);
        assert_eq!(status.version, "1.102.5");
        assert_eq!(status.peers[0].addresses, ["100.64.0.8".parse::<IpAddr>().unwrap()]);
        assert_eq!(status.this.as_ref().map(|it| it.last_handshake), Some(None));
        let router = status.peer("nROUTER").unwrap();
        assert!(router.carries(&"10.20.0.5/32".parse().unwrap()));
        assert!(!router.carries(&"10.20.0.0/24".parse().unwrap()));
        assert_eq!((router.rx_bytes, router.tx_bytes), (2048, 512));
        assert_eq!(router.tags, ["tag:breakglass"]);
        let at = router.last_handshake.map(Timestamp::to_rfc3339);
        assert_eq!(at.as_deref(), Some("2025-11-20T16:10:00.500Z"));
        assert_eq!(router.way(), Way::Relay("fra".to_owned()));
        assert_eq!(status.peer("nOTHER").unwrap().allowed.len(), 1);
        assert!(status.peer("").is_none(), "no id is nobody's");
    }

    #[test]
    fn before_it_has_joined_there_is_little_to_say() {
        let text = r#"{"Version":"1.102.5-ERR","TUN":false,"BackendState":"NeedsLogin","AuthURL":"",
            "TailscaleIPs":null,"Self":{"ID":"","TailscaleIPs":null,"Addrs":[]},
            "Health":["Tailscale is stopped."],"Peer":null,"User":null}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(status.backend_state, BackendState::NeedsLogin);
        assert_eq!((status.peers.len(), status.health.len()), (0, 1));
        assert!(serde_json::from_str::<Status>("{}").is_err(), "no state is no status");
        let odd: Status = serde_json::from_str(r#"{"BackendState":"Odd\u001b"}"#).unwrap();
        assert_eq!(odd.backend_state.to_string(), "is in a state `Odd<1B>`");
    }

    #[test]
    fn a_way_is_said_as_it_is() {
        let direct =
            Node { direct: "192.0.2.1:41641".into(), relay: "fra".into(), ..Node::default() };
        assert_eq!(direct.way().to_string(), "direct, at 192.0.2.1:41641");
        let peer = Node { peer_relay: "192.0.2.1:1:vni:2".into(), ..Node::default() };
        assert_eq!(peer.way().to_string(), "through the peer relay 192.0.2.1:1:vni:2");
        let idle = Node { relay: "fra".into(), ..Node::default() };
        assert_eq!(idle.way(), Way::Unknown, "where it listens is not how it is reached");
    }
}

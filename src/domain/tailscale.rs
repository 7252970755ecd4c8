//! A tailnet of Tailscale or Headscale, as the configuration describes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

use super::secret::Secret;

/// A tailnet, and how sessions use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailscaleSetup {
    /// Which tailnet, and who controls it.
    pub tailnet: Tailnet,
    /// The tag of the routers in sites.
    pub router_tag: Tag,
    /// The tag of this side's nodes.
    pub operator_tag: Tag,
    /// How this host reaches the tailnet.
    pub data_path: DataPath,
    /// Whether the policy file may be edited, so that a session's node may reach its target.
    pub edit_policy: bool,
    /// The image of a router, where a container runs it.
    pub router_image: String,
    /// Whether a key for the API lies in the vault.
    pub has_key: bool,
}

impl TailscaleSetup {
    /// Checks what no single setting shows.
    ///
    /// # Errors
    ///
    /// When two settings do not go together.
    pub fn check(&self) -> Result<(), TailnetError> {
        if self.router_tag == self.operator_tag {
            return Err(TailnetError::SameTag);
        }
        if self.edit_policy && self.data_path == DataPath::Host {
            return Err(TailnetError::HostPolicy);
        }
        Ok(())
    }
}

/// Which tailnet it is, and who controls it: the part of the settings that a journal keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tailnet {
    /// The server of a Headscale; Tailscale itself where absent.
    pub server: Option<ServerUrl>,
    /// Its name for the API; that of the key where absent.
    pub name: Option<TailnetName>,
    /// The number of the Headscale user that keys are made for; older versions want one.
    pub user: Option<u32>,
    /// A file of further certificates to trust, absolute.
    pub ca_file: Option<PathBuf>,
}

impl Tailnet {
    /// Where its API is, without a slash at the end.
    #[must_use]
    pub fn api(&self) -> &str {
        self.server.as_ref().map_or(TAILSCALE, ServerUrl::as_str)
    }

    /// What people call the system.
    #[must_use]
    pub const fn product(&self) -> &'static str {
        if self.server.is_some() { "Headscale" } else { "Tailscale" }
    }

    /// Sees by how a key begins whether it is surely for the other product. Nothing of it is shown.
    ///
    /// A key of Tailscale begins with `tskey-` (<https://tailscale.com/docs/reference/key-prefixes>), one
    /// of Headscale with `hskey-`; before 0.28 it was a prefix, a dot and the secret.
    ///
    /// # Errors
    ///
    /// Which product it is for.
    pub fn check_key(&self, key: &Secret) -> Result<(), TailnetError> {
        let key = key.expose().trim();
        let is_tailscales = key.starts_with("tskey-");
        let is_headscales =
            key.starts_with("hskey-") || !is_tailscales && key.split_once('.').is_some();
        match &self.server {
            Some(server) if is_tailscales => Err(TailnetError::TailscaleKey(server.to_string())),
            None if is_headscales => Err(TailnetError::HeadscaleKey),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Tailnet {
    /// The server and the tailnet, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} at {}", self.api()),
            None => f.write_str(self.api()),
        }
    }
}

/// How this host reaches the tailnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataPath {
    /// By a node of the session's own: `tailscaled` in user space, without root.
    #[default]
    Node,
    /// By the node that this host is already; its own `tailscaled` is asked to connect.
    Host,
}

impl DataPath {
    /// Each, with its word in the configuration.
    pub const ALL: [(&str, Self); 2] = [("node", Self::Node), ("host", Self::Host)];

    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Host => "host",
        }
    }
}

/// A tag of a tailnet, such as `tag:router`: letters, digits and hyphens after a letter.
///
/// Source: <https://tailscale.com/docs/features/tags>.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// The URL of a control server: `https`, or `http` on this host; nothing after the host and port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerUrl(String);

/// The name of a tailnet in the API, such as `T1234CNTRL` or `example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TailnetName(String);

/// Why a text does not describe a part of a tailnet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TailnetError {
    /// No tag.
    #[error("`{0}` is no tag; one looks like `tag:breakglass-router`")]
    Tag(String),
    /// No server.
    #[error(
        "`{0}` is no control server; write `https://`, the host and perhaps a port, nothing more"
    )]
    Server(String),
    /// Routers and nodes of this side cannot be told apart.
    #[error(
        "routers and this side's nodes need tags of their own, or what is allowed to one is allowed \
         to the other"
    )]
    SameTag,
    /// The host's own node is not the session's alone.
    #[error(
        "the policy file is edited only for a node of the session's own: what this host's node may \
         reach, every session and user of it may reach"
    )]
    HostPolicy,
    /// A key that is surely for Tailscale itself.
    #[error("this is a key of Tailscale, and `{0}` is a Headscale")]
    TailscaleKey(String),
    /// A key that is surely for a Headscale.
    #[error("this is a key of Headscale, and no server of one is given")]
    HeadscaleKey,
    /// No name of a tailnet.
    #[error("`{0}` is no name of a tailnet; it stands under General settings in the console")]
    Name(String),
}

impl FromStr for Tag {
    type Err = TailnetError;

    fn from_str(text: &str) -> Result<Self, TailnetError> {
        let is_well = text.strip_prefix("tag:").is_some_and(|name| {
            name.len() <= TAG_BYTES_MAX
                && name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        let tag = || Self(text.to_owned());
        is_well.then(tag).ok_or_else(|| TailnetError::Tag(super::text::shown(text)))
    }
}

impl FromStr for ServerUrl {
    type Err = TailnetError;

    fn from_str(text: &str) -> Result<Self, TailnetError> {
        let no = || TailnetError::Server(super::text::shown(text));
        let url = Url::parse(text.trim()).map_err(|_| no())?;
        let is_this_host = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(no()),
        };
        let is_well = (url.scheme() == "https" || url.scheme() == "http" && is_this_host)
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if is_well { Ok(Self(url.origin().ascii_serialization())) } else { Err(no()) }
    }
}

impl FromStr for TailnetName {
    type Err = TailnetError;

    fn from_str(text: &str) -> Result<Self, TailnetError> {
        let is_well = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._@".contains(&byte));
        let name = || Self(text.to_owned());
        is_well.then(name).ok_or_else(|| TailnetError::Name(super::text::shown(text)))
    }
}

macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TailnetError;

            fn try_from(text: String) -> Result<Self, TailnetError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text!(Tag);
text!(ServerUrl);
text!(TailnetName);

impl Tag {
    /// The same tag for one session alone.
    ///
    /// # Errors
    ///
    /// When it would be too long.
    pub fn of_session(&self, session: &str) -> Result<Self, TailnetError> {
        format!("{self}-{session}").parse()
    }

    /// The tag of routers where nobody says.
    #[must_use]
    pub fn router() -> Self {
        Self("tag:breakglass-router".to_owned())
    }

    /// The tag of this side's nodes where nobody says.
    #[must_use]
    pub fn operator() -> Self {
        Self("tag:breakglass-operator".to_owned())
    }
}

/// The image of a router where nobody says: the vendor's own.
pub const ROUTER_IMAGE: &str = "docker.io/tailscale/tailscale:stable";
/// Where the API of Tailscale is (<https://tailscale.com/api>).
const TAILSCALE: &str = "https://api.tailscale.com";
/// Longer ones would not fit where tags are shown.
const TAG_BYTES_MAX: usize = 50;
const NAME_BYTES_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_tags() {
        assert_eq!("tag:router-1".parse::<Tag>().unwrap().as_str(), "tag:router-1");
        for text in ["", "tag:", "router", "tag:1st", "tag:a b", "tag:-x", "TAG:x", "tag:ü"] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_is_an_origin_over_tls_or_on_this_host() {
        let well = |text: &str| text.parse::<ServerUrl>().unwrap().to_string();
        assert_eq!(well("https://hs.example.com/"), "https://hs.example.com");
        assert_eq!(well("https://hs.example.com:8443"), "https://hs.example.com:8443");
        assert_eq!(well("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        for text in [
            "http://hs.example.com",
            "https://hs.example.com/api",
            "https://ana:secret@hs.example.com",
            "https://hs.example.com?x=1",
            "hs.example.com",
            "",
        ] {
            assert!(text.parse::<ServerUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_tailnets_need_no_quotes() {
        for text in ["T1234CNTRL", "example.com", "ana@example.com", "ana.github"] {
            assert!(text.parse::<TailnetName>().is_ok(), "{text}");
        }
        for text in ["", "-/x", "a b", "a/../b", "x?y"] {
            assert!(text.parse::<TailnetName>().is_err(), "{text}");
        }
    }
}

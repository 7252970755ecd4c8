//! A network of Twingate, as the configuration describes it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A network of Twingate, and how sessions use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwingateSetup {
    /// Which network: the account, in Twingate's own word.
    pub network: NetworkName,
    /// Whose members may reach a session's target.
    pub group: GroupName,
    /// How this host reaches what the group may reach.
    pub data_path: ClientPath,
    /// The image of a connector, where a container runs it.
    pub connector_image: String,
    /// Whether a key for the API lies in the vault.
    pub has_key: bool,
}

/// The name of a network: what stands before `.twingate.com`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName(String);

/// A group of people in a network, by its name or by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupName(String);

/// How this host reaches what a client of Twingate may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientPath {
    /// Over the network device of the client that runs on this host.
    #[default]
    Host,
    /// Over the HTTP proxy of a client that runs without such a device
    /// (<https://www.twingate.com/docs/linux-userspace-networking>).
    Proxy(ProxyAddress),
}

/// Where the proxy of a client listens: on loopback, so that what goes there stays on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyAddress(SocketAddr);

/// Why a text does not describe a part of a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TwingateError {
    /// No name of a network.
    #[error(
        "`{0}` is no name of a network; it is what stands before `.twingate.com` in the address of \
         the console"
    )]
    Network(String),
    /// No name of a group.
    #[error("a group has a name of 1 to {GROUP_CHARS_MAX} characters, on one line")]
    Group,
    /// No address of a proxy.
    #[error("`{0}` is no proxy on this host; one looks like `127.0.0.1:9999`")]
    Proxy(String),
}

impl FromStr for NetworkName {
    type Err = TwingateError;

    /// Takes the address of the console too, as people copy it.
    fn from_str(text: &str) -> Result<Self, TwingateError> {
        let name = text.trim().to_ascii_lowercase();
        let name = name.strip_prefix("https://").unwrap_or(&name);
        let name = name.strip_suffix('/').unwrap_or(name);
        let name = name.strip_suffix(DOMAIN).unwrap_or(name);
        let is_well = (1..=LABEL_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-');
        let network = || Self(name.to_owned());
        is_well.then(network).ok_or_else(|| TwingateError::Network(super::text::shown(text)))
    }
}

impl NetworkName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of the console, which is that of the API too.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}{DOMAIN}", self.0)
    }
}

impl FromStr for GroupName {
    type Err = TwingateError;

    fn from_str(text: &str) -> Result<Self, TwingateError> {
        let text = text.trim();
        let is_well = (1..=GROUP_CHARS_MAX).contains(&text.chars().count())
            && !text.chars().any(super::text::must_show);
        is_well.then(|| Self(text.to_owned())).ok_or(TwingateError::Group)
    }
}

impl GroupName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProxyAddress {
    type Err = TwingateError;

    fn from_str(text: &str) -> Result<Self, TwingateError> {
        let address: Option<SocketAddr> = text.trim().parse().ok();
        let on_this_host =
            address.filter(|address| address.ip().is_loopback() && address.port() > 0);
        on_this_host.map(Self).ok_or_else(|| TwingateError::Proxy(super::text::shown(text)))
    }
}

impl ProxyAddress {
    /// The address.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        self.0
    }
}

impl Default for ProxyAddress {
    /// That of the vendor's documentation.
    fn default() -> Self {
        Self(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9999))
    }
}

impl ClientPath {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Proxy(_) => "proxy",
        }
    }
}

macro_rules! text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = TwingateError;

            fn try_from(text: String) -> Result<Self, TwingateError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0.to_string())
            }
        }
    };
}

text!(NetworkName);
text!(GroupName);
text!(ProxyAddress);

/// The image of a connector where nobody says: the vendor's own.
pub const CONNECTOR_IMAGE: &str = "docker.io/twingate/connector:1";
/// Everything of Twingate is below it.
pub const DOMAIN: &str = ".twingate.com";
/// The longest label of a host name (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
const GROUP_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_stands_before_the_domain() {
        for text in ["acme", " ACME ", "acme.twingate.com", "https://acme.twingate.com/"] {
            assert_eq!(text.parse::<NetworkName>().unwrap().host(), "acme.twingate.com");
        }
        for text in ["", "-acme", "acme.eu", "acme.twingate.com.evil.example", "a/b", "ä", "a b"] {
            assert!(text.parse::<NetworkName>().is_err(), "{text}");
        }
        assert!("a".repeat(64).parse::<NetworkName>().is_err());
    }

    #[test]
    fn a_group_is_one_line_that_shows_all_of_itself() {
        assert_eq!(" On call ".parse::<GroupName>().unwrap().as_str(), "On call");
        for text in ["", "  ", "a\nb", "a\u{1b}[31m", "a\u{202e}b"] {
            assert!(text.parse::<GroupName>().is_err(), "{text:?}");
        }
        assert!("x".repeat(121).parse::<GroupName>().is_err());
    }

    #[test]
    fn a_proxy_is_on_this_host() {
        assert_eq!("127.0.0.1:9999".parse::<ProxyAddress>().unwrap(), ProxyAddress::default());
        assert!("[::1]:8080".parse::<ProxyAddress>().is_ok());
        for text in ["", "9999", "127.0.0.1", "127.0.0.1:0", "10.0.0.1:9999", "localhost:9999"] {
            assert!(text.parse::<ProxyAddress>().is_err(), "{text}");
        }
    }
}

//! One thing to reach in one customer's environment.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::id::{SiteId, TargetId};
use super::time::Span;

/// One thing to reach: a host and port, and what speaks there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name in the catalogue; for a target opened by address, one made from the address.
    pub id: TargetId,
    /// What people call it; the id where the configuration gives no name.
    pub name: String,
    /// The site it belongs to, if any.
    pub site: Option<SiteId>,
    /// What speaks there; it decides the command that is offered.
    pub kind: TargetKind,
    /// Where it is.
    pub address: Address,
    /// Whether a plain TCP connection from this host leads to it.
    pub reachability: Reachability,
    /// The user name that the offered command carries, where the kind has one.
    pub user: Option<String>,
    /// The database that the offered command names, where the kind has one.
    pub database: Option<String>,
    /// How the local endpoint listens.
    pub listen: Listen,
    /// End the session after this long without a byte.
    pub idle: Option<Span>,
    /// The longest session on this target, where it is shorter than the policy's.
    pub duration_max: Option<Span>,
}

/// How the local endpoint of a session listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listen {
    /// On 127.0.0.1; the port is chosen free where none is fixed.
    Loopback {
        /// The fixed port, if any.
        port: Option<u16>,
    },
    /// On a UNIX socket that only the operator may open.
    Unix,
}

/// What speaks at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is the name of its protocol")]
pub enum TargetKind {
    Kubernetes,
    Postgres,
    Mysql,
    Redis,
    Mongodb,
    Ssh,
    Https,
    Http,
    Tcp,
}

impl TargetKind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Self; 9] = [
        Self::Kubernetes,
        Self::Postgres,
        Self::Mysql,
        Self::Redis,
        Self::Mongodb,
        Self::Ssh,
        Self::Https,
        Self::Http,
        Self::Tcp,
    ];

    /// The word for it in the configuration, on screens and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Mongodb => "mongodb",
            Self::Ssh => "ssh",
            Self::Https => "https",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TargetKind {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| TargetError::Kind(super::text::clean(text, 32).into_owned()))
    }
}

/// Whether a plain TCP connection from this host leads to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reachability {
    /// It does, even where the address lies in a site's private range.
    Direct,
    /// It does not: a provider must carry the path.
    Private,
    /// Try, and see.
    #[default]
    Auto,
}

impl Reachability {
    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Private => "private",
            Self::Auto => "auto",
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Makes an address from its parts.
    ///
    /// # Errors
    ///
    /// When the host is neither a host name (RFC 1123, underscores allowed) nor an IP address, or
    /// the port is zero.
    pub fn new(host: &str, port: u16) -> Result<Self, TargetError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if port == 0 {
            return Err(TargetError::Port);
        }
        if bare.parse::<IpAddr>().is_ok() || is_host_name(bare) {
            return Ok(Self { host: bare.to_ascii_lowercase(), port });
        }
        Err(TargetError::Host(super::text::clean(host, 64).into_owned()))
    }

    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The host as an IP address, where it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            f.pad(&format!("[{}]:{}", self.host, self.port))
        } else {
            f.pad(&format!("{}:{}", self.host, self.port))
        }
    }
}

impl FromStr for Address {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let form = || TargetError::Address(super::text::clean(text, 64).into_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(form());
        }
        Self::new(host, port.parse().map_err(|_| form())?)
    }
}

impl TryFrom<String> for Address {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, TargetError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// Why a text describes no target.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Not `HOST:PORT`.
    #[error("`{0}` is not an address; write `HOST:PORT`, an IPv6 address in brackets")]
    Address(String),
    /// Not a host.
    #[error("`{0}` is neither a host name nor an IP address")]
    Host(String),
    /// Port zero.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// Not a kind that we know.
    #[error(
        "`{0}` is not a kind of target; it is one of kubernetes, postgres, mysql, redis, mongodb, \
         ssh, https, http, tcp"
    )]
    Kind(String),
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let absolute = text.strip_suffix('.').unwrap_or(text);
    absolute.len() <= 253 && absolute.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_print_the_same() {
        for text in ["db.internal:5432", "10.0.0.7:22", "[fd00::7]:443", "_svc.x:1"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("DB.Internal:5432".parse::<Address>().unwrap().host(), "db.internal");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "db", "db:", "db:x", "db:70000", "fd00::7", "fd00::7:443"] {
            assert!(matches!(text.parse::<Address>(), Err(TargetError::Address(_))), "{text}");
        }
        for text in ["-oProxyCommand=x:22", "a b:1", "a..b:1", "a;b:1", ":1", "a\u{1b}:1"] {
            assert!(matches!(text.parse::<Address>(), Err(TargetError::Host(_))), "{text}");
        }
        assert_eq!("db:0".parse::<Address>(), Err(TargetError::Port));
    }

    #[test]
    fn every_kind_reads_back() {
        for kind in TargetKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("oracle".parse::<TargetKind>().is_err());
    }
}

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
    /// Makes an address from its parts. An IP address is kept in its shortest form, and one that is
    /// mapped into IPv6 as IPv4.
    ///
    /// # Errors
    ///
    /// When the host is neither a host name (RFC 1123, underscores allowed) nor an IP address, is
    /// the unspecified address, or ends like a number; or the port is zero.
    pub fn new(host: &str, port: u16) -> Result<Self, TargetError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if port == 0 {
            return Err(TargetError::Port);
        }
        let named = || super::text::clean(bare, 64).into_owned();
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            // A connection to it ends on this host, past every range that is held private.
            if ip.is_unspecified() {
                return Err(TargetError::Unspecified(named()));
            }
            return Ok(Self { host: ip.to_string(), port });
        }
        if !is_host_name(bare) {
            return Err(TargetError::Host(super::text::clean(host, 64).into_owned()));
        }
        if ends_in_a_number(bare) {
            return Err(TargetError::Numeric(named()));
        }
        Ok(Self { host: bare.to_ascii_lowercase(), port })
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
    /// `0.0.0.0` or `::`, with which a connection ends on this host.
    #[error(
        "`{0}` names no machine; write the target's own address, and `127.0.0.1` for this host"
    )]
    Unspecified(String),
    /// Ends like a number, so the system would read an address where we read a name.
    #[error("`{0}` is a short form of an IP address; write it in full, like `127.0.0.1`")]
    Numeric(String),
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

/// True where the system may read an IPv4 address (`127.1`, `0x7f000001`), as URLs have it: the
/// last label is all digits, or hexadecimal behind `0x`.
fn ends_in_a_number(host: &str) -> bool {
    let absolute = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let last = absolute.rsplit('.').next().unwrap_or_default();
    match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    }
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
    fn an_ip_address_has_one_form() {
        for (text, one_form) in [
            ("[::ffff:10.0.0.7]:22", "10.0.0.7:22"),
            ("[::FFFF:7f00:1]:22", "127.0.0.1:22"),
            ("[FD00:0:0::7]:22", "[fd00::7]:22"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), one_form);
        }
    }

    #[test]
    fn the_address_that_means_this_host_is_refused() {
        for text in ["0.0.0.0:22", "[::]:22", "[::ffff:0.0.0.0]:22", "[::ffff:0:0]:22"] {
            let refused = text.parse::<Address>().unwrap_err();
            assert!(matches!(refused, TargetError::Unspecified(_)), "{text}");
        }
        insta::assert_snapshot!(
            "0.0.0.0:22".parse::<Address>().unwrap_err(),
            @"`0.0.0.0` names no machine; write the target's own address, and `127.0.0.1` for this host"
        );
    }

    #[test]
    fn a_name_that_the_system_reads_as_an_address_is_refused() {
        for host in [
            "0",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.01",
            "127.0.0.1.",
            "a.0X",
        ] {
            let refused = Address::new(host, 22).unwrap_err();
            assert!(matches!(refused, TargetError::Numeric(_)), "{host}: {refused}");
        }
        for host in ["7.example", "db-1", "10gen.com", "0xcafe.x", "a.0xg", "db.1a"] {
            assert!(Address::new(host, 22).is_ok(), "{host}");
        }
        insta::assert_snapshot!(
            Address::new("127.1", 22).unwrap_err(),
            @"`127.1` is a short form of an IP address; write it in full, like `127.0.0.1`"
        );
    }

    #[test]
    fn every_kind_reads_back() {
        for kind in TargetKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("oracle".parse::<TargetKind>().is_err());
    }
}

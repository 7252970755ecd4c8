//! Where `ssh` leads: a host with what it takes to get there, every word checked once.
//!
//! The words end up in a file that `ssh` reads (ssh_config(5)) and in its arguments, so none may
//! look like an option, span lines, or hold what that file gives a meaning.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A host that `ssh` connects to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshDestination {
    /// The host, or a name that the operator's own `ssh_config` knows.
    pub host: SshWord,
    /// The user there; who `ssh` takes where absent.
    pub user: Option<SshWord>,
    /// The port; what `ssh` takes where absent.
    pub port: Option<u16>,
    /// The hosts in between, the first one first.
    pub jump: Vec<SshHop>,
    /// The private key, absolute; what `ssh` takes where absent.
    pub identity_file: Option<PathBuf>,
    /// The file of known host keys, absolute; what `ssh` takes where absent.
    pub known_hosts_file: Option<PathBuf>,
}

impl SshDestination {
    /// A host with nothing else said of it.
    #[must_use]
    pub const fn new(host: SshWord) -> Self {
        Self {
            host,
            user: None,
            port: None,
            jump: vec![],
            identity_file: None,
            known_hosts_file: None,
        }
    }

    /// Sees whether `ssh` can be told of the way there: each host on it stands in the arguments of
    /// the one behind it.
    ///
    /// # Errors
    ///
    /// When there are too many.
    pub const fn check(&self) -> Result<(), SshError> {
        if self.jump.len() > HOPS_MAX { Err(SshError::TooManyHops) } else { Ok(()) }
    }
}

impl fmt::Display for SshDestination {
    /// `ops@bastion.example.com:2222 via edge`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.user.as_ref(), &self.host, self.port)?;
        for (number, hop) in self.jump.iter().enumerate() {
            f.write_str(if number == 0 { " via " } else { ", " })?;
            write!(f, "{hop}")?;
        }
        Ok(())
    }
}

/// A host on the way: `[USER@]HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshHop {
    /// The user there.
    pub user: Option<SshWord>,
    /// The host.
    pub host: SshWord,
    /// The port.
    pub port: Option<u16>,
}

impl FromStr for SshHop {
    type Err = SshError;

    fn from_str(text: &str) -> Result<Self, SshError> {
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user.parse()?), place),
            None => (None, text),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(SshError::Hop)?)),
            // More than one colon is an IPv6 address without a port.
            None if place.matches(':').count() == 1 => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
            None => (place, None),
        };
        let port = match port {
            Some(text) => Some(text.parse().ok().filter(|port| *port > 0).ok_or(SshError::Hop)?),
            None => None,
        };
        Ok(Self { user, host: host.parse()?, port })
    }
}

impl TryFrom<String> for SshHop {
    type Error = SshError;

    fn try_from(text: String) -> Result<Self, SshError> {
        text.parse()
    }
}

impl From<SshHop> for String {
    fn from(hop: SshHop) -> Self {
        hop.to_string()
    }
}

impl fmt::Display for SshHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.user.as_ref(), &self.host, self.port)
    }
}

fn write_place(
    f: &mut fmt::Formatter<'_>,
    user: Option<&SshWord>,
    host: &SshWord,
    port: Option<u16>,
) -> fmt::Result {
    if let Some(user) = user {
        write!(f, "{user}@")?;
    }
    match port {
        Some(port) if host.as_str().contains(':') => write!(f, "[{host}]:{port}"),
        Some(port) => write!(f, "{host}:{port}"),
        None => write!(f, "{host}"),
    }
}

/// A host or user name that is one plain word wherever `ssh` reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshWord(String);

impl SshWord {
    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the name or the address of a host, with nothing else in it.
    ///
    /// # Errors
    ///
    /// When it is no plain word, or holds a user or a port.
    pub fn of_host(text: &str) -> Result<Self, SshError> {
        let word: Self = text.parse()?;
        let is_address = text.parse::<std::net::Ipv6Addr>().is_ok();
        if text.contains('@') || (text.contains(':') && !is_address) {
            return Err(SshError::Host(super::text::clean(text, 64).into_owned()));
        }
        Ok(word)
    }
}

impl FromStr for SshWord {
    type Err = SshError;

    fn from_str(text: &str) -> Result<Self, SshError> {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@' | '\\');
        let shown = || super::text::clean(text, 64).into_owned();
        if text.is_empty() || text.len() > WORD_BYTES_MAX || text.starts_with('-') {
            return Err(SshError::Word(shown()));
        }
        if text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SshError::Word(shown()))
        }
    }
}

impl TryFrom<String> for SshWord {
    type Error = SshError;

    fn try_from(text: String) -> Result<Self, SshError> {
        text.parse()
    }
}

impl From<SshWord> for String {
    fn from(word: SshWord) -> Self {
        word.0
    }
}

impl fmt::Display for SshWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is no place for `ssh` to go.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SshError {
    /// Not one plain word.
    #[error(
        "`{0}` is no host or user for ssh: letters, digits and `. _ - : @` only, no `-` in front"
    )]
    Word(String),
    /// More than a host.
    #[error("`{0}` is more than a host: it holds a user or a port")]
    Host(String),
    /// Not `[USER@]HOST[:PORT]`.
    #[error("a host on the way is written as `user@host:port`, user and port as you like")]
    Hop,
    /// More than [`HOPS_MAX`].
    #[error("there are more than {HOPS_MAX} hosts on the way")]
    TooManyHops,
}

/// How many hosts may be in between; each is one more that must be up.
pub const HOPS_MAX: usize = 8;
const WORD_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_reads_back() {
        for text in ["edge", "ops@edge", "edge:2222", "ops@edge:2222", "[fd00::1]:22", "fd00::1"] {
            assert_eq!(text.parse::<SshHop>().unwrap().to_string(), text);
        }
        for text in
            ["", "@edge", "edge:0", "edge:99999", "edge:ssh", "[fd00::1]x", "-oProxyCommand=x"]
        {
            assert!(text.parse::<SshHop>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_ssh_would_read_as_something_else_is_refused() {
        for text in
            ["-oProxyCommand=sh", "a b", "a\nb", "a%h", "a\"b", "a'b", "a;b", "$HOME", "a#b", "*"]
        {
            assert!(text.parse::<SshWord>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_a_host_and_nothing_else() {
        for text in ["bastion", "10.0.0.1", "fd00::1", "BASTION.acme.internal"] {
            assert!(SshWord::of_host(text).is_ok(), "{text}");
        }
        for text in ["ops@bastion", "bastion:22", "[fd00::1]", "a:b:c"] {
            assert!(SshWord::of_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_way_has_an_end() {
        let mut to = SshDestination::new("bastion".parse().unwrap());
        to.jump = vec!["edge".parse().unwrap(); HOPS_MAX];
        assert_eq!(to.check(), Ok(()));
        to.jump.push("edge".parse().unwrap());
        let said = to.check().unwrap_err().to_string();
        assert_eq!(said, "there are more than 8 hosts on the way");
    }

    #[test]
    fn a_destination_is_shown_as_people_write_it() {
        let mut to = SshDestination::new("bastion".parse().unwrap());
        assert_eq!(to.to_string(), "bastion");
        to.user = Some("ops".parse().unwrap());
        to.port = Some(2222);
        to.jump = vec!["edge".parse().unwrap(), "root@inner:22".parse().unwrap()];
        assert_eq!(to.to_string(), "ops@bastion:2222 via edge, root@inner:22");
    }
}

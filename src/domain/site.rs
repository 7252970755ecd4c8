//! A customer's environment: its private ranges, and which providers may reach it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::id::{ProviderId, SiteId};
use super::launcher::LauncherSettings;

/// One customer environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its name in the configuration.
    pub id: SiteId,
    /// What people call it.
    pub name: String,
    /// Address ranges that lead into this site and may mean something else elsewhere.
    pub private_ranges: Vec<Prefix>,
    /// The providers that may reach it, the preferred one first.
    pub providers: Vec<ProviderId>,
    /// How a temporary router or connector is started there, where that was said.
    #[serde(default)]
    pub launcher: Option<LauncherSettings>,
}

/// An address range such as `10.20.0.0/16`; the bits behind the length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is no address range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// Not `ADDRESS/LENGTH`.
    #[error("`{0}` is not an address range; write it like `10.20.0.0/16`")]
    Form(String),
    /// Bits are set behind the length.
    #[error("`{0}` has bits set behind its length; the range is `{1}`")]
    HostBits(String, String),
    /// An IPv4 range mapped into IPv6; addresses are compared as IPv4, so it would match none.
    #[error("`{0}` is an IPv4 range in IPv6 form, which matches nothing; write `{1}`")]
    Mapped(String, String),
}

impl Prefix {
    /// The range of one address alone.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Its first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits all its addresses share.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// True when the address lies inside; an IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(address, self.length) == self.address
            }
            _ => false,
        }
    }

    /// True when any address lies in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let form = || PrefixError::Form(super::text::clean(text, 64).into_owned());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let length: u8 = length.parse().map_err(|_| form())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if length > bits {
            return Err(form());
        }
        if let (IpAddr::V6(_), IpAddr::V4(v4)) = (address, address.to_canonical())
            && let Some(length) = length.checked_sub(MAPPED_BITS)
        {
            let instead = Self { address: masked(v4.into(), length), length };
            return Err(PrefixError::Mapped(text.to_owned(), instead.to_string()));
        }
        let prefix = Self { address: masked(address, length), length };
        if prefix.address == address {
            Ok(prefix)
        } else {
            Err(PrefixError::HostBits(text.to_owned(), prefix.to_string()))
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// Bits before the IPv4 address in an IPv6 address that carries one.
const MAPPED_BITS: u8 = 96;

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_hold_their_addresses_and_no_others() {
        assert!(prefix("10.20.0.0/16").contains("10.20.255.1".parse().unwrap()));
        assert!(prefix("10.20.0.0/16").contains("::ffff:10.20.0.9".parse().unwrap()));
        assert!(!prefix("10.20.0.0/16").contains("10.21.0.0".parse().unwrap()));
        assert!(!prefix("10.20.0.0/16").contains("fd00::1".parse().unwrap()));
        assert!(prefix("0.0.0.0/0").contains("8.8.8.8".parse().unwrap()));
        assert!(prefix("fd00:1::/32").contains("fd00:1:2::3".parse().unwrap()));
    }

    #[test]
    fn one_address_is_a_range() {
        let single = |text: &str| Prefix::single(text.parse().unwrap()).to_string();
        assert_eq!(single("10.20.3.4"), "10.20.3.4/32");
        assert_eq!(single("::ffff:10.20.3.4"), "10.20.3.4/32");
        assert_eq!(single("fd00::1"), "fd00::1/128");
        assert_eq!(prefix("10.20.0.0/16").address().to_string(), "10.20.0.0");
        assert_eq!(prefix("10.20.0.0/16").length(), 16);
    }

    #[test]
    fn overlap_goes_both_ways() {
        assert!(prefix("10.0.0.0/8").overlaps(&prefix("10.20.0.0/16")));
        assert!(prefix("10.20.0.0/16").overlaps(&prefix("10.0.0.0/8")));
        assert!(!prefix("10.20.0.0/16").overlaps(&prefix("10.21.0.0/16")));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            "10.20.3.4/16".parse::<Prefix>().unwrap_err().to_string(),
            "`10.20.3.4/16` has bits set behind its length; the range is `10.20.0.0/16`"
        );
        for (text, instead) in [
            ("::ffff:127.0.0.0/104", "127.0.0.0/8"),
            ("::ffff:7f00:1/128", "127.0.0.1/32"),
            ("::ffff:10.20.3.4/112", "10.20.0.0/16"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            let refused = text.parse::<Prefix>().unwrap_err().to_string();
            let wanted = format!(
                "`{text}` is an IPv4 range in IPv6 form, which matches nothing; write `{instead}`"
            );
            assert_eq!(refused, wanted);
        }
        for text in ["::/0", "64:ff9b::/96", "::ffff:0:0:0/96"] {
            assert_eq!(prefix(text).to_string(), text, "an IPv6 range stays one");
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1"] {
            assert!(matches!(text.parse::<Prefix>(), Err(PrefixError::Form(_))), "{text}");
        }
    }
}

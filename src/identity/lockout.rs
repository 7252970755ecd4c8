//! Waiting after failures: slower for who guesses, never for anybody else.
//!
//! ```text
//!  try ──► reserve ──► refused: wait so long
//!              │
//!              └─ counted as failed ──► compared ──► wrong: stays counted
//!                 and made durable              └──► right: the count is gone
//! ```
//!
//! Rules that hold in every line below:
//!
//! 1. **A try counts before it is made.** Fifty at once meet one count, and a crash, or hanging up
//!    half-way, takes nothing back.
//! 2. **A count belongs to an address and a source.** What one source does is felt by no other.
//! 3. **Nothing that matters is forgotten to make room.** A source that tries more addresses than
//!    are kept for it shares one count for the rest of them.
//!
//! An address that nobody has is counted like any other: waiting says nothing of accounts.
//!
//! Not here: whether the password was right, and keeping the counts ([`Change`] says which).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::email::Email;
use crate::domain::time::{Span, Timestamp};

/// How many failures in a row there were, and when the last one was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// Failures since the last success.
    pub failures: u32,
    /// When the last one was reserved, in engine time.
    pub last_failure_at: Timestamp,
}

impl Throttle {
    /// Returns how long the next try must wait; none where it need not.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<Span> {
        let left = delay(self.failures)
            .as_millis()
            .saturating_sub(now.since(self.last_failure_at).as_millis());
        (left > 0).then(|| Span::from_millis(left))
    }

    fn fail(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure_at = now;
    }

    fn is_idle(&self, now: Timestamp) -> bool {
        now.since(self.last_failure_at) >= IDLE
    }
}

/// Returns how long to wait after so many failures in a row: 0, 0, 0, 1, 2, 4 ... 900 seconds, and
/// an hour after a hundred.
#[must_use]
pub fn delay(failures: u32) -> Span {
    match failures {
        0..=3 => Span::ZERO,
        // 2^10 is more than the most already.
        4..FAILURES_MAX => Span::from_seconds((1 << (failures - 4).min(10)).min(DELAY_SECONDS_MAX)),
        _ => Span::from_hours(1),
    }
}

/// Where a try comes from, as the kernel and logind say, never the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    uid: u32,
    address: Option<IpAddr>,
}

impl Source {
    /// Takes in a UNIX user and, where they came over the network, their address.
    ///
    /// Of an IPv6 address the first 64 bits are kept: whoever has one has all that begin so
    /// (RFC 4291, section 2.5.1). An IPv4 address in IPv6 form is the IPv4 address.
    #[must_use]
    pub fn new(uid: u32, address: Option<IpAddr>) -> Self {
        let network = |address: IpAddr| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        };
        Self { uid, address: address.map(network) }
    }
}

/// What a count is kept for. As text it is a key for the store: `1000/192.0.2.7/5d41402a...`, or
/// `1000/-/*` for what a source shares.
///
/// The address is hashed: people type passwords into the wrong field, and those are not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    source: Source,
    /// 128 bits of SHA-256; none for what the source shares.
    account: Option<[u8; 16]>,
}

/// A count to be kept, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is for.
    pub key: Key,
    /// The count; none where it goes.
    pub throttle: Option<Throttle>,
}

/// A try that may be made, and is counted as failed already.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a right password takes it back"]
pub struct Reservation(Key);

/// All counts.
///
/// For each source at most [`PAIRS_MAX`] and one that it shares are kept, for at most
/// [`SOURCES_MAX`] sources and one for each UNIX user, so that memory is bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lockouts {
    sources: BTreeMap<Source, Counts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    pairs: BTreeMap<[u8; 16], Throttle>,
    shared: Option<Throttle>,
}

impl Counts {
    fn count(&self, account: Option<[u8; 16]>) -> Option<&Throttle> {
        account.map_or(self.shared.as_ref(), |account| self.pairs.get(&account))
    }

    fn is_idle(&self, now: Timestamp) -> bool {
        self.pairs.values().chain(&self.shared).all(|throttle| throttle.is_idle(now))
    }
}

impl Lockouts {
    /// Takes in what was kept.
    ///
    /// A failure that lies in the future, because the clock was set back while this host was off,
    /// counts as just made: nobody waits longer than the longest delay.
    #[must_use]
    pub fn restore(kept: impl IntoIterator<Item = (Key, Throttle)>, now: Timestamp) -> Self {
        let mut lockouts = Self::default();
        for (key, mut throttle) in kept {
            throttle.last_failure_at = throttle.last_failure_at.min(now);
            lockouts.put(&key, throttle);
        }
        lockouts
    }

    /// Returns how long a try would have to wait; none where it may be made.
    #[must_use]
    pub fn wait(&self, source: Source, address: &Email, now: Timestamp) -> Option<Span> {
        let (key, _) = self.place(source, address, now);
        self.count(&key)?.wait(now)
    }

    /// Counts a try as failed, before it is made. Make the changes durable before comparing
    /// anything.
    ///
    /// # Errors
    ///
    /// How long to wait. Such a try counts for nothing.
    pub fn reserve(
        &mut self,
        source: Source,
        address: &Email,
        now: Timestamp,
    ) -> Result<(Reservation, Vec<Change>), Span> {
        let (key, gone) = self.place(source, address, now);
        let kept = self.count(&key).copied();
        // What was shared is nobody's in particular, and a day without a try ends it.
        let stale = |throttle: &Throttle| key.account.is_none() && throttle.is_idle(now);
        let mut throttle = kept.filter(|throttle| !stale(throttle)).unwrap_or_default();
        if let Some(wait) = throttle.wait(now) {
            return Err(wait);
        }
        throttle.fail(now);
        let mut changes: Vec<_> = gone.into_iter().map(|key| self.take(key)).collect();
        self.put(&key, throttle);
        changes.push(Change { key: key.clone(), throttle: Some(throttle) });
        Ok((Reservation(key), changes))
    }

    /// Takes a try back whose password was right.
    ///
    /// Of a shared count it takes only itself back: else who has an account could try the others
    /// in between.
    #[must_use = "the change must be kept"]
    pub fn succeeded(&mut self, Reservation(key): Reservation) -> Change {
        let shared = self.count(&key).copied().filter(|_| key.account.is_none());
        let failures = shared.map_or(0, |throttle| throttle.failures.saturating_sub(1));
        match shared {
            Some(throttle) if failures > 0 => {
                let throttle = Throttle { failures, ..throttle };
                self.put(&key, throttle);
                Change { key, throttle: Some(throttle) }
            }
            _ => self.take(key),
        }
    }

    /// How many counts are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        let of = |counts: &Counts| counts.pairs.len() + usize::from(counts.shared.is_some());
        self.sources.values().map(of).sum()
    }

    /// True where nothing is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds what a try is counted under, and what has to go for it.
    fn place(&self, source: Source, address: &Email, now: Timestamp) -> (Key, Vec<Key>) {
        let account = Some(digest(address));
        let Some(counts) = self.sources.get(&source) else {
            return self.place_source(source, account, now);
        };
        let own = Key { source, account };
        if counts.count(account).is_some() || counts.pairs.len() < PAIRS_MAX {
            return (own, vec![]);
        }
        // The one that was idle the longest goes, if it was idle for so long that going on was
        // dearer than starting anew.
        let oldest = counts.pairs.iter().min_by_key(|(_, throttle)| throttle.last_failure_at);
        match oldest {
            Some((account, throttle)) if throttle.is_idle(now) => {
                (own, vec![Key { source, account: Some(*account) }])
            }
            _ => (Key { source, account: None }, vec![]),
        }
    }

    /// Finds room for a source of which nothing is kept.
    fn place_source(
        &self,
        source: Source,
        account: Option<[u8; 16]>,
        now: Timestamp,
    ) -> (Key, Vec<Key>) {
        let own = Key { source, account };
        // A UNIX user alone always has room: the kernel bounds how many there are.
        if self.sources.len() < SOURCES_MAX || source.address.is_none() {
            return (own, vec![]);
        }
        let idle = self.sources.iter().find(|(_, counts)| counts.is_idle(now));
        match idle {
            Some((source, counts)) => {
                let pairs = counts.pairs.keys().map(|account| Some(*account));
                let all = pairs.chain(counts.shared.map(|_| None));
                (own, all.map(|account| Key { source: *source, account }).collect())
            }
            None => (Key { source: Source { address: None, ..source }, account: None }, vec![]),
        }
    }

    fn count(&self, key: &Key) -> Option<&Throttle> {
        self.sources.get(&key.source)?.count(key.account)
    }

    fn put(&mut self, key: &Key, throttle: Throttle) {
        let counts = self.sources.entry(key.source).or_default();
        match key.account {
            Some(account) => drop(counts.pairs.insert(account, throttle)),
            None => counts.shared = Some(throttle),
        }
    }

    fn take(&mut self, key: Key) -> Change {
        if let Some(counts) = self.sources.get_mut(&key.source) {
            match key.account {
                Some(account) => drop(counts.pairs.remove(&account)),
                None => counts.shared = None,
            }
            if counts.pairs.is_empty() && counts.shared.is_none() {
                self.sources.remove(&key.source);
            }
        }
        Change { key, throttle: None }
    }
}

fn digest(address: &Email) -> [u8; 16] {
    let full: [u8; 32] = Sha256::digest(address.as_str().as_bytes()).into();
    full.first_chunk().copied().unwrap_or_default()
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.source.uid)?;
        match self.source.address {
            Some(address) => write!(f, "{address}/")?,
            None => f.write_str("-/")?,
        }
        match self.account {
            Some(digest) => digest.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            None => f.write_str("*"),
        }
    }
}

/// A text that is no key of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key of a count of failures")]
pub struct KeyError;

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '/');
        let mut part = || parts.next().ok_or(KeyError);
        let uid = part()?.parse().map_err(|_| KeyError)?;
        let address = match part()? {
            "-" => None,
            address => Some(address.parse().map_err(|_| KeyError)?),
        };
        let account = match part()? {
            "*" => None,
            digits if digits.len() == 32 && digits.bytes().all(|it| it.is_ascii_hexdigit()) => {
                let bits = u128::from_str_radix(digits, 16).map_err(|_| KeyError)?;
                Some(bits.to_be_bytes())
            }
            _ => return Err(KeyError),
        };
        Ok(Self { source: Source { uid, address }, account })
    }
}

/// For how many addresses one source's failures are counted apart.
pub const PAIRS_MAX: usize = 64;

/// How many sources are counted apart, beside one for each UNIX user.
pub const SOURCES_MAX: usize = 4_096;

/// After so many failures in a row there is one try an hour.
const FAILURES_MAX: u32 = 100;

const DELAY_SECONDS_MAX: u64 = 900;

/// After so long without a try a count may go to make room. Going on, it gives 24 tries or more
/// in that time; starting anew, 17 in the hour after it. So nobody gains by waiting for it.
const IDLE: Span = Span::from_hours(24);

#[cfg(test)]
mod tests;

//! Things that exist because of us, and the mark by which they are found without our notes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{InstallationId, SessionId};
use super::time::Timestamp;

/// A thing that exists because of us, described well enough to remove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What it is, in a word or two: `listener`, `auth key`, `connector`.
    pub kind: String,
    /// What it is called where it lives.
    pub name: String,
    /// What else undo needs to know, without any secret: ids, addresses.
    pub details: serde_json::Value,
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, super::text::shown(&self.name))
    }
}

/// A thing that was found by its mark alone, with what removes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// Whose it is, and how long it may be needed.
    pub marker: Marker,
    /// The thing.
    pub artifact: Artifact,
    /// The commands that remove it by hand, word by word.
    pub by_hand: Vec<Vec<String>>,
}

/// The mark inside an artifact's name or description: whose it is, and when it may be swept.
///
/// `bg-abc234-55667788-691f2a3c`: installation, session (random bits), expiry in seconds since the
/// epoch, hexadecimal. 27 characters of `[a-z0-9-]`, which every provider accepts in a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Marker {
    /// The installation that made the artifact.
    pub installation: InstallationId,
    /// The short form of the session's id.
    pub session: String,
    /// When the artifact may be removed whatever our notes say, in seconds since the epoch.
    pub expires_seconds: u32,
}

/// The longest marker, in bytes.
pub const MARKER_BYTES_MAX: usize = 30;

impl Marker {
    /// Makes the marker of a session's artifacts.
    #[must_use]
    pub fn new(installation: &InstallationId, session: SessionId, expires: Timestamp) -> Self {
        Self {
            installation: installation.clone(),
            session: session.short(),
            expires_seconds: u32::try_from(expires.as_seconds()).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bg-{}-{}-{:08x}", self.installation, self.session, self.expires_seconds)
    }
}

impl FromStr for Marker {
    type Err = NoMarker;

    fn from_str(text: &str) -> Result<Self, NoMarker> {
        let mut parts = text.split('-');
        let ("bg", installation, session, expires, None) = (
            parts.next().ok_or(NoMarker)?,
            parts.next().ok_or(NoMarker)?,
            parts.next().ok_or(NoMarker)?,
            parts.next().ok_or(NoMarker)?,
            parts.next(),
        ) else {
            return Err(NoMarker);
        };
        let hex = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex(session) || !hex(expires) {
            return Err(NoMarker);
        }
        Ok(Self {
            installation: installation.to_owned().try_into().map_err(|_| NoMarker)?,
            session: session.to_owned(),
            expires_seconds: u32::from_str_radix(expires, 16).map_err(|_| NoMarker)?,
        })
    }
}

/// The text is not a marker of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a marker of this program")]
pub struct NoMarker;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_and_fits() {
        let installation = InstallationId::from_random([0, 1, 2, 29, 30, 31]);
        let at = Timestamp::from_millis(1_763_655_000_000);
        let marker = Marker::new(&installation, SessionId::new(at, [9; 10]), at);
        let text = marker.to_string();
        assert_eq!(text, "bg-abc567-09090909-691f3d58");
        assert!(text.len() <= MARKER_BYTES_MAX);
        assert_eq!(text.parse(), Ok(marker));
    }

    #[test]
    fn what_others_made_is_not_taken_for_ours() {
        for text in [
            "",
            "bg",
            "bg-abc567-09090909",
            "bg-abc567-09090909-691f3d58-x",
            "bg-ABC567-09090909-691f3d58",
            "xx-abc567-09090909-691f3d58",
            "bg-abc567-0909090z-691f3d58",
        ] {
            assert_eq!(text.parse::<Marker>(), Err(NoMarker), "{text}");
        }
    }
}

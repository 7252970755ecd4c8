//! What the control server tells, in the words of a session.

use std::net::IpAddr;

use crate::domain::secret::Secret;
use crate::domain::site::Prefix;
use crate::domain::time::{Span, Timestamp};

/// What kind of key the provider speaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API access token of a person: it ends after 90 days at the latest.
    ApiToken,
    /// An OAuth client of the tailnet: it has no end, and mints tokens of an hour.
    OAuthClient,
    /// An API key of Headscale.
    Headscale,
}

/// What the key in use is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id at the server.
    pub id: Option<String>,
    /// What it may do; empty where the server does not say.
    pub scopes: Vec<String>,
    /// The tags that it has itself.
    pub tags: Vec<String>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Whether the server calls it revoked or over.
    pub invalid: bool,
    /// How far this host's clock is ahead of the server's, in milliseconds, where that is more than
    /// a minute either way.
    pub clock_ahead_millis: Option<i64>,
}

impl Credential {
    /// Whether a scope is among what it may do; nothing where the server does not say.
    pub fn allows(&self, scope: &str) -> Option<bool> {
        if self.scopes.is_empty() {
            return (self.kind == CredentialKind::Headscale).then_some(true);
        }
        let read = scope.strip_suffix(":read");
        let whole = read.unwrap_or(scope);
        let legacy = match whole {
            "policy_file" => "acl",
            "devices:core" | "devices:routes" => "devices",
            other => other,
        };
        let has = |wanted: &str| self.scopes.iter().any(|scope| scope == wanted);
        let written = has("all") || has(whole) || has(legacy);
        let seen = || has("all:read") || has(scope) || has(&format!("{legacy}:read"));
        Some(written || (read.is_some() && seen()))
    }

    /// What to tell about this host's clock, where it is wrong.
    pub fn clock_warning(&self) -> Option<String> {
        let ahead = self.clock_ahead_millis?;
        let span = Span::from_millis(ahead.unsigned_abs());
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        Some(format!(
            "this host's clock is {span} {side} the control server's; set it right, or keys seem \
             to be over and certificates wrong"
        ))
    }
}

/// The key of a device that is to be made: single-use, ephemeral, pre-authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The tags of whatever joins with it.
    pub tags: Vec<String>,
    /// By what it is found again: letters, digits, hyphens and spaces, at most 50.
    pub description: String,
    /// How long it can be used.
    pub lifetime: Span,
}

impl NewKey {
    /// One that lives for ten minutes. What a description cannot hold becomes a hyphen.
    pub fn new(tags: Vec<String>, description: &str) -> Self {
        Self { tags, description: fitted(description), lifetime: KEY_LIFETIME }
    }
}

/// A description as the server takes it.
pub fn fitted(description: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    description.chars().take(50).map(|c| if fits(c) { c } else { '-' }).collect()
}

/// The key of a device that was made. Its secret is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedKey {
    /// Its id at the server.
    pub id: String,
    /// What a device joins with.
    pub key: Secret,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// The tags of whatever joins with it.
    pub tags: Vec<String>,
}

/// What the server tells of the key of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// By what it is found again; empty where the server keeps none.
    pub description: String,
    /// The tags of whatever joins with it.
    pub tags: Vec<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Whether nothing can join with it any more.
    pub invalid: bool,
}

/// A device of the tailnet. Names are clean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The id by which it is asked for: what its own status calls `ID`.
    pub id: String,
    /// The name that it asked for.
    pub hostname: String,
    /// The name that it got, in full.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it goes by itself some time after it is off.
    pub is_ephemeral: bool,
    /// Whether it belongs to another tailnet.
    pub is_external: bool,
    /// Whether it is let in.
    pub authorized: bool,
    /// Whether the server has a connection to it.
    pub online: bool,
    /// When it was seen last, where it is off.
    pub last_seen: Option<Timestamp>,
    /// When it joined.
    pub created: Option<Timestamp>,
    /// The routes that it offers.
    pub advertised: Vec<Prefix>,
    /// The routes that it is allowed.
    pub enabled: Vec<Prefix>,
    /// Why tailnet lock keeps it out, where it does.
    pub lock_error: Option<String>,
}

/// Settings of the tailnet; nothing where the key may not see one or the server has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether somebody must let new devices in.
    pub devices_approval_on: Option<bool>,
    /// Whether the policy file is kept elsewhere and an edit would be overwritten.
    pub acls_externally_managed_on: Option<bool>,
    /// Where it is kept.
    pub acls_external_link: Option<String>,
}

/// The policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// HuJSON, with its comments.
    pub text: String,
    /// What to give back when it is written.
    pub etag: String,
    /// Whether the server itself refuses a write over somebody else's. Where it does not, the text is
    /// compared right before, which leaves a moment in which another's edit is lost.
    pub guarded: bool,
}

/// What the server thinks of a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it would be refused.
    pub errors: Vec<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// True where it would be taken.
    pub fn is_good(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Long enough for a container to be pulled and started, short enough for an orphan.
const KEY_LIFETIME: Span = Span::from_seconds(600);

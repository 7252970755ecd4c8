//! The shapes of Headscale's v1: numbers of 64 bits are texts, and nothing is left out but what is
//! not set.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::model::{Device, KeyRecord};
use super::wire::{addresses, or_default, routes, time};
use crate::domain::secret::Secret;
use crate::domain::site::Prefix;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};

/// `POST /preauthkey`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyOrder<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'a str>,
    pub reusable: bool,
    pub ephemeral: bool,
    pub expiration: String,
    pub acl_tags: &'a [String],
}

/// `POST /preauthkey/expire` of 0.26 and 0.27.
#[derive(Debug, Serialize)]
pub struct Expiry<'a> {
    pub user: &'a str,
    pub key: Option<&'a Secret>,
}

/// The key of a device. Old servers list its text: it is kept for taking it back, and no longer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default)]
    pub key: Option<Secret>,
    #[serde(default, deserialize_with = "or_default")]
    reusable: bool,
    #[serde(default, deserialize_with = "or_default")]
    used: bool,
    #[serde(default, deserialize_with = "time")]
    pub expiration: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub acl_tags: Vec<String>,
}

impl Key {
    /// Whether nothing can join with it any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        // The server writes its time to the second, and its answer was a moment under way.
        let soon = now + Span::from_seconds(2);
        (self.used && !self.reusable) || self.expiration.is_some_and(|end| end <= soon)
    }

    /// As a session sees it.
    pub fn into_record(self, now: Timestamp) -> KeyRecord {
        KeyRecord {
            invalid: self.is_over(now),
            id: self.id,
            description: String::new(),
            tags: self.acl_tags,
            created: self.created_at,
            expires: self.expiration,
        }
    }
}

/// What a new key comes in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewKey {
    pub pre_auth_key: Key,
}

/// `GET /preauthkey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyList {
    #[serde(deserialize_with = "or_default")]
    pub pre_auth_keys: Vec<Key>,
}

/// A user.
#[derive(Debug, Deserialize)]
pub struct User {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

impl User {
    /// True for its id and its name.
    pub fn is_called(&self, wanted: &str) -> bool {
        self.name == wanted || self.id == wanted
    }
}

/// `GET /user`.
#[derive(Debug, Deserialize)]
pub struct Users {
    #[serde(deserialize_with = "or_default")]
    pub users: Vec<User>,
}

/// A key of the API, as it is listed.
#[derive(Debug, Deserialize)]
pub struct ApiKey {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    prefix: String,
    #[serde(default, deserialize_with = "time")]
    pub expiration: Option<Timestamp>,
}

impl ApiKey {
    /// True where that key begins as this one is listed: `hskey-api-…-***`, `…***`, or bare.
    pub fn begins(&self, key: &Secret) -> bool {
        let listed = self.prefix.strip_suffix("***").unwrap_or(&self.prefix);
        let listed =
            listed.strip_suffix('-').filter(|_| listed.starts_with("hskey-")).unwrap_or(listed);
        let rest = key.expose().strip_prefix(listed);
        !listed.is_empty() && rest.is_some_and(|rest| rest.starts_with(['-', '.']))
    }
}

/// `GET /apikey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeys {
    #[serde(deserialize_with = "or_default")]
    pub api_keys: Vec<ApiKey>,
}

/// A device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    given_name: String,
    #[serde(default, deserialize_with = "addresses")]
    ip_addresses: Vec<IpAddr>,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    forced_tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    valid_tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    online: bool,
    #[serde(default, deserialize_with = "time")]
    last_seen: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "routes")]
    available_routes: Vec<Prefix>,
    #[serde(default, deserialize_with = "routes")]
    approved_routes: Vec<Prefix>,
    #[serde(default)]
    pre_auth_key: Option<JoinedWith>,
}

#[derive(Debug, Deserialize)]
struct JoinedWith {
    #[serde(default, deserialize_with = "or_default")]
    ephemeral: bool,
}

impl Node {
    /// As a session sees it.
    pub fn into_device(self) -> Device {
        let mut tags = [self.tags, self.forced_tags, self.valid_tags].concat();
        tags.sort_unstable();
        tags.dedup();
        Device {
            id: self.id,
            hostname: text::shown(&self.name),
            name: text::shown(&self.given_name),
            addresses: self.ip_addresses,
            tags,
            is_ephemeral: self.pre_auth_key.is_some_and(|key| key.ephemeral),
            is_external: false,
            authorized: true,
            online: self.online,
            last_seen: self.last_seen,
            created: self.created_at,
            advertised: self.available_routes,
            enabled: self.approved_routes,
            lock_error: None,
        }
    }
}

/// `GET /node`.
#[derive(Debug, Deserialize)]
pub struct Nodes {
    #[serde(deserialize_with = "or_default")]
    pub nodes: Vec<Node>,
}

/// `GET /node/{id}`, and what a change of one answers.
#[derive(Debug, Deserialize)]
pub struct OneNode {
    pub node: Node,
}

/// `POST /node/{id}/approve_routes`.
#[derive(Debug, Serialize)]
pub struct RoutesOrder<'a> {
    pub routes: &'a [Prefix],
}

/// `GET|PUT /policy`, `POST /policy/check`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Policy {
    #[serde(default, deserialize_with = "or_default")]
    pub policy: String,
}

/// `GET /version`.
#[derive(Debug, Deserialize)]
pub struct Version {
    #[serde(default, deserialize_with = "or_default")]
    version: String,
}

impl Version {
    /// The second number of a version `0.N`, where it is one.
    pub fn minor(&self) -> Option<u32> {
        let rest = self.version.trim_start_matches('v').strip_prefix("0.")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_is_found_in_its_list_however_that_writes_it() {
        for (listed, key, is_it) in [
            ("hskey-api-abcdefghijkl-***", "hskey-api-abcdefghijkl-secret", true),
            ("hskey-api-abcdefghijk--***", "hskey-api-abcdefghijk--secret", true),
            ("hskey-api-abcdefghijkl-***", "hskey-api-abcdefghijkm-secret", false),
            ("abcdefg***", "abcdefg.secret", true),
            ("abcdefg", "abcdefg.secret", true),
            ("abcdef", "abcdefg.secret", false),
            ("", ".secret", false),
        ] {
            let api_key = ApiKey { id: "1".into(), prefix: listed.into(), expiration: None };
            assert_eq!(api_key.begins(&Secret::new(key)), is_it, "{listed} {key}");
        }
    }

    #[test]
    fn tags_stand_where_the_version_puts_them() {
        for json in [
            r#"{"id":"7","tags":["tag:a","tag:b"]}"#,
            r#"{"id":"7","forcedTags":["tag:a"],"validTags":["tag:b","tag:a"],"invalidTags":["tag:c"]}"#,
        ] {
            let device = serde_json::from_str::<Node>(json).unwrap().into_device();
            assert_eq!(device.tags, ["tag:a", "tag:b"], "{json}");
        }
    }

    #[test]
    fn a_version_is_read_where_it_is_one() {
        for (text, minor) in
            [("v0.27.1", Some(27)), ("0.29.0-beta.1", Some(29)), ("dev", None), ("v1.2.0", None)]
        {
            assert_eq!(Version { version: text.into() }.minor(), minor, "{text}");
        }
    }
}

//! The shapes of API v2, read with patience: a field may be missing, `null`, or `""` where a time
//! should be, and a word that nobody knows is no reason to lose a list. Only what is used is read.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};

use super::model::{Device, KeyRecord, Settings};
use crate::domain::secret::Secret;
use crate::domain::site::Prefix;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// Reads `null` as nothing.
pub fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Reads a time in RFC 3339; `""`, and the year in which Go's time begins, are none.
pub fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.and_then(|text| instant(&text)))
}

fn instant(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    let at = Timestamp::from_millis(at.as_millisecond());
    (at > Timestamp::from_millis(0)).then_some(at)
}

/// Reads what can be read of a list of routes.
pub fn routes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Prefix>, D::Error> {
    let texts: Vec<String> = or_default(from)?;
    Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
}

/// Reads what can be read of a list of addresses.
pub fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpAddr>, D::Error> {
    let texts: Vec<String> = or_default(from)?;
    Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
}

/// `POST /tailnet/{t}/keys`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyOrder<'a> {
    pub key_type: &'static str,
    pub description: &'a str,
    pub expiry_seconds: u64,
    pub capabilities: CapabilitiesOrder<'a>,
}

#[derive(Debug, Serialize)]
pub struct CapabilitiesOrder<'a> {
    pub devices: DevicesOrder<'a>,
}

#[derive(Debug, Serialize)]
pub struct DevicesOrder<'a> {
    pub create: CreateOrder<'a>,
}

#[derive(Debug, Serialize)]
pub struct CreateOrder<'a> {
    pub reusable: bool,
    pub ephemeral: bool,
    pub preauthorized: bool,
    pub tags: &'a [String],
}

/// A key of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default)]
    pub key: Option<Secret>,
    #[serde(default, deserialize_with = "or_default")]
    pub key_type: String,
    #[serde(default, deserialize_with = "time")]
    pub created: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub expires: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub revoked: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub invalid: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    #[serde(default, deserialize_with = "or_default")]
    pub scopes: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    capabilities: Capabilities,
}

#[derive(Debug, Default, Deserialize)]
struct Capabilities {
    #[serde(default, deserialize_with = "or_default")]
    devices: DeviceCapabilities,
}

#[derive(Debug, Default, Deserialize)]
struct DeviceCapabilities {
    #[serde(default, deserialize_with = "or_default")]
    create: Creation,
}

#[derive(Debug, Default, Deserialize)]
struct Creation {
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
}

impl Key {
    /// Whether a device could join with it; an unset kind is that of the first keys there were.
    pub fn joins_devices(&self) -> bool {
        matches!(self.key_type.as_str(), "auth" | "")
    }

    /// The tags of whatever joins with it.
    pub fn device_tags(&mut self) -> Vec<String> {
        let given = std::mem::take(&mut self.capabilities.devices.create.tags);
        if given.is_empty() { std::mem::take(&mut self.tags) } else { given }
    }

    /// As a session sees it.
    pub fn into_record(mut self) -> KeyRecord {
        KeyRecord {
            tags: self.device_tags(),
            id: self.id,
            description: self.description,
            created: self.created,
            expires: self.expires,
            invalid: self.invalid || self.revoked.is_some(),
        }
    }
}

/// `GET /tailnet/{t}/keys`.
#[derive(Debug, Deserialize)]
pub struct Keys {
    #[serde(deserialize_with = "or_default")]
    pub keys: Vec<Key>,
}

/// `GET /tailnet/{t}/devices`.
#[derive(Debug, Deserialize)]
pub struct Devices {
    #[serde(deserialize_with = "or_default")]
    pub devices: Vec<DeviceWire>,
}

/// A device, with `fields=all`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceWire {
    #[serde(default, deserialize_with = "or_default")]
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    node_id: String,
    #[serde(default, deserialize_with = "or_default")]
    hostname: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "addresses")]
    addresses: Vec<IpAddr>,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    is_ephemeral: bool,
    #[serde(default, deserialize_with = "or_default")]
    is_external: bool,
    #[serde(default, deserialize_with = "or_default")]
    authorized: bool,
    #[serde(default)]
    connected_to_control: Option<bool>,
    #[serde(default, deserialize_with = "time")]
    last_seen: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "routes")]
    advertised_routes: Vec<Prefix>,
    #[serde(default, deserialize_with = "routes")]
    enabled_routes: Vec<Prefix>,
    #[serde(default, deserialize_with = "or_default")]
    tailnet_lock_error: String,
}

impl DeviceWire {
    /// As a session sees it.
    pub fn into_device(self) -> Device {
        // Headscale tells no connection, and when it saw the device last only while that is off.
        let online = self.connected_to_control.unwrap_or(self.last_seen.is_none());
        let lock = text::shown(&self.tailnet_lock_error);
        Device {
            id: if self.node_id.is_empty() { self.id } else { self.node_id },
            hostname: text::shown(&self.hostname),
            name: text::shown(&self.name),
            addresses: self.addresses,
            tags: self.tags,
            is_ephemeral: self.is_ephemeral,
            is_external: self.is_external,
            authorized: self.authorized,
            online,
            last_seen: self.last_seen,
            created: self.created,
            advertised: self.advertised_routes,
            enabled: self.enabled_routes,
            lock_error: (!lock.is_empty()).then_some(lock),
        }
    }
}

/// `GET|POST /device/{id}/routes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Routes {
    #[serde(default, deserialize_with = "routes")]
    pub enabled_routes: Vec<Prefix>,
}

/// `POST /device/{id}/routes`.
#[derive(Debug, Serialize)]
pub struct RoutesOrder<'a> {
    pub routes: &'a [Prefix],
}

/// `POST /device/{id}/authorized`.
#[derive(Debug, Serialize)]
pub struct Authorized {
    pub authorized: bool,
}

/// One test against the live policy.
#[derive(Debug, Serialize)]
pub struct PolicyTest<'a> {
    pub src: &'a str,
    pub proto: &'static str,
    pub accept: [String; 1],
}

/// `GET /tailnet/{t}/settings`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsWire {
    #[serde(default)]
    devices_approval_on: Option<bool>,
    #[serde(default)]
    acls_externally_managed_on: Option<bool>,
    #[serde(default)]
    acls_external_link: Option<String>,
}

impl SettingsWire {
    /// As a session sees them.
    pub fn into_settings(self) -> Settings {
        let link = self.acls_external_link.filter(|link| !link.is_empty());
        Settings {
            devices_approval_on: self.devices_approval_on,
            acls_externally_managed_on: self.acls_externally_managed_on,
            acls_external_link: link.map(|link| text::shown(&link)),
        }
    }
}

/// What the token endpoint answers.
#[derive(Debug, Deserialize)]
pub struct Minted {
    pub access_token: Secret,
    #[serde(default)]
    pub expires_in: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    pub scope: String,
    #[serde(default, deserialize_with = "or_default")]
    pub tags: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(json: &str) -> Device {
        serde_json::from_str::<DeviceWire>(json).unwrap().into_device()
    }

    #[test]
    fn a_device_is_online_by_the_rule_for_both_servers() {
        for (json, online) in [
            (r#"{"connectedToControl":true,"lastSeen":"2026-01-01T00:00:00Z"}"#, true),
            (r#"{"connectedToControl":false}"#, false),
            (r#"{"lastSeen":"2026-01-01T00:00:00Z"}"#, false),
            (r#"{"connectedToControl":null,"lastSeen":null}"#, true),
            ("{}", true),
        ] {
            assert_eq!(device(json).online, online, "{json}");
        }
    }

    #[test]
    fn what_is_missing_null_empty_or_new_loses_no_device() {
        let odd = device(
            r#"{"id":"12","nodeId":"n1CNTRL","created":"","expires":"0001-01-01T00:00:00Z",
                "tags":null,"hostname":"bg\u001b[2J","advertisedRoutes":["10.0.0.0/8","what?",
                "fd7a:115c:a1e0:b1a:0:7:a01:100/120"],"enabledRoutes":null,"addresses":["100.64.0.1"],
                "os":"plan10","clientConnectivity":{"latency":{"x":{"latencyMs":1}}},"authorized":null}"#,
        );
        assert_eq!((odd.id.as_str(), odd.created), ("n1CNTRL", None));
        assert_eq!(odd.hostname, "bg<1B>[2J");
        let routes: Vec<_> = odd.advertised.iter().map(ToString::to_string).collect();
        assert_eq!(routes, ["10.0.0.0/8", "fd7a:115c:a1e0:b1a:0:7:a01:100/120"]);
        assert!(odd.tags.is_empty() && odd.enabled.is_empty() && !odd.authorized);
        assert_eq!(device(r#"{"id":"12"}"#).id, "12", "the old id where there is no other");
    }

    #[test]
    fn tailnet_lock_is_told_where_it_keeps_a_device_out() {
        let kept_out = device(r#"{"tailnetLockError":"node key is not signed"}"#);
        assert_eq!(kept_out.lock_error.as_deref(), Some("node key is not signed"));
        assert_eq!(device(r#"{"tailnetLockError":""}"#).lock_error, None);
    }

    #[test]
    fn a_key_of_a_new_kind_is_still_a_key() {
        let key: Key = serde_json::from_str(
            r#"{"id":"k1","keyType":"quantum","created":"","expires":"2026-01-01T00:00:00Z",
                "capabilities":null,"expirySeconds":null,"scopes":null,"invalid":true}"#,
        )
        .unwrap();
        assert!(!key.joins_devices() && key.into_record().invalid);
        let key: Key = serde_json::from_str(
            r#"{"id":"k2","capabilities":{"devices":{"create":{"tags":["tag:r"]}}},
                "revoked":"2026-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        let record = key.into_record();
        assert!(record.invalid, "revoked is over");
        assert_eq!(record.tags, ["tag:r"]);
    }
}

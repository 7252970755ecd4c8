//! What Headscale's v1 answers with: numbers of 64 bits are texts, and what is not set is null.

use breakglass::domain::time::Timestamp;
use serde_json::{Value, json};

use super::super::faulty_server::HttpAnswer;
use super::super::mishap::wire_time;
use super::Tailnet;
use super::devices::Device;
use super::headscale::{ApiKey, Headscale, HeadscaleVersion};
use super::keys::Key;

impl Tailnet {
    /// A node.
    pub fn node(&self, own: &Headscale, device: &Device) -> Value {
        let serves = |route: &&String| device.online && device.advertised.contains(route);
        let served: Vec<_> = device.enabled.iter().filter(serves).collect();
        let joined = |key: &&Key| Some(&key.id) == device.joined_with.as_ref();
        let key = self.keys.iter().find(joined).map(|key| own.key(key));
        let user = match (device.tags.is_empty(), own.is_old()) {
            (false, false) => user_said("2147455555", "tagged-devices", self.now),
            _ => user_said("1", "breakglass", self.now),
        };
        let mut said = json!({
            "id": device.node_id,
            "machineKey": format!("mkey:{:0>64}", device.node_id),
            "nodeKey": format!("nodekey:{:0>64}", device.node_id),
            "discoKey": format!("discokey:{:0>64}", device.node_id),
            "ipAddresses": device.addresses(),
            "name": device.hostname,
            "user": user,
            "lastSeen": wire_time(device.last_seen.unwrap_or(self.now)),
            "expiry": null,
            "preAuthKey": key,
            "createdAt": wire_time(device.created),
            "registerMethod": "REGISTER_METHOD_AUTH_KEY",
            "givenName": device.name.split('.').next(),
            "online": device.online,
            "approvedRoutes": device.enabled,
            "availableRoutes": device.advertised,
            "subnetRoutes": served,
        });
        if own.is_old() {
            said["forcedTags"] = json!(device.tags);
            said["validTags"] = json!(device.tags);
            said["invalidTags"] = json!([]);
        } else {
            said["tags"] = json!(device.tags);
        }
        said
    }
}

impl Headscale {
    pub fn list_users(&self, name: &str) -> HttpAnswer {
        let fits = |user: &&(String, String)| name.is_empty() || user.1 == name;
        let said = |(id, name): &(String, String)| user_said(id, name, Timestamp::default());
        let users: Vec<_> = self.users.iter().filter(fits).map(said).collect();
        HttpAnswer::json(200, &json!({ "users": users }))
    }

    pub fn list_api_keys(&self) -> HttpAnswer {
        let said = |key: &ApiKey| {
            json!({
                "id": key.id,
                "prefix": key.listed_as,
                "expiration": wire_time(key.expires),
                "createdAt": wire_time(key.created),
                "lastSeen": null,
            })
        };
        HttpAnswer::json(
            200,
            &json!({ "apiKeys": self.api_keys.iter().map(said).collect::<Vec<_>>() }),
        )
    }

    /// A key as it is listed: since 0.28 its text is never told again.
    pub fn key(&self, key: &Key) -> Value {
        let text =
            if self.is_old() { key.secret.clone() } else { format!("{}-***", &key.secret[..23]) };
        let user = self.user(&json!(key.user));
        json!({
            "user": user.map(|(id, name)| user_said(&id, &name, key.created)),
            "id": key.id,
            "key": text,
            "reusable": key.reusable,
            "ephemeral": key.ephemeral,
            "used": key.used,
            "expiration": key.expires.map(wire_time),
            "createdAt": wire_time(key.created),
            "aclTags": key.tags,
        })
    }
}

fn user_said(id: &str, name: &str, created: Timestamp) -> Value {
    json!({
        "id": id,
        "name": name,
        "createdAt": wire_time(created),
        "displayName": "",
        "email": "",
        "providerId": "",
        "provider": "",
        "profilePicUrl": "",
    })
}

/// What `/version` says.
pub fn version(version: HeadscaleVersion) -> HttpAnswer {
    let number = match version {
        HeadscaleVersion::V26 => "v0.26.1",
        HeadscaleVersion::V27 => "v0.27.1",
        HeadscaleVersion::V28 => "v0.28.0",
        HeadscaleVersion::V29 => "v0.29.2",
    };
    let go = json!({ "version": "go1.26", "os": "linux", "arch": "amd64" });
    let said =
        json!({ "version": number, "commit": "", "buildTime": "", "go": go, "dirty": false });
    HttpAnswer::json(200, &said)
}

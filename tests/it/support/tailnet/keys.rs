//! Keys: those with which devices join, and those with which people and programs call.

use breakglass::domain::time::{Span, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::faulty_server::{HttpAnswer, HttpCall};
use super::super::mishap::wire_time;
use super::Tailnet;
use super::credentials::Caller;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Auth,
    Api,
    Client,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Api => "api",
            Self::Client => "client",
        }
    }

    fn scope(self) -> &'static str {
        match self {
            Self::Auth => "auth_keys",
            Self::Api => "api_access_tokens",
            Self::Client => "oauth_keys",
        }
    }
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub kind: Kind,
    pub user: Option<String>,
    pub description: String,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    /// As its record says.
    pub scopes: Vec<String>,
    /// As it is.
    pub allowed: Vec<String>,
    pub tags: Vec<String>,
    pub reusable: bool,
    pub ephemeral: bool,
    pub preauthorized: bool,
    /// A device has joined with it.
    pub used: bool,
    pub listed_at: Timestamp,
}

impl Key {
    pub fn joins_devices(&self) -> bool {
        self.kind == Kind::Auth
    }

    /// True once it is of no use: taken back, over, or spent.
    pub fn is_invalid(&self, now: Timestamp) -> bool {
        let is_over = self.expires.is_some_and(|end| end <= now);
        is_over || self.revoked.is_some() || (self.used && !self.reusable)
    }

    fn record(&self, now: Timestamp) -> Map<String, Value> {
        let mut said = json!({
            "id": self.id,
            "keyType": self.kind.name(),
            "created": wire_time(self.created),
            "description": self.description,
        });
        if let Some(end) = self.expires {
            said["expires"] = json!(wire_time(end));
            said["expirySeconds"] = json!(end.since(self.created).as_seconds());
        }
        if let Some(at) = self.revoked {
            said["revoked"] = json!(wire_time(at));
        }
        if self.is_invalid(now) {
            said["invalid"] = json!(true);
        }
        if let Some(user) = &self.user {
            said["userId"] = json!(user);
        }
        if self.joins_devices() {
            said["capabilities"] = json!({ "devices": { "create": {
                "reusable": self.reusable,
                "ephemeral": self.ephemeral,
                "preauthorized": self.preauthorized,
                "tags": self.tags,
            }}});
        } else {
            said["scopes"] = json!(self.scopes);
        }
        if self.kind == Kind::Client {
            said["tags"] = json!(self.tags);
        }
        said.as_object().cloned().unwrap_or_default()
    }
}

impl Tailnet {
    /// What is known of a key with which a device joins, for a test to look at.
    pub fn auth_key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id && key.joins_devices())
    }

    /// A key that somebody else made in the console. Gives back its text.
    pub fn somebodys_key(&mut self, user: &str, description: &str, tags: &[&str]) -> String {
        let mut key = self.new_key(Kind::Auth, Some(Span::from_hours(24)));
        key.user = Some(user.to_owned());
        key.description = description.to_owned();
        key.tags = super::credentials::owned(tags);
        self.keys.push(key.clone());
        key.secret
    }

    pub fn new_key(&mut self, kind: Kind, life: Option<Span>) -> Key {
        let number = self.serial();
        let id = format!("k{number:06}CNTRL");
        Key {
            secret: format!("tskey-{}-{id}-{}", kind.name(), secret_of(number)),
            id,
            kind,
            user: None,
            description: String::new(),
            created: self.now,
            expires: life.map(|life| self.now + life),
            revoked: None,
            scopes: vec![],
            allowed: vec![],
            tags: vec![],
            reusable: false,
            ephemeral: false,
            preauthorized: false,
            used: false,
            listed_at: self.next.1,
        }
    }

    pub fn create_key(
        &mut self,
        call: &HttpCall,
        caller: &Caller,
    ) -> Result<HttpAnswer, HttpAnswer> {
        caller.needs("auth_keys")?;
        let bad = |why: &str| HttpAnswer::problem(400, why);
        let order: Value =
            serde_json::from_str(&call.body).map_err(|_| bad("invalid request body"))?;
        if !["", "auth"].contains(&order["keyType"].as_str().unwrap_or_default()) {
            return Err(bad("this kind of key is not made here"));
        }
        let description = order["description"].as_str().unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ' ');
        if description.chars().count() > 50 || !description.chars().all(fits) {
            return Err(bad("description must be at most 50 letters, digits, hyphens and spaces"));
        }
        if !order["capabilities"]["devices"].is_object() {
            return Err(bad("capabilities.devices is required"));
        }
        let seconds = order["expirySeconds"].as_i64().unwrap_or(MOST_SECONDS);
        let seconds =
            u64::try_from(seconds).ok().filter(|life| (1..=MOST_SECONDS as u64).contains(life));
        let seconds = seconds.ok_or_else(|| bad("expirySeconds is out of range"))?;
        let create = &order["capabilities"]["devices"]["create"];
        let tags: Vec<String> = serde_json::from_value(create["tags"].clone()).unwrap_or_default();
        self.judge_tags(&tags, caller)?;
        let mut key = self.new_key(Kind::Auth, Some(Span::from_seconds(seconds)));
        let is_on = |name: &str| create[name].as_bool().unwrap_or(false);
        (key.reusable, key.ephemeral) = (is_on("reusable"), is_on("ephemeral"));
        key.preauthorized = is_on("preauthorized");
        (key.user, key.tags) = (caller.user.clone(), tags);
        key.description = description.to_owned();
        let mut said = key.record(self.now);
        said.insert("key".to_owned(), json!(key.secret));
        self.keys.push(key);
        Ok(HttpAnswer::json(200, &Value::Object(said)))
    }

    /// A person may give every tag there is; a client its own set as a whole, or what its tags own.
    fn judge_tags(&self, tags: &[String], caller: &Caller) -> Result<(), HttpAnswer> {
        let mut asked = tags.to_vec();
        let mut has = caller.tags.clone();
        asked.sort();
        has.sort();
        let exist = asked.iter().all(|tag| self.policy.owners_of(tag).is_some());
        let owned = |tag: &String| {
            let owners = self.policy.owners_of(tag).unwrap_or_default();
            owners.iter().any(|owner| has.contains(owner))
        };
        let permitted = match caller.user {
            Some(_) => true,
            None => !asked.is_empty() && (asked == has || asked.iter().all(owned)),
        };
        if exist && permitted {
            return Ok(());
        }
        let tags = tags.join(" ");
        Err(HttpAnswer::problem(
            400,
            &format!("requested tags [{tags}] are invalid or not permitted"),
        ))
    }

    pub fn list_keys(&self, call: &HttpCall, caller: &Caller) -> Result<HttpAnswer, HttpAnswer> {
        let kinds = [Kind::Auth, Kind::Api, Kind::Client];
        let some = |kind: &Kind| caller.may(&format!("{}:read", kind.scope()));
        let wants_all = call.query.split('&').any(|pair| pair == "all=true");
        if wants_all || !kinds.iter().any(some) {
            caller.needs("all:read")?;
        }
        let seen = |key: &&Key| match (&caller.user, wants_all) {
            (_, true) => true,
            (Some(user), false) => key.user.as_ref() == Some(user),
            (None, false) => key.kind == Kind::Client,
        };
        let alive = |key: &&Key| !key.is_invalid(self.now) && key.listed_at <= self.now;
        let keys = self.keys.iter().filter(seen).filter(alive).map(|key| {
            if self.switches.lists_ids_only {
                json!({ "id": key.id })
            } else {
                Value::Object(key.record(self.now))
            }
        });
        Ok(HttpAnswer::json(200, &json!({ "keys": keys.collect::<Vec<_>>() })))
    }

    pub fn read_key(&self, id: &str, caller: &Caller) -> Result<HttpAnswer, HttpAnswer> {
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| HttpAnswer::problem(404, "key not found"))?;
        if key.id != caller.key {
            caller.needs(&format!("{}:read", key.kind.scope()))?;
        }
        Ok(HttpAnswer::json(200, &Value::Object(key.record(self.now))))
    }

    /// A key that was taken back is not found a second time; one that is spent or over is.
    pub fn delete_key(&mut self, id: &str, caller: &Caller) -> Result<HttpAnswer, HttpAnswer> {
        let now = self.now;
        let key = self.keys.iter_mut().find(|key| key.id == id && key.revoked.is_none());
        let key = key.ok_or_else(|| HttpAnswer::problem(404, "key not found"))?;
        caller.needs(key.kind.scope())?;
        key.revoked = Some(now);
        Ok(HttpAnswer { status: 200, ..HttpAnswer::default() })
    }
}

/// What makes a key secret; always the same for the same number.
pub fn secret_of(number: u64) -> String {
    hex(&Sha256::digest(format!("secret {number}")))[..32].to_owned()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 90 days.
const MOST_SECONDS: i64 = 90 * 24 * 3_600;

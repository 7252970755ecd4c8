//! Who calls, and what they may.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use breakglass::domain::time::{Span, Timestamp};
use serde_json::json;

use super::super::faulty_server::{HttpAnswer, HttpCall};
use super::Tailnet;
use super::keys::{Key, Kind};

/// A token of an hour, minted with an OAuth client.
#[derive(Clone, Debug)]
pub struct Minted {
    token: String,
    client: String,
    scopes: Vec<String>,
    tags: Vec<String>,
    until: Timestamp,
}

/// Who calls.
pub struct Caller {
    /// The key in use; of a minted token, its client.
    pub key: String,
    /// Nobody where the key belongs to the tailnet.
    pub user: Option<String>,
    pub tags: Vec<String>,
    scopes: Vec<String>,
}

impl Caller {
    /// True where a scope, its wider twin or `all` is there.
    pub fn may(&self, scope: &str) -> bool {
        let wide = scope.strip_suffix(":read").unwrap_or(scope);
        let all_to_read = scope.ends_with(":read") && self.has("all:read");
        self.has("all") || self.has(scope) || self.has(wide) || all_to_read
    }

    /// Refuses whoever may not.
    pub fn needs(&self, scope: &str) -> Result<(), HttpAnswer> {
        if self.may(scope) {
            return Ok(());
        }
        let why = "calling actor does not have enough permissions to perform this function";
        Err(HttpAnswer::problem(403, why))
    }

    fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|has| has == scope)
    }
}

impl Tailnet {
    /// An API token of a person who may do everything, for 90 days. Gives back its text.
    pub fn api_token(&mut self, user: &str) -> String {
        self.limited_token(user, &["all"])
    }

    /// An API token of a person whose role allows only these scopes; its record says `all`.
    pub fn limited_token(&mut self, user: &str, allowed: &[&str]) -> String {
        let mut key = self.new_key(Kind::Api, Some(Span::from_hours(90 * 24)));
        key.user = Some(user.to_owned());
        key.scopes = vec!["all".to_owned()];
        key.allowed = owned(allowed);
        self.add(key)
    }

    /// An OAuth client. Gives back its secret.
    pub fn oauth_client(&mut self, scopes: &[&str], tags: &[&str]) -> String {
        let mut key = self.new_key(Kind::Client, None);
        key.scopes = owned(scopes);
        key.allowed = owned(scopes);
        key.tags = owned(tags);
        self.add(key)
    }

    /// Takes a credential or a key back, as somebody else might in the console.
    pub fn revoke(&mut self, secret: &str) {
        let now = self.now;
        for key in self.keys.iter_mut().filter(|key| key.secret == secret) {
            key.revoked = Some(now);
        }
    }

    /// Ends every minted token.
    pub fn end_minted(&mut self) {
        self.minted.clear();
    }

    fn add(&mut self, key: Key) -> String {
        let secret = key.secret.clone();
        self.keys.push(key);
        secret
    }

    /// Recognises the caller.
    pub fn caller(&self, call: &HttpCall) -> Result<Caller, HttpAnswer> {
        let invalid = || HttpAnswer::problem(401, "API token invalid");
        let token = token_of(call).ok_or_else(invalid)?;
        let of_key = |key: &Key| Caller {
            key: key.id.clone(),
            user: key.user.clone(),
            tags: vec![],
            scopes: key.allowed.clone(),
        };
        let is_it =
            |key: &&Key| key.secret == token && key.kind == Kind::Api && !key.is_invalid(self.now);
        if let Some(key) = self.keys.iter().find(is_it) {
            return Ok(of_key(key));
        }
        // What is landing was let in before.
        let good = |minted: &&Minted| {
            minted.token == token && (self.is_landing || self.now < minted.until)
        };
        let minted = self.minted.iter().find(good).ok_or_else(invalid)?;
        let client = self.keys.iter().find(|key| key.id == minted.client).ok_or_else(invalid)?;
        if client.is_invalid(self.now) {
            return Err(invalid());
        }
        let (tags, scopes) = (minted.tags.clone(), minted.scopes.clone());
        Ok(Caller { key: client.id.clone(), user: None, tags, scopes })
    }

    /// Mints a token.
    pub fn mint(&mut self, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(call.body.as_bytes()).into_owned().collect();
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        if !["", "client_credentials"].contains(&field("grant_type").as_str()) {
            return Err(HttpAnswer::problem(400, "unsupported grant type"));
        }
        let secret = field("client_secret");
        let is_it = |key: &&Key| {
            key.secret == secret && key.kind == Kind::Client && !key.is_invalid(self.now)
        };
        let client = self.keys.iter().find(is_it).cloned();
        let client = client.ok_or_else(|| HttpAnswer::problem(401, "API token invalid"))?;
        let narrowed = |asked: String, has: &[String]| {
            let asked: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
            match () {
                () if asked.is_empty() => Some(has.to_vec()),
                () if asked.iter().all(|one| has.contains(one)) => Some(asked),
                () => None,
            }
        };
        let refused =
            |what: &str| HttpAnswer::problem(400, &format!("{what} not granted to client"));
        let scopes = narrowed(field("scope"), &client.scopes).ok_or_else(|| refused("scope"))?;
        let tags = narrowed(field("tags"), &client.tags).ok_or_else(|| refused("tags"))?;
        let number = self.serial();
        let token = format!("tskey-api-k{number:06}CNTRL-{}", super::keys::secret_of(number));
        let mut said = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 3_600,
            "scope": scopes.join(" "),
        });
        if self.switches.tells_tags {
            said["tags"] = json!(tags.join(" "));
        }
        let until = self.now + Span::from_hours(1);
        self.minted.push(Minted { token, client: client.id, scopes, tags, until });
        Ok(HttpAnswer::json(200, &said))
    }
}

/// The token of a call: a bearer's, or the user name of `Basic` with no password.
pub fn token_of(call: &HttpCall) -> Option<String> {
    let header = call.headers.get("authorization")?;
    if let Some(token) = header.strip_prefix("Bearer ") {
        return Some(token.to_owned());
    }
    let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    Some(String::from_utf8(pair).ok()?.strip_suffix(':')?.to_owned())
}

pub fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

//! Headscale's v1 over the same memory: 0.28 and 0.29, and as it was in 0.26 and 0.27.

use breakglass::domain::time::{Span, Timestamp};
use serde_json::{Value, json};

use super::super::faulty_server::{HttpAnswer, HttpCall};
use super::super::mishap::wire_time;
use super::headscale_shapes::version;
use super::keys::{Key, Kind, secret_of};
use super::rules::prefix;
use super::{Tailnet, hujson};

/// Which one is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeadscaleVersion {
    V26,
    V27,
    V28,
    V29,
}

/// What Headscale alone has.
#[derive(Clone)]
pub struct Headscale {
    pub version: HeadscaleVersion,
    pub users: Vec<(String, String)>,
    pub api_keys: Vec<ApiKey>,
    /// The policy is kept in the database, and can be written.
    writes_policy: bool,
}

/// A key with which a program calls.
#[derive(Clone)]
pub struct ApiKey {
    pub id: String,
    pub secret: String,
    pub listed_as: String,
    pub created: Timestamp,
    pub expires: Timestamp,
}

impl Headscale {
    pub fn new(version: HeadscaleVersion) -> Self {
        let users = vec![("1".to_owned(), "breakglass".to_owned())];
        Self { version, users, api_keys: vec![], writes_policy: true }
    }

    /// Keys are known by their user and their text.
    pub fn is_old(&self) -> bool {
        self.version < HeadscaleVersion::V28
    }
}

/// What a test sets.
impl Tailnet {
    /// An API key of Headscale, for 90 days. Gives back its text.
    pub fn headscale_key(&mut self) -> String {
        let number = self.serial();
        let text = secret_of(number);
        let is_old = self.own().is_old();
        let (secret, listed_as) = if is_old {
            (format!("{}.{text}", &text[..7]), text[..7].to_owned())
        } else {
            (format!("hskey-api-{}-{text}", &text[..12]), format!("hskey-api-{}-***", &text[..12]))
        };
        let (created, expires) = (self.now, self.now + Span::from_hours(90 * 24));
        let id = number.to_string();
        self.own().api_keys.push(ApiKey {
            id,
            secret: secret.clone(),
            listed_as,
            created,
            expires,
        });
        secret
    }

    /// One user more. Gives back the id.
    pub fn headscale_user(&mut self, name: &str) -> String {
        let id = (self.own().users.len() + 1).to_string();
        self.own().users.push((id.clone(), name.to_owned()));
        id
    }

    /// The policy is read from a file, and cannot be written.
    pub fn policy_from_file(&mut self) {
        self.own().writes_policy = false;
    }

    fn own(&mut self) -> &mut Headscale {
        self.headscale.as_mut().expect("a Headscale")
    }
}

impl Tailnet {
    pub fn serve_headscale(&mut self, call: &HttpCall) -> HttpAnswer {
        let Some(own) = self.headscale.clone() else { return HttpAnswer::default() };
        let path: Vec<_> = call.path.split('/').filter(|part| !part.is_empty()).collect();
        match path.as_slice() {
            ["version"] if own.version > HeadscaleVersion::V26 => version(own.version),
            ["api", "v1", path @ ..] if own.knows(call, self.now) => {
                self.route_v1(path, call, &own).unwrap_or_else(|refusal| refusal)
            }
            ["api", "v1", ..] => HttpAnswer::plain(401, "Unauthorized"),
            _ => HttpAnswer::plain(404, "404 page not found"),
        }
    }

    fn route_v1(
        &mut self,
        path: &[&str],
        call: &HttpCall,
        own: &Headscale,
    ) -> Result<HttpAnswer, HttpAnswer> {
        let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
        let asked = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name);
            found.map(|(_, is)| is.as_str()).unwrap_or_default()
        };
        if own.ignores(call, &body) {
            let name = format!("{} {}", call.method, call.path);
            self.violations
                .push(format!("{name}: this version ignores what names the key or user"));
        }
        match (call.method.as_str(), path) {
            ("GET", ["apikey"]) => Ok(own.list_api_keys()),
            ("GET", ["user"]) => Ok(own.list_users(asked("name"))),
            ("GET", ["preauthkey"]) => self.list_v1_keys(own, asked("user")),
            ("POST", ["preauthkey"]) => self.create_v1_key(own, &body),
            ("POST", ["preauthkey", "expire"]) => self.expire_v1_key(own, &body),
            ("DELETE", ["preauthkey"]) if !own.is_old() => {
                self.keys.retain(|key| key.id != asked("id"));
                Ok(HttpAnswer::json(200, &json!({})))
            }
            ("GET", ["node"]) => {
                let listed = self.devices.iter().filter(|device| device.listed_at <= self.now);
                let nodes: Vec<_> = listed.map(|device| self.node(own, device)).collect();
                Ok(HttpAnswer::json(200, &json!({ "nodes": nodes })))
            }
            ("GET", ["node", id]) => {
                let at = self.place_of_node(own, id)?;
                let node = self.node(own, &self.devices[at]);
                Ok(HttpAnswer::json(200, &json!({ "node": node })))
            }
            ("DELETE", ["node", id]) => {
                let at = self.place_of_node(own, id)?;
                self.devices.remove(at);
                Ok(HttpAnswer::json(200, &json!({})))
            }
            ("POST", ["node", id, "approve_routes"]) => self.approve_routes(own, id, &body),
            ("GET", ["policy"]) => self.read_v1_policy(),
            ("PUT", ["policy"]) => self.put_v1_policy(own, &body),
            ("POST", ["policy", "check"]) if own.version >= HeadscaleVersion::V29 => {
                let text = body["policy"].as_str().unwrap_or_default();
                hujson::parsed(text).map_err(|why| HttpAnswer::of_grpc(400, 3, &why))?;
                Ok(HttpAnswer::json(200, &json!({})))
            }
            (_, ["preauthkey" | "policy" | "user" | "apikey"]) => {
                Err(HttpAnswer::of_grpc(501, 12, "Method Not Allowed"))
            }
            _ => Err(HttpAnswer::of_grpc(404, 5, "Not Found")),
        }
    }

    fn create_v1_key(&mut self, own: &Headscale, body: &Value) -> Result<HttpAnswer, HttpAnswer> {
        let tags: Vec<String> = serde_json::from_value(body["aclTags"].clone()).unwrap_or_default();
        if tags.iter().any(|tag| !tag.starts_with("tag:")) {
            return Err(HttpAnswer::of_grpc(400, 3, "tag must start with the string 'tag:'"));
        }
        let user = own.user(&body["user"]);
        let wants_user = own.is_old() || !number(&body["user"]).is_empty();
        if wants_user && user.is_none() {
            return Err(HttpAnswer::of_grpc(500, 2, "user not found"));
        }
        if user.is_none() && tags.is_empty() {
            return Err(HttpAnswer::of_grpc(
                500,
                2,
                "auth-key must be either tagged or owned by user",
            ));
        }
        let expires =
            body["expiration"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let mut key = self.new_key(Kind::Auth, None);
        let text = secret_of(self.serial);
        key.id = self.serial.to_string();
        key.secret = match own.is_old() {
            true => format!("{text}{}", &text[..16]),
            false => format!("hskey-auth-{}-{text}", &text[..12]),
        };
        key.expires = expires.map(|at| Timestamp::from_millis(at.as_millisecond()));
        (key.user, key.tags) = (user.map(|(id, _)| id), tags);
        key.reusable = body["reusable"] == true;
        key.ephemeral = body["ephemeral"] == true;
        key.preauthorized = true;
        let mut said = own.key(&key);
        said["key"] = json!(key.secret);
        self.keys.push(key);
        Ok(HttpAnswer::json(200, &json!({ "preAuthKey": said })))
    }

    fn list_v1_keys(&self, own: &Headscale, user: &str) -> Result<HttpAnswer, HttpAnswer> {
        if own.is_old() && own.user(&json!(user)).is_none() {
            return Err(HttpAnswer::of_grpc(500, 2, "user not found"));
        }
        let seen = |key: &&Key| {
            let is_theirs = !own.is_old() || key.user.as_deref() == Some(user);
            key.joins_devices() && is_theirs && key.listed_at <= self.now
        };
        let keys: Vec<_> = self.keys.iter().filter(seen).map(|key| own.key(key)).collect();
        Ok(HttpAnswer::json(200, &json!({ "preAuthKeys": keys })))
    }

    /// By its id it is well ended even where there is none; by its text it must be that user's.
    fn expire_v1_key(&mut self, own: &Headscale, body: &Value) -> Result<HttpAnswer, HttpAnswer> {
        let (now, id, user) = (self.now, number(&body["id"]), own.user(&body["user"]));
        let is_it = |key: &&mut Key| match own.is_old() {
            true => json!(key.secret) == body["key"],
            false => key.id == id,
        };
        let found = self.keys.iter_mut().find(is_it);
        if own.is_old() {
            let key =
                found.as_ref().ok_or_else(|| HttpAnswer::of_grpc(500, 2, "AuthKey not found"))?;
            if key.user != user.map(|(id, _)| id) {
                return Err(HttpAnswer::of_grpc(500, 2, "preauth key does not belong to user"));
            }
        }
        if let Some(key) = found {
            key.expires = Some(now);
        }
        Ok(HttpAnswer::json(200, &json!({})))
    }

    fn approve_routes(
        &mut self,
        own: &Headscale,
        id: &str,
        body: &Value,
    ) -> Result<HttpAnswer, HttpAnswer> {
        let mut routes: Vec<String> =
            serde_json::from_value(body["routes"].clone()).unwrap_or_default();
        if routes.iter().any(|route| prefix(route).is_none()) {
            return Err(HttpAnswer::of_grpc(500, 2, "parsing route"));
        }
        let missing = |_| HttpAnswer::of_grpc(400, 3, &format!("node not found: {id}"));
        let at = self.place_of_node(own, id).map_err(missing)?;
        routes.sort();
        routes.dedup();
        self.devices[at].enabled = routes;
        let node = self.node(own, &self.devices[at]);
        Ok(HttpAnswer::json(200, &json!({ "node": node })))
    }

    fn read_v1_policy(&self) -> Result<HttpAnswer, HttpAnswer> {
        if self.policy.text.is_empty() {
            return Err(HttpAnswer::of_grpc(
                500,
                2,
                "loading ACL from database: acl policy not found",
            ));
        }
        let said = json!({ "policy": self.policy.text, "updatedAt": wire_time(self.now) });
        Ok(HttpAnswer::json(200, &said))
    }

    fn put_v1_policy(&mut self, own: &Headscale, body: &Value) -> Result<HttpAnswer, HttpAnswer> {
        if !own.writes_policy {
            return Err(HttpAnswer::of_grpc(
                500,
                2,
                "update is disabled for modes other than 'database'",
            ));
        }
        let text = body["policy"].as_str().unwrap_or_default();
        hujson::parsed(text)
            .map_err(|why| HttpAnswer::of_grpc(500, 2, &format!("setting policy: {why}")))?;
        self.write_policy(text);
        self.read_v1_policy()
    }

    fn place_of_node(&self, own: &Headscale, id: &str) -> Result<usize, HttpAnswer> {
        let found = self.devices.iter().position(|device| device.node_id == id);
        found.ok_or_else(|| match own.version {
            HeadscaleVersion::V26 => HttpAnswer::of_grpc(500, 2, "record not found"),
            _ => HttpAnswer::of_grpc(404, 5, "node not found"),
        })
    }
}

impl Headscale {
    /// True where the bearer has an API key that is not over.
    fn knows(&self, call: &HttpCall, now: Timestamp) -> bool {
        let token = call.headers.get("authorization").and_then(|told| told.strip_prefix("Bearer "));
        self.api_keys.iter().any(|key| Some(key.secret.as_str()) == token && now < key.expires)
    }

    /// True where a call names a key or a user as another version has it.
    fn ignores(&self, call: &HttpCall, body: &Value) -> bool {
        match (call.method.as_str(), call.path.rsplit('/').next()) {
            ("GET", Some("preauthkey")) => !self.is_old() && call.query.contains("user="),
            ("POST", Some("expire")) if self.is_old() => !body["id"].is_null(),
            ("POST", Some("expire")) => body["id"].is_null(),
            _ => false,
        }
    }

    pub fn user(&self, id: &Value) -> Option<(String, String)> {
        let id = number(id);
        self.users.iter().find(|(own, _)| *own == id).cloned()
    }
}

/// A number of 64 bits, which may come as a text.
fn number(value: &Value) -> String {
    match value {
        Value::String(text) if text != "0" => text.clone(),
        Value::Number(number) if number.as_u64() != Some(0) => number.to_string(),
        _ => String::new(),
    }
}

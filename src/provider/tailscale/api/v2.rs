//! API v2, as Tailscale and Headscale from 0.30 on speak it.

use std::net::IpAddr;

use async_trait::async_trait;

use super::asking::{Asker, Repeat};
use super::model::{
    CreatedKey, Credential, CredentialKind, Device, KeyRecord, NewKey, PolicyText, Settings,
    Verdict,
};
use super::policy_text::{bare, is_own, own_tag, quoted, without_comments};
use super::said::{Complaint, Deed, Finding};
use super::trouble::{Change, Trouble};
use super::{Control, model, wire};
use crate::domain::site::Prefix;
use crate::domain::text;
use crate::domain::time::Span;
use crate::http::{Answer, Request};
use crate::provider::change::Doubtful as _;

/// A tailnet.
pub struct V2 {
    asker: Asker,
    tailnet: String,
}

impl V2 {
    /// The tailnet of that name; `-` is that of the key in use.
    pub fn new(asker: Asker, tailnet: impl Into<String>) -> Self {
        Self { asker, tailnet: tailnet.into() }
    }

    fn in_tailnet(&self, path: &[&str], query: &[(&str, &str)]) -> String {
        let whole = [&["api", "v2", "tailnet", &self.tailnet], path].concat();
        self.asker.url(&whole, query)
    }

    /// The address of a device or of something of it.
    fn of_device(&self, id: &str, path: &[&str], deed: Deed) -> Result<String, Trouble> {
        let id = checked(&self.asker, id, deed)?;
        Ok(self.asker.url(&[&["api", "v2", "device", id], path].concat(), &[]))
    }

    async fn list_keys(&self, all: bool) -> Result<Vec<wire::Key>, Trouble> {
        let query: &[_] = if all { &[("all", "true")] } else { &[] };
        let request = Request::get(self.in_tailnet(&["keys"], query));
        let answer = self.asker.ask(request, LIST_KEYS, Repeat::Safe).await?;
        Ok(self.asker.read::<wire::Keys>(&answer, LIST_KEYS)?.keys)
    }

    async fn find_key(&self, id: &str) -> Result<Option<wire::Key>, Trouble> {
        let id = checked(&self.asker, id, READ_KEY)?;
        let request = Request::get(self.in_tailnet(&["keys", id], &[]));
        let found = self.asker.find(request, READ_KEY).await?;
        found.map(|answer| self.asker.read(&answer, READ_KEY)).transpose()
    }

    /// Some servers list keys by their id alone: what is missing is asked for, key by key.
    async fn whole(&self, key: wire::Key) -> Result<Option<wire::Key>, Trouble> {
        if !key.description.is_empty() || !key.key_type.is_empty() {
            return Ok(Some(key));
        }
        self.find_key(&key.id).await
    }

    async fn post_json(
        &self,
        url: String,
        body: &impl serde::Serialize,
        deed: Deed,
    ) -> Result<Answer, Trouble> {
        let unsendable = |why: crate::http::HttpError| Trouble::Unreachable {
            why: why.to_string(),
            passing: false,
        };
        let request = Request::post(url).json(body).map_err(unsendable)?;
        self.asker.ask(request, deed, Repeat::Safe).await
    }

    fn policy_of(&self, answer: &Answer, deed: Deed) -> Result<PolicyText, Trouble> {
        let text = std::str::from_utf8(answer.body())
            .map_err(|_| self.asker.unclear(deed, "the policy file that came is no text"))?;
        if text.trim().is_empty() {
            return Err(self.asker.unclear(deed, "the policy file that came is empty"));
        }
        let etag = bare(answer.etag.as_deref());
        Ok(PolicyText {
            guarded: etag.is_some(),
            etag: etag.unwrap_or_else(|| own_tag(text)),
            text: text.to_owned(),
        })
    }

    /// Sends a policy file once.
    async fn write_policy(&self, text: &str, etag: &str) -> Result<PolicyText, Trouble> {
        let mut request =
            Request::post(self.in_tailnet(&["acl"], &[])).accept(HUJSON).text(HUJSON, text);
        if is_own(etag) {
            let there = self.policy().await.map_err(not_sent)?;
            if there.guarded {
                request = request.if_match(quoted(&there.etag));
            }
            if own_tag(&there.text) != etag {
                return Err(Trouble::Conflict);
            }
        } else {
            request = request.if_match(quoted(etag));
        }
        let answer = self.asker.ask(request, WRITE_POLICY, Repeat::Never).await?;
        if answer.body().trim_ascii().is_empty() {
            let there = self.policy().await;
            return there.map_err(|why| self.asker.unclear(WRITE_POLICY, why.to_string()));
        }
        self.policy_of(&answer, WRITE_POLICY)
    }

    async fn ask_verdict(&self, kind: &'static str, body: &str) -> Result<Verdict, Trouble> {
        let url = self.in_tailnet(&["acl", "validate"], &[]);
        let request = Request::post(url).text(kind, body);
        let answer = self.asker.ask(request, CHECK_POLICY, Repeat::Safe).await?;
        if answer.body().trim_ascii().is_empty() {
            return Ok(Verdict::default());
        }
        Ok(verdict(&self.asker.read(&answer, CHECK_POLICY)?))
    }
}

#[async_trait]
impl Control for V2 {
    async fn credential(&self) -> Result<Credential, Trouble> {
        let token = &self.asker.token;
        let known = match &token.id {
            Some(id) => self.find_key(id).await,
            // Headscale does not tell which key is in use: that it lists keys says that it is good.
            None => self.list_keys(false).await.map(|_| None),
        };
        let minted = token.minted().await;
        let record = match known {
            // An OAuth client that may not read its own record is described by its token.
            Err(Trouble::Ability { .. }) if minted.is_some() => None,
            known => known?,
        };
        let record = record.unwrap_or_default();
        let (scopes, tags) = minted.map_or((vec![], vec![]), |minted| (minted.scopes, minted.tags));
        Ok(Credential {
            kind: token.kind,
            id: token.id.clone(),
            scopes: if scopes.is_empty() { record.scopes } else { scopes },
            tags: if tags.is_empty() { record.tags } else { tags },
            expires: record.expires,
            invalid: record.invalid || record.revoked.is_some(),
            clock_ahead_millis: self.asker.clock_ahead_millis(),
        })
    }

    async fn create_key(&self, wanted: &NewKey) -> Change<CreatedKey> {
        let description = model::fitted(&wanted.description);
        let create = wire::CreateOrder {
            reusable: false,
            ephemeral: true,
            preauthorized: true,
            tags: &wanted.tags,
        };
        let order = wire::KeyOrder {
            key_type: "auth",
            description: &description,
            expiry_seconds: wanted.lifetime.as_seconds(),
            capabilities: wire::CapabilitiesOrder { devices: wire::DevicesOrder { create } },
        };
        let request = match Request::post(self.in_tailnet(&["keys"], &[])).json(&order) {
            Ok(request) => request,
            Err(why) => return Change::Refused(self.asker.refused(MAKE_KEY, why.to_string())),
        };
        let answered = self.asker.ask(request, MAKE_KEY, Repeat::Never).await;
        let made = answered.map_err(|why| explain_tags(why, wanted)).and_then(|answer| {
            let mut key: wire::Key = self.asker.read(&answer, MAKE_KEY)?;
            let secret = key.key.take().filter(|secret| !secret.is_empty());
            let whole = secret.filter(|_| !key.id.is_empty());
            let secret = whole.ok_or_else(|| {
                self.asker.unclear(MAKE_KEY, "a key was made, but it is not in the answer")
            })?;
            Ok(CreatedKey {
                tags: key.device_tags(),
                id: key.id,
                key: secret,
                expires: key.expires,
            })
        });
        Change::of(made)
    }

    async fn keys_described(&self, description: &str) -> Result<Vec<KeyRecord>, Trouble> {
        let kind = self.asker.token.kind;
        let is_client = kind == CredentialKind::OAuthClient;
        let listed = match self.list_keys(is_client).await {
            Err(Trouble::Ability { .. }) if is_client => {
                let why = "an OAuth client without the scope `all` sees clients only".to_owned();
                return Err(Trouble::CannotList { why });
            }
            listed => listed?,
        };
        // A server that ignores `all` lists clients alone, which says nothing of other keys.
        let sees_none = !listed.iter().any(wire::Key::joins_devices);
        if is_client && sees_none && self.credential().await?.allows("all:read") != Some(true) {
            let why = "an OAuth client without the scope `all` sees clients only".to_owned();
            return Err(Trouble::CannotList { why });
        }
        let description = model::fitted(description);
        let mut found = vec![];
        for key in listed.into_iter().filter(wire::Key::joins_devices) {
            let whole = self.whole(key).await?;
            let fits = |key: &wire::Key| key.joins_devices() && key.description == description;
            found.extend(whole.filter(fits).map(wire::Key::into_record));
        }
        Ok(found)
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>, Trouble> {
        Ok(self.find_key(id).await?.map(wire::Key::into_record))
    }

    async fn delete_key(&self, id: &str) -> Change<()> {
        let id = match checked(&self.asker, id, DELETE_KEY) {
            Ok(id) => id,
            Err(why) => return Change::Refused(why),
        };
        let request = Request::delete(self.in_tailnet(&["keys", id], &[]));
        match self.asker.find(request, DELETE_KEY).await {
            Ok(_) => Change::Made(()),
            Err(why @ (Trouble::Unclear { .. } | Trouble::Refused { .. })) => {
                match self.key(id).await {
                    Ok(found) if found.as_ref().is_none_or(|key| key.invalid) => Change::Made(()),
                    _ => Change::of(Err(why)),
                }
            }
            Err(why) => Change::of(Err(why)),
        }
    }

    async fn devices(&self) -> Result<Vec<Device>, Trouble> {
        let request = Request::get(self.in_tailnet(&["devices"], &[("fields", "all")]));
        let answer = self.asker.ask(request.within(LONG), LIST_DEVICES, Repeat::Safe).await?;
        let read: wire::Devices = self.asker.read(&answer, LIST_DEVICES)?;
        Ok(read.devices.into_iter().map(wire::DeviceWire::into_device).collect())
    }

    async fn device(&self, id: &str) -> Result<Option<Device>, Trouble> {
        let id = checked(&self.asker, id, READ_DEVICE)?;
        let url = self.asker.url(&["api", "v2", "device", id], &[("fields", "all")]);
        let Some(answer) = self.asker.find(Request::get(url), READ_DEVICE).await? else {
            return Ok(None);
        };
        let read: wire::DeviceWire = self.asker.read(&answer, READ_DEVICE)?;
        let device = read.into_device();
        if device.id.is_empty() {
            return Err(self.asker.unclear(READ_DEVICE, "what came is no device"));
        }
        Ok(Some(device))
    }

    async fn set_routes(&self, id: &str, routes: &[Prefix]) -> Change<Vec<Prefix>> {
        let url = match self.of_device(id, &["routes"], SET_ROUTES) {
            Ok(url) => url,
            Err(why) => return Change::Refused(why),
        };
        let answered = self.post_json(url, &wire::RoutesOrder { routes }, SET_ROUTES).await;
        Change::of(answered.and_then(|answer| {
            let read: wire::Routes = self.asker.read(&answer, SET_ROUTES)?;
            Ok(read.enabled_routes)
        }))
    }

    async fn authorize(&self, id: &str) -> Change<()> {
        let url = match self.of_device(id, &["authorized"], AUTHORIZE) {
            Ok(url) => url,
            Err(why) => return Change::Refused(why),
        };
        let answered = self.post_json(url, &wire::Authorized { authorized: true }, AUTHORIZE).await;
        Change::of(answered.map(|_| ()))
    }

    async fn delete_device(&self, id: &str) -> Change<()> {
        let url = match self.of_device(id, &[], DELETE_DEVICE) {
            Ok(url) => url,
            Err(why) => return Change::Refused(why),
        };
        match self.asker.find(Request::delete(url), DELETE_DEVICE).await {
            Ok(_) => Change::Made(()),
            Err(why) if why.leaves_doubt() => match self.device(id).await {
                Ok(None) => Change::Made(()),
                _ => Change::Unknown(why),
            },
            Err(why) => Change::Refused(why),
        }
    }

    async fn settings(&self) -> Result<Settings, Trouble> {
        let request = Request::get(self.in_tailnet(&["settings"], &[]));
        match self.asker.ask(request, READ_SETTINGS, Repeat::Safe).await {
            Ok(answer) => {
                let read: wire::SettingsWire = self.asker.read(&answer, READ_SETTINGS)?;
                Ok(read.into_settings())
            }
            Err(Trouble::Ability { .. } | Trouble::Absent { .. } | Trouble::NotOffered { .. }) => {
                Ok(Settings::default())
            }
            Err(why) => Err(why),
        }
    }

    async fn policy(&self) -> Result<PolicyText, Trouble> {
        let request = Request::get(self.in_tailnet(&["acl"], &[])).accept(HUJSON);
        let answer = self.asker.ask(request, READ_POLICY, Repeat::Safe).await?;
        self.policy_of(&answer, READ_POLICY)
    }

    async fn put_policy(&self, text: &str, etag: &str) -> Change<PolicyText> {
        if bare(Some(etag)).is_none() {
            return Change::Refused(Trouble::Conflict);
        }
        Change::of(self.write_policy(text, etag).await)
    }

    async fn validate_policy(&self, text: &str) -> Result<Verdict, Trouble> {
        match self.ask_verdict(HUJSON, text).await {
            // The server has been known to stumble over a comment in the first line.
            Err(Trouble::Refused { said: Some(said), .. }) if said.contains(COMMENT_TRAP) => {
                match self.ask_verdict(HUJSON, &without_comments(text)).await {
                    Err(Trouble::Refused { said: Some(said), .. }) => Ok(broken(said)),
                    other => other,
                }
            }
            Err(Trouble::Refused { said: Some(said), .. }) => Ok(broken(said)),
            Err(Trouble::Absent { said, .. }) => Err(self.asker.not_offered(CHECK_POLICY, said)),
            other => other,
        }
    }

    async fn may_reach(&self, tag: &str, ip: IpAddr, port: u16) -> Result<Option<bool>, Trouble> {
        let to = std::net::SocketAddr::new(ip, port).to_string();
        let tests = [wire::PolicyTest { src: tag, proto: "tcp", accept: [to] }];
        let Ok(body) = serde_json::to_string(&tests) else { return Ok(None) };
        match self.ask_verdict("application/json", &body).await {
            Ok(verdict) if verdict.is_good() => Ok(Some(true)),
            Ok(verdict) => {
                let is_no = |said: &String| said.contains("got: Drop");
                Ok(verdict.errors.iter().any(is_no).then_some(false))
            }
            Err(Trouble::Absent { .. } | Trouble::NotOffered { .. } | Trouble::Refused { .. }) => {
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }
}

/// An id as it can stand in an address: no text leads elsewhere.
pub fn checked<'a>(asker: &Asker, id: &'a str, deed: Deed) -> Result<&'a str, Trouble> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !id.is_empty() && id.chars().all(fits) {
        return Ok(id);
    }
    Err(asker.refused(deed, format!("`{}` is no id", text::shown(id))))
}

/// That nothing was written, as what had to be read first could not be.
pub fn not_sent(why: Trouble) -> Trouble {
    if why.leaves_doubt() {
        Trouble::Unreachable { why: why.to_string(), passing: true }
    } else {
        why
    }
}

/// A refusal that speaks of tags gets its explanation.
fn explain_tags(why: Trouble, wanted: &NewKey) -> Trouble {
    match why {
        Trouble::Refused { server, said: Some(said), .. }
            if said.contains("tags") && said.contains("permitted") =>
        {
            Trouble::Tags { server, tags: wanted.tags.clone(), said: Some(said) }
        }
        other => other,
    }
}

/// Reads findings. `message` alone is an error, unless it speaks of warnings.
fn verdict(said: &Complaint) -> Verdict {
    let errors: Vec<_> = said.data.iter().flat_map(Finding::errors).collect();
    let warnings: Vec<_> = said.data.iter().flat_map(Finding::warnings).collect();
    let message = said.message.trim();
    if message.is_empty() || !(errors.is_empty() && warnings.is_empty()) {
        return Verdict { errors, warnings };
    }
    let message = vec![text::shown(message)];
    if said.message.contains("warning") {
        Verdict { errors, warnings: message }
    } else {
        Verdict { errors: message, warnings }
    }
}

fn broken(said: String) -> Verdict {
    Verdict { errors: vec![said], warnings: vec![] }
}

/// For a list of all devices: the others have the client's limit.
pub const LONG: Span = Span::from_seconds(30);

const HUJSON: &str = "application/hujson";
const COMMENT_TRAP: &str = "invalid character '/'";

const LIST_KEYS: Deed = Deed { words: "list the keys of devices", scope: "auth_keys:read" };
const READ_KEY: Deed = Deed { words: "show a key", scope: "auth_keys:read" };
/// To make a key.
pub const MAKE_KEY: Deed = Deed { words: "make a key for a device", scope: "auth_keys" };
/// To take a key back.
pub const DELETE_KEY: Deed = Deed { words: "take back the key of a device", scope: "auth_keys" };
/// To list devices.
pub const LIST_DEVICES: Deed = Deed { words: "list the devices", scope: "devices:core:read" };
/// To show a device.
pub const READ_DEVICE: Deed = Deed { words: "show a device", scope: "devices:core:read" };
/// To allow routes.
pub const SET_ROUTES: Deed =
    Deed { words: "allow the routes of a device", scope: "devices:routes" };
const AUTHORIZE: Deed = Deed { words: "let a device in", scope: "devices:core" };
/// To take a device out.
pub const DELETE_DEVICE: Deed = Deed { words: "take a device out", scope: "devices:core" };
const READ_SETTINGS: Deed = Deed { words: "show the settings", scope: "feature_settings:read" };
/// To show the policy file.
pub const READ_POLICY: Deed = Deed { words: "show the policy file", scope: "policy_file:read" };
/// To write the policy file.
pub const WRITE_POLICY: Deed = Deed { words: "write the policy file", scope: "policy_file" };
/// To check a policy file.
pub const CHECK_POLICY: Deed = Deed { words: "check a policy file", scope: "policy_file:read" };

//! The v1 of Headscale 0.26 to 0.29, put behind the same face.
//!
//! What it lacks is said as lacking: it keeps no description of a key, has no tag for a version of
//! the policy file, and tells nothing of who may reach what. Its errors come as status 500, whatever
//! they mean, so what was asked for is looked up.

use std::net::IpAddr;

use async_trait::async_trait;

use super::Control;
use super::asking::{Asker, Repeat};
use super::headscale_wire as wire;
use super::model::{
    CreatedKey, Credential, CredentialKind, Device, KeyRecord, NewKey, PolicyText, Settings,
    Verdict,
};
use super::policy_text::own_tag;
use super::said::Deed;
use super::trouble::{Change, Trouble};
use super::v2::{
    CHECK_POLICY, DELETE_DEVICE, DELETE_KEY, LIST_DEVICES, LONG, MAKE_KEY, READ_DEVICE,
    READ_POLICY, SET_ROUTES, WRITE_POLICY, checked, not_sent,
};
use crate::domain::site::Prefix;
use crate::domain::text;
use crate::http::{Answer, HttpError, Request};
use crate::provider::change::Doubtful as _;

/// How the server knows its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// By their id, of nobody in particular: 0.28 and later.
    ById,
    /// By their user and their text: 0.26 and 0.27.
    ByUser,
}

/// A Headscale.
pub struct Headscale {
    asker: Asker,
    keys: Keys,
    /// Whose keys are made, by name or id, where the configuration says so.
    user: Option<String>,
}

impl Headscale {
    /// One that knows its keys so.
    pub fn new(asker: Asker, keys: Keys, user: Option<String>) -> Self {
        Self { asker, keys, user }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> String {
        self.asker.url(&[&["api", "v1"], path].concat(), query)
    }

    fn json(&self, request: Request, body: &impl serde::Serialize) -> Result<Request, Trouble> {
        let unsendable =
            |why: HttpError| Trouble::Unreachable { why: why.to_string(), passing: false };
        request.json(body).map_err(unsendable)
    }

    /// The id of the user whose keys are made; nothing where none is needed.
    async fn user(&self, deed: Deed) -> Result<Option<String>, Trouble> {
        if self.user.is_none() && self.keys == Keys::ById {
            return Ok(None);
        }
        let request = Request::get(self.url(&["user"], &[]));
        let answer = self.asker.ask(request, LIST_USERS, Repeat::Safe).await?;
        let users = self.asker.read::<wire::Users>(&answer, LIST_USERS)?.users;
        let found = match &self.user {
            Some(wanted) => users.iter().find(|user| user.is_called(wanted)),
            None if users.len() == 1 => users.first(),
            None => None,
        };
        let names: Vec<_> = users.iter().take(10).map(|user| text::shown(&user.name)).collect();
        let missing = || {
            let names = names.join(", ");
            self.asker.refused(
                deed,
                match &self.user {
                    Some(wanted) => {
                        format!("there is no user `{}`; there are {names}", text::shown(wanted))
                    }
                    None => format!(
                        "its keys belong to a user; name one in the configuration, of {names}"
                    ),
                },
            )
        };
        found.map(|user| Some(user.id.clone())).ok_or_else(missing)
    }

    /// All keys of devices that can be seen.
    async fn list_keys(&self, user: Option<&str>) -> Result<Vec<wire::Key>, Trouble> {
        let query: Vec<_> = user.map(|user| ("user", user)).into_iter().collect();
        let query = if self.keys == Keys::ByUser { query.as_slice() } else { &[] };
        let request = Request::get(self.url(&["preauthkey"], query));
        let answer = self.asker.ask(request, LIST_KEYS, Repeat::Safe).await?;
        Ok(self.asker.read::<wire::KeyList>(&answer, LIST_KEYS)?.pre_auth_keys)
    }

    async fn find_key(&self, id: &str, user: Option<&str>) -> Result<Option<wire::Key>, Trouble> {
        Ok(self.list_keys(user).await?.into_iter().find(|key| key.id == id))
    }

    async fn make_key(&self, wanted: &NewKey) -> Result<CreatedKey, Trouble> {
        let user = self.user(MAKE_KEY).await.map_err(not_sent)?;
        // By the server's clock: a wrong one here must not make a key that is over.
        let until = self.asker.server_now() + wanted.lifetime;
        let order = wire::KeyOrder {
            user: user.as_deref(),
            reusable: false,
            ephemeral: true,
            expiration: until.to_rfc3339(),
            acl_tags: &wanted.tags,
        };
        let request = self.json(Request::post(self.url(&["preauthkey"], &[])), &order)?;
        let answer = self.asker.ask(request, MAKE_KEY, Repeat::Never).await?;
        let made = self.asker.read::<wire::NewKey>(&answer, MAKE_KEY)?.pre_auth_key;
        let missing =
            || self.asker.unclear(MAKE_KEY, "a key was made, but it is not in the answer");
        let secret = made.key.filter(|secret| !secret.is_empty() && !made.id.is_empty());
        let key = secret.ok_or_else(missing)?;
        Ok(CreatedKey { id: made.id, key, expires: made.expiration, tags: made.acl_tags })
    }

    async fn end_key(&self, id: &str) -> Result<(), Trouble> {
        let id = checked(&self.asker, id, DELETE_KEY)?;
        let request = match self.keys {
            Keys::ById => Request::delete(self.url(&["preauthkey"], &[("id", id)])),
            Keys::ByUser => {
                let user = self.user(DELETE_KEY).await.map_err(not_sent)?;
                let found = self.find_key(id, user.as_deref()).await.map_err(not_sent)?;
                let (Some(user), Some(key)) = (user, found) else { return Ok(()) };
                if key.is_over(self.asker.server_now()) {
                    return Ok(());
                }
                let request = Request::post(self.url(&["preauthkey", "expire"], &[]));
                self.json(request, &wire::Expiry { user: &user, key: key.key.as_ref() })?
            }
        };
        match self.asker.find(request, DELETE_KEY).await {
            Ok(_) => Ok(()),
            Err(why @ (Trouble::Unclear { .. } | Trouble::Refused { .. })) => {
                match self.key(id).await {
                    Ok(found) if found.as_ref().is_none_or(|key| key.invalid) => Ok(()),
                    _ => Err(why),
                }
            }
            Err(why) => Err(why),
        }
    }

    fn read_node(&self, answer: &Answer, deed: Deed) -> Result<Device, Trouble> {
        Ok(self.asker.read::<wire::OneNode>(answer, deed)?.node.into_device())
    }

    async fn write_policy(&self, text: &str, etag: &str) -> Result<PolicyText, Trouble> {
        let before = self.policy().await.map_err(not_sent)?;
        if before.etag != etag {
            return Err(Trouble::Conflict);
        }
        let put = Request::put(self.url(&["policy"], &[]));
        let request = self.json(put, &wire::Policy { policy: text.to_owned() })?;
        let why = match self.asker.ask(request, WRITE_POLICY, Repeat::Never).await {
            Ok(_) => return Ok(policy_of(text.to_owned())),
            Err(why) if why.leaves_doubt() => why,
            Err(why) => return Err(why),
        };
        if let Trouble::Unclear { why: said, .. } = &why
            && said.contains(FILE_MODE)
        {
            return Err(self.asker.refused(WRITE_POLICY, FILE_MODE_ADVICE));
        }
        match self.policy().await {
            Ok(there) if there.text == text => Ok(there),
            // It answered, and the old file is still in force.
            Ok(there) if there.text == before.text => match why {
                Trouble::Unclear { why: said, .. } if said.starts_with("status 500") => {
                    Err(self.asker.refused(WRITE_POLICY, said))
                }
                why => Err(why),
            },
            _ => Err(why),
        }
    }
}

#[async_trait]
impl Control for Headscale {
    async fn credential(&self) -> Result<Credential, Trouble> {
        let request = Request::get(self.url(&["apikey"], &[]));
        let answer = self.asker.ask(request, LIST_API_KEYS, Repeat::Safe).await?;
        let keys = self.asker.read::<wire::ApiKeys>(&answer, LIST_API_KEYS)?.api_keys;
        let own = keys.iter().find(|key| key.begins(self.asker.token.secret()));
        let expires = own.and_then(|key| key.expiration);
        Ok(Credential {
            kind: CredentialKind::Headscale,
            id: own.map(|key| key.id.clone()),
            scopes: vec![],
            tags: vec![],
            expires,
            invalid: expires.is_some_and(|end| end <= self.asker.server_now()),
            clock_ahead_millis: self.asker.clock_ahead_millis(),
        })
    }

    async fn create_key(&self, wanted: &NewKey) -> Change<CreatedKey> {
        Change::of(self.make_key(wanted).await)
    }

    async fn keys_described(&self, _description: &str) -> Result<Vec<KeyRecord>, Trouble> {
        let why = "this Headscale keeps no description of a key".to_owned();
        Err(Trouble::CannotList { why })
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>, Trouble> {
        let user = self.user(LIST_KEYS).await?;
        let found = self.find_key(id, user.as_deref()).await?;
        let now = self.asker.server_now();
        Ok(found.map(|key| key.into_record(now)))
    }

    async fn delete_key(&self, id: &str) -> Change<()> {
        Change::of(self.end_key(id).await)
    }

    async fn devices(&self) -> Result<Vec<Device>, Trouble> {
        let request = Request::get(self.url(&["node"], &[])).within(LONG);
        let answer = self.asker.ask(request, LIST_DEVICES, Repeat::Safe).await?;
        let nodes = self.asker.read::<wire::Nodes>(&answer, LIST_DEVICES)?.nodes;
        Ok(nodes.into_iter().map(wire::Node::into_device).collect())
    }

    async fn device(&self, id: &str) -> Result<Option<Device>, Trouble> {
        let id = checked(&self.asker, id, READ_DEVICE)?;
        let request = Request::get(self.url(&["node", id], &[]));
        match self.asker.find(request, READ_DEVICE).await {
            Ok(None) => Ok(None),
            Ok(Some(answer)) => self.read_node(&answer, READ_DEVICE).map(Some),
            // 0.26 answers 500 where there is none; the list knows.
            Err(Trouble::Unclear { .. }) => {
                Ok(self.devices().await?.into_iter().find(|device| device.id == id))
            }
            Err(why) => Err(why),
        }
    }

    async fn set_routes(&self, id: &str, routes: &[Prefix]) -> Change<Vec<Prefix>> {
        let order = || {
            let id = checked(&self.asker, id, SET_ROUTES)?;
            let request = Request::post(self.url(&["node", id, "approve_routes"], &[]));
            self.json(request, &wire::RoutesOrder { routes })
        };
        let request = match order() {
            Ok(request) => request,
            Err(why) => return Change::Refused(why),
        };
        let answered = self.asker.ask(request, SET_ROUTES, Repeat::Safe).await;
        let read = |answer: Answer| self.read_node(&answer, SET_ROUTES);
        Change::of(answered.and_then(read)).map(|device| device.enabled)
    }

    /// Whoever has joined is let in.
    async fn authorize(&self, _id: &str) -> Change<()> {
        Change::Made(())
    }

    async fn delete_device(&self, id: &str) -> Change<()> {
        let id = match checked(&self.asker, id, DELETE_DEVICE) {
            Ok(id) => id,
            Err(why) => return Change::Refused(why),
        };
        let request = Request::delete(self.url(&["node", id], &[]));
        match self.asker.find(request, DELETE_DEVICE).await {
            Ok(_) => Change::Made(()),
            Err(why) if why.leaves_doubt() => match self.device(id).await {
                Ok(None) => Change::Made(()),
                _ => Change::Unknown(why),
            },
            Err(why) => Change::Refused(why),
        }
    }

    async fn settings(&self) -> Result<Settings, Trouble> {
        Ok(Settings::default())
    }

    async fn policy(&self) -> Result<PolicyText, Trouble> {
        let request = Request::get(self.url(&["policy"], &[]));
        let answer = self.asker.ask(request, READ_POLICY, Repeat::Safe).await?;
        Ok(policy_of(self.asker.read::<wire::Policy>(&answer, READ_POLICY)?.policy))
    }

    async fn put_policy(&self, text: &str, etag: &str) -> Change<PolicyText> {
        Change::of(self.write_policy(text, etag).await)
    }

    async fn validate_policy(&self, text: &str) -> Result<Verdict, Trouble> {
        let check = Request::post(self.url(&["policy", "check"], &[]));
        let request = self.json(check, &wire::Policy { policy: text.to_owned() })?;
        match self.asker.ask(request, CHECK_POLICY, Repeat::Safe).await {
            Ok(_) => Ok(Verdict::default()),
            Err(Trouble::Refused { said: Some(said), .. }) => {
                Ok(Verdict { errors: vec![said], warnings: vec![] })
            }
            Err(Trouble::Absent { said, .. }) => Err(self.asker.not_offered(CHECK_POLICY, said)),
            Err(why) => Err(why),
        }
    }

    async fn may_reach(
        &self,
        _tag: &str,
        _ip: IpAddr,
        _port: u16,
    ) -> Result<Option<bool>, Trouble> {
        Ok(None)
    }
}

/// A policy file that the server does not guard itself.
fn policy_of(text: String) -> PolicyText {
    PolicyText { etag: own_tag(&text), text, guarded: false }
}

const LIST_KEYS: Deed = Deed { words: "list the keys of devices", scope: "all" };
const LIST_USERS: Deed = Deed { words: "list the users", scope: "all" };
const LIST_API_KEYS: Deed = Deed { words: "list the API keys", scope: "all" };

const FILE_MODE: &str = "update is disabled for modes other than";
const FILE_MODE_ADVICE: &str = "it reads the policy from a file; edit that file, or set `policy.mode: \
                                database` in its configuration";

//! The shapes of the answers, read with patience: a word that nobody knows is no reason to lose a
//! list, but what has no id that could be used again is no answer. Only what is used is read.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::model::{Access, Connector, ConnectorState, Group, Named, Resource, Tokens};
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::Timestamp;

/// The answer as a whole, without what was asked for (GraphQL, October 2021, section 7.1).
#[derive(Debug, Default, Deserialize)]
pub struct Outline {
    /// Whether there is a `data` at all: without one nothing was begun.
    #[serde(default, rename = "data", deserialize_with = "is_there")]
    pub was_begun: bool,
    /// What went wrong.
    #[serde(default, deserialize_with = "or_default")]
    pub errors: Vec<Complaint>,
}

/// Whether an answer tells what came of a change, whatever went wrong beside it.
pub fn was_done(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Whole {
        data: Option<Fields>,
    }
    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        done: Option<serde::de::IgnoredAny>,
    }
    let whole = serde_json::from_slice::<Whole>(body).ok();
    whole.and_then(|whole| whole.data).is_some_and(|fields| fields.done.is_some())
}

/// One thing that went wrong.
#[derive(Debug, Default, Deserialize)]
pub struct Complaint {
    /// In words.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
}

/// The answer with what was asked for.
#[derive(Debug, Deserialize)]
pub struct Whole<T> {
    /// What was asked for.
    pub data: T,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    /// The page.
    pub page: Connection<T>,
}

/// Something by its id, where it is there.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct One<T> {
    /// It. Only a `null` says that it is not there: an answer without a word of it says nothing.
    #[serde(deserialize_with = "told")]
    pub one: Option<T>,
}

/// What carries a path.
#[derive(Debug, Deserialize)]
pub struct PathWire {
    /// The connector.
    #[serde(deserialize_with = "told")]
    pub connector: Option<ConnectorWire>,
    /// The resource.
    #[serde(deserialize_with = "told")]
    pub resource: Option<ResourceWire>,
}

/// What came of a change.
#[derive(Debug, Deserialize)]
pub struct Done<T> {
    /// What came of it.
    pub done: Outcome<T>,
}

/// What came of a change.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct Outcome<T> {
    /// Whether it was made.
    pub ok: bool,
    /// Why not.
    #[serde(default)]
    pub error: Option<String>,
    /// What was made.
    #[serde(default)]
    pub entity: Option<T>,
}

/// Some of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection<T> {
    /// These.
    pub edges: Vec<T>,
    /// Where it goes on.
    pub page_info: PageInfo,
}

/// Where a list goes on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    has_next_page: bool,
    #[serde(default)]
    end_cursor: Option<String>,
}

impl PageInfo {
    /// The cursor of the next page; nothing where this was the last. An empty one leads nowhere.
    pub fn next(self) -> Option<String> {
        self.has_next_page.then(|| self.end_cursor.unwrap_or_default())
    }
}

/// A thing of a list.
#[derive(Debug, Deserialize)]
pub struct Edge<T> {
    /// It.
    pub node: T,
}

/// A list of which only the number is wanted.
#[derive(Debug, Deserialize)]
pub struct Counted {
    /// It.
    pub page: Total,
}

/// How many there are.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    /// So many.
    pub total_count: u64,
}

/// What has an id and a name.
pub trait Thing {
    /// As a session sees it.
    type Seen;
    /// Its name as it came, to be compared.
    fn name(&self) -> &str;
    /// As a session sees it, and where those who may reach it go on.
    ///
    /// # Errors
    ///
    /// When its id is none.
    fn seen(self) -> Result<(Self::Seen, Option<String>), NoId>;
}

/// That an id is none.
#[derive(Debug)]
pub struct NoId;

/// A group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupWire {
    id: String,
    name: String,
    is_active: bool,
    users: Total,
}

impl Thing for GroupWire {
    type Seen = Group;

    fn name(&self) -> &str {
        &self.name
    }

    fn seen(self) -> Result<(Group, Option<String>), NoId> {
        let (name, members) = (text::shown(&self.name), self.users.total_count);
        Ok((Group { id: checked(self.id)?, name, is_active: self.is_active, members }, None))
    }
}

/// Something with a name.
#[derive(Debug, Deserialize)]
pub struct NamedWire {
    id: String,
    name: String,
}

impl Thing for NamedWire {
    type Seen = Named;

    fn name(&self) -> &str {
        &self.name
    }

    fn seen(self) -> Result<(Named, Option<String>), NoId> {
        Ok((Named { id: checked(self.id)?, name: text::shown(&self.name) }, None))
    }
}

/// A connector.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorWire {
    id: String,
    name: String,
    #[serde(default, deserialize_with = "state")]
    state: Option<ConnectorState>,
    #[serde(default, deserialize_with = "time")]
    last_heartbeat_at: Option<Timestamp>,
    #[serde(default)]
    version: Option<String>,
}

impl Thing for ConnectorWire {
    type Seen = Connector;

    fn name(&self) -> &str {
        &self.name
    }

    fn seen(self) -> Result<(Connector, Option<String>), NoId> {
        let version = self.version.filter(|version| !version.is_empty());
        let connector = Connector {
            id: checked(self.id)?,
            name: text::shown(&self.name),
            state: self.state.unwrap_or(ConnectorState::Other),
            last_heartbeat_at: self.last_heartbeat_at,
            version: version.map(|version| text::clean(&version, VERSION_CHARS_MAX).into_owned()),
        };
        Ok((connector, None))
    }
}

/// A resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceWire {
    id: String,
    name: String,
    is_active: bool,
    access: Connection<AccessWire>,
}

impl Thing for ResourceWire {
    type Seen = Resource;

    fn name(&self) -> &str {
        &self.name
    }

    fn seen(self) -> Result<(Resource, Option<String>), NoId> {
        let access = self.access.edges.into_iter().map(AccessWire::seen);
        let resource = Resource {
            id: checked(self.id)?,
            name: text::shown(&self.name),
            is_active: self.is_active,
            access: access.collect::<Result<_, _>>()?,
        };
        Ok((resource, self.access.page_info.next()))
    }
}

/// That somebody may reach a resource.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessWire {
    node: Principal,
    #[serde(deserialize_with = "time")]
    expires_at: Option<Timestamp>,
}

/// Who may reach it; of kinds that were not known when this was written nothing is read.
#[derive(Debug, Deserialize)]
struct Principal {
    #[serde(default)]
    id: Option<String>,
}

impl AccessWire {
    fn seen(self) -> Result<Access, NoId> {
        let principal = self.node.id.map_or(Ok(String::new()), checked)?;
        Ok(Access { principal, expires_at: self.expires_at })
    }
}

/// The tokens of a connector.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokensWire {
    access_token: Secret,
    refresh_token: Secret,
}

impl TokensWire {
    /// As a session sees them; nothing where one is missing.
    pub fn into_tokens(self) -> Option<Tokens> {
        let Self { access_token: access, refresh_token: refresh } = self;
        (!access.is_empty() && !refresh.is_empty()).then_some(Tokens { access, refresh })
    }
}

/// True for what can be an id: base64 of a type and a number.
pub fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(fits)
}

fn checked(id: String) -> Result<String, NoId> {
    if is_id(&id) { Ok(id) } else { Err(NoId) }
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Reads what may be `null` but must not be missing.
fn told<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

fn is_there<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(from).map(|_| true)
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    let Some(text) = text else { return Ok(None) };
    let at: jiff::Timestamp = text.parse().map_err(|_| serde::de::Error::custom("no time"))?;
    Ok(Some(Timestamp::from_millis(at.as_millisecond())))
}

fn state<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ConnectorState>, D::Error> {
    let word = Option::<String>::deserialize(from)?;
    Ok(word.map(|word| match word.as_str() {
        "ALIVE" => ConnectorState::Alive,
        "DEAD_NO_HEARTBEAT" => ConnectorState::DeadNoHeartbeat,
        "DEAD_HEARTBEAT_TOO_OLD" => ConnectorState::DeadHeartbeatTooOld,
        "DEAD_NO_RELAYS" => ConnectorState::DeadNoRelays,
        _ => ConnectorState::Other,
    }))
}

const ID_BYTES_MAX: usize = 200;
const VERSION_CHARS_MAX: usize = 40;

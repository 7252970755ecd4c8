//! One line of the audit: who did what, why, with what outcome.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::account::AccountId;
use super::email::Email;
use super::id::SessionId;
use super::operator::{Operator, SignedInAs};
use super::role::Role;

/// An event as it happens, before the store gives it its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDraft {
    /// What happened, in dotted words: `session.activated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it went.
    pub outcome: Outcome,
    /// One sentence for people.
    pub description: String,
    /// Who did it.
    pub actor: Actor,
    /// What it was done to.
    pub object: Option<Object>,
    /// The session it belongs to.
    pub session: Option<SessionId>,
    /// Where the actor sat.
    pub source: Source,
    /// Why, as the operator said.
    pub reason: Option<String>,
    /// What changed: `{"before": .., "after": ..}`.
    pub changes: Option<Value>,
    /// What else belongs to it.
    pub metadata: Option<Value>,
    /// True for an event of a drill.
    pub drill: bool,
}

impl AuditDraft {
    /// Starts an event; what is not said stays empty.
    #[must_use]
    pub fn new(kind: &str, description: impl Into<String>, actor: Actor) -> Self {
        Self {
            kind: kind.to_owned(),
            outcome: Outcome::Success,
            description: description.into(),
            actor,
            object: None,
            session: None,
            source: Source::default(),
            reason: None,
            changes: None,
            metadata: None,
            drill: false,
        }
    }
}

/// How an event went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, or failed.
    Failure,
    /// Nobody saw how it went.
    Unknown,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Whether a person or the engine by itself.
    pub kind: ActorKind,
    /// The account that was signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<AccountId>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// What it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The UNIX user; its own name where nobody was signed in.
    pub operator: Option<Operator>,
}

impl Actor {
    /// The engine, acting by itself: a lease ran out, a restart.
    #[must_use]
    pub const fn engine() -> Self {
        Self { kind: ActorKind::Engine, id: None, email: None, role: None, operator: None }
    }

    /// A person.
    #[must_use]
    pub fn person(operator: Operator) -> Self {
        let Operator { uid, name, account } = operator;
        let operator = Some(Operator::unix(uid, name));
        let nobody = Self { kind: ActorKind::Operator, operator, ..Self::engine() };
        match account {
            Some(SignedInAs { id, email, role }) => {
                Self { id: Some(id), email: Some(email), role: Some(role), ..nobody }
            }
            None => nobody,
        }
    }

    /// What people call whoever it was: `engine`, an address, or a UNIX user.
    #[must_use]
    pub fn name(&self) -> &str {
        self.operator.as_ref().map_or("engine", |operator| &operator.name)
    }
}

/// Whether a person or the engine by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// A person.
    Operator,
    /// The engine.
    Engine,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// `target`, `provider`, `session`, `engine`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// Where the actor sat. The uid is the kernel's word; the others are hints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The name of this host.
    pub host: Option<String>,
    /// The address the operator came from, where it is known.
    pub ip: Option<String>,
    /// The terminal.
    pub tty: Option<String>,
    /// The UNIX user id.
    pub uid: Option<u32>,
}

/// An event in its place in the chain. It never changes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its place: 1, 2, 3, with no gap.
    pub seq: u64,
    /// A UUIDv7.
    pub id: String,
    /// When, by the wall clock: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditDraft,
    /// The hash of the event before, 64 hexadecimal digits; of the first, zeros.
    pub prev: String,
    /// SHA-256 over the canonical JSON of everything above, 64 hexadecimal digits.
    pub hash: String,
}

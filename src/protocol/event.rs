//! What the engine tells every face that listens.

use serde::{Deserialize, Serialize};

use super::identity::IdentityView;
use super::view::{EngineView, Notice, ProviderView, SessionView, Traffic};
use crate::domain::audit_event::AuditEvent;
use crate::domain::id::SessionId;

/// Something that has happened. It is durable before any face hears of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A session is new, or has changed. It replaces what the face knew of it.
    Session(Box<SessionView>),
    /// Bytes or connections of an Active session; at most once a second and only when they changed.
    Traffic {
        /// Which session.
        session: SessionId,
        /// Its counters.
        traffic: Traffic,
    },
    /// The providers, whole.
    Providers(Vec<ProviderView>),
    /// An audit event was written.
    Audit(Box<AuditEvent>),
    /// The engine itself has changed: its alarms, its faces.
    Engine(Box<EngineView>),
    /// People and identity providers, whole, as far as this face may see them.
    Identity(Box<IdentityView>),
    /// The sign-in of this face is over: it lasted its time, or somebody ended it. The face
    /// subscribes again and starts from the sign-in screen.
    SignedOut {
        /// Why, in words.
        why: String,
    },
    /// Something to tell people once.
    Notice(Notice),
    /// The engine leaves this process; its sessions go on in another one. The face attaches there.
    HandedOver,
    /// The engine has stopped. Nothing lives any more.
    Stopped,
}

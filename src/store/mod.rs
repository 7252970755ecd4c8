//! The contract of the store: journals, sessions, the audit chain, records, settings.
//!
//! Everything that belongs to one decision is one [`Batch`], durable as a whole or not at all.
//! Journals and audit are only ever appended to. Records are small documents that change and go.

pub mod chain;
pub mod lock;
pub mod sqlite;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::audit_event::{AuditDraft, AuditEvent};
use crate::domain::id::SessionId;
use crate::domain::time::Timestamp;
use crate::protocol::{AuditVerdict, SessionQuery, SessionView};
use crate::session::Entry;

/// Where everything durable lives.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes a batch durable, all of it or nothing, and returns its audit events in their places.
    ///
    /// # Errors
    ///
    /// When nothing of it is durable.
    async fn append(&self, batch: Batch) -> Result<Vec<AuditEvent>, StoreError>;

    /// Returns the journal of every session that is not ended, the oldest session first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn open_journals(&self) -> Result<Vec<(SessionId, Vec<Entry>)>, StoreError>;

    /// Returns sessions as they were shown when their state last changed, the newest first.
    ///
    /// For an ended one that is how it is shown for good. Whoever holds a live one knows better.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn sessions(&self, query: SessionQuery) -> Result<Vec<SessionView>, StoreError>;

    /// Returns the sessions that a shortened id may mean, as [`Self::sessions`] does, ten at the
    /// most.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn find(&self, text: &str) -> Result<Vec<SessionView>, StoreError>;

    /// Returns how many sessions have ended.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn ended_total(&self) -> Result<u64, StoreError>;

    /// Returns the reasons of the newest thousand sessions, each once, the newest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn reasons(&self, limit: u32) -> Result<Vec<String>, StoreError>;

    /// Returns the newest audit events before a place, or the newest of all, the newest last.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn audit_tail(
        &self,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<AuditEvent>, StoreError>;

    /// Reads and verifies the whole audit chain.
    ///
    /// # Errors
    ///
    /// When the store cannot be read; a broken chain is an answer, not an error.
    async fn audit_verify(&self) -> Result<AuditVerdict, StoreError>;

    /// Returns a setting.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn setting(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Returns every record of a kind, by key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    async fn records(&self, kind: RecordKind) -> Result<Vec<String>, StoreError>;

    /// Waits until everything is durable and closes. Nothing may be appended afterwards.
    async fn close(&self);
}

/// What belongs to one decision.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The wall clock, for the times in the audit.
    pub wall: Timestamp,
    /// What is new about a session.
    pub session: Option<SessionChange>,
    /// What the audit gets.
    pub audit: Vec<AuditDraft>,
    /// Records that change or go.
    pub records: Vec<Record>,
    /// Settings to write, by key.
    pub settings: Vec<(String, String)>,
}

impl Batch {
    /// Starts a batch; what is not said stays empty.
    #[must_use]
    pub const fn at(wall: Timestamp) -> Self {
        Self { wall, session: None, audit: vec![], records: vec![], settings: vec![] }
    }
}

/// A record as it is from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is a record of.
    pub kind: RecordKind,
    /// What it is found by; unique among its kind.
    pub key: String,
    /// Its text, JSON; without one it is taken out.
    pub body: Option<String>,
}

/// What there are records of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// Operators' accounts.
    Account,
    /// Identity providers' enforcement and break-glass lists.
    List,
    /// Sign-ins that last.
    SignIn,
    /// Failed tries to sign in.
    Throttle,
}

impl RecordKind {
    /// The word for it in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::List => "list",
            Self::SignIn => "sign-in",
            Self::Throttle => "throttle",
        }
    }
}

/// What is new about a session: journal lines, and how it is shown from now on.
#[derive(Clone, Debug)]
pub struct SessionChange {
    /// How it is shown. Kept when its state is another than before, for lists to be made from.
    pub view: Box<SessionView>,
    /// The place of the first new line, counted from zero; a gap or a repetition is refused.
    pub first: u64,
    /// The new lines.
    pub entries: Vec<Entry>,
}

/// Why the store cannot do as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No space is left, or the file may not grow any further (`ulimit -f`).
    #[error("no space is left for `{path}`")]
    Full {
        /// The file.
        path: String,
    },
    /// The file or its file system is read-only.
    #[error("`{path}` cannot be written: read-only")]
    ReadOnly {
        /// The file.
        path: String,
    },
    /// The file is no database of ours, or is damaged. It is left as it is.
    #[error("`{path}` is damaged: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        why: String,
    },
    /// A newer version of this program wrote the file. It is left as it is.
    #[error("`{path}` was written by a newer version (schema {found}, this one knows {known})")]
    Newer {
        /// The file.
        path: String,
        /// The schema in the file.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// A journal line that cannot follow: another writer, or a bug.
    #[error("session {session} has {have} journal entries, but entry {first} was to be appended")]
    Gap {
        /// The session.
        session: SessionId,
        /// How many it has.
        have: u64,
        /// The place of the first new one.
        first: u64,
    },
    /// The operating system said no.
    #[error("`{path}` cannot be used: {why}")]
    Io {
        /// The file.
        path: String,
        /// What it said.
        why: String,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

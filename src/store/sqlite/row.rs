//! What a batch becomes in the file, and back.

use std::io;

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::files::Place;
use crate::domain::audit_event::AuditDraft;
use crate::domain::id::SessionId;
use crate::domain::time::Timestamp;
use crate::protocol::SessionState;
use crate::store::{Batch, SessionChange, StoreError};

/// A batch with its texts made, so that the writer has little left to do.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The time of its audit events, RFC 3339.
    pub time: String,
    pub session: Option<Change>,
    /// Each with its id.
    pub audit: Vec<(String, AuditDraft)>,
    pub settings: Vec<SettingRow>,
}

/// What is new about a session.
#[derive(Debug)]
pub(super) struct Change {
    pub id: SessionId,
    /// The place of the first new journal line.
    pub first: u64,
    pub row: SessionRow,
    pub entries: Vec<EntryRow>,
}

/// A row of `session`.
#[derive(Debug)]
pub(super) struct SessionRow {
    pub id: String,
    pub state: SessionState,
    pub reason: String,
    pub view: String,
    pub sum: i64,
}

/// A row of `journal`.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub session: String,
    pub place: u64,
    pub entry: String,
    pub sum: i64,
}

/// A row of `setting`.
#[derive(Debug)]
pub(super) struct SettingRow {
    pub key: String,
    pub value: String,
    pub sum: i64,
}

impl Prepared {
    /// Makes the texts.
    pub fn new(batch: Batch) -> io::Result<Self> {
        let Batch { wall, session, audit, settings } = batch;
        let audit = audit
            .into_iter()
            .map(|draft| Ok((event_id(wall)?, draft)))
            .collect::<io::Result<_>>()?;
        let setting = |(key, value): (String, String)| {
            let sum = sum(&[&key, &value]);
            SettingRow { key, value, sum }
        };
        Ok(Self {
            time: wall.to_rfc3339(),
            session: session.map(Change::new).transpose()?,
            audit,
            settings: settings.into_iter().map(setting).collect(),
        })
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// How many rows it becomes.
    pub fn rows(&self) -> usize {
        let session = self.session.as_ref().map_or(0, |session| 1 + session.entries.len());
        session + self.audit.len() + self.settings.len()
    }
}

impl Change {
    fn new(change: SessionChange) -> io::Result<Self> {
        let SessionChange { view, first, entries } = change;
        let id = view.id.to_string();
        let entry = |(place, entry)| {
            let entry = serde_json::to_string(entry)?;
            let sum = entry_sum(&id, place, &entry);
            Ok(EntryRow { session: id.clone(), place, entry, sum })
        };
        let entries = (first..).zip(&entries).map(entry).collect::<io::Result<_>>()?;
        let text = serde_json::to_string(&view)?;
        let row = SessionRow {
            sum: session_sum(&id, view.state.as_str(), &text),
            id,
            state: view.state,
            view: text,
            reason: view.reason,
        };
        Ok(Self { id: view.id, first, row, entries })
    }
}

/// The check sum of a session.
pub(super) fn session_sum(id: &str, state: &str, view: &str) -> i64 {
    sum(&[id, state, view])
}

/// The check sum of a journal line.
pub(super) fn entry_sum(session: &str, place: u64, entry: &str) -> i64 {
    sum(&[session, &place.to_string(), entry])
}

/// The check sum of stored texts that belong together.
///
/// It is there for accidents; who changes a text on purpose can also change its sum.
pub(super) fn sum(parts: &[&str]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    i64::from_le_bytes(hash.finalize().first_chunk().copied().unwrap_or_default())
}

/// The last twelve digits of a session's id, which begin with its short form.
pub(super) fn tail(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}

/// Reads a stored text back, if it is the one that was stored.
pub(super) fn read<T: DeserializeOwned>(
    place: &Place,
    what: &str,
    text: &str,
    intact: bool,
) -> Result<T, StoreError> {
    if !intact {
        return Err(place.damaged(&format!("{what} is not as it was written")));
    }
    serde_json::from_str(text).map_err(|error| place.damaged(&format!("{what}: {error}")))
}

/// SQLite knows signed numbers only; a place never comes near where they end.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn event_id(wall: Timestamp) -> io::Result<String> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let millis = u64::try_from(wall.as_millis()).unwrap_or(0);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
}

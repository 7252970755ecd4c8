//! What a batch becomes in the file, and back.

use std::io;

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::files::Place;
use crate::domain::time::Timestamp;
use crate::protocol::SessionView;
use crate::store::chain::Loose;
use crate::store::{Batch, Record, SessionChange, StoreError};

/// A batch with its texts made, so that the writer has little left to do.
#[derive(Debug)]
pub(super) struct Prepared {
    pub session: Option<Change>,
    pub audit: Vec<Loose>,
    pub records: Vec<RecordRow>,
    pub settings: Vec<SettingRow>,
}

/// What is new about a session.
#[derive(Debug)]
pub(super) struct Change {
    /// Its id as it is stored.
    pub id: String,
    /// How it is shown; a text of it is made only when it is written.
    pub view: Box<SessionView>,
    /// The place of the first new journal line.
    pub first: u64,
    pub entries: Vec<EntryRow>,
}

/// A row of `session`.
#[derive(Debug)]
pub(super) struct SessionRow {
    pub number: i64,
    pub id: String,
    pub state: &'static str,
    pub reason: String,
    pub view: String,
    pub sum: i64,
}

/// A row of `journal`.
#[derive(Debug)]
pub(super) struct EntryRow {
    pub place: u64,
    pub entry: String,
    pub sum: i64,
}

/// A row of `record`, or that there is to be none.
#[derive(Debug)]
pub(super) struct RecordRow {
    pub kind: &'static str,
    pub key: String,
    pub body: Option<String>,
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
        let Batch { wall, session, audit, records, settings } = batch;
        let time = wall.to_rfc3339();
        let loose = |draft| Ok(Loose::new(event_id(wall)?, time.clone(), draft));
        let setting = |(key, value): (String, String)| {
            let sum = sum(&[&key, &value]);
            SettingRow { key, value, sum }
        };
        Ok(Self {
            session: session.map(Change::new).transpose()?,
            audit: audit.into_iter().map(loose).collect::<io::Result<_>>()?,
            records: records.into_iter().map(RecordRow::new).collect(),
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
        session + self.audit.len() + self.records.len() + self.settings.len()
    }
}

impl Change {
    fn new(change: SessionChange) -> io::Result<Self> {
        let SessionChange { view, first, entries } = change;
        let id = view.id.to_string();
        let entry = |(place, entry)| {
            let entry = serde_json::to_string(entry)?;
            let sum = entry_sum(&id, place, &entry);
            Ok(EntryRow { place, entry, sum })
        };
        let entries = (first..).zip(&entries).map(entry).collect::<io::Result<_>>()?;
        Ok(Self { id, view, first, entries })
    }
}

impl RecordRow {
    fn new(record: Record) -> Self {
        let Record { kind, key, body } = record;
        let sum = record_sum(kind.as_str(), &key, body.as_deref().unwrap_or_default());
        Self { kind: kind.as_str(), key, body, sum }
    }
}

impl SessionRow {
    /// Makes the row of a session.
    pub fn new(number: i64, id: String, view: SessionView) -> io::Result<Self> {
        let text = serde_json::to_string(&view)?;
        let state = view.state.as_str();
        let sum = session_sum(&id, state, &text);
        Ok(Self { number, id, state, reason: view.reason, view: text, sum })
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

/// The check sum of a record.
pub(super) fn record_sum(kind: &str, key: &str, body: &str) -> i64 {
    sum(&[kind, key, body])
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

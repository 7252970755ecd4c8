//! The store in one SQLite file.
//!
//! ```text
//! append ──► queue ──► writer: one transaction, one fsync for all that wait ──► answers
//! queries ─► readers: connections of their own, which the writer never holds up
//! ```
//!
//! - One writer. What it has answered is on the disk (`synchronous=FULL`); what failed is not in the
//!   file, and is never tried again by itself.
//! - The file, and those that SQLite puts next to it, can be read by us alone under any umask.
//! - A file that is damaged, of another program, or of a newer version is refused and left as it is.
//!   Before an older one is changed, a copy is made beside it.
//! - Journals and audit are only ever appended to; triggers refuse everything else.
//!
//! Not here: the state lock. Whoever opens the store holds it.

mod error;
mod files;
mod read;
mod row;
mod schema;
mod statement;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use self::files::Place;
use self::row::Prepared;
use self::writer::{Job, Writer};
use super::{Batch, RecordKind, Store, StoreError};
use crate::clock;
use crate::domain::audit_event::AuditEvent;
use crate::domain::id::SessionId;
use crate::protocol::{AuditVerdict, SessionQuery, SessionView};
use crate::session::Entry;

/// Every query that lists or finds something, so that a test can ask SQLite how it goes about it.
pub const QUERIES: &[&str] = read::QUERIES;

/// The store of one state directory.
#[derive(Debug)]
pub struct SqliteStore {
    place: Place,
    jobs: mpsc::Sender<Job>,
    readers: SqlitePool,
    writer: TaskTracker,
}

impl SqliteStore {
    /// Opens the store of a state directory, which must exist; makes a new one where there is none.
    ///
    /// # Errors
    ///
    /// When the file is not ours, damaged, newer than this program, or cannot be used. It is left
    /// as it is.
    pub async fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let place = Place::in_dir(state_dir);
        let found = match place.inspect()? {
            Some(found) => found,
            None => {
                schema::create(&place).await?;
                place.inspect()?.ok_or_else(|| place.io("it is gone again"))?
            }
        };
        schema::check(&place, &found).await?;
        let mut connection = place.connect_writer().await?;
        schema::migrate(&mut connection, &place, clock::wall(), schema::MIGRATIONS).await?;
        Self::with(connection, place).await
    }

    /// Starts the writer on a connection that is ready.
    async fn with(connection: SqliteConnection, place: Place) -> Result<Self, StoreError> {
        let writer = Writer::start(connection, place.clone()).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .test_before_acquire(false)
            .idle_timeout(READER_IDLE)
            .connect_lazy_with(place.reader_options());
        let (jobs, inbox) = mpsc::channel(QUEUE_MAX);
        let tasks = TaskTracker::new();
        tasks.spawn(writer.run(inbox));
        tasks.close();
        Ok(Self { place, jobs, readers, writer: tasks })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, batch: Batch) -> Result<Vec<AuditEvent>, StoreError> {
        let batch = Prepared::new(batch).map_err(|error| self.place.io(&error.to_string()))?;
        if batch.is_empty() {
            return Ok(vec![]);
        }
        let (answer, answered) = oneshot::channel();
        self.jobs
            .send(Job::Append { batch: Box::new(batch), answer })
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    async fn open_journals(&self) -> Result<Vec<(SessionId, Vec<Entry>)>, StoreError> {
        read::open_journals(&self.readers, &self.place).await
    }

    async fn sessions(&self, query: SessionQuery) -> Result<Vec<SessionView>, StoreError> {
        read::sessions(&self.readers, &self.place, query).await
    }

    async fn find(&self, text: &str) -> Result<Vec<SessionView>, StoreError> {
        read::find(&self.readers, &self.place, text).await
    }

    async fn ended_total(&self) -> Result<u64, StoreError> {
        read::ended_total(&self.readers, &self.place).await
    }

    async fn reasons(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        read::reasons(&self.readers, &self.place, limit).await
    }

    async fn audit_tail(
        &self,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        read::audit_tail(&self.readers, &self.place, limit, before).await
    }

    async fn audit_verify(&self) -> Result<AuditVerdict, StoreError> {
        read::audit_verify(&self.readers, &self.place).await
    }

    async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        read::setting(&self.readers, &self.place, key).await
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<String>, StoreError> {
        read::records(&self.readers, &self.place, kind.as_str()).await
    }

    async fn close(&self) {
        // The writer goes last: the last connection folds the write-ahead file into the database.
        self.readers.close().await;
        // No writer any more is what is wanted.
        drop(self.jobs.send(Job::Close).await);
        self.writer.wait().await;
    }
}

const QUEUE_MAX: usize = 1_024;
const READERS_MAX: u32 = 2;
const READER_IDLE: std::time::Duration = std::time::Duration::from_secs(60);

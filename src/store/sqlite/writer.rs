//! The one writer: takes what waits, makes it durable with one fsync, and answers.
//!
//! It alone knows where the audit chain ends and how long each live journal is. After an error it
//! reads both again before it writes: what the file says holds, not what we remember.

use std::collections::BTreeMap;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::files::Place;
use super::row::{Change, Prepared};
use super::statement::{AuditRow, Rows};
use crate::domain::audit_event::AuditEvent;
use crate::domain::id::SessionId;
use crate::protocol::SessionState;
use crate::store::StoreError;
use crate::store::chain::Head;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    /// Make a batch durable.
    Append {
        /// What.
        batch: Box<Prepared>,
        /// Where the answer goes.
        answer: Answer,
    },
    /// Do what waits, close the file, and stop.
    Close,
}

/// Where an answer goes.
type Answer = oneshot::Sender<Result<Vec<AuditEvent>, StoreError>>;

/// The writer.
#[derive(Debug)]
pub(super) struct Writer {
    connection: SqliteConnection,
    place: Place,
    known: Option<Known>,
}

/// What the file holds, as far as the next append depends on it.
#[derive(Clone, Debug, Default)]
struct Known {
    head: Head,
    /// How many lines the journal of each live session has.
    lengths: BTreeMap<SessionId, u64>,
}

impl Writer {
    /// Makes the writer of an open database.
    pub async fn start(connection: SqliteConnection, place: Place) -> Result<Self, StoreError> {
        let mut writer = Self { connection, place, known: None };
        writer.known = Some(writer.look().await?);
        Ok(writer)
    }

    /// Works until it is told to close, or nobody can ask any more.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Job>) {
        while let Some(job) = inbox.recv().await {
            let mut group = Vec::new();
            let mut rows = 0;
            let mut next = Some(job);
            while let Some(job) = next {
                match job {
                    // Those that are in the queue already still get their answer.
                    Job::Close => inbox.close(),
                    Job::Append { batch, answer } => {
                        rows += batch.rows();
                        group.push((*batch, answer));
                    }
                }
                next = if rows < GROUP_ROWS_MAX { inbox.try_recv().ok() } else { None };
            }
            self.write(group).await;
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the store was not closed as it should be");
        }
    }

    /// Makes a group durable and answers each of it.
    async fn write(&mut self, group: Vec<(Prepared, Answer)>) {
        let mut known = match self.known().await {
            Ok(known) => known,
            Err(error) => return refuse(group.into_iter().map(|(_, answer)| answer), &error),
        };
        let mut rows = Rows::default();
        let mut waiting = Vec::with_capacity(group.len());
        for (batch, answer) in group {
            match self.check(&mut known, batch.session.as_ref()).await {
                Ok(()) => waiting.push((collect(&mut rows, &mut known, batch), answer)),
                Err(error) => refuse([answer], &error),
            }
        }
        if waiting.is_empty() {
            self.known = Some(known);
            return;
        }
        let ended = rows.sessions.iter().filter(|(_, row)| row.state == SessionState::Ended);
        let ended: Vec<SessionId> = ended.map(|(id, _)| *id).collect();
        match rows.query().execute(&mut self.connection).await {
            Ok(_) => {
                known.lengths.retain(|session, _| !ended.contains(session));
                self.known = Some(known);
                for (events, answer) in waiting {
                    // Who asked may have gone away; it is durable all the same.
                    drop(answer.send(Ok(events)));
                }
            }
            Err(error) => {
                let error = self.place.error(&error);
                // There may be no transaction any more: SQLite ends it after some errors.
                drop(sqlx::query("ROLLBACK").execute(&mut self.connection).await);
                refuse(waiting.into_iter().map(|(_, answer)| answer), &error);
            }
        }
    }

    /// Takes what is known, so that an error on the way makes us read it again.
    async fn known(&mut self) -> Result<Known, StoreError> {
        match self.known.take() {
            Some(known) => Ok(known),
            None => self.look().await,
        }
    }

    async fn look(&mut self) -> Result<Known, StoreError> {
        let head: Option<(i64, String)> =
            sqlx::query_as("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
                .fetch_optional(&mut self.connection)
                .await
                .map_err(|error| self.place.error(&error))?;
        let head = match head {
            None => Head::default(),
            Some((seq, hash)) => Head { seq: u64::try_from(seq).unwrap_or(0), hash },
        };
        let lengths: Vec<(String, i64)> = sqlx::query_as(LENGTHS)
            .fetch_all(&mut self.connection)
            .await
            .map_err(|error| self.place.error(&error))?;
        let length = |(id, length): (String, i64)| {
            let id = id.parse().map_err(|_| self.place.damaged("a session id is none"))?;
            Ok((id, u64::try_from(length).unwrap_or(0)))
        };
        Ok(Known { head, lengths: lengths.into_iter().map(length).collect::<Result<_, _>>()? })
    }

    /// Makes sure that the new lines follow those that are there.
    async fn check(
        &mut self,
        known: &mut Known,
        change: Option<&Change>,
    ) -> Result<(), StoreError> {
        let Some(change) = change else { return Ok(()) };
        let have = match known.lengths.get(&change.id) {
            Some(have) => *have,
            None => {
                let count: i64 =
                    sqlx::query_scalar("SELECT count(*) FROM journal WHERE session = ?")
                        .bind(change.row.id.clone())
                        .fetch_one(&mut self.connection)
                        .await
                        .map_err(|error| self.place.error(&error))?;
                u64::try_from(count).unwrap_or(0)
            }
        };
        if change.first != have {
            return Err(StoreError::Gap { session: change.id, have, first: change.first });
        }
        known.lengths.insert(change.id, have + change.entries.len() as u64);
        Ok(())
    }
}

/// Adds what a batch becomes to the rows of its group, and returns its audit events.
fn collect(rows: &mut Rows, known: &mut Known, batch: Prepared) -> Vec<AuditEvent> {
    let Prepared { time, session, audit, settings } = batch;
    if let Some(change) = session {
        rows.sessions.insert(change.id, change.row);
        rows.entries.extend(change.entries);
    }
    rows.settings.extend(settings);
    let link = |(id, draft)| {
        let mut link = known.head.link(id, time.clone(), draft);
        rows.audit.push(AuditRow::new(&mut link));
        known.head = link.head;
        link.event
    };
    audit.into_iter().map(link).collect()
}

fn refuse(answers: impl IntoIterator<Item = Answer>, error: &StoreError) {
    for answer in answers {
        // Who asked may have gone away.
        drop(answer.send(Err(error.clone())));
    }
}

/// How many lines the journal of each live session has.
pub(super) const LENGTHS: &str = "SELECT id, (SELECT count(*) FROM journal WHERE session = id) \
    FROM session INDEXED BY session_live WHERE state <> 'Ended'";

/// A group ends with the batch that reaches this many rows; what waits then is the next group.
const GROUP_ROWS_MAX: usize = 512;

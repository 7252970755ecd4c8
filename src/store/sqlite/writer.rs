//! The one writer: takes what waits, makes it durable with one fsync, and answers.
//!
//! It alone knows where the audit chain ends and how long each live journal is. After an error it
//! reads both again before it writes: what the file says holds, not what we remember.

use std::collections::BTreeMap;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::files::Place;
use super::row::{Change, Prepared, SessionRow};
use super::statement::Rows;
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
    /// The number of the newest session.
    newest: i64,
    live: BTreeMap<SessionId, Standing>,
    /// Those that are over with the group that is being written.
    ended: Vec<SessionId>,
}

/// What there is of a session; number zero where there is nothing.
#[derive(Clone, Debug, Default)]
struct Standing {
    number: i64,
    /// The state that stands in the file.
    state: String,
    lines: u64,
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
            // Those that the last group answered may ask again at once. Let them, or each group
            // would be one, and then all the others.
            tokio::task::yield_now().await;
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
            match self.collect(&mut known, &mut rows, batch).await {
                Ok(events) => waiting.push((events, answer)),
                Err(error) => refuse([answer], &error),
            }
        }
        if waiting.is_empty() {
            self.known = Some(known);
            return;
        }
        match rows.query().execute(&mut self.connection).await {
            Ok(_) => {
                known.forget_ended();
                self.known = Some(known);
                for (events, answer) in waiting {
                    // Who asked may have gone away; it is durable all the same.
                    drop(answer.send(Ok(events)));
                }
            }
            Err(error) => {
                let error = self.place.error(&error);
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
        let failed = |error: sqlx::Error| self.place.error(&error);
        let head: Option<(i64, String)> =
            sqlx::query_as(HEAD).fetch_optional(&mut self.connection).await.map_err(failed)?;
        let head = match head {
            None => Head::default(),
            Some((seq, hash)) => Head { seq: u64::try_from(seq).unwrap_or(0), hash },
        };
        let newest =
            sqlx::query_scalar(NEWEST).fetch_one(&mut self.connection).await.map_err(failed)?;
        let rows: Vec<(String, i64, String, i64)> =
            sqlx::query_as(LIVE).fetch_all(&mut self.connection).await.map_err(failed)?;
        let mut live = BTreeMap::new();
        for (id, number, state, lines) in rows {
            let id = id.parse().map_err(|_| self.place.damaged("a session id is none"))?;
            live.insert(id, Standing::kept((number, state, lines)));
        }
        Ok(Known { head, newest, live, ended: vec![] })
    }

    /// Adds what a batch becomes to the rows of its group, and returns its audit events.
    async fn collect(
        &mut self,
        known: &mut Known,
        rows: &mut Rows,
        batch: Prepared,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let Prepared { session, audit, records, settings } = batch;
        if let Some(change) = session {
            self.collect_session(known, rows, change).await?;
        }
        records.into_iter().for_each(|row| rows.add_record(row));
        settings.into_iter().for_each(|row| rows.add_setting(row));
        let link = |loose| {
            let mut link = known.head.link(loose);
            rows.add_event(&mut link);
            known.head = link.head;
            link.event
        };
        Ok(audit.into_iter().map(link).collect())
    }

    async fn collect_session(
        &mut self,
        known: &mut Known,
        rows: &mut Rows,
        change: Change,
    ) -> Result<(), StoreError> {
        let Change { id, view, first, entries } = change;
        let session = view.id;
        let before = match known.live.remove(&session) {
            Some(standing) => standing,
            None => self.standing(&id).await?.unwrap_or_default(),
        };
        if first != before.lines {
            let have = before.lines;
            if before.number > 0 {
                known.live.insert(session, before);
            }
            return Err(StoreError::Gap { session, have, first });
        }
        let is_new = before.number == 0;
        let number = if is_new { known.newest + 1 } else { before.number };
        let state = view.state.as_str();
        if view.state == SessionState::Ended {
            known.ended.push(session);
        }
        if state != before.state {
            let failed = |error: std::io::Error| self.place.io(&error.to_string());
            let row = SessionRow::new(number, id, *view).map_err(failed)?;
            if is_new { rows.add_session(row) } else { rows.add_state(row) }
        }
        let lines = before.lines + entries.len() as u64;
        entries.into_iter().for_each(|row| rows.add_entry(number, row));
        known.newest = known.newest.max(number);
        known.live.insert(session, Standing { number, state: state.to_owned(), lines });
        Ok(())
    }

    /// What there is of a session that is not among the live ones.
    async fn standing(&mut self, id: &str) -> Result<Option<Standing>, StoreError> {
        let row: Option<(i64, String, i64)> = sqlx::query_as(SESSION)
            .bind(id)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(|error| self.place.error(&error))?;
        Ok(row.map(Standing::kept))
    }
}

impl Known {
    fn forget_ended(&mut self) {
        for session in self.ended.drain(..) {
            self.live.remove(&session);
        }
    }
}

impl Standing {
    fn kept((number, state, lines): (i64, String, i64)) -> Self {
        Self { number, state, lines: u64::try_from(lines).unwrap_or(0) }
    }
}

fn refuse(answers: impl IntoIterator<Item = Answer>, error: &StoreError) {
    for answer in answers {
        // Who asked may have gone away.
        drop(answer.send(Err(error.clone())));
    }
}

/// Where the audit chain ends.
const HEAD: &str = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";

/// The number of the newest session.
const NEWEST: &str = "SELECT coalesce(max(number), 0) FROM session";

/// The live sessions, with how many lines the journal of each has.
pub(super) const LIVE: &str = "SELECT id, number, state, \
    (SELECT count(*) FROM journal WHERE session = session.number) \
    FROM session INDEXED BY session_live WHERE state <> 'Ended'";

/// One session, which may have ended.
const SESSION: &str = "SELECT number, state, \
    (SELECT count(*) FROM journal WHERE session = session.number) \
    FROM session WHERE id = ?";

/// A group ends with the batch that reaches this many rows; what waits then is the next group.
const GROUP_ROWS_MAX: usize = 512;

//! The queries. Each sees the store as it was at one moment, and holds nobody up.

use sqlx::SqlitePool;
use tokio_stream::StreamExt as _;

use super::files::Place;
use super::row::{self, entry_sum, record_sum, session_sum, signed, sum};
use super::writer;
use crate::domain::audit_event::AuditEvent;
use crate::domain::id::SessionId;
use crate::protocol::{AuditVerdict, SessionQuery, SessionView};
use crate::session::Entry;
use crate::store::StoreError;
use crate::store::chain::{Row, Verifier};

/// A journal line: session, place, entry, sum; nothing but the session where it has none.
type Line = (String, Option<i64>, Option<String>, Option<i64>);

/// The columns that a view is read from: id, state, view, sum.
type Shown = (String, String, String, i64);

pub(super) async fn open_journals(
    pool: &SqlitePool,
    place: &Place,
) -> Result<Vec<(SessionId, Vec<Entry>)>, StoreError> {
    let mut lines = sqlx::query_as::<_, Line>(OPEN_JOURNALS).fetch(pool);
    let mut journals: Vec<(SessionId, Vec<Entry>)> = Vec::new();
    let mut last = String::new();
    while let Some(line) = lines.next().await {
        let (session, number, text, stored) = line.map_err(|error| place.error(&error))?;
        if session != last {
            let id = session.parse().map_err(|_| place.damaged("a session id is none"))?;
            journals.push((id, Vec::new()));
        }
        let Some((id, entries)) = journals.last_mut() else { continue };
        let expected = entries.len() as u64;
        let what = format!("entry {expected} of session {id}");
        match (number, text, stored) {
            (Some(number), Some(text), Some(stored)) if number == signed(expected) => {
                let intact = entry_sum(&session, expected, &text) == stored;
                entries.push(row::read(place, &what, &text, intact)?);
            }
            _ => return Err(place.damaged(&format!("{what} is missing"))),
        }
        last = session;
    }
    Ok(journals)
}

pub(super) async fn sessions(
    pool: &SqlitePool,
    place: &Place,
    query: SessionQuery,
) -> Result<Vec<SessionView>, StoreError> {
    let limit = query.limit.min(LIST_MAX);
    let rows = match (query.state, query.ended) {
        (Some(state), _) => sqlx::query_as(SESSIONS_IN_STATE).bind(state.as_str()),
        (None, true) => sqlx::query_as(SESSIONS),
        (None, false) => sqlx::query_as(SESSIONS_LIVE),
    };
    let rows: Vec<Shown> = rows
        .bind(limit)
        .bind(query.offset)
        .fetch_all(pool)
        .await
        .map_err(|error| place.error(&error))?;
    rows.iter().map(|row| view(place, row)).collect()
}

pub(super) async fn find(
    pool: &SqlitePool,
    place: &Place,
    text: &str,
) -> Result<Vec<SessionView>, StoreError> {
    let text = text.trim().to_ascii_lowercase();
    let digits = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if !(FIND_MIN..=FIND_MAX).contains(&text.len()) || !text.bytes().all(digits) {
        return Ok(vec![]);
    }
    let rows: Vec<Shown> = sqlx::query_as(FIND)
        .bind(&text)
        .bind(format!("{text}~"))
        .fetch_all(pool)
        .await
        .map_err(|error| place.error(&error))?;
    rows.iter().map(|row| view(place, row)).collect()
}

pub(super) async fn ended_total(pool: &SqlitePool, place: &Place) -> Result<u64, StoreError> {
    let total: i64 = sqlx::query_scalar(ENDED_TOTAL)
        .fetch_one(pool)
        .await
        .map_err(|error| place.error(&error))?;
    Ok(u64::try_from(total).unwrap_or(0))
}

pub(super) async fn reasons(
    pool: &SqlitePool,
    place: &Place,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(REASONS)
        .bind(limit)
        .fetch_all(pool)
        .await
        .map_err(|error| place.error(&error))
}

pub(super) async fn audit_tail(
    pool: &SqlitePool,
    place: &Place,
    limit: u32,
    before: Option<u64>,
) -> Result<Vec<AuditEvent>, StoreError> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(AUDIT_TAIL)
        .bind(before.map_or(i64::MAX, signed))
        .bind(limit.min(LIST_MAX))
        .fetch_all(pool)
        .await
        .map_err(|error| place.error(&error))?;
    let event = |(seq, body, hash): (i64, String, String)| {
        let bad = |_| place.damaged(&format!("audit event {seq} cannot be read"));
        let mut body: serde_json::Value = serde_json::from_str(&body).map_err(bad)?;
        if let Some(body) = body.as_object_mut() {
            body.insert("hash".to_owned(), hash.into());
        }
        serde_json::from_value(body).map_err(bad)
    };
    rows.into_iter().rev().map(event).collect()
}

pub(super) async fn audit_verify(
    pool: &SqlitePool,
    place: &Place,
) -> Result<AuditVerdict, StoreError> {
    let mut verifier = Verifier::default();
    let mut chunk = audit_chunk(pool, place, i64::MIN).await?;
    while let Some((rows, last)) = chunk {
        // SQLite reads the next stretch on its thread while this one is verified here.
        let verify =
            async { rows.split(|byte| *byte == b'\n').all(|line| verifier.take(kept(line))) };
        let (next, holds) = tokio::join!(biased; audit_chunk(pool, place, last), verify);
        chunk = if holds { next? } else { None };
    }
    Ok(verifier.verdict())
}

/// Reads the events after a place, a line each, and the place of the last of them.
async fn audit_chunk(
    pool: &SqlitePool,
    place: &Place,
    after: i64,
) -> Result<Option<(Vec<u8>, i64)>, StoreError> {
    let (rows, last): (Option<Vec<u8>>, Option<i64>) = sqlx::query_as(AUDIT_CHUNK)
        .bind(after)
        .fetch_one(pool)
        .await
        .map_err(|error| place.error(&error))?;
    Ok(last.map(|last| (rows.unwrap_or_default(), last)))
}

pub(super) async fn setting(
    pool: &SqlitePool,
    place: &Place,
    key: &str,
) -> Result<Option<String>, StoreError> {
    let row: Option<(String, i64)> = sqlx::query_as("SELECT value, sum FROM setting WHERE key = ?")
        .bind(key)
        .fetch_optional(pool)
        .await
        .map_err(|error| place.error(&error))?;
    match row {
        Some((value, stored)) if sum(&[key, &value]) == stored => Ok(Some(value)),
        Some(_) => Err(place.damaged(&format!("setting `{key}` is not as it was written"))),
        None => Ok(None),
    }
}

/// Returns the texts of every record of a kind, by key.
pub(super) async fn records(
    pool: &SqlitePool,
    place: &Place,
    kind: &str,
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(RECORDS)
        .bind(kind)
        .fetch_all(pool)
        .await
        .map_err(|error| place.error(&error))?;
    let read = |(key, body, stored): (String, String, i64)| {
        let intact = record_sum(kind, &key, &body) == stored;
        let damaged = || place.damaged(&format!("{kind} `{key}` is not as it was written"));
        if intact { Ok(body) } else { Err(damaged()) }
    };
    rows.into_iter().map(read).collect()
}

fn view(place: &Place, (id, state, view, stored): &Shown) -> Result<SessionView, StoreError> {
    let intact = session_sum(id, state, view) == *stored;
    row::read(place, &format!("session {id}"), view, intact)
}

/// Takes a line of [`AUDIT_CHUNK`] apart; what is no such line becomes a row that fits nowhere.
fn kept(line: &[u8]) -> Row<'_> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let seq = parts.next().and_then(|seq| std::str::from_utf8(seq).ok());
    Row {
        seq: seq.and_then(|seq| seq.parse().ok()).unwrap_or(0),
        hash: parts.next().unwrap_or_default(),
        body: parts.next().unwrap_or_default(),
    }
}

/// Every query that lists or finds something.
pub(super) const QUERIES: &[&str] = &[
    OPEN_JOURNALS,
    SESSIONS,
    SESSIONS_LIVE,
    SESSIONS_IN_STATE,
    FIND,
    ENDED_TOTAL,
    REASONS,
    AUDIT_TAIL,
    AUDIT_CHUNK,
    writer::LIVE,
];

/// The journals of sessions that are not ended, the oldest first.
const OPEN_JOURNALS: &str = "SELECT session.id, place, entry, journal.sum \
    FROM session INDEXED BY session_live LEFT JOIN journal ON journal.session = session.number \
    WHERE session.state <> 'Ended' ORDER BY session.id, place";

/// All sessions, the newest first.
const SESSIONS: &str = "SELECT id, state, view, sum FROM session ORDER BY id DESC LIMIT ? OFFSET ?";

/// Sessions that are not ended, the newest first.
const SESSIONS_LIVE: &str = "SELECT id, state, view, sum FROM session INDEXED BY session_live \
    WHERE state <> 'Ended' ORDER BY id DESC LIMIT ? OFFSET ?";

/// Sessions in one state, the newest first.
const SESSIONS_IN_STATE: &str = "SELECT id, state, view, sum FROM session \
    WHERE state = ? ORDER BY id DESC LIMIT ? OFFSET ?";

/// Sessions whose id, or the end of it, lies between two texts.
const FIND: &str = "SELECT id, state, view, sum FROM session \
    WHERE number IN (SELECT number FROM session WHERE id BETWEEN ?1 AND ?2 \
        UNION SELECT number FROM session WHERE tail BETWEEN ?1 AND ?2) \
    ORDER BY id DESC LIMIT 10";

/// How many sessions have ended.
const ENDED_TOTAL: &str = "SELECT count(*) FROM session WHERE state = 'Ended'";

/// Reasons, each once, the newest first; those of long ago are not worth reading every session for.
const REASONS: &str = "SELECT reason FROM (SELECT reason, id FROM session ORDER BY id DESC LIMIT 1000) \
    GROUP BY reason ORDER BY max(id) DESC LIMIT ?";

/// Audit events before a place, the newest first.
const AUDIT_TAIL: &str =
    "SELECT seq, body, hash FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?";

/// A stretch of the audit chain in one value: a row of its own for each event would cost more than
/// to verify it. A body is canonical JSON, so it holds no line break.
const AUDIT_CHUNK: &str = "SELECT \
    CAST(group_concat(seq || ' ' || hash || ' ' || body, char(10)) AS BLOB), max(seq) \
    FROM (SELECT seq, hash, body FROM audit WHERE seq > ? ORDER BY seq LIMIT 512)";

/// Every record of a kind; they are few, and always wanted whole.
const RECORDS: &str = "SELECT key, body, sum FROM record WHERE kind = ? ORDER BY key";

const LIST_MAX: u32 = 1_000;
const FIND_MIN: usize = 4;
const FIND_MAX: usize = 36;

//! One text of SQL for a whole group of appends.
//!
//! A call of its own for each row would cost a change of threads each. So the rows of a group go to
//! SQLite as one text, from `BEGIN` to `COMMIT`. The text depends on how many rows there are and on
//! nothing else; every value is bound.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use super::row::{EntryRow, SessionRow, SettingRow, signed, tail};
use crate::domain::id::SessionId;
use crate::store::chain::Link;

/// The rows of a group.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Of several changes to one session, the last holds.
    pub sessions: BTreeMap<SessionId, SessionRow>,
    pub entries: Vec<EntryRow>,
    pub audit: Vec<AuditRow>,
    pub settings: Vec<SettingRow>,
}

/// A row of `audit`.
#[derive(Debug)]
pub(super) struct AuditRow {
    seq: u64,
    body: String,
    hash: String,
}

impl AuditRow {
    /// What is kept of an event.
    pub fn new(link: &mut Link) -> Self {
        let body = std::mem::take(&mut link.body);
        Self { seq: link.head.seq, body, hash: link.head.hash.clone() }
    }
}

impl Rows {
    /// Returns the statements with everything bound.
    pub fn query(self) -> Query<'static, Sqlite, SqliteArguments> {
        let mut query = sqlx::query(AssertSqlSafe(self.sql())).persistent(self.is_usual());
        for row in self.sessions.into_values() {
            query = query
                .bind(tail(&row.id).to_owned())
                .bind(row.id)
                .bind(row.state.as_str())
                .bind(row.reason)
                .bind(row.view)
                .bind(row.sum);
        }
        for row in self.entries {
            query = query.bind(row.session).bind(signed(row.place)).bind(row.entry).bind(row.sum);
        }
        for row in self.audit {
            query = query.bind(signed(row.seq)).bind(row.body).bind(row.hash);
        }
        for row in self.settings {
            query = query.bind(row.key).bind(row.value).bind(row.sum);
        }
        query
    }

    /// A larger group is prepared each time: its like is rarely seen again.
    fn is_usual(&self) -> bool {
        self.sessions.len() + self.entries.len() + self.audit.len() + self.settings.len() <= 64
    }

    fn sql(&self) -> String {
        let mut sql = String::from("BEGIN IMMEDIATE;");
        for _ in &self.sessions {
            sql.push_str(SESSION);
        }
        push_values(&mut sql, ENTRIES, "(?,?,?,?)", self.entries.len());
        push_values(&mut sql, AUDIT, "(?,?,?)", self.audit.len());
        for _ in &self.settings {
            sql.push_str(SETTING);
        }
        sql.push_str("COMMIT");
        sql
    }
}

fn push_values(sql: &mut String, insert: &str, values: &str, rows: usize) {
    for row in 0..rows {
        sql.push_str(if row == 0 { insert } else { "," });
        sql.push_str(values);
    }
    if rows > 0 {
        sql.push(';');
    }
}

const SESSION: &str = "INSERT INTO session (tail, id, state, reason, view, sum) \
    VALUES (?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE \
    SET state = excluded.state, view = excluded.view, sum = excluded.sum;";
const ENTRIES: &str = "INSERT INTO journal (session, place, entry, sum) VALUES ";
const AUDIT: &str = "INSERT INTO audit (seq, body, hash) VALUES ";
const SETTING: &str = "INSERT INTO setting (key, value, sum) VALUES (?,?,?) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum;";

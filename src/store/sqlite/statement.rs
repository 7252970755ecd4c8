//! One INSERT for a whole group of appends.
//!
//! A call of its own for each row would cost two changes of threads each. So every row of a group,
//! whatever it is, goes to SQLite in one statement, into the view `incoming`; its triggers put it
//! where it belongs. One statement is a transaction by itself: it is there as a whole or not at all,
//! and nothing has to be rolled back.

use sqlx::AssertSqlSafe;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use super::row::{EntryRow, RecordRow, SessionRow, SettingRow, signed, tail};
use crate::store::chain::Link;

/// The rows of a group, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Incoming>);

/// A row of `incoming`; what a kind does not have stays empty.
#[derive(Debug, Default)]
struct Incoming {
    kind: &'static str,
    number: i64,
    place: Option<i64>,
    id: Option<String>,
    tail: Option<String>,
    state: Option<&'static str>,
    reason: Option<String>,
    text: String,
    sum: Option<i64>,
}

impl Rows {
    /// Adds a new session. Its journal lines come after it, since they refer to it.
    pub fn add_session(&mut self, row: SessionRow) {
        self.0.push(Incoming {
            kind: "session",
            tail: Some(tail(&row.id).to_owned()),
            reason: Some(row.reason.clone()),
            ..Incoming::state(row)
        });
    }

    /// Adds a session that is in another state.
    pub fn add_state(&mut self, row: SessionRow) {
        self.0.push(Incoming::state(row));
    }

    /// Adds a journal line of a session.
    pub fn add_entry(&mut self, session: i64, row: EntryRow) {
        self.0.push(Incoming {
            kind: "entry",
            number: session,
            place: Some(signed(row.place)),
            text: row.entry,
            sum: Some(row.sum),
            ..Incoming::default()
        });
    }

    /// Adds an audit event.
    pub fn add_event(&mut self, link: &mut Link) {
        self.0.push(Incoming {
            kind: "audit",
            number: signed(link.head.seq),
            id: Some(link.head.hash.clone()),
            text: std::mem::take(&mut link.body),
            ..Incoming::default()
        });
    }

    /// Adds a record, or that it is taken out.
    pub fn add_record(&mut self, row: RecordRow) {
        self.0.push(Incoming {
            kind: if row.body.is_some() { "record" } else { "forgotten" },
            tail: Some(row.kind.to_owned()),
            id: Some(row.key),
            text: row.body.unwrap_or_default(),
            sum: Some(row.sum),
            ..Incoming::default()
        });
    }

    /// Adds a setting.
    pub fn add_setting(&mut self, row: SettingRow) {
        self.0.push(Incoming {
            kind: "setting",
            id: Some(row.key),
            text: row.value,
            sum: Some(row.sum),
            ..Incoming::default()
        });
    }

    /// Returns the statement with everything bound. Its text depends on nothing but the number of
    /// rows.
    pub fn query(self) -> Query<'static, Sqlite, SqliteArguments> {
        let rows = vec!["(?,?,?,?,?,?,?,?,?)"; self.0.len()].join(",");
        let sql = AssertSqlSafe(format!("INSERT INTO incoming VALUES {rows}"));
        let mut query = sqlx::query(sql).persistent(self.0.len() <= PREPARED_ROWS_MAX);
        for row in self.0 {
            query = query
                .bind(row.kind)
                .bind(row.number)
                .bind(row.place)
                .bind(row.id)
                .bind(row.tail)
                .bind(row.state)
                .bind(row.reason)
                .bind(row.text)
                .bind(row.sum);
        }
        query
    }
}

impl Incoming {
    fn state(row: SessionRow) -> Self {
        Self {
            kind: "state",
            number: row.number,
            id: Some(row.id),
            state: Some(row.state),
            text: row.view,
            sum: Some(row.sum),
            ..Self::default()
        }
    }
}

/// A larger group is prepared each time: its like is rarely seen again.
const PREPARED_ROWS_MAX: usize = 64;

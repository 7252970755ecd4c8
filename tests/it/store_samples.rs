//! Sessions to store, and the files they are stored in.

use std::path::{Path, PathBuf};

use breakglass::domain::audit_event::{Actor, AuditDraft};
use breakglass::domain::id::SessionId;
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::ProviderKind;
use breakglass::domain::request::NetworkPath;
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{SessionState, SessionView, Traffic};
use breakglass::session::{Entry, Fact};
use breakglass::store::sqlite::SqliteStore;
use breakglass::store::{Batch, SessionChange, Store, StoreError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

/// A state directory.
pub struct State {
    dir: tempfile::TempDir,
}

impl State {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    pub async fn open(&self) -> SqliteStore {
        self.try_open().await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn try_open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(self.dir()).await
    }

    /// What it says when it cannot be opened, with the directory taken out.
    pub async fn refusal(&self) -> String {
        match self.try_open().await {
            Ok(_) => "opened".to_owned(),
            Err(error) => error.to_string().replace(&self.dir().display().to_string(), "~"),
        }
    }

    /// Runs SQL behind the store's back.
    pub async fn tamper(&self, sql: &str) {
        let mut connection = self.connect().await;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A connection of somebody else.
    pub async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file());
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

/// A session that is written line by line.
#[derive(Clone)]
pub struct Written {
    pub view: SessionView,
    pub next: u64,
}

impl Written {
    pub fn new(number: u64) -> Self {
        Self { view: view(number), next: 0 }
    }

    /// One more line.
    pub fn line(&mut self) -> Batch {
        self.lines(1, self.view.state)
    }

    /// More lines, after which the session is in this state.
    pub fn lines(&mut self, count: u64, state: SessionState) -> Batch {
        self.view.state = state;
        let first = self.next;
        self.next += count;
        let entries = (first..self.next).map(entry).collect();
        Batch {
            session: Some(SessionChange { view: Box::new(self.view.clone()), first, entries }),
            ..Batch::at(wall())
        }
    }

    /// The journal as it must read back.
    pub fn journal(&self) -> (SessionId, Vec<Entry>) {
        (self.view.id, (0..self.next).map(entry).collect())
    }
}

/// A batch of audit events alone.
pub fn audit(descriptions: &[&str]) -> Batch {
    let draft = |text: &&str| AuditDraft::new("session.requested", *text, Actor::engine());
    let audit = descriptions.iter().map(draft).collect();
    Batch { audit, ..Batch::at(wall()) }
}

pub fn entry(place: u64) -> Entry {
    let fact = Fact::StepRefused { step: 0, why: format!("entry {place}: “no”\n") };
    Entry { at: wall().offset(place as i64), fact }
}

pub fn wall() -> Timestamp {
    Timestamp::from_millis(1_763_655_000_000)
}

/// A session whose id begins with its time and ends with its number.
pub fn view(number: u64) -> SessionView {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let requested_at = wall() + Span::from_seconds(number);
    SessionView {
        id: SessionId::new(requested_at, random),
        state: SessionState::Active,
        target: target(),
        path: NetworkPath {
            provider: "direct".parse().unwrap(),
            kind: ProviderKind::Direct,
            why: "it answers from here".into(),
        },
        reason: format!("INC-{}", number % 7),
        operator: Operator::unix(1_000, "ana"),
        requested_at,
        activated_at: Some(requested_at),
        lease: Span::from_minutes(30),
        lease_max: Span::from_minutes(60),
        lease_ends_at: Some(requested_at + Span::from_minutes(30)),
        ended_at: None,
        end_reason: None,
        end_detail: None,
        endpoint: None,
        command: None,
        steps: vec![],
        receipt: vec![],
        exit_card: vec![],
        traffic: Traffic::default(),

        audience: vec![],
        path_lost: None,
        live: vec![],
        path_losses: vec![],
        drill: false,
    }
}

fn target() -> Target {
    Target {
        id: "orders-db".parse().unwrap(),
        name: "Orders database".into(),
        site: None,
        kind: TargetKind::Postgres,
        address: "orders.internal:5432".parse().unwrap(),
        reachability: Reachability::Direct,
        user: None,
        database: None,
        listen: Listen::Loopback { port: None },
        idle: None,
        duration_max: None,
    }
}

/// Appends one by one.
pub async fn append_all(store: &SqliteStore, batches: impl IntoIterator<Item = Batch>) {
    for batch in batches {
        store.append(batch).await.unwrap_or_else(|error| panic!("{error}"));
    }
}

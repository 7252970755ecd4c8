//! What can only be brought about from inside.

use std::os::unix::fs::PermissionsExt as _;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::*;
use crate::domain::audit_event::{Actor, AuditDraft};
use crate::domain::time::Timestamp;

async fn run(connection: &mut sqlx::SqliteConnection, sql: &str) {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
}

fn audit(text: &str) -> Batch {
    let audit = vec![AuditDraft::new("session.requested", text, Actor::engine())];
    Batch { audit, ..Batch::at(Timestamp::default()) }
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A store of an older version, closed: one schema behind, with one event.
async fn older(dir: &Path) -> Place {
    let store = SqliteStore::open(dir).await.unwrap();
    store.append(audit("before")).await.unwrap();
    store.close().await;
    Place::in_dir(dir)
}

#[tokio::test]
async fn a_full_disk_is_told_and_with_room_again_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let place = older(dir.path()).await;
    let mut other = place.connect_writer().await.unwrap();
    run(&mut other, "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(200000))")
        .await;
    let mut connection = place.connect_writer().await.unwrap();
    // The limit is that of a connection, as a disk is full for whoever writes.
    run(&mut connection, "PRAGMA max_page_count = 80").await;
    let store = SqliteStore::with(connection, place).await.unwrap();

    let mut written = 1;
    let refused = loop {
        match store.append(audit(&"x".repeat(2_000))).await {
            Ok(_) => written += 1,
            Err(refused) => break refused,
        }
        assert!(written < 1_000, "the disk is never full");
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert_eq!(store.append(audit(&"x".repeat(9_000))).await, Err(refused));
    assert_eq!(store.audit_verify().await.unwrap().events, written, "what is there can be read");

    run(&mut other, "DROP TABLE ballast").await;
    other.close().await.unwrap();
    store.append(audit("with room again")).await.unwrap();
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken), (written + 1, None), "nothing is lost or twice");
    store.close().await;
}

#[tokio::test]
async fn a_store_that_may_not_be_written_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let place = older(dir.path()).await;
    let mut connection = place.connect_writer().await.unwrap();
    run(&mut connection, "PRAGMA query_only = ON").await;
    let store = SqliteStore::with(connection, place).await.unwrap();
    let refused = store.append(audit("x")).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
    assert_eq!(store.audit_tail(10, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_older_schema_is_copied_before_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let place = older(dir.path()).await;
    let wall = Timestamp::from_millis(1_763_655_000_000);
    let next = [schema::MIGRATIONS, &["ALTER TABLE setting ADD COLUMN note TEXT"]].concat();
    let mut connection = place.connect_writer().await.unwrap();
    schema::migrate(&mut connection, &place, wall, &next).await.unwrap();
    schema::migrate(&mut connection, &place, wall, &next).await.unwrap();
    run(&mut connection, "SELECT note FROM setting").await;
    connection.close().await.unwrap();

    let copy = "store.db.backup-v2-20251120T161000000Z";
    assert_eq!(files(dir.path()), ["store.db", copy], "one copy, and nothing else is left");
    let copy = dir.path().join(copy);
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = SqliteStore::open(dir.path()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 3, known: 2, .. }), "{refused:?}");

    // The copy is a store of the version before, as it was.
    std::fs::rename(copy, place.path()).unwrap();
    let store = SqliteStore::open(dir.path()).await.unwrap();
    assert_eq!(store.audit_verify().await.unwrap().events, 1);
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = older(dir.path()).await;
    let broken = "CREATE TABLE half (x); ALTER TABLE nowhere ADD COLUMN y";
    let broken = [schema::MIGRATIONS, &[broken]].concat();
    let mut connection = place.connect_writer().await.unwrap();
    let refused =
        schema::migrate(&mut connection, &place, Timestamp::default(), &broken).await.unwrap_err();
    assert!(refused.to_string().contains("no such table: nowhere"), "{refused}");
    connection.close().await.unwrap();
    let store = SqliteStore::open(dir.path()).await.unwrap();
    store.append(audit("after")).await.unwrap();
    assert_eq!(store.audit_verify().await.unwrap().events, 2);
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_made_good() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["store.db.new", "store.db.new-wal", "store.db.new-shm"] {
        std::fs::write(dir.path().join(name), "half").unwrap();
    }
    let store = SqliteStore::open(dir.path()).await.unwrap();
    store.append(audit("first")).await.unwrap();
    store.close().await;
    assert_eq!(files(dir.path()), ["store.db"]);
}

#[tokio::test]
async fn what_is_acknowledged_was_synced() {
    let dir = tempfile::tempdir().unwrap();
    let place = older(dir.path()).await;
    let mut connection = place.connect_writer().await.unwrap();
    for (pragma, value) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
        let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
        let found: String =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, value, "{pragma}");
    }
}

//! The schema: made, checked, and brought up to date with a copy kept.
//!
//! Its version is the number of migrations that were run (`PRAGMA user_version`). A migration is
//! never changed once it was released; a new one is added behind it.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::files::{APPLICATION_ID, Found, Place};
use crate::domain::time::Timestamp;
use crate::store::StoreError;

/// Every migration, the first first.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/0001_first.sql"), include_str!("../migrations/0002_record.sql")];

/// Makes a new database.
///
/// It is made under another name and renamed once it is whole, so that a database that is half made
/// or empty is always a damaged one.
pub(super) async fn create(place: &Place) -> Result<(), StoreError> {
    let draft = place.beside(".new");
    for ending in ["", "-wal", "-shm", "-journal"] {
        draft.beside(ending).remove()?;
    }
    draft.make()?;
    let mut connection = draft.connect_writer().await?;
    let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
    run(&mut connection, &draft, AssertSqlSafe(mark)).await?;
    apply(&mut connection, &draft, 0, MIGRATIONS).await?;
    connection.close().await.map_err(|error| draft.error(&error))?;
    draft.sync()?;
    draft.rename_to(place)
}

/// Refuses a database that cannot be trusted, or is newer than this program, and leaves it as it is.
///
/// Reading everything takes a second for each gigabyte or so. It is done while the file is small;
/// of a large one, what sessions depend on is read after it was not closed as it should be. The
/// audit has its chain, and each stored text a check sum.
pub(super) async fn check(place: &Place, found: &Found) -> Result<(), StoreError> {
    // One that may write would fold the write-ahead file into the database as it is closed.
    let mut connection = place.connect_reader().await?;
    let checked = check_with(&mut connection, place, found).await;
    // Waited for, so that nothing of it is left when somebody puts the file right.
    connection.close().await.map_err(|error| place.error(&error))?;
    checked
}

async fn check_with(
    connection: &mut SqliteConnection,
    place: &Place,
    found: &Found,
) -> Result<(), StoreError> {
    version(connection, place, MIGRATIONS).await?;
    let checks: &[&'static str] = match (found.bytes <= SMALL_BYTES, found.closed) {
        (true, _) => &["PRAGMA quick_check(1)"],
        (false, true) => &[],
        (false, false) => &[
            "PRAGMA quick_check(session)",
            "PRAGMA quick_check(journal)",
            "PRAGMA quick_check(setting)",
        ],
    };
    for check in checks {
        let said: String = sqlx::query_scalar(*check)
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| place.error(&error))?;
        if said != "ok" {
            return Err(place.damaged(&said));
        }
    }
    Ok(())
}

/// Brings the schema up to date, after a copy was made.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    place: &Place,
    wall: Timestamp,
    migrations: &[&'static str],
) -> Result<(), StoreError> {
    let found = version(connection, place, migrations).await?;
    if found < migrations.len() {
        back_up(connection, place, found, wall).await?;
        apply(connection, place, found, migrations).await?;
    }
    Ok(())
}

/// How many of the migrations were run.
async fn version(
    connection: &mut SqliteConnection,
    place: &Place,
    migrations: &[&'static str],
) -> Result<usize, StoreError> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| place.error(&error))?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    match usize::try_from(found) {
        _ if found > known => Err(StoreError::Newer { path: place.shown(), found, known }),
        Err(_) | Ok(0) => Err(place.damaged("it has no schema")),
        Ok(found) => Ok(found),
    }
}

async fn apply(
    connection: &mut SqliteConnection,
    place: &Place,
    version: usize,
    migrations: &[&'static str],
) -> Result<(), StoreError> {
    for (number, migration) in migrations.iter().enumerate().skip(version) {
        let mut transaction =
            connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| place.error(&error))?;
        run(&mut transaction, place, *migration).await?;
        let reached = format!("PRAGMA user_version = {}", number + 1);
        run(&mut transaction, place, AssertSqlSafe(reached)).await?;
        transaction.commit().await.map_err(|error| place.error(&error))?;
    }
    Ok(())
}

/// Copies the database as it is to a file of its own.
async fn back_up(
    connection: &mut SqliteConnection,
    place: &Place,
    version: usize,
    wall: Timestamp,
) -> Result<(), StoreError> {
    let time: String = wall.to_rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    let copy = place.beside(&format!(".backup-v{version}-{time}"));
    copy.make()?;
    sqlx::query("VACUUM INTO ?1")
        .bind(copy.path().to_string_lossy().into_owned())
        .execute(connection)
        .await
        .map_err(|error| copy.error(&error))?;
    copy.sync()?;
    copy.sync_dir()
}

async fn run(
    connection: &mut SqliteConnection,
    place: &Place,
    sql: impl sqlx::SqlSafeStr + Send,
) -> Result<(), StoreError> {
    connection.execute(sqlx::raw_sql(sql)).await.map_err(|error| place.error(&error))?;
    Ok(())
}

/// Up to here a full check takes some milliseconds.
const SMALL_BYTES: u64 = 4 * 1024 * 1024;

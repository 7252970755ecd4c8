//! A damaged file is refused or says what is wrong, and is never changed or moved.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};

use breakglass::domain::audit_event::AuditEvent;
use breakglass::domain::id::SessionId;
use breakglass::protocol::{SessionQuery, SessionState, SessionView};
use breakglass::session::Entry;
use breakglass::store::sqlite::SqliteStore;
use breakglass::store::{Batch, RecordKind, Store, StoreError};

use crate::store_samples::{State, Written, append_all, audit};

/// Everything that must never be read wrong.
#[derive(Debug, PartialEq)]
struct Content {
    journals: Vec<(SessionId, Vec<Entry>)>,
    sessions: Vec<SessionView>,
    audit: Vec<AuditEvent>,
    setting: Option<String>,
}

async fn content(store: &SqliteStore) -> Result<Content, StoreError> {
    let query = SessionQuery { ended: true, limit: 1_000, ..SessionQuery::default() };
    let verdict = store.audit_verify().await?;
    if let Some((seq, why)) = verdict.broken {
        return Err(StoreError::Damaged { path: String::new(), why: format!("{seq}: {why}") });
    }
    Ok(Content {
        journals: store.open_journals().await?,
        sessions: store.sessions(query).await?,
        audit: store.audit_tail(1_000, None).await?,
        setting: store.setting("installation").await?,
    })
}

/// A store with something in each table, closed.
async fn filled() -> (State, Content) {
    let state = State::new();
    let store = state.open().await;
    for number in 0..12 {
        let mut session = Written::new(number);
        let over = if number % 3 == 0 { SessionState::Ended } else { SessionState::Active };
        let batch =
            Batch { audit: audit(&["requested", "activated"]).audit, ..session.lines(9, over) };
        append_all(&store, [batch]).await;
    }
    let setting = vec![("installation".to_owned(), "abc234".to_owned())];
    append_all(&store, [Batch { settings: setting, ..audit(&[]) }]).await;
    let content = content(&store).await.unwrap();
    store.close().await;
    (state, content)
}

#[tokio::test]
async fn every_damaged_page_is_noticed_or_harmless() {
    let (state, whole) = filled().await;
    let good = fs::read(state.file()).unwrap();
    let page_bytes = 4_096;
    let pages = good.len() / page_bytes;
    assert!(pages > 10, "{pages} pages are worth damaging");
    let mut noticed = 0;
    for page in 0..pages {
        for damage in 0..6_usize {
            let mut bad = good.clone();
            let at = page * page_bytes;
            match damage {
                0 => bad[at..at + page_bytes].fill(0),
                1 => bad[at..at + page_bytes].fill(0xa5),
                2 => bad.copy_within(0..page_bytes, at),
                // One bit, in the page's own header and in three places of its content.
                3 => bad[at + if page == 0 { 103 } else { 3 }] ^= 1,
                _ => bad[at + page_bytes - damage * 97] ^= 0x10,
            }
            fs::write(state.file(), &bad).unwrap();
            let read = match state.try_open().await {
                Err(error) => Err(error),
                Ok(store) => {
                    let read = content(&store).await;
                    store.close().await;
                    read
                }
            };
            match read {
                Ok(read) => assert!(read == whole, "page {page}, damage {damage}: read wrong"),
                Err(StoreError::Damaged { .. }) => noticed += 1,
                Err(other) => panic!("page {page}, damage {damage}: {other:?}"),
            }
            assert!(fs::read(state.file()).unwrap() == bad, "page {page}: it was changed");
        }
    }
    assert!(noticed > pages * 3, "{noticed} of {}", pages * 6);
}

#[tokio::test]
async fn a_file_cut_short_is_refused() {
    let (state, _) = filled().await;
    let good = fs::read(state.file()).unwrap();
    for length in [1, 50, 99, 100, 512, 4_095, 4_096, 8_192, good.len() / 2, good.len() - 1] {
        fs::write(state.file(), &good[..length]).unwrap();
        let refused = state.try_open().await.err();
        assert!(matches!(refused, Some(StoreError::Damaged { .. })), "{length}: {refused:?}");
        assert!(fs::read(state.file()).unwrap() == good[..length], "{length}");
    }
}

#[tokio::test]
async fn what_is_no_store_of_ours_is_refused_and_left_alone() {
    let state = State::new();
    let mut said = Vec::new();
    let mut tell = async |what: &str| {
        let before = fs::read(state.file()).ok();
        said.push(format!("{what}: {}", state.refusal().await));
        assert_eq!(fs::read(state.file()).ok(), before, "{what}");
        if state.file().is_dir() {
            fs::remove_dir(state.file()).unwrap();
        } else {
            fs::remove_file(state.file()).unwrap();
        }
    };
    fs::write(state.file(), "").unwrap();
    tell("empty").await;
    fs::write(state.file(), "x".repeat(5_000)).unwrap();
    tell("a text").await;
    fs::create_dir(state.file()).unwrap();
    tell("a directory").await;
    rustix::fs::mkfifoat(rustix::fs::CWD, state.file(), rustix::fs::Mode::RWXU).unwrap();
    tell_fifo(&state).await;
    let (other, _) = filled().await;
    symlink(other.file(), state.file()).unwrap();
    tell("a link").await;
    let open =
        sqlx::sqlite::SqliteConnectOptions::new().filename(state.file()).create_if_missing(true);
    let mut connection =
        <sqlx::sqlite::SqliteConnection as sqlx::Connection>::connect_with(&open).await.unwrap();
    sqlx::query("CREATE TABLE theirs (x)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    tell("another program's").await;
    other.tamper("PRAGMA user_version = 99").await;
    fs::copy(other.file(), state.file()).unwrap();
    tell("a newer version's").await;
    other.tamper("PRAGMA user_version = 0").await;
    fs::copy(other.file(), state.file()).unwrap();
    tell("without a schema").await;
    fs::write(state.file().with_file_name("store.db-wal"), "left over").unwrap();
    said.push(format!("gone: {}", state.refusal().await));
    insta::assert_snapshot!(said.join("\n"), @r"
        empty: `~/store.db` is damaged: it has only 0 bytes
        a text: `~/store.db` is damaged: it is no SQLite database
        a directory: `~/store.db` is damaged: it is not a regular file
        a link: `~/store.db` cannot be used: it is a link
        another program's: `~/store.db` is damaged: it is the database of another program
        a newer version's: `~/store.db` was written by a newer version (schema 99, this one knows 2)
        without a schema: `~/store.db` is damaged: it has no schema
        gone: `~/store.db` is damaged: it is gone, but its write-ahead file is still there
    ");
}

async fn tell_fifo(state: &State) {
    assert_eq!(state.refusal().await, "`~/store.db` is damaged: it is not a regular file");
    fs::remove_file(state.file()).unwrap();
}

#[tokio::test]
async fn what_a_crash_left_opens_and_holds() {
    let state = State::new();
    let store = state.open().await;
    let mut session = Written::new(1);
    for _ in 0..20 {
        let batch = Batch { audit: audit(&["line"]).audit, ..session.line() };
        append_all(&store, [batch]).await;
    }
    // What is on the disk at this moment is what a crash would leave; a copy needs no -shm.
    let database = fs::read(state.file()).unwrap();
    let wal = fs::read(state.file().with_file_name("store.db-wal")).unwrap();
    assert!(wal.len() > 20 * 4_096, "everything is in the write-ahead file");
    let after = State::new();
    for cut in [wal.len(), wal.len() - 1, wal.len() / 2, 4_000, 32, 1, 0] {
        fs::write(after.file(), &database).unwrap();
        fs::write(after.file().with_file_name("store.db-wal"), &wal[..cut]).unwrap();
        let store = after.open().await;
        let verdict = store.audit_verify().await.unwrap();
        assert_eq!(verdict.broken, None, "{cut}");
        let lines: usize =
            store.open_journals().await.unwrap().iter().map(|(_, entries)| entries.len()).sum();
        assert_eq!(lines as u64, verdict.events, "{cut}: decisions are whole");
        if cut == wal.len() {
            assert_eq!(lines, 20, "nothing that was acknowledged is lost");
        }
        store.close().await;
    }
    store.close().await;
}

#[tokio::test]
async fn a_flipped_bit_in_the_write_ahead_file_takes_nothing_with_it_but_the_end() {
    let state = State::new();
    let store = state.open().await;
    let mut session = Written::new(1);
    for _ in 0..20 {
        append_all(&store, [session.line()]).await;
    }
    let after = State::new();
    let wal = after.file().with_file_name("store.db-wal");
    fs::copy(state.file(), after.file()).unwrap();
    fs::copy(state.file().with_file_name("store.db-wal"), &wal).unwrap();
    let file = fs::File::options().read(true).write(true).open(&wal).unwrap();
    let mut byte = [0];
    let middle = file.metadata().unwrap().len() / 2;
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 4], middle).unwrap();
    let store = after.open().await;
    let journals = store.open_journals().await.unwrap();
    let lines = journals[0].1.len();
    assert!((1..20).contains(&lines), "{lines}");
    assert_eq!(journals[0].1, session.journal().1[..lines]);
}

#[tokio::test]
async fn a_damaged_file_is_left_as_a_crash_left_it() {
    let (state, _) = filled().await;
    let store = state.open().await;
    append_all(&store, [Written::new(99).line()]).await;
    let after = State::new();
    let wal = after.file().with_file_name("store.db-wal");
    let mut database = fs::read(state.file()).unwrap();
    let written = fs::read(state.file().with_file_name("store.db-wal")).unwrap();
    let middle = database.len() / 2 / 4_096 * 4_096;
    database[middle..middle + 4_096].fill(0xa5);
    for newer in [false, true] {
        if newer {
            database = fs::read(state.file()).unwrap();
        }
        fs::write(after.file(), &database).unwrap();
        fs::write(&wal, &written).unwrap();
        if newer {
            let mut connection = after.connect().await;
            sqlx::query("PRAGMA user_version = 7").execute(&mut connection).await.unwrap();
            // Killed: what it wrote is in the write-ahead file, and stays there.
            std::mem::forget(connection);
        }
        let before = (fs::read(after.file()).unwrap(), fs::read(&wal).unwrap());
        let refused = after.try_open().await.err();
        assert!(matches!(refused, Some(StoreError::Damaged { .. } | StoreError::Newer { .. })));
        assert_eq!(matches!(refused, Some(StoreError::Newer { .. })), newer, "{refused:?}");
        assert!((fs::read(after.file()).unwrap(), fs::read(&wal).unwrap()) == before);
    }
}

#[tokio::test]
async fn a_stored_text_that_was_changed_is_not_believed() {
    let (state, _) = filled().await;
    state
        .tamper(
            "DROP TRIGGER journal_unchanged; UPDATE journal SET entry = replace(entry, '“no”', '“si”') \
             WHERE place = 4; UPDATE session SET view = replace(view, 'INC-1', 'INC-9'); \
             UPDATE setting SET value = 'xyz'; \
             INSERT INTO record VALUES ('account', 'eve', '{}', 7)",
        )
        .await;
    let store = state.open().await;
    let query = SessionQuery { ended: true, limit: 1_000, ..SessionQuery::default() };
    let mut said = Vec::new();
    said.extend(store.open_journals().await.err());
    said.extend(store.sessions(query).await.err());
    said.extend(store.setting("installation").await.err());
    said.extend(store.records(RecordKind::Account).await.err());
    let said: Vec<_> = said
        .iter()
        .map(|error| error.to_string().replace(&state.dir().display().to_string(), "~"))
        .collect();
    assert_eq!(said.len(), 4);
    for (said, what) in said.iter().zip([
        "entry 4 of session",
        "session 0",
        "setting `installation`",
        "account `eve`",
    ]) {
        assert!(said.contains(&format!("is damaged: {what}")), "{said}");
        assert!(said.ends_with("is not as it was written"), "{said}");
    }
}

#[tokio::test]
async fn a_lost_journal_line_is_not_passed_over() {
    for place in [0, 4, 8] {
        let (state, _) = filled().await;
        let sql = format!("DROP TRIGGER journal_kept; DELETE FROM journal WHERE place = {place}");
        state.tamper(&sql).await;
        let store = state.open().await;
        let lost = store.open_journals().await;
        if place == 8 {
            // Without its last line a journal is still one; then the next line does not fit.
            let mut session = Written { next: 9, ..Written::new(1) };
            assert!(matches!(store.append(session.line()).await, Err(StoreError::Gap { .. })));
        } else {
            assert!(matches!(lost, Err(StoreError::Damaged { .. })), "{place}: {lost:?}");
        }
    }
    let (state, _) = filled().await;
    state.tamper("DROP TRIGGER journal_kept; DELETE FROM journal").await;
    let lost = state.open().await.open_journals().await;
    assert!(matches!(lost, Err(StoreError::Damaged { .. })), "a session without any: {lost:?}");
}

#[tokio::test]
async fn others_are_kept_out_of_what_they_could_read() {
    let (state, whole) = filled().await;
    fs::set_permissions(state.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let store = state.open().await;
    assert_eq!(content(&store).await.unwrap(), whole);
    assert_eq!(fs::metadata(state.file()).unwrap().permissions().mode() & 0o777, 0o600);
    store.close().await;
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(state.file(), Some(4_242), None).unwrap();
        assert_eq!(
            state.refusal().await,
            "`~/store.db` cannot be used: it belongs to another user"
        );
    }
}

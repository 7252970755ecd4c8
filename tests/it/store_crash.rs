//! What a store goes through that is killed, or has no room, or may not write.
//!
//! Each of these needs a process of its own: the test binary starts itself again with the name of
//! a part to play.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use breakglass::store::sqlite::SqliteStore;
use breakglass::store::{Batch, Store, StoreError};
use rustix::process::{Resource, Rlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::store_samples::{State, Written, append_all, audit};

const PART: &str = "BREAKGLASS_TEST_PART";
const DIR: &str = "BREAKGLASS_TEST_DIR";
const WRITERS: u64 = 4;
const KILLS: u64 = 20;

/// Starts this binary again to play a part in a state directory.
fn play(part: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store_crash::the_other_process", "--nocapture"])
        .env(PART, part)
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Plays a part to its end and returns what it told.
fn played(part: &str, dir: &Path) -> Vec<String> {
    let child = play(part, dir);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{part}: {output:?}");
    told(BufReader::new(&*output.stdout))
}

/// The lines that the other process told; the test runner talks in between.
fn told(output: impl std::io::BufRead) -> Vec<String> {
    output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("tells ").map(|(_, line)| line.to_owned()))
        .collect()
}

fn tell(line: &str) {
    println!("tells {line}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a part is given to another process by its name")]
fn the_other_process() {
    let Ok(part) = std::env::var(PART) else { return };
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    match part.as_str() {
        "write" => write_until_killed(&dir),
        "limited" => alone(with_a_limit(&dir)),
        "umask 000" => alone(under_umask(&dir, 0)),
        "umask 777" => alone(under_umask(&dir, 0o777)),
        "read-only" => without_leave_to_write(&dir),
        other => panic!("there is no part `{other}`"),
    }
}

fn alone(part: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(part);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn write_until_killed(dir: &Path) {
    let store = std::sync::Arc::new(SqliteStore::open(dir).await.unwrap());
    let journals: BTreeMap<_, _> = store.open_journals().await.unwrap().into_iter().collect();
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let mut session = Written::new(number);
        session.next = journals.get(&session.view.id).map_or(0, Vec::len) as u64;
        let store = std::sync::Arc::clone(&store);
        writers.spawn(async move {
            loop {
                let batch = Batch { audit: audit(&["line"]).audit, ..session.line() };
                store.append(batch).await.unwrap();
                tell(&format!("{number} {}", session.next));
            }
        });
    }
    writers.join_all().await;
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_a_kill() {
    let state = State::new();
    let mut acknowledged = BTreeMap::new();
    for kill in 0..KILLS {
        let mut child = play("write", state.dir());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        // Killed after it has told so much: each time somewhere else in its work.
        let mut lines = String::new();
        for _ in 0..3 + kill * 7 {
            output.read_line(&mut lines).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in told(lines.as_bytes()).into_iter().chain(told(output)) {
            let (number, length) = line.split_once(' ').unwrap();
            acknowledged.insert(number.parse::<u64>().unwrap(), length.parse::<u64>().unwrap());
        }
        alone(check(&state, &acknowledged));
    }
    assert_eq!(acknowledged.len() as u64, WRITERS, "each of them got somewhere");
}

async fn check(state: &State, acknowledged: &BTreeMap<u64, u64>) {
    let store = state.open().await;
    let journals: BTreeMap<_, _> = store.open_journals().await.unwrap().into_iter().collect();
    let mut lines = 0;
    for (number, length) in acknowledged {
        let mut session = Written::new(*number);
        let journal = &journals[&session.view.id];
        assert!(journal.len() as u64 >= *length, "{} of {length}", journal.len());
        session.next = journal.len() as u64;
        assert_eq!(*journal, session.journal().1);
    }
    for journal in journals.values() {
        lines += journal.len() as u64;
    }
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!((verdict.broken, verdict.events), (None, lines), "a decision is whole or not there");
    // Not closed: the next one finds it as a crash leaves it.
}

async fn with_a_limit(dir: &Path) {
    // Without a handler, the limit would kill; with one, a write fails with EFBIG.
    let _handler = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).unwrap();
    let whole = rustix::process::getrlimit(Resource::Fsize);
    let store = SqliteStore::open(dir).await.unwrap();
    let mut session = Written::new(1);
    append_all(&store, [session.line()]).await;
    let small = Rlimit { current: Some(100_000), ..whole };
    rustix::process::setrlimit(Resource::Fsize, small).unwrap();
    let error = loop {
        let before = session.clone();
        match store.append(session.line()).await {
            Ok(_) => {}
            Err(error) => {
                session = before;
                break error;
            }
        }
    };
    tell(&error.to_string().replace(&dir.display().to_string(), "~"));
    let again = session.clone().line();
    assert_eq!(store.append(again).await, Err(error), "it is not taken for written");
    assert_eq!(store.open_journals().await.unwrap(), [session.journal()], "it can be read");
    rustix::process::setrlimit(Resource::Fsize, whole).unwrap();
    append_all(&store, [session.line(), session.line()]).await;
    assert_eq!(store.open_journals().await.unwrap(), [session.journal()]);
    tell("went on");
}

#[test]
fn an_error_of_the_disk_is_told_and_once_it_is_gone_the_store_goes_on() {
    let state = State::new();
    let told = played("limited", state.dir());
    insta::assert_snapshot!(told.join("\n"), @r"
        no space is left for `~/store.db`
        went on
    ");
    alone(async {
        let verdict = state.open().await.audit_verify().await.unwrap();
        assert_eq!(verdict.broken, None);
    });
}

async fn under_umask(dir: &Path, umask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    let store = SqliteStore::open(dir).await.unwrap();
    append_all(&store, [Written::new(1).line()]).await;
    store.ended_total().await.unwrap();
    let mut modes: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            format!("{mode:03o} {}", entry.file_name().display())
        })
        .collect();
    modes.sort();
    tell(&modes.join(", "));
}

#[test]
fn every_file_is_for_us_alone_under_any_umask() {
    for umask in ["umask 000", "umask 777"] {
        let state = State::new();
        let told = played(umask, state.dir());
        assert_eq!(told, ["600 store.db, 600 store.db-shm, 600 store.db-wal"], "{umask}");
    }
}

/// Without rights of its own, as root would have them.
fn without_leave_to_write(dir: &Path) {
    if rustix::process::getuid().is_root() {
        let nobody = rustix::thread::Uid::from_raw(NOBODY);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
    }
    alone(async {
        let refused = SqliteStore::open(dir).await.unwrap_err();
        assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused:?}");
        tell(&refused.to_string().replace(&dir.display().to_string(), "~"));
    });
}

#[test]
fn a_state_that_may_not_be_written_is_refused() {
    let state = State::new();
    alone(async { state.open().await.close().await });
    let before = fs::read(state.file()).unwrap();
    if rustix::process::getuid().is_root() {
        for path in [state.dir(), &state.file()] {
            std::os::unix::fs::chown(path, Some(NOBODY), None).unwrap();
        }
    }
    fs::set_permissions(state.dir(), fs::Permissions::from_mode(0o500)).unwrap();
    let told = played("read-only", state.dir());
    insta::assert_snapshot!(told.join("\n"), @"`~/store.db` cannot be written: read-only");
    assert!(fs::read(state.file()).unwrap() == before);
    fs::set_permissions(state.dir(), fs::Permissions::from_mode(0o700)).unwrap();
}

const NOBODY: u32 = 65_534;

//! One state, one engine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use breakglass::store::lock::{LockError, StateLock};

fn state() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_second_engine_is_refused_and_told_who_holds_it() {
    let dir = state();
    let lock = StateLock::acquire(dir.path()).unwrap();
    let Err(LockError::Held { pid, .. }) = StateLock::acquire(dir.path()) else {
        panic!("two hold it");
    };
    assert_eq!(pid, Some(std::process::id()));
    let words = StateLock::acquire(dir.path()).unwrap_err().to_string();
    let words = words.replace(&dir.path().display().to_string(), "~");
    let words = words.replace(&std::process::id().to_string(), "PID");
    insta::assert_snapshot!(words, @"the state in `~` is in use by another engine (process PID)");
    drop(lock);
    StateLock::acquire(dir.path()).unwrap();
}

#[test]
fn what_the_file_says_decides_nothing() {
    let dir = state();
    for text in ["1\n", "4194304\n", "", "nonsense\u{1b}[2J", &"9".repeat(100_000)] {
        fs::write(dir.path().join("lock"), text).unwrap();
        drop(StateLock::acquire(dir.path()).unwrap());
    }
    let lock = StateLock::acquire(dir.path()).unwrap();
    fs::write(dir.path().join("lock"), "\u{1b}[2J").unwrap();
    let held = StateLock::acquire(dir.path()).unwrap_err();
    assert!(matches!(held, LockError::Held { pid: None, .. }), "{held:?}");
    drop(lock);
}

#[test]
fn the_lock_goes_with_its_descriptor() {
    let dir = state();
    let fd = StateLock::acquire(dir.path()).unwrap().into_fd();
    assert!(matches!(StateLock::acquire(dir.path()), Err(LockError::Held { .. })));
    // A copy, as another process would get it.
    let copy = fd.try_clone().unwrap();
    let lock = StateLock::from_fd(copy, dir.path()).unwrap();
    drop(fd);
    assert!(matches!(StateLock::acquire(dir.path()), Err(LockError::Held { .. })));
    drop(lock);
    drop(StateLock::acquire(dir.path()).unwrap());
}

#[test]
fn a_descriptor_of_something_else_is_no_lock() {
    let dir = state();
    let other = state();
    drop(StateLock::acquire(dir.path()).unwrap());
    let fd = StateLock::acquire(other.path()).unwrap().into_fd();
    let refused = StateLock::from_fd(fd, dir.path()).unwrap_err().to_string();
    assert!(refused.ends_with("what was handed over is another file"), "{refused}");

    let lock = StateLock::acquire(dir.path()).unwrap();
    let unlocked =
        fs::File::options().read(true).write(true).open(dir.path().join("lock")).unwrap();
    let refused = StateLock::from_fd(unlocked.into(), dir.path()).unwrap_err();
    assert!(matches!(refused, LockError::Held { .. }), "somebody else holds it: {refused:?}");
    drop(lock);
}

#[test]
fn a_lock_that_cannot_be_is_refused_at_once() {
    let dir = state();
    let path = dir.path().join("lock");
    let refused = || {
        let words = StateLock::acquire(dir.path()).unwrap_err().to_string();
        words.replace(&dir.path().display().to_string(), "~")
    };
    let mut said = Vec::new();
    symlink("/dev/null", &path).unwrap();
    said.push(refused());
    fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    said.push(refused());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    said.push(refused());
    fs::remove_dir(&path).unwrap();
    insta::assert_snapshot!(said.join("\n"), @r"
        `~/lock` cannot be locked: it is a link
        `~/lock` cannot be locked: it is not a regular file
        `~/lock` cannot be locked: Is a directory (os error 21)
    ");
    drop(StateLock::acquire(dir.path()).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let nowhere = dir.path().join("none");
    assert!(matches!(StateLock::acquire(&nowhere), Err(LockError::Io { .. })));
}

//! The state lock: whoever holds it is the one engine of a state directory.
//!
//! It is a flock(2) on the file `lock`. Such a lock belongs to the open file, not to a process: it
//! goes away with the last descriptor, also when the process is killed, and it can be given to
//! another process by giving it the descriptor. What the file says (the process that holds it) is
//! for people; it decides nothing.
//!
//! The file is never deleted: between the deletion and the next lock, two could hold it.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::domain::text::shown;

/// The lock, for as long as this lives or a copy of its descriptor does.
#[derive(Debug)]
pub struct StateLock {
    file: File,
}

/// Why there is no lock.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LockError {
    /// Another engine holds it.
    #[error("the state in `{dir}` is in use by another engine{}", process(*.pid))]
    Held {
        /// The state directory.
        dir: String,
        /// The process, as far as the file says so.
        pid: Option<u32>,
    },
    /// The file cannot be used.
    #[error("`{path}` cannot be locked: {why}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
}

impl StateLock {
    /// Takes the lock of a state directory, or says who holds it. Never waits.
    ///
    /// # Errors
    ///
    /// When somebody holds it, or the file is not a regular file of ours.
    pub fn acquire(state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join(FILE);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)
            .map_err(|error| match error {
                Errno::LOOP => refused(&path, "it is a link"),
                other => failed(&path, other),
            })?;
        Self::of(file, &path)
    }

    /// Takes over a lock whose descriptor another process gave to this one.
    ///
    /// # Errors
    ///
    /// When the descriptor is not that of the lock of this state directory, or is not locked and
    /// somebody else holds the lock.
    pub fn from_fd(fd: OwnedFd, state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join(FILE);
        let expected = rustix::fs::stat(&path).map_err(|error| failed(&path, error))?;
        let found = rustix::fs::fstat(&fd).map_err(|error| failed(&path, error))?;
        if (found.st_dev, found.st_ino) != (expected.st_dev, expected.st_ino) {
            return Err(refused(&path, "what was handed over is another file"));
        }
        Self::of(fd, &path)
    }

    /// Reads where the engine of a state directory listens, or listened last, without touching
    /// the lock.
    #[must_use]
    pub fn socket_of(state_dir: &Path) -> Option<PathBuf> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(state_dir.join(FILE), flags, Mode::empty()).ok()?;
        let path = PathBuf::from(read(&mut File::from(file)).lines().nth(1)?);
        path.is_absolute().then_some(path)
    }

    /// Reads who holds the lock of a state directory, or held it last, without touching the lock.
    #[must_use]
    pub fn holder_of(state_dir: &Path) -> Option<u32> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(state_dir.join(FILE), flags, Mode::empty()).ok()?;
        holder(&mut File::from(file))
    }

    /// True when somebody holds the lock, as the kernel tells (proc_locks(5)), without touching it:
    /// a try to take it could get in the way of an engine that starts.
    #[must_use]
    pub fn is_held(state_dir: &Path) -> bool {
        let Ok(stat) = rustix::fs::stat(state_dir.join(FILE)) else { return false };
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let wanted = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
        std::fs::read_to_string("/proc/locks").is_ok_and(|locks| names(&locks, &wanted))
    }

    /// Writes down where the engine that holds the lock listens: another login of the same user may
    /// have another runtime directory, or none.
    pub fn listens_on(&mut self, socket: &Path) {
        sign(&mut self.file, socket.to_str());
    }

    /// Gives up the lock to whoever gets the descriptor.
    ///
    /// It is closed when a program is executed; the caller decides how it is passed on.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.file.into()
    }

    fn of(fd: OwnedFd, path: &Path) -> Result<Self, LockError> {
        let stat = rustix::fs::fstat(&fd).map_err(|error| failed(path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused(path, "it is not a regular file"));
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(refused(path, "it belongs to another user"));
        }
        let mut file = File::from(fd);
        match rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let dir = path.parent().unwrap_or(path).to_string_lossy();
                return Err(LockError::Held { dir: shown(&dir), pid: holder(&mut file) });
            }
            Err(other) => return Err(failed(path, other)),
        }
        sign(&mut file, None);
        Ok(Self { file })
    }
}

/// True when a list of locks names one that is held on a file, not merely waited for.
fn names(locks: &str, wanted: &str) -> bool {
    let words = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
    locks.lines().map(words).any(|words| {
        let is = |place: usize, word: &str| words.get(place).is_some_and(|it| it == word);
        is(1, "FLOCK") && is(5, wanted)
    })
}

/// Writes down who holds the lock, and where they listen.
///
/// Where that fails, on a full disk say, the lock holds all the same.
fn sign(file: &mut File, socket: Option<&str>) {
    let text = format!("{}\n{}\n", std::process::id(), socket.unwrap_or_default());
    let written = file
        .rewind()
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.set_len(text.len() as u64));
    if let Err(error) = written {
        tracing::debug!(%error, "the lock does not say who holds it");
    }
}

/// Reads who holds the lock; nothing where they have not written it yet.
fn holder(file: &mut File) -> Option<u32> {
    read(file).lines().next()?.parse().ok()
}

fn read(file: &mut File) -> String {
    let mut text = String::new();
    // What cannot be read says nothing.
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok();
    text
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn failed(path: &Path, error: Errno) -> LockError {
    refused(path, &std::io::Error::from(error).to_string())
}

fn refused(path: &Path, why: &str) -> LockError {
    LockError::Io { path: shown(&path.to_string_lossy()), why: why.to_owned() }
}

const FILE: &str = "lock";
const HOLDER_BYTES_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lock_that_is_held_on_the_file_counts() {
        let locks = "\
            1: FLOCK  ADVISORY  WRITE 4242 fe:00:77 0 EOF\n\
            1: -> FLOCK  ADVISORY  WRITE 4243 fe:00:78 0 EOF\n\
            2: POSIX  ADVISORY  READ 4244 fe:00:79 128 128\n";
        assert!(names(locks, "fe:00:77"));
        for other in ["fe:00:78", "fe:00:79", "fe:00:7", "fe:01:77"] {
            assert!(!names(locks, other), "{other}");
        }
    }

    #[test]
    fn a_lock_is_seen_without_being_touched() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!StateLock::is_held(dir.path()), "there is no file yet");
        let mut lock = StateLock::acquire(dir.path()).unwrap();
        lock.listens_on(Path::new("/run/x/engine.sock"));
        assert!(StateLock::is_held(dir.path()));
        assert_eq!(StateLock::holder_of(dir.path()), Some(std::process::id()));
        assert_eq!(StateLock::socket_of(dir.path()), Some("/run/x/engine.sock".into()));
        drop(lock);
        assert!(!StateLock::is_held(dir.path()));
    }
}

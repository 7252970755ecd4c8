//! A vault in a sealed file, where no keyring can be used.
//!
//! ```text
//! put: lock the directory -> read, check, open -> change -> new file, 0600 -> fsync
//!      -> rename over the old one -> fsync the directory -> unlock
//! ```
//!
//! 1. What is in memory is the derived key, never the passphrase and never a secret: every call
//!    reads the file, so what another process wrote counts at once.
//! 2. One writes at a time, over all processes: the directory of the file is locked (flock(2)).
//! 3. The file is replaced whole. A half-written one lies beside it under a name that nobody reads,
//!    and whoever writes next takes it away.
//! 4. A link, a foreign file, or one that others may read or write is refused, and left as it is.
//! 5. Hashing and files block, so both are done in threads that may.
//!
//! What is deliberately absent: a check of the directory. It is the state directory, which only its
//! owner may enter; whoever makes that answers for it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::sealed::{self, Cost, SEALED_BYTES_MAX, SealKey, Sealed, Secrets};
use super::work::{aside, random};
use super::{Vault, VaultError};
use crate::clock::Stopwatch;
use crate::domain::id::SecretName;
use crate::domain::secret::Secret;
use crate::domain::text::shown;
use crate::domain::time::Span;
use crate::domain::vault::{Backend, VaultState, VaultStatus};

/// A vault in a sealed file.
#[derive(Debug)]
pub struct SealedFile {
    opened: Arc<Opened>,
    /// Held by the one call that hashes or writes; others wait for it without a thread.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Where the file is, and the key while it is open.
#[derive(Debug)]
struct Opened {
    path: PathBuf,
    uid: u32,
    cost: Cost,
    why: String,
    key: Mutex<Option<SealKey>>,
}

impl SealedFile {
    /// A vault in the file at `path`, which belongs to `uid` or does not exist yet. Its directory
    /// exists and is private. `cost` is what a new passphrase costs to guess; an older file keeps
    /// its own until its passphrase is changed. `why` tells people why it is not the keyring.
    #[must_use]
    pub fn new(path: PathBuf, uid: u32, cost: Cost, why: impl Into<String>) -> Self {
        let key = Mutex::new(None);
        let opened = Opened { path, uid, cost, why: why.into(), key };
        Self { opened: Arc::new(opened), turn: Arc::default() }
    }

    /// Does what reads, and is quick, in a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Opened) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let opened = Arc::clone(&self.opened);
        aside(move || work(&opened)).await
    }

    /// Does what hashes or writes. The turn goes into the thread: a caller who stops waiting does
    /// not let the next one in before this one is done.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Opened) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let opened = Arc::clone(&self.opened);
        aside(move || {
            let done = work(&opened);
            drop(turn);
            done
        })
        .await
    }
}

#[async_trait]
impl Vault for SealedFile {
    async fn status(&self) -> VaultStatus {
        let failed = |error: VaultError| VaultStatus {
            backend: Backend::File,
            state: VaultState::Locked,
            detail: error.to_string(),
            names: vec![],
        };
        self.read(|opened| Ok(opened.status())).await.unwrap_or_else(failed)
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError> {
        let name = name.clone();
        self.read(move |opened| Ok(opened.secrets()?.0.remove(&name))).await
    }

    async fn put(&self, name: &SecretName, secret: &Secret) -> Result<(), VaultError> {
        sealed::check_secret(secret)?;
        let (name, secret) = (name.clone(), secret.clone());
        self.write(move |opened| opened.change(|secrets| drop(secrets.insert(name, secret)))).await
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        let name = name.clone();
        self.write(move |opened| opened.change(|secrets| drop(secrets.remove(&name)))).await
    }

    async fn unlock(&self, passphrase: &Secret) -> Result<(), VaultError> {
        let passphrase = passphrase.clone();
        self.write(move |opened| opened.unlock(&passphrase)).await
    }

    fn is_unlocked(&self) -> bool {
        self.opened.key.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    async fn key(&self) -> Option<Secret> {
        let key = self.opened.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        key.map(|key| key.to_secret())
    }

    async fn take_key(&self, key: &Secret) {
        // Whether it fits the file is looked at with every call.
        self.opened.keep(SealKey::from_secret(key));
    }

    async fn change_passphrase(&self, old: &Secret, new: &Secret) -> Result<(), VaultError> {
        sealed::check_passphrase(new)?;
        let (old, new) = (old.clone(), new.clone());
        self.write(move |opened| opened.change_passphrase(&old, &new)).await
    }

    async fn export(&self, passphrase: &Secret) -> Result<String, VaultError> {
        sealed::check_passphrase(passphrase)?;
        let passphrase = passphrase.clone();
        self.write(move |opened| {
            let (secrets, _) = opened.secrets()?;
            sealed::export(&secrets, &passphrase, opened.cost, (random()?, random()?))
        })
        .await
    }

    async fn import(&self, text: &str, passphrase: &Secret) -> Result<Vec<SecretName>, VaultError> {
        let (text, passphrase) = (text.to_owned(), passphrase.clone());
        self.write(move |opened| {
            // Locked is said before anybody waits for a hash.
            opened.secrets()?;
            let taken = sealed::import(&text, &passphrase)?;
            let names = taken.keys().cloned().collect();
            opened.change(|secrets| secrets.extend(taken))?;
            Ok(names)
        })
        .await
    }
}

impl Opened {
    fn status(&self) -> VaultStatus {
        let place = shown(&self.path.to_string_lossy());
        let detail =
            if self.why.is_empty() { place.clone() } else { format!("{place}: {}", self.why) };
        let is =
            |state, detail, names| VaultStatus { backend: Backend::File, state, detail, names };
        match self.text() {
            Ok(None) => return is(VaultState::Absent, detail, vec![]),
            Err(error) => return is(VaultState::Locked, error.to_string(), vec![]),
            Ok(Some(_)) => {}
        }
        match self.secrets() {
            Ok((secrets, _)) => is(VaultState::Open, detail, secrets.into_keys().collect()),
            Err(VaultError::Locked) => is(VaultState::Locked, detail, vec![]),
            Err(error) => is(VaultState::Locked, format!("{place}: {error}"), vec![]),
        }
    }

    /// Returns what is in the file now, with the key that opened it.
    fn secrets(&self) -> Result<(Secrets, SealKey), VaultError> {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = self.text()?;
        let (key, text) = match (key, text) {
            (Some(key), Some(text)) => (key, text),
            (None, Some(_)) => return Err(VaultError::Locked),
            (None, None) => return Err(VaultError::Absent),
            (Some(_), None) => return Err(self.unavailable("it is gone")),
        };
        let sealed = Sealed::parse(&text)?;
        if !key.fits(&sealed) {
            // Another process changed the passphrase: this key is of no use any more.
            self.keep(None);
            return Err(VaultError::Locked);
        }
        Ok((sealed.open(&key)?, key))
    }

    fn keep(&self, key: Option<SealKey>) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    fn change(&self, change: impl FnOnce(&mut Secrets)) -> Result<(), VaultError> {
        let _lock = self.lock_dir()?;
        let (mut secrets, key) = self.secrets()?;
        change(&mut secrets);
        self.replace(key, &secrets)
    }

    fn unlock(&self, passphrase: &Secret) -> Result<(), VaultError> {
        let lock = self.lock_dir()?;
        self.tidy()?;
        if let Some(text) = self.text()? {
            drop(lock);
            let sealed = Sealed::parse(&text)?;
            let key = sealed.key(passphrase)?;
            sealed.open(&key)?;
            self.keep(Some(key));
            return Ok(());
        }
        sealed::check_passphrase(passphrase)?;
        let key = SealKey::derive(passphrase, self.cost, random()?)?;
        self.replace(key, &Secrets::new())
    }

    fn change_passphrase(&self, old: &Secret, new: &Secret) -> Result<(), VaultError> {
        let _lock = self.lock_dir()?;
        let Some(text) = self.text()? else {
            return Err(VaultError::NotApplicable("there is no vault yet".to_owned()));
        };
        let sealed = Sealed::parse(&text)?;
        let secrets = sealed.open(&sealed.key(old)?)?;
        let key = SealKey::derive(new, self.cost, random()?)?;
        self.replace(key, &secrets)
    }

    /// Reads the file; nothing where there is none.
    fn text(&self) -> Result<Option<String>, VaultError> {
        let Some(file) = self.open()? else { return Ok(None) };
        let limit = SEALED_BYTES_MAX as u64 + 1;
        let mut bytes = vec![];
        file.take(limit).read_to_end(&mut bytes).map_err(|error| self.io(&error))?;
        if bytes.len() as u64 == limit {
            return Err(self.unavailable("it is too long"));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| VaultError::Refused)
    }

    /// Opens the file, and checks on the descriptor whose it is: nobody swaps it in between.
    fn open(&self) -> Result<Option<File>, VaultError> {
        // Without NONBLOCK, a FIFO would keep us waiting for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match rustix::fs::open(&self.path, flags | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.unavailable("it is a link")),
            Err(Errno::NXIO) => return Err(self.unavailable("it is no regular file")),
            Err(other) => return Err(self.io(&other.into())),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| self.io(&error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.unavailable("it is no regular file"));
        }
        if stat.st_uid != self.uid {
            let why = format!("it belongs to uid {}, not to uid {}", stat.st_uid, self.uid);
            return Err(self.unavailable(&why));
        }
        let mode = stat.st_mode & 0o7777;
        if mode & 0o077 != 0 {
            let why = format!("others may read or write it: its mode is {mode:o}, not 600");
            return Err(self.unavailable(&why));
        }
        Ok(Some(file.into()))
    }

    /// Puts sealed secrets in the place of the file, whole or not at all, and keeps their key. The
    /// directory is locked.
    fn replace(&self, key: SealKey, secrets: &Secrets) -> Result<(), VaultError> {
        let text = key.seal(random()?, secrets)?;
        self.tidy()?;
        let new = self.new_path();
        let written = write(&new, &text).and_then(|()| std::fs::rename(&new, &self.path));
        if let Err(error) = written {
            remove(&new).ok();
            return Err(self.io(&error));
        }
        // From here on this is the key, even where the disk does not promise to remember.
        self.keep(Some(key));
        File::open(self.dir()).and_then(|dir| dir.sync_all()).map_err(|error| self.io(&error))
    }

    /// Takes away what somebody began to write and did not finish. Whoever it was is gone, or would
    /// hold the lock of the directory.
    fn tidy(&self) -> Result<(), VaultError> {
        remove(&self.new_path()).map_err(|error| self.io(&error))
    }

    /// Keeps other writers out, of this process and of others, until it is dropped.
    fn lock_dir(&self) -> Result<File, VaultError> {
        let dir = File::open(self.dir()).map_err(|error| self.io(&error))?;
        let waited = Stopwatch::start();
        loop {
            match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(dir),
                Err(Errno::WOULDBLOCK) if waited.elapsed() < LOCK_LIMIT => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(self.unavailable("another process does not finish writing it"));
                }
                Err(other) => return Err(self.io(&other.into())),
            }
        }
    }

    fn dir(&self) -> &Path {
        match self.path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        }
    }

    fn new_path(&self) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(".new");
        name.into()
    }

    fn io(&self, error: &io::Error) -> VaultError {
        self.unavailable(&error.to_string())
    }

    fn unavailable(&self, why: &str) -> VaultError {
        VaultError::Unavailable(format!("`{}`: {why}", shown(&self.path.to_string_lossy())))
    }
}

/// Writes a new file for us alone, whatever the umask, and makes it durable.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, OURS)?;
    rustix::fs::fchmod(&file, OURS)?;
    let mut file = File::from(file);
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Takes a file away; none is fine.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const OURS: Mode = Mode::from_raw_mode(0o600);

/// Long enough for the slowest passphrase that another process changes.
const LOCK_LIMIT: Span = Span::from_seconds(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_waits_for_nobody_who_hashes_or_writes() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let vault = SealedFile::new(dir.path().join("vault.sealed"), uid, Cost::FLOOR, "");
        vault.unlock(&Secret::new("seven lamps by the harbour")).await.unwrap();
        let _turn = vault.turn.lock().await;
        let _lock = vault.opened.lock_dir().unwrap();
        assert_eq!(vault.status().await.state, VaultState::Open);
        assert_eq!(vault.get(&"idp".parse().unwrap()).await, Ok(None));
    }
}

//! The vault, looked for when it is first needed: no start waits for a keyring. And its key, on the
//! way from one engine process to the next.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::MemfdFlags;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::config;
use crate::domain::id::{InstallationId, SecretName};
use crate::domain::secret::Secret;
use crate::domain::vault::{Backend, VaultState, VaultStatus};
use crate::vault::choose::{self, VaultChoice};
use crate::vault::{Vault, VaultError};

/// The vault of an installation, looked for at its first use.
pub(super) struct LateVault {
    choice: VaultChoice,
    file: PathBuf,
    uid: u32,
    installation: InstallationId,
    /// The file whose text opens it.
    passphrase_file: Option<PathBuf>,
    opened: OnceCell<Opened>,
}

struct Opened {
    vault: Arc<dyn Vault>,
    /// Why the text of the file did not open it.
    still_closed: Option<String>,
}

impl LateVault {
    pub fn new(
        choice: VaultChoice,
        file: PathBuf,
        uid: u32,
        installation: InstallationId,
        passphrase_file: Option<PathBuf>,
    ) -> Self {
        Self { choice, file, uid, installation, passphrase_file, opened: OnceCell::new() }
    }

    async fn vault(&self) -> &dyn Vault {
        self.opened().await.vault.as_ref()
    }

    async fn opened(&self) -> &Opened {
        let open = || async {
            // A keyring that is locked at this start must not give way to a new file, behind which
            // what is in it would be lost.
            let choice = match self.choice {
                VaultChoice::Auto if self.mark().exists() => VaultChoice::Keyring,
                choice => choice,
            };
            let (file, installation) = (self.file.clone(), self.installation.clone());
            let vault = choose::open(choice, file, self.uid, installation).await;
            let unlocked = self.unlock_by_file(vault.as_ref()).await;
            let still_closed = unlocked.err();
            if let Some(why) = &still_closed {
                tracing::warn!(why, "the vault stays locked");
            }
            Opened { vault, still_closed }
        };
        self.opened.get_or_init(open).await
    }

    /// Opens a sealed file with the text of the file that somebody named for it.
    async fn unlock_by_file(&self, vault: &dyn Vault) -> Result<(), String> {
        let Some(file) = &self.passphrase_file else { return Ok(()) };
        // A keyring has no passphrase.
        if vault.status().await.backend != Backend::File {
            return Ok(());
        }
        let passphrase = config::secret_file(file, self.uid).map_err(|error| error.to_string())?;
        vault.unlock(&passphrase).await.map_err(|error| error.to_string())
    }

    /// The file whose being there says that secrets were put into the keyring.
    fn mark(&self) -> PathBuf {
        self.file.with_extension("keyring")
    }

    /// Notes that there is something in the keyring now.
    async fn note_keyring(&self) {
        let in_keyring = self.vault().await.status().await.backend == Backend::Keyring;
        if in_keyring && let Err(error) = File::create(self.mark()) {
            tracing::warn!(%error, "that the keyring is the vault could not be noted");
        }
    }
}

#[async_trait]
impl Vault for LateVault {
    async fn status(&self) -> VaultStatus {
        let opened = self.opened().await;
        let mut status = opened.vault.status().await;
        if status.state != VaultState::Open
            && let Some(why) = &opened.still_closed
        {
            status.detail.push_str(&format!("; the passphrase file did not open it: {why}"));
        }
        status
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError> {
        self.vault().await.get(name).await
    }

    async fn put(&self, name: &SecretName, secret: &Secret) -> Result<(), VaultError> {
        self.vault().await.put(name, secret).await?;
        self.note_keyring().await;
        Ok(())
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        self.vault().await.remove(name).await
    }

    async fn unlock(&self, passphrase: &Secret) -> Result<(), VaultError> {
        self.vault().await.unlock(passphrase).await
    }

    fn is_unlocked(&self) -> bool {
        // What a file opens, it opens again.
        let by_hand = self.passphrase_file.is_none();
        by_hand && self.opened.get().is_some_and(|opened| opened.vault.is_unlocked())
    }

    async fn key(&self) -> Option<Secret> {
        // A vault that nobody has needed yet has nothing to pass on.
        match self.opened.get() {
            Some(opened) => opened.vault.key().await,
            None => None,
        }
    }

    async fn take_key(&self, key: &Secret) {
        self.vault().await.take_key(key).await;
    }

    async fn change_passphrase(&self, old: &Secret, new: &Secret) -> Result<(), VaultError> {
        self.vault().await.change_passphrase(old, new).await
    }

    async fn export(&self, passphrase: &Secret) -> Result<String, VaultError> {
        self.vault().await.export(passphrase).await
    }

    async fn import(
        &self,
        sealed: &str,
        passphrase: &Secret,
    ) -> Result<Vec<SecretName>, VaultError> {
        let names = self.vault().await.import(sealed, passphrase).await?;
        self.note_keyring().await;
        Ok(names)
    }
}

/// Puts the key of an open vault where only whoever gets the descriptor finds it: in memory that
/// has no name (memfd_create(2)).
///
/// # Errors
///
/// When the system gives no such memory.
pub(super) fn pack_key(key: &Secret) -> io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("vault-key", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(key.expose().as_bytes())?;
    Ok(file.into())
}

/// Reads what [`pack_key`] put there.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn unpack_key(memory: OwnedFd) -> io::Result<Secret> {
    let mut file = File::from(memory);
    // Both ends of the hand-over share one place in it.
    file.seek(SeekFrom::Start(0))?;
    let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES_MAX));
    file.take(KEY_BYTES_MAX as u64).read_to_string(&mut text)?;
    Ok(Secret::new(text.as_str()))
}

const KEY_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_keyring_that_held_something_is_not_given_up_for_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vault");
        std::fs::write(dir.path().join("vault.keyring"), "").unwrap();
        let uid = rustix::process::getuid().as_raw();
        let installation = InstallationId::from_random([1; 6]);
        let vault = LateVault::new(VaultChoice::Auto, file.clone(), uid, installation, None);
        assert_eq!(vault.status().await.backend, Backend::Keyring, "whether it answers or not");
        assert!(vault.unlock(&Secret::new("a passphrase of a file")).await.is_err());
        assert!(!file.exists());
    }

    #[test]
    fn a_key_goes_from_hand_to_hand() {
        let key = Secret::new("19456 2 1 salt key");
        let given = pack_key(&key).unwrap();
        let taken = given.try_clone().unwrap();
        assert_eq!(unpack_key(taken).unwrap(), key);
        assert_eq!(unpack_key(given).unwrap(), key, "a giver that goes on has it still");
    }
}

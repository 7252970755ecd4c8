//! A vault in memory that can be locked.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use breakglass::domain::id::SecretName;
use breakglass::domain::secret::Secret;
use breakglass::domain::vault::{VaultState, VaultStatus};
use breakglass::vault::memory::MemoryVault;
use breakglass::vault::{Vault, VaultError};

/// Open at first.
#[derive(Default)]
pub struct Lockable {
    inner: MemoryVault,
    locked: AtomicBool,
}

impl Lockable {
    /// Locks it, or opens it again.
    pub fn lock(&self, locked: bool) {
        self.locked.store(locked, Ordering::Relaxed);
    }

    fn open(&self) -> Result<&MemoryVault, VaultError> {
        if self.locked.load(Ordering::Relaxed) { Err(VaultError::Locked) } else { Ok(&self.inner) }
    }
}

#[async_trait]
impl Vault for Lockable {
    async fn status(&self) -> VaultStatus {
        let status = self.inner.status().await;
        match self.open() {
            Ok(_) => status,
            Err(_) => VaultStatus { state: VaultState::Locked, names: vec![], ..status },
        }
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError> {
        self.open()?.get(name).await
    }

    async fn put(&self, name: &SecretName, secret: &Secret) -> Result<(), VaultError> {
        self.open()?.put(name, secret).await
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        self.open()?.remove(name).await
    }

    async fn unlock(&self, passphrase: &Secret) -> Result<(), VaultError> {
        self.inner.unlock(passphrase).await
    }

    async fn change_passphrase(&self, old: &Secret, new: &Secret) -> Result<(), VaultError> {
        self.inner.change_passphrase(old, new).await
    }

    async fn export(&self, passphrase: &Secret) -> Result<String, VaultError> {
        self.open()?.export(passphrase).await
    }

    async fn import(&self, text: &str, passphrase: &Secret) -> Result<Vec<SecretName>, VaultError> {
        self.open()?.import(text, passphrase).await
    }
}

//! The vault, looked for when it is first needed: no start waits for a keyring.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::domain::id::{InstallationId, SecretName};
use crate::domain::secret::Secret;
use crate::domain::vault::VaultStatus;
use crate::vault::choose::{self, VaultChoice};
use crate::vault::{Vault, VaultError};

/// The vault of an installation, looked for at its first use.
pub(super) struct LateVault {
    choice: VaultChoice,
    file: PathBuf,
    uid: u32,
    installation: InstallationId,
    opened: OnceCell<Arc<dyn Vault>>,
}

impl LateVault {
    pub fn new(choice: VaultChoice, file: PathBuf, uid: u32, installation: InstallationId) -> Self {
        Self { choice, file, uid, installation, opened: OnceCell::new() }
    }

    async fn vault(&self) -> &dyn Vault {
        let open = || async {
            choose::open(self.choice, self.file.clone(), self.uid, self.installation.clone()).await
        };
        self.opened.get_or_init(open).await.as_ref()
    }
}

#[async_trait]
impl Vault for LateVault {
    async fn status(&self) -> VaultStatus {
        self.vault().await.status().await
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError> {
        self.vault().await.get(name).await
    }

    async fn put(&self, name: &SecretName, secret: &Secret) -> Result<(), VaultError> {
        self.vault().await.put(name, secret).await
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        self.vault().await.remove(name).await
    }

    async fn unlock(&self, passphrase: &Secret) -> Result<(), VaultError> {
        self.vault().await.unlock(passphrase).await
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
        self.vault().await.import(sealed, passphrase).await
    }
}

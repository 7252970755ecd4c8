//! A vault for drills: open, empty at first, and gone with the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::sealed::{self, Cost, Secrets};
use super::work::{aside, random};
use super::{Vault, VaultError};
use crate::domain::id::SecretName;
use crate::domain::secret::Secret;
use crate::domain::vault::{Backend, VaultState, VaultStatus};

/// A vault that keeps nothing.
#[derive(Debug, Default)]
pub struct MemoryVault {
    secrets: Arc<Mutex<Secrets>>,
}

impl MemoryVault {
    fn secrets(&self) -> MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Vault for MemoryVault {
    async fn status(&self) -> VaultStatus {
        VaultStatus {
            backend: Backend::File,
            state: VaultState::Open,
            detail: "in memory only: nothing is kept".to_owned(),
            names: self.secrets().keys().cloned().collect(),
        }
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError> {
        Ok(self.secrets().get(name).cloned())
    }

    async fn put(&self, name: &SecretName, secret: &Secret) -> Result<(), VaultError> {
        sealed::check_secret(secret)?;
        let mut secrets = self.secrets();
        let more = usize::from(!secrets.contains_key(name));
        sealed::check_count(secrets.len() + more)?;
        secrets.insert(name.clone(), secret.clone());
        Ok(())
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        self.secrets().remove(name);
        Ok(())
    }

    async fn unlock(&self, _passphrase: &Secret) -> Result<(), VaultError> {
        Err(VaultError::NotApplicable("this vault is never locked".to_owned()))
    }

    async fn change_passphrase(&self, _old: &Secret, _new: &Secret) -> Result<(), VaultError> {
        Err(VaultError::NotApplicable("this vault has no passphrase".to_owned()))
    }

    async fn export(&self, passphrase: &Secret) -> Result<String, VaultError> {
        let (secrets, passphrase) = (self.secrets().clone(), passphrase.clone());
        aside(move || {
            let chance = (random()?, random()?);
            sealed::export(&secrets, &passphrase, Cost::DEFAULT, chance)
        })
        .await
    }

    async fn import(&self, text: &str, passphrase: &Secret) -> Result<Vec<SecretName>, VaultError> {
        let (text, passphrase) = (text.to_owned(), passphrase.clone());
        let taken = aside(move || sealed::import(&text, &passphrase)).await?;
        let names: Vec<_> = taken.keys().cloned().collect();
        let mut secrets = self.secrets();
        let mut all = secrets.clone();
        all.extend(taken);
        sealed::check_count(all.len())?;
        *secrets = all;
        Ok(names)
    }
}

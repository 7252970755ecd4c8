//! Where the key of a provider is, and how it is had.

use std::sync::Arc;

use crate::domain::id::{ProviderId, SecretName};
use crate::domain::provider::unbind_key;
use crate::domain::secret::Secret;
use crate::domain::vault::UNLOCK;
use crate::vault::{Vault, VaultError};

/// Where the key of a provider is.
#[derive(Clone)]
pub enum Key {
    /// It has none of ours.
    None,
    /// It was just given, and is not kept yet.
    Given(Secret),
    /// It lies in the vault.
    InVault {
        /// The vault.
        vault: Arc<dyn Vault>,
        /// Its name there.
        name: SecretName,
        /// What host it must have been given for.
        is_for: String,
    },
}

impl Key {
    /// Takes the key of a provider out of where it is; none where it has none.
    ///
    /// # Errors
    ///
    /// Why it cannot be had, in words.
    pub async fn get(&self, id: &ProviderId) -> Result<Option<Secret>, String> {
        let (vault, name, is_for) = match self {
            Self::None => return Ok(None),
            Self::Given(key) => return Ok(Some(key.clone())),
            Self::InVault { vault, name, is_for } => (vault, name, is_for),
        };
        let kept = vault.get(name).await.map_err(|error| match error {
            VaultError::Locked => format!("the key of `{id}` is in the locked vault: {UNLOCK}"),
            error => format!("the key of `{id}` cannot be had: {error}"),
        })?;
        let kept = kept.ok_or_else(|| {
            format!("its key is not in the vault; give it: `breakglass providers rotate-key {id}`")
        })?;
        let key = unbind_key(is_for, &kept).map_err(|error| {
            format!("{error}; give it anew: `breakglass providers rotate-key {id}`")
        })?;
        Ok(Some(key))
    }
}

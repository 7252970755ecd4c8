//! The vault: where secrets rest. The keys of providers and the client secrets of identity
//! providers, and nothing else; passwords of operators are hashes in the store.
//!
//! Two kinds: the operating system's keyring, where a real set-get-delete works, else a file that
//! is sealed with a passphrase. A secret has a name; the configuration speaks of it as
//! `vault:NAME`.
//!
//! Rules that hold in every line below:
//!
//! 1. That a locked keyring has no entry is no proof that there is none.
//! 2. A secret is never in an error, a log, an argument or an environment.
//! 3. The sealed file is replaced whole or not at all, and only its owner may read it.
//!
//! [`choose`] says which it is; [`keyring`] and [`file`](mod@file) are the two kinds, [`sealed`] is
//! the form of the file and of what is exported, and [`memory`] keeps nothing, for drills.

pub mod choose;
pub mod file;
pub mod keyring;
pub mod memory;
pub mod sealed;
mod work;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::id::SecretName;
use crate::domain::secret::Secret;
use crate::domain::vault::VaultStatus;

/// Where secrets rest.
#[async_trait]
pub trait Vault: Send + Sync + 'static {
    /// Says how the vault is; it never asks anybody for anything.
    async fn status(&self) -> VaultStatus;

    /// Returns a secret, or nothing where the vault is open and has none of that name.
    ///
    /// # Errors
    ///
    /// When the vault is locked or cannot be read.
    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError>;

    /// Keeps a secret, in the place of one of the same name.
    ///
    /// # Errors
    ///
    /// When the vault is locked or cannot be written; it is as it was then.
    async fn put(&self, name: &SecretName, secret: &Secret) -> Result<(), VaultError>;

    /// Removes a secret; one that is not there is gone.
    ///
    /// # Errors
    ///
    /// When the vault is locked or cannot be written.
    async fn remove(&self, name: &SecretName) -> Result<(), VaultError>;

    /// Opens the vault with its passphrase. One that does not exist yet is made.
    ///
    /// # Errors
    ///
    /// When the passphrase is wrong, or there is nothing to unlock.
    async fn unlock(&self, passphrase: &Secret) -> Result<(), VaultError>;

    /// True while it is open only because somebody gave its passphrase: whoever forgets that has to
    /// ask them again.
    fn is_unlocked(&self) -> bool {
        false
    }

    /// Returns what opens the vault without its passphrase, for the process that takes over from
    /// this one; none where nothing is to be passed on. It is as secret as what it opens.
    async fn key(&self) -> Option<Secret> {
        None
    }

    /// Takes over what [`Self::key`] of another process returned. One that does not fit, because
    /// the passphrase was changed meanwhile, leaves the vault locked.
    async fn take_key(&self, _key: &Secret) {}

    /// Seals the vault with another passphrase.
    ///
    /// # Errors
    ///
    /// When the old one is wrong or the file cannot be written.
    async fn change_passphrase(&self, old: &Secret, new: &Secret) -> Result<(), VaultError>;

    /// Returns every secret in one text, sealed with a passphrase of its own.
    ///
    /// # Errors
    ///
    /// When the vault is locked or cannot be read.
    async fn export(&self, passphrase: &Secret) -> Result<String, VaultError>;

    /// Takes in what was exported, and returns the names. Secrets of other names stay.
    ///
    /// # Errors
    ///
    /// When the text or the passphrase is wrong; nothing is taken in then.
    async fn import(
        &self,
        sealed: &str,
        passphrase: &Secret,
    ) -> Result<Vec<SecretName>, VaultError>;
}

/// Why the vault cannot do as asked. No text in it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VaultError {
    /// Its passphrase is needed first.
    #[error("the vault is locked")]
    Locked,
    /// There is none.
    #[error("the vault is not made yet")]
    Absent,
    /// Not its passphrase, or the file was changed: the seal does not tell them apart.
    #[error("the passphrase does not open the vault, or the vault was changed")]
    Refused,
    /// Shorter than allowed, or easily guessed.
    #[error("the passphrase is too weak: {0}")]
    Weak(String),
    /// Not something that was exported, or of a newer version.
    #[error("this is no sealed vault: {0}")]
    Form(String),
    /// Nothing to be unlocked or changed.
    #[error("{0}")]
    NotApplicable(String),
    /// The keyring or the file said no.
    #[error("the vault cannot be used: {0}")]
    Unavailable(String),
}

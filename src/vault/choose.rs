//! Which vault it is: the keyring where it works, else a sealed file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Vault;
use super::file::SealedFile;
use super::keyring::{KeyringVault, Limits, Ring, SecretService, why_not};
use super::sealed::Cost;
use crate::domain::id::InstallationId;

/// What somebody wants the vault to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VaultChoice {
    /// The sealed file where there is one, else the keyring where it works, else the file.
    #[default]
    Auto,
    /// The keyring, even where it does not work at the moment: the status says so.
    Keyring,
    /// The sealed file.
    File,
    /// The sealed file, as a user that nobody logs in as has no keyring.
    FileOfHost,
}

/// Opens the vault of an installation. `file` is where a sealed file is or will be, in a private
/// directory of `uid`. It never waits longer than a probe of the keyring may take.
pub async fn open(
    choice: VaultChoice,
    file: PathBuf,
    uid: u32,
    installation: InstallationId,
) -> Arc<dyn Vault> {
    open_with(Arc::new(SecretService), choice, file, uid, installation).await
}

/// As [`open`], with a keyring of the caller's.
pub async fn open_with(
    ring: Arc<dyn Ring>,
    choice: VaultChoice,
    file: PathBuf,
    uid: u32,
    installation: InstallationId,
) -> Arc<dyn Vault> {
    let sealed = |why: &str| Arc::new(SealedFile::new(file.clone(), uid, Cost::DEFAULT, why));
    let keyring = KeyringVault::new(ring, installation, Cost::DEFAULT, Limits::default());
    match choice {
        VaultChoice::File => sealed("the configuration says so"),
        VaultChoice::FileOfHost => sealed("the engine of a host has no keyring"),
        VaultChoice::Auto if exists(&file) => {
            sealed("the keyring is not used, as there is a sealed file already")
        }
        VaultChoice::Auto => match keyring.probe().await {
            Ok(()) => Arc::new(keyring),
            Err(error) => sealed(&format!("the keyring is not used: {}", why_not(&error))),
        },
        VaultChoice::Keyring => {
            // What it met is in its status.
            keyring.probe().await.ok();
            Arc::new(keyring)
        }
    }
}

/// True for whatever stands there, a link too: nothing may hide behind the keyring.
fn exists(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

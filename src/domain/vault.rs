//! What people see of the vault.

use serde::{Deserialize, Serialize};

use super::id::SecretName;
use super::time::Span;

/// What opens the vault, and makes it where there is none. A hint that begins with it says that the
/// vault is what is missing.
pub const UNLOCK: &str = "breakglass vault unlock";

/// How long an engine stays after the last command while the vault is open by a passphrase: with it
/// goes what opened the vault.
pub const STAYS_OPEN: Span = Span::from_minutes(15);

/// How the vault is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultStatus {
    /// What it is kept in.
    pub backend: Backend,
    /// Whether it is open.
    pub state: VaultState,
    /// Where it lies, or why the keyring is not used, in words.
    pub detail: String,
    /// The names of what is in it, sorted; empty while it is locked.
    pub names: Vec<SecretName>,
}

/// What a vault is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// The operating system's keyring.
    Keyring,
    /// A sealed file.
    File,
}

/// Whether a vault is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VaultState {
    /// There is none yet; unlocking makes it.
    Absent,
    /// Its passphrase is needed.
    Locked,
    /// Secrets can be read and written.
    Open,
}

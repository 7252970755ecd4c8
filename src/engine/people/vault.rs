//! The vault, as far as people ask for it.

use super::desk::Desk;
use crate::domain::audit_event::Object;
use crate::domain::secret::Secret;
use crate::engine::chronicle;
use crate::error::{Kind, Report};
use crate::protocol::{Reply, VaultAsk};
use crate::vault::VaultError;

impl Desk {
    /// Serves what is asked of the vault. What is done to it stands in the audit; what is in it
    /// never does.
    pub(super) async fn vault(&self, ask: VaultAsk) -> Result<Reply, Report> {
        let vault = &self.shared.people.vault;
        let done = match ask {
            VaultAsk::Status => None,
            VaultAsk::Unlock { passphrase } => {
                vault.unlock(&passphrase).await.map_err(|error| report(&error))?;
                Some("Vault unlocked".to_owned())
            }
            VaultAsk::ChangePassphrase { old, new } => {
                vault.change_passphrase(&old, &new).await.map_err(|error| report(&error))?;
                Some("Passphrase of the vault changed".to_owned())
            }
            VaultAsk::Export { passphrase } => {
                // What leaves must be on record first.
                self.record_vault("Vault exported, sealed with another passphrase").await?;
                let sealed = vault.export(&passphrase).await.map_err(|error| report(&error))?;
                return Ok(Reply::Sealed(Secret::new(sealed)));
            }
            VaultAsk::Import { sealed, passphrase } => {
                let names = vault.import(&sealed, &passphrase).await;
                let names = names.map_err(|error| report(&error))?;
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                Some(format!("Imported into the vault: {}", names.join(", ")))
            }
        };
        if let Some(what) = done {
            self.record_vault(&what).await?;
        }
        Ok(Reply::Vault(vault.status().await))
    }

    async fn record_vault(&self, what: &str) -> Result<(), Report> {
        let object = Object { kind: "vault".into(), id: "vault".into(), name: "vault".into() };
        let draft =
            chronicle::plain(&self.shared, "vault.changed", what, &self.who(), Some(object));
        self.commit(vec![], vec![draft]).await
    }
}

/// What an operator reads when the vault says no.
pub(super) fn report(error: &VaultError) -> Report {
    match error {
        VaultError::Locked => Report::of(Kind::Unavailable, error).hint("breakglass vault unlock"),
        VaultError::Refused => Report::of(Kind::Denied, error).hint("try again"),
        VaultError::Weak(_) => Report::of(Kind::Denied, error).hint("use a longer passphrase"),
        VaultError::Form(_) => {
            Report::of(Kind::Usage, error).hint("give the file that `vault export` made")
        }
        VaultError::NotApplicable(_) => {
            Report::of(Kind::Usage, error).hint("breakglass vault status")
        }
        VaultError::Unavailable(_) => {
            Report::of(Kind::Unavailable, error).hint("breakglass doctor")
        }
    }
}

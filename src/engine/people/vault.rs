//! The vault, as far as people ask for it.

use super::desk::Desk;
use super::{audit, records};
use crate::domain::audit_event::{AuditDraft, Object};
use crate::domain::email::Email;
use crate::domain::id::ProviderId;
use crate::domain::provider::ProviderSettings;
use crate::domain::role::Ability;
use crate::domain::secret::Secret;
use crate::domain::vault::{UNLOCK, VaultState};
use crate::engine::chronicle;
use crate::engine::shared::Shared;
use crate::error::{Kind, Report};
use crate::protocol::{Reply, VaultAsk};
use crate::vault::VaultError;

impl Desk {
    /// Serves what is asked of the vault. What is done to it stands in the audit; what is in it
    /// never does.
    pub(super) async fn vault(&self, ask: VaultAsk) -> Result<Reply, Report> {
        let vault = &self.shared.people.vault;
        match ask {
            VaultAsk::Status => {}
            VaultAsk::Unlock { passphrase } => self.unlock(&passphrase).await?,
            VaultAsk::ChangePassphrase { old, new } => {
                self.recorded(
                    "Passphrase of the vault changed",
                    vault.change_passphrase(&old, &new),
                )
                .await?;
            }
            VaultAsk::Export { passphrase } => {
                let what = "Vault exported, sealed with another passphrase";
                let sealed = self.recorded(what, vault.export(&passphrase)).await?;
                return Ok(Reply::Sealed(Secret::new(sealed)));
            }
            VaultAsk::Import { sealed, passphrase } => {
                let what = "An export was taken into the vault";
                self.recorded(what, vault.import(&sealed, &passphrase)).await?;
            }
        }
        let mut status = vault.status().await;
        if self.caller.role().is_none() {
            // What there are secrets for is the team's business.
            status.names.clear();
        }
        Ok(Reply::Vault(status))
    }

    /// Opens the vault for whoever knows its passphrase: where single sign-on needs a secret, nobody
    /// could sign in before. Who guesses waits as for a password.
    async fn unlock(&self, passphrase: &Secret) -> Result<(), Report> {
        let address: Email = ADDRESS.parse().map_err(|error| Report::of(Kind::Internal, &error))?;
        let people = &self.shared.people;
        if people.vault.status().await.state == VaultState::Absent {
            // Whoever makes it knows its passphrase from then on.
            self.caller.may(Ability::Vault)?;
        }
        let reservation = self.reserve(&address).await?;
        let unlocked = {
            let _turn = people.turn(self.origin.uid).await;
            people.vault.unlock(passphrase).await
        };
        match &unlocked {
            Ok(()) => {
                let mut book = people.book().await;
                let cleared = records::throttle(&book.lockouts.succeeded(reservation));
                let draft = self.vault_draft("Vault unlocked");
                self.commit(vec![cleared], vec![draft]).await?;
                // What was down for want of its key may be well.
                self.shared.providers.doubt_down();
            }
            Err(error) => {
                let draft = self.vault_draft(&format!("Vault not unlocked: {error}"));
                self.commit(vec![], vec![audit::failed(draft)]).await?;
            }
        }
        unlocked.map_err(|error| report(&error))
    }

    /// Does something to the vault that stands in the audit first; where it then fails, so does that.
    async fn recorded<T>(
        &self,
        what: &str,
        doing: impl Future<Output = Result<T, VaultError>>,
    ) -> Result<T, Report> {
        self.commit(vec![], vec![self.vault_draft(what)]).await?;
        let done = doing.await;
        if let Err(error) = &done {
            let draft = self.vault_draft(&format!("{what}: not done: {error}"));
            self.commit(vec![], vec![audit::failed(draft)]).await?;
        }
        done.map_err(|error| report(&error))
    }

    fn vault_draft(&self, what: &str) -> AuditDraft {
        let object = Object { kind: "vault".into(), id: "vault".into(), name: "vault".into() };
        chronicle::plain(&self.shared, "vault.changed", what, &self.who(), Some(object))
    }
}

/// Refuses where the key of a provider lies in a vault that is not open.
pub(in crate::engine) async fn open_for(shared: &Shared, id: &ProviderId) -> Result<(), Report> {
    let has_key = shared.providers.settings(id).is_some_and(|it| it.setup.has_key());
    let Some(name) = ProviderSettings::secret_name(id).filter(|_| has_key) else { return Ok(()) };
    let why = format!("the key of the provider `{id}` lies in it");
    let got = shared.people.vault.get(&name).await;
    got.map(drop).map_err(|error| report(&error).because(why))
}

/// What an operator reads when the vault says no.
pub(in crate::engine) fn report(error: &VaultError) -> Report {
    match error {
        VaultError::Locked => Report::of(Kind::Unavailable, error).hint(UNLOCK),
        VaultError::Absent => {
            Report::of(Kind::Unavailable, error).hint(format!("{UNLOCK} makes it"))
        }
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

/// What tries at the vault are counted under, like those at an account. Nobody can have it: `.invalid`
/// is no domain (RFC 6761).
const ADDRESS: &str = "vault@breakglass.invalid";

//! Identity providers: added, looked at, enforced, removed.

use serde_json::json;

use super::desk::Desk;
use super::prober::{LOOK_MAX, look_at};
use super::{Book, audit, records, vault};
use crate::domain::break_glass_user::BreakGlassList;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::IdpSettings;
use crate::domain::role::Ability;
use crate::domain::secret::Secret;
use crate::error::{Kind, Report};
use crate::identity::directory::lists::ListChangeError;
use crate::protocol::{IdpAsk, Reply};
use crate::store::{Record, RecordKind};

impl Desk {
    pub(super) async fn idps(&self, ask: IdpAsk) -> Result<Reply, Report> {
        match ask {
            IdpAsk::List => Ok(self.shown()),
            IdpAsk::Add { settings, secret, unhealthy } => {
                self.add_idp(*settings, secret, unhealthy).await
            }
            IdpAsk::Validate { idp } => {
                let settings = self.idp(&idp)?;
                look_at(&self.shared, &self.updates, vec![settings], LOOK_MAX).await;
                let probe = self.shared.people.probe(&idp);
                probe.map(Reply::Probe).ok_or_else(|| Report::new(Kind::Internal, "no look"))
            }
            IdpAsk::Enforce { idp, on, confirm } => {
                self.enforce(&idp, on, confirm.as_deref()).await
            }
            IdpAsk::Remove { idp } => self.remove_idp(&idp).await,
        }
    }

    /// The identity providers as the caller may see them.
    pub(super) fn shown(&self) -> Reply {
        let view = self.caller.identity(&self.shared.people.view());
        Reply::IdentityProviders(view.idps)
    }

    /// Looks first. The secret goes into the vault before the settings speak of it; where these
    /// cannot be kept, it is taken out again.
    async fn add_idp(
        &self,
        mut settings: IdpSettings,
        secret: Option<Secret>,
        unhealthy: bool,
    ) -> Result<Reply, Report> {
        let known = self.shared.rules().idps.iter().find(|idp| idp.id == settings.id).cloned();
        let elsewhere = known.as_ref().is_some_and(|known| known.kind != settings.kind);
        if known.as_ref().is_some_and(|known| known.has_secret) && secret.is_none() && elsewhere {
            let message = "a client secret is bound to the issuer that it was given for";
            return Err(Report::new(Kind::Denied, message)
                .hint("give the secret again: --secret-stdin, or remove the provider first"));
        }
        settings.has_secret =
            secret.is_some() || known.as_ref().is_some_and(|known| known.has_secret);
        let probe = self.shared.people.sso.probe(&settings, self.shared.now()).await;
        if !probe.is_healthy() && !unhealthy {
            return Ok(Reply::Probe(probe));
        }
        // What was looked at must be what is written: somebody may have changed it meanwhile.
        let deciding = self.deciding(Ability::IdentityProviders).await?;
        let same =
            self.shared.rules().idps.iter().find(|idp| idp.id == settings.id) == known.as_ref();
        if !same {
            let message = format!("`{}` was changed by somebody else meanwhile", settings.id);
            return Err(Report::new(Kind::Denied, message).hint("breakglass idp list"));
        }
        let what = match known {
            Some(_) => format!("Identity provider {} was changed", settings.id),
            None => format!("Identity provider {} was added", settings.id),
        };
        let draft = audit::idp(&self.shared, &self.who(), "sso.configured", &what, &settings.id);
        let mut draft = audit::changed(draft, json!(known), json!(settings));
        draft.metadata = Some(audit::evidence(&settings.id, Some(&probe)));
        self.commit(vec![], vec![draft.clone()]).await?;
        if let Err(report) = self.keep_idp(&settings, secret.as_ref()).await {
            draft.description = format!("{what}: could not be kept: {}", report.message);
            self.commit(vec![], vec![audit::failed(draft)]).await?;
            return Err(report);
        }
        drop(deciding);
        self.rules_changed().await;
        super::prober::keep(&self.shared, &self.updates, &settings.id, probe.clone()).await;
        Ok(Reply::Probe(probe))
    }

    async fn keep_idp(
        &self,
        settings: &IdpSettings,
        secret: Option<&Secret>,
    ) -> Result<(), Report> {
        let people = &self.shared.people;
        let Some(secret) = secret else { return self.shared.settings.put_idp(settings) };
        let name = IdpSettings::secret_name(&settings.id).ok_or_else(|| {
            Report::new(Kind::Usage, "the name is too long for a secret of its own")
                .hint("choose a shorter one")
        })?;
        let before = people.vault.get(&name).await.map_err(|error| vault::report(&error))?;
        people.vault.put(&name, secret).await.map_err(|error| vault::report(&error))?;
        let kept = self.shared.settings.put_idp(settings);
        if kept.is_err() {
            let undone = match &before {
                Some(before) => people.vault.put(&name, before).await,
                None => people.vault.remove(&name).await,
            };
            if let Err(error) = undone {
                tracing::warn!(%error, %name, "a secret that nothing speaks of stays in the vault");
            }
        }
        kept
    }

    async fn enforce(&self, idp: &IdpId, on: bool, confirm: Option<&str>) -> Result<Reply, Report> {
        let mut book = self.deciding(Ability::Enforcement).await?;
        let before = book.directory.list(idp).enforced;
        let list = book.directory.enforce(idp, on, confirms(idp, confirm));
        let list = list.map_err(|error| refused(&error))?;
        if before == on {
            return Ok(self.shown());
        }
        let (kind, what) = if on {
            ("sso.enforced", format!("SSO of {idp} is enforced"))
        } else {
            ("sso.unenforced", format!("SSO of {idp} is not enforced any more"))
        };
        let draft = audit::idp(&self.shared, &self.who(), kind, &what, idp);
        let mut draft =
            audit::changed(draft, json!({ "enforced": before }), json!({ "enforced": on }));
        draft.metadata = Some(json!({
            "confirmed": confirm.is_some(),
            "forecast": book.directory.forecast(idp, self.shared.now()).to_string(),
        }));
        self.commit(vec![records::list(&list)], vec![draft]).await?;
        book.directory.put_list(list);
        self.show(&book).await;
        Ok(self.shown())
    }

    /// Takes an identity provider out, with its list and its secret.
    async fn remove_idp(&self, idp: &IdpId) -> Result<Reply, Report> {
        let settings = self.idp(idp)?;
        let mut book = self.deciding(Ability::IdentityProviders).await?;
        let list = book.directory.list(idp);
        if list.enforced {
            let message = format!("SSO of `{idp}` is enforced");
            return Err(
                Report::new(Kind::Denied, message).hint(format!("breakglass idp unenforce {idp}"))
            );
        }
        if !book.directory.has_owner_without(idp) {
            let message = format!("no Owner could sign in without `{idp}`");
            return Err(Report::new(Kind::Denied, message)
                .hint("an Owner sets a password first: breakglass password set"));
        }
        let what = format!("Identity provider {idp} was removed");
        let draft = audit::idp(&self.shared, &self.who(), "sso.deleted", &what, idp);
        let mut draft = audit::changed(draft, json!(settings), json!(null));
        let mut drafts = vec![draft.clone()];
        drafts.extend(self.changes(&book, &list, &BreakGlassList::new(idp.clone()), false));
        self.commit(vec![], drafts).await?;
        if let Err(report) = self.shared.settings.remove_idp(idp) {
            draft.description = format!("{what}: could not be: {}", report.message);
            self.commit(vec![], vec![audit::failed(draft)]).await?;
            return Err(report);
        }
        let gone = Record { kind: RecordKind::List, key: idp.to_string(), body: None };
        self.commit(vec![gone], vec![]).await?;
        book.directory.forget_list(idp);
        drop(book);
        self.rules_changed().await;
        if let Some(name) = IdpSettings::secret_name(idp).filter(|_| settings.has_secret) {
            let removed = self.shared.people.vault.remove(&name).await;
            removed.map_err(|error| vault::report(&error))?;
        }
        Ok(Reply::Done)
    }

    /// Reads the configuration again that was just written, and takes the identity providers in.
    pub(super) async fn rules_changed(&self) {
        crate::engine::reading::refresh(&self.shared, &self.who(), &self.updates).await;
    }

    /// Shows people anew.
    pub(super) async fn show(&self, book: &Book) {
        self.shared.people.show(&book.directory, self.shared.now());
        self.tell(crate::engine::interpreter::Update::Identity).await;
    }
}

/// True where the name of the identity provider was typed.
pub(super) fn confirms(idp: &IdpId, typed: Option<&str>) -> bool {
    typed.is_some_and(|typed| typed.trim() == idp.as_str())
}

/// What an operator reads when a list does not change.
pub(super) fn refused(error: &ListChangeError) -> Report {
    let kind = match error {
        ListChangeError::Entries { .. } | ListChangeError::UnknownIdp(_) => Kind::Usage,
        _ => Kind::Denied,
    };
    let report = Report::of(kind, error);
    match error {
        ListChangeError::NobodyCouldEnter(idp) => report.hint(format!("--confirm {idp}")),
        ListChangeError::Entries { entries, .. } => {
            let remedies =
                entries.iter().map(|(email, error)| format!("{email}: {}", error.remedy()));
            report.hint(remedies.collect::<Vec<_>>().join("; "))
        }
        ListChangeError::UnknownIdp(_)
        | ListChangeError::NotListed(_)
        | ListChangeError::Stale(..) => report,
    }
}

//! Providers, looked after: added, seen through, switched, given another key, removed.
//!
//! The audit first, then vault and file, then the engine. What a key may do is seen before anything
//! is kept, and where something cannot be kept, everything is as it was.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;

use super::chronicle;
use super::interpreter::Update;
use super::providers;
use super::reading::{record, refresh};
use super::shared::{Shared, Who};
use crate::clock::Stopwatch;
use crate::domain::artifact::Marker;
use crate::domain::audit_event::{AuditDraft, Object, Outcome};
use crate::domain::id::{ProviderId, SecretName};
use crate::domain::probe::Probe;
use crate::domain::provider::{ProviderSettings, ProviderSetup, Validation, bind_key};
use crate::domain::secret::Secret;
use crate::domain::time::Span;
use crate::error::{Kind, Report};
use crate::protocol::{Kept, Save, ValidationView};

/// Serves what changes a provider.
pub(super) struct Providing {
    pub shared: Arc<Shared>,
    pub updates: mpsc::Sender<Update>,
    pub who: Who,
}

impl Providing {
    /// Sees what can be done at a provider.
    pub async fn validate(&self, id: &ProviderId) -> Result<ValidationView, Report> {
        if !self.shared.providers.is_listed(id) {
            return Err(super::desk::no_such_provider(id));
        }
        super::people::vault_open_for(&self.shared, id).await?;
        let validation = self.shared.providers.validate(id, &self.shared.clock).await;
        let validation = validation.ok_or_else(|| super::desk::no_such_provider(id))?;
        self.told().await;
        self.record(validated(&self.shared, &self.who, id, &validation)).await?;
        Ok(ValidationView { validation, kept: None })
    }

    /// Sees for certain what can be done at a provider: something is made there and taken away again,
    /// which stands in the audit first.
    pub async fn prove(&self, id: &ProviderId) -> Result<ValidationView, Report> {
        if !self.shared.providers.is_listed(id) {
            return Err(super::desk::no_such_provider(id));
        }
        let settings = self.shared.providers.settings(id);
        if !settings.is_some_and(|settings| settings.setup.has_canary()) {
            return Err(nothing_to_prove(id));
        }
        super::people::vault_open_for(&self.shared, id).await?;
        let what = format!("Provider {id} is looked at by making a canary there");
        self.record(about(&self.shared, &self.who, "provider.canary_made", &what, id)).await?;
        let shared = &self.shared;
        let ends_at = shared.now() + CANARY_LIFE;
        let mark = Marker::new(&shared.installation, shared.session_id(), ends_at);
        let proved = shared.providers.prove(id, &mark, &shared.clock).await;
        let validation = proved.ok_or_else(|| nothing_to_prove(id))?;
        self.told().await;
        self.record(validated(&self.shared, &self.who, id, &validation)).await?;
        Ok(ValidationView { validation, kept: None })
    }

    /// Adds a provider or changes one, once it was seen what can be done there.
    pub async fn put(
        &self,
        mut settings: ProviderSettings,
        key: Option<Secret>,
        save: Save,
    ) -> Result<ValidationView, Report> {
        let known = self.shared.providers.settings(&settings.id);
        self.check_change(&settings, known.as_ref(), key.as_ref())?;
        let has_key = key.is_some() || known.as_ref().is_some_and(|it| it.setup.has_key());
        settings.setup = settings.setup.with_key(has_key);
        if has_key {
            self.open_vault_for(&settings.id).await?;
        }
        let provider = self.shared.providers.build(&settings, key.as_ref());
        let watch = Stopwatch::start();
        let validation = providers::validate(&*provider, self.shared.now()).await;
        let took = watch.elapsed();
        let healthy = validation.probe.is_healthy();
        if !healthy && save == Save::WhenHealthy {
            self.record(validated(&self.shared, &self.who, &settings.id, &validation)).await?;
            return Ok(ValidationView { validation, kept: None });
        }
        settings.enabled &= healthy;
        self.check_unchanged(&settings.id, known.as_ref())?;
        let what = match known {
            Some(_) => format!("Provider {} was changed", settings.id),
            None => format!("Provider {} was added", settings.id),
        };
        let mut draft = about(&self.shared, &self.who, "provider.added", &what, &settings.id);
        draft.changes = Some(json!({ "before": known, "after": settings }));
        draft.metadata = Some(evidence(&validation.probe));
        let keep = self.keep(&settings, key.as_ref());
        self.recorded(draft, keep).await?;
        refresh(&self.shared, &self.who, &self.updates).await;
        let (id, now) = (&settings.id, self.shared.now());
        self.shared.providers.note_validation(id, &validation, took, now);
        self.told().await;
        let kept = if healthy { Kept::AsAsked } else { Kept::Disabled };
        Ok(ValidationView { validation, kept: Some(kept) })
    }

    /// Gives a provider another key, once that was seen to work; else the old one stays.
    pub async fn rotate(&self, id: &ProviderId, key: Secret) -> Result<ValidationView, Report> {
        let known = self.shared.providers.settings(id);
        let known = known.ok_or_else(|| super::desk::no_such_provider(id))?;
        if !known.setup.takes_key() {
            let message = format!("`{id}` needs no key");
            return Err(Report::new(Kind::Denied, message));
        }
        let settings =
            ProviderSettings { setup: known.setup.clone().with_key(true), ..known.clone() };
        self.open_vault_for(id).await?;
        let provider = self.shared.providers.build(&settings, Some(&key));
        let watch = Stopwatch::start();
        let validation = providers::validate(&*provider, self.shared.now()).await;
        let took = watch.elapsed();
        if !validation.probe.is_healthy() {
            self.record(validated(&self.shared, &self.who, id, &validation)).await?;
            return Ok(ValidationView { validation, kept: None });
        }
        self.check_unchanged(id, Some(&known))?;
        let what = format!("Provider {id} has another key");
        let mut draft = about(&self.shared, &self.who, "provider.key_rotated", &what, id);
        draft.metadata = Some(evidence(&validation.probe));
        let keep = self.keep(&settings, Some(&key));
        self.recorded(draft, keep).await?;
        refresh(&self.shared, &self.who, &self.updates).await;
        self.shared.providers.note_validation(id, &validation, took, self.shared.now());
        self.told().await;
        Ok(ValidationView { validation, kept: Some(Kept::AsAsked) })
    }

    /// Takes a provider out, with its key. `in_use` is how many sessions use it.
    pub async fn remove(&self, id: &ProviderId, in_use: usize) -> Result<(), Report> {
        let provider = self.shared.providers.find(id);
        let provider = provider.filter(|_| self.shared.providers.is_listed(id));
        let provider = provider.ok_or_else(|| super::desk::no_such_provider(id))?;
        let disable = format!("breakglass providers disable {id}");
        if let Some(why) = provider.keep() {
            return Err(Report::new(Kind::Denied, why).hint(disable));
        }
        if in_use > 0 {
            let sessions = crate::domain::text::counted(in_use, "session");
            let message = format!("`{id}` is used by {sessions}, what is owed counted");
            return Err(Report::new(Kind::Denied, message)
                .hint(format!("end them first, or keep new ones away: {disable}")));
        }
        let known = self.shared.providers.settings(id);
        let known = known.ok_or_else(|| super::desk::no_such_provider(id))?;
        let name = ProviderSettings::secret_name(id).filter(|_| known.setup.has_key());
        let vault = self.shared.people.vault();
        let report = |error| super::people::vault_report(&error);
        if let Some(name) = &name {
            // A vault that is locked keeps everything as it is.
            vault.get(name).await.map_err(report)?;
        }
        let what = format!("Provider {id} was removed");
        let mut draft = about(&self.shared, &self.who, "provider.removed", &what, id);
        draft.changes = Some(json!({ "before": known, "after": null }));
        let remove = async { self.shared.settings.remove_provider(id) };
        self.recorded(draft, remove).await?;
        refresh(&self.shared, &self.who, &self.updates).await;
        self.told().await;
        match &name {
            Some(name) => vault.remove(name).await.map_err(report),
            None => Ok(()),
        }
    }

    /// Switches a provider on or off.
    pub async fn switch(&self, id: &ProviderId, enabled: bool) -> Result<(), Report> {
        if self.shared.providers.is_enabled(id) == enabled {
            return Ok(());
        }
        let (kind, what) = if enabled {
            ("provider.enabled", format!("Provider {id} enabled"))
        } else {
            ("provider.disabled", format!("Provider {id} disabled"))
        };
        let mut draft = about(&self.shared, &self.who, kind, &what, id);
        draft.changes =
            Some(json!({ "before": { "enabled": !enabled }, "after": { "enabled": enabled } }));
        let keep = async { self.shared.settings.provider_enabled(id, enabled) };
        self.recorded(draft, keep).await?;
        self.shared.providers.set_enabled(id, enabled);
        self.told().await;
        Ok(())
    }

    /// Refuses where a key could be neither read nor kept, before anybody is asked with it.
    async fn open_vault_for(&self, id: &ProviderId) -> Result<(), Report> {
        let Some(name) = ProviderSettings::secret_name(id) else { return Ok(()) };
        let got = self.shared.people.vault().get(&name).await;
        got.map(drop).map_err(|error| super::people::vault_report(&error))
    }

    /// What was looked at must be what is written: somebody may have changed it meanwhile.
    fn check_unchanged(
        &self,
        id: &ProviderId,
        known: Option<&ProviderSettings>,
    ) -> Result<(), Report> {
        if self.shared.providers.settings(id).as_ref() == known {
            return Ok(());
        }
        let message = format!("`{id}` was changed by somebody else meanwhile");
        Err(Report::new(Kind::Denied, message).hint("breakglass providers list"))
    }

    fn check_change(
        &self,
        settings: &ProviderSettings,
        known: Option<&ProviderSettings>,
        key: Option<&Secret>,
    ) -> Result<(), Report> {
        let id = &settings.id;
        if self.shared.providers.is_listed(id) && known.is_none() {
            let message = format!("`{id}` stands in no configuration, so it cannot be changed");
            return Err(Report::new(Kind::Denied, message));
        }
        if key.is_some() && !settings.setup.takes_key() {
            let message = format!("a provider of kind `{}` needs no key", settings.setup.kind());
            return Err(Report::new(Kind::Usage, message));
        }
        if let ProviderSetup::Ssh(setup) = &settings.setup {
            // Before anything is tried with it, whoever sent it.
            setup.destination.check().map_err(|error| Report::of(Kind::Usage, &error))?;
        }
        let Some(known) = known else { return Ok(()) };
        if known.setup.kind() != settings.setup.kind() {
            let message = format!("`{id}` is of kind `{}`", known.setup.kind());
            return Err(Report::new(Kind::Denied, message)
                .hint(format!("choose another name, or: breakglass providers remove {id}")));
        }
        if key.is_none() && settings.needs_key_again(known) {
            let message = "a key is bound to the host that it was given for";
            return Err(Report::new(Kind::Denied, message)
                .hint("give the key again, together with the new host"));
        }
        Ok(())
    }

    /// Keeps a key, then the settings that speak of it; where these cannot be kept, the key that was
    /// there before is put back.
    async fn keep(&self, settings: &ProviderSettings, key: Option<&Secret>) -> Result<(), Report> {
        let Some(key) = key else { return self.shared.settings.put_provider(settings) };
        let name = ProviderSettings::secret_name(&settings.id).ok_or_else(|| {
            Report::new(Kind::Usage, "the name is too long for a secret of its own")
                .hint("choose a shorter one")
        })?;
        let report = |error| super::people::vault_report(&error);
        let vault = self.shared.people.vault();
        let before = vault.get(&name).await.map_err(report)?;
        let bound = bind_key(&settings.setup.key_is_for(), key);
        vault.put(&name, &bound).await.map_err(report)?;
        let kept = self.shared.settings.put_provider(settings);
        if kept.is_err() {
            self.put_back(&name, before).await;
        }
        kept
    }

    async fn put_back(&self, name: &SecretName, before: Option<Secret>) {
        let vault = self.shared.people.vault();
        let undone = match &before {
            Some(before) => vault.put(name, before).await,
            None => vault.remove(name).await,
        };
        if let Err(error) = undone {
            tracing::warn!(%error, %name, "a key that nothing speaks of stays in the vault");
        }
    }

    /// Does something that stands in the audit first; where it then fails, that stands there too.
    async fn recorded(
        &self,
        mut draft: AuditDraft,
        doing: impl Future<Output = Result<(), Report>>,
    ) -> Result<(), Report> {
        self.record(draft.clone()).await?;
        if let Err(report) = doing.await {
            draft.outcome = Outcome::Failure;
            draft.description =
                format!("{}: could not be kept: {}", draft.description, report.message);
            self.record(draft).await?;
            return Err(report);
        }
        Ok(())
    }

    async fn record(&self, draft: AuditDraft) -> Result<(), Report> {
        record(&self.shared, draft, &self.updates).await
    }

    async fn told(&self) {
        self.updates.send(Update::Providers).await.ok();
    }
}

fn validated(shared: &Shared, who: &Who, id: &ProviderId, validation: &Validation) -> AuditDraft {
    let (kind, what) = match validation.probe.trouble() {
        None => ("provider.validated", format!("Provider {id} was seen to work")),
        Some(why) => ("provider.validation_failed", format!("Provider {id} does not work: {why}")),
    };
    let mut draft = about(shared, who, kind, &what, id);
    if !validation.probe.is_healthy() {
        draft.outcome = Outcome::Failure;
    }
    draft.metadata = Some(evidence(&validation.probe));
    draft
}

/// After that a sweep takes what is left of a canary.
const CANARY_LIFE: Span = Span::from_minutes(10);

fn nothing_to_prove(id: &ProviderId) -> Report {
    let message =
        format!("`{id}` has no deep check: what can be done there is seen without making anything");
    Report::new(Kind::Denied, message).hint(format!("breakglass providers validate {id}"))
}

fn about(shared: &Shared, who: &Who, kind: &str, what: &str, id: &ProviderId) -> AuditDraft {
    let object = Object { kind: "provider".into(), id: id.to_string(), name: id.to_string() };
    chronicle::plain(shared, kind, what, who, Some(object))
}

fn evidence(probe: &Probe) -> serde_json::Value {
    let check = |check: &crate::domain::probe::ProbeCheck| {
        let (found, text) = match &check.found {
            Ok(found) => (true, found),
            Err(why) => (false, why),
        };
        json!({ "ability": check.name, "needed": check.needed, "found": found, "text": text })
    };
    json!({ "abilities": probe.checks.iter().map(check).collect::<Vec<_>>() })
}

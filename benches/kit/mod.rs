//! An engine for a bench: a real store, and nobody to sign in.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use breakglass::domain::catalogue::Catalogue;
use breakglass::domain::id::{IdpId, InstallationId, ProviderId};
use breakglass::domain::identity_provider::IdpSettings;
use breakglass::domain::operator::Operator;
use breakglass::domain::policy::{OnPathLoss, Policy};
use breakglass::domain::provider::ProviderSettings;
use breakglass::domain::time::Span;
use breakglass::engine::{EngineParts, Installed, KeepSettings, PeopleParts, Rules};
use breakglass::error::Report;
use breakglass::http::{Http, Limits, Trust};
use breakglass::identity::hashing::HashParameters;
use breakglass::identity::oidc::Oidc;
use breakglass::protocol::Mode;
use breakglass::provider::Provider;
use breakglass::store::sqlite::SqliteStore;
use breakglass::vault::memory::MemoryVault;

use self::outside::Nothing;

#[path = "../../tests/it/support/outside.rs"]
mod outside;

/// What an engine is made of, with its state in a directory. It is a drill, so that nobody need sign
/// in; sessions are opened and taken up the same way.
pub async fn parts(
    state: &Path,
    providers: Vec<Arc<dyn Provider>>,
) -> Result<EngineParts, Box<dyn Error>> {
    let installed = |provider| Installed { provider, settings: None, enabled: true, default: true };
    Ok(EngineParts {
        store: Arc::new(SqliteStore::open(state).await?),
        catalogue: Catalogue::default(),
        policy: Policy {
            duration_max: Span::from_minutes(60),
            duration_default: Span::from_minutes(30),
            reason_pattern: None,
            ad_hoc_targets: true,
            idle: None,
            on_path_loss: OnPathLoss::default(),
        },
        providers: providers.into_iter().map(installed).collect(),
        builder: Arc::new(Nothing),
        launcher: Arc::new(Nothing),
        settings: Arc::new(Forgets),
        installation: InstallationId::from_random([1; 6]),
        operator: Operator::unix(rustix::process::getuid().as_raw(), "bench"),
        host: "bench".into(),
        state_dir: state.to_string_lossy().into_owned(),
        sockets_dir: state.to_owned(),
        connections_max: 4_096,
        drill: true,
        idps: vec![],
        people: PeopleParts {
            mode: Mode::Personal,
            hashing: HashParameters::default(),
            sso: Arc::new(Oidc::new(Http::new(Trust::default(), Limits::default()))),
            vault: Arc::new(MemoryVault::default()),
            boot_id: "bench".into(),
        },
        detached: false,
        problem: None,
    })
}

struct Forgets;

impl KeepSettings for Forgets {
    fn provider_enabled(&self, _: &ProviderId, _: bool) -> Result<(), Report> {
        Ok(())
    }

    fn put_provider(&self, _: &ProviderSettings) -> Result<(), Report> {
        Ok(())
    }

    fn remove_provider(&self, _: &ProviderId) -> Result<(), Report> {
        Ok(())
    }

    fn put_idp(&self, _: &IdpSettings) -> Result<(), Report> {
        Ok(())
    }

    fn remove_idp(&self, _: &IdpId) -> Result<(), Report> {
        Ok(())
    }

    fn changed(&self) -> Option<Result<Rules, Report>> {
        None
    }
}

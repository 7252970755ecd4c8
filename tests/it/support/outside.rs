//! An outside in which there is nothing: no provider can be made, and nothing started. Benches use
//! it too.

use std::sync::Arc;

use async_trait::async_trait;
use breakglass::domain::artifact::Marked;
use breakglass::domain::id::{InstallationId, ProviderId};
use breakglass::domain::launcher::{Launch, LaunchSpec, LauncherSettings};
use breakglass::domain::probe::Probe;
use breakglass::domain::provider::{ProviderKind, ProviderSettings};
use breakglass::domain::secret::Secret;
use breakglass::domain::time::Timestamp;
use breakglass::engine::BuildProviders;
use breakglass::launcher::{Described, Launcher, Secrets};
use breakglass::provider::Provider;
use breakglass::provider::direct::Direct;
use breakglass::session::{Applied, Looked, Undone};

/// Makes Direct of every setting, and starts nothing.
pub struct Nothing;

impl BuildProviders for Nothing {
    fn build(&self, settings: &ProviderSettings, _: Option<&Secret>) -> Arc<dyn Provider> {
        Arc::new(Direct::new(settings.id.clone()))
    }

    fn bare(&self, _: &ProviderId, _: ProviderKind) -> Option<Arc<dyn Provider>> {
        None
    }
}

#[async_trait]
impl Launcher for Nothing {
    async fn start(&self, _: &Launch, _: &Secrets, _: Timestamp) -> Applied {
        Applied::Refused("nothing can be started here".to_owned())
    }

    async fn look(&self, _: &Launch) -> Looked {
        Looked::Absent
    }

    async fn stop(&self, _: &Launch) -> Undone {
        Undone::Sent
    }

    async fn logs(&self, _: &Launch) -> Result<String, String> {
        Ok(String::new())
    }

    async fn list(&self, _: &LauncherSettings, _: &InstallationId) -> Result<Vec<Marked>, String> {
        Ok(vec![])
    }

    async fn remove(&self, _: &LauncherSettings, _: &Marked) -> Undone {
        Undone::Sent
    }

    async fn validate(&self, _: &LauncherSettings, now: Timestamp) -> Probe {
        Probe { at: now, checks: vec![] }
    }

    fn describe(&self, _: &LauncherSettings, _: &LaunchSpec) -> Described {
        Described { expires: "never".to_owned(), by_hand: vec![] }
    }
}

//! Many who look at a provider at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::*;
use crate::provider::{DialError, Dialed, Made, Order, ProviderError, StepCall};
use crate::session::{Applied, Looked, PlannedStep, Undone};

/// A provider whose look takes until somebody lets it go on.
struct Slow {
    id: ProviderId,
    looks: AtomicUsize,
    go_on: Semaphore,
}

#[async_trait]
impl Provider for Slow {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Ssh
    }

    fn label(&self) -> String {
        String::new()
    }

    fn about(&self) -> String {
        String::new()
    }

    fn keep(&self) -> Option<String> {
        None
    }

    fn plan(&self, _: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        Ok(vec![])
    }

    async fn apply(&self, _: StepCall<'_>) -> Applied {
        Applied::Applied(None)
    }

    async fn look(&self, _: StepCall<'_>) -> Looked {
        Looked::Absent
    }

    async fn undo(&self, _: StepCall<'_>) -> Undone {
        Undone::Sent
    }

    async fn dial(&self, _: &[Made]) -> Result<Dialed, DialError> {
        Err(DialError::Refused { address: "nowhere".to_owned() })
    }

    async fn check(&self) -> Health {
        self.looks.fetch_add(1, Ordering::SeqCst);
        drop(self.go_on.acquire().await.unwrap());
        Health::Healthy
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        Validation { probe: Probe { at: now, checks: vec![] }, key_expires_at: None }
    }

    fn audience(&self, _: &Order) -> Vec<String> {
        vec![]
    }
}

struct Nobody;

impl BuildProviders for Nobody {
    fn build(&self, settings: &ProviderSettings, _: Option<&Secret>) -> Arc<dyn Provider> {
        let (id, looks) = (settings.id.clone(), AtomicUsize::new(0));
        Arc::new(Slow { id, looks, go_on: Semaphore::new(0) })
    }

    fn bare(&self, _: &ProviderId, _: ProviderKind) -> Option<Arc<dyn Provider>> {
        None
    }
}

#[tokio::test]
async fn many_who_ask_at_once_wait_for_one_look() {
    let (id, looks) = ("bastion".parse().unwrap(), AtomicUsize::new(0));
    let slow = Arc::new(Slow { id, looks, go_on: Semaphore::new(0) });
    let provider: Arc<dyn Provider> = Arc::<Slow>::clone(&slow);
    let installed = Installed { provider, settings: None, enabled: true, default: true };
    let providers = Arc::new(Providers::new(vec![installed], Arc::new(Nobody)));
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let providers = Arc::clone(&providers);
        let clock = Clock::starting_at(Timestamp::from_millis(1_000));
        asking.spawn(async move { providers.check(|_| true, &clock).await });
    }
    // One thread takes them in their order: once this one comes round again, all have asked.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(slow.looks.load(Ordering::SeqCst), 1);
    slow.go_on.add_permits(1);
    assert!(asking.join_all().await.into_iter().all(|changed| changed));
    assert_eq!(slow.looks.load(Ordering::SeqCst), 1);
}

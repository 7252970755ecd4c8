//! The providers of this engine: which are on, and how each does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::{Clock, Stopwatch};
use crate::domain::id::ProviderId;
use crate::domain::provider::{Health, ProviderKind, ProviderStanding};
use crate::domain::time::{Span, Timestamp};
use crate::protocol::{ProviderView, SessionView};
use crate::provider::Provider;

/// A provider as the configuration has it.
#[derive(Clone)]
pub struct Installed {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it serves private targets that belong to no site.
    pub default: bool,
}

/// All providers, in the order of the configuration.
pub(super) struct Providers {
    rows: Mutex<Vec<Row>>,
}

struct Row {
    installed: Installed,
    health: Health,
    checked_at: Option<Timestamp>,
    latency: Option<Span>,
}

impl Providers {
    pub fn new(installed: Vec<Installed>) -> Self {
        let unchecked =
            |installed| Row { installed, health: Health::Healthy, checked_at: None, latency: None };
        Self { rows: Mutex::new(installed.into_iter().map(unchecked).collect()) }
    }

    /// The provider of that name.
    pub fn find(&self, id: &ProviderId) -> Option<Arc<dyn Provider>> {
        let rows = self.rows();
        let found = rows.iter().find(|row| row.installed.provider.id() == id);
        found.map(|row| Arc::clone(&row.installed.provider))
    }

    /// What the choice of a path needs to know.
    pub fn standings(&self) -> Vec<ProviderStanding> {
        let standing = |row: &Row| ProviderStanding {
            id: row.installed.provider.id().clone(),
            kind: row.installed.provider.kind(),
            enabled: row.installed.enabled,
            default: row.installed.default,
            health: row.health.clone(),
        };
        self.rows().iter().map(standing).collect()
    }

    /// What faces see; `live` are the sessions that may use one.
    pub fn views<'a>(
        &self,
        live: impl Iterator<Item = &'a SessionView> + Clone,
    ) -> Vec<ProviderView> {
        let view = |row: &Row| {
            let provider = &row.installed.provider;
            let users = live.clone().filter(|session| session.path.provider == *provider.id());
            let sessions = u32::try_from(users.count()).unwrap_or(u32::MAX);
            ProviderView {
                id: provider.id().clone(),
                kind: provider.kind(),
                label: provider.label(),
                enabled: row.installed.enabled,
                health: row.health.clone(),
                checked_at: row.checked_at,
                latency_millis: row.latency.map(Span::as_millis),
                sessions,
                keep: provider.keep(),
                about: provider.about(),
            }
        };
        self.rows().iter().map(view).collect()
    }

    /// Switches one on or off; false where it was so already or there is no such provider.
    pub fn set_enabled(&self, id: &ProviderId, enabled: bool) -> bool {
        let mut rows = self.rows();
        match rows.iter_mut().find(|row| row.installed.provider.id() == id) {
            Some(row) if row.installed.enabled != enabled => {
                row.installed.enabled = enabled;
                true
            }
            _ => false,
        }
    }

    /// Whether that provider is switched on.
    pub fn is_enabled(&self, id: &ProviderId) -> bool {
        let rows = self.rows();
        rows.iter().any(|row| row.installed.provider.id() == id && row.installed.enabled)
    }

    /// Looks at the health of one provider, or of all, at the same time. True where one changed.
    pub async fn check(&self, only: Option<&ProviderId>, clock: &Clock) -> bool {
        let mut checks = JoinSet::new();
        for standing in self.standings() {
            let wanted = only.is_none_or(|id| *id == standing.id);
            if let Some(provider) = self.find(&standing.id).filter(|_| wanted) {
                checks.spawn(check(provider));
            }
        }
        let mut changed = false;
        while let Some(checked) = checks.join_next().await {
            if let Ok((id, health, latency)) = checked {
                changed |= self.note(&id, health, latency, clock.now());
            }
        }
        changed
    }

    fn note(&self, id: &ProviderId, health: Health, latency: Option<Span>, at: Timestamp) -> bool {
        let mut rows = self.rows();
        let Some(row) = rows.iter_mut().find(|row| row.installed.provider.id() == id) else {
            return false;
        };
        let changed = row.health != health || row.checked_at.is_none();
        row.health = health;
        row.latency = latency;
        row.checked_at = Some(at);
        changed
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn check(provider: Arc<dyn Provider>) -> (ProviderId, Health, Option<Span>) {
    let stopwatch = Stopwatch::start();
    let limit = CHECK_TIMEOUT.to_std();
    let health = timeout(limit, provider.check())
        .await
        .unwrap_or_else(|_| Health::Down { why: format!("no answer within {CHECK_TIMEOUT}") });
    // Direct talks to nobody when it is checked, so there is nothing to measure.
    let measured = provider.kind() != ProviderKind::Direct && health.can_serve();
    (provider.id().clone(), health, measured.then(|| stopwatch.elapsed()))
}

const CHECK_TIMEOUT: Span = Span::from_seconds(15);

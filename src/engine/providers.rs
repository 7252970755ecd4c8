//! The providers of this engine: which are on, and how each does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::shared::BuildProviders;
use crate::clock::{Clock, Stopwatch};
use crate::domain::artifact::Marker;
use crate::domain::id::ProviderId;
use crate::domain::probe::{Probe, ProbeCheck};
use crate::domain::provider::{
    Health, ProviderKind, ProviderSettings, ProviderStanding, Validation,
};
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};
use crate::protocol::{ProviderTrouble, ProviderView, SessionView};
use crate::provider::Provider;

/// A provider as the configuration has it.
#[derive(Clone)]
pub struct Installed {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// What the configuration says of it; nothing where it stands in none.
    pub settings: Option<ProviderSettings>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it serves private targets that belong to no site.
    pub default: bool,
}

/// All providers, in the order of the configuration.
pub(super) struct Providers {
    rows: Mutex<Vec<Row>>,
    builder: Arc<dyn BuildProviders>,
}

struct Row {
    installed: Installed,
    health: Health,
    checked_at: Option<Timestamp>,
    latency: Option<Span>,
    validation: Option<Validation>,
    errors: Vec<ProviderTrouble>,
    /// Held by whoever looks at it: one at a time.
    looking: Arc<tokio::sync::Mutex<()>>,
    /// How many looks in a row have found it down.
    failures: u32,
    /// False once the configuration has it no more; what runs over it still finds it.
    listed: bool,
}

impl Row {
    fn new(installed: Installed) -> Self {
        Self {
            installed,
            health: Health::Healthy,
            checked_at: None,
            latency: None,
            validation: None,
            errors: vec![],
            looking: Arc::default(),
            failures: 0,
            listed: true,
        }
    }

    fn id(&self) -> &ProviderId {
        self.installed.provider.id()
    }

    fn note(&mut self, at: Timestamp, text: &str) {
        let text = text::shown(text);
        if self.errors.first().is_none_or(|known| known.text != text) {
            self.errors.insert(0, ProviderTrouble { at, text });
            self.errors.truncate(ERRORS_KEPT);
        }
    }
}

impl Providers {
    pub fn new(installed: Vec<Installed>, builder: Arc<dyn BuildProviders>) -> Self {
        Self { rows: Mutex::new(installed.into_iter().map(Row::new).collect()), builder }
    }

    /// Takes in what the configuration says. A provider of which it says nothing new stays as it is,
    /// with what is known of it; one that it has no more serves what runs over it, and nothing else.
    pub fn take(&self, all: Vec<ProviderSettings>) {
        let mut rows = self.rows();
        let mut before = std::mem::take(&mut *rows);
        for settings in all {
            let place = before.iter().position(|row| *row.id() == settings.id);
            let known = place.map(|place| before.remove(place));
            let same = |row: &Row| {
                row.installed.settings.as_ref().is_some_and(|it| it.setup == settings.setup)
            };
            let (enabled, default) = (settings.enabled, settings.default);
            rows.push(match known {
                Some(mut row) if same(&row) => {
                    row.listed = true;
                    row.installed.settings = Some(settings);
                    (row.installed.enabled, row.installed.default) = (enabled, default);
                    row
                }
                _ => {
                    let provider = self.builder.build(&settings, None);
                    let settings = Some(settings);
                    Row::new(Installed { provider, settings, enabled, default })
                }
            });
        }
        rows.extend(before.into_iter().map(|row| Row { listed: false, ..row }));
    }

    /// Makes a provider that is in no list yet.
    pub fn build(&self, settings: &ProviderSettings, key: Option<&Secret>) -> Arc<dyn Provider> {
        self.builder.build(settings, key)
    }

    /// The provider of that name.
    pub fn find(&self, id: &ProviderId) -> Option<Arc<dyn Provider>> {
        let rows = self.rows();
        rows.iter().find(|row| row.id() == id).map(|row| Arc::clone(&row.installed.provider))
    }

    /// The provider of that name; where there is none any more, one that can take back what it has
    /// made.
    pub fn find_for_removal(
        &self,
        id: &ProviderId,
        kind: ProviderKind,
    ) -> Option<Arc<dyn Provider>> {
        self.find(id).or_else(|| self.builder.bare(id, kind))
    }

    /// True where it is among those that carry new sessions, or could.
    pub fn is_listed(&self, id: &ProviderId) -> bool {
        self.rows().iter().any(|row| row.id() == id && row.listed)
    }

    /// What the configuration says of that provider.
    pub fn settings(&self, id: &ProviderId) -> Option<ProviderSettings> {
        let rows = self.rows();
        let row = rows.iter().find(|row| row.id() == id && row.listed)?;
        row.installed.settings.clone()
    }

    /// The providers whose connections go over that way.
    pub fn sharing(&self, way: &str) -> Vec<ProviderId> {
        let rows = self.rows();
        let sharing = rows
            .iter()
            .filter(|row| row.installed.provider.shared_way().is_some_and(|shared| shared == way));
        sharing.map(|row| row.id().clone()).collect()
    }

    /// All there are, and for each kind that is not among them one that finds what an earlier one
    /// has left on this host.
    pub fn all(&self) -> Vec<Arc<dyn Provider>> {
        let all = self.rows().iter().map(|row| Arc::clone(&row.installed.provider)).collect();
        let mut all: Vec<Arc<dyn Provider>> = all;
        for kind in [ProviderKind::Ssh, ProviderKind::Tailscale, ProviderKind::Twingate] {
            if !all.iter().any(|provider| provider.kind() == kind)
                && let Ok(id) = kind.to_string().parse()
            {
                all.extend(self.builder.bare(&id, kind));
            }
        }
        all
    }

    /// What the choice of a path needs to know.
    pub fn standings(&self) -> Vec<ProviderStanding> {
        let standing = |row: &Row| ProviderStanding {
            id: row.id().clone(),
            kind: row.installed.provider.kind(),
            enabled: row.installed.enabled,
            default: row.installed.default,
            health: row.health.clone(),
        };
        self.rows().iter().filter(|row| row.listed).map(standing).collect()
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
                settings: row.installed.settings.clone(),
                validation: row.validation.clone(),
                errors: row.errors.clone(),
            }
        };
        self.rows().iter().filter(|row| row.listed).map(view).collect()
    }

    /// Switches one on or off; false where it was so already or there is no such provider.
    pub fn set_enabled(&self, id: &ProviderId, enabled: bool) -> bool {
        let mut rows = self.rows();
        match rows.iter_mut().find(|row| row.id() == id) {
            Some(row) if row.installed.enabled != enabled => {
                row.installed.enabled = enabled;
                if let Some(settings) = &mut row.installed.settings {
                    settings.enabled = enabled;
                }
                true
            }
            _ => false,
        }
    }

    /// Whether that provider is switched on.
    pub fn is_enabled(&self, id: &ProviderId) -> bool {
        self.rows().iter().any(|row| row.id() == id && row.installed.enabled)
    }

    /// Looks at the health of those that are due, at the same time. True where one changed, or was
    /// just looked at for somebody else: that look is waited for, and counts.
    pub async fn check(&self, due: impl Fn(&Due) -> bool, clock: &Clock) -> bool {
        let mut checks = JoinSet::new();
        for (provider, what) in self.due() {
            if due(&what) {
                checks.spawn(async move {
                    let Ok(turn) = Arc::clone(&what.looking).try_lock_owned() else {
                        drop(what.looking.lock().await);
                        return None;
                    };
                    Some((check(provider).await, turn))
                });
            }
        }
        let mut changed = false;
        while let Some(checked) = checks.join_next().await {
            changed |= match checked {
                Ok(Some(((id, health, latency), _turn))) => {
                    self.note_health(&id, health, latency, clock.now())
                }
                Ok(None) => true,
                Err(_) => false,
            };
        }
        changed
    }

    /// Lets what is known of those that are down count as old news.
    pub fn doubt_down(&self) {
        for row in self.rows().iter_mut().filter(|row| !row.health.can_serve()) {
            row.checked_at = None;
        }
    }

    fn due(&self) -> Vec<(Arc<dyn Provider>, Due)> {
        let due = |row: &Row| {
            let what = Due {
                id: row.id().clone(),
                is_down: !row.health.can_serve(),
                failures: row.failures,
                checked_at: row.checked_at,
                looking: Arc::clone(&row.looking),
            };
            (Arc::clone(&row.installed.provider), what)
        };
        self.rows().iter().filter(|row| row.listed && row.installed.enabled).map(due).collect()
    }

    /// Sees what can be done at a provider, and takes that in.
    pub async fn validate(&self, id: &ProviderId, clock: &Clock) -> Option<Validation> {
        let provider = self.find(id)?;
        let stopwatch = Stopwatch::start();
        let validation = validate(&*provider, clock.now()).await;
        self.note_validation(id, &validation, stopwatch.elapsed(), clock.now());
        Some(validation)
    }

    /// Sees for certain what can be done at a provider, by making something there and taking it away
    /// again, and takes that in. None where there is nothing to be seen that way.
    pub async fn prove(&self, id: &ProviderId, mark: &Marker, clock: &Clock) -> Option<Validation> {
        let provider = self.find(id)?;
        let stopwatch = Stopwatch::start();
        let (now, limit) = (clock.now(), PROVE_TIMEOUT.to_std());
        let proved = timeout(limit, provider.prove(mark, now)).await.unwrap_or_else(|_| {
            let why = format!(
                "no end within {PROVE_TIMEOUT}; what was made may be there still: `breakglass sweep` \
                 finds it"
            );
            Some(unanswered(now, why, PROVE_TIMEOUT))
        })?;
        self.note_validation(id, &proved, stopwatch.elapsed(), clock.now());
        Some(proved)
    }

    /// Takes in what was seen to be possible at a provider.
    pub fn note_validation(
        &self,
        id: &ProviderId,
        validation: &Validation,
        took: Span,
        at: Timestamp,
    ) {
        let health = Health::of(&validation.probe);
        // Where nobody was asked there is nothing to measure.
        let measured = (health.can_serve() && !validation.probe.checks.is_empty()).then_some(took);
        self.note_health(id, health, measured, at);
        if let Some(row) = self.rows().iter_mut().find(|row| row.id() == id) {
            row.validation = Some(validation.clone());
        }
    }

    /// Takes in that something went wrong over a provider.
    pub fn note_trouble(&self, id: &ProviderId, at: Timestamp, text: &str) {
        if let Some(row) = self.rows().iter_mut().find(|row| row.id() == id) {
            row.note(at, text);
        }
    }

    /// Takes in that a session met trouble that may be the provider's own: until a look says more,
    /// it does not count as well.
    pub fn suspect(&self, id: &ProviderId, at: Timestamp, why: &str) {
        let mut rows = self.rows();
        let Some(row) = rows.iter_mut().find(|row| row.id() == id) else { return };
        row.note(at, why);
        if row.health == Health::Healthy {
            row.health = Health::Degraded { why: text::shown(why) };
        }
    }

    fn note_health(
        &self,
        id: &ProviderId,
        health: Health,
        latency: Option<Span>,
        at: Timestamp,
    ) -> bool {
        let mut rows = self.rows();
        let Some(row) = rows.iter_mut().find(|row| row.id() == id) else { return false };
        let changed = row.health != health || row.checked_at.is_none();
        row.failures = if health.can_serve() { 0 } else { row.failures.saturating_add(1) };
        if let Health::Down { why } = &health {
            row.note(at, why);
        }
        row.health = health;
        row.latency = latency;
        row.checked_at = Some(at);
        changed
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What decides whether a provider is to be looked at.
pub(super) struct Due {
    pub id: ProviderId,
    pub is_down: bool,
    pub failures: u32,
    pub checked_at: Option<Timestamp>,
    looking: Arc<tokio::sync::Mutex<()>>,
}

impl Due {
    /// True where the last look is old: a minute for one that is well; for one that is down sooner,
    /// then later and later.
    pub fn is_old(&self, now: Timestamp) -> bool {
        let wait = match self.failures {
            0 => WELL_EVERY,
            failures => {
                let doubled = DOWN_FIRST.as_seconds() << (failures - 1).min(5);
                Span::from_seconds(doubled.min(DOWN_EVERY_MAX.as_seconds()))
            }
        };
        self.checked_at.is_none_or(|at| now.since(at) >= wait)
    }
}

/// Sees what can be done at a provider, within a limit.
pub(super) async fn validate(provider: &dyn Provider, now: Timestamp) -> Validation {
    let looked = timeout(VALIDATE_TIMEOUT.to_std(), provider.validate(now)).await;
    let why = || format!("no answer within {VALIDATE_TIMEOUT}");
    looked.unwrap_or_else(|_| unanswered(now, why(), VALIDATE_TIMEOUT))
}

fn unanswered(now: Timestamp, why: String, waited: Span) -> Validation {
    let (name, millis) = ("answers".to_owned(), waited.as_millis());
    let check = ProbeCheck { name, needed: true, found: Err(why), millis };
    Validation { probe: Probe { at: now, checks: vec![check] }, key_expires_at: None }
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
const VALIDATE_TIMEOUT: Span = Span::from_seconds(60);
/// A canary is a few changes, and a provider that allows few a minute has it wait for them.
const PROVE_TIMEOUT: Span = Span::from_minutes(5);
const WELL_EVERY: Span = Span::from_seconds(60);
const DOWN_FIRST: Span = Span::from_seconds(15);
const DOWN_EVERY_MAX: Span = Span::from_minutes(5);
const ERRORS_KEPT: usize = 5;

#[cfg(test)]
mod looks;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_stays_down_is_looked_at_less_and_less_often() {
        let at = Timestamp::from_millis(1_000_000);
        let waits: Vec<_> = (0..8)
            .map(|failures| {
                let id = "bastion".parse().unwrap();
                let looking = Arc::default();
                let due =
                    Due { id, is_down: failures > 0, failures, checked_at: Some(at), looking };
                (0..).find(|seconds| due.is_old(at + Span::from_seconds(*seconds))).unwrap()
            })
            .collect();
        assert_eq!(waits, [60, 15, 30, 60, 120, 240, 300, 300]);
        let id = "x".parse().unwrap();
        let looking = Arc::default();
        let never = Due { id, is_down: false, failures: 0, checked_at: None, looking };
        assert!(never.is_old(at));
    }
}

//! Looks at identity providers: at the start, while somebody watches, and for each try to sign in
//! while SSO is enforced.

use std::sync::{Arc, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use super::{audit, desk::Desk};
use crate::domain::id::IdpId;
use crate::domain::identity_provider::{IdpHealth, IdpSettings};
use crate::domain::probe::{Probe, ProbeCheck};
use crate::domain::time::{Span, Timestamp};
use crate::engine::interpreter::Update;
use crate::engine::reading::record;
use crate::engine::shared::{Shared, Who};

/// Looks at these now, side by side, and tells the faces what has changed. Who does not answer
/// within the limit counts as not working.
pub(in crate::engine) async fn look_at(
    shared: &Arc<Shared>,
    updates: &mpsc::Sender<Update>,
    idps: Vec<IdpSettings>,
    limit: Duration,
) {
    let mut looks = JoinSet::new();
    for idp in idps {
        let shared = Arc::clone(shared);
        looks.spawn(async move {
            let at = shared.now();
            let looked = timeout(limit, shared.people.sso.probe(&idp, at)).await;
            (idp.id, looked.unwrap_or_else(|_| silent(at, limit)))
        });
    }
    while let Some(look) = looks.join_next().await {
        if let Ok((idp, probe)) = look {
            keep(shared, updates, &idp, probe).await;
        }
    }
}

fn silent(at: Timestamp, limit: Duration) -> Probe {
    let found = Err(format!("no answer within {} seconds", limit.as_secs()));
    let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    Probe {
        at,
        checks: vec![ProbeCheck { name: "discovery".to_owned(), needed: true, found, millis }],
    }
}

/// Keeps what a look showed. Where somebody's health is another than before, the audit has it.
pub(super) async fn keep(
    shared: &Arc<Shared>,
    updates: &mpsc::Sender<Update>,
    idp: &IdpId,
    probe: Probe,
) {
    let before = shared.people.health(idp);
    let after = IdpHealth::of(Some(&probe));
    let why = probe.trouble().map(|why| format!(": {why}")).unwrap_or_default();
    {
        let mut probes = shared.people.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.insert(idp.clone(), probe.clone());
    }
    {
        let book = shared.people.book().await;
        shared.people.show(&book.directory, shared.now());
    }
    // A receiver that is gone needs no news.
    updates.send(Update::Identity).await.ok();
    if before == after || (before == IdpHealth::Unknown && after == IdpHealth::Healthy) {
        return;
    }
    let what = format!("{idp} is {after}{why}");
    let draft = audit::idp(shared, &Who::engine(), "sso.probe_changed", &what, idp);
    let mut draft = if after == IdpHealth::Healthy { draft } else { audit::failed(draft) };
    draft.metadata = Some(audit::evidence(idp, Some(&probe)));
    if let Err(report) = record(shared, draft, updates).await {
        tracing::warn!(%report, "how an identity provider does could not be written down");
    }
}

impl Desk {
    /// Looks at every identity provider whose SSO is enforced, unless that was done just now.
    pub(super) async fn look_at_enforced(&self) {
        let shown = self.shared.people.view();
        let now = self.shared.now();
        let fresh = |probe: &Probe| now.since(probe.at) < FRESH;
        let due = shown.idps.iter().filter(|idp| {
            idp.enforced && !self.shared.people.probe(&idp.id).as_ref().is_some_and(fresh)
        });
        let due: Vec<_> = due.filter_map(|idp| idp.settings.clone()).collect();
        if due.is_empty() {
            return;
        }
        look_at(&self.shared, &self.updates, due, PATIENCE).await;
    }

    /// What is known of every identity provider whose SSO is enforced.
    pub(super) fn evidence_of_enforced(&self) -> Vec<Value> {
        let shown = self.shared.people.view();
        let enforced = shown.idps.iter().filter(|idp| idp.enforced);
        enforced
            .map(|idp| audit::evidence(&idp.id, self.shared.people.probe(&idp.id).as_ref()))
            .collect()
    }
}

/// How long a look counts as one made just now.
const FRESH: Span = Span::from_seconds(5);

/// How long a sign-in waits for an identity provider that may be down.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a look takes at most where nobody waits to come in.
pub(in crate::engine) const LOOK_MAX: Duration = Duration::from_secs(10);

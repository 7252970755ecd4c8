//! Turns a request into a session: policy, path, plan, and the first durable lines.

use std::sync::Arc;

use serde::Deserialize as _;

use super::chronicle;
use super::doors::{EndpointAction, endpoint_step};
use super::people;
use super::providers::Due;
use super::shared::{Shared, Who, needed_until};
use crate::domain::artifact::Marker;
use crate::domain::catalogue::Catalogue;
use crate::domain::id::SessionId;
use crate::domain::launcher::Launch;
use crate::domain::policy::{Accepted, OnPathLoss, Policy, PolicyError};
use crate::domain::request::{AGREE, NetworkPath, OpenRequest, Request, TargetChoice};
use crate::domain::target::Target;
use crate::domain::time::{Span, Timestamp};
use crate::error::{Kind, Report};
use crate::protocol::{Considered, PathView, PlanStepView, PlanView, TargetView};
use crate::provider::{Order, Provider};
use crate::session::path::{self, Choice, Probe};
use crate::session::{Carrier, Plan, PlannedStep};
use crate::store::Batch;

/// How policy looks at a request.
type Accept = fn(&Policy, &OpenRequest, &Catalogue) -> Result<Accepted, PolicyError>;

/// A request that may become a session.
pub(super) struct Prepared {
    pub id: SessionId,
    pub at: Timestamp,
    pub request: Box<Request>,
    pub steps: Vec<PlannedStep>,
    /// The change of a file of others that the operator agreed to: the lines of a diff.
    pub agreed: Vec<String>,
    order: Order,
}

/// Decides about a request and plans it. Nothing is created yet.
///
/// # Errors
///
/// That policy says no, no provider can serve, or the provider cannot carry such a path.
async fn prepare(
    shared: &Arc<Shared>,
    request: &OpenRequest,
    who: &Who,
    accept: Accept,
) -> Result<Prepared, Report> {
    let rules = shared.rules();
    if let Some(problem) = &rules.problem {
        return Err(problem.clone());
    }
    let accepted = accept(&rules.policy, request, &rules.catalogue).map_err(|e| denied(&e))?;
    let Accepted { target, reason, lease, lease_max } = accepted;
    let choice = choose(shared, &target).await;
    let Some(path) = choice.path.clone() else {
        return Err(without_path(shared, &target, &choice).await);
    };
    let operator = who.operator.clone().unwrap_or_else(|| shared.operator.clone());
    let (id, at) = (shared.session_id(), shared.now());
    let (drill, audience) = (shared.drill, vec![]);
    let mut request = Request { target, reason, lease, lease_max, operator, path, audience, drill };
    let (order, steps) = plan(shared, id, at, &mut request)?;
    Ok(Prepared { id, at, request: Box::new(request), steps, agreed: vec![], order })
}

/// Decides as [`prepare`], for a session that is to be opened now: its provider's key must be at hand.
///
/// # Errors
///
/// As [`prepare`], and that the vault is not open.
pub(super) async fn prepare_to_open(
    shared: &Arc<Shared>,
    request: &OpenRequest,
    who: &Who,
) -> Result<Prepared, Report> {
    let prepared = prepare(shared, request, who, Policy::accept).await?;
    people::vault_open_for(shared, &prepared.request.path.provider).await?;
    let changes = changes(shared, &prepared).await?;
    if changes.is_empty() || request.agreed {
        return Ok(Prepared { agreed: changes, ..prepared });
    }
    let provider = &prepared.request.path.provider;
    let message = format!("opening changes the shared policy file of `{provider}`");
    let refused = changes.iter().fold(Report::new(Kind::Denied, message), Report::because);
    Err(refused.hint(format!("to agree, open it again just so; on the command line with {AGREE}")))
}

/// What opening changes in a file of others.
async fn changes(shared: &Arc<Shared>, prepared: &Prepared) -> Result<Vec<String>, Report> {
    let provider = carrier_of(shared, &prepared.request.path)?;
    let changes = provider.changes(&prepared.order).await;
    changes.map_err(|why| Report::new(Kind::Unavailable, why))
}

/// Says what opening would do.
///
/// # Errors
///
/// As [`prepare`].
pub(super) async fn dry_run(
    shared: &Arc<Shared>,
    request: &OpenRequest,
    who: &Who,
) -> Result<PlanView, Report> {
    let prepared = prepare(shared, request, who, Policy::accept_plan).await?;
    let changes = changes(shared, &prepared).await?;
    let Request { target, path, lease, lease_max, audience, .. } = *prepared.request;
    let step = |step: PlannedStep| PlanStepView {
        label: step.label,
        creates: step.leaves,
        expires: step.expires,
        needs: step.needs,
    };
    let steps = prepared.steps.into_iter().map(step).collect();
    Ok(PlanView { target, path, lease, lease_max, steps, audience, changes })
}

/// Writes into the audit that a request was refused.
pub(super) async fn record_refusal(
    shared: &Arc<Shared>,
    request: &OpenRequest,
    who: &Who,
    report: &Report,
) {
    let target = match &request.target {
        TargetChoice::Named(id) => id.to_string(),
        TargetChoice::AdHoc { address, .. } => address.to_string(),
    };
    let draft = chronicle::rejected(shared, who, &target, &request.reason, &report.message);
    let wall = crate::clock::wall();
    let batch = Batch { audit: vec![draft], ..Batch::at(wall) };
    if let Err(error) = shared.store.append(batch).await {
        tracing::error!(%error, "a refusal could not be written into the audit");
    }
}

/// Says which path a target would get now.
pub(super) async fn path_view(
    shared: &Arc<Shared>,
    choice: &TargetChoice,
) -> Result<PathView, Report> {
    let rules = shared.rules();
    let accepted = rules.policy.accept_target(choice, &rules.catalogue);
    let target = accepted.map_err(|error| denied(&error))?;
    Ok(view(&target, choose(shared, &target).await))
}

/// Lists the catalogue, with the path that each target would get now where that is asked for.
pub(super) async fn targets(shared: &Arc<Shared>, with_paths: bool) -> Vec<TargetView> {
    let rules = shared.rules();
    let targets = rules.catalogue.targets.values().cloned();
    if !with_paths {
        return targets.map(|target| TargetView { target, path: None }).collect();
    }
    let mut views = std::collections::BTreeMap::new();
    let mut checks = tokio::task::JoinSet::new();
    for target in targets {
        if checks.len() >= PROBES_AT_ONCE {
            keep(&mut views, checks.join_next().await);
        }
        let shared = Arc::clone(shared);
        checks.spawn(async move {
            let choice = choose(&shared, &target).await;
            TargetView { path: Some(view(&target, choice)), target }
        });
    }
    while let Some(checked) = checks.join_next().await {
        keep(&mut views, Some(checked));
    }
    views.into_values().collect()
}

fn keep(
    views: &mut std::collections::BTreeMap<crate::domain::id::TargetId, TargetView>,
    checked: Option<Result<TargetView, tokio::task::JoinError>>,
) {
    if let Some(Ok(checked)) = checked {
        views.insert(checked.target.id.clone(), checked);
    }
}

async fn choose(shared: &Arc<Shared>, target: &Target) -> Choice {
    let standings = shared.providers.standings();
    let probe = if path::needs_probe(target, &standings) {
        Some(probe(shared, target).await)
    } else {
        None
    };
    let catalogue = &shared.rules().catalogue;
    let choice = path::choose(target, catalogue, &standings, probe.as_ref());
    if choice.path.is_some() {
        return choice;
    }
    // One that was down when it was last looked at may be back: nobody is refused by old news.
    let now = shared.now();
    let may_be_back = |due: &Due| {
        due.is_down
            && due.checked_at.is_none_or(|at| now.since(at) >= NEWS)
            && choice.considered.iter().any(|(id, _)| *id == due.id)
    };
    if !shared.providers.check(may_be_back, &shared.clock).await {
        return choice;
    }
    path::choose(target, catalogue, &shared.providers.standings(), probe.as_ref())
}

async fn probe(shared: &Arc<Shared>, target: &Target) -> Probe {
    let (host, port) = (target.address.host(), target.address.port());
    let limit = path::PROBE_TIMEOUT.to_std();
    let attempt = async {
        let found = match tokio::net::lookup_host((host, port)).await {
            Ok(found) => found.collect::<Vec<_>>(),
            Err(error) => return Probe::Failed(error.to_string()),
        };
        let outside = match path::outside_sites(&found, &shared.rules().catalogue) {
            Ok(outside) => outside,
            Err(site) => return Probe::Private(site),
        };
        match tokio::net::TcpStream::connect(outside.as_slice()).await {
            Ok(_) => Probe::Connected,
            Err(error) => Probe::Failed(error.to_string()),
        }
    };
    let late = || Probe::Failed(format!("no answer within {}", path::PROBE_TIMEOUT));
    tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| late())
}

fn plan(
    shared: &Arc<Shared>,
    id: SessionId,
    at: Timestamp,
    request: &mut Request,
) -> Result<(Order, Vec<PlannedStep>), Report> {
    let provider = carrier_of(shared, &request.path)?;
    keep_apart(shared, &*provider, &request.target)?;
    let needed_until = needed_until(at, request.lease_max);
    let (target, rules) = (&request.target, shared.rules());
    let order = Order {
        session: id,
        site: target.site.as_ref().and_then(|id| rules.catalogue.sites.get(id)).cloned(),
        forbidden: path::forbidden_ranges(target, &rules.catalogue),
        marker: Marker::new(&shared.installation, id, needed_until),
        needed_until,
        target: target.clone(),
    };
    let mut steps = provider.plan(&order).map_err(|error| Report::of(Kind::Unavailable, &error))?;
    for step in &mut steps {
        step.remade &= rules.policy.on_path_loss == OnPathLoss::Reconnect;
        describe_launch(shared, step)?;
    }
    let audience = provider.audience(&order);
    let action = EndpointAction {
        listen: target.listen.clone(),
        kind: target.kind,
        owner: request.operator.uid,
        idle: target.idle.or(rules.policy.idle),
    };
    let needs = (0..steps.len()).collect();
    steps.push(endpoint_step(&action, needs).map_err(|error| bug(&error))?);
    request.audience = audience;
    let steps = Plan::new(steps).map(Plan::into_steps).map_err(|error| bug(&error))?;
    Ok((order, steps))
}

/// Refuses a path over a provider that could lead into another site.
fn keep_apart(shared: &Shared, provider: &dyn Provider, target: &Target) -> Result<(), Report> {
    let Some(way) = provider.shared_way() else { return Ok(()) };
    let rules = shared.rules();
    let sharing = shared.providers.sharing(&way);
    let Some(other) = path::shares_addresses(target, &rules.catalogue, &sharing) else {
        return Ok(());
    };
    let id = provider.id();
    let message = format!("`{id}` cannot tell apart {other}: both have these addresses");
    Err(Report::new(Kind::Unavailable, message).hint(format!(
        "give one of the two sites, in its `providers`, one that does not go over {way}"
    )))
}

/// Says of a step that starts something in a site what gives it an end, and what removes it.
fn describe_launch(shared: &Shared, step: &mut PlannedStep) -> Result<(), Report> {
    if step.carrier != Carrier::Launcher {
        return Ok(());
    }
    let launch = Launch::deserialize(&step.action).map_err(|error| bug(&error))?;
    let described = shared.launcher.describe(&launch.launcher, &launch.spec);
    step.expires = Some(described.expires);
    step.by_hand = described.by_hand;
    Ok(())
}

fn carrier_of(shared: &Arc<Shared>, path: &NetworkPath) -> Result<Arc<dyn Provider>, Report> {
    shared.providers.find(&path.provider).ok_or_else(|| {
        let message = format!("the provider `{}` is not in the configuration", path.provider);
        Report::new(Kind::Unavailable, message)
    })
}

fn view(target: &Target, choice: Choice) -> PathView {
    let why_not = no_path(target, &choice).message;
    let considered = choice.considered.into_iter();
    PathView {
        path: choice.path.ok_or(why_not),
        considered: considered.map(|(provider, why)| Considered { provider, why }).collect(),
    }
}

/// Why there is no path: where a provider could serve if the vault were open, that.
async fn without_path(shared: &Shared, target: &Target, choice: &Choice) -> Report {
    for (id, _) in &choice.considered {
        if shared.providers.is_enabled(id)
            && let Err(closed) = people::vault_open_for(shared, id).await
        {
            return closed;
        }
    }
    no_path(target, choice)
}

fn no_path(target: &Target, choice: &Choice) -> Report {
    let message = format!("there is no path to `{}`: {}", target.id, choice.why_not());
    let off = choice.considered.iter().find(|(_, why)| why == path::SWITCHED_OFF);
    Report::new(Kind::Unavailable, message).hint(match off {
        Some((provider, _)) => format!("breakglass providers enable {provider}"),
        None => "breakglass providers shows each provider; breakglass targets --paths each path"
            .to_owned(),
    })
}

fn denied(error: &PolicyError) -> Report {
    let kind = match error {
        PolicyError::TargetUnknown { .. } | PolicyError::SiteUnknown(_) => Kind::Usage,
        _ => Kind::Denied,
    };
    let report = Report::of(kind, error);
    match error {
        PolicyError::TargetUnknown { .. } => report.hint("breakglass targets"),
        PolicyError::SiteUnknown(_) => report.hint("breakglass sites"),
        _ => report,
    }
}

fn bug(error: &(dyn std::error::Error + 'static)) -> Report {
    Report::of(Kind::Internal, error)
}

/// For how long a provider that was found down counts as down without another look.
const NEWS: Span = Span::from_seconds(5);
const PROBES_AT_ONCE: usize = 64;

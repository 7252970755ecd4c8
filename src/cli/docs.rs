//! What `--json` prints: one shape for each noun, in `snake_case`, with every field always there.
//!
//! Times are the wall's, RFC 3339 in UTC; lengths of time are whole seconds and say so in the name.
//! The read models of `protocol` are not printed as they are: they may change with any build, and
//! these may not.

use serde::Serialize;

use super::words::{self, Times};
use crate::domain::connect::EndpointAddress;
use crate::domain::id::{ProviderId, SiteId, TargetId};
use crate::domain::operator::Operator;
use crate::domain::provider::ProviderKind;
use crate::domain::request::NetworkPath;
use crate::domain::target::{Target, TargetKind};
use crate::protocol::{
    Considered, EngineView, ExitLine, Notice, PathView, PlanStepView, PlanView, SessionView,
    Severity, StepView, TargetView, Traffic,
};

#[derive(Serialize)]
struct PathLossDoc {
    lost_at: String,
    back_at: Option<String>,
}

#[derive(Serialize)]
pub(super) struct SessionDoc<'a> {
    id: String,
    short_id: String,
    state: &'static str,
    target: TargetDoc<'a>,
    path: PathDoc<'a>,
    endpoint: Option<EndpointDoc>,
    command: Option<&'a str>,
    operator: &'a Operator,
    reason: &'a str,
    requested_at: String,
    activated_at: Option<String>,
    lease_seconds: u64,
    lease_max_seconds: u64,
    lease_ends_at: Option<String>,
    ended_at: Option<String>,
    end_reason: Option<&'a str>,
    end_detail: Option<&'a str>,
    steps: Vec<StepDoc<'a>>,
    receipt: Vec<ReceiptDoc<'a>>,
    exit_card: &'a [ExitLine],
    traffic: Traffic,
    audience: &'a [String],
    path_lost: Option<&'a str>,
    live: &'a [String],
    path_losses: Vec<PathLossDoc>,
    drill: bool,
}

#[derive(Serialize)]
struct TargetDoc<'a> {
    id: &'a TargetId,
    name: &'a str,
    site: Option<&'a SiteId>,
    kind: TargetKind,
    address: String,
}

#[derive(Serialize)]
struct PathDoc<'a> {
    provider: &'a ProviderId,
    kind: ProviderKind,
    why: &'a str,
}

#[derive(Serialize)]
struct EndpointDoc {
    address: String,
    host: Option<&'static str>,
    port: Option<u16>,
    socket: Option<String>,
}

#[derive(Serialize)]
struct StepDoc<'a> {
    label: &'a str,
    progress: &'static str,
    detail: Option<&'a str>,
    started_at: Option<String>,
    finished_at: Option<String>,
    tries: u32,
}

#[derive(Serialize)]
struct ReceiptDoc<'a> {
    artifact: &'a str,
    made_at: String,
    gone_at: Option<String>,
}

impl<'a> SessionDoc<'a> {
    pub(super) fn new(view: &'a SessionView, times: &Times) -> Self {
        let time = |at| times.rfc3339(at);
        let receipt = view.receipt.iter().map(|line| ReceiptDoc {
            artifact: &line.artifact,
            made_at: time(line.made_at),
            gone_at: line.gone_at.map(time),
        });
        Self {
            id: view.id.to_string(),
            short_id: view.id.short(),
            state: view.state.as_str(),
            target: TargetDoc::new(&view.target),
            path: PathDoc::new(&view.path),
            endpoint: view.endpoint.as_ref().map(EndpointDoc::new),
            command: view.command.as_deref(),
            operator: &view.operator,
            reason: &view.reason,
            requested_at: time(view.requested_at),
            activated_at: view.activated_at.map(time),
            lease_seconds: view.lease.as_seconds(),
            lease_max_seconds: view.lease_max.as_seconds(),
            lease_ends_at: view.lease_ends_at.map(time),
            ended_at: view.ended_at.map(time),
            end_reason: view.end_reason.as_deref(),
            end_detail: view.end_detail.as_deref(),
            steps: view.steps.iter().map(|step| StepDoc::new(step, times)).collect(),
            receipt: receipt.collect(),
            exit_card: &view.exit_card,
            traffic: view.traffic,
            audience: &view.audience,
            path_lost: view.path_lost.as_deref(),
            live: &view.live,
            path_losses: view
                .path_losses
                .iter()
                .map(|loss| PathLossDoc {
                    lost_at: times.rfc3339(loss.lost_at),
                    back_at: loss.back_at.map(|at| times.rfc3339(at)),
                })
                .collect(),
            drill: view.drill,
        }
    }
}

impl<'a> TargetDoc<'a> {
    fn new(target: &'a Target) -> Self {
        Self {
            id: &target.id,
            name: &target.name,
            site: target.site.as_ref(),
            kind: target.kind,
            address: target.address.to_string(),
        }
    }
}

impl<'a> PathDoc<'a> {
    fn new(path: &'a NetworkPath) -> Self {
        Self { provider: &path.provider, kind: path.kind, why: &path.why }
    }
}

impl EndpointDoc {
    fn new(endpoint: &EndpointAddress) -> Self {
        let address = endpoint.to_string();
        match endpoint {
            EndpointAddress::Loopback { port } => {
                Self { address, host: Some("127.0.0.1"), port: Some(*port), socket: None }
            }
            EndpointAddress::Unix { path } => {
                Self { address, host: None, port: None, socket: Some(path.clone()) }
            }
        }
    }
}

impl<'a> StepDoc<'a> {
    fn new(step: &'a StepView, times: &Times) -> Self {
        Self {
            label: &step.label,
            // The same word as for people, without the capitals that draw their eye.
            progress: match words::progress(step.progress) {
                "OWED" => "owed",
                word => word,
            },
            detail: step.detail.as_deref(),
            started_at: step.started_at.map(|at| times.rfc3339(at)),
            finished_at: step.finished_at.map(|at| times.rfc3339(at)),
            tries: step.tries,
        }
    }
}

#[derive(Serialize)]
pub(super) struct PlanDoc<'a> {
    target: TargetDoc<'a>,
    path: PathDoc<'a>,
    lease_seconds: u64,
    lease_max_seconds: u64,
    steps: &'a [PlanStepView],
    audience: &'a [String],
    changes: &'a [String],
}

impl<'a> PlanDoc<'a> {
    pub(super) fn new(plan: &'a PlanView) -> Self {
        Self {
            target: TargetDoc::new(&plan.target),
            path: PathDoc::new(&plan.path),
            lease_seconds: plan.lease.as_seconds(),
            lease_max_seconds: plan.lease_max.as_seconds(),
            steps: &plan.steps,
            audience: &plan.audience,
            changes: &plan.changes,
        }
    }
}

#[derive(Serialize)]
pub(super) struct TargetRowDoc<'a> {
    #[serde(flatten)]
    target: TargetDoc<'a>,
    reachability: &'static str,
    user: Option<&'a str>,
    database: Option<&'a str>,
    idle_seconds: Option<u64>,
    duration_max_seconds: Option<u64>,
    path: Option<PathChoiceDoc<'a>>,
}

#[derive(Serialize)]
struct PathChoiceDoc<'a> {
    chosen: Option<PathDoc<'a>>,
    refused: Option<&'a str>,
    considered: &'a [Considered],
}

impl<'a> TargetRowDoc<'a> {
    pub(super) fn new(view: &'a TargetView) -> Self {
        let target = &view.target;
        Self {
            target: TargetDoc::new(target),
            reachability: target.reachability.as_str(),
            user: target.user.as_deref(),
            database: target.database.as_deref(),
            idle_seconds: target.idle.map(|idle| idle.as_seconds()),
            duration_max_seconds: target.duration_max.map(|max| max.as_seconds()),
            path: view.path.as_ref().map(PathChoiceDoc::new),
        }
    }
}

impl<'a> PathChoiceDoc<'a> {
    fn new(view: &'a PathView) -> Self {
        Self {
            chosen: view.path.as_ref().ok().map(PathDoc::new),
            refused: view.path.as_ref().err().map(String::as_str),
            considered: &view.considered,
        }
    }
}

#[derive(Serialize)]
pub(super) struct EngineDoc<'a> {
    version: &'a str,
    pid: u32,
    detached: bool,
    started_at: String,
    installation: &'a str,
    operator: &'a Operator,
    host: &'a str,
    state_dir: &'a str,
    drill: bool,
    faces: u32,
    alarms: Vec<NoticeDoc<'a>>,
}

impl<'a> EngineDoc<'a> {
    pub(super) fn new(view: &'a EngineView, times: &Times) -> Self {
        Self {
            version: &view.version,
            pid: view.pid,
            detached: view.detached,
            started_at: times.rfc3339(view.started_at),
            installation: view.installation.as_str(),
            operator: &view.operator,
            host: &view.host,
            state_dir: &view.state_dir,
            drill: view.drill,
            faces: view.faces,
            alarms: view.alarms.iter().map(|alarm| NoticeDoc::new(alarm, times)).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct NoticeDoc<'a> {
    severity: Severity,
    text: &'a str,
    session: Option<String>,
    at: String,
}

impl<'a> NoticeDoc<'a> {
    pub(super) fn new(notice: &'a Notice, times: &Times) -> Self {
        Self {
            severity: notice.severity,
            text: &notice.text,
            session: notice.session.map(|id| id.to_string()),
            at: times.rfc3339(notice.at),
        }
    }
}

#[derive(Serialize)]
pub(super) struct TrafficDoc {
    session: String,
    #[serde(flatten)]
    traffic: Traffic,
}

impl TrafficDoc {
    pub(super) fn new(session: crate::domain::id::SessionId, traffic: Traffic) -> Self {
        Self { session: session.to_string(), traffic }
    }
}

//! Requests and plans of several shapes.

use breakglass::domain::audit_event::Actor;
use breakglass::domain::id::SessionId;
use breakglass::domain::operator::Operator;
use breakglass::domain::provider::ProviderKind;
use breakglass::domain::request::{NetworkPath, Request};
use breakglass::domain::target::{Listen, Reachability, Target, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::session::{Carrier, Lives, PlannedStep, StepIndex};

/// When every test begins.
pub const START: Timestamp = Timestamp::from_millis(1_000_000);
/// How long an Active session lasts.
pub const LEASE: Span = Span::from_seconds(1_000);
/// How long extensions may make it.
pub const LEASE_MAX: Span = Span::from_seconds(3_000);
/// How long opening may take.
pub const ACTIVATION: Span = Span::from_seconds(120);
/// How long an unanswered request may still take effect.
pub const SETTLE: Span = Span::from_seconds(90);

/// A plan with a name.
pub type Shape = (&'static str, fn() -> Vec<PlannedStep>);

/// Every shape.
pub const SHAPES: [Shape; 5] = [
    ("direct", direct),
    ("chain", chain),
    ("diamond", diamond),
    ("keys first", keys_first),
    ("bastion", bastion),
];

/// The session of every test.
pub fn id() -> SessionId {
    SessionId::new(START, [7; 10])
}

/// The person of every test.
pub fn operator() -> Actor {
    Actor::person(Operator::unix(1_000, "ana"))
}

/// The request of every test.
pub fn request() -> Request {
    let target = Target {
        id: "orders-db".parse().unwrap(),
        name: "orders".to_owned(),
        site: None,
        kind: TargetKind::Tcp,
        address: "10.20.0.7:5432".parse().unwrap(),
        reachability: Reachability::Private,
        user: None,
        database: None,
        listen: Listen::Loopback { port: None },
        idle: None,
        duration_max: None,
    };
    let provider = "net".parse().unwrap();
    Request {
        target,
        reason: "INC-42".to_owned(),
        lease: LEASE,
        lease_max: LEASE_MAX,
        operator: Operator::unix(1_000, "ana"),
        path: NetworkPath { provider, kind: ProviderKind::Simulated, why: "it serves".to_owned() },
        audience: vec![],
        drill: true,
    }
}

/// A step that makes something out there.
pub fn step(what: &str, needs: &[StepIndex]) -> PlannedStep {
    PlannedStep {
        label: format!("create {what}"),
        carrier: Carrier::Provider("net".parse().unwrap()),
        action: serde_json::Value::Null,
        leaves: Some(what.to_owned()),
        expires: None,
        lives: Lives::InTheWorld,
        remade: false,
        waits: false,
        needs: needs.to_vec(),
        undo_after: None,
        settle: SETTLE,
        timeout: Span::from_seconds(10),
        by_hand: vec![vec!["net".to_owned(), "delete".to_owned(), "{name}".to_owned()]],
        in_words: None,
    }
}

/// A step that only sees whether something is so.
pub fn check(needs: &[StepIndex]) -> PlannedStep {
    PlannedStep { leaves: None, by_hand: vec![], settle: Span::ZERO, ..step("check", needs) }
}

/// The local endpoint: it dies with the engine.
pub fn listener(needs: &[StepIndex]) -> PlannedStep {
    PlannedStep {
        carrier: Carrier::Endpoint,
        lives: Lives::InTheEngine,
        settle: Span::ZERO,
        ..step("listener", needs)
    }
}

/// What Direct does: a check, then the endpoint.
pub fn direct() -> Vec<PlannedStep> {
    vec![check(&[]), listener(&[0])]
}

/// Each step needs the one before.
pub fn chain() -> Vec<PlannedStep> {
    vec![step("network", &[]), step("connector", &[0]), step("resource", &[1])]
}

/// A check, two steps side by side, one that needs both, the endpoint.
pub fn diamond() -> Vec<PlannedStep> {
    vec![
        check(&[]),
        step("site-key", &[0]),
        step("own-key", &[0]),
        step("router", &[1, 2]),
        listener(&[3]),
    ]
}

/// A connection that is made again where it is lost, a check over it, the endpoint.
pub fn bastion() -> Vec<PlannedStep> {
    vec![PlannedStep { remade: true, ..step("connection", &[]) }, check(&[0]), listener(&[0, 1])]
}

/// The key goes first, not last: while it lives, another device can join with it.
pub fn keys_first() -> Vec<PlannedStep> {
    let first = |step| PlannedStep { undo_after: Some(vec![]), ..step };
    let after =
        |steps: &[StepIndex], step| PlannedStep { undo_after: Some(steps.to_vec()), ..step };
    vec![
        first(step("key", &[])),
        after(&[0, 3], step("router", &[0])),
        after(&[0, 1], step("device", &[1])),
        first(step("route", &[2])),
        first(listener(&[3])),
    ]
}

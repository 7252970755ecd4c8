//! The machine, rule by rule.
//!
//! A [`Story`] is told in seconds: what becomes known when, and what the session then writes (in
//! its own words) and does.

mod loss;
mod removal;
mod restart;

use super::exit_card::exit_card;
use super::receipt::receipt;
use super::*;
use crate::domain::artifact::Artifact;
use crate::domain::audit_event::Actor;
use crate::domain::id::SessionId;
use crate::domain::operator::Operator;
use crate::domain::provider::ProviderKind;
use crate::domain::request::{NetworkPath, Request};
use crate::domain::target::{Listen, Reachability, Target, TargetKind};
use crate::domain::time::{Span, Timestamp};

const LEASE: Span = Span::from_seconds(600);
const LEASE_MAX: Span = Span::from_seconds(900);
const SETTLE: Span = Span::from_seconds(90);

/// A session as it is told.
struct Story {
    session: Session,
    journal: Vec<Entry>,
}

impl Story {
    /// Asked for and planned at second 0, to be Active within 60 s.
    fn of(steps: &[PlannedStep]) -> Self {
        let request = Box::new(request());
        let fact = Fact::Requested(request.clone());
        let session = Session::requested(id(), second(0), request);
        let mut story = Self { session, journal: vec![Entry { at: second(0), fact }] };
        story.tell(0, Fact::Planned { steps: steps.to_vec(), activate_by: second(60) });
        story
    }

    /// Two steps, the second needs the first, both made at second 1.
    fn active() -> Self {
        let mut story = Self::of(&[step(&[]), step(&[0])]);
        story.tell(1, applied(0));
        assert_eq!(story.tell(1, applied(1)), "activated; until 601");
        story
    }

    /// Something becomes known; returns what follows.
    fn tell(&mut self, at: u64, fact: Fact) -> String {
        let entry = Entry { at: second(at), fact };
        self.session.evolve(&entry).unwrap();
        self.journal.push(entry);
        self.wait(at)
    }

    /// Time passes; returns what follows.
    fn wait(&mut self, at: u64) -> String {
        let turn = self.session.turn(second(at));
        let mut words: Vec<String> = turn.entries.iter().map(|entry| word(&entry.fact)).collect();
        words.extend(turn.effects.iter().map(|effect| match effect {
            Effect::Apply { step, before: None } => format!("apply {step}"),
            Effect::Apply { step, before: Some(before) } => format!("apply {step} as {before}"),
            Effect::Look { step, .. } => format!("look {step}"),
            Effect::Undo { step, .. } => format!("undo {step}"),
        }));
        words.extend(turn.wait_until.map(|at| format!("until {}", at.as_seconds())));
        self.journal.extend(turn.entries);
        self.session = turn.session;
        words.join("; ")
    }

    /// Ends at the operator's wish.
    fn end(&mut self, at: u64) -> String {
        self.tell(at, end_requested(EndReason::EndedByOperator))
    }

    fn reason(&self) -> Option<EndReason> {
        self.session.ending().map(|ending| ending.reason)
    }

    fn detail(&self) -> Option<&str> {
        self.session.ending()?.detail.as_deref()
    }
}

fn word(fact: &Fact) -> String {
    match fact {
        Fact::StepStarted { step } => format!("start {step}"),
        Fact::UndoStarted { step } => format!("start undo {step}"),
        Fact::Activated => "activated".to_owned(),
        Fact::EndRequested { reason, .. } => reason.to_string(),
        Fact::Ended => "ended".to_owned(),
        other => format!("{other:?}"),
    }
}

fn id() -> SessionId {
    SessionId::new(second(0), [7; 10])
}

fn second(seconds: u64) -> Timestamp {
    Timestamp::from_millis(0) + Span::from_seconds(seconds)
}

fn actor() -> Actor {
    Actor::person(Operator::unix(1_000, "ana"))
}

fn request() -> Request {
    let target = Target {
        id: "orders".parse().unwrap(),
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
        drill: false,
    }
}

fn step(needs: &[StepIndex]) -> PlannedStep {
    PlannedStep {
        label: "create key".to_owned(),
        carrier: Carrier::Provider("net".parse().unwrap()),
        action: serde_json::Value::Null,
        leaves: Some("key".to_owned()),
        expires: None,
        lives: Lives::InTheWorld,
        remade: false,
        waits: false,
        needs: needs.to_vec(),
        undo_after: None,
        settle: SETTLE,
        timeout: Span::from_seconds(10),
        by_hand: vec![vec!["net".to_owned(), "delete".to_owned(), "{name}".to_owned()]],
        in_words: Some("on the host of the network".to_owned()),
    }
}

fn check() -> PlannedStep {
    PlannedStep { leaves: None, ..step(&[]) }
}

fn listener(needs: &[StepIndex]) -> PlannedStep {
    PlannedStep { lives: Lives::InTheEngine, settle: Span::ZERO, ..step(needs) }
}

fn artifact(step: StepIndex) -> Artifact {
    let name = format!("k{step}");
    Artifact { kind: "key".to_owned(), name, details: serde_json::Value::Null }
}

fn applied(step: StepIndex) -> Fact {
    Fact::StepApplied { step, artifact: Some(artifact(step)) }
}

fn found(step: StepIndex) -> Fact {
    Fact::StepFound { step, artifact: artifact(step) }
}

fn absent(step: StepIndex) -> Fact {
    Fact::StepAbsent { step }
}

fn refused(step: StepIndex) -> Fact {
    Fact::StepRefused { step, why: "quota reached".to_owned() }
}

fn unknown(step: StepIndex) -> Fact {
    Fact::OutcomeUnknown { step, why: "timed out".to_owned() }
}

fn look_failed(step: StepIndex) -> Fact {
    Fact::LookFailed { step, why: "503".to_owned() }
}

fn undo_sent(step: StepIndex) -> Fact {
    Fact::UndoSent { step, problem: None }
}

fn lost(step: StepIndex) -> Fact {
    Fact::StepLost { step, why: "connection reset".to_owned() }
}

fn end_requested(reason: EndReason) -> Fact {
    Fact::EndRequested { reason, detail: None, by: actor() }
}

fn extended(seconds: u64) -> Fact {
    Fact::Extended { lease: Span::from_seconds(seconds), by: actor() }
}

fn retry() -> Fact {
    Fact::RetryRequested { by: actor() }
}

#[test]
fn a_life() {
    let mut story = Story::of(&[step(&[]), step(&[0])]);
    assert_eq!(story.wait(0), "apply 0; until 60");
    assert_eq!(story.tell(1, applied(0)), "start 1; apply 1; until 60");
    assert_eq!(story.tell(2, applied(1)), "activated; until 602");
    assert_eq!(story.wait(602), "lease-expired; start undo 1; undo 1");
    assert_eq!(story.tell(603, undo_sent(1)), "look 1");
    assert_eq!(story.tell(604, absent(1)), "start undo 0; undo 0");
    assert_eq!(story.tell(605, undo_sent(0)), "look 0");
    assert_eq!(story.tell(606, absent(0)), "ended");
    assert_eq!(story.session.ended_at(), Some(second(606)));
    assert_eq!(story.wait(700), "");
}

#[test]
fn the_lease_runs_from_activation() {
    let mut story = Story::of(&[step(&[])]);
    story.tell(50, applied(0));
    assert_eq!(story.session.activated_at(), Some(second(50)));
    assert_eq!(story.wait(649), "until 650");
    assert_eq!(story.wait(650), "lease-expired; start undo 0; undo 0");
}

#[test]
fn the_first_end_reason_stays() {
    let mut story = Story::active();
    story.end(100);
    story.tell(101, end_requested(EndReason::LeaseExpired));
    story.tell(102, Fact::Restarted);
    assert_eq!(story.reason(), Some(EndReason::EndedByOperator));
    assert_eq!(story.session.ending().map(|ending| ending.at), Some(second(100)));
}

#[test]
fn activation_has_an_end_of_its_own() {
    let mut story = Story::of(&[step(&[]), step(&[0])]);
    assert_eq!(story.wait(59), "apply 0; until 60");
    // The apply is under way: until it answers, the look waits its turn.
    assert_eq!(story.wait(60), "activation-failed; look 0");
    assert_eq!(story.detail(), Some("gave up waiting for: create key"));
    assert_eq!(story.tell(61, applied(0)), "start undo 0; undo 0");
}

#[test]
fn independent_steps_start_at_once() {
    let mut story = Story::of(&[check(), step(&[0]), step(&[0]), step(&[1, 2])]);
    assert_eq!(story.wait(0), "apply 0; until 60");
    let check_done = Fact::StepApplied { step: 0, artifact: None };
    assert_eq!(story.tell(1, check_done), "start 1; start 2; apply 1; apply 2; until 60");
    assert_eq!(story.tell(2, applied(2)), "apply 1; until 60");
    assert_eq!(story.tell(3, applied(1)), "start 3; apply 3; until 60");
    story.tell(4, applied(3));
    assert_eq!(story.end(5), "start undo 3; undo 3");
    story.tell(6, undo_sent(3));
    // What leaves nothing is never undone; what is independent is undone at once.
    assert_eq!(story.tell(7, absent(3)), "start undo 1; start undo 2; undo 1; undo 2");
}

#[test]
fn declared_edges_say_what_goes_first() {
    let key = PlannedStep { undo_after: Some(vec![]), ..step(&[]) };
    let device = PlannedStep { undo_after: Some(vec![0]), ..step(&[0]) };
    let mut story = Story::of(&[key, device]);
    story.tell(1, applied(0));
    story.tell(2, applied(1));
    assert_eq!(story.end(3), "start undo 0; undo 0");
    assert_eq!(story.tell(4, undo_sent(0)), "look 0");
    assert_eq!(story.tell(5, absent(0)), "start undo 1; undo 1");
}

#[test]
fn a_refused_step_ends_the_session_and_leaves_no_line_on_the_receipt() {
    let mut story = Story::of(&[step(&[]), step(&[])]);
    story.tell(1, applied(0));
    assert_eq!(story.tell(2, refused(1)), "activation-failed; start undo 0; undo 0");
    assert_eq!(story.detail(), Some("create key: quota reached"));
    story.tell(3, undo_sent(0));
    assert_eq!(story.tell(4, absent(0)), "ended");
    let lines = receipt(&story.session);
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].made_at, lines[0].gone_at), (second(1), Some(second(4))));
}

#[test]
fn an_unknown_outcome_that_is_found_goes_on() {
    let mut story = Story::of(&[step(&[]), step(&[0])]);
    assert_eq!(story.tell(10, unknown(0)), "look 0; until 60");
    assert_eq!(story.tell(11, found(0)), "start 1; apply 1; until 60");
    assert_eq!(story.tell(12, applied(1)), "activated; until 612");
}

#[test]
fn an_unknown_outcome_that_is_absent_proves_something_only_after_the_settle_time() {
    let mut story = Story::of(&[step(&[])]);
    story.tell(10, unknown(0));
    let mut looks = vec![];
    let mut at = 10;
    while at < 100 {
        story.tell(at, absent(0));
        assert_eq!(story.session.ended_at(), None, "at {at} it may still land");
        let Status::Unsure { look_at, .. } = story.session.steps()[0].status else { panic!() };
        at = u64::try_from(look_at.as_seconds()).unwrap();
        looks.push(at);
    }
    assert_eq!(looks, [11, 13, 17, 25, 41, 73, 100]);
    assert_eq!(story.tell(100, absent(0)), "ended");
    assert_eq!(story.reason(), Some(EndReason::ActivationFailed));
    let lines = receipt(&story.session);
    assert_eq!(lines[0].artifact, "key (never seen)");
    assert_eq!(lines[0].gone_at, Some(second(100)));
}

#[test]
fn a_check_with_an_unknown_outcome_has_failed() {
    let mut story = Story::of(&[check()]);
    assert_eq!(story.tell(10, unknown(0)), "activation-failed; ended");
    assert_eq!(story.detail(), Some("create key: timed out"));
}

#[test]
fn a_check_that_is_answered_after_the_end_leaves_nothing_to_undo() {
    let mut story = Story::of(&[check()]);
    story.end(5);
    assert_eq!(story.tell(6, Fact::StepApplied { step: 0, artifact: None }), "ended");
}

#[test]
fn a_check_that_holds_is_not_undone() {
    let mut story = Story::of(&[check(), step(&[0])]);
    story.tell(1, Fact::StepApplied { step: 0, artifact: None });
    story.tell(2, applied(1));
    story.end(5);
    story.tell(6, undo_sent(1));
    assert_eq!(story.tell(7, absent(1)), "ended");
}

#[test]
fn an_extension_is_longer_and_within_what_is_allowed() {
    let mut story = Story::active();
    for lease in [599, 600, 901] {
        assert!(!story.session.may_extend_to(Span::from_seconds(lease)), "{lease}");
        let entry = Entry { at: second(10), fact: extended(lease) };
        assert!(story.session.evolve(&entry).is_err(), "{lease}");
    }
    assert_eq!(story.tell(10, extended(900)), "until 901");
    assert_eq!(story.session.lease_ends_at(), Some(second(901)));
    assert_eq!(story.wait(601), "until 901");
    story.end(602);
    assert!(!story.session.may_extend_to(LEASE_MAX));
}

#[test]
fn a_session_that_ends_before_it_was_planned_leaves_nothing() {
    for fact in [Fact::Restarted, end_requested(EndReason::EndedByOperator)] {
        let session = Session::requested(id(), second(0), Box::new(request()));
        let mut story = Story { session, journal: vec![] };
        assert_eq!(story.wait(0), "", "the engine plans it");
        assert_eq!(story.tell(1, fact), "ended");
        assert_eq!(receipt(&story.session), []);
    }
}

#[test]
fn a_journal_that_cannot_be_true_is_refused() {
    let requested = Fact::Requested(Box::new(request()));
    let planned = Fact::Planned { steps: vec![step(&[])], activate_by: second(60) };
    let started = Fact::StepStarted { step: 0 };
    let undo_started = Fact::UndoStarted { step: 0 };
    let ends = end_requested(EndReason::Idle);
    let opening = [requested.clone(), planned.clone(), started.clone()];
    let ending = [&opening[..], &[applied(0), ends.clone()]].concat();
    let bad = [
        vec![],
        vec![planned.clone()],
        vec![requested.clone(), requested.clone()],
        vec![requested.clone(), Fact::Planned { steps: vec![], activate_by: second(60) }],
        vec![requested.clone(), planned.clone(), planned],
        vec![requested.clone(), Fact::Activated],
        vec![requested, ends.clone(), Fact::Ended, Fact::Restarted],
        [&opening[..1], &[retry()]].concat(),
        [&opening[..2], &[applied(0)]].concat(),
        [&opening[..2], &[Fact::StepStarted { step: 7 }]].concat(),
        [&opening[..2], &[ends.clone(), started.clone()]].concat(),
        [&opening[..], &[started]].concat(),
        [&opening[..], &[found(0)]].concat(),
        [&opening[..], &[absent(0)]].concat(),
        [&opening[..], &[Fact::Activated]].concat(),
        [&opening[..], &[extended(700)]].concat(),
        [&opening[..], &[applied(0), lost(0)]].concat(),
        [&ending[..], &[lost(0)]].concat(),
        [&opening[..], &[applied(0), undo_started.clone()]].concat(),
        [&opening[..], &[applied(0), Fact::Activated, Fact::Activated]].concat(),
        [&opening[..], &[applied(0), Fact::Activated, Fact::Ended]].concat(),
        [&opening[..], &[ends, Fact::Ended]].concat(),
        [&ending[..], &[Fact::Activated]].concat(),
        [&ending[..], &[Fact::Ended]].concat(),
        [&ending[..], &[absent(0)]].concat(),
        [&ending[..], &[undo_sent(0)]].concat(),
        [&ending[..], &[undo_started.clone(), undo_started.clone()]].concat(),
        [&ending[..], &[undo_started, undo_sent(0), Fact::Ended]].concat(),
    ];
    for facts in bad {
        let entry = |fact: &Fact| Entry { at: second(1), fact: fact.clone() };
        let entries: Vec<_> = facts.iter().map(entry).collect();
        let refused = Session::replay(id(), &entries).unwrap_err();
        let last = facts.last();
        assert_eq!(refused.fact.as_deref(), last, "{facts:?}");
        assert_eq!(refused.index, u64::try_from(facts.len().saturating_sub(1)).unwrap());
    }
}

#[test]
fn a_plan_that_could_not_be_undone_is_refused() {
    let after = |steps: &[StepIndex]| PlannedStep { undo_after: Some(steps.to_vec()), ..step(&[]) };
    let bad = [
        (vec![], PlanError::Empty),
        (vec![step(&[0])], PlanError::Needs { step: 0, needs: 0 }),
        (vec![step(&[]), step(&[1])], PlanError::Needs { step: 1, needs: 1 }),
        (vec![after(&[1])], PlanError::Needs { step: 0, needs: 1 }),
        (vec![after(&[0])], PlanError::UndoCircle(vec![0])),
        (vec![step(&[]), after(&[2]), after(&[1])], PlanError::UndoCircle(vec![1, 2])),
    ];
    for (steps, wanted) in bad {
        assert_eq!(Plan::new(steps).unwrap_err(), wanted);
    }
    assert!(Plan::new(vec![after(&[1]), step(&[])]).is_ok());
}

#[test]
fn an_entry_keeps_its_wire_form() {
    let entry = Entry { at: second(1), fact: unknown(3) };
    insta::assert_snapshot!(
        serde_json::to_string(&entry).unwrap(),
        @r#"{"at":1000,"fact":{"outcome-unknown":{"step":3,"why":"timed out"}}}"#
    );
}

//! Whatever goes wrong, an adapter leaves nothing behind.
//!
//! [`assert_leaves_nothing_behind`] opens and ends a session over an adapter with a real remote side,
//! once for each call and each fault of [`FaultyServer`], and once for each point at which the engine
//! can die. At the end the remote side's own record must be empty: not what the session believes.
//! Time is the test's own, so that settle times and pauses cost nothing.

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::session::{
    Applied, Effect, EndReason, Entry, Fact, Looked, PlannedStep, Session, Undone,
};

use super::faulty_server::{FAULTS, Fault, FaultyServer};
use super::plans::{ACTIVATION, SETTLE, START, id, operator, request};

/// What carries the steps of a plan out: a provider, or a launcher.
#[async_trait]
pub trait Carries: Send + Sync {
    async fn apply(&self, step: &PlannedStep) -> Applied;
    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked;
    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone;
}

/// An adapter with a remote side in which nothing has happened yet.
pub struct Fixture {
    pub server: FaultyServer,
    pub carrier: Box<dyn Carries>,
    pub plan: Vec<PlannedStep>,
}

/// Opens and ends a session through every fault and every crash.
///
/// `fresh` makes a new fixture each time; `step_by` is how many of the points are left out: one is
/// every point.
pub async fn assert_leaves_nothing_behind(
    fresh: impl AsyncFn() -> Fixture,
    step_by: usize,
) -> usize {
    let calm = fresh().await;
    let mut engine = Engine::new(&calm, usize::MAX);
    engine.live().await.unwrap();
    let (calls, touches) = (calm.server.calls(), engine.touches);
    assert!(calls >= 3, "a session that makes something calls somebody");
    assert!(engine.session().activated_at().is_some(), "in fair weather it opens");
    judge(&calm, &engine, "calm");
    let mut walks = 0;
    for (point, fault) in points(calls).step_by(step_by) {
        let fixture = fresh().await;
        fixture.server.arm(point, fault, START + SETTLE - Span::from_seconds(20));
        let mut engine = Engine::new(&fixture, usize::MAX);
        engine.live().await.unwrap();
        judge(&fixture, &engine, &format!("{fault:?} at call {point}"));
        walks += 1;
    }
    for death in (0..touches).step_by(step_by) {
        let fixture = fresh().await;
        let mut engine = Engine::new(&fixture, death);
        let died = engine.live().await.is_err();
        engine.left_to_live = usize::MAX;
        engine.live().await.unwrap();
        judge(&fixture, &engine, &format!("death at touch {death} (died: {died})"));
        walks += 1;
    }
    walks
}

fn points(calls: usize) -> impl Iterator<Item = (usize, Fault)> {
    (0..calls).flat_map(|call| FAULTS.into_iter().map(move |fault| (call, fault)))
}

fn judge(fixture: &Fixture, engine: &Engine<'_>, what: &str) {
    assert!(engine.session().ended_at().is_some(), "{what}: it does not end");
    assert_eq!(fixture.server.left(), Vec::<String>::new(), "{what}: something is left");
}

/// The process died.
#[derive(Debug)]
struct Died;

/// An engine that does one thing at a time, with a clock of its own.
struct Engine<'f> {
    fixture: &'f Fixture,
    journal: Vec<Entry>,
    clock: Timestamp,
    left_to_live: usize,
    touches: usize,
}

impl<'f> Engine<'f> {
    fn new(fixture: &'f Fixture, left_to_live: usize) -> Self {
        Self { fixture, journal: vec![], clock: START, left_to_live, touches: 0 }
    }

    fn session(&self) -> Session {
        Session::replay(id(), &self.journal).unwrap()
    }

    fn touch(&mut self) -> Result<(), Died> {
        self.touches += 1;
        self.left_to_live = self.left_to_live.checked_sub(1).ok_or(Died)?;
        Ok(())
    }

    async fn live(&mut self) -> Result<(), Died> {
        if self.journal.is_empty() {
            let steps = self.fixture.plan.clone();
            let planned = Fact::Planned { steps, activate_by: self.clock + ACTIVATION };
            let requested = Fact::Requested(Box::new(request()));
            let begun = [requested, planned].map(|fact| Entry { at: self.clock, fact });
            self.journal.extend(begun);
        } else {
            self.write(Fact::Restarted)?;
        }
        for _ in 0..1_000 {
            let session = self.session();
            if session.ended_at().is_some() {
                return Ok(());
            }
            if session.is_active() && !session.is_mending() {
                let (reason, by) = (EndReason::EndedByOperator, operator());
                self.write(Fact::EndRequested { reason, detail: None, by })?;
                continue;
            }
            let turn = session.turn(self.clock);
            for entry in turn.entries {
                self.touch()?;
                self.journal.push(entry);
            }
            match turn.effects.into_iter().next() {
                Some(effect) => self.carry_out(&effect).await?,
                None => self.wait(turn.wait_until),
            }
        }
        panic!("no end in sight: {:?}", self.journal.last());
    }

    fn wait(&mut self, until: Option<Timestamp>) {
        if let Some(until) = until {
            self.clock = self.clock.max(until);
            self.fixture.server.advance(self.clock);
        }
    }

    fn write(&mut self, fact: Fact) -> Result<(), Died> {
        self.touch()?;
        let mut session = self.session();
        let entry = Entry { at: self.clock, fact };
        if session.evolve(&entry).is_ok() {
            self.journal.push(entry);
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: &Effect) -> Result<(), Died> {
        self.touch()?;
        let step = effect.step();
        let planned = self.fixture.plan[step].clone();
        let carrier = &self.fixture.carrier;
        let fact = match effect {
            Effect::Apply { .. } => match carrier.apply(&planned).await {
                Applied::Applied(artifact) => Fact::StepApplied { step, artifact },
                Applied::Refused(why) => Fact::StepRefused { step, why },
                Applied::Unknown(why) => Fact::OutcomeUnknown { step, why },
            },
            Effect::Look { artifact, .. } => {
                match carrier.look(&planned, artifact.as_ref()).await {
                    Looked::Found(artifact) => Fact::StepFound { step, artifact },
                    Looked::Absent => Fact::StepAbsent { step },
                    Looked::Unclear(why) => Fact::LookFailed { step, why },
                }
            }
            Effect::Undo { artifact, .. } => {
                match carrier.undo(&planned, artifact.as_ref()).await {
                    Undone::Sent => Fact::UndoSent { step, problem: None },
                    Undone::Problem(why) => Fact::UndoSent { step, problem: Some(why) },
                }
            }
        };
        self.touch()?;
        self.write(fact)
    }
}

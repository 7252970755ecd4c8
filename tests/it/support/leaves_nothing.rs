//! Whatever goes wrong, an adapter leaves nothing behind.
//!
//! [`assert_leaves_nothing_behind`] opens and ends a session over an adapter with a real remote side,
//! once for each call and each fault of that [`FarSide`], and once for each point at which the engine
//! can die. At the end the remote side's own record must be empty: not what the session believes.
//! Time is the test's own, so that settle times and pauses cost nothing.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::session::{
    Applied, Effect, EndReason, Entry, Fact, Looked, PlannedStep, Session, Undone,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::plans::{ACTIVATION, SETTLE, START, id, operator, request};

/// What carries the steps of a plan out: a provider, or a launcher.
#[async_trait]
pub trait Carries: Send + Sync {
    async fn apply(&self, step: &PlannedStep) -> Applied;
    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked;
    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone;

    /// What the session knows, before each of these.
    fn told(&self, _: &Session) {}

    /// The process died, and what it alone knew is gone.
    fn died(&self) {}
}

/// What an adapter talks to, or runs: it can fail the n-th call, and has a record of its own.
pub trait FarSide: Send + Sync {
    /// What can go wrong with a call, in words.
    fn faults(&self) -> Vec<String>;

    /// The calls of these numbers, counted from zero, go wrong, each by a fault of [`Self::faults`];
    /// what is late comes at `late`.
    fn arm(&self, wrong: &[(usize, usize)], late: Timestamp);

    /// How many calls there were.
    fn calls(&self) -> usize;

    /// What exists there by its own record, and what will come to exist.
    fn left(&self) -> Vec<String>;

    /// Lets time pass.
    fn advance(&self, now: Timestamp);
}

/// An adapter with a remote side in which nothing has happened yet.
pub struct Fixture {
    pub far: Box<dyn FarSide>,
    pub carrier: Box<dyn Carries>,
    pub plan: Vec<PlannedStep>,
}

/// Which of all walks are made.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How many of them there are for each that is made: one is every one.
    pub step_by: usize,
    /// The same for those with two faults, which are a great many; none where zero.
    pub pairs_by: usize,
    /// How many are under way at once.
    pub at_once: usize,
}

/// Every walk with one fault, one after another.
pub const EVERY: Extent = Extent { step_by: 1, pairs_by: 0, at_once: 1 };

/// One way for a session to go wrong.
#[derive(Clone, Debug)]
enum Mishap {
    Faults(Vec<(usize, usize)>),
    Death(usize),
}

/// Opens and ends a session through every fault and every death, and says how many these were.
///
/// `fresh` makes a new fixture each time. Where something is left, every such walk is a row.
pub async fn assert_leaves_nothing_behind<F>(
    adapter: &str,
    fresh: impl Fn() -> F + Send + Sync + 'static,
    extent: Extent,
) -> usize
where
    F: Future<Output = Fixture> + Send,
{
    let calm = fresh().await;
    let mut engine = Engine::new(&calm, usize::MAX);
    engine.live().await.unwrap();
    let (calls, touches) = (calm.far.calls(), engine.touches);
    assert!(calls >= 3, "a session that makes something calls somebody");
    let opened = engine.session().activated_at().is_some();
    assert!(opened, "in fair weather it opens: {:?}", engine.journal);
    assert_eq!(verdict(&calm, &engine), Ok(()), "in fair weather nothing is left");
    let faults = calm.far.faults().len();
    let wrong = move |calls: Range<usize>| {
        calls.flat_map(move |call| (0..faults).map(move |fault| (call, fault)))
    };
    let single = wrong(0..calls).map(|one| Mishap::Faults(vec![one]));
    let deaths = (0..touches).map(Mishap::Death);
    let mut mishaps: Vec<_> = single.chain(deaths).step_by(extent.step_by).collect();
    if extent.pairs_by > 0 {
        // Behind a fault there are other calls than in fair weather, and more.
        let pairs = wrong(0..calls).flat_map(|one| {
            let next = wrong(one.0 + 1..one.0 + 1 + NEXT_CALLS);
            next.map(move |other| Mishap::Faults(vec![one, other]))
        });
        mishaps.extend(pairs.step_by(extent.pairs_by));
    }
    let walks = mishaps.len();
    let (fresh, turns) = (Arc::new(fresh), Arc::new(Semaphore::new(extent.at_once)));
    let mut under_way = JoinSet::new();
    for mishap in mishaps {
        let (fresh, turns) = (Arc::clone(&fresh), Arc::clone(&turns));
        under_way.spawn(async move {
            let _turn = turns.acquire_owned().await.unwrap();
            walk(&fresh().await, &mishap).await.err()
        });
    }
    let mut rows: Vec<_> = under_way.join_all().await.into_iter().flatten().collect();
    rows.sort();
    let bad = rows.len();
    assert!(rows.is_empty(), "{adapter}: {bad} of {walks} walks fail:\n{}", rows.join("\n"));
    walks
}

/// How far behind one fault another one may be.
const NEXT_CALLS: usize = 6;

/// One session from its request to its end.
async fn walk(fixture: &Fixture, mishap: &Mishap) -> Result<(), String> {
    let (left_to_live, what) = match mishap {
        Mishap::Faults(wrong) => {
            fixture.far.arm(wrong, START + SETTLE - Span::from_seconds(20));
            let names = fixture.far.faults();
            let what =
                wrong.iter().map(|(call, fault)| format!("call {call:2}, {}", names[*fault]));
            (usize::MAX, what.collect::<Vec<_>>().join("; "))
        }
        Mishap::Death(touch) => (*touch, format!("death at touch {touch}")),
    };
    let mut engine = Engine::new(fixture, left_to_live);
    if engine.live().await.is_err() {
        engine.left_to_live = usize::MAX;
        fixture.carrier.died();
        engine.live().await.unwrap();
    }
    verdict(fixture, &engine).map_err(|why| format!("{what}: {why}"))
}

fn verdict(fixture: &Fixture, engine: &Engine<'_>) -> Result<(), String> {
    // What is still to come, comes.
    fixture.far.advance(engine.clock + SETTLE + SETTLE);
    let left = fixture.far.left();
    match engine.session().ended_at() {
        None => Err(format!("it does not end; left: {left:?}")),
        Some(_) if !left.is_empty() => {
            let facts: Vec<_> = engine.journal.iter().skip(2).map(|it| &it.fact).collect();
            Err(format!("something is left: {left:?} after {facts:?}"))
        }
        Some(_) => Ok(()),
    }
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
        Ok(())
    }

    fn wait(&mut self, until: Option<Timestamp>) {
        if let Some(until) = until {
            self.clock = self.clock.max(until);
            self.fixture.far.advance(self.clock);
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
        carrier.told(&self.session());
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

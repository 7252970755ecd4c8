//! No crash leaves anything behind.
//!
//! The engine is killed before and after every write and every call, twice over, in every weather,
//! and lives on a third time. At the end nothing is left, or it is named as owed exactly where it
//! may be; once the weather clears, that goes too, without a command.

use breakglass::domain::time::Span;
use breakglass::session::receipt::receipt;
use breakglass::session::{EndReason, Fact, Lives, PlannedStep, Session, StepIndex};

use crate::support::crash_world::Weather::*;
use crate::support::crash_world::{CrashWorld, Died, Weather};
use crate::support::interpreter::{Intervention, Life, Rest};
use crate::support::plans::{LEASE, Shape, bastion, chain, diamond, direct, id, keys_first};

/// One walk: a world and what happens in the middle.
#[derive(Clone, Copy, Debug)]
struct Walk {
    shape: Shape,
    weather: Weather,
    intervention: Intervention,
    seed: u64,
}

#[test]
fn a_direct_session() {
    walk_all(("direct", direct), &[]);
}

#[test]
fn a_chain() {
    walk_all(("chain", chain), &[0, 2]);
}

#[test]
fn a_diamond() {
    walk_all(("diamond", diamond), &[2, 3]);
}

#[test]
fn a_path_whose_key_goes_first() {
    walk_all(("keys first", keys_first), &[0, 2]);
}

#[test]
fn a_path_that_is_made_again() {
    walk_all(("bastion", bastion), &[0]);
}

#[test]
fn a_path_that_is_not_made_again_ends_its_session() {
    for step in [0, 1, 2] {
        let walk = Walk {
            shape: ("chain", chain),
            weather: PathLost(step),
            intervention: Intervention::None,
            seed: 7,
        };
        assert!(pairs_of(walk) > 100);
    }
}

#[test]
fn a_path_that_never_comes_back_leaves_nothing_at_the_end_of_the_lease() {
    let weather = PathLostAndRefused(0, u32::MAX);
    let shape = ("bastion", bastion as fn() -> Vec<PlannedStep>);
    let walk = Walk { shape, weather, intervention: Intervention::None, seed: 1 };
    let mut world = CrashWorld::new(bastion(), weather);
    walk.live(&mut world).unwrap();
    assert!(world.calls > 30, "it was tried again and again: {} calls", world.calls);
    let ended =
        |fact: &Fact| matches!(fact, Fact::EndRequested { reason: EndReason::LeaseExpired, .. });
    assert!(world.says(ended));
}

/// Walks every weather and every intervention; prints how many pairs of crashes that were.
fn walk_all(shape: Shape, steps: &[StepIndex]) {
    let skies = skies(&shape.1(), steps);
    let walks = (0..).zip(skies).map(|(seed, (weather, intervention))| Walk {
        shape,
        weather,
        intervention,
        seed,
    });
    let pairs: usize = walks.map(pairs_of).sum();
    eprintln!("{}: {pairs} pairs of crashes", shape.0);
    assert!(pairs > 5_000, "only {pairs} pairs of crashes");
}

/// Every weather, each on one of the steps in turn, and every intervention, each in one of three
/// weathers.
fn skies(plan: &[PlannedStep], steps: &[StepIndex]) -> Vec<(Weather, Intervention)> {
    let endpoint = plan.iter().position(|step| step.lives == Lives::InTheEngine);
    let any = steps.iter().copied().chain(endpoint).cycle();
    let by_step = BY_STEP.iter().zip(any).map(|(weather, step)| weather(step));
    // A listener is there at once or never, and nobody but the engine takes it away.
    let outside = steps.iter().copied().flat_map(|x| [LandsLate(x), GoneWhileDown(x)]);
    let remade = steps.iter().copied().filter(|step| plan[*step].remade).flat_map(|x| {
        [PathLost(x), PathLostAndRefused(x, 2), PathLostAndUnheard(x), PathLostAndUnanswered(x)]
    });
    let reopened = [CannotReopen, ReopensElsewhere].into_iter().filter(|_| endpoint.is_some());
    let lost: Vec<_> = remade.clone().collect();
    let calm = by_step.chain(outside).chain(remade).chain(reopened).chain([Fair, Refuses(0)]);
    let first = steps.first().copied().or(endpoint).unwrap_or(0);
    let bad = [Fair, TimesOutMade(first), UndoNeverWorks(first)].into_iter().cycle();
    let busy = bad.zip(INTERVENTIONS);
    let mending = lost.into_iter().flat_map(|weather| {
        [Intervention::EndWhileAdopting, Intervention::HandOverAfterCalls(3)]
            .map(|it| (weather, it))
    });
    calm.map(|weather| (weather, Intervention::None)).chain(busy).chain(mending).collect()
}

const BY_STEP: [fn(StepIndex) -> Weather; 11] = [
    Refuses,
    TimesOutMade,
    TimesOutLost,
    Slow,
    LookFailsOnce,
    LookFailsAtFirst,
    LookNeverWorks,
    UndoFailsOnce,
    UndoUnheard,
    UndoTakesTime,
    UndoNeverWorks,
];

const INTERVENTIONS: [Intervention; 10] = [
    Intervention::EndAfterCalls(1),
    Intervention::EndAfterCalls(2),
    Intervention::EndAfterCalls(4),
    Intervention::EndWhileActive,
    Intervention::EndWhileAdopting,
    Intervention::Extend,
    Intervention::HandOverAfterCalls(1),
    Intervention::HandOverAfterCalls(3),
    Intervention::HandOverWhileActive,
    Intervention::EndDuringHandOver,
];

/// How long nobody minds the session after a crash: shorter and longer than its lease.
const DOWN: [Span; 4] =
    [Span::ZERO, Span::from_seconds(5), Span::from_seconds(200), Span::from_minutes(40)];

/// Walks every pair of crash points and returns how many there are.
fn pairs_of(walk: Walk) -> usize {
    let mut pairs = 0;
    for first in 0.. {
        let mut world = CrashWorld::new((walk.shape.1)(), walk.weather);
        world.left_to_live = first;
        if walk.live(&mut world).is_ok() {
            break;
        }
        for second in 0.. {
            let mut again = world.clone();
            again.crash(DOWN[(first + second) % DOWN.len()]);
            again.left_to_live = second;
            let survived = walk.live(&mut again).is_ok();
            pairs += 1;
            if survived {
                break;
            }
            again.crash(DOWN[(first / 4 + second) % DOWN.len()]);
            again.left_to_live = usize::MAX;
            walk.live(&mut again).unwrap();
        }
    }
    pairs
}

impl Walk {
    /// Lives, through every hand-over, until the session has ended. Where something is owed for
    /// long, the weather clears, and that must do.
    fn live(self, world: &mut CrashWorld) -> Result<(), Died> {
        loop {
            let mut life = Life::begin(world, self.intervention, self.seed)?;
            match life.run()? {
                Rest::HandedOver => {}
                Rest::Ended => {
                    self.judge_end(&life);
                    return Ok(());
                }
                Rest::Owed => {
                    self.judge_owed(&life);
                    life.world.weather = Weather::Fair;
                    assert_eq!(life.run()?, Rest::Ended, "{self:?}: it clears, and it ends");
                    self.judge_end(&life);
                    return Ok(());
                }
            }
        }
    }

    /// Owed is what may be there, and nothing else.
    fn judge_owed(self, life: &Life<'_>) {
        let left: Vec<_> = life.world.things.keys().copied().collect();
        let steps = life.session.steps().iter().enumerate();
        let owed: Vec<_> = steps.filter(|(_, step)| !step.is_clear()).map(|it| it.0).collect();
        match life.world.weather {
            Weather::UndoNeverWorks(step) => assert_eq!((&left, &owed), (&vec![step], &vec![step])),
            Weather::LookNeverWorks(step) => {
                assert_eq!(owed, [step]);
                assert!(left.is_empty() || left == [step], "{self:?}: left {left:?}");
            }
            _ => panic!("{self:?}: {owed:?} owed for no reason"),
        }
        let card = breakglass::session::exit_card::exit_card(&life.session);
        assert_eq!(card.len(), 1);
        for (step, name) in &life.world.things {
            let seen = life.session.steps()[*step].made.is_some();
            let named = card[0].commands == [format!("net delete {name}")];
            assert!(named || !seen, "{self:?}: {card:?}");
        }
    }

    fn judge_end(self, life: &Life<'_>) {
        let session = &life.session;
        let replayed = Session::replay(id(), &life.world.journal);
        assert_eq!(replayed.as_ref(), Ok(session), "{self:?}: the journal tells the same");
        self.judge_receipt(life);
        let ending = session.ending().unwrap();
        let count =
            |wanted: &Fact| life.world.journal.iter().filter(|it| it.fact == *wanted).count();
        let place = |wanted: &Fact| life.world.journal.iter().position(|it| it.fact == *wanted);
        assert!(count(&Fact::Activated) <= 1, "{self:?}: activated more than once");
        let restarted_while_opening = match (place(&Fact::Restarted), place(&Fact::Activated)) {
            (Some(restarted), Some(activated)) => restarted < activated,
            (restarted, None) => restarted.is_some(),
            (None, Some(_)) => false,
        };
        assert!(!restarted_while_opening || session.activated_at().is_none(), "{self:?}");
        let by_operator = matches!(
            self.intervention,
            Intervention::EndAfterCalls(_)
                | Intervention::EndWhileActive
                | Intervention::EndWhileAdopting
                | Intervention::EndDuringHandOver
        );
        let remade = |step: StepIndex| life.world.plan[step].remade;
        let restarted = place(&Fact::Restarted).is_some();
        let may_be_lost = match life.world.weather {
            Weather::GoneWhileDown(step) => restarted && !remade(step),
            Weather::CannotReopen => restarted,
            weather => weather.loses().is_some_and(|step| life.world.lost && !remade(step)),
        };
        let fits = match ending.reason {
            EndReason::ActivationFailed => session.activated_at().is_none(),
            EndReason::EndedByOperator => by_operator,
            EndReason::ProviderLost => may_be_lost,
            EndReason::LeaseExpired => Some(ending.at) >= session.lease_ends_at(),
            EndReason::EndedByAdmin | EndReason::Idle => false,
        };
        assert!(fits, "{self:?}: {ending:?}");
        let extended = life.world.says(|fact| matches!(fact, Fact::Extended { .. }));
        let more = if extended { Span::from_seconds(500) } else { Span::ZERO };
        assert_eq!(session.lease(), LEASE + more, "{self:?}: the lease is as it was given");
    }

    /// The receipt names all that ever was, each seen gone.
    fn judge_receipt(self, life: &Life<'_>) {
        let lines = receipt(&life.session);
        for line in &lines {
            assert!(line.gone_at >= Some(line.made_at), "{self:?}: {line:?}");
        }
        let on = |kind: &str| {
            let about = |text: &str| text.split_once(' ').is_some_and(|(first, _)| first == kind);
            lines.iter().filter(|line| about(&line.artifact)).count()
        };
        for (step, known) in life.session.steps().iter().enumerate() {
            let Some(kind) = &known.planned.leaves else { continue };
            if life.world.ever.contains(&step) {
                assert_eq!(on(kind), 1, "{self:?}: the receipt on `{kind}`: {lines:?}");
            } else if known.started_at.is_none() {
                assert_eq!(on(kind), 0, "{self:?}: `{kind}` was never begun: {lines:?}");
            }
        }
    }
}

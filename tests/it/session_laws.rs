//! What holds for every session, whatever happens to it: random walks, legal and illegal.

use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::session::exit_card::exit_card;
use breakglass::session::receipt::receipt;
use breakglass::session::{Effect, EndReason, Entry, Fact, Session, StepIndex};
use proptest::prelude::*;

use crate::support::plans::{ACTIVATION, SHAPES, START, id, operator, request};

/// One thing that happens on a walk.
#[derive(Clone, Debug)]
enum Event {
    /// Time passes, and the session does what is ready.
    Turn(Span),
    /// One of the effects that are ready is answered, in one of three ways.
    Answer(usize, u8),
    /// Somebody writes something that may or may not follow.
    Any(Fact),
}

fn step() -> impl Strategy<Value = StepIndex> {
    0..6_usize
}

fn artifact() -> Artifact {
    Artifact { kind: "key".into(), name: "k-1".into(), details: serde_json::json!({ "id": 7 }) }
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let why = || "it said so".to_owned();
    prop_oneof![
        Just(Fact::Requested(Box::new(request()))),
        (0..SHAPES.len()).prop_map(|shape| Fact::Planned {
            steps: SHAPES[shape].1(),
            activate_by: START + ACTIVATION
        }),
        step().prop_map(|step| Fact::StepStarted { step }),
        (step(), any::<bool>())
            .prop_map(|(step, made)| Fact::StepApplied { step, artifact: made.then(artifact) }),
        step().prop_map(move |step| Fact::StepRefused { step, why: why() }),
        step().prop_map(move |step| Fact::OutcomeUnknown { step, why: why() }),
        step().prop_map(|step| Fact::StepFound { step, artifact: artifact() }),
        step().prop_map(|step| Fact::StepAbsent { step }),
        step().prop_map(move |step| Fact::LookFailed { step, why: why() }),
        step().prop_map(move |step| Fact::StepLost { step, why: why() }),
        Just(Fact::Activated),
        (1..4_000_u64).prop_map(|seconds| Fact::Extended {
            lease: Span::from_seconds(seconds),
            by: operator()
        }),
        Just(Fact::EndRequested { reason: EndReason::Idle, detail: None, by: operator() }),
        step().prop_map(|step| Fact::UndoStarted { step }),
        (step(), any::<bool>())
            .prop_map(move |(step, well)| Fact::UndoSent { step, problem: (!well).then(why) }),
        Just(Fact::RetryRequested { by: operator() }),
        Just(Fact::Restarted),
        Just(Fact::HandedOver),
        Just(Fact::Ended),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0..200_u64).prop_map(|seconds| Event::Turn(Span::from_seconds(seconds))),
        6 => (any::<usize>(), 0..3_u8).prop_map(|(which, how)| Event::Answer(which, how)),
        2 => any_fact().prop_map(Event::Any),
    ]
}

fn answer(effect: &Effect, how: u8) -> Fact {
    let (step, why) = (effect.step(), "503".to_owned());
    match (effect, how) {
        (Effect::Apply { .. }, 0) => Fact::StepApplied { step, artifact: Some(artifact()) },
        (Effect::Apply { .. }, 1) => Fact::StepRefused { step, why },
        (Effect::Apply { .. }, _) => Fact::OutcomeUnknown { step, why },
        (Effect::Look { .. }, 0) => Fact::StepFound { step, artifact: artifact() },
        (Effect::Look { .. }, 1) => Fact::StepAbsent { step },
        (Effect::Look { .. }, _) => Fact::LookFailed { step, why },
        (Effect::Undo { .. }, 0) => Fact::UndoSent { step, problem: Some(why) },
        (Effect::Undo { .. }, _) => Fact::UndoSent { step, problem: None },
    }
}

/// A walk under way: the session and the journal that made it.
struct Walk {
    session: Session,
    journal: Vec<Entry>,
    now: Timestamp,
}

impl Walk {
    fn begin(shape: usize) -> Self {
        let fact = Fact::Requested(Box::new(request()));
        let session = Session::requested(id(), START, Box::new(request()));
        let mut walk = Self { session, journal: vec![Entry { at: START, fact }], now: START };
        let steps = SHAPES[shape].1();
        assert!(walk.write(Fact::Planned { steps, activate_by: START + ACTIVATION }));
        walk
    }

    fn go_through(&mut self, event: Event) {
        match event {
            Event::Turn(span) => {
                self.now = self.now + span;
                self.turn();
            }
            Event::Answer(which, how) => {
                self.turn();
                let effects = self.session.next(self.now).effects;
                if let Some(effect) = effects.get(which % effects.len().max(1)) {
                    assert!(self.write(answer(effect, how)), "an answer is refused: {effect:?}");
                }
            }
            Event::Any(fact) => drop(self.write(fact)),
        }
    }

    /// Takes in a fact; what is refused changes nothing.
    fn write(&mut self, fact: Fact) -> bool {
        let before = self.session.clone();
        let entry = Entry { at: self.now, fact };
        let accepted = self.session.evolve(&entry).is_ok();
        if accepted {
            self.journal.push(entry);
        } else {
            assert_eq!(self.session, before, "a refused entry left a trace");
        }
        accepted
    }

    fn turn(&mut self) {
        let moves = self.session.next(self.now);
        assert_eq!(moves, self.session.next(self.now), "the same question, another answer");
        for fact in &moves.writes {
            let entry = Entry { at: self.now, fact: fact.clone() };
            let legal = self.session.clone().evolve(&entry).is_ok();
            assert!(legal, "proposes what it refuses: {fact:?}");
        }
        assert!(moves.wait_until.is_none_or(|until| until > self.now), "waits for what is past");
        let turn = self.session.turn(self.now);
        assert!(turn.entries.len() <= 4 * self.session.steps().len() + 2, "a turn without end");
        for entry in &turn.entries {
            assert!(self.write(entry.fact.clone()));
        }
        assert_eq!(self.session, turn.session, "a turn is what its entries make of the session");
        assert_eq!(self.session.turn(self.now).entries, [], "a turn leaves nothing to write");
    }
}

proptest! {
    #[test]
    fn every_walk_makes_sense(
        shape in 0..SHAPES.len(),
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut walk = Walk::begin(shape);
        for event in events {
            walk.go_through(event);
            let owed = !exit_card(&walk.session).is_empty();
            prop_assert_eq!(owed, walk.session.is_owed());
            for line in receipt(&walk.session) {
                prop_assert!(line.gone_at.is_none_or(|gone| gone >= line.made_at));
            }
            let ended = walk.session.ended_at().is_some();
            let clear = walk.session.steps().iter().all(|step| step.is_clear());
            prop_assert!(!ended || clear);
        }
        let replayed = Session::replay(id(), &walk.journal).unwrap();
        prop_assert_eq!(&replayed, &walk.session);
        prop_assert_eq!(replayed.entries(), u64::try_from(walk.journal.len()).unwrap());
        for length in 1..walk.journal.len() {
            prop_assert!(Session::replay(id(), &walk.journal[..length]).is_ok());
        }
    }

    #[test]
    fn an_entry_reads_back(fact in any_fact(), millis in any::<i64>()) {
        let entry = Entry { at: Timestamp::from_millis(millis), fact };
        let text = serde_json::to_string(&entry).unwrap();
        prop_assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }

    /// Left alone in fair weather, every session comes to its end.
    #[test]
    fn every_walk_can_be_brought_to_its_end(
        shape in 0..SHAPES.len(),
        events in prop::collection::vec(event(), 0..60),
    ) {
        let mut walk = Walk::begin(shape);
        for event in events {
            walk.go_through(event);
        }
        walk.write(Fact::EndRequested { reason: EndReason::Idle, detail: None, by: operator() });
        for _ in 0..100 {
            walk.turn();
            let moves = walk.session.next(walk.now);
            for effect in &moves.effects {
                walk.write(answer(effect, 1));
            }
            if moves.effects.is_empty() {
                walk.now = moves.wait_until.unwrap_or(walk.now);
            }
        }
        prop_assert!(walk.session.ended_at().is_some(), "{:?}", walk.session);
    }
}

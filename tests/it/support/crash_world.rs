//! A journal, a provider and a clock that outlive the process, and a process that dies on cue.
//!
//! The world keeps its own record of what exists and judges every call by that and by the journal,
//! never by asking the machine under test.

use std::collections::{BTreeMap, BTreeSet};

use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::session::{Effect, Entry, Fact, Lives, PlannedStep, Session, StepIndex};

use super::plans::{ACTIVATION, START, id};

/// How the world treats one step of a session; the others it treats well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// All goes well.
    Fair,
    /// The step is refused.
    Refuses(StepIndex),
    /// The step is made, and nobody hears of it.
    TimesOutMade(StepIndex),
    /// The step is not made, and nobody hears of that.
    TimesOutLost(StepIndex),
    /// The step times out and is made later, within the settle time.
    LandsLate(StepIndex),
    /// The step is answered only after opening was given up.
    Slow(StepIndex),
    /// The first look at the step fails.
    LookFailsOnce(StepIndex),
    /// The step times out, and three looks fail before one works.
    LookFailsAtFirst(StepIndex),
    /// No look at the step ever works.
    LookNeverWorks(StepIndex),
    /// The first undo of the step does nothing.
    UndoFailsOnce(StepIndex),
    /// The undo of the step works, and its answer is lost.
    UndoUnheard(StepIndex),
    /// The undo of the step is answered well and takes effect a while later.
    UndoTakesTime(StepIndex),
    /// No undo of the step ever works.
    UndoNeverWorks(StepIndex),
    /// What the step made is removed by somebody else while the engine is down.
    GoneWhileDown(StepIndex),
    /// What the step made vanishes while the session is Active, and the engine is told.
    PathLost(StepIndex),
    /// The same, and what is made again is refused so many times at first.
    PathLostAndRefused(StepIndex, u32),
    /// The same, and what is made again is made, and nobody hears of it.
    PathLostAndUnheard(StepIndex),
    /// The same, and what is made again is not made at first, and nobody hears of that.
    PathLostAndUnanswered(StepIndex),
    /// What dies with the engine cannot be made again: the port is taken.
    CannotReopen,
    /// What dies with the engine is made again, but not as it was: another port.
    ReopensElsewhere,
}

/// The process is dead.
#[derive(Debug)]
pub struct Died;

/// Everything that outlives the process.
#[derive(Clone, Debug)]
pub struct CrashWorld {
    /// The plan of the session.
    pub plan: Vec<PlannedStep>,
    /// What is durable.
    pub journal: Vec<Entry>,
    /// The time.
    pub clock: Timestamp,
    /// How the world treats the session.
    pub weather: Weather,
    /// What exists, by its step.
    pub things: BTreeMap<StepIndex, String>,
    /// Every step that ever made something.
    pub ever: BTreeSet<StepIndex>,
    /// How many processes there were.
    pub lives: u32,
    /// How many calls reached the world.
    pub calls: u32,
    /// Touches until death.
    pub left_to_live: usize,
    /// True between a planned hand-over and the next process.
    pub handed_over: bool,
    /// True once a path was lost.
    pub lost: bool,
    remakes: u32,
    late: Vec<(Timestamp, StepIndex, Change)>,
    applied_in: BTreeMap<StepIndex, Vec<u32>>,
    looks: BTreeMap<StepIndex, u32>,
    undos: BTreeMap<StepIndex, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Made,
    Gone,
}

/// How much later something takes effect: well within the settle time.
const LATE: Span = Span::from_seconds(30);

impl CrashWorld {
    /// A world in which nothing has happened.
    pub fn new(plan: Vec<PlannedStep>, weather: Weather) -> Self {
        Self {
            plan,
            journal: vec![],
            clock: START,
            weather,
            things: BTreeMap::new(),
            ever: BTreeSet::new(),
            lives: 0,
            calls: 0,
            left_to_live: usize::MAX,
            handed_over: false,
            lost: false,
            remakes: 0,
            late: vec![],
            applied_in: BTreeMap::new(),
            looks: BTreeMap::new(),
            undos: BTreeMap::new(),
        }
    }

    /// Makes entries durable. Dies before, between or after them.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), Died> {
        for entry in entries {
            self.touch()?;
            if entry.fact == Fact::Ended {
                assert_eq!(self.things, BTreeMap::new(), "Ended, and something exists");
                let coming = self.late.iter().any(|it| it.2 == Change::Made);
                assert!(!coming, "Ended, and something may come to exist");
            }
            self.journal.push(entry.clone());
        }
        if entries.is_empty() { Ok(()) } else { self.touch() }
    }

    /// True when something will never be seen to go.
    pub fn never_clears(&self) -> bool {
        matches!(self.weather, Weather::LookNeverWorks(_) | Weather::UndoNeverWorks(_))
    }

    /// Judges a call that is about to be made.
    pub fn begin(&self, effect: &Effect) {
        match effect {
            Effect::Apply { step, before } => self.judge_apply(*step, before.as_ref()),
            Effect::Undo { step, .. } => self.judge_undo(*step),
            Effect::Look { .. } => {}
        }
    }

    /// Touches the world and returns what the engine hears. Dies before or after.
    pub fn perform(&mut self, effect: &Effect) -> Result<Fact, Died> {
        self.touch()?;
        self.calls += 1;
        let heard = match effect {
            Effect::Apply { step, before } => self.apply(*step, before.as_ref()),
            Effect::Look { step, .. } => self.look(*step),
            Effect::Undo { step, .. } => self.undo(*step),
        };
        self.touch()?;
        Ok(heard)
    }

    /// When the answer to a call arrives at the earliest.
    pub fn answers_at(&self, effect: &Effect) -> Timestamp {
        match (self.weather, effect) {
            (Weather::Slow(slow), Effect::Apply { step, .. }) if slow == *step => {
                START + ACTIVATION + Span::from_seconds(7)
            }
            _ => self.clock,
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, to: Timestamp) {
        self.clock = self.clock.max(to);
        let now = self.clock;
        let (due, late) = std::mem::take(&mut self.late).into_iter().partition(|it| it.0 <= now);
        self.late = late;
        let due: Vec<_> = due;
        for (_, step, change) in due {
            match change {
                Change::Made => self.make(step, None),
                Change::Gone => drop(self.things.remove(&step)),
            }
        }
    }

    /// What a crash does: what lives in the engine is gone, and nobody minds the rest for a while.
    pub fn crash(&mut self, down: Span) {
        let plan = &self.plan;
        let stays = |step: StepIndex| plan[step].lives == Lives::InTheWorld;
        self.things.retain(|step, _| stays(*step));
        self.late.retain(|(_, step, _)| stays(*step));
        if let (Weather::GoneWhileDown(step), true) = (self.weather, self.was_active()) {
            self.things.remove(&step);
        }
        self.handed_over = false;
        self.advance(self.clock + down);
    }

    /// What a path that is lost does, once: something of it vanishes.
    pub fn lose(&mut self) -> Result<StepIndex, Died> {
        let step = self.weather.loses().unwrap();
        self.touch()?;
        self.lost = true;
        assert!(self.things.remove(&step).is_some(), "step {step} is lost and was not there");
        self.touch()?;
        Ok(step)
    }

    /// True when the journal says Active.
    pub fn was_active(&self) -> bool {
        self.says(|fact| *fact == Fact::Activated)
            && !self.says(|fact| matches!(fact, Fact::EndRequested { .. }))
    }

    /// True when a line of the journal is such.
    pub fn says(&self, such: impl Fn(&Fact) -> bool) -> bool {
        self.journal.iter().any(|entry| such(&entry.fact))
    }

    fn touch(&mut self) -> Result<(), Died> {
        self.left_to_live = self.left_to_live.checked_sub(1).ok_or(Died)?;
        Ok(())
    }

    fn apply(&mut self, step: StepIndex, before: Option<&Artifact>) -> Fact {
        self.applied_in.entry(step).or_default().push(self.lives);
        let again = before.is_some();
        let why = "timed out".to_owned();
        match self.weather {
            _ if again && self.weather.loses() == Some(step) => self.remake(step, before),
            Weather::Refuses(x) if x == step => refused(step),
            Weather::CannotReopen if again => refused(step),
            Weather::TimesOutLost(x) if x == step => Fact::OutcomeUnknown { step, why },
            Weather::TimesOutMade(x) | Weather::LookFailsAtFirst(x) if x == step => {
                self.make(step, None);
                Fact::OutcomeUnknown { step, why }
            }
            Weather::LandsLate(x) if x == step => {
                self.late.push((self.clock + LATE, step, Change::Made));
                Fact::OutcomeUnknown { step, why }
            }
            Weather::ReopensElsewhere if again => self.made(step, None),
            _ => self.made(step, before),
        }
    }

    fn remake(&mut self, step: StepIndex, before: Option<&Artifact>) -> Fact {
        self.remakes += 1;
        let why = "timed out".to_owned();
        match self.weather {
            Weather::PathLostAndRefused(_, times) if self.remakes <= times => refused(step),
            Weather::PathLostAndUnheard(_) => {
                self.make(step, before);
                Fact::OutcomeUnknown { step, why }
            }
            Weather::PathLostAndUnanswered(_) if self.remakes == 1 => {
                Fact::OutcomeUnknown { step, why }
            }
            _ => self.made(step, before),
        }
    }

    fn look(&mut self, step: StepIndex) -> Fact {
        let looks = self.looks.entry(step).or_default();
        *looks += 1;
        let fails = match self.weather {
            Weather::LookNeverWorks(x) => x == step,
            Weather::LookFailsOnce(x) => x == step && *looks == 1,
            Weather::LookFailsAtFirst(x) => x == step && *looks <= 3,
            _ => false,
        };
        match self.things.get(&step) {
            _ if fails => Fact::LookFailed { step, why: "503".to_owned() },
            Some(name) => Fact::StepFound { step, artifact: artifact(&self.plan[step], name) },
            None => Fact::StepAbsent { step },
        }
    }

    fn undo(&mut self, step: StepIndex) -> Fact {
        let undos = self.undos.entry(step).or_default();
        *undos += 1;
        let failed = Some("503".to_owned());
        let (works, problem) = match self.weather {
            Weather::UndoNeverWorks(x) if x == step => (false, failed),
            Weather::UndoFailsOnce(x) if x == step => (*undos > 1, None),
            Weather::UndoUnheard(x) if x == step => (true, failed),
            Weather::UndoTakesTime(x) if x == step => {
                if self.things.contains_key(&step) {
                    self.late.push((self.clock + LATE, step, Change::Gone));
                }
                (false, None)
            }
            _ => (true, None),
        };
        if works {
            self.things.remove(&step);
        }
        Fact::UndoSent { step, problem }
    }

    fn made(&mut self, step: StepIndex, before: Option<&Artifact>) -> Fact {
        if self.plan[step].leaves.is_none() {
            return Fact::StepApplied { step, artifact: None };
        }
        self.make(step, before);
        let artifact = artifact(&self.plan[step], &self.things[&step]);
        Fact::StepApplied { step, artifact: Some(artifact) }
    }

    fn make(&mut self, step: StepIndex, before: Option<&Artifact>) {
        if self.plan[step].leaves.is_some() {
            let name =
                before.map_or_else(|| format!("{step}-{}", self.lives), |it| it.name.clone());
            self.ever.insert(step);
            let other = self.things.insert(step, name);
            assert_eq!(other, None, "step {step} was made twice");
        }
    }

    fn judge_apply(&self, step: StepIndex, before: Option<&Artifact>) {
        assert_eq!(self.last_about(step), Some(&Fact::StepStarted { step }), "write first");
        assert!(
            !self.says(|fact| matches!(fact, Fact::EndRequested { .. })),
            "nothing is applied in a session that ends"
        );
        let applied = self.applied_in.get(&step).map_or(&[][..], Vec::as_slice);
        match self.plan[step].lives {
            Lives::InTheWorld | Lives::UntilUsed => {
                let before = self.about(step).nth(1);
                let known_gone = matches!(
                    before,
                    Some(
                        Fact::StepLost { .. } | Fact::StepRefused { .. } | Fact::StepAbsent { .. }
                    )
                );
                let again = self.plan[step].remade && known_gone && self.was_active();
                assert!(applied.is_empty() || again, "applied again: {before:?} before it");
                let coming = self.late.iter().any(|it| it.1 == step && it.2 == Change::Made);
                assert!(!self.things.contains_key(&step) && !coming, "it is not gone");
            }
            Lives::InTheEngine => {
                assert!(!applied.contains(&self.lives), "applied twice in a life")
            }
        }
        for needed in &self.plan[step].needs {
            let there = self.things.contains_key(needed) || self.plan[*needed].leaves.is_none();
            assert!(there, "step {step} is applied without step {needed}, which it needs");
        }
        let seen = self.journal.iter().rev().find_map(|entry| match &entry.fact {
            Fact::StepApplied { step: x, artifact } if *x == step => artifact.as_ref(),
            Fact::StepFound { step: x, artifact } if *x == step => Some(artifact),
            _ => None,
        });
        assert_eq!(before, seen, "what is made again is told what it was");
    }

    fn judge_undo(&self, step: StepIndex) {
        assert_eq!(self.last_about(step), Some(&Fact::UndoStarted { step }), "write first");
        let needing = |other: &StepIndex| self.plan[*other].needs.contains(&step);
        let declared = self.plan[step].undo_after.clone();
        let first = declared.unwrap_or_else(|| (0..self.plan.len()).filter(needing).collect());
        let coming = |other| self.late.iter().any(|it| it.1 == other && it.2 == Change::Made);
        let there = |other: &StepIndex| self.things.contains_key(other) || coming(*other);
        if let Some(other) = first.into_iter().find(there) {
            let session = Session::replay(id(), &self.journal).unwrap();
            let owed = session.steps()[other].is_owed();
            assert!(owed, "step {step} is undone before step {other} is gone");
        }
    }

    fn last_about(&self, step: StepIndex) -> Option<&Fact> {
        self.about(step).next()
    }

    /// What the journal says about a step, the newest first.
    fn about(&self, step: StepIndex) -> impl Iterator<Item = &Fact> {
        let facts = self.journal.iter().rev().map(|entry| &entry.fact);
        facts.filter(move |fact| about(fact) == Some(step))
    }
}

impl Weather {
    /// The step that an Active session loses.
    pub const fn loses(self) -> Option<StepIndex> {
        match self {
            Self::PathLost(step)
            | Self::PathLostAndRefused(step, _)
            | Self::PathLostAndUnheard(step)
            | Self::PathLostAndUnanswered(step) => Some(step),
            _ => None,
        }
    }
}

fn refused(step: StepIndex) -> Fact {
    Fact::StepRefused { step, why: "no".to_owned() }
}

fn artifact(planned: &PlannedStep, name: &str) -> Artifact {
    let kind = planned.leaves.clone().unwrap();
    Artifact { kind, name: name.to_owned(), details: serde_json::Value::Null }
}

/// The step that a fact is about.
pub fn about(fact: &Fact) -> Option<StepIndex> {
    match fact {
        Fact::StepStarted { step }
        | Fact::StepApplied { step, .. }
        | Fact::StepRefused { step, .. }
        | Fact::OutcomeUnknown { step, .. }
        | Fact::StepFound { step, .. }
        | Fact::StepAbsent { step }
        | Fact::LookFailed { step, .. }
        | Fact::StepLost { step, .. }
        | Fact::UndoStarted { step }
        | Fact::UndoSent { step, .. } => Some(*step),
        _ => None,
    }
}

//! One life of the engine: decides by the session, writes to and acts on a [`CrashWorld`].
//!
//! It does as the real one: everything that is ready goes into one write, what the write allows is
//! begun at once, and what is under way changes the world and is heard of in any order.

use std::collections::BTreeMap;

use breakglass::domain::time::{Span, Timestamp};
use breakglass::session::{Effect, EndReason, Entry, Fact, Session, Status, StepIndex};

use super::chance::Chance;
use super::crash_world::{CrashWorld, Died};
use super::plans::{ACTIVATION, id, operator, request};

/// What a person, or the jump host, does in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intervention {
    /// Nothing.
    None,
    /// Somebody ends the session once so many calls were made.
    EndAfterCalls(u32),
    /// Somebody ends the session while it is Active.
    EndWhileActive,
    /// Somebody ends the session while a restarted engine still looks at its steps.
    EndWhileAdopting,
    /// Somebody extends the session.
    Extend,
    /// The engine hands over once so many calls were made.
    HandOverAfterCalls(u32),
    /// The engine hands over early, and somebody ends the session meanwhile.
    EndDuringHandOver,
    /// The engine hands over while the session is Active.
    HandOverWhileActive,
}

/// Why a life goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Everything was seen gone.
    Ended,
    /// Something is owed and will not go; all the rest has gone.
    Owed,
    /// Another process goes on.
    HandedOver,
}

/// One process.
pub struct Life<'w> {
    /// The world it lives in.
    pub world: &'w mut CrashWorld,
    /// The session, as this process knows it.
    pub session: Session,
    intervention: Intervention,
    under_way: BTreeMap<StepIndex, Call>,
    wait_until: Option<Timestamp>,
    told_owed: bool,
    handing_over: bool,
    chance: Chance,
}

struct Call {
    effect: Effect,
    heard: Option<Fact>,
    answers_at: Timestamp,
}

/// No session needs so many moves.
const MOVES_MAX: usize = 2_000;

impl<'w> Life<'w> {
    /// Starts a process: with a request, with what another handed over, or after a crash.
    pub fn begin(
        world: &'w mut CrashWorld,
        intervention: Intervention,
        seed: u64,
    ) -> Result<Self, Died> {
        world.lives += 1;
        let now = world.clock;
        let handed_over = std::mem::take(&mut world.handed_over);
        let (session, news) = if world.journal.is_empty() {
            let activate_by = now + ACTIVATION;
            let planned = Fact::Planned { steps: world.plan.clone(), activate_by };
            (Session::requested(id(), now, Box::new(request())), Some(planned))
        } else {
            let session = Session::replay(id(), &world.journal).unwrap();
            let goes_on = handed_over || session.ended_at().is_some();
            (session, (!goes_on).then_some(Fact::Restarted))
        };
        let mut life = Self {
            chance: Chance::new(seed.wrapping_add(u64::from(world.lives))),
            world,
            session,
            intervention,
            under_way: BTreeMap::new(),
            wait_until: None,
            told_owed: false,
            handing_over: false,
        };
        life.turn(news)?;
        Ok(life)
    }

    /// Goes on until there is rest.
    pub fn run(&mut self) -> Result<Rest, Died> {
        for _ in 0..MOVES_MAX {
            self.judge();
            if self.session.ended_at().is_some() {
                return Ok(Rest::Ended);
            }
            if self.loses_its_path() {
                let step = self.world.lose()?;
                self.turn(Some(Fact::StepLost { step, why: "connection lost".to_owned() }))?;
                continue;
            }
            if let Some(fact) = self.due() {
                if fact == Fact::HandedOver {
                    return self.hand_over();
                }
                self.turn(Some(fact))?;
                continue;
            }
            let now = self.world.clock;
            let ready = self.under_way.iter().filter(|(_, call)| call.answers_at <= now);
            let ready: Vec<StepIndex> = ready.map(|(step, _)| *step).collect();
            if ready.is_empty() {
                if self.rests_owed() {
                    self.told_owed = true;
                    return Ok(Rest::Owed);
                }
                self.wait()?;
            } else {
                let step = ready[self.chance.below(ready.len())];
                self.go_on_with(step)?;
            }
        }
        panic!("no rest after {MOVES_MAX} moves; at last: {:?}", self.world.journal.last());
    }

    /// Takes in news, writes everything that follows from it at once, and begins what is ready.
    fn turn(&mut self, news: Option<Fact>) -> Result<(), Died> {
        let mut batch = vec![];
        if self.world.journal.is_empty() {
            let fact = Fact::Requested(Box::new(self.session.request().clone()));
            batch.push(Entry { at: self.session.requested_at(), fact });
        }
        if let Some(fact) = news {
            let entry = Entry { at: self.world.clock, fact };
            self.session.evolve(&entry).unwrap();
            batch.push(entry);
        }
        let turn = self.session.turn(self.world.clock);
        batch.extend(turn.entries);
        self.world.append(&batch)?;
        self.session = turn.session;
        self.wait_until = turn.wait_until;
        for effect in turn.effects {
            if !self.handing_over && !self.under_way.contains_key(&effect.step()) {
                self.world.begin(&effect);
                let answers_at = self.world.answers_at(&effect);
                self.under_way.insert(effect.step(), Call { effect, heard: None, answers_at });
            }
        }
        Ok(())
    }

    /// Lets a call reach the world, or its answer reach the engine.
    fn go_on_with(&mut self, step: StepIndex) -> Result<(), Died> {
        let mut call = self.under_way.remove(&step).unwrap();
        match call.heard.take() {
            None => {
                call.heard = Some(self.world.perform(&call.effect)?);
                self.under_way.insert(step, call);
                Ok(())
            }
            // A look that the session has stopped waiting for says nothing any more.
            Some(_) if self.is_stale(&call.effect) => self.turn(None),
            Some(fact) => self.turn(Some(fact)),
        }
    }

    fn is_stale(&self, effect: &Effect) -> bool {
        let status = &self.session.steps()[effect.step()].status;
        let awaited = matches!(
            status,
            Status::Started { .. } | Status::Unsure { .. } | Status::Adopting { .. }
        );
        matches!(effect, Effect::Look { .. }) && !awaited
    }

    fn wait(&mut self) -> Result<(), Died> {
        let answer = self.under_way.values().map(|call| call.answers_at).min();
        let until = self.wait_until.into_iter().chain(answer).min();
        let until = until.expect("neither a move nor a wait: the session hangs");
        assert!(until > self.world.clock, "waiting for what is past");
        self.world.advance(until);
        self.turn(None)
    }

    /// True once in a world, when the session is Active and nothing is under way.
    fn loses_its_path(&self) -> bool {
        let settled = self.session.is_active() && !self.session.is_mending();
        let once = self.world.weather.loses().is_some() && !self.world.lost;
        once && settled && self.under_way.is_empty()
    }

    /// What the intervention does at this moment, if anything.
    fn due(&self) -> Option<Fact> {
        let session = &self.session;
        let open = session.ending().is_none();
        let calls = self.world.calls;
        let idle = session.is_active() && self.under_way.is_empty();
        let extended = || self.world.says(|fact| matches!(fact, Fact::Extended { .. }));
        let handed_over = || self.world.says(|fact| *fact == Fact::HandedOver);
        match self.intervention {
            Intervention::EndAfterCalls(n) if open && calls >= n => Some(end()),
            Intervention::EndWhileActive if idle => Some(end()),
            Intervention::EndWhileAdopting
                if session.is_mending() && self.under_way.values().any(|it| it.heard.is_some()) =>
            {
                Some(end())
            }
            Intervention::Extend if idle && !extended() => {
                let lease = session.lease() + Span::from_seconds(500);
                Some(Fact::Extended { lease, by: operator() })
            }
            Intervention::HandOverAfterCalls(n) if calls >= n && !handed_over() => {
                Some(Fact::HandedOver)
            }
            Intervention::EndDuringHandOver if calls >= 1 && !handed_over() => {
                Some(Fact::HandedOver)
            }
            Intervention::HandOverWhileActive if idle && !handed_over() => Some(Fact::HandedOver),
            _ => None,
        }
    }

    /// Begins nothing more, and leaves nothing under way: each call is waited for, or its outcome
    /// counts as unknown.
    fn hand_over(&mut self) -> Result<Rest, Died> {
        self.handing_over = true;
        while let Some((step, mut call)) = self.under_way.pop_first() {
            let heard = match call.heard.take() {
                Some(fact) => fact,
                None => self.world.perform(&call.effect)?,
            };
            let why = "the engine was handed over".to_owned();
            let fact = match call.effect {
                Effect::Apply { .. } if self.chance.coin() => Fact::OutcomeUnknown { step, why },
                Effect::Undo { .. } if self.chance.coin() => {
                    Fact::UndoSent { step, problem: Some(why) }
                }
                _ => heard,
            };
            let fact = (!self.is_stale(&call.effect)).then_some(fact);
            self.turn(fact)?;
            if self.intervention == Intervention::EndDuringHandOver
                && self.session.ending().is_none()
            {
                self.turn(Some(end()))?;
            }
        }
        if self.session.ended_at().is_some() {
            return Ok(Rest::Ended);
        }
        let entry = Entry { at: self.world.clock, fact: Fact::HandedOver };
        self.session.evolve(&entry).unwrap();
        self.world.append(&[entry])?;
        self.world.handed_over = true;
        Ok(Rest::HandedOver)
    }

    /// True once in a life: what is owed will not go, and all the rest has gone.
    fn rests_owed(&self) -> bool {
        let settled = self.session.steps().iter().all(|step| step.is_clear() || step.is_owed());
        !self.told_owed && self.world.never_clears() && self.session.is_owed() && settled
    }

    /// What must hold at every moment.
    fn judge(&self) {
        let session = &self.session;
        let card = breakglass::session::exit_card::exit_card(session);
        assert_eq!(card.is_empty(), !session.is_owed(), "the exit card is there when owed");
        if session.is_active() {
            assert!(Some(self.world.clock) < session.lease_ends_at(), "Active beyond its lease");
        }
        if session.is_active() && !session.is_mending() {
            for (step, planned) in self.world.plan.iter().enumerate() {
                let there = planned.leaves.is_none() || self.world.things.contains_key(&step);
                assert!(there, "Active without step {step}");
            }
        }
    }
}

fn end() -> Fact {
    Fact::EndRequested { reason: EndReason::EndedByOperator, detail: None, by: operator() }
}

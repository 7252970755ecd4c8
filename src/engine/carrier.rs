//! Carries one effect out and says in one fact what came of it.
//!
//! Every call has a time limit. A change that does not answer in time has an unknown outcome; a
//! look or an undo that does not answer has failed, and is tried again.

use std::future::Future;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::doors::{Behind, EndpointAction};
use super::shared::{Shared, needed_until};
use crate::domain::artifact::{Artifact, Marker};
use crate::domain::id::SessionId;
use crate::domain::launcher::Launch;
use crate::domain::text;
use crate::domain::time::Span;
use crate::forward::ForwardEvent;
use crate::provider::{Made, Provider, Says, StepCall};
use crate::session::{
    Applied, Carrier, Effect, Fact, Looked, PlannedStep, Session, StepIndex, Undone,
};

/// One effect with everything it needs, cut loose from the session.
pub(super) struct Job {
    pub effect: Effect,
    session: SessionId,
    marker: Marker,
    step: PlannedStep,
    /// The steps of the provider that carries the path.
    steps: Vec<Made>,
    path: Option<Arc<dyn Provider>>,
    /// The provider that carries this step; none where it has gone from the configuration.
    provider: Option<Arc<dyn Provider>>,
    events: mpsc::Sender<ForwardEvent>,
    says: Says,
}

/// What came of an effect.
pub(super) struct Done {
    pub fact: Fact,
    /// Something that a person must know besides.
    pub alarm: Option<String>,
}

impl Job {
    /// Cuts an effect loose; nothing where the session has no such step.
    pub fn new(
        effect: Effect,
        session: &Session,
        shared: &Shared,
        events: &mpsc::Sender<ForwardEvent>,
        listener: &mpsc::Sender<(StepIndex, String)>,
    ) -> Option<Self> {
        let step = session.steps().get(effect.step())?.planned.clone();
        let path = &session.request().path;
        let path = shared.providers.find_for_removal(&path.provider, path.kind);
        let provider = match &step.carrier {
            Carrier::Provider(id) => {
                shared.providers.find_for_removal(id, session.request().path.kind)
            }
            Carrier::Launcher | Carrier::Endpoint => None,
        };
        Some(Self {
            says: Says::to(effect.step(), listener.clone()),
            effect,
            session: session.id(),
            marker: marker(session, shared),
            step,
            steps: made(session),
            path,
            provider,
            events: events.clone(),
        })
    }

    /// Carries the effect out.
    pub async fn run(self, shared: Arc<Shared>) -> Done {
        let (step, limit) = (self.effect.step(), self.step.timeout);
        let late = format!("no answer within {limit}");
        let (done, fallback) = match self.effect.clone() {
            Effect::Apply { before, .. } => {
                match within(limit, self.apply(&shared, before.as_ref(), step)).await {
                    Some(done) => return done,
                    None => (None, self.in_vain(&shared, late, step).await),
                }
            }
            Effect::Look { artifact, .. } => (
                within(limit, self.look(&shared, artifact.as_ref(), step)).await,
                Fact::LookFailed { step, why: late },
            ),
            Effect::Undo { artifact, .. } => (
                within(limit, self.undo(&shared, artifact.as_ref(), step)).await,
                Fact::UndoSent { step, problem: Some(late) },
            ),
        };
        done.unwrap_or(Done { fact: fallback, alarm: None })
    }

    async fn apply(&self, shared: &Shared, before: Option<&Artifact>, step: StepIndex) -> Done {
        let applied = match (&self.step.carrier, &self.provider) {
            (Carrier::Endpoint, _) => return self.open_door(shared, before, step),
            (Carrier::Launcher, _) => self.start(shared, before).await,
            (Carrier::Provider(_), Some(provider)) => provider.apply(self.call(before)).await,
            (Carrier::Provider(_), None) => Applied::Refused(self.gone()),
        };
        plain(match applied {
            Applied::Applied(artifact) => Fact::StepApplied { step, artifact },
            Applied::Refused(why) => {
                let why = self.with_logs(shared, said(&why)).await;
                Fact::StepRefused { step, why }
            }
            Applied::Unknown(why) => Fact::OutcomeUnknown { step, why: said(&why) },
        })
    }

    /// What becomes of a change that has not answered in time: with what it waited for at the end, and
    /// the last line of what was started for it.
    async fn in_vain(&self, shared: &Shared, late: String, step: StepIndex) -> Fact {
        let why = match self.says.last() {
            Some(waits) => format!("{late}; at the end: {waits}"),
            None => late,
        };
        Fact::OutcomeUnknown { step, why: self.with_logs(shared, said(&why)).await }
    }

    async fn look(&self, shared: &Shared, artifact: Option<&Artifact>, step: StepIndex) -> Done {
        let looked = match (&self.step.carrier, &self.provider) {
            (Carrier::Endpoint, _) => {
                shared.doors.look(self.session).map_or(Looked::Absent, Looked::Found)
            }
            (Carrier::Launcher, _) => match launch(&self.step) {
                Ok(launch) => shared.launcher.look(&launch).await,
                Err(why) => Looked::Unclear(why),
            },
            (Carrier::Provider(_), Some(provider)) => provider.look(self.call(artifact)).await,
            (Carrier::Provider(_), None) => Looked::Unclear(self.gone()),
        };
        plain(match looked {
            Looked::Found(artifact) => Fact::StepFound { step, artifact },
            Looked::Absent => Fact::StepAbsent { step },
            Looked::Unclear(why) => Fact::LookFailed { step, why: said(&why) },
        })
    }

    async fn undo(&self, shared: &Shared, artifact: Option<&Artifact>, step: StepIndex) -> Done {
        let undone = match (&self.step.carrier, &self.provider) {
            (Carrier::Endpoint, _) => {
                shared.doors.close(self.session).await;
                Undone::Sent
            }
            (Carrier::Launcher, _) => match launch(&self.step) {
                Ok(launch) => shared.launcher.stop(&launch).await,
                Err(why) => Undone::Problem(why),
            },
            (Carrier::Provider(_), Some(provider)) => provider.undo(self.call(artifact)).await,
            (Carrier::Provider(_), None) => Undone::Problem(self.gone()),
        };
        plain(match undone {
            Undone::Sent => Fact::UndoSent { step, problem: None },
            Undone::Problem(why) => Fact::UndoSent { step, problem: Some(said(&why)) },
        })
    }

    /// Starts something in the site, with the secrets that the provider has for it.
    async fn start(&self, shared: &Shared, before: Option<&Artifact>) -> Applied {
        let Some(provider) = &self.path else { return Applied::Refused(self.gone()) };
        let launch = match launch(&self.step) {
            Ok(launch) => launch,
            Err(why) => return Applied::Refused(why),
        };
        match provider.secrets(self.call(before)).await {
            Ok(secrets) => shared.launcher.start(&launch, &secrets, shared.now()).await,
            Err(why) => Applied::Refused(why),
        }
    }

    /// Why a step was refused or did not come about, with the last line of what was started for it:
    /// what waits for a router in vain does not know why it does not come.
    async fn with_logs(&self, shared: &Shared, why: String) -> String {
        let needed = self.step.needs.iter().filter_map(|index| self.steps.get(*index));
        let mut launches = needed.filter(|made| made.step.carrier == Carrier::Launcher);
        let Some(launch) = launches.next().and_then(|made| launch(&made.step).ok()) else {
            return why;
        };
        let logs = within(LOGS_MAX, shared.launcher.logs(&launch)).await;
        let Some(Ok(logs)) = logs else { return why };
        let last = logs.lines().rev().map(str::trim).find(|line| !line.is_empty());
        match last {
            Some(line) => format!("{why}; the {} says: {}", launch.spec.what, text::shown(line)),
            None => why,
        }
    }

    fn open_door(&self, shared: &Shared, before: Option<&Artifact>, step: StepIndex) -> Done {
        let refused = |why: String| plain(Fact::StepRefused { step, why });
        let Ok(action) = EndpointAction::deserialize(&self.step.action) else {
            return refused("the step's parameters are damaged".to_owned());
        };
        let Some(provider) = self.path.clone() else {
            return refused(self.gone());
        };
        let (session, steps, events) = (self.session, self.steps.clone(), self.events.clone());
        let behind = Behind { session, provider, steps, events };
        match shared.doors.open(&action, before, &shared.sockets_dir, behind) {
            Ok(opened) => {
                let fact = Fact::StepApplied { step, artifact: Some(opened.artifact) };
                Done { fact, alarm: opened.alarm }
            }
            Err(why) => refused(said(&why)),
        }
    }

    fn call<'a>(&'a self, artifact: Option<&'a Artifact>) -> StepCall<'a> {
        StepCall {
            session: self.session,
            marker: &self.marker,
            step: &self.step,
            artifact,
            steps: &self.steps,
            says: &self.says,
        }
    }

    fn gone(&self) -> String {
        match &self.step.carrier {
            Carrier::Provider(id) => format!("the provider `{id}` is not in the configuration"),
            Carrier::Launcher | Carrier::Endpoint => {
                "the provider that carries the path is not in the configuration".to_owned()
            }
        }
    }
}

fn launch(step: &PlannedStep) -> Result<Launch, String> {
    Launch::deserialize(&step.action)
        .map_err(|error| format!("the step's parameters are damaged: {error}"))
}

/// Returns the steps of the provider that carries a session's path, with what each made.
pub(super) fn made(session: &Session) -> Vec<Made> {
    let steps = session.steps().iter().enumerate();
    let carried = steps.filter(|(_, step)| step.planned.carrier != Carrier::Endpoint);
    let made = |(index, step): (StepIndex, &crate::session::Step)| Made {
        index,
        step: step.planned.clone(),
        artifact: session.artifact(index).cloned(),
    };
    carried.map(made).collect()
}

/// Returns the mark of a session's artifacts.
///
/// Their expiry is the latest instant at which the session could still need them, so that a sweep
/// which trusts the mark alone never takes anything from a living session.
pub(super) fn marker(session: &Session, shared: &Shared) -> Marker {
    let needed_until = needed_until(session.requested_at(), session.request().lease_max);
    Marker::new(&shared.installation, session.id(), needed_until)
}

async fn within<T>(limit: Span, future: impl Future<Output = T>) -> Option<T> {
    timeout(limit.to_std(), future).await.ok()
}

/// A reason from outside, clean. It may end in a command to type, so it is long.
fn said(why: &str) -> String {
    text::clean(why, WHY_CHARS_MAX).into_owned()
}

fn plain(fact: Fact) -> Done {
    Done { fact, alarm: None }
}

const WHY_CHARS_MAX: usize = 600;
/// How long the last words of what was started are waited for.
const LOGS_MAX: Span = Span::from_seconds(10);

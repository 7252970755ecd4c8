//! Simulated providers, for drills: the steps, waits and troubles of real ones, and nothing real.
//!
//! ```text
//! engine ──plan, apply, look, undo──► Simulated ──► World: a file for each thing that exists
//!    └────dial──► Simulated ──────────────────────► a small service on loopback plays the target
//! ```
//!
//! A [`Simulated`] provider behaves like the system that its [`Flavour`] names. What it makes exists
//! in the [`World`], as files that outlive the process, so that crash recovery and the manual exit
//! card are real; how well calls go there is its [`Weather`]. [`scenario`] is the world of
//! `breakglass demo`, with [`targets`] behind it that truly answer.
//!
//! Rules that hold here:
//!
//! 1. No packet leaves this host.
//! 2. Nothing is known but from the step's parameters, as with any provider.
//! 3. The weather is asked anew at each call.

mod flavour;
mod part;
pub mod scenario;
pub mod targets;
mod weather;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep};

pub use flavour::Flavour;
pub use part::Part;
pub use weather::{Landing, NoWeather, Weather};
pub use world::{Pace, World};

use super::{DialError, Dialed, Lost, Made, Order, Provider, ProviderError, StepCall, Told};
use crate::clock;
use crate::domain::artifact::Artifact;
use crate::domain::id::{ProviderId, TargetId};
use crate::domain::probe::{Probe, ProbeCheck};
use crate::domain::provider::{Health, ProviderKind, Validation};
use crate::domain::time::{Span, Timestamp};
use crate::session::{Applied, Looked, PlannedStep, Undone};
use flavour::Action;
use world::Thing;

/// The services on this host that play the targets.
pub type Services = BTreeMap<TargetId, SocketAddr>;

/// A provider that exists only in a drill.
#[derive(Debug)]
pub struct Simulated {
    id: ProviderId,
    flavour: Flavour,
    world: Arc<World>,
    services: Arc<Services>,
    standing: Health,
}

impl Simulated {
    /// Makes a provider that is well.
    #[must_use]
    pub const fn new(
        id: ProviderId,
        flavour: Flavour,
        world: Arc<World>,
        services: Arc<Services>,
    ) -> Self {
        Self { id, flavour, world, services, standing: Health::Healthy }
    }

    /// Makes it a provider whose every check says this.
    #[must_use]
    pub fn standing(self, standing: Health) -> Self {
        Self { standing, ..self }
    }
}

#[async_trait]
impl Provider for Simulated {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Simulated
    }

    fn label(&self) -> String {
        self.flavour.label().to_owned()
    }

    fn about(&self) -> String {
        self.flavour.about().to_owned()
    }

    fn keep(&self) -> Option<String> {
        Some(format!("`{}` belongs to the drill; it can be disabled", self.id))
    }

    fn plan(&self, order: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        let cannot = |why: String| ProviderError::CannotCarry { provider: self.id.clone(), why };
        let behind = self.services.get(&order.target.id);
        let behind = behind
            .ok_or_else(|| cannot(format!("nothing plays `{}` in this drill", order.target.id)))?;
        let steps = self.flavour.steps(&self.id, order, *behind, &self.world);
        steps.map_err(|error| cannot(error.to_string()))
    }

    async fn apply(&self, call: StepCall<'_>) -> Applied {
        let action = match Action::deserialize(&call.step.action) {
            Ok(action) => action,
            Err(error) => return Applied::Refused(format!("{DAMAGED}: {error}")),
        };
        let weather = self.world.weather(&action.target);
        self.world.take_time(action.part.takes_long(), weather).await;
        match weather {
            Weather::Refuses(part) if part == action.part => {
                let what = &call.step.label;
                return Applied::Refused(format!("403: this API key may not {what}"));
            }
            Weather::Silent(part, landing) if part == action.part => {
                return self.silent(&call, &action, landing).await;
            }
            _ => {}
        }
        let done = match action.part {
            Part::OverlapCheck => self.no_overlap(&action).map(|()| None),
            Part::AliveCheck => self.comes_about(&call, action.part).map(|()| None),
            Part::AnswerCheck => TcpStream::connect(action.behind)
                .await
                .map(|_| None)
                .map_err(|error| format!("{} does not answer: {error}", action.address)),
            _ => self.make(&call, &action, Span::ZERO).map(Some),
        };
        done.map_or_else(Applied::Refused, Applied::Applied)
    }

    async fn look(&self, call: StepCall<'_>) -> Looked {
        let action = match Action::deserialize(&call.step.action) {
            Ok(action) => action,
            Err(error) => return Looked::Unclear(format!("{DAMAGED}: {error}")),
        };
        let weather = self.world.weather(&action.target);
        self.world.take_time(false, weather).await;
        if weather == Weather::Flaky && self.world.once_in(FLAKY_ONCE_IN) {
            return Looked::Unclear("502: bad gateway".to_owned());
        }
        match self.world.see(&self.world.place(&self.id, action.part, call.marker)) {
            Ok(Some(thing)) => Looked::Found(artifact(&thing)),
            Ok(None) => Looked::Absent,
            Err(error) => Looked::Unclear(format!("{UNREADABLE}: {error}")),
        }
    }

    async fn undo(&self, call: StepCall<'_>) -> Undone {
        let action = match Action::deserialize(&call.step.action) {
            Ok(action) => action,
            Err(error) => return Undone::Problem(format!("{DAMAGED}: {error}")),
        };
        let weather = self.world.weather(&action.target);
        self.world.take_time(false, weather).await;
        match weather {
            Weather::Stuck(part) if part == action.part => {
                let what = action.part.leaves().unwrap_or("it");
                return Undone::Problem(format!("409: the {what} is in use and cannot be deleted"));
            }
            Weather::Flaky if self.world.once_in(FLAKY_ONCE_IN) => {
                return Undone::Problem("the connection was reset".to_owned());
            }
            _ => {}
        }
        match self.world.remove(&self.world.place(&self.id, action.part, call.marker)) {
            Ok(()) => Undone::Sent,
            Err(error) => Undone::Problem(format!("{UNREADABLE}: {error}")),
        }
    }

    async fn dial(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        let parts = steps.iter().filter_map(|made| {
            let action = Action::deserialize(&made.step.action).ok()?;
            Some((action, made.artifact.as_ref()))
        });
        let mut behind = None;
        for (action, artifact) in parts {
            let address = action.address.to_string();
            behind = Some((action.behind, address.clone()));
            if action.part.carries() && !self.carries(&action, artifact) {
                let what = action.part.leaves().unwrap_or("a part");
                let why = format!("the {what} of the path is gone");
                return Err(DialError::Other { address, why });
            }
        }
        let Some((behind, address)) = behind else {
            let why = "the session has no step of this provider".to_owned();
            return Err(DialError::Other { address: self.id.to_string(), why });
        };
        let connected = TcpStream::connect(behind).await;
        connected
            .map(Dialed::Tcp)
            .map_err(|error| DialError::Other { address, why: error.to_string() })
    }

    async fn watch(&self, steps: &[Made], _trouble: mpsc::Sender<Told>) -> Lost {
        let carrying = steps.iter().filter_map(|made| {
            let action = Action::deserialize(&made.step.action).ok()?;
            let marker = made.artifact.as_ref()?.name.parse().ok()?;
            let place = self.world.place(&self.id, action.part, &marker);
            action.part.carries().then_some((made.index, action, place))
        });
        let carrying: Vec<_> = carrying.collect();
        loop {
            sleep(WATCH_EVERY).await;
            for (step, action, place) in &carrying {
                let drops = self.world.weather(&action.target) == Weather::Drops(action.part);
                if drops && self.world.once_in(DROPS_ONCE_IN) {
                    self.world.remove(place).ok();
                }
                // What cannot be read is not surely gone.
                if matches!(self.world.see(place), Ok(None)) {
                    let what = action.part.leaves().unwrap_or("part");
                    return Lost { step: *step, why: format!("the {what} went offline") };
                }
            }
        }
    }

    async fn check(&self) -> Health {
        if self.standing.can_serve() {
            self.world.take_its_time().await;
        }
        self.standing.clone()
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        let watch = clock::Stopwatch::start();
        let found = match self.check().await {
            Health::Healthy => Ok("it is there, as far as anything in a drill is".to_owned()),
            Health::Degraded { why } | Health::Down { why } => Err(why),
        };
        let (needed, millis) = (!self.standing.can_serve(), watch.elapsed().as_millis());
        let check = ProbeCheck { name: "answers".to_owned(), needed, found, millis };
        Validation { probe: Probe { at: now, checks: vec![check] }, key_expires_at: None }
    }

    fn audience(&self, _: &Order) -> Vec<String> {
        vec!["nobody: it is simulated".to_owned()]
    }
}

impl Simulated {
    /// Makes a thing, seen from `later` on.
    fn make(&self, call: &StepCall<'_>, action: &Action, later: Span) -> Result<Artifact, String> {
        self.comes_about(call, action.part)?;
        if action.part == Part::Route {
            self.no_overlap(action)?;
        }
        let thing = Thing {
            what: action.part.leaves().unwrap_or_default().to_owned(),
            marker: call.marker.clone(),
            target: action.target.clone(),
            site: action.site.clone(),
            address: action.address.clone(),
            lands_at: clock::wall() + later,
            ends_at: action.ends_at,
        };
        let place = self.world.place(&self.id, action.part, call.marker);
        self.world.put(&place, &thing).map_err(|error| format!("{UNREADABLE}: {error}"))?;
        Ok(artifact(&thing))
    }

    /// Makes a thing or not, and never answers.
    async fn silent(&self, call: &StepCall<'_>, action: &Action, landing: Landing) -> Applied {
        let late = self.world.pace().late();
        let made = match landing {
            Landing::Lands => self.make(call, action, Span::ZERO).map(|_| ()),
            Landing::Late => self.make(call, action, late).map(|_| ()),
            Landing::Never => Ok(()),
        };
        if let Err(error) = made {
            tracing::debug!(%error, "an unanswered change failed");
        }
        self.world.hang().await;
        Applied::Unknown("the connection was lost before the answer came".to_owned())
    }

    /// Two sites with the same address must never meet in one tailnet.
    fn no_overlap(&self, action: &Action) -> Result<(), String> {
        let routes = self.world.routes(&self.id);
        let routes = routes.map_err(|error| format!("{UNREADABLE}: {error}"))?;
        let meets = |route: &&Thing| {
            route.address.host() == action.address.host() && route.site != action.site
        };
        match routes.iter().find(meets) {
            Some(route) => {
                let host = action.address.host();
                let other = route.site.as_ref().map_or("no site", |site| site.as_str());
                Err(format!("{host} is routed to {other}; two sites must never meet"))
            }
            None => Ok(()),
        }
    }

    /// Some things come about only where something else runs.
    fn comes_about(&self, call: &StepCall<'_>, part: Part) -> Result<(), String> {
        let Some(source) = part.comes_from() else { return Ok(()) };
        let what = source.leaves().unwrap_or_default();
        match self.world.see(&self.world.place(&self.id, source, call.marker)) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(format!("the {what} is gone")),
            Err(error) => Err(format!("{UNREADABLE}: {error}")),
        }
    }

    fn carries(&self, action: &Action, artifact: Option<&Artifact>) -> bool {
        let marker = artifact.and_then(|artifact| artifact.name.parse().ok());
        let place = marker.map(|marker| self.world.place(&self.id, action.part, &marker));
        place.is_some_and(|place| self.world.see(&place).is_ok_and(|thing| thing.is_some()))
    }
}

fn artifact(thing: &Thing) -> Artifact {
    Artifact {
        kind: thing.what.clone(),
        name: thing.marker.to_string(),
        details: serde_json::json!({ "address": thing.address, "ends_at": thing.ends_at }),
    }
}

const DAMAGED: &str = "the step's parameters are damaged";
const UNREADABLE: &str = "the files of the drill cannot be used";
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How often something drops, in times that it is looked at.
const DROPS_ONCE_IN: u64 = 15;
/// How often flaky weather strikes.
const FLAKY_ONCE_IN: u64 = 3;

#[cfg(test)]
mod tests;

//! The nodes of a session as the control server knows them: found by their name, told apart by their
//! id, allowed one route, and taken out.

use std::sync::Arc;

use super::Tailscale;
use super::api::{Change, Control, Device};
use super::keys::undone;
use super::route::{Route, Wish, choose};
use super::steps::{self, Action, Does, artifact, chosen, id_of, made};
use crate::domain::artifact::Artifact;
use crate::domain::id::SessionId;
use crate::domain::site::Prefix;
use crate::domain::time::Span;
use crate::provider::{Made, Says, StepCall};
use crate::session::{Applied, Looked, Undone};

impl Tailscale {
    /// Chooses the route, by what the tailnet has already.
    pub(super) async fn choose_route(&self, action: &Action, call: StepCall<'_>) -> Applied {
        match self.route_for(action, call.session, &call.marker.session).await {
            Ok(route) => {
                self.claim(call.session, route.prefix);
                Applied::Applied(Some(chosen(action, &route)))
            }
            Err(why) => Applied::Refused(why),
        }
    }

    /// The route that a session would get now.
    pub(super) async fn route_for(
        &self,
        action: &Action,
        session: SessionId,
        bits: &str,
    ) -> Result<Route, String> {
        let devices = self.devices(action).await?;
        let taken = devices.iter().filter(|device| !is_ours(device, action)).flat_map(routes);
        let claimed = self.claimed(session);
        let (target, is_shared) = (action.address, action.is_shared);
        let wish = Wish { target, is_shared, first_site: site_of(bits) };
        choose(wish, taken.chain(&claimed))
    }

    /// Looks for nodes of the session, whoever made them.
    pub(super) async fn look_for_nodes(&self, action: &Action, known: Option<&Artifact>) -> Looked {
        match self.devices(action).await {
            Ok(devices) if devices.iter().any(|device| is_ours(device, action)) => {
                Looked::Found(known.cloned().unwrap_or_else(|| nodes(action)))
            }
            Ok(_) => Looked::Absent,
            Err(why) => Looked::Unclear(why),
        }
    }

    /// Takes out every node of the session that is still there.
    pub(super) async fn delete_nodes(&self, action: &Action, call: StepCall<'_>) -> Undone {
        self.unclaim(call.session);
        let devices = match self.devices(action).await {
            Ok(devices) => devices,
            Err(why) => return Undone::Problem(why),
        };
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Undone::Problem(why),
        };
        for device in devices.iter().filter(|device| is_ours(device, action)) {
            if let Undone::Problem(why) = undone(control.delete_device(&device.id).await) {
                return Undone::Problem(why);
            }
        }
        Undone::Sent
    }

    /// Waits until the router has joined, and sees that it may be let in.
    pub(super) async fn await_router(&self, action: &Action, says: &Says) -> Applied {
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Applied::Refused(why),
        };
        let mut pauses = Pauses::default();
        let device = loop {
            match find(&*control, action, &action.name).await.map(|mut all| (all.pop(), all.len()))
            {
                Ok((Some(device), 0)) => break device,
                Ok((Some(_), _)) => return Applied::Unknown(TWO_OF_A_NAME.to_owned()),
                Ok((None, _)) => says.say(NOT_JOINED),
                // It is asked again; the time of the step is limited.
                Err(why) => says.say(format!("the nodes of the tailnet cannot be listed: {why}")),
            }
            self.around.pace.pause(pauses.next()).await;
        };
        if let Some(why) = &device.lock_error {
            let why = format!(
                "tailnet lock keeps the router out ({why}): sign its node key on a trusted node \
                 (`tailscale lock sign`), or use another provider; nothing is signed by itself"
            );
            return self.turned_away(&*control, &device, why).await;
        }
        if !device.authorized
            && let Change::Refused(why) | Change::Unknown(why) = control.authorize(&device.id).await
        {
            let why = format!("the router must be let in by an administrator: {why}");
            return self.turned_away(&*control, &device, why).await;
        }
        Applied::Applied(Some(artifact(ROUTER, &action.name, &device.id)))
    }

    /// Refuses a node that has joined, once it is out again.
    pub(super) async fn turned_away(
        &self,
        control: &dyn Control,
        device: &Device,
        why: String,
    ) -> Applied {
        match control.delete_device(&device.id).await {
            Change::Made(()) => Applied::Refused(why),
            Change::Refused(left) | Change::Unknown(left) => {
                Applied::Unknown(format!("{why}; and its node is left: {left}"))
            }
        }
    }

    /// Looks for one node by its id, or by its name where that is not known.
    pub(super) async fn look_for_node(
        &self,
        action: &Action,
        name: &str,
        known: Option<&Artifact>,
    ) -> Looked {
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Looked::Unclear(why),
        };
        let found = match id_of(known) {
            Some(id) => control.device(id).await,
            None => find(&*control, action, name).await.map(|mut all| all.pop()),
        };
        let kind = if action.does == Does::Join { OWN } else { ROUTER };
        match found {
            Ok(Some(device)) => Looked::Found(artifact(kind, name, &device.id)),
            Ok(None) => Looked::Absent,
            Err(why) => Looked::Unclear(why.to_string()),
        }
    }

    /// Takes one node out.
    pub(super) async fn delete_node(&self, action: &Action, known: Option<&Artifact>) -> Undone {
        let Some(id) = id_of(known) else { return Undone::Sent };
        match self.control(action).await {
            Ok(control) => undone(control.delete_device(id).await),
            Err(why) => Undone::Problem(why),
        }
    }

    /// Allows the router its one route, and sees that it offers that and no other node has it.
    pub(super) async fn approve_route(&self, action: &Action, steps: &[Made]) -> Applied {
        let (route, id) = match (steps::route(steps), router(steps)) {
            (Ok(route), Some(id)) => (route, id),
            (Err(why), _) => return Applied::Refused(why),
            (_, None) => return Applied::Refused("the router is not known".to_owned()),
        };
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Applied::Refused(why),
        };
        match control.set_routes(&id, &[route.prefix]).await {
            Change::Made(_) => {}
            Change::Refused(why) => return Applied::Refused(why.to_string()),
            Change::Unknown(why) => return Applied::Unknown(why.to_string()),
        }
        if let Err(why) = self.serves_alone(action, &control, &id, &route).await {
            return match control.set_routes(&id, &[]).await {
                Change::Made(_) => Applied::Refused(why),
                Change::Refused(left) | Change::Unknown(left) => {
                    Applied::Unknown(format!("{why}; and the route is left: {left}"))
                }
            };
        }
        Applied::Applied(Some(artifact(ROUTE, &route.prefix.to_string(), &id)))
    }

    /// Waits until the router serves the route, and sees that nobody else does.
    async fn serves_alone(
        &self,
        action: &Action,
        control: &Arc<dyn Control>,
        id: &str,
        route: &Route,
    ) -> Result<(), String> {
        let mut pauses = Pauses::default();
        for _ in 0..SERVES_TRIES {
            let devices = control.devices().await.map_err(|why| why.to_string())?;
            let other = devices
                .iter()
                .find(|device| !is_ours(device, action) && device.enabled.contains(&route.prefix));
            if let Some(other) = other {
                return Err(format!(
                    "`{}` serves `{}` too, so that nobody could tell where it leads",
                    other.name, route.prefix
                ));
            }
            let Some(router) = devices.iter().find(|device| device.id == id) else {
                return Err("the router has left the tailnet".to_owned());
            };
            let broad: Vec<_> =
                router.enabled.iter().filter(|prefix| **prefix != route.prefix).collect();
            if let Some(prefix) = broad.first() {
                return Err(format!(
                    "the router was also allowed `{prefix}`, which was not asked for; see \
                     `autoApprovers` in the policy file"
                ));
            }
            if router.enabled.contains(&route.prefix) && router.advertised.contains(&route.prefix) {
                return Ok(());
            }
            self.around.pace.pause(pauses.next()).await;
        }
        Err(format!("the router does not offer `{}`", route.prefix))
    }

    /// Sees whether the router is still allowed a route.
    pub(super) async fn look_for_route(&self, action: &Action, call: StepCall<'_>) -> Looked {
        let Some(id) = id_of(call.artifact).map(ToOwned::to_owned).or_else(|| router(call.steps))
        else {
            return Looked::Absent;
        };
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Looked::Unclear(why),
        };
        match control.device(&id).await {
            Ok(Some(device)) if !device.enabled.is_empty() => {
                let prefix = device.enabled.first().map(ToString::to_string).unwrap_or_default();
                Looked::Found(artifact(ROUTE, &prefix, &id))
            }
            Ok(_) => Looked::Absent,
            Err(why) => Looked::Unclear(why.to_string()),
        }
    }

    /// Allows the router no route any more. A router that is gone has none.
    pub(super) async fn clear_routes(&self, action: &Action, call: StepCall<'_>) -> Undone {
        let Some(id) = id_of(call.artifact).map(ToOwned::to_owned).or_else(|| router(call.steps))
        else {
            return Undone::Sent;
        };
        let control = match self.control(action).await {
            Ok(control) => control,
            Err(why) => return Undone::Problem(why),
        };
        match control.set_routes(&id, &[]).await {
            Change::Made(_) => Undone::Sent,
            Change::Refused(why) | Change::Unknown(why) => match control.device(&id).await {
                Ok(None) => Undone::Sent,
                _ => Undone::Problem(why.to_string()),
            },
        }
    }

    async fn devices(&self, action: &Action) -> Result<Vec<Device>, String> {
        let control = self.control(action).await?;
        control.devices().await.map_err(|why| why.to_string())
    }
}

/// Finds the nodes of this session with a name.
pub(super) async fn find(
    control: &dyn Control,
    action: &Action,
    name: &str,
) -> Result<Vec<Device>, super::api::Trouble> {
    let devices = control.devices().await?.into_iter();
    Ok(devices.filter(|device| device.hostname == name && is_ours(device, action)).collect())
}

/// True for a node of this session: it has its name, which holds the session's own random bits, and one
/// of its tags. A name anybody may take; a tag is given by those that own it.
fn is_ours(device: &Device, action: &Action) -> bool {
    let name = device.hostname.as_str();
    let tag = if steps::mark(name) == name { &action.router_tag } else { &action.operator_tag };
    !device.is_external
        && steps::mark(name) == action.name
        && device.tags.iter().any(|given| given == tag.as_str())
}

fn routes(device: &Device) -> impl Iterator<Item = &Prefix> + Clone {
    device.advertised.iter().chain(&device.enabled)
}

/// The id of the router, where it is known.
pub(super) fn router(steps: &[Made]) -> Option<String> {
    let (made, _) = made(steps, Does::AwaitRouter)?;
    id_of(made.artifact.as_ref()).map(ToOwned::to_owned)
}

fn nodes(action: &Action) -> Artifact {
    Artifact {
        kind: "nodes of this session".to_owned(),
        name: action.name.clone(),
        details: serde_json::Value::Null,
    }
}

/// The number of a site with which the search begins: the session's own random bits.
fn site_of(session: &str) -> u16 {
    session.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// Pauses between looks: short at first, then no shorter than the API likes to be asked.
#[derive(Debug, Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    /// The next one.
    pub fn next(&mut self) -> Span {
        let millis = SHORTEST_MILLIS << self.0.min(4);
        self.0 += 1;
        Span::from_millis(millis)
    }
}

const NOT_JOINED: &str = "the router is started and has not joined the tailnet yet";
const TWO_OF_A_NAME: &str = "two nodes with the router's tag call themselves by its name, so that nobody \
                             can tell which is the router";
const ROUTER: &str = "router's node";
const OWN: &str = "this session's node";
const ROUTE: &str = "route";
const SHORTEST_MILLIS: u64 = 125;
const SERVES_TRIES: usize = 20;

//! This side of the tailnet: the session's own node, or the one that this host is.

use std::path::Path;

use super::Tailscale;
use super::node::reads::{is_route_here, leads_to, not_joined};
use super::node::{
    BackendState, Daemon, DialTrouble, HOST_SOCKETS, Host, Joining, LocalApi, Status, Tailscaled,
};
use super::nodes::router;
use super::steps::{self, Action, Does, artifact, id_of, made, own_node};
use crate::clock;
use crate::domain::artifact::Artifact;
use crate::domain::tailscale::DataPath;
use crate::domain::time::Span;
use crate::provider::{DialError, Dialed, Made, StepCall};
use crate::session::{Applied, Looked, Undone};

impl Tailscale {
    /// Starts the session's node; one that runs already serves.
    pub(super) async fn start_node(&self, action: &Action) -> Applied {
        let daemon = daemon(action);
        if let Err(trouble) = daemon.check_length() {
            return Applied::Refused(trouble.to_string());
        }
        if daemon.answers().await {
            return Applied::Applied(Some(own_node(action)));
        }
        // Where that cannot be seen, ending it says why.
        if daemon.is_left().unwrap_or(true)
            && let Err(why) = daemon.end().await
        {
            return Applied::Unknown(format!("what was there before cannot be removed: {why}"));
        }
        // Its own deadline is coarse: the lease is ended by the engine, this is for when there is none.
        let ends_in = action.needed_until.since(clock::wall()).max(ENDS_IN_LEAST);
        let tailscaled = self.tailscaled(action);
        let Err(trouble) = daemon.start(&tailscaled, ends_in).await else {
            return Applied::Applied(Some(own_node(action)));
        };
        let refusal = trouble.to_string();
        match daemon.end().await {
            Ok(()) => Applied::Refused(refusal),
            Err(why) => Applied::Unknown(format!("{refusal}; and {why}")),
        }
    }

    /// Sees whether anything of the session's node is on this host.
    pub(super) fn look_for_own(&self, action: &Action) -> Looked {
        match daemon(action).is_left() {
            Ok(true) => Looked::Found(own_node(action)),
            Ok(false) => Looked::Absent,
            Err(error) => Looked::Unclear(format!("`{}`: {error}", action.folder.display())),
        }
    }

    /// Ends the session's node.
    pub(super) async fn end_node(&self, action: &Action) -> Undone {
        daemon(action).end().await.map_or_else(Undone::Problem, |()| Undone::Sent)
    }

    /// Lets the session's node join the tailnet.
    pub(super) async fn join(&self, action: &Action) -> Applied {
        let key_step = Action { does: Does::OperatorKey, ..action.clone() };
        let key = match self.kept_key(&key_step.description()) {
            Ok(key) => key,
            Err(why) => return Applied::Refused(why),
        };
        let server = action.tailnet.server.as_ref();
        let control_url = server.map(ToString::to_string).unwrap_or_default();
        let hostname = action.own_name();
        let daemon = daemon(action);
        let api = daemon.api();
        let how = Joining { control_url: &control_url, hostname: &hostname, key: &key };
        match api.join(how).await {
            Ok(()) => {}
            Err(error) if error.is_unknown() => return Applied::Unknown(error.to_string()),
            Err(error) => return Applied::Refused(error.to_string()),
        }
        let mut missing = None;
        for _ in 0..JOINS_IN {
            match api.state().await {
                Ok(status) if status.backend_state == BackendState::NeedsMachineAuth => {
                    let why = "this side's node waits to be let in by an administrator".to_owned();
                    return Applied::Unknown(why);
                }
                Ok(status) => match (not_joined(&status), status.this) {
                    (None, Some(this)) if !this.id.is_empty() => {
                        return Applied::Applied(Some(artifact(NODE, &hostname, &this.id)));
                    }
                    (why, _) => missing = why,
                },
                Err(error) => missing = Some(error.to_string()),
            }
            self.around.pace.pause(LOOK_AGAIN_IN).await;
        }
        let said = missing.or_else(|| daemon.complaint());
        Applied::Unknown(said.unwrap_or_else(|| "this side's node did not join".to_owned()))
    }

    /// Logs the session's node out, and takes it out of the tailnet.
    pub(super) async fn leave(&self, action: &Action, known: Option<&Artifact>) -> Undone {
        // An ephemeral node that logs out is gone at once, also where the key of the API is no longer
        // good; where that fails the other way is left.
        if let Err(error) = daemon(action).api().logout().await {
            tracing::debug!(%error, "this side's node does not log out");
        }
        self.delete_node(action, known).await
    }

    /// What of a session is there by the word of this side's node alone. That something is not there,
    /// it cannot know.
    pub(super) async fn seen_from_here(
        &self,
        action: &Action,
        call: StepCall<'_>,
    ) -> Option<Artifact> {
        let known = call.artifact?;
        let status = api(action).ok()?.status().await.ok()?;
        if not_joined(&status).is_some() {
            return None;
        }
        let own = status.this.as_ref()?;
        let is_there = match action.does {
            Does::ChooseRoute => own.host_name == action.own_name(),
            Does::Join => id_of(Some(known)) == Some(own.id.as_str()),
            Does::AwaitRouter => status.peer(id_of(Some(known))?).is_some(),
            Does::ApproveRoute => {
                let route = steps::route(call.steps).ok()?;
                status.peer(id_of(Some(known))?)?.carries(&route.prefix)
            }
            _ => false,
        };
        is_there.then(|| known.clone())
    }

    /// Waits until the route leads to the router from this side.
    pub(super) async fn see_route(&self, action: &Action, call: StepCall<'_>) -> Applied {
        let (route, router) = match (steps::route(call.steps), router(call.steps)) {
            (Ok(route), Some(router)) => (route, router),
            (Err(why), _) => return Applied::Refused(why),
            (_, None) => return Applied::Refused("the router is not known".to_owned()),
        };
        let api = match api(action) {
            Ok(api) => api,
            Err(why) => return Applied::Refused(why),
        };
        if action.data_path == DataPath::Host
            && let Err(why) = host_of(action).await
        {
            return Applied::Refused(why);
        }
        let mut missing = String::new();
        for _ in 0..SEES_IN {
            missing = match api.status().await {
                Ok(status) => match is_route_here(&status, &router, &route.prefix) {
                    Ok(()) => return Applied::Applied(None),
                    Err(_) if is_on_tailnet(&status) && status.peer(&router).is_none() => {
                        unseen(action, call.steps)
                    }
                    Err(missing) => missing,
                },
                Err(error) => error.to_string(),
            };
            call.says.say(missing.as_str());
            self.around.pace.pause(LOOK_AGAIN_IN).await;
        }
        Applied::Refused(missing)
    }

    /// Sees whether the target answers over the route.
    pub(super) async fn check_target(&self, action: &Action, steps: &[Made]) -> Applied {
        match self.dial_over(steps).await {
            Ok(_) => Applied::Applied(None),
            Err(error) => {
                let port = action.port;
                Applied::Refused(format!(
                    "{error}; see that the router may reach port {port} there, and that the policy \
                     file lets `{}` reach it",
                    action.operator_tag
                ))
            }
        }
    }

    /// Opens one connection to the target over the route.
    pub(super) async fn dial_over(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        let other =
            |address: &str, why: String| DialError::Other { address: address.to_owned(), why };
        let (_, action) = made(steps, Does::Check)
            .ok_or_else(|| other("?", "the session has no tailnet".to_owned()))?;
        let route = steps::route(steps).map_err(|why| other("?", why))?;
        let target = std::net::SocketAddr::new(action.address, action.port).to_string();
        let router =
            router(steps).ok_or_else(|| other(&target, "no router is known".to_owned()))?;
        let api = api(&action).map_err(|why| other(&target, why))?;
        // Where it leads is looked at each time: another router may have the address by now.
        let status = api.status().await.map_err(|error| other(&target, error.to_string()))?;
        leads_to(&status, &router, &route.prefix).map_err(|why| other(&target, why))?;
        match api.dial(route.address(), action.port).await {
            Ok(stream) => Ok(Dialed::Unix(stream)),
            Err(DialTrouble::Refused { .. }) => Err(DialError::Refused { address: target }),
            Err(DialTrouble::TimedOut { limit, .. }) => {
                Err(DialError::TimedOut { address: target, seconds: limit.as_seconds() })
            }
            Err(error) => Err(other(&target, error.to_string())),
        }
    }

    /// The `tailscaled` of this host, as a node of a session starts it.
    pub(super) fn tailscaled(&self, action: &Action) -> Tailscaled {
        let ca_file = action.tailnet.ca_file.clone().or_else(|| self.around.trust.ca_file.clone());
        Tailscaled::installed(self.around.variables.clone(), ca_file)
    }
}

/// Why this side's node does not see a router that has joined, as far as that can be known.
fn unseen(action: &Action, steps: &[Made]) -> String {
    let (tag, target) = (&action.operator_tag, action.address);
    let seen = "the router has joined, but this side's node does not see it:";
    match (made(steps, Does::EditPolicy), action.data_path) {
        (Some(_), _) => format!(
            "{seen} the rule that lets `{tag}` reach {target} is in the policy file, and the node \
             does not know it yet"
        ),
        (None, DataPath::Node) => format!(
            "{seen} no rule of the policy file lets `{tag}` reach {target}, or the node does not know \
             it yet; add a rule, or set `edit-policy = true`"
        ),
        (None, DataPath::Host) => format!(
            "{seen} no rule of the policy file lets this host's node reach {target}, or the node does \
             not know it yet; add a rule for it"
        ),
    }
}

fn is_on_tailnet(status: &Status) -> bool {
    not_joined(status).is_none() && !status.this.as_ref().is_some_and(|this| this.expired)
}

/// The session's node.
pub(super) fn daemon(action: &Action) -> Daemon {
    Daemon::new(&action.folder, &action.name)
}

/// The local API of the node that leads into the tailnet.
pub(super) fn api(action: &Action) -> Result<LocalApi, String> {
    match action.data_path {
        DataPath::Node => Ok(daemon(action).api()),
        DataPath::Host => Ok(host()?.api().clone()),
    }
}

/// Sees whether the node that this host is already is on the tailnet of a step.
async fn host_of(action: &Action) -> Result<(), String> {
    let server = action.tailnet.server.as_ref().map(ToString::to_string).unwrap_or_default();
    host()?.check(&server).await.map(drop).map_err(|trouble| trouble.to_string())
}

/// The node that this host is already.
pub(super) fn host() -> Result<Host, String> {
    Host::find(HOST_SOCKETS.map(Path::new)).ok_or_else(|| {
        "no `tailscaled` runs on this host: start it and join the tailnet, or let each session have \
         a node of its own (`data-path = \"node\"`)"
            .to_owned()
    })
}

const NODE: &str = "this session's node";
/// The engine's time and the wall clock may differ by a little.
const ENDS_IN_LEAST: Span = Span::from_minutes(1);
/// The local API is asked often: it costs little and nobody else.
const LOOK_AGAIN_IN: Span = Span::from_millis(50);
/// How many times, which is longer than the step may take.
const JOINS_IN: usize = 1_100;
const SEES_IN: usize = 2_200;

//! What a session makes in a network: looked up by the ids that were noted, or by name where nobody
//! saw an answer.

use super::Twingate;
use super::api::{Caller, Change, Group, Named, NewResource, Resource, Trouble, is_id};
use super::steps::{self, Action, Does, artifact, id_from, id_of};
use crate::domain::time::{Span, Timestamp};
use crate::domain::twingate::GroupName;
use crate::provider::{Made, StepCall};
use crate::session::{Applied, Looked, Undone};

/// Makes the remote network.
pub(super) async fn make_network(caller: &Caller, action: &Action) -> Applied {
    applied(caller.create_network(&action.name).await, action)
}

/// Makes the connector.
pub(super) async fn make_connector(caller: &Caller, action: &Action, steps: &[Made]) -> Applied {
    match id_from(steps, Does::Network) {
        Ok(network) => applied(caller.create_connector(&network, &action.name).await, action),
        Err(why) => Applied::Refused(why),
    }
}

/// Makes the resource: one address, one TCP port, nothing else.
pub(super) async fn make_resource(caller: &Caller, action: &Action, steps: &[Made]) -> Applied {
    let network = match id_from(steps, Does::Network) {
        Ok(network) => network,
        Err(why) => return Applied::Refused(why),
    };
    let resource = NewResource {
        name: action.name.clone(),
        address: action.address,
        port: action.port,
        network_id: network,
        tag: (TAG.to_owned(), action.session.clone()),
    };
    applied(caller.create_resource(&resource).await, action)
}

impl Twingate {
    /// Lets the group reach the resource. Nobody reaches it longer than it is needed, or than the
    /// shortest time that the network knows.
    pub(super) async fn give_access(
        &self,
        caller: &Caller,
        action: &Action,
        steps: &[Made],
    ) -> Applied {
        let resource = match id_from(steps, Does::Resource) {
            Ok(resource) => resource,
            Err(why) => return Applied::Refused(why),
        };
        let group = match the_group(caller, &action.group).await {
            Ok(group) => group,
            Err(why) => return Applied::Refused(why),
        };
        let needed = action.needed_until.since(self.around.pace.now());
        if let Some(off) = caller.api().clock_ahead_millis()
            && off.unsigned_abs() > CLOCK_OFF_MAX.as_millis()
        {
            return Applied::Refused(CLOCK_OFF.to_owned());
        }
        let ends_at = access_ends_at(caller.api().server_now(), needed);
        match caller.grant(&resource, &group.id, ends_at).await {
            Change::Made(()) => {}
            Change::Refused(why) => return Applied::Refused(why.to_string()),
            Change::Unknown(why) => return Applied::Unknown(why.to_string()),
        }
        let given = match caller.resource(&resource).await {
            Ok(found) => {
                found.into_iter().flat_map(|it| it.access).find(|it| it.principal == group.id)
            }
            Err(why) => return Applied::Unknown(format!("whether access ends is not seen: {why}")),
        };
        if given.and_then(|access| access.expires_at).is_some_and(|at| at <= ends_at + CLOCK_ROUNDS)
        {
            return Applied::Applied(Some(steps::access(&action.group, &group.id, &resource)));
        }
        match caller.withdraw(&resource, &group.id).await {
            Change::Made(()) => Applied::Refused(ENDLESS.to_owned()),
            Change::Refused(why) | Change::Unknown(why) => {
                Applied::Unknown(format!("{ENDLESS}; and it is left: {why}"))
            }
        }
    }
}

/// When access ends, on the network's clock; a clock of this host that was set makes it no longer than
/// the longest session.
fn access_ends_at(server_now: Timestamp, needed: Span) -> Timestamp {
    server_now + needed.max(ACCESS_LEAST).min(ACCESS_MOST)
}

/// The one group of that name.
///
/// # Errors
///
/// Why there is none, in words.
pub(super) async fn the_group(caller: &Caller, name: &GroupName) -> Result<Group, String> {
    let found = caller.groups_named(name).await.map_err(|why| why.to_string())?;
    let mut groups = found.into_iter();
    match (groups.next(), groups.next()) {
        (Some(group), None) if group.is_active => Ok(group),
        (Some(_), None) => Err(format!("the group `{name}` is switched off in the console")),
        (None, _) => Err(format!(
            "there is no group `{name}`; the console shows the groups under Team, and `group` in the \
             configuration names one"
        )),
        (Some(_), Some(_)) => Err(format!(
            "two groups are called `{name}`; write the id of one: it stands in the address of its \
             page in the console"
        )),
    }
}

/// Sees whether what a step made is there.
pub(super) async fn look(caller: &Caller, action: &Action, call: StepCall<'_>) -> Looked {
    let found = match action.does {
        Does::Access => return look_for_access(caller, action, call).await,
        Does::Tokens | Does::Alive | Does::Check => return Looked::Absent,
        Does::Network | Does::Connector | Does::Resource => {
            find(caller, action, id_of(call.artifact)).await
        }
    };
    match found.as_deref() {
        Ok([]) => Looked::Absent,
        Ok([id]) => Looked::Found(artifact(action.does, &action.name, id)),
        // Whoever adopted one of them could take the other for nobody's.
        Ok(several) => Looked::Unclear(format!("{} things are called so", several.len())),
        Err(why) => Looked::Unclear(why.to_string()),
    }
}

/// The ids of what is there: of the thing that was noted, or of all that bear the name where nobody saw
/// what was made.
async fn find(
    caller: &Caller,
    action: &Action,
    known: Option<&str>,
) -> Result<Vec<String>, Trouble> {
    let name = action.name.as_str();
    Ok(match (action.does, known) {
        (Does::Network, Some(id)) => ids(caller.network(id).await?, |it| it.id),
        (Does::Network, None) => ids(caller.networks_named(name).await?, |it| it.id),
        (Does::Connector, Some(id)) => ids(caller.connector(id).await?, |it| it.id),
        (Does::Connector, None) => ids(caller.connectors_named(name).await?, |it| it.id),
        (Does::Resource, Some(id)) => ids(caller.resource(id).await?, |it| it.id),
        (Does::Resource, None) => ids(caller.resources_named(name).await?, |it| it.id),
        (Does::Access | Does::Tokens | Does::Alive | Does::Check, _) => vec![],
    })
}

fn ids<T>(found: impl IntoIterator<Item = T>, id: fn(T) -> String) -> Vec<String> {
    found.into_iter().map(id).collect()
}

async fn look_for_access(caller: &Caller, action: &Action, call: StepCall<'_>) -> Looked {
    let resource = match the_resource(caller, action, call).await {
        Ok(Some(resource)) => resource,
        Ok(None) => return Looked::Absent,
        Err(why) => return Looked::Unclear(why.to_string()),
    };
    // The resource is the session's own: whoever may reach it may because of it.
    match resource.access.first() {
        Some(edge) => Looked::Found(steps::access(&action.group, &edge.principal, &resource.id)),
        None => Looked::Absent,
    }
}

/// The session's resource, where it is there.
async fn the_resource(
    caller: &Caller,
    action: &Action,
    call: StepCall<'_>,
) -> Result<Option<Resource>, Trouble> {
    let made_of_access = call.artifact.and_then(|it| it.details.get("resource")?.as_str());
    let known = made_of_access.map(ToOwned::to_owned);
    let known = known.or_else(|| id_from(call.steps, Does::Resource).ok());
    match known {
        Some(id) => caller.resource(&id).await,
        None => Ok(caller.resources_named(&action.name).await?.into_iter().next()),
    }
}

/// Takes back what a step made. What is not there is well taken back.
pub(super) async fn take_back(caller: &Caller, action: &Action, call: StepCall<'_>) -> Undone {
    if action.does == Does::Access {
        return withdraw(caller, action, call).await;
    }
    let found = match id_of(call.artifact) {
        Some(id) => Ok(vec![id.to_owned()]),
        None => find(caller, action, None).await,
    };
    let ids = match found {
        Ok(ids) => ids,
        Err(why) => return Undone::Problem(why.to_string()),
    };
    for id in ids {
        let gone = undone(match action.does {
            Does::Network => caller.delete_network(&id).await,
            Does::Connector => caller.delete_connector(&id).await,
            Does::Resource => caller.delete_resource(&id).await,
            Does::Access | Does::Tokens | Does::Alive | Does::Check => return Undone::Sent,
        });
        if matches!(gone, Undone::Problem(_)) {
            return gone;
        }
    }
    Undone::Sent
}

async fn withdraw(caller: &Caller, action: &Action, call: StepCall<'_>) -> Undone {
    let noted = call.artifact.and_then(|it| it.details.get("resource")?.as_str());
    if let (Some(resource), Some(group)) = (noted, id_of(call.artifact)) {
        return undone(caller.withdraw(resource, group).await);
    }
    match the_resource(caller, action, call).await {
        Ok(Some(resource)) => {
            for edge in resource.access.iter().filter(|edge| is_id(&edge.principal)) {
                let gone = undone(caller.withdraw(&resource.id, &edge.principal).await);
                if matches!(gone, Undone::Problem(_)) {
                    return gone;
                }
            }
            Undone::Sent
        }
        Ok(None) => Undone::Sent,
        Err(why) => Undone::Problem(why.to_string()),
    }
}

fn applied(change: Change<Named>, action: &Action) -> Applied {
    match change {
        Change::Made(it) => Applied::Applied(Some(artifact(action.does, &action.name, &it.id))),
        Change::Refused(why) => Applied::Refused(why.to_string()),
        Change::Unknown(why) => Applied::Unknown(why.to_string()),
    }
}

/// What came of taking something back.
pub(super) fn undone(change: Change<()>) -> Undone {
    match change {
        Change::Made(()) => Undone::Sent,
        Change::Refused(why) | Change::Unknown(why) => Undone::Problem(why.to_string()),
    }
}

/// The shortest time for which the console gives access, and a minute for clocks
/// (<https://www.twingate.com/docs/ephemeral-access-to-resources>).
const ACCESS_LEAST: Span = Span::from_seconds(3_660);
/// No session is longer than a day, and its teardown goes on for a while.
const ACCESS_MOST: Span = Span::from_hours(25);
/// A clock of this host that is further off than this would have access end at any time.
const CLOCK_OFF_MAX: Span = Span::from_hours(1);
const CLOCK_OFF: &str = "this host's clock and the network's are more than an hour apart, so that nobody \
                         could say when access ends; see that NTP runs here";
/// A network may keep an instant in seconds.
const CLOCK_ROUNDS: Span = Span::from_seconds(1);
const ENDLESS: &str = "the network did not take the end of the access, so it was taken back";
/// The tag of a session's resource: whoever finds it knows whose it is.
const TAG: &str = "breakglass";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_lasts_as_long_as_it_is_needed_and_never_less_than_an_hour() {
        let now = Timestamp::from_millis(1_763_655_000_000);
        assert_eq!(access_ends_at(now, Span::from_hours(4)), now + Span::from_hours(4));
        let shortest = access_ends_at(now, Span::from_minutes(10));
        assert!(shortest >= now + Span::from_hours(1) && shortest <= now + Span::from_minutes(62));
    }
}

//! The steps of a session in a network of Twingate, and what stands in them. Pure.
//!
//! ```text
//!   remote network ─┬► connector ─► tokens ─► start connector ─► wait until it is alive ─┐
//!                   └► resource ─► access for the group ────────────────────────────────┴► check
//! ```
//!
//! At the end the access goes first, then the resource, the connector, its process, and the remote
//! network, which is not let go before what lies in it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::artifact::{Artifact, Marker};
use crate::domain::id::ProviderId;
use crate::domain::launcher::{Launch, LaunchSpec, LauncherSettings};
use crate::domain::time::{Span, Timestamp};
use crate::domain::twingate::{ClientPath, GroupName, NetworkName, TwingateSetup};
use crate::provider::{Made, Order};
use crate::session::{Carrier, Lives, PlannedStep, StepIndex};

/// What the parameters of a step say: everything that it takes to do it, to look and to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub does: Does,
    pub network: NetworkName,
    pub group: GroupName,
    pub data_path: ClientPath,
    pub address: IpAddr,
    pub port: u16,
    /// The mark, which is the name of everything that is made.
    pub name: String,
    /// The session, as the resource's tag says it.
    pub session: String,
    pub needed_until: Timestamp,
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Does {
    /// Makes the remote network.
    Network,
    /// Makes the connector.
    Connector,
    /// Makes its tokens, once.
    Tokens,
    /// Waits until it is alive.
    Alive,
    /// Makes the resource.
    Resource,
    /// Lets the group reach it, for a while.
    Access,
    /// Sees whether the target answers.
    Check,
}

impl Action {
    /// Reads the parameters of a step.
    pub fn of(step: &PlannedStep) -> Result<Self, String> {
        Self::deserialize(&step.action)
            .map_err(|error| format!("the step's parameters are damaged: {error}"))
    }

    /// The target.
    pub const fn target(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// Returns the step that does something, with what it made.
pub(super) fn made(steps: &[Made], does: Does) -> Option<(&Made, Action)> {
    steps.iter().filter(|made| made.step.carrier != Carrier::Launcher).find_map(|made| {
        let action = Action::of(&made.step).ok().filter(|it| it.does == does)?;
        Some((made, action))
    })
}

/// The number of the step that does something.
pub(super) fn index(steps: &[Made], does: Does) -> Option<StepIndex> {
    made(steps, does).map(|(made, _)| made.index)
}

/// The id of what a step made, as the network knows it.
pub(super) fn id_of(artifact: Option<&Artifact>) -> Option<&str> {
    artifact?.details.get("id")?.as_str()
}

/// The id of what an earlier step made.
///
/// # Errors
///
/// That it is not known, in words.
pub(super) fn id_from(steps: &[Made], does: Does) -> Result<String, String> {
    let id = made(steps, does).and_then(|(made, _)| id_of(made.artifact.as_ref()));
    id.map(ToOwned::to_owned).ok_or_else(|| format!("the id of its {} is not known", does.noun()))
}

impl Does {
    /// What exists because of it, as people call it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Network => "remote network",
            Self::Connector | Self::Tokens | Self::Alive => "connector",
            Self::Resource => "resource",
            Self::Access | Self::Check => "access",
        }
    }
}

/// The steps of an order.
///
/// # Errors
///
/// Why there is no path to such a target, in words.
pub(super) fn plan(
    id: &ProviderId,
    setup: &TwingateSetup,
    order: &Order,
) -> Result<Vec<PlannedStep>, String> {
    let launcher = launcher(order)?;
    let action = action(setup, order)?;
    let mut steps = Steps { id, action: &action, list: vec![] };

    let network = steps.add(Does::Network, &[])?;
    let connector = steps.add(Does::Connector, &[network])?;
    let tokens = steps.add(Does::Tokens, &[connector])?;
    let started = steps.launch(launcher, setup, order, &[tokens])?;
    let alive = steps.add(Does::Alive, &[started])?;
    let resource = steps.add(Does::Resource, &[network])?;
    let access = steps.add(Does::Access, &[resource])?;
    steps.add(Does::Check, &[alive, access])?;

    steps.undo_after(access, vec![]);
    steps.undo_after(resource, vec![access]);
    steps.undo_after(connector, vec![access, resource]);
    steps.undo_after(started, vec![connector]);
    steps.undo_after(network, vec![resource, connector, started]);
    Ok(steps.list)
}

fn launcher(order: &Order) -> Result<LauncherSettings, String> {
    let site = order.site.as_ref().ok_or(
        "a connector must be started where the target is, so the target needs a `site`".to_owned(),
    )?;
    site.launcher.clone().ok_or_else(|| {
        format!(
            "the site `{}` does not say how a connector is started there: add `[site.launcher]`",
            site.id
        )
    })
}

fn action(setup: &TwingateSetup, order: &Order) -> Result<Action, String> {
    let address = &order.target.address;
    let ip = address.host().parse().map_err(|_| {
        format!(
            "two sites may call different hosts `{}`, and the client would not know which; write \
             the target's IP address",
            address.host()
        )
    })?;
    Ok(Action {
        does: Does::Network,
        network: setup.network.clone(),
        group: setup.group.clone(),
        data_path: setup.data_path,
        address: ip,
        port: address.port(),
        name: order.marker.to_string(),
        session: order.marker.session.clone(),
        needed_until: order.needed_until,
    })
}

/// The steps so far.
struct Steps<'a> {
    id: &'a ProviderId,
    action: &'a Action,
    list: Vec<PlannedStep>,
}

impl Steps<'_> {
    fn add(&mut self, does: Does, needs: &[StepIndex]) -> Result<StepIndex, String> {
        let action = Action { does, ..self.action.clone() };
        let said = Said::of(&action);
        self.list.push(PlannedStep {
            label: said.label,
            carrier: Carrier::Provider(self.id.clone()),
            leaves: said.leaves.map(str::to_owned),
            expires: said.expires,
            lives: Lives::InTheWorld,
            remade: false,
            waits: matches!(does, Does::Alive | Does::Check),
            needs: needs.to_vec(),
            undo_after: None,
            settle: settle(does),
            timeout: timeout(does),
            by_hand: by_hand(&action),
            in_words: in_words(&action),
            action: serde_json::to_value(action).map_err(|error| error.to_string())?,
        });
        Ok(self.list.len() - 1)
    }

    fn launch(
        &mut self,
        launcher: LauncherSettings,
        setup: &TwingateSetup,
        order: &Order,
        needs: &[StepIndex],
    ) -> Result<StepIndex, String> {
        let spec = connector(setup, &order.marker, order.needed_until);
        let launch = Launch { launcher, spec };
        self.list.push(PlannedStep {
            label: format!("start the connector {}", launch.launcher),
            carrier: Carrier::Launcher,
            action: serde_json::to_value(launch).map_err(|error| error.to_string())?,
            leaves: Some("connector's process".to_owned()),
            // Both are the launcher's to say.
            expires: None,
            by_hand: vec![],
            in_words: None,
            lives: Lives::InTheWorld,
            remade: false,
            waits: false,
            needs: needs.to_vec(),
            undo_after: None,
            settle: LAUNCH_SETTLES,
            timeout: LAUNCH_MAX,
        });
        Ok(self.list.len() - 1)
    }

    fn undo_after(&mut self, step: StepIndex, after: Vec<StepIndex>) {
        if let Some(planned) = self.list.get_mut(step) {
            planned.undo_after = Some(after);
        }
    }
}

/// What people read of a step.
struct Said {
    label: String,
    leaves: Option<&'static str>,
    expires: Option<String>,
}

impl Said {
    fn of(action: &Action) -> Self {
        let target = action.target();
        let leaves = Some(action.does.noun());
        let (label, leaves, expires) = match action.does {
            Does::Network => ("make a remote network".to_owned(), leaves, None),
            Does::Connector => ("make a connector in it".to_owned(), leaves, None),
            Does::Tokens => ("make the connector's tokens".to_owned(), None, None),
            Does::Alive => ("wait until the connector is alive".to_owned(), None, None),
            Does::Resource => (format!("make a resource of {target}, TCP only"), leaves, None),
            Does::Access => (
                format!("let the group `{}` reach it", action.group),
                leaves,
                Some(format!(
                    "ends by itself at {}, or an hour after it was given where that is later",
                    at(action.needed_until)
                )),
            ),
            Does::Check => (format!("check that {target} answers through it"), None, None),
        };
        Self { label, leaves, expires }
    }
}

/// How long what nobody saw the outcome of may still come to be.
const fn settle(does: Does) -> Span {
    match does {
        Does::Network | Does::Connector | Does::Resource | Does::Access => Span::from_seconds(30),
        Does::Tokens | Does::Alive | Does::Check => Span::ZERO,
    }
}

/// How long a step may take. A change may have to wait until the network takes one again.
const fn timeout(does: Does) -> Span {
    match does {
        Does::Network | Does::Connector | Does::Tokens | Does::Resource | Does::Access => {
            Span::from_seconds(180)
        }
        Does::Alive => Span::from_seconds(330),
        Does::Check => Span::from_seconds(90),
    }
}

/// How it is removed by hand. The key is named by what the environment of whoever does it holds.
fn by_hand(action: &Action) -> Vec<Vec<String>> {
    // The id is the network's word, so it is no part of what a shell reads; and the key is in no
    // argument, which others could read.
    let ask = |mutation: &str| -> Vec<String> {
        let line = format!(
            "printf 'X-API-KEY: %s\\n' \"$TWINGATE_API_KEY\" | curl -fsS -H @- \
             -H 'Content-Type: application/json' \
             -d '{{\"query\":\"mutation($id:ID!){{{mutation}(id:$id){{ok error}}}}\",\
             \"variables\":{{\"id\":\"'\"$1\"'\"}}}}' 'https://{}/api/graphql/'",
            action.network.host()
        );
        ["sh", "-c", &line, "sh", "{id}"].map(ToOwned::to_owned).into()
    };
    match action.does {
        Does::Network => vec![ask("remoteNetworkDelete")],
        Does::Connector => vec![ask("connectorDelete")],
        Does::Resource => vec![ask("resourceDelete")],
        // It goes with its resource, and by itself.
        Does::Access | Does::Tokens | Does::Alive | Does::Check => vec![],
    }
}

/// What is to be known for the commands, or done where there is none.
fn in_words(action: &Action) -> Option<String> {
    let name = &action.name;
    match action.does {
        Does::Access => Some(format!(
            "it goes with the resource `{name}`, and by itself when it expires; in the console, take the \
             group `{}` off that resource",
            action.group
        )),
        Does::Network | Does::Connector | Does::Resource => Some(format!(
            "with a key of the API in `TWINGATE_API_KEY`; or in the console, remove what is called `{name}`"
        )),
        Does::Tokens | Does::Alive | Does::Check => None,
    }
}

/// What a connector is, and how it is told what to do.
fn connector(setup: &TwingateSetup, marker: &Marker, ends_at: Timestamp) -> LaunchSpec {
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let environment = [
        variable("TWINGATE_URL", format!("https://{}", setup.network.host())),
        variable("TWINGATE_LOG_LEVEL", "3".to_owned()),
        // In a container; the script has a folder of its own. Its usual place only root could make.
        variable("TWINGATE_API_ENDPOINT", "/tmp/connector.sock".to_owned()),
        // Shown in the console, to whoever finds it.
        variable("TWINGATE_LABEL_DEPLOYED_BY", "breakglass".to_owned()),
        variable("TWINGATE_LABEL_SESSION", marker.session.clone()),
        variable("TWINGATE_LABEL_EXPIRES", ends_at.to_rfc3339()),
    ];
    LaunchSpec {
        what: "connector".to_owned(),
        marker: marker.clone(),
        program: ["sh", "-c", SCRIPT, "breakglass-connector"].map(ToOwned::to_owned).into(),
        image: setup.connector_image.clone(),
        arguments: vec![],
        environment: environment.into(),
        secrets: [ACCESS_TOKEN, REFRESH_TOKEN].map(ToOwned::to_owned).into(),
        scratch: vec!["/tmp".to_owned()],
        ends_at,
    }
}

/// What exists because of a step, as the network knows it.
pub(super) fn artifact(does: Does, name: &str, id: &str) -> Artifact {
    let details = json!({ "id": id });
    Artifact { kind: does.noun().to_owned(), name: name.to_owned(), details }
}

/// What exists because a group may reach a resource.
pub(super) fn access(group: &GroupName, principal: &str, resource: &str) -> Artifact {
    let details: Value = json!({ "id": principal, "resource": resource });
    Artifact { kind: Does::Access.noun().to_owned(), name: group.to_string(), details }
}

/// `2025-11-20 16:10 UTC`.
pub(super) fn at(at: Timestamp) -> String {
    let minute: String = at.to_rfc3339().replace('T', " ").chars().take(16).collect();
    format!("{minute} UTC")
}

/// The variables of a connector that are known only when it is started.
pub(super) const ACCESS_TOKEN: &str = "TWINGATE_ACCESS_TOKEN";
pub(super) const REFRESH_TOKEN: &str = "TWINGATE_REFRESH_TOKEN";
const LAUNCH_SETTLES: Span = Span::from_seconds(5);
const LAUNCH_MAX: Span = Span::from_seconds(90);
const SCRIPT: &str = include_str!("connector.sh");

#[cfg(test)]
mod tests {
    use super::*;

    fn action(does: Does) -> Action {
        Action {
            does,
            network: "acme".parse().unwrap(),
            group: "On call".parse().unwrap(),
            data_path: ClientPath::Host,
            address: "10.1.1.16".parse().unwrap(),
            port: 5432,
            name: "bg-abc567-09090909-691f3d58".to_owned(),
            session: "09090909".to_owned(),
            needed_until: Timestamp::from_millis(1_763_655_000_000),
        }
    }

    #[test]
    fn no_word_of_a_server_is_read_by_a_shell() {
        for does in [Does::Network, Does::Connector, Does::Resource] {
            for words in by_hand(&action(does)) {
                let ids: Vec<_> = words.iter().filter(|word| word.contains("{id}")).collect();
                assert_eq!(ids, ["{id}"], "{words:?}");
            }
        }
        insta::assert_snapshot!(by_hand(&action(Does::Connector))[0].join(" "), @r#"sh -c printf 'X-API-KEY: %s\n' "$TWINGATE_API_KEY" | curl -fsS -H @- -H 'Content-Type: application/json' -d '{"query":"mutation($id:ID!){connectorDelete(id:$id){ok error}}","variables":{"id":"'"$1"'"}}' 'https://acme.twingate.com/api/graphql/' sh {id}"#);
    }
}

//! The steps of a session on a tailnet, and what stands in them. Pure.
//!
//! ```text
//!   choose the route ─────────────┐
//!   router's key ─► start router ─┴► router joins ─► approve route ─┐
//!   own node ─┐                                                     ├─► see the route ─► check
//!   own key ──┴► join the tailnet ──────────────────────────────────┘
//! ```
//!
//! At the end the keys go first: one that is not spent can still make a node. Then the route, the
//! router, the nodes. The first step is undone last: it looks for nodes with the session's name once
//! more, whoever made them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::by_hand::{commands, in_words};
use super::route::Route;
use crate::domain::artifact::{Artifact, Marker};
use crate::domain::id::ProviderId;
use crate::domain::launcher::{Launch, LaunchSpec, LauncherSettings};
use crate::domain::tailscale::{DataPath, Tag, Tailnet, TailscaleSetup};
use crate::domain::time::{Span, Timestamp};
use crate::provider::{Made, Order};
use crate::session::{Carrier, Lives, PlannedStep, StepIndex};

/// What the parameters of a step say: everything that it takes to do it, to look and to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub does: Does,
    pub tailnet: Tailnet,
    pub data_path: DataPath,
    pub address: IpAddr,
    pub port: u16,
    /// Whether another site of the configuration has this address too.
    pub is_shared: bool,
    pub router_tag: Tag,
    pub operator_tag: Tag,
    /// The mark: what the router is called, and how everything else of the session begins.
    pub name: String,
    /// Where everything of this side's node lies.
    pub folder: PathBuf,
    pub needed_until: Timestamp,
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Does {
    /// Chooses the route; undone last, it looks for nodes once more.
    ChooseRoute,
    /// Lets this side's node reach the target, in the policy file.
    EditPolicy,
    /// Makes the key of the router.
    RouterKey,
    /// Makes the key of this side's node.
    OperatorKey,
    /// Waits until the router has joined.
    AwaitRouter,
    /// Approves the one route.
    ApproveRoute,
    /// Starts this side's node.
    StartNode,
    /// Lets it join.
    Join,
    /// Waits until this side's node sees the route.
    SeeRoute,
    /// Sees whether the target answers.
    Check,
}

impl Action {
    /// Reads the parameters of a step.
    pub fn of(step: &PlannedStep) -> Result<Self, String> {
        Self::deserialize(&step.action)
            .map_err(|error| format!("the step's parameters are damaged: {error}"))
    }

    /// What this side's node is called.
    pub fn own_name(&self) -> String {
        own_name(&self.name)
    }

    /// What a key says of itself: letters, digits, hyphens and blanks, 50 at the most.
    pub fn description(&self) -> String {
        let whose = if self.does == Does::OperatorKey { "operator" } else { "router" };
        format!("{} {whose}", self.name)
    }

    /// The tag of what joins with the key.
    pub const fn tag(&self) -> &Tag {
        match self.does {
            Does::OperatorKey | Does::Join => &self.operator_tag,
            _ => &self.router_tag,
        }
    }
}

/// What this side's node of a session is called.
pub(super) fn own_name(name: &str) -> String {
    format!("{name}{OWN}")
}

/// The mark in the name of a node.
pub(super) fn mark(name: &str) -> &str {
    name.strip_suffix(OWN).unwrap_or(name)
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

/// The route that was chosen.
pub(super) fn route(steps: &[Made]) -> Result<Route, String> {
    let chosen = made(steps, Does::ChooseRoute).and_then(|(made, _)| made.artifact.as_ref());
    let route = chosen.and_then(|artifact| Route::deserialize(artifact.details.get("route")?).ok());
    route.ok_or_else(|| "no route is chosen".to_owned())
}

/// The id of what a step made, as the control server knows it.
pub(super) fn id_of(artifact: Option<&Artifact>) -> Option<&str> {
    artifact?.details.get("id")?.as_str()
}

/// The steps of an order.
///
/// # Errors
///
/// Why there is no path to such a target, in words.
pub(super) fn plan(
    id: &ProviderId,
    setup: &TailscaleSetup,
    (dir, backups): (&Path, &Path),
    order: &Order,
) -> Result<Vec<PlannedStep>, String> {
    let launcher = launcher(order)?;
    let action = action(setup, dir, order)?;
    let mut steps = Steps { id, action: &action, backups, list: vec![] };
    let own = setup.data_path == DataPath::Node;

    let choose = steps.add(Does::ChooseRoute, &[])?;
    let policy =
        if setup.edit_policy { Some(steps.add(Does::EditPolicy, &[choose])?) } else { None };
    let after_policy: Vec<StepIndex> = policy.into_iter().collect();
    let router_key = steps.add(Does::RouterKey, &after_policy)?;
    let own_key = if own { Some(steps.add(Does::OperatorKey, &after_policy)?) } else { None };
    let node = if own { Some(steps.add(Does::StartNode, &[])?) } else { None };
    let router = steps.launch(launcher, setup, order, &[choose, router_key])?;
    let joined = steps.add(Does::AwaitRouter, &[router])?;
    let approved = steps.add(Does::ApproveRoute, &[joined])?;
    let mut seen_by = vec![approved];
    if let (Some(own_key), Some(node)) = (own_key, node) {
        seen_by.push(steps.add(Does::Join, &[own_key, node])?);
    }
    let seen = steps.add(Does::SeeRoute, &seen_by)?;
    steps.add(Does::Check, &[seen])?;

    steps.undo_after(router_key, vec![]);
    if let Some(own_key) = own_key {
        steps.undo_after(own_key, vec![]);
    }
    steps.undo_after(router, vec![approved, router_key]);
    steps.undo_after(joined, vec![router, router_key]);
    let last = (0..steps.list.len()).filter(|step| *step != choose && Some(*step) != policy);
    steps.undo_after(choose, last.collect());
    if let Some(policy) = policy {
        steps.undo_after(policy, vec![choose]);
    }
    Ok(steps.list)
}

fn launcher(order: &Order) -> Result<LauncherSettings, String> {
    let site = order.site.as_ref().ok_or(
        "a router must be started where the target is, so the target needs a `site`".to_owned(),
    )?;
    site.launcher.clone().ok_or_else(|| {
        format!(
            "the site `{}` does not say how a router is started there: add `[site.launcher]`",
            site.id
        )
    })
}

/// The parameters of the first step.
///
/// # Errors
///
/// Why there is no path to such a target, in words.
pub(super) fn action(setup: &TailscaleSetup, dir: &Path, order: &Order) -> Result<Action, String> {
    let address = &order.target.address;
    let ip: IpAddr = address.host().parse().map_err(|_| {
        format!(
            "a route leads to an address, and `{}` is a name; write the target's IP address",
            address.host()
        )
    })?;
    let own = order.site.iter().flat_map(|site| &site.private_ranges);
    let own = own.filter(|range| range.contains(ip)).count();
    let all = order.forbidden.iter().filter(|range| range.contains(ip)).count();
    let session = &order.marker.session;
    let tag = |tag: &Tag| {
        if setup.edit_policy { tag.of_session(session) } else { Ok(tag.clone()) }
    };
    Ok(Action {
        does: Does::ChooseRoute,
        tailnet: setup.tailnet.clone(),
        data_path: setup.data_path,
        address: ip,
        port: address.port(),
        is_shared: all > own,
        router_tag: tag(&setup.router_tag).map_err(|error| error.to_string())?,
        operator_tag: tag(&setup.operator_tag).map_err(|error| error.to_string())?,
        name: order.marker.to_string(),
        folder: dir.join(session),
        needed_until: order.needed_until,
    })
}

/// The steps so far.
struct Steps<'a> {
    id: &'a ProviderId,
    action: &'a Action,
    /// Where the copies of this provider's policy file are kept.
    backups: &'a Path,
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
            lives: match does {
                Does::RouterKey | Does::OperatorKey => Lives::UntilUsed,
                _ => Lives::InTheWorld,
            },
            remade: false,
            waits: matches!(does, Does::AwaitRouter | Does::SeeRoute),
            needs: needs.to_vec(),
            undo_after: None,
            settle: settle(does),
            timeout: timeout(does),
            by_hand: commands(&action),
            in_words: in_words(&action, self.backups),
            action: serde_json::to_value(action).map_err(|error| error.to_string())?,
        });
        Ok(self.list.len() - 1)
    }

    fn launch(
        &mut self,
        launcher: LauncherSettings,
        setup: &TailscaleSetup,
        order: &Order,
        needs: &[StepIndex],
    ) -> Result<StepIndex, String> {
        let spec = router(setup, &order.marker, order.needed_until);
        let launch = Launch { launcher, spec };
        self.list.push(PlannedStep {
            label: format!("start a router {}", launch.launcher),
            carrier: Carrier::Launcher,
            action: serde_json::to_value(launch).map_err(|error| error.to_string())?,
            leaves: Some("router".to_owned()),
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
        let target = std::net::SocketAddr::new(action.address, action.port);
        let own = action.data_path == DataPath::Node;
        let here = if own { "this session's node" } else { "this host's node" };
        let ephemeral = || Some(EPHEMERAL.to_owned());
        let (label, leaves, expires) = match action.does {
            Does::ChooseRoute => (
                format!("choose a route to {} that leads nowhere else", action.address),
                Some("nodes of this session"),
                ephemeral(),
            ),
            Does::EditPolicy => (
                format!("let {here} reach {target}, in the policy file"),
                Some("policy rule"),
                None,
            ),
            Does::RouterKey => {
                ("make a key for the router".to_owned(), Some("auth key"), key_ends())
            }
            Does::OperatorKey => {
                ("make a key for this session's node".to_owned(), Some("auth key"), key_ends())
            }
            Does::AwaitRouter => {
                ("wait for the router to join".to_owned(), Some("router's node"), ephemeral())
            }
            Does::ApproveRoute => (
                "approve the route".to_owned(),
                Some("route"),
                Some("goes with the router's node".to_owned()),
            ),
            Does::StartNode => (
                "start this session's node on this host".to_owned(),
                Some("tailscaled"),
                Some(format!("ends by itself at {}", at(action.needed_until))),
            ),
            Does::Join => ("join the tailnet".to_owned(), Some("this session's node"), ephemeral()),
            Does::SeeRoute => (format!("see the route from {here}"), None, None),
            Does::Check => (format!("check that {target} answers through it"), None, None),
        };
        Self { label, leaves, expires }
    }
}

fn key_ends() -> Option<String> {
    Some("expires 10 minutes after it is made, and works once".to_owned())
}

/// How long what nobody saw the outcome of may still come to be. A key that may have been made
/// unseen can often not be listed: it is surely gone when it has expired.
const fn settle(does: Does) -> Span {
    match does {
        Does::RouterKey | Does::OperatorKey => Span::from_seconds(KEY_SECONDS + 60),
        Does::ChooseRoute | Does::AwaitRouter | Does::Join | Does::ApproveRoute => {
            Span::from_seconds(10)
        }
        Does::EditPolicy => Span::from_seconds(30),
        Does::StartNode => Span::from_seconds(1),
        Does::SeeRoute | Does::Check => Span::ZERO,
    }
}

const fn timeout(does: Does) -> Span {
    match does {
        Does::AwaitRouter | Does::SeeRoute => Span::from_seconds(120),
        Does::Join | Does::ApproveRoute | Does::ChooseRoute | Does::EditPolicy => {
            Span::from_seconds(60)
        }
        Does::RouterKey | Does::OperatorKey | Does::StartNode | Does::Check => {
            Span::from_seconds(30)
        }
    }
}

/// What a router is, and how it is told what to do. What it advertises is known only once the route is
/// chosen, so it is given with the key.
fn router(setup: &TailscaleSetup, marker: &Marker, ends_at: Timestamp) -> LaunchSpec {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut environment = vec![
        variable("TS_HOSTNAME", &marker.to_string()),
        // The rest is for the image of the vendor (cmd/containerboot/main.go there).
        variable("TS_USERSPACE", "true"),
        variable("TS_ACCEPT_DNS", "false"),
        variable("TS_KUBE_SECRET", ""),
        variable("TS_TAILSCALED_EXTRA_ARGS", "--no-logs-no-support"),
    ];
    if let Some(server) = &setup.tailnet.server {
        environment.push(variable("TS_LOGIN_SERVER", server.as_str()));
        environment.push(variable("TS_EXTRA_ARGS", &format!("--login-server={server}")));
    }
    LaunchSpec {
        what: "router".to_owned(),
        marker: marker.clone(),
        program: ["sh", "-c", SCRIPT, "breakglass-router"].map(ToOwned::to_owned).into(),
        image: setup.router_image.clone(),
        arguments: vec![],
        environment: environment.into_iter().collect(),
        secrets: [AUTH_KEY, ROUTES].map(ToOwned::to_owned).into(),
        scratch: vec!["/tmp".to_owned()],
        ends_at,
    }
}

/// What exists because of a key, a node or a route.
pub(super) fn artifact(kind: &str, name: &str, id: &str) -> Artifact {
    Artifact { kind: kind.to_owned(), name: name.to_owned(), details: json!({ "id": id }) }
}

/// What exists because a route is chosen: perhaps nodes.
pub(super) fn chosen(action: &Action, route: &Route) -> Artifact {
    Artifact {
        kind: "nodes of this session".to_owned(),
        name: action.name.clone(),
        details: json!({ "route": route }),
    }
}

/// What exists because of this side's node.
pub(super) fn own_node(action: &Action) -> Artifact {
    let details: Value = json!({ "folder": action.folder });
    Artifact { kind: "tailscaled".to_owned(), name: action.name.clone(), details }
}

/// `2025-11-20 16:10 UTC`.
fn at(at: Timestamp) -> String {
    let minute: String = at.to_rfc3339().replace('T', " ").chars().take(16).collect();
    format!("{minute} UTC")
}

/// For how long a key that nobody uses is good.
pub(super) const KEY_SECONDS: u64 = 600;
/// The variables of a router that are known only when it is started.
pub(super) const AUTH_KEY: &str = "TS_AUTHKEY";
pub(super) const ROUTES: &str = "TS_ROUTES";
/// What distinguishes this side's node from the router, at the end of its name.
const OWN: &str = "-op";
const EPHEMERAL: &str =
    "an ephemeral node: the control server removes it some time after it is gone";
const LAUNCH_SETTLES: Span = Span::from_seconds(5);
const LAUNCH_MAX: Span = Span::from_seconds(90);
const SCRIPT: &str = include_str!("router.sh");

#[cfg(test)]
mod tests {
    use super::super::by_hand::tests::action;
    use super::*;

    #[test]
    fn a_key_says_whose_it_is_within_what_a_description_holds() {
        for does in [Does::RouterKey, Does::OperatorKey] {
            let said = action(does, None).description();
            assert!(said.len() <= 50, "{said}");
            assert_eq!(
                mark(&own_name("bg-abc567-09090909-691f3d58")),
                "bg-abc567-09090909-691f3d58"
            );
        }
    }
}

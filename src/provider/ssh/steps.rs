//! The two steps of a bastion, and what stands in them. Pure.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::artifact::{Artifact, Marked, Marker};
use crate::domain::id::ProviderId;
use crate::domain::ssh::SshDestination;
use crate::domain::target::Address;
use crate::domain::time::{Span, Timestamp};
use crate::provider::{Made, Order};
use crate::session::{Carrier, Lives, PlannedStep, StepIndex};
use crate::ssh::Master;

/// What the parameters of a step say: everything that it takes to open the path, to look at it and
/// to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub does: Does,
    pub bastion: SshDestination,
    pub target: Address,
    /// Where everything of the connection lies.
    pub folder: PathBuf,
    /// The mark, which is the name of its configuration file.
    pub name: String,
    pub needed_until: Timestamp,
}

/// Which step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Does {
    /// Keeps a connection open.
    Connect,
    /// Sees whether the target answers through it.
    Check,
}

impl Action {
    /// Reads the parameters of a step.
    pub fn of(step: &PlannedStep) -> Result<Self, String> {
        Self::deserialize(&step.action)
            .map_err(|error| format!("the step's parameters are damaged: {error}"))
    }

    /// The kept connection.
    pub fn master(&self) -> Master {
        Master::new(&self.folder, &self.name)
    }

    /// What exists because of it.
    pub fn artifact(&self) -> Artifact {
        artifact(&self.name, &self.folder)
    }
}

/// Returns the step that keeps the connection, where the session has one.
pub(super) fn connection(steps: &[Made]) -> Option<(StepIndex, Action)> {
    steps.iter().find_map(|made| {
        let action = Action::of(&made.step).ok().filter(|it| it.does == Does::Connect)?;
        Some((made.index, action))
    })
}

/// Returns the steps of an order.
pub(super) fn plan(
    id: &ProviderId,
    bastion: &SshDestination,
    dir: &Path,
    order: &Order,
) -> Result<Vec<PlannedStep>, String> {
    let target = order.target.address.clone();
    let connect = Action {
        does: Does::Connect,
        bastion: bastion.clone(),
        target: target.clone(),
        folder: dir.join(&order.marker.session),
        name: order.marker.to_string(),
        needed_until: order.needed_until,
    };
    connect.master().check_length().map_err(|failure| failure.to_string())?;
    let check = Action { does: Does::Check, ..connect.clone() };
    let value = |action: Action| serde_json::to_value(action).map_err(|error| error.to_string());
    let step = PlannedStep {
        label: format!("connect to {bastion}"),
        carrier: Carrier::Provider(id.clone()),
        action: value(connect)?,
        leaves: Some(KIND.to_owned()),
        expires: Some(format!("ends by itself at {} UTC", minute(order.needed_until))),
        lives: Lives::InTheWorld,
        remade: true,
        waits: false,
        needs: vec![],
        undo_after: None,
        settle: SETTLE,
        timeout: CONNECT_MAX,
        by_hand: by_hand("{name}", "{folder}"),
        in_words: None,
    };
    let check = PlannedStep {
        label: format!("check that {target} answers through it"),
        action: value(check)?,
        leaves: None,
        expires: None,
        remade: false,
        waits: false,
        needs: vec![0],
        settle: Span::ZERO,
        timeout: CHECK_MAX,
        by_hand: vec![],
        in_words: None,
        ..step.clone()
    };
    Ok(vec![step, check])
}

/// Describes a connection that was found by its mark alone.
pub(super) fn marked(marker: Marker, folder: &Path) -> Marked {
    let name = marker.to_string();
    let by_hand = by_hand(&name, &folder.to_string_lossy());
    Marked { artifact: artifact(&name, folder), marker, by_hand }
}

fn artifact(name: &str, folder: &Path) -> Artifact {
    let details = json!({ "folder": folder });
    Artifact { kind: KIND.to_owned(), name: name.to_owned(), details }
}

fn by_hand(name: &str, folder: &str) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![words(&["pkill", "-f", "--", name]), words(&["rm", "-rf", "--", folder])]
}

/// `2025-11-20 16:10`.
fn minute(at: Timestamp) -> String {
    at.to_rfc3339().replace('T', " ").chars().take(16).collect()
}

const KIND: &str = "ssh connection";
/// An order that was given up may still be starting its process.
const SETTLE: Span = Span::from_seconds(1);
/// How long a connection may take: waiting for its turn, then signing in, several times if need be.
const CONNECT_MAX: Span = Span::from_seconds(90);
const CHECK_MAX: Span = Span::from_seconds(20);

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::id::{InstallationId, SessionId};
    use crate::domain::target::{Listen, Reachability, Target, TargetKind};

    pub(in crate::provider::ssh) fn order() -> Order {
        let at = Timestamp::from_millis(1_763_655_000_000);
        let session = SessionId::new(at, [9; 10]);
        let installation = InstallationId::from_random([0, 1, 2, 29, 30, 31]);
        Order {
            session,
            target: Target {
                id: "orders".parse().unwrap(),
                name: "orders".into(),
                site: None,
                kind: TargetKind::Postgres,
                address: "orders.internal:5432".parse().unwrap(),
                reachability: Reachability::Private,
                user: None,
                database: None,
                listen: Listen::Loopback { port: None },
                idle: None,
                duration_max: None,
            },
            site: None,
            forbidden: vec![],
            marker: Marker::new(&installation, session, at),
            needed_until: at,
        }
    }

    pub(in crate::provider::ssh) fn bastion() -> SshDestination {
        SshDestination {
            user: Some("ops".parse().unwrap()),
            port: Some(2222),
            jump: vec!["edge".parse().unwrap()],
            ..SshDestination::new("bastion".parse().unwrap())
        }
    }

    #[test]
    fn a_plan_holds_all_that_taking_it_back_needs() {
        let id = "bastion".parse().unwrap();
        let steps = plan(&id, &bastion(), Path::new("/run/bg/ssh"), &order()).unwrap();
        let lines = steps.iter().map(|step| {
            let expires = step.expires.as_deref().unwrap_or("nothing to expire");
            format!("{}: {:?}; {expires}; {:?}", step.label, step.leaves, step.by_hand)
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
        connect to ops@bastion:2222 via edge: Some("ssh connection"); ends by itself at 2025-11-20 16:10 UTC; [["pkill", "-f", "--", "{name}"], ["rm", "-rf", "--", "{folder}"]]
        check that orders.internal:5432 answers through it: None; nothing to expire; []
        "#);
        crate::session::Plan::new(steps.clone()).unwrap();
        let action = Action::of(&steps[0]).unwrap();
        assert_eq!(action.master().mark(), "/run/bg/ssh/09090909/bg-abc567-09090909-691f3d58");
        let made = |index: usize| Made { index, step: steps[index].clone(), artifact: None };
        assert_eq!(connection(&[made(1), made(0)]), Some((0, action)));
    }

    #[test]
    fn a_folder_too_long_for_a_socket_is_refused_while_planning() {
        let id = "bastion".parse().unwrap();
        let dir = format!("/run/{}", "x".repeat(80));
        let why = plan(&id, &bastion(), Path::new(&dir), &order()).unwrap_err();
        assert!(why.contains("too long a name for a socket"), "{why}");
    }

    #[test]
    fn damaged_parameters_are_said_to_be_so() {
        let id = "bastion".parse().unwrap();
        let mut steps = plan(&id, &bastion(), Path::new("/run/bg/ssh"), &order()).unwrap();
        steps[0].action["more"] = json!(1);
        assert!(Action::of(&steps[0]).unwrap_err().contains("damaged"));
    }
}

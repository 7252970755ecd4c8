//! How a simulated provider behaves: which parts a path has, and how they hang together.
//!
//! ```text
//! Tailscale, Headscale                                Twingate
//!
//! overlap check ─┬─► router key ─► router process     remote network ─► connector ─► process
//!                └─► host key          │                    │                          │
//!                        │             ▼                    │         alive? ◄─────────┘
//!    target answers? ◄───┴── route ◄─ device                └─► resource ◄┘ ─► access
//! ```
//!
//! Undoing follows the edges backwards, with one exception: the keys of a tailnet go first and the
//! device is looked for last, since an unspent key can still make one.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::part::Part;
use super::world::World;
use crate::domain::id::{ProviderId, SiteId, TargetId};
use crate::domain::target::Address;
use crate::domain::time::{Span, Timestamp};
use crate::provider::Order;
use crate::session::{Carrier, Lives, PlannedStep, StepIndex};

/// Which system a simulated provider behaves like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// A temporary subnet router, with the service of that name.
    Tailscale,
    /// The same with a control server of one's own.
    Headscale,
    /// A temporary connector with a resource of its own.
    Twingate,
}

impl Flavour {
    /// What people call the system.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tailscale => "sim. Tailscale",
            Self::Headscale => "sim. Headscale",
            Self::Twingate => "sim. Twingate",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Tailscale | Self::Headscale => {
                "a temporary subnet router in the site, for one address; nothing of it is real"
            }
            Self::Twingate => {
                "a temporary connector in the site, for one address; nothing of it is real"
            }
        }
    }

    const fn sketches(self) -> &'static [Sketch] {
        match self {
            Self::Tailscale | Self::Headscale => TAILNET,
            Self::Twingate => TWINGATE,
        }
    }

    /// The steps that give a session its path.
    pub(super) fn steps(
        self,
        provider: &ProviderId,
        order: &Order,
        behind: SocketAddr,
        world: &World,
    ) -> Result<Vec<PlannedStep>, serde_json::Error> {
        let step = |sketch: &Sketch| {
            let part = sketch.part;
            let place = world.place(provider, part, &order.marker);
            let remove = ["rm".to_owned(), place.to_string_lossy().into_owned()];
            let ends_at = part.has_deadline().then_some(order.needed_until);
            let action = Action {
                part,
                target: order.target.id.clone(),
                site: order.target.site.clone(),
                address: order.target.address.clone(),
                behind,
                ends_at,
            };
            Ok(PlannedStep {
                label: label(part, order),
                carrier: Carrier::Provider(provider.clone()),
                action: serde_json::to_value(action)?,
                leaves: part.leaves().map(ToOwned::to_owned),
                expires: expires(part, order.needed_until),
                lives: Lives::InTheWorld,
                remade: part.carries(),
                waits: false,
                needs: sketch.needs.to_vec(),
                undo_after: sketch.undo_after.map(<[StepIndex]>::to_vec),
                settle: if part.leaves().is_some() { world.pace().settle } else { Span::ZERO },
                timeout: world.pace().timeout,
                by_hand: part.leaves().map(|_| remove.to_vec()).into_iter().collect(),
                in_words: None,
            })
        };
        self.sketches().iter().map(step).collect()
    }
}

/// The parameters of a step, as the journal has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub part: Part,
    pub target: TargetId,
    pub site: Option<SiteId>,
    pub address: Address,
    /// The service on this host that plays the target.
    pub behind: SocketAddr,
    /// When what it makes goes by itself.
    pub ends_at: Option<Timestamp>,
}

struct Sketch {
    part: Part,
    needs: &'static [StepIndex],
    undo_after: Option<&'static [StepIndex]>,
}

const fn sketch(part: Part, needs: &'static [StepIndex]) -> Sketch {
    Sketch { part, needs, undo_after: None }
}

const TAILNET: &[Sketch] = &[
    sketch(Part::OverlapCheck, &[]),
    Sketch { part: Part::RouterKey, needs: &[0], undo_after: Some(&[]) },
    Sketch { part: Part::HostKey, needs: &[0], undo_after: Some(&[]) },
    Sketch { part: Part::RouterProcess, needs: &[1], undo_after: Some(&[5]) },
    Sketch { part: Part::Device, needs: &[3], undo_after: Some(&[1, 2, 3, 5]) },
    sketch(Part::Route, &[4]),
    sketch(Part::AnswerCheck, &[2, 5]),
];

const TWINGATE: &[Sketch] = &[
    sketch(Part::RemoteNetwork, &[]),
    sketch(Part::Connector, &[0]),
    sketch(Part::ConnectorProcess, &[1]),
    sketch(Part::AliveCheck, &[2]),
    sketch(Part::Resource, &[0, 3]),
    sketch(Part::Access, &[4]),
];

fn label(part: Part, order: &Order) -> String {
    let address = &order.target.address;
    match part {
        Part::OverlapCheck => "check for overlapping routes".to_owned(),
        Part::RouterKey => "create the router's key".to_owned(),
        Part::HostKey => "create this host's key".to_owned(),
        Part::RouterProcess => "start a router in the site".to_owned(),
        Part::Device => "wait for the router to join".to_owned(),
        Part::Route => format!("approve the route to {address}"),
        Part::AnswerCheck => "check that the target answers".to_owned(),
        Part::RemoteNetwork => "create a remote network".to_owned(),
        Part::Connector => "create a connector".to_owned(),
        Part::ConnectorProcess => "start the connector in the site".to_owned(),
        Part::AliveCheck => "wait until the connector is alive".to_owned(),
        Part::Resource => format!("create a resource for {address}"),
        Part::Access => format!("give access until {}", clock_time(order.needed_until)),
    }
}

/// What removes a part even if this host is gone, in words.
fn expires(part: Part, needed_until: Timestamp) -> Option<String> {
    let until = clock_time(needed_until);
    match part {
        Part::RouterKey | Part::HostKey => Some("10 minutes after it was made".to_owned()),
        Part::RouterProcess | Part::ConnectorProcess => Some(format!("stops itself at {until}")),
        Part::Device => Some("ephemeral: goes once it is offline".to_owned()),
        Part::Access => Some(format!("ends by itself at {until}")),
        _ => None,
    }
}

/// `14:40 UTC`.
fn clock_time(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    text.get(11..16).map_or_else(|| text.clone(), |time| format!("{time} UTC"))
}

//! The engine: the one background task that decides and acts, behind an
//! [`EngineHandle`](crate::protocol::EngineHandle).
//!
//! ```text
//!   faces ──calls──►  core ──orders──► interpreter (one a session) ──► carrier ──► provider
//!     ▲                │ ▲                 │  decide, append, act            └───► door (endpoint)
//!     └────events──────┘ └────updates──────┘
//! ```
//!
//! - [`core`] is the loop: calls in, updates in, never waiting for the world; [`state`] is what it
//!   knows and tells faces.
//! - [`interpreter`] drives one session: decide, append, take in, act at most once a step.
//! - [`carrier`] carries one effect out, at a provider or at the local endpoint.
//! - [`doors`] keeps the local endpoints of this process.
//! - [`caller`] is who calls, and what they may do and see; every command and event passes it.
//! - [`desk`] serves one command, [`reading`] what only reads, [`people`] what is about people;
//!   [`opening`] turns a request into a session: policy, path, plan.
//! - [`projection`] makes what faces see; [`chronicle`] makes what the audit gets.
//! - [`providing`] looks after providers; [`sweep`] finds what belongs to no living session.
//! - [`recovery`] takes up what an earlier process left; [`handover`] gives to a later one.
//!
//! Rules that hold in every line below:
//!
//! 1. A face hears of nothing that is not durable, with one exception that is told as an alarm:
//!    when the journal cannot be written, *ending* goes on all the same.
//! 2. Opening needs the journal and the audit; without them nothing is opened.
//! 3. Every channel is bounded. A face that does not keep up is cut off and subscribes again.
//!
//! Not here: any concrete provider or store, the terminal, sockets, and configuration files.

mod caller;
mod carrier;
mod chronicle;
mod core;
mod desk;
mod doors;
mod faces;
mod handover;
mod interpreter;
mod opening;
mod people;
mod projection;
mod providers;
mod providing;
mod reading;
mod recovery;
mod shared;
mod state;
mod strangers;
mod sweep;
mod watcher;

pub use core::{Control, Engine, Outcome, Running};
pub use doors::{EndpointAction, endpoint_step};
pub use handover::{Parcel, ParcelError, ParcelNote};
pub use people::PeopleParts;
pub use providers::Installed;
pub use shared::{BuildProviders, EngineParts, KeepSettings, Rules, store_report};

//! This side's own node on the tailnet: a private userspace `tailscaled` a session, and its local API.
//!
//! ```text
//! endpoint --> <dir>/<session>/s --> tailscaled ==(WireGuard)==> router in the site --> target
//!                       ^ the local API: joins, says what it sees, dials, logs out
//! ```
//!
//! The daemon needs no privilege, makes no network device and changes nothing of this host: neither
//! its routes nor its names nor its own `tailscaled`. Its keys are in its memory alone. It lives on
//! without us, ends by itself at its deadline, and is found again by its mark: the name of its state
//! folder, which stands in its arguments.
//!
//! [`Daemon`] starts and ends it, [`LocalApi`] speaks with it, [`Status`] is what it says, [`reads`]
//! what follows from that. [`Host`] is the other way: this host's own daemon, which is only read and
//! dialled through.
//!
//! Not here: the control server ([`super::api`]), and the router at the other end.

mod complaint;
mod daemon;
mod dial;
mod host;
mod local;
pub mod reads;
mod status;

#[cfg(test)]
mod tests;

pub use daemon::{Daemon, Tailscaled};
pub use dial::DialTrouble;
pub use host::{HOST_SOCKETS, Host};
pub use local::{Joining, LocalApi};
pub use status::{BackendState, Status};

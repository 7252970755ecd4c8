//! The control server: what a session asks of it, and who answers.
//!
//! [`Control`] is all that a session needs. [`v2`] speaks Tailscale's API v2, which Headscale offers
//! too from 0.30 on; [`headscale`] speaks the v1 of Headscale 0.26 to 0.29. [`access`] finds out
//! which. Rules that hold in every line below:
//!
//! 1. Every change has three outcomes. Where nobody saw it, it is looked up before it is called
//!    unknown, if looking can tell.
//! 2. The making of a key is sent once. Whatever reads, takes away or sets a state is repeated.
//! 3. A policy file is never written over somebody else's, and its comments are never lost.
//! 4. No key is in an error, a log or a `Debug`; what the server says is cleaned of it.

mod access;
mod asking;
mod headscale;
mod headscale_wire;
mod model;
mod policy_text;
mod said;
mod token;
mod trouble;
mod v2;
mod wire;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use async_trait::async_trait;

use crate::domain::site::Prefix;

pub use self::access::LIMITS;
pub(super) use self::{
    access::{Access, Place},
    model::{
        CreatedKey, Credential, CredentialKind, Device, KeyRecord, NewKey, PolicyText, Settings,
        Verdict,
    },
    trouble::{Change, Trouble},
};

/// The control server, as far as a session needs it.
#[async_trait]
pub(super) trait Control: Send + Sync {
    /// What the key in use is.
    async fn credential(&self) -> Result<Credential, Trouble>;

    /// Makes a key for one device: single-use, ephemeral, pre-authorised. It is sent once.
    async fn create_key(&self, wanted: &NewKey) -> Change<CreatedKey>;

    /// The keys of devices that bear a description; [`Trouble::CannotList`] where this kind of key
    /// or server cannot tell.
    async fn keys_described(&self, description: &str) -> Result<Vec<KeyRecord>, Trouble>;

    /// What is known of the key of a device. Some servers keep one that was taken back, and call it
    /// invalid.
    async fn key(&self, id: &str) -> Result<Option<KeyRecord>, Trouble>;

    /// Takes the key of a device back. One that is gone or invalid is well taken back.
    async fn delete_key(&self, id: &str) -> Change<()>;

    /// All devices, with their routes.
    async fn devices(&self) -> Result<Vec<Device>, Trouble>;

    /// One device, with its routes.
    async fn device(&self, id: &str) -> Result<Option<Device>, Trouble>;

    /// Allows a device these routes and no others. Gives back what it is allowed.
    async fn set_routes(&self, id: &str, routes: &[Prefix]) -> Change<Vec<Prefix>>;

    /// Lets a device in.
    async fn authorize(&self, id: &str) -> Change<()>;

    /// Takes a device out. One that is gone is well taken out.
    async fn delete_device(&self, id: &str) -> Change<()>;

    /// The settings of the tailnet.
    async fn settings(&self) -> Result<Settings, Trouble>;

    /// The policy file.
    async fn policy(&self) -> Result<PolicyText, Trouble>;

    /// Writes the policy file over the one with that tag; refused with [`Trouble::Conflict`] where
    /// it is another by now. An answer that nobody saw is not repeated: read it again.
    async fn put_policy(&self, text: &str, etag: &str) -> Change<PolicyText>;

    /// Asks what the server thinks of a policy file. Changes nothing.
    async fn validate_policy(&self, text: &str) -> Result<Verdict, Trouble>;

    /// Whether the policy in force lets a tag reach a port over TCP; nothing where the server cannot
    /// tell.
    async fn may_reach(&self, tag: &str, ip: IpAddr, port: u16) -> Result<Option<bool>, Trouble>;
}

//! Nouns and rules: what an operator talks about, with no knowledge of how any of it is done.
//!
//! Everything here is plain data and pure functions. Time, randomness and the environment come in
//! as arguments; nothing here is async, prints, or reads a file. A type that can be wrong is
//! parsed once, at the border, and from then on cannot be wrong.

pub mod account;
pub mod artifact;
pub mod audit_event;
pub mod break_glass_user;
pub mod catalogue;
pub mod connect;
pub mod email;
pub mod id;
pub mod identity_provider;
pub mod launcher;
pub mod operator;
pub mod policy;
pub mod probe;
pub mod provider;
pub mod request;
pub mod role;
pub mod secret;
pub mod sign_in;
pub mod site;
pub mod ssh;
pub mod tailscale;
pub mod target;
pub mod text;
pub mod time;
pub mod twingate;
pub mod vault;

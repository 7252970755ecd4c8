//! Nouns and rules: what an operator talks about, with no knowledge of how any of it is done.
//!
//! Everything here is plain data and pure functions. Time, randomness and the environment come in
//! as arguments; nothing here is async, prints, or reads a file. A type that can be wrong is
//! parsed once, at the border, and from then on cannot be wrong.

pub mod artifact;
pub mod audit_event;
pub mod catalogue;
pub mod connect;
pub mod id;
pub mod operator;
pub mod policy;
pub mod provider;
pub mod request;
pub mod site;
pub mod target;
pub mod text;
pub mod time;

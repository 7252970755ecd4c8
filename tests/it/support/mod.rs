//! What several tests share.

pub mod chance;
pub mod crash_world;
pub mod idp;
pub mod interpreter;
pub mod memory_store;
pub mod people;
pub mod plans;
pub mod rig;
pub mod signing;
pub mod source;
pub mod tls_server;

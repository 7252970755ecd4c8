//! What several tests share.

pub mod chance;
pub mod cluster;
pub mod crash_world;
pub mod faulty_server;
pub mod idp;
pub mod interpreter;
pub mod launching;
pub mod leaves_nothing;
pub mod memory_store;
pub mod outside;
pub mod people;
pub mod plans;
pub mod rig;
pub mod signing;
pub mod source;
pub mod tls_server;
pub mod told;

//! What several tests share.

pub mod chance;
pub mod cluster;
pub mod crash_world;
pub mod faulty_programs;
pub mod faulty_server;
pub mod hurry;
pub mod idp;
pub mod interpreter;
pub mod launching;
pub mod leaves_nothing;
pub mod lockable;
pub mod memory_store;
pub mod mishap;
pub mod model_server;
pub mod orders;
pub mod outside;
pub mod people;
pub mod plans;
pub mod rig;
pub mod shelf;
pub mod signing;
pub mod source;
pub mod tailnet;
pub mod tls_server;
pub mod told;
pub mod twingate;

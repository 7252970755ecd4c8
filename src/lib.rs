//! The map of the code.

pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod error;
pub mod forward;
pub mod protocol;
pub mod provider;
pub mod session;
pub mod socket;
pub mod store;
pub mod tui;

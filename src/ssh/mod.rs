//! The system's `ssh`, as everything here uses it: one way to configure it, one way to run it, one
//! reading of what it complains of.
//!
//! The operator's own configuration, agent, keys, certificates and known hosts count, but never
//! before ours: what it is given is a private file (`-F`) in which our options come first and the
//! operator's files are included after them. The engine of a whole host includes nobody's: it has a
//! key and known hosts of its own. A host key is never accepted silently.
//!
//! What `ssh` says goes to a file of its own (`-E`), apart from banners. A host can still write lines
//! into that file, before it has proved who it is: [`reading`] tells where that matters.
//!
//! [`config`] is what it is told, [`reading`] what it complains of, [`mod@run`] one command on
//! a host; [`master`] is a connection that is kept open, [`mux`] how we speak with it.
//!
//! Not here: what a connection is for. Providers keep one open, launchers run a command over one.

pub mod config;
pub mod failure;
pub mod folder;
pub mod key;
mod master;
pub mod mux;
pub mod reading;
mod run;

use std::path::PathBuf;

pub use failure::{SshFailure, Trouble};
pub use folder::Folder;
pub use master::{Master, TRIAL, end_trials_of_the_dead};

use crate::process::Variables;

/// Whose `ssh` it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The operator's: their `~/.ssh` and the system's files count.
    Operator {
        /// Where their files are.
        home: PathBuf,
    },
    /// That of the engine of a whole host: nothing of any operator's counts.
    Engine {
        /// The file of known host keys where a destination names none.
        known_hosts: PathBuf,
    },
}

/// The system's `ssh`.
#[derive(Clone, Debug)]
pub struct Ssh {
    /// Whose it is.
    pub whose: Whose,
    /// What it finds in its environment.
    pub variables: Variables,
    /// A folder of this user alone, with a short name: control sockets are made in it.
    pub dir: PathBuf,
}

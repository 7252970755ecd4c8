//! Programs of others that this one runs: `ssh`, `kubectl`, a launcher's commands.
//!
//! Two ways. [`run()`] waits for a program that does one thing: its time and its output have an end,
//! and whatever it has started in its process group goes with it. [`keep()`] starts one that lives
//! on, also without us: it runs under `timeout` (coreutils), so that it has an end even if nobody is
//! left to end it, and it is found again by a mark in its arguments ([`find`]), never by a process id
//! from our notes, which may be another program's by now.
//!
//! Rules that hold in every line below:
//!
//! 1. A command is a list of words; no shell reads it.
//! 2. A secret goes through standard input, never into arguments or environment.
//! 3. A program gets the variables that it is given and no others.
//! 4. What is ended is named by a descriptor that was checked (pidfd_open(2)), not by a number.

mod keep;
mod run;

use std::collections::BTreeMap;

pub use keep::{Found, Keep, begun, end, find, gone, keep};
pub use run::{Program, Ran, RunError, run};

/// What a program finds in its environment.
pub type Variables = BTreeMap<String, String>;

//! The person at the keyboard, and where they sit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who acts: in personal mode the UNIX user who owns the engine.
///
/// The uid comes from the kernel (the process's own, or the peer of a socket), never from the
/// environment; the name is looked up for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The UNIX user id.
    pub uid: u32,
    /// The user's name, or `uid 1000` where the system knows none.
    pub name: String,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

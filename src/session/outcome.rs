//! What comes of touching the world: the answers of whoever carries a step out.
//!
//! Three answers come wherever something was asked to change. *Nobody knows* is an honest answer
//! and the only right one after a time-out or a lost connection: the session then looks, and
//! applies nothing again before it is seen gone.

use crate::domain::artifact::Artifact;

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is made; a mere check makes nothing.
    Applied(Option<Artifact>),
    /// It is refused, and surely nothing was changed. Why, in words.
    Refused(String),
    /// Nobody saw the outcome. What was seen instead, in words.
    Unknown(String),
}

/// What a look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It is there.
    Found(Artifact),
    /// It is not there.
    Absent,
    /// The look could not tell. Why, in words.
    Unclear(String),
}

/// What came of taking something back. Whether it is gone, only a look tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The request was answered well, or the thing was gone already.
    Sent,
    /// Something went wrong. What, in words.
    Problem(String),
}

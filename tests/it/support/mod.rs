//! What several tests share.

pub mod memory_store;
pub mod rig;
pub mod source;

//! The local endpoint through its public face, on real sockets.

mod bulk;
mod handover;
mod kit;
mod limits;
mod peer;
mod relay;

//! The engine at the far end of a UNIX socket.
//!
//! [`serve`] lets other processes reach an engine; [`attach`] makes an
//! [`EngineHandle`](crate::protocol::EngineHandle) of such a socket, so that a face cannot tell
//! the difference.
//!
//! A frame is its length (four bytes, big-endian) and so many bytes of JSON. Each side says hello
//! first, with the version of the protocol, and hangs up on another one. Both ends ask the kernel
//! who is at the other (`SO_PEERCRED`, unix(7)): one's own engine serves the same user only, the
//! engine of a host whoever may open its socket; and only the engine of the expected user is talked to.
//!
//! Not here: who may do what. That is the engine's to decide, with the uid that the kernel named.

mod client;
mod frame;
mod origin;
mod server;

pub use client::{AttachError, Attached, attach};
pub use origin::origin_of;
pub use server::{Server, Serves, serve};

//! The screens.
//!
//! ```text
//! terminal ──keys──► run ──Msg──► update(&mut Model) ──Effect──► run ──Command──► engine
//!     ▲               │                                           ▲                 │
//!     └────bytes──────┴── render(&Model) ◄── Model                └────Event, Reply─┘
//! ```
//!
//! Everything that is on screen is in the [`model::Model`]; [`update::update`] changes it and
//! returns what is to be done; [`view::render`] draws it. The loop in [`run`](run()) owns the
//! terminal, the engine's handle and the clock, and nothing else does.
//!
//! Rules that hold here:
//!
//! 1. **Draw on change.** A screen on which nothing runs writes no byte and wakes nobody.
//! 2. **Nothing is shown as done before the engine says so.**
//! 3. **The terminal is never asked anything**, and is left as it was found.
//! 4. **What nobody may see is nowhere to be seen.** A password is in a field that hides it and is
//!    wiped once it is sent; the token of a sign-in is in the loop alone, never in the model or in a
//!    message.
//! 5. **A slow terminal slows nothing but itself**: frames are dropped, never queued.
//!
//! Not here: any rule about sessions (the engine decides), any reader of the environment (`app`
//! reads it and passes a [`look::Look`]).

mod clipboard;
pub mod format;
pub mod input;
pub mod keymap;
pub mod layout;
pub mod look;
pub mod model;
pub mod msg;
pub mod outlet;
mod run;
pub mod screen;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;
pub mod widgets;

pub use run::{Cause, Exit, Options, Reattach, Seat, drive, run};

//! The life of a session, decided without touching the world.
//!
//! ```text
//! Pending ──► Activating ──► Active ──► Ending ──► Ended
//!                 │             ▲        ▲  │
//!                 │           extend     │  └──► CleanupOwed (something is not proven gone)
//!                 └── a step fails ──────┘          └── retried without end ──► Ended
//! ```
//!
//! Four rules hold in every line below:
//!
//! 1. **Write first.** A step is in the journal before the world hears of it.
//! 2. **Undo along the edges.** What needs a step is gone before the step is undone.
//! 3. **Look when unsure.** An outcome that nobody saw is looked up, never guessed, and nothing is
//!    applied again before it was seen gone, or reported surely gone.
//! 4. **Gone means seen gone.** Only a look that finds nothing clears a step, not an undo that
//!    answered well.
//!
//! A session is the fold of its journal ([`Session::evolve`] over each [`Entry`]), and its next
//! moves follow from the session and the time alone ([`Session::next`]). Recovery after a crash is
//! therefore no second code path: replay, add [`Fact::Restarted`], carry on. What was opening then
//! ends; what was Active is *adopted*: each step is looked at, what died with the process (the
//! local endpoint) is opened again, and the lease runs on.
//!
//! While a session is Active, something of its path may be lost ([`Fact::StepLost`]). Where the plan
//! says so it is made again, at growing pauses, until the lease ends; else the session ends. What was
//! lost is removed at the end like all else: looked for until it is seen gone.
//!
//! Not here: clocks, waiting, retries of single calls, and anything with `async` in it.

mod entry;
pub mod exit_card;
mod next;
mod outcome;
pub mod path;
mod plan;
pub mod receipt;
mod state;
mod step;

pub use entry::{EndReason, Entry, Fact};
pub use next::{Effect, Moves, Turn};
pub use outcome::{Applied, Looked, Undone};
pub use plan::{Carrier, Lives, Plan, PlanError, PlannedStep, StepIndex};
pub use state::{Ending, IllegalEntry, Session};
pub use step::{Loss, OWED_AFTER_TRIES, Status, Step};

#[cfg(test)]
mod tests;

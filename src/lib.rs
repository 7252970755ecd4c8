//! `breakglass`: a timed, recorded, self-removing network path to one target.
//!
//! This page is the map of the code. `docs/CONTRIBUTING.md` has the rules, `docs/decisions/` the
//! reasons, and each folder's `mod.rs` its own story.
//!
//! ```text
//! 6  main
//! 5  app                                   puts everything together, is known by main alone
//! 4  engine                                decides and acts: one task, one interpreter a session
//! 3  provider launcher forward identity store | tui cli socket   left: the engine uses it; right: it asks
//! 2  session  protocol  config  vault  http  ssh  process  clock
//! 1  domain  error  logging
//! ```
//!
//! Imports go down only, and never in a circle; a test reads them (`tests/it/layering.rs`).
//!
//! | Folder | What it is |
//! |---|---|
//! | [`domain`] | the nouns and the rules: targets, sites, policy, ids, time, cleaning of foreign text |
//! | [`session`] | the life of a session as a pure machine, folded from its journal |
//! | [`protocol`] | what faces and engine say to each other; also the wire format of the socket |
//! | [`config`] | `config.toml`: read, checked, and written with every other byte kept |
//! | [`provider`] | the contract of a system that carries paths; Direct, SSH, and simulated ones for drills |
//! | [`launcher`] | how a temporary router or connector is started inside a site |
//! | [`forward`] | the local endpoint: listener, peer check, relay |
//! | [`identity`] | who may sign in, and how: the rules, and single sign-on |
//! | [`http`] | the one client of everything that is asked over HTTP |
//! | [`ssh`] | the system's `ssh`: one configuration, one reading of its complaints |
//! | [`process`] | programs of others that this one runs, or keeps running |
//! | [`vault`] | where secrets rest: the keyring, or a sealed file |
//! | [`store`] | everything durable: journals, sessions, the audit chain |
//! | [`engine`] | the loop, the interpreter, recovery and hand-over |
//! | [`tui`], [`cli`] | the faces |
//! | [`socket`] | an engine that lives in another process |
//! | [`app`] | wiring: arguments in, engine and face out |
//!
//! What always holds:
//!
//! - **A session is the fold of its journal.** Nothing about it is known that was not written
//!   down first, and recovery after a crash is replay.
//! - **Applied, refused, or unknown.** An unknown outcome is looked up, and nothing is ever
//!   applied twice. *Ended* means that every artifact was looked for and not found.
//! - **Opening needs the journal and the audit; ending needs neither.**
//! - **One engine a state directory**, held by a lock that passes from process to process.
//! - **Text from outside is cleaned** before it can reach a terminal.
//!
//! What is deliberately absent:
//!
//! - No face knows a provider, a store or a rule: all of them send the same commands.
//! - Nothing in `domain` or `session` waits, reads a clock, or touches a file.
//! - The engine knows no concrete provider; `app` builds them.
//! - There is no polling where nothing is shown, and no unbounded queue anywhere.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod error;
pub mod forward;
pub mod http;
pub mod identity;
pub mod launcher;
pub mod logging;
pub mod process;
pub mod protocol;
pub mod provider;
pub mod session;
pub mod socket;
pub mod ssh;
pub mod store;
pub mod tui;
pub mod vault;

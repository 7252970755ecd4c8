//! The command line: each verb sends the engine a command and prints what comes of it.
//!
//! ```text
//! arguments ──► args::parse ──► Invocation ──► run(verb) ──► exit code, or a Report
//!                                                │  ▲
//!                                        Command │  │ Reply, Event
//!                                                ▼  │
//!                                          EngineHandle (here, or at the end of a socket)
//! ```
//!
//! Rules that hold for every verb:
//!
//! - Data on standard output, talk on standard error, and only [`output`] prints.
//! - The exit code follows from the kind of the error, and from nothing else.
//! - Whatever a verb waits for may outlive the engine's process: it attaches again and goes on.
//! - Text from outside is cleaned before it is printed, also in what `--json` prints.
//!
//! Not here: any decision about sessions (the engine's), reading of configuration or environment
//! (they come with the [`Context`]), and a provider's name.

pub mod args;
pub mod output;
pub mod person;
pub mod plain;
pub mod prompt;
pub mod sessions;
pub mod signals;

mod abilities;
mod ask;
mod audit;
mod break_glass_users;
mod config;
mod confirm;
mod connect;
mod docs;
mod doctor;
mod end;
mod engine;
mod find;
mod follow;
mod identity_docs;
mod idp;
mod init;
mod line;
mod login;
mod manual;
mod open;
mod opening;
mod operators;
mod password;
mod progress;
mod provider_docs;
mod providers;
mod sites;
mod sso;
mod sweep;
mod table;
mod targets;
mod vault;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;

pub use args::{Global, Invocation, Task, Verb};
pub use config::{Checked, ConfigDocs};
pub use person::{Echo, Person, Stop};
pub use prompt::AtStdin;
pub use signals::{ProcessSignals, Signals};

use crate::domain::sign_in::Token;
use crate::domain::time::Timestamp;
use crate::error::Report;
use crate::protocol::EngineHandle;
use output::Output;

/// How a verb gets hold of the engine.
#[async_trait]
pub trait Engines: Send + Sync {
    /// Attaches to the engine, and starts one where none runs.
    ///
    /// # Errors
    ///
    /// When there is none and none can be started.
    async fn attach_or_start(&self) -> Result<EngineHandle, Report>;

    /// Attaches to the engine if one runs.
    ///
    /// # Errors
    ///
    /// When one runs and cannot be spoken to.
    async fn attach(&self) -> Result<Option<EngineHandle>, Report>;
}

/// Where a sign-in is kept for the next verb at this terminal.
pub trait KeepSignIn: Send + Sync {
    /// Keeps what shows who is signed in here, in place of what was kept.
    ///
    /// # Errors
    ///
    /// When it cannot be kept where nobody else may read it.
    fn keep(&self, token: &Token) -> Result<(), Report>;

    /// Forgets it.
    fn forget(&self);
}

/// Everything that a verb needs from outside.
pub struct Context<'a> {
    /// How to get hold of the engine.
    pub engines: &'a dyn Engines,
    /// The configuration, as far as verbs speak of it.
    pub config: &'a dyn ConfigDocs,
    /// Where signals come from.
    pub signals: &'a mut dyn Signals,
    /// Who can be asked.
    pub person: &'a mut dyn Person,
    /// Where a sign-in is kept.
    pub sign_in: &'a dyn KeepSignIn,
    /// Where to print.
    pub out: Output,
    /// Reads the wall clock.
    pub wall: fn() -> Timestamp,
    /// What the process knows of itself.
    pub host: Host,
}

/// What the process knows of itself and where it lives.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The UNIX user id of this process.
    pub uid: u32,
    /// The environment, as far as it is text.
    pub environment: BTreeMap<String, String>,
    /// Where the state lies.
    pub state_dir: PathBuf,
    /// The engine's socket.
    pub socket: PathBuf,
    /// True where standard input is a terminal.
    pub stdin_tty: bool,
    /// True where the engine is the whole host's: state and socket are another user's then.
    pub of_host: bool,
}

impl Context<'_> {
    fn wall(&self) -> Timestamp {
        (self.wall)()
    }
}

/// Does what a verb says, and returns the exit code.
///
/// # Errors
///
/// What went wrong; [`Output::report`] prints it and knows the exit code.
pub async fn run(verb: Verb, context: &mut Context<'_>) -> Result<u8, Report> {
    match verb {
        Verb::Open(args) => open::run(args, context).await,
        Verb::Connect(args) => connect::run(args, context).await,
        Verb::Sessions(args) => sessions::list(&args, context).await,
        Verb::Show(args) => sessions::show(&args, context).await,
        Verb::End(args) => end::end(args, context).await,
        Verb::Extend(args) => end::extend(&args, context).await,
        Verb::Retry(args) => end::retry(&args, context).await,
        Verb::Targets(args) => targets::targets(&args, context).await,
        Verb::Sites(args) => sites::run(args, context).await,
        Verb::Providers(args) => providers::run(args, context).await,
        Verb::Sweep(args) => sweep::run(&args, context).await,
        Verb::Init(args) => init::run(args, context).await,
        Verb::Login(args) => login::login(args, context).await,
        Verb::Logout(_) => login::logout(context).await,
        Verb::Whoami(_) => login::whoami(context).await,
        Verb::Operators(verb) => operators::run(verb, context).await,
        Verb::Password(verb) => password::run(verb, context).await,
        Verb::Idp(verb) => idp::run(verb, context).await,
        Verb::BreakGlassUsers(verb) => break_glass_users::run(verb, context).await,
        Verb::Vault(verb) => vault::run(verb, context).await,
        Verb::Audit(verb) => audit::run(verb, context).await,
        Verb::Config(verb) => config::run(&verb, context),
        Verb::Doctor(_) => doctor::run(context).await,
        Verb::Engine(verb) => engine::run(verb, context).await,
        Verb::Completions(args) => manual::completions(&args, context),
        Verb::Man(_) => manual::man(context),
    }
}

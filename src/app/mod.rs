//! Puts everything together: the only place that knows every part, known by `main` alone.
//!
//! - [`world`] reads what the process is given: arguments, environment, terminal, user.
//! - [`host`] runs an engine in this process: lock, store, providers, socket.
//! - [`settings`] is what the configuration says, put into what an engine is made of.
//! - [`outside`] is everything that leads out of this host: providers and launchers.
//! - [`detach`] starts an engine of its own and hands over to it.
//! - [`system`] is the engine of a whole host.
//! - [`reach`] gets hold of the engine, wherever it lives, for whoever is signed in at this terminal
//!   ([`token`]).
//! - [`harden`] keeps what is in memory there.
//! - [`screens`] runs the TUI; [`demo`] runs it on a simulated world.

mod demo;
mod detach;
mod docs;
mod harden;
mod host;
mod late_vault;
mod outside;
mod reach;
mod screens;
mod settings;
mod system;
mod token;
mod world;

use std::process::ExitCode;

use crate::cli::args::{self, Invocation};
use crate::cli::output::Output;
use crate::cli::signals::ProcessSignals;
use crate::cli::{self, Context, Task};
use crate::error::{Kind, Report};
use world::World;

/// Runs the program and returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    harden::harden();
    let arguments: Vec<_> = std::env::args_os().collect();
    let mut out = Output::of_process(world::terminal(false), args::format(&arguments));
    let invocation = match args::parse(arguments, &mut out) {
        Ok(invocation) => invocation,
        Err(code) => return code.into(),
    };
    let code = World::read(&invocation.global, invocation.task.is_system()).and_then(|world| {
        let out = Output::of_process(world.terminal, world.format);
        within_runtime(world, invocation, out)
    });
    code.unwrap_or_else(|report| out.report(&report)).into()
}

fn within_runtime(world: World, invocation: Invocation, out: Output) -> Result<u8, Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Report::of(Kind::Internal, &error))?;
    let code = runtime.block_on(perform(world, invocation, out));
    // Nothing that still waits (a name that does not resolve) may keep the process.
    runtime.shutdown_background();
    code
}

async fn perform(world: World, invocation: Invocation, out: Output) -> Result<u8, Report> {
    match invocation.task {
        Task::Engine => detach::be_the_engine(&world).await,
        Task::SystemEngine => system::run(&world).await,
        Task::Demo => demo::run(&world).await,
        Task::Screens => screens::run(&world, out).await,
        Task::Verb(verb) => {
            let engines = reach::Reach::new(&world);
            let docs = docs::Docs::new(&world);
            let mut context = Context {
                engines: &engines,
                config: &docs,
                signals: &mut ProcessSignals::default(),
                person: &mut world.person(),
                sign_in: &token::TokenFile::new(&world),
                out,
                wall: crate::clock::wall,
                host: world.for_verbs(),
            };
            cli::run(verb, &mut context).await
        }
    }
}

/// One thread decides and one moves bytes; the machine this runs on has other work.
const WORKERS: usize = 2;

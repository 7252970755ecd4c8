//! The screens: on the engine that runs, or on one that this process hosts while they are open.

use std::io::IsTerminal;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::tz::TimeZone;

use super::detach::{self, StayedHere};
use super::docs::Docs;
use super::host::{Host, NoHost};
use super::reach::Reach;
use super::settings;
use super::token::TokenFile;
use super::world::World;
use crate::cli::output::Output;
use crate::cli::signals::ProcessSignals;
use crate::cli::{Context, plain};
use crate::config::{UiSettings, When};
use crate::domain::time::Timestamp;
use crate::engine::Parcel;
use crate::error::Report;
use crate::protocol::{EngineHandle, SessionView};
use crate::tui::look::{Colours, Environment, Glyphs, Look};
use crate::tui::{self, Cause, Exit, Options, Reattach};

/// Runs the screens, or the plain face where there is no terminal for them.
///
/// # Errors
///
/// When there is no engine and none can be hosted, or the terminal cannot be used.
pub(super) async fn run(world: &World, mut out: Output) -> Result<u8, Report> {
    if wants_plain(world) {
        return plainly(world, out).await;
    }
    let reach = Arc::new(Reach::new(world));
    let ui = UiSettings::load(&world.places.config_file, world.operator.uid);
    let options = |hosting| Options {
        look: look(world, ui),
        hosting,
        drill: false,
        zone: TimeZone::system(),
        reattach: Arc::clone(&reach) as Arc<dyn Reattach>,
    };
    if let Some(engine) = reach.running().await? {
        tui::run(engine, options(false)).await?;
        return Ok(0);
    }
    if world.of_host.is_some() {
        let engine = reach.soon().await?;
        tui::run(engine, options(false)).await?;
        return Ok(0);
    }
    // Who signed in at this terminal is not asked again by an engine that this process hosts.
    let token = TokenFile::new(world).read()?;
    // A long catalogue is read while the store is opened.
    let loading = std::thread::spawn({
        let world = world.clone();
        move || settings::load(&world)
    });
    let configured = |lives| {
        let loaded = loading.join().unwrap_or_else(|_| settings::load(world));
        settings::configured(world, loaded, lives)
    };
    match Host::start(world, configured, false, Parcel::pack(vec![])).await {
        Ok(host) => {
            let engine = host.handle.signed_in(token);
            hosted(world, host, engine, options(true), &mut out).await
        }
        Err(NoHost::Held(_)) => {
            let engine = reach.soon().await?;
            tui::run(engine, options(false)).await?;
            Ok(0)
        }
        Err(NoHost::Failed(report)) => Err(report),
    }
}

/// True where the screens would not work, or are not wanted.
pub(super) fn wants_plain(world: &World) -> bool {
    let stdin_tty = std::io::stdin().is_terminal();
    plain::is_wanted(world.plain, world.variable("TERM"), stdin_tty, world.terminal.stdout_tty)
}

#[async_trait]
impl Reattach for Reach {
    async fn reattach(&self) -> Result<EngineHandle, Report> {
        self.soon().await
    }
}

async fn plainly(world: &World, out: Output) -> Result<u8, Report> {
    let (engines, docs) = (Reach::new(world), Docs::new(world));
    let mut context = Context {
        engines: &engines,
        config: &docs,
        signals: &mut ProcessSignals::default(),
        person: &mut world.person(),
        sign_in: &TokenFile::new(world),
        out,
        wall: crate::clock::wall,
        host: world.for_verbs(),
    };
    plain::run(&mut context).await
}

/// Runs the screens on an engine of this process, and gives that on where sessions live.
async fn hosted(
    world: &World,
    host: Host,
    engine: EngineHandle,
    options: Options,
    out: &mut Output,
) -> Result<u8, Report> {
    let exit = tui::run(engine, options).await;
    let heard = matches!(exit, Ok(Exit { cause: Cause::Asked | Cause::Panicked, .. }) | Err(_));
    let live = host.running.control.live().await;
    if live.is_empty() {
        host.stop(world).await;
        return exit.map(|_| 0);
    }
    match detach::hand_over(world, host).await {
        Ok(pid) => {
            if heard {
                out.talk(&goes_on(&live, &format!("in the background (process {pid})")));
            }
            exit.map(|_| 0)
        }
        Err(Ok(StayedHere { host, why })) => {
            if heard {
                out.report(&why);
                out.talk(&goes_on(&live, "in this process, which stays until they have ended"));
            }
            detach::until_done(world, host).await?;
            exit.map(|_| 0)
        }
        Err(Err(report)) => Err(report.hint("run breakglass again: it takes the sessions up")),
    }
}

fn goes_on(live: &[SessionView], place: &str) -> String {
    let until = live.iter().filter_map(|view| view.lease_ends_at).max();
    let until = until.map(|at| format!(" until {}", local_time(at))).unwrap_or_default();
    match live {
        [one] => format!("session {} goes on{until} {place}", one.id.short()),
        several => format!("{} sessions go on{until} {place}", several.len()),
    }
}

fn local_time(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    instant.to_zoned(TimeZone::system()).strftime("%H:%M").to_string()
}

/// How the screens may look here.
pub(super) fn look(world: &World, ui: UiSettings) -> Look {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| world.variable(name));
    let mut look = Look::of(Environment {
        term: world.variable("TERM"),
        no_color: world.variable("NO_COLOR"),
        locale,
        tmux: world.variable("TMUX"),
        sty: world.variable("STY"),
    });
    match ui.colour {
        When::Auto => {}
        When::Always => look.colours = Colours::Ansi16,
        When::Never => look.colours = Colours::None,
    }
    match (ui.ascii, look.glyphs) {
        (When::Always, _) => look.glyphs = Glyphs::Ascii,
        (When::Never, Glyphs::Ascii) => look.glyphs = Glyphs::Full,
        _ => {}
    }
    look.mouse = ui.mouse;
    look
}

//! `breakglass demo`: the same engine, screens and verbs on a simulated world.
//!
//! Everything that a drill leaves lies in one temporary directory: state, sockets, and the remote
//! side. At the end the sessions are ended, the engine is stopped and the directory is removed,
//! however the end came; no drill is handed over to another process. Only a SIGKILL leaves the
//! directory, which then holds nothing real.
//!
//! Without a terminal, or with `--plain`, a short [`script`] opens, uses and ends two sessions while
//! the plain face tells what happens.

mod script;

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::docs::Docs;
use super::host::{Host, NoHost};
use super::screens;
use super::settings::{self, Identity, Network};
use super::token::TokenFile;
use super::world::World;
use crate::cli::output::{Format, Output};
use crate::cli::signals::{Caught, ProcessSignals, Signals};
use crate::cli::{Context, Engines, plain};
use crate::domain::id::{IdpId, ProviderId};
use crate::domain::identity_provider::IdpSettings;
use crate::domain::policy::{OnPathLoss, Policy};
use crate::domain::provider::ProviderSettings;
use crate::domain::time::Span;
use crate::engine::{Installed, KeepSettings, Parcel, Rules};
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, Reply, SessionQuery, SessionView};
use crate::provider::direct::Direct;
use crate::provider::simulated::Pace;
use crate::provider::simulated::scenario::Scenario;
use crate::tui::{self, Cause, Options, Reattach};

/// Runs a drill from beginning to end.
///
/// # Errors
///
/// When it cannot be set up, or its directory cannot be removed.
pub(super) async fn run(world: &World) -> Result<u8, Report> {
    if world.format == Format::Json {
        let message = "a drill prints no documents";
        return Err(Report::new(Kind::Usage, message)
            .hint("breakglass demo, and in another terminal: breakglass --state-dir DIR --json"));
    }
    // From here on a signal ends the drill and not the process.
    let mut signals = ProcessSignals::default();
    signals.listen(&ANY_SIGNAL)?;
    let mut out = Output::new(
        Box::new(Marked::new(io::stdout())),
        Box::new(Marked::new(io::stderr())),
        world.terminal,
        Format::Text,
    );
    let drill = Drill::begin(world).await?;
    if screens::wants_plain(world) {
        let ended = drill.walk(&mut signals, &mut out).await;
        let hung_up = matches!(ended, Ok(Some(Caught::HangUp)));
        drill.end((!hung_up).then_some(&mut out)).await?;
        return ended.map(|caught| caught.map_or(0, Caught::exit_code));
    }
    let shown = drill.screens(world, &mut signals).await;
    let hung_up = matches!(shown, Ok(Cause::HungUp));
    drill.end((!hung_up).then_some(&mut out)).await?;
    shown.map(|_| 0)
}

/// A drill that runs. Dropping it stops its engine and removes its directory.
struct Drill {
    host: Host,
    scenario: Scenario,
    world: World,
    dir: TempDir,
}

impl Drill {
    async fn begin(given: &World) -> Result<Self, Report> {
        let broken = |error: io::Error| {
            let message = "cannot set a drill up in the temporary directory";
            Report::new(Kind::Unavailable, message)
                .because(error.to_string())
                .hint("set TMPDIR to a directory with some space")
        };
        let private = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new()
            .prefix("breakglass-demo.")
            .permissions(private)
            .tempdir()
            .map_err(broken)?;
        let world = given.with_state_in(dir.path())?;
        let seed = u64::try_from(crate::clock::wall().as_millis()).unwrap_or_default();
        let remote = dir.path().join("world");
        let scenario = Scenario::start(&remote, seed, Pace::LIFELIKE).await.map_err(broken)?;
        let network = network(&scenario)?;
        // What is done before anybody watches takes no time.
        scenario.world.hurry(true);
        let host = Host::start(&world, |_| Ok(network), false, Parcel::pack(vec![])).await;
        Ok(Self { host: host.map_err(NoHost::report)?, scenario, world, dir })
    }

    /// Runs the screens, with something to see on them at once.
    async fn screens(&self, given: &World, signals: &mut dyn Signals) -> Result<Cause, Report> {
        let engine = &self.host.handle;
        let mut clients = JoinSet::new();
        tokio::select! {
            caught = signals.next() => {
                let hung_up = caught == Caught::HangUp;
                return Ok(if hung_up { Cause::HungUp } else { Cause::Asked });
            }
            set = self.set_the_stage(&mut clients) => set?,
        }
        let ui = settings::load(given).map(|config| config.ui).unwrap_or_default();
        let options = Options {
            look: screens::look(given, ui),
            hosting: true,
            drill: true,
            zone: TimeZone::system(),
            reattach: Arc::new(Here(engine.clone())),
        };
        tui::run(engine.clone(), options).await.map(|exit| exit.cause)
    }

    async fn set_the_stage(&self, clients: &mut JoinSet<()>) -> Result<(), Report> {
        let engine = &self.host.handle;
        // A stage that is not set in time is set enough.
        tokio::time::timeout(STAGE_LIMIT, script::past(engine)).await.unwrap_or(Ok(()))?;
        self.scenario.world.hurry(false);
        script::present(engine, clients).await
    }

    /// Lets the plain face tell what a script does, and says whether a signal cut it short.
    async fn walk(
        &self,
        signals: &mut dyn Signals,
        out: &mut Output,
    ) -> Result<Option<Caught>, Report> {
        let dir = self.dir.path().display();
        out.data("simulated providers and real targets on this host; nothing else is touched")?;
        out.data(&format!("another terminal can watch: breakglass --state-dir {dir} sessions"))?;
        self.scenario.world.hurry(false);
        let engines = Here(self.host.handle.clone());
        let docs = Docs::new(&self.world);
        let (mut nobody, mut nobody_else) = (Unheard, Unheard);
        let (mut person, mut other) = (self.world.person(), self.world.person());
        let sign_in = TokenFile::new(&self.world);
        let context = |signals, person| Context {
            engines: &engines,
            config: &docs,
            signals,
            person,
            sign_in: &sign_in,
            out: self.output(),
            wall: crate::clock::wall,
            host: self.world.for_verbs(),
        };
        let mut teller = context(&mut nobody as &mut dyn Signals, &mut person);
        let mut actor = context(&mut nobody_else as &mut dyn Signals, &mut other);
        let told = plain::run(&mut teller);
        let played = async {
            let played = script::play(&self.host.handle, &mut actor).await;
            self.host.running.control.stop().await;
            played
        };
        tokio::select! {
            caught = signals.next() => Ok(Some(caught)),
            // What has happened is told before the script goes on.
            (told, played) = async { tokio::join!(biased; told, played) } => {
                told.and(played).map(|()| None)
            }
        }
    }

    fn output(&self) -> Output {
        let (stdout, stderr) = (Marked::new(io::stdout()), Marked::new(io::stderr()));
        Output::new(Box::new(stdout), Box::new(stderr), self.world.terminal, Format::Text)
    }

    /// Ends every session, stops the engine and removes everything.
    async fn end(self, mut out: Option<&mut Output>) -> Result<(), Report> {
        let mut again = ProcessSignals::default();
        again.listen(&ANY_SIGNAL)?;
        // The trouble was for show: what still stands is removed in fair weather, and at once.
        self.scenario.world.hurry(true);
        self.scenario.world.clear_weather().ok();
        let left = tokio::select! {
            left = end_sessions(&self.host.handle) => left,
            _ = again.next() => live(&self.host.handle).await,
        };
        self.host.stop(&self.world).await;
        drop(self.scenario);
        let dir = self.dir.path().display().to_string();
        let removed = self.dir.close().map_err(|error| {
            Report::new(Kind::Unavailable, format!("cannot remove `{dir}`"))
                .because(error.to_string())
        });
        if let Some(out) = &mut out {
            for view in &left {
                let (id, state) = (view.id.short(), view.state);
                out.talk(&format!("session {id} on {} was left {state}", view.target.id));
            }
            if left.is_empty() {
                out.talk("every session has ended, and all that they made was seen gone");
            }
            if removed.is_ok() {
                out.talk(&format!("over: {dir} is removed, and nothing of the drill is left"));
            }
        }
        removed
    }
}

fn network(scenario: &Scenario) -> Result<Network, Report> {
    let direct: ProviderId =
        "direct".parse().map_err(|error| Report::of(Kind::Internal, &error))?;
    let installed =
        |provider, enabled, default| Installed { provider, settings: None, enabled, default };
    let mut simulated = vec![installed(Arc::new(Direct::new(direct)), true, false)];
    simulated.extend(
        scenario
            .providers
            .iter()
            .map(|offer| installed(Arc::clone(&offer.provider), offer.enabled, offer.default)),
    );
    Ok(Network {
        catalogue: scenario.catalogue.clone(),
        policy: Policy {
            duration_max: Span::from_minutes(240),
            duration_default: Span::from_minutes(30),
            reason_pattern: None,
            // An address that somebody types would be a real one.
            ad_hoc_targets: false,
            idle: None,
            on_path_loss: OnPathLoss::default(),
        },
        providers: vec![],
        simulated,
        settings: Arc::new(Forgets),
        identity: Identity::of_drill(),
        drill: true,
        problem: None,
    })
}

/// Ends every session, and returns those that did not end in time.
async fn end_sessions(engine: &EngineHandle) -> Vec<SessionView> {
    let rounds = END_LIMIT.as_millis() / END_ROUND.as_millis();
    for _ in 0..rounds {
        // An engine that has stopped has no sessions.
        engine.call(Command::EndAll).await.ok();
        let left = live(engine).await;
        if left.is_empty() {
            return left;
        }
        for view in left {
            engine.call(Command::Retry { session: view.id }).await.ok();
        }
        tokio::time::sleep(END_ROUND).await;
    }
    live(engine).await
}

async fn live(engine: &EngineHandle) -> Vec<SessionView> {
    match engine.call(Command::Sessions(SessionQuery::default())).await {
        Ok(Reply::Sessions(live)) => live,
        _ => vec![],
    }
}

/// The engine is in this process, and nowhere else.
struct Here(EngineHandle);

#[async_trait]
impl Reattach for Here {
    async fn reattach(&self) -> Result<EngineHandle, Report> {
        Ok(self.0.clone())
    }
}

#[async_trait]
impl Engines for Here {
    async fn attach_or_start(&self) -> Result<EngineHandle, Report> {
        Ok(self.0.clone())
    }

    async fn attach(&self) -> Result<Option<EngineHandle>, Report> {
        Ok(Some(self.0.clone()))
    }
}

/// Hears no signal: the drill as a whole does.
struct Unheard;

#[async_trait]
impl Signals for Unheard {
    fn listen(&mut self, _: &[Caught]) -> Result<(), Report> {
        Ok(())
    }

    async fn next(&mut self) -> Caught {
        std::future::pending().await
    }
}

fn nothing_is_kept() -> Report {
    Report::new(Kind::Denied, "a drill keeps nothing, so no real provider is added to it")
        .hint("breakglass providers add, without demo")
}

/// Keeps nothing: what is switched is switched for this drill.
struct Forgets;

impl KeepSettings for Forgets {
    fn provider_enabled(&self, _: &ProviderId, _: bool) -> Result<(), Report> {
        Ok(())
    }

    fn put_provider(&self, _: &ProviderSettings) -> Result<(), Report> {
        Err(nothing_is_kept())
    }

    fn remove_provider(&self, _: &ProviderId) -> Result<(), Report> {
        Err(nothing_is_kept())
    }

    fn put_idp(&self, _: &IdpSettings) -> Result<(), Report> {
        Ok(())
    }

    fn remove_idp(&self, _: &IdpId) -> Result<(), Report> {
        Ok(())
    }

    fn changed(&self) -> Option<Result<Rules, Report>> {
        None
    }
}

/// Puts the mark of a drill in front of every line that has none, whoever printed it.
struct Marked<W> {
    inner: W,
    at_start: bool,
}

impl<W: Write> Marked<W> {
    const fn new(inner: W) -> Self {
        Self { inner, at_start: true }
    }
}

impl<W: Write> Write for Marked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut marked = Vec::with_capacity(bytes.len() + MARK.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.at_start && !line.starts_with(MARK) {
                marked.extend_from_slice(MARK);
                marked.extend((line != b"\n").then_some(b' '));
            }
            marked.extend_from_slice(line);
            self.at_start = line.ends_with(b"\n");
        }
        self.inner.write_all(&marked)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

const MARK: &[u8] = b"DRILL";
const ANY_SIGNAL: [Caught; 3] = [Caught::Interrupt, Caught::Terminate, Caught::HangUp];
const STAGE_LIMIT: Duration = Duration::from_secs(3);
const END_LIMIT: Duration = Duration::from_secs(10);
const END_ROUND: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_marked_and_none_twice() {
        let mut marked = Marked::new(vec![]);
        for part in ["DRILL one\ntwo\n", "\nthr", "ee\nDRILL", " four\n"] {
            marked.write_all(part.as_bytes()).unwrap();
        }
        let text = String::from_utf8(marked.inner).unwrap();
        assert_eq!(text, "DRILL one\nDRILL two\nDRILL\nDRILL three\nDRILL four\n");
    }
}

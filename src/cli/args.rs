//! The grammar: `breakglass [NOUN] VERB [ARGS] [--json]`; without arguments, the screens.
//!
//! Each verb keeps its arguments and its help in its own file; here is what they share.

use std::ffi::OsString;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::audit::AuditVerb;
use super::break_glass_users::BreakGlassUsersVerb;
use super::config::ConfigVerb;
use super::connect::ConnectArgs;
use super::doctor::DoctorArgs;
use super::end::{EndArgs, ExtendArgs, RetryArgs};
use super::engine::EngineVerb;
use super::idp::IdpVerb;
use super::init::InitArgs;
use super::login::{LoginArgs, LogoutArgs, WhoamiArgs};
use super::manual::{CompletionsArgs, ManArgs};
use super::open::OpenArgs;
use super::operators::OperatorsVerb;
use super::output::{Format, Output, Terminal};
use super::password::PasswordVerb;
use super::providers::ProvidersArgs;
use super::sessions::{SessionsArgs, ShowArgs};
use super::sites::SitesArgs;
use super::sweep::SweepArgs;
use super::targets::TargetsArgs;
use super::vault::VaultVerb;
use crate::domain::target::{TargetError, TargetKind};
use crate::error::{Kind, Report};
use crate::protocol::SessionState;

/// A command line that was understood.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What holds for every verb.
    pub global: Global,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// No verb: the screens, or the plain face where there is no terminal for them.
    Screens,
    /// The screens on simulated providers and temporary state.
    Demo,
    /// Be the engine, without a face, until nothing lives any more.
    Engine,
    /// Be the engine of the whole host, until somebody stops it.
    SystemEngine,
    /// A verb, for [`super::run`].
    Verb(Verb),
}

impl Task {
    /// True where the process is to be the engine of the whole host.
    #[must_use]
    pub const fn is_system(&self) -> bool {
        matches!(self, Self::SystemEngine)
    }
}

/// What holds for every verb.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Print one JSON document, or JSON Lines where the verb goes on
    ///
    /// Documents are objects with a `version` and one named list or thing. Field names are in
    /// `snake_case`, times are RFC 3339 in UTC, durations are in seconds. An error is one such
    /// document on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// Use one line an event, without colour, boxes or a second screen
    ///
    /// Suits screen readers and logs. It is what you get where `TERM` is `dumb` or there is no
    /// terminal.
    #[arg(long, global = true)]
    pub plain: bool,
    /// Read this configuration file instead of the usual one
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<std::path::PathBuf>,
    /// Keep state in this directory instead of the usual one
    ///
    /// Sessions, journal and audit live there, and so does the engine's socket: another directory
    /// is another installation with an engine of its own.
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub state_dir: Option<std::path::PathBuf>,
    /// Use an engine of one's own, even where the host has one
    ///
    /// Where `/run/breakglass` is there, the engine of the host is used. Sessions, accounts and
    /// audit of one's own engine are others than those of the host's.
    #[arg(long, global = true)]
    pub personal: bool,
    /// Look for the engine of the host below this directory
    #[arg(long, global = true, hide = true, value_name = "DIR")]
    pub root: Option<std::path::PathBuf>,
}

/// What a verb of the command line does, with its arguments.
#[derive(Clone, Debug, Subcommand)]
#[expect(missing_docs, reason = "each variant is named by its verb; its text is the verb's help")]
pub enum Verb {
    Open(OpenArgs),
    Connect(ConnectArgs),
    Sessions(SessionsArgs),
    Show(ShowArgs),
    End(EndArgs),
    Extend(ExtendArgs),
    Retry(RetryArgs),
    Targets(TargetsArgs),
    Sites(SitesArgs),
    Providers(ProvidersArgs),
    Sweep(SweepArgs),
    Init(InitArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Whoami(WhoamiArgs),
    #[command(subcommand)]
    Password(PasswordVerb),
    #[command(subcommand)]
    Operators(OperatorsVerb),
    #[command(subcommand)]
    Idp(IdpVerb),
    #[command(subcommand)]
    BreakGlassUsers(BreakGlassUsersVerb),
    #[command(subcommand)]
    Vault(VaultVerb),
    #[command(subcommand)]
    Audit(AuditVerb),
    #[command(subcommand)]
    Config(ConfigVerb),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    #[command(skip)]
    Engine(EngineVerb),
}

/// A timed, recorded, self-removing network path to one target
///
/// Without a verb the screens open. A session is a path to one target for a limited time: it is
/// opened with a reason, every step stands in the audit, and when it ends whatever was made for it
/// is removed, and seen to be removed.
#[derive(Debug, Parser)]
#[command(name = "breakglass", version, after_long_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    spoken: Option<Spoken>,
}

#[derive(Debug, Subcommand)]
enum Spoken {
    #[command(flatten)]
    Verb(Verb),
    /// Show how the engine is, or stop it
    ///
    /// The engine is the background process that holds the sessions. Any verb that needs one
    /// starts it, and it leaves by itself when nothing lives any more. Without a verb, shows how
    /// it is.
    Engine(EngineArgs),
    /// Try everything on simulated providers, with nothing at stake
    ///
    /// Opens the same screens on the same engine, with simulated providers that have good and bad
    /// weather, real targets on this host behind them, and temporary state that is removed at the
    /// end. Every line is marked DRILL.
    Demo,
}

#[derive(Debug, Args)]
struct EngineArgs {
    /// Be the engine: started by whoever needs one
    #[arg(long, hide = true)]
    detached: bool,
    /// Be the engine of the whole host, in the foreground, until SIGTERM
    ///
    /// For systemd: one engine, one team and one audit for everybody on this host. It runs as a
    /// UNIX user of its own, never as root, with `/etc/breakglass/config.toml`,
    /// `/var/lib/breakglass` and `/run/breakglass/engine.sock`, which the group of that directory
    /// may use. Its environment is ignored.
    #[arg(long, conflicts_with = "detached")]
    system: bool,
    #[command(subcommand)]
    verb: Option<EngineVerb>,
}

const AFTER_HELP: &str = "\
First steps:
  breakglass demo                  try everything, with nothing at stake
  breakglass config example        the configuration, each key explained
  breakglass init --email ana@example.com
                                   make the first Owner, and sign in
  breakglass targets               what there is to reach
  breakglass open orders-db --reason 'INC-42 slow queries' --for 30m
  breakglass end 5566              end it, and see that everything is gone

Exit codes:
  0    done
  2    the command line is wrong
  3    the configuration is wrong
  4    refused by policy, or nobody is signed in; the audit has it
  5    a target, a provider, the engine or the store cannot be reached
  6    something is not proven gone; `show` tells what, and how to remove it
  70   a bug in this program
  130, 143   Ctrl-C or SIGTERM, where the verb says so";

/// Understands a command line. Help, version and mistakes are printed here, and `Err` is then the
/// exit code.
///
/// `terminal` is where help is read; `arguments` begins with the program's name.
///
/// # Errors
///
/// The exit code, when there is nothing more to do.
pub fn parse<I>(arguments: I, out: &mut Output) -> Result<Invocation, u8>
where
    I: IntoIterator<Item = OsString>,
{
    let mut command = command_for(out.terminal());
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = command
        .try_get_matches_from_mut(&arguments)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    match parsed {
        Ok(cli) => invocation(cli).map_err(|report| out.report(&report)),
        Err(error) => Err(answer(&error, &help_for(&command, &arguments), out)),
    }
}

/// Returns how standard output is to be written, as far as it shows before the command line is
/// understood: also a mistake is told as JSON to whoever asked for JSON.
#[must_use]
pub fn format(arguments: &[OsString]) -> Format {
    let spoken = arguments.iter().take_while(|argument| *argument != "--");
    if spoken.into_iter().any(|argument| argument == "--json") {
        Format::Json
    } else {
        Format::Text
    }
}

/// Returns the whole grammar, for the manual, completions and tests.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command().subcommand_required(false).max_term_width(HELP_COLUMNS_MAX)
}

fn command_for(terminal: Terminal) -> clap::Command {
    let columns = terminal.width.unwrap_or(HELP_COLUMNS_MAX).min(HELP_COLUMNS_MAX);
    command().term_width(columns)
}

fn invocation(cli: Cli) -> Result<Invocation, Report> {
    let task = match cli.spoken {
        None if cli.global.json => {
            return Err(Report::new(Kind::Usage, "`--json` needs a verb")
                .hint("breakglass sessions --json"));
        }
        None => Task::Screens,
        Some(Spoken::Demo) => Task::Demo,
        Some(Spoken::Engine(EngineArgs { detached: true, .. })) => Task::Engine,
        Some(Spoken::Engine(EngineArgs { system: true, verb: None, .. })) => system(&cli.global)?,
        Some(Spoken::Engine(EngineArgs { system: true, .. })) => {
            return Err(Report::new(Kind::Usage, "`--system` and a verb do not go together")
                .hint("breakglass engine --system"));
        }
        Some(Spoken::Engine(EngineArgs { verb, .. })) => {
            Task::Verb(Verb::Engine(verb.unwrap_or(EngineVerb::Status)))
        }
        Some(Spoken::Verb(verb)) => Task::Verb(verb),
    };
    Ok(Invocation { global: cli.global, task })
}

/// The engine of a host lives in fixed places: whoever could name others would share its name.
fn system(global: &Global) -> Result<Task, Report> {
    let named = [
        ("--config", global.config.is_some()),
        ("--state-dir", global.state_dir.is_some()),
        ("--personal", global.personal),
    ];
    match named.into_iter().find(|(_, given)| *given) {
        None => Ok(Task::SystemEngine),
        Some((name, _)) => {
            let message = format!("`{name}` and `--system` do not go together");
            Err(Report::new(Kind::Usage, message).hint("breakglass engine --system"))
        }
    }
}

fn answer(error: &clap::Error, help: &str, out: &mut Output) -> u8 {
    let text = error.render();
    if !error.use_stderr() {
        let page = if out.terminal().colour { text.ansi().to_string() } else { text.to_string() };
        return match out.bytes(page.as_bytes()) {
            Ok(()) => 0,
            Err(report) => out.report(&report),
        };
    }
    if error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return out.report(&mistake(&text.to_string(), help));
    }
    if out.is_json() {
        return out.report(&Report::new(Kind::Usage, "a verb is missing").hint(help));
    }
    out.talk(&text.to_string());
    Kind::Usage.exit_code()
}

/// Returns the command line that explains the verb that was meant.
fn help_for(command: &clap::Command, arguments: &[OsString]) -> String {
    let mut words = vec!["breakglass"];
    let mut at = command;
    for argument in arguments.iter().skip(1) {
        if let Some(verb) = at.find_subcommand(argument) {
            words.push(verb.get_name());
            at = verb;
        }
    }
    words.push("--help");
    words.join(" ")
}

/// Puts clap's words into a report: its first paragraph and its tips are the message.
fn mistake(text: &str, help: &str) -> Report {
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default().trim_start_matches("error: ");
    let mut message: Vec<_> = vec![first.split_whitespace().collect::<Vec<_>>().join(" ")];
    let lines = paragraphs.flat_map(str::lines).map(str::trim);
    message.extend(lines.filter_map(|line| line.strip_prefix("tip: ")).map(str::to_owned));
    Report::new(Kind::Usage, message.join("; ")).hint(help)
}

/// Reads a kind of target.
pub(super) fn kind() -> impl TypedValueParser<Value = TargetKind> {
    PossibleValuesParser::new(TargetKind::ALL.map(TargetKind::as_str))
        .try_map(|word| word.parse::<TargetKind>().map_err(|error: TargetError| error.to_string()))
}

/// Reads a state of a session, as it is shown or with a hyphen.
pub(super) fn state() -> impl TypedValueParser<Value = SessionState> {
    let words = ["pending", "activating", "active", "ending", "ended", "cleanup-owed"];
    PossibleValuesParser::new(words.map(|word| {
        let value = clap::builder::PossibleValue::new(word);
        if word == "cleanup-owed" { value.alias("CleanupOwed") } else { value }
    }))
    .try_map(|word| {
        let bare = word.replace('-', "");
        let named = |state: &SessionState| state.as_str().eq_ignore_ascii_case(&bare);
        SessionState::ALL.into_iter().find(named).ok_or("this is no state of a session")
    })
}

const HELP_COLUMNS_MAX: usize = 100;

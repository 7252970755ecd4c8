//! `breakglass vault`: where secrets are kept, sealed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::identity_docs::VaultDoc;
use super::output::Terminal;
use super::person::{self, Stop, Wanted};
use super::{Context, ask};
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::vault::{Backend, STAYS_OPEN, UNLOCK, VaultState, VaultStatus};
use crate::error::{Kind, Report};
use crate::protocol::{EngineHandle, VaultAsk};

/// What to do with the vault.
///
/// The vault holds secrets, such as the client secrets of identity providers: in the operating
/// system's keyring where that works, else in a file sealed with a passphrase. What is in it is
/// never printed. Looking and unlocking need no sign-in; the rest is for Owners.
#[derive(Clone, Debug, Subcommand)]
#[command(about = "Unlock the vault of secrets, or move it")]
pub enum VaultVerb {
    /// Show how the vault is
    ///
    /// Shows what it is kept in, whether it is open, and the names of what is in it.
    Status,
    /// Open the vault
    ///
    /// Asks for the passphrase, which is not shown. Where there is no vault yet, one is made, and
    /// its passphrase is asked for twice. It stays open while the engine runs: while a session lives
    /// or somebody is attached, and for 15 minutes after the last command. A verb that finds it
    /// locked asks for the passphrase by itself where there is a terminal.
    #[command(after_long_help = "\
Examples:
  breakglass vault unlock
  breakglass vault unlock --passphrase-file /run/credentials/breakglass/vault

Exit codes:
  0    the vault is open
  2    the passphrase cannot be read
  4    the passphrase is not right
  5    the vault or the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; nothing was changed")]
    Unlock(PassphraseArgs),
    /// Seal the vault with another passphrase
    ///
    /// Asks for the one it has, and twice for the new one. The old one opens nothing any more, but
    /// copies of the vault that were made before.
    #[command(after_long_help = EXIT_CODES)]
    ChangePassphrase(ChangeArgs),
    /// Write everything in the vault to a file, sealed
    ///
    /// Asks twice for a passphrase of the export alone. The file is made anew, for you alone (mode
    /// 600); a file that is there is not touched. Nothing is written to a terminal.
    #[command(after_long_help = EXIT_CODES)]
    Export(ExportArgs),
    /// Take in what was exported
    ///
    /// Asks for the passphrase of the export. A secret whose name is in the vault already is
    /// replaced.
    #[command(after_long_help = EXIT_CODES)]
    Import(ImportArgs),
}

const EXIT_CODES: &str = "\
Examples:
  breakglass vault change-passphrase
  breakglass vault export --out vault.sealed
  breakglass vault import vault.sealed

Exit codes:
  0    done
  2    a passphrase cannot be read, or a file cannot be read or made
  4    the passphrase is not right, you are not an Owner, or nobody is signed in
  5    the vault or the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM at a prompt; nothing was changed";

/// Where a passphrase is from; else it is asked for.
#[derive(Clone, Debug, Default, Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from standard input
    #[arg(long, conflicts_with = "passphrase_file")]
    pub passphrase_stdin: bool,
    /// Read the passphrase from a file that only you may read
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
}

/// How to change a passphrase.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Read the passphrase from the first line of standard input, the new one from the second
    #[arg(long)]
    pub passphrase_stdin: bool,
}

/// Where to export to.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// File to make
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub out: PathBuf,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// What to import.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// File that was exported
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

#[derive(Serialize)]
struct ExportDoc {
    path: String,
}

pub(super) async fn run(verb: VaultVerb, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(perform(verb, context).await)
}

async fn perform(verb: VaultVerb, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    let status = match verb {
        VaultVerb::Status => ask::vault(&engine, VaultAsk::Status).await?,
        VaultVerb::Unlock(args) => unlock(&engine, &args, context).await?,
        VaultVerb::ChangePassphrase(args) => change(&engine, &args, context).await?,
        VaultVerb::Import(args) => import(&engine, &args, context).await?,
        VaultVerb::Export(args) => {
            export(&engine, &args, context).await?;
            return Ok(0);
        }
    };
    if context.out.is_json() {
        context.out.document("vault", &VaultDoc::new(&status))?;
    } else {
        let page = page(&status, context.out.terminal());
        context.out.data(&page)?;
    }
    Ok(0)
}

async fn unlock(
    engine: &EngineHandle,
    args: &PassphraseArgs,
    context: &mut Context<'_>,
) -> Result<VaultStatus, Stop> {
    let status = ask::vault(engine, VaultAsk::Status).await?;
    if status.state == VaultState::Open {
        context.out.talk("the vault is open already");
        return Ok(status);
    }
    let absent = status.state == VaultState::Absent;
    if absent {
        context.out.talk("there is no vault yet; one is made with this passphrase");
    }
    let passphrase = passphrase(args, absent, context).await?;
    let status = context.until(ask::vault(engine, VaultAsk::Unlock { passphrase })).await?;
    if !context.host.of_host && status.state == VaultState::Open {
        context.out.talk(&format!(
            "the vault stays open while a session lives, and for {STAYS_OPEN} after the last command"
        ));
    }
    Ok(status)
}

/// Asks the engine for something that may need the vault. Where it is not open and somebody is
/// there, they are asked for its passphrase, and the engine is asked again.
pub(super) async fn with_open<T>(
    engine: &EngineHandle,
    context: &mut Context<'_>,
    asking: impl AsyncFn() -> Result<T, Report>,
) -> Result<T, Stop> {
    match context.until(asking()).await {
        Err(Stop::Failed(report)) => open_after(engine, report, context).await?,
        answered => return answered,
    }
    context.until(asking()).await
}

/// Opens the vault with whoever is there where `report` says that it is closed; else that is the
/// end of it.
pub(super) async fn open_after(
    engine: &EngineHandle,
    report: Report,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    if !is_closed(&report) {
        return Err(report.into());
    }
    if !context.person.is_there() {
        return Err(without_terminal(report).into());
    }
    let why = report.causes.first().map(|why| format!(", and {why}")).unwrap_or_default();
    context.out.talk(&format!("{}{why}", report.message));
    unlock(engine, &PassphraseArgs::default(), context).await?;
    Ok(())
}

fn is_closed(report: &Report) -> bool {
    report.hint.as_ref().is_some_and(|hint| hint.starts_with(UNLOCK))
}

fn without_terminal(closed: Report) -> Report {
    let hint = closed.hint.as_deref().unwrap_or(UNLOCK);
    let hint = format!("{hint}; without a terminal: {UNLOCK} --passphrase-file FILE");
    closed.hint(hint)
}

async fn change(
    engine: &EngineHandle,
    args: &ChangeArgs,
    context: &mut Context<'_>,
) -> Result<VaultStatus, Stop> {
    let wanted = |what| Wanted { what, option: "--passphrase-stdin" };
    let (old, new) = if args.passphrase_stdin {
        context.piped_two("passphrase", wanted("new passphrase")).await?
    } else {
        let old = context.asked_secret(wanted("passphrase")).await?;
        (old, context.asked_twice(wanted("new passphrase")).await?)
    };
    let status = context.until(ask::vault(engine, VaultAsk::ChangePassphrase { old, new })).await?;
    context.out.talk("the vault is sealed with the new passphrase");
    Ok(status)
}

async fn export(
    engine: &EngineHandle,
    args: &ExportArgs,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    // Looked at before anybody types; making the file decides.
    if args.out.symlink_metadata().is_ok() {
        return Err(not_made(&args.out, &std::io::ErrorKind::AlreadyExists.into()).into());
    }
    let passphrase = passphrase(&args.passphrase, true, context).await?;
    let sealed = context.until(ask::sealed(engine, passphrase)).await?;
    write(&args.out, &sealed)?;
    let path = text::shown(&args.out.to_string_lossy());
    context.out.talk("sealed with a passphrase of its own; without it nobody can read the file");
    if context.out.is_json() {
        context.out.document("export", &ExportDoc { path })?;
    } else {
        let line = context.out.terminal().text(&path);
        context.out.data(&line)?;
    }
    Ok(())
}

/// Makes the file, whole or not at all.
fn write(path: &Path, sealed: &Secret) -> Result<(), Report> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| not_made(path, &error))?;
    let written = file.write_all(sealed.expose().as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half an export opens nothing. That it cannot be removed changes nothing about that.
        let _ = std::fs::remove_file(path);
        not_made(path, &error)
    })
}

fn not_made(path: &Path, error: &std::io::Error) -> Report {
    let shown = text::shown(&path.to_string_lossy());
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return Report::new(Kind::Usage, format!("there is a `{shown}` already"))
            .hint("name a file that is not there");
    }
    Report::new(Kind::Usage, format!("cannot write `{shown}`")).because(error.to_string())
}

async fn import(
    engine: &EngineHandle,
    args: &ImportArgs,
    context: &mut Context<'_>,
) -> Result<VaultStatus, Stop> {
    let sealed = exported(&args.file)?;
    let passphrase = passphrase(&args.passphrase, false, context).await?;
    let status = context.until(ask::vault(engine, VaultAsk::Import { sealed, passphrase })).await?;
    context.out.talk("what was exported is in the vault");
    Ok(status)
}

fn exported(path: &Path) -> Result<String, Report> {
    let shown = text::shown(&path.to_string_lossy());
    let refused =
        |why: String| Report::new(Kind::Usage, format!("cannot read `{shown}`")).because(why);
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(EXPORT_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > EXPORT_BYTES_MAX {
        return Err(refused("it is longer than 4 MiB, so it is no export".into()));
    }
    String::from_utf8(bytes).map_err(|_| refused("it is no text, so it is no export".into()))
}

async fn passphrase(
    args: &PassphraseArgs,
    new: bool,
    context: &mut Context<'_>,
) -> Result<Secret, Stop> {
    let wanted = Wanted { what: "passphrase", option: "--passphrase-stdin" };
    let file = args.passphrase_file.as_deref();
    context.secret(args.passphrase_stdin, file, new, wanted).await
}

fn page(status: &VaultStatus, terminal: Terminal) -> String {
    let backend = match status.backend {
        Backend::Keyring => "the operating system's keyring",
        Backend::File => "a sealed file",
    };
    let names: Vec<_> = status.names.iter().map(ToString::to_string).collect();
    let holds = match (status.state, names.is_empty()) {
        (VaultState::Open, true) => "nothing".to_owned(),
        (VaultState::Open, false) => names.join(", "),
        _ => "shown once it is open".to_owned(),
    };
    let rows = [
        ("vault", state(status.state).to_owned()),
        ("kept in", format!("{backend}: {}", terminal.text(&status.detail))),
        ("holds", holds),
    ];
    rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
}

/// The word for a state of the vault, with what to do about it.
pub(super) const fn state(state: VaultState) -> &'static str {
    match state {
        VaultState::Absent => "not made yet; `breakglass vault unlock` makes it",
        VaultState::Locked => "locked; `breakglass vault unlock` opens it",
        VaultState::Open => "open",
    }
}

/// Far more than secrets need: what is longer is another file.
const EXPORT_BYTES_MAX: u64 = 4 << 20;

//! Reads what the checks judge: files, limits, the engine. The only part that touches the world.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use crate::cli::output::Terminal;
use crate::cli::{Checked, Context, ask};
use crate::domain::time::Timestamp;
use crate::domain::vault::VaultStatus;
use crate::error::{Kind, Report};
use crate::protocol::{
    AuditVerdict, Command, EngineView, IdentityView, ProviderView, SessionQuery, SessionState,
    SessionView, VaultAsk,
};

/// What the checks judge.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub uid: u32,
    pub environment: BTreeMap<String, String>,
    pub terminal: Terminal,
    pub stdin_tty: bool,
    pub config_path: PathBuf,
    pub config: Result<Checked, Report>,
    pub config_file: Option<Entry>,
    pub config_dir: Option<Entry>,
    pub state_path: PathBuf,
    pub state_dir: Option<Entry>,
    pub state_free_bytes: Option<u64>,
    pub socket_path: PathBuf,
    pub socket: Option<Entry>,
    pub runtime_dir: Option<Entry>,
    pub engine: Result<Option<EngineFacts>, Report>,
    /// Whether the engine is the host's.
    pub of_host: bool,
    pub wall: Timestamp,
    pub logind: Logind,
    /// The most bytes of a core dump; `None` where there is no limit.
    pub core_bytes_max: Option<u64>,
    /// The most open files; `None` where there is no limit.
    pub open_files_max: Option<u64>,
    /// The client programs that were found.
    pub programs: BTreeSet<&'static str>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub kind: EntryKind,
    /// The permission bits.
    pub mode: u32,
    pub uid: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
    Socket,
    Other,
}

/// What a running engine says.
#[derive(Clone, Debug)]
pub(super) struct EngineFacts {
    pub view: EngineView,
    pub providers: Vec<ProviderView>,
    /// How many sessions owe a clean-up; untold to who may not see them.
    pub owed: Option<usize>,
    /// The sessions whose path is lost, by their short ids, and what became of it.
    pub lost: Vec<(String, String)>,
    /// Untold to who may not see the audit.
    pub verdict: Option<AuditVerdict>,
    pub identity: IdentityView,
    /// Untold to who may not see it.
    pub vault: Option<VaultStatus>,
}

/// What happens to a user's processes at logout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Logind {
    /// Whether systemd runs this host at all.
    pub runs: bool,
    /// Whether it kills what a login leaves behind; unknown where no file says so.
    pub kills: Option<bool>,
    /// Whether this user's processes may outlive their logins.
    pub lingers: bool,
}

/// Reads it all. What cannot be read is a fact too.
pub(super) async fn gather(context: &Context<'_>) -> Facts {
    let host = &context.host;
    let config_path = context.config.path();
    Facts {
        uid: host.uid,
        environment: host.environment.clone(),
        terminal: context.out.terminal(),
        stdin_tty: host.stdin_tty,
        config: context.config.check(),
        config_file: entry(&config_path),
        config_dir: config_path.parent().and_then(entry),
        config_path,
        state_dir: entry(&host.state_dir),
        state_free_bytes: free_bytes(&host.state_dir),
        state_path: host.state_dir.clone(),
        socket: entry(&host.socket),
        runtime_dir: host.socket.parent().and_then(entry),
        socket_path: host.socket.clone(),
        engine: engine(context).await,
        of_host: host.of_host,
        wall: context.wall(),
        logind: logind(host.environment.get("USER").map(String::as_str)),
        core_bytes_max: getrlimit(Resource::Core).current,
        open_files_max: getrlimit(Resource::Nofile).current,
        programs: programs(host.environment.get("PATH").map_or("", String::as_str)),
    }
}

async fn engine(context: &Context<'_>) -> Result<Option<EngineFacts>, Report> {
    let Some(engine) = context.engines.attach().await? else { return Ok(None) };
    let within = |state| {
        Command::Sessions(SessionQuery {
            state: Some(state),
            ended: false,
            limit: 1_000,
            offset: 0,
        })
    };
    let owed = told(ask::sessions(&engine, within(SessionState::CleanupOwed)).await)?;
    let live = told(ask::sessions(&engine, within(SessionState::Active)).await)?;
    Ok(Some(EngineFacts {
        view: ask::status(&engine).await?,
        providers: told(ask::providers(&engine, Command::Providers).await)?.unwrap_or_default(),
        owed: owed.map(|sessions| sessions.len()),
        lost: live.unwrap_or_default().iter().filter_map(lost).collect(),
        verdict: told(ask::verdict(&engine).await)?,
        identity: ask::identity(&engine).await?,
        vault: told(ask::vault(&engine, VaultAsk::Status).await)?,
    }))
}

fn lost(view: &SessionView) -> Option<(String, String)> {
    Some((view.id.short(), view.path_lost.clone()?))
}

/// Nothing where the engine does not tell whoever is signed in here, or not.
fn told<T>(answer: Result<T, Report>) -> Result<Option<T>, Report> {
    match answer {
        Ok(told) => Ok(Some(told)),
        Err(report) if report.kind == Kind::Denied => Ok(None),
        Err(report) => Err(report),
    }
}

fn entry(path: &Path) -> Option<Entry> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    let kind = match metadata.file_type() {
        kind if kind.is_file() => EntryKind::File,
        kind if kind.is_dir() => EntryKind::Directory,
        kind if kind.is_socket() => EntryKind::Socket,
        _ => EntryKind::Other,
    };
    Some(Entry { kind, mode: metadata.mode() & 0o7777, uid: metadata.uid() })
}

/// Free space where a directory is, or will be made.
fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|path| path.exists())?;
    let space = rustix::fs::statvfs(there).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

fn logind(user: Option<&str>) -> Logind {
    let lingers = |user: &str| {
        let plain = !user.contains('/') && !user.starts_with('.');
        plain && Path::new("/var/lib/systemd/linger").join(user).exists()
    };
    Logind {
        runs: Path::new("/run/systemd/system").exists(),
        kills: super::checks::kills_at_logout(&logind_files()),
        lingers: user.is_some_and(lingers),
    }
}

/// The texts of logind.conf(5), the strongest last.
fn logind_files() -> Vec<String> {
    let roots = ["/usr/lib/systemd", "/run/systemd", "/etc/systemd"];
    let mut drop_ins = BTreeMap::new();
    for root in roots {
        let folder = Path::new(root).join("logind.conf.d");
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            drop_ins.insert(file.file_name(), file.path());
        }
    }
    let mains = roots.map(|root| Path::new(root).join("logind.conf"));
    let main = mains.into_iter().rev().find(|path| path.exists());
    let paths = main.into_iter().chain(drop_ins.into_values());
    paths.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

fn programs(path: &str) -> BTreeSet<&'static str> {
    let runs = |program: &str| {
        path.split(':').filter(|folder| !folder.is_empty()).any(|folder| {
            let file = Path::new(folder).join(program);
            std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
        })
    };
    super::checks::PROGRAMS.into_iter().filter(|program| runs(program)).collect()
}

//! Judges the facts, one function a subject. Reads nothing and changes nothing.
//!
//! Here: files, and what the engine says; [`identity`] has people, and [`host`] the rest.

mod host;
mod identity;

use super::Check;
use super::facts::{Entry, EntryKind, Facts};
use crate::cli::words::Times;
use crate::domain::provider::{Health, ProviderKind};
use crate::protocol::{AuditVerdict, EngineView, ProviderView};
pub(super) use host::{PROGRAMS, kills_at_logout};

/// Every check, in the order in which they are read.
pub(super) fn all(facts: &Facts) -> Vec<Check> {
    let mut checks = if facts.of_host {
        of_host(facts)
    } else {
        vec![
            config(facts),
            config_owner(facts),
            state_dir(facts),
            free_space(facts),
            runtime_dir(facts),
            runtime_variable(facts),
            socket(facts),
        ]
    };
    checks.extend(engine(facts));
    checks.extend(host::all(facts));
    checks
}

/// What a user may know of files that are the host's engine's: that they are closed to others.
fn of_host(facts: &Facts) -> Vec<Check> {
    vec![
        closed("config", &facts.config_path, facts.config_file, 0o022),
        closed("state directory", &facts.state_path, facts.state_dir, 0o077),
        closed("engine socket", &facts.socket_path, facts.socket, 0o007),
    ]
}

/// Whoever is not its owner must not have any of the rights in `bits`.
fn closed(name: &str, path: &std::path::Path, entry: Option<Entry>, bits: u32) -> Check {
    let path = path.to_string_lossy();
    match entry {
        None => Check::ok(name, format!("`{path}` is not there, or closed to you")),
        Some(Entry { uid, mode, .. }) if mode & bits != 0 => Check::fail(
            name,
            format!("`{path}` of uid {uid} is open to others (mode {mode:03o})"),
            format!("as root: chmod {:03o} {path}", mode & !bits),
        ),
        Some(Entry { uid, mode, .. }) => Check::ok(
            name,
            format!("`{path}` is the host's engine's (uid {uid}, mode {mode:03o}), not yours"),
        ),
    }
}

fn config(facts: &Facts) -> Check {
    let path = facts.config_path.to_string_lossy();
    match &facts.config {
        Ok(checked) if checked.found => Check::ok(
            "config",
            format!(
                "`{path}` is right: sites {}, targets {}, providers {}",
                checked.sites, checked.targets, checked.providers
            ),
        ),
        Ok(_) => Check::ok("config", format!("there is no `{path}`; the defaults hold")),
        Err(report) => Check::of("config", report, "breakglass config check"),
    }
}

fn config_owner(facts: &Facts) -> Check {
    let name = "config owner";
    let path = facts.config_path.to_string_lossy();
    let Some(file) = facts.config_file else {
        return Check::ok(name, "there is no file that others could write");
    };
    let trusted = |entry: &Entry| entry.uid == facts.uid || entry.uid == 0;
    let ours = trusted(&file) && facts.config_dir.as_ref().is_none_or(trusted);
    let closed = |entry: &Entry| entry.mode & 0o022 == 0;
    if !ours {
        let detail = format!("`{path}`, or its folder, belongs to uid {}", file.uid);
        return Check::fail(name, detail, format!("chown {} {path}", facts.uid));
    }
    if !closed(&file) || !facts.config_dir.as_ref().is_none_or(closed) {
        let detail =
            format!("others may write `{path}` or its folder, and it says what is reached");
        return Check::fail(name, detail, format!("chmod go-w {path} \"$(dirname {path})\""));
    }
    Check::ok(name, format!("only uid {} may write it (mode {:03o})", file.uid, file.mode))
}

fn state_dir(facts: &Facts) -> Check {
    private_dir("state directory", &facts.state_path.to_string_lossy(), facts.state_dir, facts.uid)
}

fn runtime_dir(facts: &Facts) -> Check {
    let folder = facts.socket_path.parent().unwrap_or(&facts.socket_path);
    private_dir("runtime directory", &folder.to_string_lossy(), facts.runtime_dir, facts.uid)
}

fn private_dir(name: &str, path: &str, entry: Option<Entry>, uid: u32) -> Check {
    let Some(entry) = entry else {
        return Check::ok(name, format!("`{path}` is made when an engine first starts"));
    };
    if entry.kind != EntryKind::Directory {
        let fix = format!("move it away: mv {path} {path}.old");
        return Check::fail(name, format!("`{path}` is no directory"), fix);
    }
    if entry.uid != uid {
        let detail = format!("`{path}` belongs to uid {}, you are uid {uid}", entry.uid);
        return Check::fail(name, detail, "log in as its owner, not with su or sudo");
    }
    if entry.mode & 0o077 != 0 {
        let detail = format!("others may enter `{path}` (mode {:03o})", entry.mode);
        return Check::fail(name, detail, format!("chmod 700 {path}"));
    }
    Check::ok(name, format!("`{path}` is yours alone (mode {:03o})", entry.mode))
}

fn free_space(facts: &Facts) -> Check {
    let name = "free space";
    let fix = "make room: without it nothing can be recorded, so nothing is opened";
    match facts.state_free_bytes.map(|bytes| bytes / MEBIBYTE) {
        None => Check::warn(name, "how much is free cannot be told", "df -h"),
        Some(free) if free < FREE_MEBIBYTES_MIN => {
            Check::fail(name, format!("only {free} MiB are free for the state"), fix)
        }
        Some(free) if free < FREE_MEBIBYTES_GOOD => {
            Check::warn(name, format!("only {free} MiB are free for the state"), fix)
        }
        Some(free) => Check::ok(name, format!("{free} MiB are free for the state")),
    }
}

fn runtime_variable(facts: &Facts) -> Check {
    let name = "XDG_RUNTIME_DIR";
    match facts.environment.get(name).filter(|value| !value.is_empty()) {
        None => Check::warn(
            name,
            "not set; the engine's socket is in the state directory",
            "log in through PAM (ssh, not su), so that systemd makes one",
        ),
        Some(value) if facts.logind.runs && !facts.logind.lingers => Check::ok(
            name,
            format!("`{value}`; it goes away with your last login, as lingering is off"),
        ),
        Some(value) => Check::ok(name, format!("`{value}`")),
    }
}

fn socket(facts: &Facts) -> Check {
    let name = "engine socket";
    let path = facts.socket_path.to_string_lossy();
    let running = matches!(facts.engine, Ok(Some(_)));
    match facts.socket {
        None if running => Check::ok(name, "the engine is reached by another way"),
        None => Check::ok(name, format!("`{path}` is made when an engine starts")),
        Some(entry) if entry.kind != EntryKind::Socket => {
            Check::fail(name, format!("`{path}` is no socket"), format!("rm {path}"))
        }
        Some(entry) if entry.uid != facts.uid || entry.mode & 0o077 != 0 => Check::fail(
            name,
            format!("others may speak to `{path}` (uid {}, mode {:03o})", entry.uid, entry.mode),
            format!("chmod 600 {path}"),
        ),
        Some(_) if !running => {
            Check::ok(name, format!("`{path}` is left from an engine that is gone"))
        }
        Some(_) => Check::ok(name, format!("`{path}` is yours alone")),
    }
}

fn engine(facts: &Facts) -> Vec<Check> {
    let found = match &facts.engine {
        Err(report) => return vec![Check::of("engine", report, "breakglass engine status")],
        Ok(None) if facts.of_host => {
            let fix = "systemctl start breakglass";
            return vec![Check::fail("engine", "the engine of this host does not run", fix)];
        }
        Ok(None) => {
            let detail =
                "none runs; a verb that needs one starts it, and takes up what an earlier one left";
            return vec![Check::ok("engine", detail)];
        }
        Ok(Some(found)) => found,
    };
    let view = &found.view;
    let home = match (facts.of_host, view.detached) {
        (true, _) => "of this host",
        (false, true) => "a process of its own",
        (false, false) => "hosted by a terminal",
    };
    let mut checks = vec![Check::ok("engine", format!("process {}, {home}", view.pid))];
    checks.push(version(view));
    checks.push(alarms(view));
    checks.push(match found.owed {
        None => Check::ok("clean-up", UNTOLD),
        Some(0) => Check::ok("clean-up", "no session owes anything"),
        Some(owed) => Check::fail(
            "clean-up",
            format!("{owed} sessions are not proven gone"),
            "breakglass sessions --state cleanup-owed",
        ),
    });
    checks.extend(found.lost.iter().map(|(id, lost)| {
        let what = format!("path of session {id}");
        Check::warn(&what, lost, format!("breakglass show {id}"))
    }));
    checks.push(audit_chain(found.verdict.as_ref()));
    let times = Times::at_wall(facts.wall, view.wall_offset_millis);
    checks.extend(found.providers.iter().map(|view| provider(view, &times)));
    checks.extend(ssh_program(facts, &found.providers));
    checks.extend(identity::all(found));
    checks
}

fn audit_chain(verdict: Option<&AuditVerdict>) -> Check {
    let Some(verdict) = verdict else { return Check::ok("audit chain", UNTOLD) };
    match &verdict.broken {
        None => Check::ok(
            "audit chain",
            format!("holds: {} events, head {}", verdict.events, verdict.head),
        ),
        Some((seq, what)) => Check::fail(
            "audit chain",
            format!("breaks at event {seq}: {what}"),
            "keep a copy of the state directory, then: breakglass audit verify",
        ),
    }
}

fn version(view: &EngineView) -> Check {
    let name = "engine version";
    let ours = env!("CARGO_PKG_VERSION");
    if view.version == ours {
        return Check::ok(name, format!("{ours}, the same as this program's"));
    }
    let detail = format!("the engine is {}, this program is {ours}", view.version);
    Check::warn(name, detail, "end the sessions, then: breakglass engine stop")
}

fn alarms(view: &EngineView) -> Check {
    let name = "engine alarms";
    let texts: Vec<_> = view.alarms.iter().map(|alarm| alarm.text.as_str()).collect();
    match texts.as_slice() {
        [] => Check::ok(name, "none"),
        texts => Check::fail(name, texts.join("; "), "breakglass engine status"),
    }
}

fn provider(view: &ProviderView, times: &Times) -> Check {
    let name = format!("provider {}", view.id);
    let fix = format!("breakglass providers validate {}", view.id);
    match &view.health {
        _ if !view.enabled => Check::ok(&name, "disabled, so no new session gets a path here"),
        Health::Healthy => key_end(view, times).unwrap_or_else(|| Check::ok(&name, "healthy")),
        Health::Degraded { why } => {
            Check::warn(&name, format!("degraded: {why}{}", and_key(view, times)), fix)
        }
        Health::Down { why } => {
            Check::fail(&name, format!("down: {why}{}", and_key(view, times)), fix)
        }
    }
}

/// What is to be said of the key besides something else.
fn and_key(view: &ProviderView, times: &Times) -> String {
    let said = key_end(view, times).map(|check| format!("; and {}", check.detail));
    said.unwrap_or_default()
}

/// A key that ends soon, while what it is for still works.
fn key_end(view: &ProviderView, times: &Times) -> Option<Check> {
    let at = view.validation.as_ref()?.key_expires_at?;
    let left = times.left(at);
    let fix = format!("breakglass providers rotate-key {} --key-file FILE", view.id);
    let name = format!("provider {}", view.id);
    match left.as_seconds() {
        0 => Some(Check::fail(&name, "its key has expired", fix)),
        seconds if seconds < KEY_SECONDS_GOOD => {
            Some(Check::warn(&name, format!("its key ends in {left}"), fix))
        }
        _ => None,
    }
}

/// A bastion is reached by the program `ssh`. Where the engine is the host's, its own search path
/// counts, which is not ours to see.
fn ssh_program(facts: &Facts, providers: &[ProviderView]) -> Option<Check> {
    let bastion = providers.iter().find(|view| view.kind == ProviderKind::Ssh && view.enabled)?;
    if facts.of_host {
        return None;
    }
    Some(if facts.programs.contains("ssh") {
        Check::ok("ssh", "found; bastions are reached by it")
    } else {
        let detail = format!("provider {} is reached by `ssh`, which is not in PATH", bastion.id);
        Check::fail("ssh", detail, "install it: apt install openssh-client")
    })
}

/// What the engine does not tell is no complaint.
const UNTOLD: &str = "not told to who is signed in here, or not: breakglass whoami";
/// Two weeks: a key that ends sooner is worth a word.
const KEY_SECONDS_GOOD: u64 = 14 * 24 * 60 * 60;
const MEBIBYTE: u64 = 1 << 20;
const FREE_MEBIBYTES_MIN: u64 = 50;
const FREE_MEBIBYTES_GOOD: u64 = 500;

#[cfg(test)]
mod tests;

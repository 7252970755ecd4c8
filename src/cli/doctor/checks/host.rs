//! The host that everything runs on: clock, logins, terminal, limits, programs, proxies, mode.

use super::super::Check;
use super::super::facts::Facts;
use crate::cli::output::is_utf8;
use crate::domain::time::Timestamp;
use crate::protocol::Mode;

/// Every check of the host.
pub(super) fn all(facts: &Facts) -> Vec<Check> {
    vec![
        clock(facts),
        logout(facts),
        terminal(facts),
        locale(facts),
        colour(facts),
        core_dumps(facts),
        open_files(facts),
        programs(facts),
        proxies(facts),
        authorities(facts),
        mode(facts),
    ]
}

fn clock(facts: &Facts) -> Check {
    let name = "clock";
    let wall = facts.wall.to_rfc3339();
    if facts.wall < WALL_MIN {
        let detail = format!("the wall clock says {wall}, which is long past");
        return Check::fail(name, detail, "timedatectl set-ntp true");
    }
    let view = facts.engine.as_ref().ok().and_then(Option::as_ref).map(|found| &found.view);
    let offset = view.map_or(0, |view| view.wall_offset_millis / 1_000);
    if offset.abs() >= OFFSET_SECONDS_MAX {
        let detail = format!(
            "the wall clock was set by {offset} s since the engine began; leases go on unchanged"
        );
        return Check::warn(name, detail, "timedatectl timesync-status");
    }
    Check::ok(name, format!("{wall}; leases go by the boot clock, which nobody can set"))
}

fn logout(facts: &Facts) -> Check {
    let name = "logout";
    let fix = "loginctl enable-linger";
    if facts.of_host {
        return Check::ok(name, "the engine is the host's, so no logout ends anything");
    }
    match (facts.logind.runs, facts.logind.lingers, facts.logind.kills) {
        (false, ..) => Check::ok(name, "no systemd here, so a logout kills no engine"),
        (_, true, _) => Check::ok(name, "lingering is on, so sessions outlive your logins"),
        (_, _, Some(false)) => {
            Check::ok(name, "KillUserProcesses is off, so sessions outlive your logins")
        }
        (_, _, Some(true)) => Check::warn(
            name,
            "KillUserProcesses is on and lingering off: your last logout kills the engine, and \
             sessions are taken up only at the next start",
            fix,
        ),
        (_, _, None) => Check::warn(
            name,
            "lingering is off, and whether a logout kills the engine cannot be told",
            fix,
        ),
    }
}

/// Returns whether logind kills what a login leaves behind, as its files say, the strongest last.
///
/// Where none says so, the comment of the packaged file does: it shows the built-in default.
pub(in crate::cli::doctor) fn kills_at_logout(files: &[String]) -> Option<bool> {
    let value = |line: &str| match line.split_once('=')? {
        (key, _) if key.trim() != "KillUserProcesses" => None,
        (_, value) => match value.trim() {
            "yes" | "true" | "on" | "1" => Some(true),
            "no" | "false" | "off" | "0" => Some(false),
            _ => None,
        },
    };
    let said = files.iter().flat_map(|text| text.lines()).filter_map(value).next_back();
    let comments = files.iter().flat_map(|text| text.lines());
    said.or_else(|| comments.filter_map(|line| value(line.trim().strip_prefix('#')?)).next())
}

fn terminal(facts: &Facts) -> Check {
    let name = "terminal";
    let term = facts.environment.get("TERM").map_or("", String::as_str);
    let seen = format!("TERM is `{term}`");
    if !facts.terminal.stdout_tty || !facts.stdin_tty {
        return Check::ok(name, format!("{seen}; this is no terminal, so the plain face is used"));
    }
    if term.is_empty() || term == "dumb" {
        let fix = "export TERM=xterm-256color, if your terminal is more than that";
        return Check::warn(name, format!("{seen}, so the plain face is used"), fix);
    }
    match facts.terminal.width {
        Some(width) if width < COLUMNS_MIN => {
            let detail = format!("{seen}, {width} columns; the screens need {COLUMNS_MIN}");
            Check::warn(name, detail, "make the window wider, or use --plain")
        }
        Some(width) => Check::ok(name, format!("{seen}, {width} columns")),
        None => Check::ok(name, seen),
    }
}

fn locale(facts: &Facts) -> Check {
    if is_utf8(&facts.environment) {
        return Check::ok("locale", "UTF-8");
    }
    let detail = "not UTF-8, so everything is drawn in ASCII";
    Check::warn("locale", detail, "export LANG=C.UTF-8")
}

fn colour(facts: &Facts) -> Check {
    let set = |name: &str| facts.environment.get(name).is_some_and(|value| !value.is_empty());
    let detail = match (facts.terminal.colour, set("NO_COLOR")) {
        (true, _) => "in use; it only ever repeats a word",
        (false, true) => "none, as NO_COLOR says",
        (false, false) => "none, as this is no terminal that has it",
    };
    Check::ok("colour", detail)
}

fn core_dumps(facts: &Facts) -> Check {
    match facts.core_bytes_max {
        Some(0) => Check::ok("core dumps", "off"),
        _ => Check::warn(
            "core dumps",
            "on for this shell: a crash would write memory to disk",
            "ulimit -c 0",
        ),
    }
}

fn open_files(facts: &Facts) -> Check {
    let name = "open files";
    let fix = "ulimit -n 4096";
    match facts.open_files_max {
        Some(max) if max < FILES_MIN => {
            Check::fail(name, format!("at most {max}, and each connection takes two"), fix)
        }
        Some(max) if max < FILES_GOOD => {
            let detail = format!("at most {max}: enough for some {} connections", (max - 64) / 2);
            Check::warn(name, detail, fix)
        }
        Some(max) => Check::ok(name, format!("at most {max}")),
        None => Check::ok(name, "no limit"),
    }
}

fn programs(facts: &Facts) -> Check {
    let (found, missing): (Vec<_>, Vec<_>) =
        PROGRAMS.into_iter().partition(|program| facts.programs.contains(program));
    let list = |programs: Vec<&str>| match programs.as_slice() {
        [] => "none".to_owned(),
        programs => programs.join(", "),
    };
    let none = found.is_empty();
    let detail = format!("found: {}; not found: {}", list(found), list(missing));
    if none {
        return Check::warn("client programs", detail, "install what your targets need");
    }
    Check::ok("client programs", detail)
}

pub(super) fn proxies(facts: &Facts) -> Check {
    let names =
        ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let set: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((name, facts.environment.get(name)?)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name} ({})", host_of(value)))
        .collect();
    match set.as_slice() {
        [] => Check::ok("proxies", "none set"),
        set => Check::ok("proxies", format!("{}; {PROXY_USE}", set.join(", "))),
    }
}

/// Files of the environment that say whom to trust (OpenSSL's variables).
fn authorities(facts: &Facts) -> Check {
    let set = |name: &&str| facts.environment.get(*name).is_some_and(|value| !value.is_empty());
    let value = |name: &str| facts.environment.get(name).map_or("", String::as_str).to_owned();
    let set: Vec<_> = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .filter(|name| set(name))
        .map(|name| format!("{name} ({})", value(name)))
        .collect();
    match set.as_slice() {
        [] => Check::ok("authorities", "no file of the environment adds any"),
        set => Check::ok("authorities", format!("{}; in personal mode alone", set.join(", "))),
    }
}

/// The host of a proxy's URL, without what may be a password.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn mode(facts: &Facts) -> Check {
    let engine = facts.engine.as_ref().ok().and_then(Option::as_ref);
    if engine.is_some_and(|found| found.identity.mode == Mode::System) {
        return Check::ok("mode", Mode::System.meaning());
    }
    if facts.uid == 0 {
        return Check::warn(
            "mode",
            "personal, and you are root: every session is root's, whoever sits here",
            "log in as yourself",
        );
    }
    Check::ok(
        "mode",
        format!(
            "personal: engine, sessions and audit belong to uid {}; signing in records who acts, and \
             cannot bar whoever owns that account: they can change all of it, which the audit shows \
             only against a head noted elsewhere",
            facts.uid
        ),
    )
}

/// The client programs that offered commands use.
pub(in crate::cli::doctor) const PROGRAMS: [&str; 8] =
    ["psql", "mysql", "redis-cli", "mongosh", "ssh", "kubectl", "curl", "nc"];

/// Single sign-on is plain HTTPS, a session's path is not.
const PROXY_USE: &str = "single sign-on uses them in personal mode, Direct never";

/// 2025-01-01: no copy of this program is older.
const WALL_MIN: Timestamp = Timestamp::from_millis(1_735_689_600_000);
const OFFSET_SECONDS_MAX: i64 = 30;
const COLUMNS_MIN: usize = 60;
const FILES_MIN: u64 = 256;
const FILES_GOOD: u64 = 2_200;

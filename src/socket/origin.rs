//! Where a process sits: its terminal, as the kernel says, and where its login came from, as logind
//! has recorded it. Nothing of it is chosen by the process.
//!
//! `pam_systemd(8)` puts each login into a control group `session-N.scope` and notes in
//! `/run/systemd/sessions/N` (sd-login(3)) which host it came from; only root writes there. Where
//! there is no logind, nothing is known.

use std::path::Path;

use crate::domain::text;
use crate::protocol::Origin;

/// Returns who a process is to an engine.
#[must_use]
pub fn origin_of(uid: u32, pid: Option<i32>) -> Origin {
    let seat = pid.and_then(seat_of);
    let (tty, session) = seat.map_or((None, None), |(tty, session)| (Some(tty), Some(session)));
    Origin { uid, pid, tty, session, remote: pid.and_then(remote_of) }
}

/// Returns the terminal of a process, `pts/3` or `tty1`, and the session id of the login there;
/// nothing where it has none, or is gone.
fn seat_of(pid: i32) -> Option<(String, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    seat_in(&stat)
}

/// Finds terminal and session in a line of proc_pid_stat(5).
///
/// The name of a program stands in parentheses and may hold anything, parentheses too; what follows
/// the last one is state, parent, group, session and the device number of the terminal.
fn seat_in(stat: &str) -> Option<(String, i32)> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(3);
    let session = fields.next()?.parse().ok()?;
    let device: u32 = fields.next()?.parse().ok()?;
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    let tty = match major {
        4 => format!("tty{minor}"),
        // Unix98 pseudo-terminals have eight majors (devices.txt of the Linux kernel).
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => return None,
    };
    Some((tty, session))
}

/// Returns the address from which the login came that a process belongs to.
fn remote_of(pid: i32) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let number = session_in(&groups)?;
    let record = Path::new("/run/systemd/sessions").join(number);
    remote_in(&std::fs::read_to_string(record).ok()?)
}

/// Finds the number of the login in the control groups of a process (proc_pid_cgroup(5)).
fn session_in(groups: &str) -> Option<&str> {
    let part = groups
        .lines()
        .flat_map(|line| line.split('/'))
        .find_map(|part| part.strip_prefix("session-")?.strip_suffix(".scope"))?;
    part.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(part)
}

/// Finds the address in logind's record of a login.
fn remote_in(record: &str) -> Option<String> {
    let host = record.lines().find_map(|line| line.strip_prefix("REMOTE_HOST="))?;
    let clean = text::shown(host.trim());
    Some(clean).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_names_the_terminal() {
        for (stat, terminal) in [
            ("77 (sh) S 1 77 70 34819 78 4194304", Some(("pts/3", 70))),
            ("77 (a ) b) S 1 77 71 1025 78 4194304", Some(("tty1", 71))),
            ("77 (engine) S 1 77 77 0 -1 4194304", None),
            ("77 (sh", None),
            ("", None),
        ] {
            let seat = seat_in(stat);
            let seat = seat.as_ref().map(|(tty, session)| (tty.as_str(), *session));
            assert_eq!(seat, terminal, "{stat}");
        }
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        assert_eq!(seat_of(i32::MAX), None);
    }

    #[test]
    fn the_login_is_found_in_the_control_groups() {
        let groups = "1:name=systemd:/\n0::/user.slice/user-1000.slice/session-42.scope\n";
        assert_eq!(session_in(groups), Some("42"));
        assert_eq!(session_in("0::/user.slice/session-c3.scope/deeper"), Some("c3"));
        assert_eq!(session_in("0::/system.slice/cron.service"), None);
        assert_eq!(session_in("0::/session-..%2fx.scope"), None);
    }

    #[test]
    fn the_host_is_what_logind_has_noted() {
        let record =
            "# This is private data. Do not parse.\nUID=1000\nREMOTE=1\nREMOTE_HOST=192.0.2.7\n";
        assert_eq!(remote_in(record).as_deref(), Some("192.0.2.7"));
        assert_eq!(remote_in("UID=1000\nREMOTE=0\n"), None);
        assert_eq!(remote_in("REMOTE_HOST=\n"), None);
    }

    #[test]
    fn a_process_that_is_gone_came_from_nowhere() {
        assert_eq!(remote_of(i32::MAX), None);
    }
}

//! A program that lives on, also without us.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;
use tokio::process::Command;
use tokio::time::timeout;

use super::Variables;
use crate::domain::time::Span;

/// A program that is to live on.
#[derive(Clone, Debug)]
pub struct Keep<'a> {
    /// The program with its arguments, among them the mark by which it is found.
    pub words: Vec<OsString>,
    /// Its environment.
    pub variables: &'a Variables,
    /// After how long it is ended, whatever becomes of us.
    pub ends_in: Span,
    /// Where it writes what it complains of; nowhere where absent.
    pub complaints: Option<&'a Path>,
}

/// A process that bears a mark.
#[derive(Debug)]
pub struct Found {
    /// Its number, for people.
    pub pid: i32,
    /// What names it for sure, as long as this is held.
    handle: OwnedFd,
}

/// Starts a program that lives on, in a process group of its own, away from every terminal's input.
///
/// `timeout` ends it in time, its whole group: `timeout -k 5 SECONDS PROGRAM...`.
///
/// # Errors
///
/// When it is not started.
pub fn keep(keep: Keep<'_>) -> io::Result<()> {
    let complaints = match keep.complaints {
        Some(path) => Stdio::from(File::options().create(true).append(true).open(path)?),
        None => Stdio::null(),
    };
    let mut command = Command::new("timeout");
    command.args(["-k", "5", &keep.ends_in.as_seconds().max(1).to_string()]);
    command
        .args(keep.words)
        .env_clear()
        .envs(keep.variables)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(complaints)
        .process_group(0);
    // Nobody waits for it by name: the runtime reaps what it has started and let go of.
    command.spawn().map(drop)
}

/// Finds the processes of this user that bear a mark in their arguments or their environment, but
/// for this one.
///
/// # Errors
///
/// When the processes cannot be listed. One that may not be looked into is not ours.
pub fn find(mark: &str) -> io::Result<Vec<Found>> {
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Some(id) = Pid::from_raw(pid).filter(|_| pid != own_pid()) else { continue };
        // The descriptor first: what is read then is of this process or of none.
        let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { continue };
        if bears(pid, mark) && is_ours(pid) {
            found.push(Found { pid, handle });
        }
    }
    Ok(found)
}

/// Finds what was just kept. A program bears nothing at the instant at which it begins, so it is
/// looked for again for a moment; what has ended by then is not found.
///
/// # Errors
///
/// As [`find`] has them.
pub async fn begun(mark: &str) -> io::Result<Vec<Found>> {
    for _ in 0..BEGINS_LOOKS {
        let found = find(mark)?;
        if !found.is_empty() {
            return Ok(found);
        }
        tokio::time::sleep(BEGINS_EVERY).await;
    }
    Ok(vec![])
}

/// Ends what bears a mark: asks first, and after `patience` insists. Returns how many are left.
///
/// # Errors
///
/// When the processes cannot be listed.
pub async fn end(mark: &str, patience: Duration) -> io::Result<usize> {
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, INSIST)] {
        let found = find(mark)?;
        for process in &found {
            // One that is gone meanwhile is gone.
            pidfd_send_signal(&process.handle, signal).ok();
        }
        let all_gone = async {
            for process in found {
                gone(process).await;
            }
        };
        timeout(patience, all_gone).await.ok();
    }
    find(mark).map(|left| left.len())
}

/// Waits until a process is gone.
pub async fn gone(process: Found) {
    #[expect(
        deprecated,
        reason = "the other one is unsafe; of an owned descriptor this one is sound"
    )]
    let handle = AsyncFd::new(process.handle);
    match handle {
        // A pidfd is readable once its process has ended (pidfd_open(2)).
        Ok(handle) => drop(handle.readable().await),
        Err(error) => {
            tracing::warn!(%error, pid = process.pid, "a process cannot be watched");
            std::future::pending().await
        }
    }
}

fn bears(pid: i32, mark: &str) -> bool {
    // What has ended and is not waited for yet has neither arguments nor environment any more.
    ["cmdline", "environ"].iter().any(|file| {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(mark.len().max(1)).any(|window| window == mark.as_bytes())
    })
}

/// True where the process runs as this user. Whoever else writes a mark of ours into their own
/// arguments is not believed. (Who owns the folder in `/proc` says nothing: that of an agent, which
/// keeps its memory to itself, is root's.)
fn is_ours(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let real = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    real == Some(rustix::process::getuid().as_raw())
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or_default()
}

/// How often, and after how long, is looked again for what was just kept.
const BEGINS_LOOKS: usize = 25;
const BEGINS_EVERY: Duration = Duration::from_millis(10);

/// How long an insisting signal takes at the most.
const INSIST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into()
    }

    fn kept(mark: &str, script: &str, ends_in: Span) {
        let words = ["sh", "-c", script, mark].map(OsString::from).to_vec();
        let variables = variables();
        keep(Keep { words, variables: &variables, ends_in, complaints: None }).unwrap();
    }

    async fn until(mark: &str, there: bool) {
        while find(mark).unwrap().is_empty() == there {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_was_just_kept_is_found_however_early_one_looks() {
        let mark = format!("bg-test-{}-early", std::process::id());
        let starts = async {
            tokio::time::sleep(BEGINS_EVERY + BEGINS_EVERY).await;
            kept(&mark, "sleep 600; true", Span::from_minutes(10));
        };
        let (found, ()) = tokio::join!(begun(&mark), starts);
        assert!(!found.unwrap().is_empty());
        assert_eq!(end(&mark, Duration::from_secs(5)).await.unwrap(), 0);
        assert!(begun(&mark).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_kept_is_found_by_its_mark_and_ended() {
        let mark = format!("bg-test-{}-plain", std::process::id());
        kept(&mark, "sleep 600; true", Span::from_minutes(10));
        until(&mark, true).await;
        assert_eq!(end(&mark, Duration::from_secs(5)).await.unwrap(), 0);
        assert!(find(&mark).unwrap().is_empty());
        assert_eq!(end(&mark, Duration::ZERO).await.unwrap(), 0, "what is gone is gone");
    }

    #[tokio::test]
    async fn what_does_not_listen_is_ended_all_the_same() {
        let mark = format!("bg-test-{}-deaf", std::process::id());
        kept(&mark, "trap '' TERM; while :; do sleep 0.05; done", Span::from_minutes(10));
        until(&mark, true).await;
        assert_eq!(end(&mark, Duration::from_millis(100)).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn it_ends_by_itself_when_nobody_is_left_to_end_it() {
        let mark = format!("bg-test-{}-alone", std::process::id());
        kept(&mark, "sleep 600; true", Span::from_seconds(1));
        until(&mark, true).await;
        until(&mark, false).await;
    }
}

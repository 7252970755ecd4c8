//! Watches an open connection: its end, whether it still answers, and what it complains of.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Bastion;
use super::steps::{Action, connection};
use crate::process;
use crate::provider::{Lost, Made, Told};
use crate::ssh::config::hop_log;
use crate::ssh::mux::{Mux, MuxError};
use crate::ssh::reading::{self, place};

impl Bastion {
    /// Returns once the connection is surely gone.
    pub(super) async fn guard(&self, steps: &[Made], trouble: mpsc::Sender<Told>) -> Lost {
        let Some((step, action)) = connection(steps) else {
            return std::future::pending().await;
        };
        let mut log = LogTail::at_the_end(action.master().log());
        let why = loop {
            match self.follow(&action, &mut log, &trouble).await {
                Some(why) => break why,
                None => sleep(AGAIN_IN).await,
            }
        };
        tell(&action, &mut log, &trouble);
        Lost { step, why }
    }

    /// Follows the connection until it is gone, and says why; none where that is not sure.
    async fn follow(
        &self,
        action: &Action,
        log: &mut LogTail,
        trouble: &mpsc::Sender<Told>,
    ) -> Option<String> {
        let mut mux = match Mux::connect(&action.master().control()).await {
            Ok(mux) => mux,
            Err(error) => return self.unanswered(action, &error).await,
        };
        for round in 1_u64.. {
            tokio::select! {
                () = mux.ended() => break,
                () = sleep(ROUND) => tell(action, log, trouble),
            }
            if round.is_multiple_of(ALIVE_EVERY)
                && let Err(error) = mux.alive().await
            {
                return self.unanswered(action, &error).await;
            }
        }
        // It has let go of us: its process is on its way out.
        let found = process::find(&action.master().mark()).unwrap_or_default();
        let gone = async {
            for process in found {
                process::gone(process).await;
            }
        };
        tokio::time::timeout(GOES_IN, gone).await.ok();
        self.ending(action).map(|failure| failure.to_string())
    }

    /// Says whether a connection that does not answer is gone. One that hangs is ended.
    async fn unanswered(&self, action: &Action, error: &MuxError) -> Option<String> {
        if let Some(failure) = self.ending(action) {
            return Some(failure.to_string());
        }
        if !matches!(error, MuxError::Silent(_)) && action.master().control().exists() {
            return None;
        }
        let why = format!("its `ssh` hangs on this host ({error}); it was ended");
        let left = process::end(&action.master().mark(), Duration::ZERO).await;
        left.is_ok_and(|left| left == 0).then_some(why)
    }
}

/// Tells each new complaint once.
fn tell(action: &Action, log: &mut LogTail, trouble: &mpsc::Sender<Told>) {
    let (host, target) = (place(&action.bastion), action.target.to_string());
    for line in log.new_lines() {
        let Some(why) = reading::channel(&line, &host, &target) else { continue };
        if log.told.len() < TOLD_MAX && log.told.insert(why.to_string()) {
            // Where nobody reads them, one more is of no use.
            trouble.try_send(Told::Trouble(why.to_string())).ok();
        }
    }
    for number in 1..=action.bastion.jump.len() {
        cut_long(&hop_log(&log.path, number));
    }
}

/// The end of a growing log.
struct LogTail {
    path: PathBuf,
    offset: u64,
    /// What was told already, until the log is cut.
    told: BTreeSet<String>,
    rounds: u32,
}

impl LogTail {
    fn at_the_end(path: PathBuf) -> Self {
        let offset = path.metadata().map_or(0, |it| it.len());
        Self { path, offset, told: BTreeSet::new(), rounds: 0 }
    }

    /// Reads the lines that are new and whole, and cuts the log where it has grown long.
    fn new_lines(&mut self) -> Vec<String> {
        self.rounds += 1;
        if self.rounds.is_multiple_of(TOLD_FOR) {
            self.told.clear();
        }
        if self.path.metadata().is_ok_and(|it| it.len() < self.offset) {
            // It was cut by the engine before this one.
            self.offset = 0;
        }
        let Ok(bytes) = read_from(&self.path, self.offset) else { return vec![] };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let text = bytes.get(..whole).unwrap_or_default();
        self.offset += u64::try_from(whole).unwrap_or_default();
        if cut_long(&self.path) {
            self.offset = 0;
        }
        String::from_utf8_lossy(text).lines().map(ToOwned::to_owned).collect()
    }
}

/// Cuts a log that has grown long, whatever its last line is, and says whether it did. `ssh` appends
/// to it, so it goes on at the start.
fn cut_long(path: &Path) -> bool {
    if path.metadata().map_or(0, |it| it.len()) <= LOG_BYTES_MAX {
        return false;
    }
    let file = std::fs::File::options().write(true).open(path);
    file.and_then(|file| file.set_len(0)).is_ok()
}

fn read_from(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![];
    file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How often the log is read, and every how many of these the connection is asked whether it lives.
const ROUND: Duration = Duration::from_secs(1);
const ALIVE_EVERY: u64 = 5;
/// For how many rounds the same complaint is not told again, and how many are told in that time.
const TOLD_FOR: u32 = 60;
const TOLD_MAX: usize = 50;
const AGAIN_IN: Duration = Duration::from_millis(500);
/// How long a process may take to go once it has closed its socket.
const GOES_IN: Duration = Duration::from_secs(2);
const LOG_BYTES_MAX: u64 = 64 * 1024;
const READ_BYTES_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_log_is_read_line_by_line_and_does_not_grow_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        let mut ssh = std::fs::File::options().append(true).open(&path).unwrap();
        let mut log = LogTail::at_the_end(path.clone());
        ssh.write_all(b"one\ntw").unwrap();
        assert_eq!(log.new_lines(), ["one"]);
        ssh.write_all(b"o\n").unwrap();
        assert_eq!(log.new_lines(), ["two"]);
        let long = format!("{}\n", "x".repeat(usize::try_from(LOG_BYTES_MAX).unwrap()));
        ssh.write_all(long.as_bytes()).unwrap();
        assert_eq!(log.new_lines().len(), 1);
        assert_eq!(path.metadata().unwrap().len(), 0, "it was cut");
        ssh.write_all(b"three\n").unwrap();
        assert_eq!(log.new_lines(), ["three"]);
        let endless = "y".repeat(3 * usize::try_from(READ_BYTES_MAX).unwrap());
        ssh.write_all(endless.as_bytes()).unwrap();
        log.new_lines();
        assert_eq!(path.metadata().unwrap().len(), 0, "no line break keeps it from being cut");
        ssh.write_all(b"four\n").unwrap();
        assert_eq!(log.new_lines(), ["four"]);
    }

    #[test]
    fn the_logs_of_hops_are_cut_too_and_complaints_have_an_end() {
        let root = tempfile::tempdir().unwrap();
        let mut order = super::super::steps::tests::order();
        order.marker.session = "s".to_owned();
        let bastion = super::super::steps::tests::bastion();
        let id = "bastion".parse().unwrap();
        let steps = super::super::steps::plan(&id, &bastion, root.path(), &order).unwrap();
        let action = Action::of(&steps[0]).unwrap();
        std::fs::create_dir(&action.folder).unwrap();
        let path = action.master().log();
        std::fs::write(&path, "").unwrap();
        let mut log = LogTail::at_the_end(path.clone());
        let long = "z".repeat(usize::try_from(LOG_BYTES_MAX).unwrap() + 1);
        std::fs::write(hop_log(&path, 1), long).unwrap();
        let lines = (0..1_000).map(|n| format!("channel {n}: open failed: connect failed: {n}\n"));
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        let (told, mut hears) = mpsc::channel(2_000);
        tell(&action, &mut log, &told);
        assert_eq!(hop_log(&path, 1).metadata().unwrap().len(), 0);
        drop(told);
        let mut heard = 0;
        while hears.try_recv().is_ok() {
            heard += 1;
        }
        assert_eq!(heard, TOLD_MAX);
    }
}

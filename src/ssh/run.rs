//! One command on a host.

use std::path::Path;

use super::Ssh;
use super::config;
use super::failure::{SshFailure, Trouble};
use super::folder::{Folder, check_files, failed, write};
use super::reading::{self, FLOODED, Logs};
use crate::domain::connect::quote;
use crate::domain::ssh::SshDestination;
use crate::domain::text;
use crate::domain::time::Span;
use crate::process::{self, Program, Ran, RunError};

impl Ssh {
    /// Runs a command on a host, without a terminal, and gives it `input` to read.
    ///
    /// Every word arrives there as it is: it is quoted for a POSIX shell. What the command itself
    /// answers is no error, whatever its exit code is.
    ///
    /// # Errors
    ///
    /// When the command was not run, or its end was not seen ([`SshFailure::may_have_run`]).
    pub async fn run(
        &self,
        to: &SshDestination,
        words: &[String],
        input: &[u8],
        limit: Span,
    ) -> Result<Ran, SshFailure> {
        let line: Vec<_> = words.iter().map(|word| remote_word(word)).collect::<Result<_, _>>()?;
        check_files(to)?;
        let folder = Folder::fresh(self)?;
        let file = folder.path().join("config");
        let log = folder.path().join("log");
        write(&file, &config::file(&self.whose, to, None)?)
            .map_err(|error| failed(&file.to_string_lossy(), &error))?;
        let mut words = config::words(&file, &log, to);
        words.extend(["-T".to_owned(), "--".to_owned(), to.host.to_string(), line.join(" ")]);
        let program =
            Program::new(config::limited(words)).with(&self.variables).reading(input).within(limit);
        let ran = process::run(program).await;
        let logs = Logs::read(&log, to.jump.len());
        match ran {
            // What a shell says of a program that it cannot run; `ssh` makes its log first.
            Ok(Ran { code: Some(126 | 127), stderr, .. }) if !log.exists() => {
                let why = stderr.lines().last().map(text::shown).unwrap_or_default();
                Err(Trouble::NoProgram { why }.into())
            }
            ran => self.outcome(to, ran, &logs, limit),
        }
    }

    fn outcome(
        &self,
        to: &SshDestination,
        ran: Result<Ran, RunError>,
        logs: &Logs,
        limit: Span,
    ) -> Result<Ran, SshFailure> {
        match ran {
            Ok(ran) => match logs.command_end() {
                Some(true) => Ok(ran),
                // The remote command was ended by a signal; ssh makes 255 of it.
                Some(false) => Ok(Ran { code: None, ..ran }),
                None if ran.code == Some(0) => Ok(ran),
                None => Err(reading::failure(logs, to, &self.known_hosts(to))),
            },
            Err(RunError::NotStarted { source, .. }) => {
                Err(Trouble::NoProgram { why: source.to_string() }.into())
            }
            Err(RunError::TimedOut { .. }) => {
                let late = Trouble::TooLate { place: to.to_string(), limit };
                Err(SshFailure::new(late, logs.command_was_sent()))
            }
            Err(RunError::Lost { source, .. }) => {
                let why = text::shown(&source.to_string());
                let other = Trouble::Other { place: to.to_string(), why };
                Err(SshFailure::new(other, true))
            }
        }
    }
}

/// Returns a word as it stands in a command line there. Unlike what is only shown to people, it must
/// arrive as it is.
fn remote_word(word: &str) -> Result<String, SshFailure> {
    if word.contains('\0') {
        return Err(failed("the command line", &"a word holds a NUL"));
    }
    let quoted = quote(word);
    let altered = word.chars().any(text::must_show);
    Ok(if altered { format!("'{}'", word.replace('\'', r"'\''")) } else { quoted })
}

/// Returns the end of a log, at most [`LOG_BYTES_MAX`] of it; nothing where there is none, and
/// [`FLOODED`] where it has reached its limit.
pub(super) fn tail(path: &Path) -> String {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        if length >= config::LOG_BYTES_LIMIT {
            return Ok(FLOODED.into());
        }
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX)))?;
        let mut bytes = vec![];
        file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// How much of a log is read.
const LOG_BYTES_MAX: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_program_writes_a_log_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, "debug1: Connecting to x\n").unwrap();
        assert_eq!(tail(&log), "debug1: Connecting to x\n");
        let script = "head -c 40000000 /dev/zero >>\"$1\"; echo \"$?\"";
        let words = ["sh", "-c", script, "sh", &log.to_string_lossy()].map(str::to_owned);
        let variables = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        let program = Program::new(config::limited(words.into())).with(&variables);
        let ran = process::run(program).await.unwrap();
        assert_ne!(ran.stdout, "0\n");
        assert!(log.metadata().unwrap().len() <= 2 * config::LOG_BYTES_LIMIT);
        let logs = Logs::read(&log, 0);
        assert_eq!(logs.main, FLOODED);
        assert!(logs.command_was_sent(), "nobody can tell");
        let to = SshDestination::new("bastion".parse().unwrap());
        let said = reading::failure(&logs, &to, Path::new("/k")).to_string();
        assert!(said.ends_with(FLOODED), "{said}");
    }
}

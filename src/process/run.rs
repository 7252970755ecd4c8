//! A program that does one thing and ends.

use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::Variables;
use crate::domain::text;
use crate::domain::time::Span;

/// A program with everything that it is given.
#[derive(Clone, Debug)]
pub struct Program {
    words: Vec<OsString>,
    variables: Variables,
    input: Zeroizing<Vec<u8>>,
    limit: Span,
}

impl Program {
    /// A program with its arguments; the first word is looked up in the `PATH` that it is given.
    #[must_use]
    pub fn new(words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            variables: Variables::new(),
            input: Zeroizing::default(),
            limit: LIMIT,
        }
    }

    /// Gives it these variables and no others.
    #[must_use]
    pub fn with(self, variables: &Variables) -> Self {
        Self { variables: variables.clone(), ..self }
    }

    /// Gives it something to read; it may be secret.
    #[must_use]
    pub fn reading(self, input: impl Into<Vec<u8>>) -> Self {
        Self { input: Zeroizing::new(input.into()), ..self }
    }

    /// Lets it run so long; 10 s where nothing is said.
    #[must_use]
    pub fn within(self, limit: Span) -> Self {
        Self { limit, ..self }
    }

    fn name(&self) -> String {
        self.words.first().map(|word| text::shown(&word.to_string_lossy())).unwrap_or_default()
    }
}

/// How a program ended, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it printed, up to [`OUTPUT_BYTES_MAX`]; not clean, and it may hold secrets.
    pub stdout: String,
    /// What it complained of, likewise.
    pub stderr: String,
}

impl Ran {
    /// True where it says that all went well.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.code == Some(0)
    }

    /// The last line of what it complained of, clean.
    #[must_use]
    pub fn complaint(&self) -> String {
        let last = self.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
        match (last, self.code) {
            (Some(line), _) => text::shown(line),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => "ended by a signal".to_owned(),
        }
    }
}

/// Why nobody knows what a program did.
#[derive(Debug, Error)]
pub enum RunError {
    /// It was never started.
    #[error("cannot run `{program}`: {source}")]
    NotStarted {
        /// The first word.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It was started and did not end in time; it was ended.
    #[error("`{program}` did not end within {limit}")]
    TimedOut {
        /// The first word.
        program: String,
        /// How long was waited.
        limit: Span,
    },
    /// It was started, and lost.
    #[error("`{program}` was lost: {source}")]
    Lost {
        /// The first word.
        program: String,
        /// Why.
        source: io::Error,
    },
}

/// The most that is kept of each output, in bytes; the rest is read and dropped.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Runs a program to its end.
///
/// # Errors
///
/// When it is not started, or its end is not seen in time. Dropping the future ends it too.
pub async fn run(program: Program) -> Result<Ran, RunError> {
    let name = program.name();
    let (limit, input) = (program.limit, program.input.clone());
    let not_started = |source| RunError::NotStarted { program: name.clone(), source };
    let mut group = Group(start(&program).map_err(not_started)?);
    let done = timeout(limit.to_std(), finish(&mut group.0, &input)).await;
    match done {
        Ok(Ok(ran)) => Ok(ran),
        Ok(Err(source)) => Err(RunError::Lost { program: name, source }),
        Err(_) => Err(RunError::TimedOut { program: name, limit }),
    }
}

fn start(program: &Program) -> io::Result<Child> {
    let (first, rest) = program.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(first)
        .args(rest)
        .env_clear()
        .envs(&program.variables)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// A child whose process group goes with it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // One that has ended by itself is gone; nothing else can have its number before it is
            // waited for, which has not happened where it still has an id.
            kill_process_group(leader, Signal::KILL).ok();
        }
    }
}

async fn finish(child: &mut Child, input: &[u8]) -> io::Result<Ran> {
    let mut stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let write = async move {
        if let Some(stdin) = &mut stdin {
            // Whoever does not read what it is given does not want it.
            stdin.write_all(input).await.ok();
        }
        drop(stdin);
    };
    let (mut said, mut complained) = (vec![], vec![]);
    let reading = async {
        tokio::join!(read(stdout, &mut said), read(stderr, &mut complained));
    };
    let status = {
        tokio::pin!(reading);
        tokio::pin!(write);
        let ended = async {
            let wait = child.wait();
            tokio::pin!(wait);
            let (mut written, mut read) = (false, false);
            loop {
                tokio::select! {
                    status = &mut wait => break status.map(|status| (status, read)),
                    () = &mut write, if !written => written = true,
                    () = &mut reading, if !read => read = true,
                }
            }
        };
        let (status, read) = ended.await?;
        if !read {
            // Something that it has started may hold the pipe for ever.
            timeout(DRAIN, &mut reading).await.ok();
        }
        status
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { code: status.code(), stdout: text(&said), stderr: text(&complained) })
}

async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut chunk = vec![0; 16 * 1024];
    loop {
        match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                let room = OUTPUT_BYTES_MAX.saturating_sub(into.len());
                into.extend_from_slice(chunk.get(..count.min(room)).unwrap_or_default());
            }
        }
    }
}

const LIMIT: Span = Span::from_seconds(10);
/// How long an output is waited for once its program has ended.
const DRAIN: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        Program::new(["sh", "-c", script]).with(&[path].into())
    }

    #[tokio::test]
    async fn a_program_reads_says_and_ends() {
        let ran = run(sh("cat; echo odd >&2; exit 3").reading("hello")).await.unwrap();
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (Some(3), "hello", "odd\n")
        );
        assert_eq!(ran.complaint(), "odd");
        let nothing = run(sh("exit 4")).await.unwrap();
        assert_eq!(nothing.complaint(), "exit code 4");
    }

    #[tokio::test]
    async fn what_is_not_there_was_never_started() {
        let error = run(Program::new(["/no/such/program"])).await.unwrap_err();
        assert!(matches!(error, RunError::NotStarted { .. }), "{error}");
        let none: [&str; 0] = [];
        assert!(matches!(run(Program::new(none)).await, Err(RunError::NotStarted { .. })));
    }

    #[tokio::test]
    async fn a_program_that_hangs_goes_with_all_that_it_has_started() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! >{}; wait", pid.display());
        let error = run(sh(&script).within(Span::from_millis(500))).await.unwrap_err();
        assert!(matches!(error, RunError::TimedOut { .. }), "{error}");
        let pid = std::fs::read_to_string(pid).unwrap();
        let state = format!("/proc/{}/stat", pid.trim());
        while std::fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_child_that_holds_the_output_holds_up_nobody() {
        let ran = run(sh("sleep 5 & echo started")).await.unwrap();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "started\n"));
    }

    #[tokio::test]
    async fn output_without_end_is_cut_and_nothing_else_is_in_the_environment() {
        let ran = run(sh("head -c 3000000 /dev/zero; env >&2")).await.unwrap();
        assert_eq!(ran.stdout.len(), OUTPUT_BYTES_MAX);
        assert!(!ran.stderr.contains("CARGO"), "{}", ran.stderr);
    }
}

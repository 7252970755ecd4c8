//! Asking at the terminal of this process.
//!
//! While a question stands, the terminal neither echoes nor edits, and Ctrl-C is a byte like any
//! other, so no way out leaves it silent: what was set is set back by a guard that is dropped with
//! the question, also when a signal ends it. What was typed before the question and what is left
//! after the answer is thrown away: a paste that is longer than the line must not run in the shell.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use async_trait::async_trait;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use unicode_width::UnicodeWidthStr as _;
use zeroize::Zeroizing;

use super::line::{Line, Typed, broken};
use super::person::{Echo, Person, Stop};
use super::signals::Caught;
use crate::domain::secret::Secret;
use crate::error::{Kind, Report};

/// The person at this process's standard input.
#[derive(Clone, Copy, Debug)]
pub struct AtStdin {
    /// Whether the terminal may be sent control sequences.
    pub sequences: bool,
}

#[async_trait]
impl Person for AtStdin {
    fn is_there(&self) -> bool {
        io::stdin().is_terminal()
    }

    async fn answer(&mut self, prompt: &str, echo: Echo) -> Result<Secret, Stop> {
        let question = Question::put(prompt, self.sequences)?;
        question.answered(echo).await
    }

    async fn piped(&mut self, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Report> {
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max + 1));
            let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
            io::stdin().lock().take(limit).read_to_end(&mut bytes).map(|_| bytes)
        });
        let read = read.await.map_err(|error| Report::of(Kind::Internal, &error))?;
        read.map_err(|error| {
            Report::new(Kind::Usage, "cannot read standard input").because(error.to_string())
        })
    }
}

/// A question that stands. Dropping it sets the terminal back.
struct Question {
    before: Termios,
    screen: Box<dyn Write + Send>,
    sequences: bool,
    /// What stands behind the prompt.
    shown: String,
}

impl Question {
    fn put(prompt: &str, sequences: bool) -> Result<Self, Report> {
        let before = tcgetattr(io::stdin()).map_err(silent)?;
        let mut raw = before.clone();
        raw.local_modes.remove(
            LocalModes::ECHO
                | LocalModes::ECHONL
                | LocalModes::ICANON
                | LocalModes::ISIG
                | LocalModes::IEXTEN,
        );
        raw.input_modes.remove(InputModes::IXON | InputModes::ISTRIP);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw).map_err(silent)?;
        let mut question = Self { before, screen: screen(), sequences, shown: String::new() };
        question.write(if sequences { PASTES_ON } else { "" });
        question.write(prompt);
        Ok(question)
    }

    async fn answered(mut self, echo: Echo) -> Result<Secret, Stop> {
        let mut keys = Keys::listen()?;
        let mut line = Line::new();
        let mut ended = Typed::More;
        let mut behind = false;
        while ended == Typed::More {
            let Some(chunk) = keys.bytes.recv().await else {
                let gone = Report::new(Kind::Unavailable, "standard input has ended");
                return Err(gone.into());
            };
            let mut bytes = chunk.iter();
            while ended == Typed::More
                && let Some(byte) = bytes.next()
            {
                ended = line.take(*byte);
            }
            behind = bytes.next().is_some();
            self.show(&line, echo);
        }
        // A terminal that marks no pastes sends them at once, line breaks and all.
        while let Ok(Some(_)) = tokio::time::timeout(PASTE_PAUSE, keys.bytes.recv()).await {
            behind = true;
        }
        keys.end().await;
        match ended {
            Typed::Interrupt => Err(Stop::Left(Caught::Interrupt)),
            Typed::End => Err(Report::new(Kind::Usage, "nothing was typed").into()),
            _ if behind => Err(broken().into()),
            _ => Ok(line.finish()?),
        }
    }

    fn show(&mut self, line: &Line, echo: Echo) {
        let now = match echo {
            Echo::Visible => line.shown(),
            Echo::Masked => "*".repeat(line.count().min(STARS_MAX)),
        };
        let same = self.shown.chars().zip(now.chars()).take_while(|(a, b)| a == b);
        let same: usize = same.map(|(c, _)| c.len_utf8()).sum();
        let gone = self.shown.get(same..).unwrap_or_default().width();
        let change = "\u{8} \u{8}".repeat(gone) + now.get(same..).unwrap_or_default();
        self.write(&change);
        self.shown = now;
    }

    fn write(&mut self, text: &str) {
        // A person who sees no prompt is no reason to fail: the next key says more.
        let _ = self.screen.write_all(text.as_bytes()).and_then(|()| self.screen.flush());
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let off = if self.sequences { PASTES_OFF } else { "" };
        self.write(&format!("{off}\n"));
        // A terminal that is gone needs nothing set back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

/// What comes from standard input, read in a thread that can be called off.
struct Keys {
    bytes: mpsc::Receiver<Zeroizing<Vec<u8>>>,
    /// The thread ends when this end of a pipe is closed.
    call_off: OwnedFd,
    thread: JoinHandle<()>,
}

impl Keys {
    fn listen() -> Result<Self, Report> {
        let (called_off, call_off) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| Report::of(Kind::Unavailable, &error))?;
        let (tell, bytes) = mpsc::channel(1);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(chunk) = read(&called_off)
                && tell.blocking_send(chunk).is_ok()
            {}
        });
        Ok(Self { bytes, call_off, thread })
    }

    /// Ends the reading, so that what is typed next is for whoever asks next.
    async fn end(self) {
        drop((self.bytes, self.call_off));
        // A thread that failed reads nothing either.
        let _ = self.thread.await;
    }
}

/// Waits for keys; none once the reading is called off or standard input has ended.
fn read(called_off: &OwnedFd) -> Option<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin();
    loop {
        let mut ends = [PollFd::new(called_off, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut ends, None) {
            Err(Errno::INTR) => continue,
            Err(_) => return None,
            Ok(_) => {}
        }
        let [off, _] = &ends;
        if !off.revents().is_empty() {
            return None;
        }
        let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
        match rustix::io::read(&stdin, chunk.as_mut_slice()) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(0) | Err(_) => return None,
            Ok(count) => {
                chunk.truncate(count);
                return Some(chunk);
            }
        }
    }
}

/// Where a question is seen, also when standard output and standard error go elsewhere.
fn screen() -> Box<dyn Write + Send> {
    match File::options().write(true).open("/dev/tty") {
        Ok(terminal) => Box::new(terminal),
        Err(_) => Box::new(io::stderr()),
    }
}

fn silent(error: Errno) -> Report {
    Report::new(Kind::Unavailable, "cannot keep the terminal from showing what is typed")
        .because(error.to_string())
}

const PASTES_ON: &str = "\u{1b}[?2004h";
const PASTES_OFF: &str = "\u{1b}[?2004l";

/// The rest of a paste arrives within this; a person types no next line so soon.
const PASTE_PAUSE: Duration = Duration::from_millis(40);
const CHUNK_BYTES: usize = 1_024;
/// More stars say nothing, and would wrap.
const STARS_MAX: usize = 40;

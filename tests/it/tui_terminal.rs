//! The terminal guard in a real pseudo-terminal: whatever happens, the terminal is as it was.
//!
//! The face runs in a child of its own: this test binary again, told by [`MODE`] to be a face.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{EngineHandle, SessionState};
use breakglass::tui::{Exit, Options, Reattach, run};
use jiff::tz::TimeZone;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::tui_models::{LOOK, session, snapshot};
use crate::tui_walk::Engine;

const MODE: &str = "BREAKGLASS_TEST_FACE";
const LEFT: &str = "BREAKGLASS_TEST_LEFT";
const LIMIT: Duration = Duration::from_secs(30);

struct Nowhere;

#[async_trait]
impl Reattach for Nowhere {
    async fn reattach(&self) -> Result<EngineHandle, Report> {
        Err(Report::new(Kind::Unavailable, "there is no engine"))
    }
}

/// Is a face where it is told to be one; else passes at once.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent of this process says what it is")]
fn a_face_if_told_so() {
    let Some(mode) = std::env::var_os(MODE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let exit = runtime.block_on(face(mode.to_str().unwrap()));
    if let Some(path) = std::env::var_os(LEFT) {
        std::fs::write(path, format!("{exit:?}")).unwrap();
    }
}

async fn face(mode: &str) -> Exit {
    let mut tasks = JoinSet::new();
    let live = (mode != "idle").then(|| session(1, "orders-db", SessionState::Active));
    let Engine { handle, mut asked, .. } =
        Engine::start(&mut tasks, snapshot(live.into_iter().collect()));
    if mode == "panic" {
        tasks.spawn(async move {
            asked.recv().await;
            panic!("a task has come to grief");
        });
    }
    run(handle, options()).await.unwrap()
}

fn options() -> Options {
    Options {
        look: LOOK,
        hosting: true,
        drill: false,
        zone: TimeZone::UTC,
        reattach: Arc::new(Nowhere),
    }
}

/// A pseudo-terminal with something running in it.
struct Pty {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: watch::Receiver<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    left: tempfile::TempDir,
}

impl Pty {
    /// Starts a face, by itself or under a shell.
    fn start(mode: &str, shell: Option<&[&str]>) -> Self {
        let size = PtySize { rows: 24, cols: 80, ..PtySize::default() };
        let pair = native_pty_system().openpty(size).unwrap();
        let left = tempfile::tempdir().unwrap();
        let this = std::env::current_exe().unwrap();
        let mut command = match shell {
            Some(words) => {
                let mut command = CommandBuilder::new(words[0]);
                command.args(&words[1..]);
                command
            }
            None => {
                let mut command = CommandBuilder::new(&this);
                command.args(FACE);
                command
            }
        };
        command.env(MODE, mode);
        command.env(LEFT, left.path().join("left"));
        command.env("FACE", format!("{} {}", this.display(), FACE.join(" ")));
        command.env("PS1", "prompt> ");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (tell, output) = watch::channel(vec![]);
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = reader.read(&mut buffer)
                && !closed.load(Ordering::SeqCst)
            {
                tell.send_modify(|all| all.extend_from_slice(&buffer[..count]));
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: Some(pair.master), keys, child, output, reader: Some(reader), closing, left }
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until something is written after place `from`, and returns the place behind it.
    async fn writes(&self, text: &str, from: usize) -> usize {
        let mut output = self.output.clone();
        let at = |all: &Vec<u8>| {
            let rest = all.get(from..)?;
            rest.windows(text.len()).position(|part| part == text.as_bytes())
        };
        let found = tokio::time::timeout(LIMIT, output.wait_for(|all| at(all).is_some())).await;
        match found {
            Ok(Ok(all)) => from + at(&all).unwrap() + text.len(),
            _ => panic!("waited for {text:?} in vain: {}", self.shown()),
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.output.borrow()).escape_debug().to_string()
    }

    /// Closes the terminal under the child. The reader lets go at the next frame, which another
    /// size brings about.
    fn vanish(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let master = self.master.take().unwrap();
        master.resize(PtySize { rows: 25, cols: 90, ..PtySize::default() }).unwrap();
        self.reader.take().unwrap().join().unwrap();
        self.keys = Box::new(std::io::sink());
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until the child has ended, and returns how the face says it has left.
    fn ends(&mut self) -> String {
        let status = self.child.wait().unwrap();
        let left = std::fs::read_to_string(self.left.path().join("left"));
        left.unwrap_or_else(|_| format!("{status:?}: {}", self.shown()))
    }

    /// Fails unless every mode that was set is set back, and the terminal edits lines again.
    async fn assert_restored(&self) {
        self.writes("?25h", 0).await;
        let all = self.output.borrow().clone();
        let last = |text: &str| {
            all.windows(text.len()).rposition(|part| part == text.as_bytes()).map_or(0, |at| at + 1)
        };
        for (on, off) in [("?1049h", "?1049l"), ("?2004h", "?2004l"), ("?25l", "?25h")] {
            assert!(last(on) > 0, "{on} was never set: {}", self.shown());
            assert!(last(off) > last(on), "{on} is still set: {}", self.shown());
        }
        let termios = format!("{:?}", self.master.as_ref().unwrap().get_termios().unwrap());
        let edits = termios.contains("ECHO") && termios.contains("ICANON");
        assert!(edits, "the terminal edits no lines: {termios}");
    }
}

const FACE: [&str; 4] = ["--exact", "tui_terminal::a_face_if_told_so", "--nocapture", "--quiet"];

#[tokio::test]
async fn quitting_leaves_the_terminal_as_it_was() {
    let mut pty = Pty::start("idle", None);
    pty.writes("No session yet", 0).await;
    pty.types("q");
    assert_eq!(pty.ends(), "Exit { leave: Nothing, cause: Asked }");
    pty.assert_restored().await;
}

#[tokio::test]
async fn signals_that_end_a_process_leave_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let mut pty = Pty::start("live", None);
        pty.writes("Active", 0).await;
        pty.signal(signal);
        assert_eq!(pty.ends(), "Exit { leave: HandOver, cause: Asked }", "{signal:?}");
        pty.assert_restored().await;
    }
}

#[tokio::test]
async fn a_terminal_that_vanishes_ends_the_face() {
    let mut pty = Pty::start("live", None);
    pty.writes("Active", 0).await;
    pty.vanish();
    assert_eq!(pty.ends(), "Exit { leave: HandOver, cause: HungUp }");
}

/// Nobody tells the face by a signal: its leader has swallowed that.
#[tokio::test]
async fn a_terminal_that_vanishes_without_a_signal_ends_the_face() {
    let mut pty = Pty::start("live", Some(&["sh", "-c", "trap '' HUP; $FACE; :"]));
    pty.writes("Active", 0).await;
    pty.vanish();
    assert_eq!(pty.ends(), "Exit { leave: HandOver, cause: HungUp }");
}

#[tokio::test]
async fn a_panic_is_read_on_a_restored_terminal() {
    let mut pty = Pty::start("panic", None);
    pty.writes("Active", 0).await;
    pty.types("4v");
    let restored = pty.writes("?1049l", 0).await;
    pty.writes("a task has come to grief", restored).await;
    assert_eq!(pty.ends(), "Exit { leave: HandOver, cause: Panicked }");
    pty.assert_restored().await;
}

#[tokio::test]
async fn suspended_and_brought_back_under_a_shell() {
    let mut pty = Pty::start("idle", Some(&["sh", "-i"]));
    pty.writes("prompt> ", 0).await;
    pty.types("$FACE\n");
    let up = pty.writes("No session yet", 0).await;
    pty.types("\u{1a}");
    let down = pty.writes("?1049l", up).await;
    let prompt = pty.writes("prompt> ", down).await;
    pty.types("fg\n");
    let again = pty.writes("?1049h", prompt).await;
    let painted = pty.writes("No session yet", again).await;
    pty.types("q");
    let restored = pty.writes("?1049l", painted).await;
    pty.writes("prompt> ", restored).await;
    pty.types("exit\n");
    assert_eq!(pty.ends(), "Exit { leave: Nothing, cause: Asked }");
}

#[tokio::test]
async fn the_leader_of_a_session_is_not_suspended() {
    let mut pty = Pty::start("idle", None);
    let up = pty.writes("No session yet", 0).await;
    pty.types("\u{1a}");
    let said = pty.writes("no shell above this process", up).await;
    pty.types("q");
    pty.writes("?1049l", said).await;
    assert_eq!(pty.ends(), "Exit { leave: Nothing, cause: Asked }");
}

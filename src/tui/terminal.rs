//! The terminal guard: sets the terminal up, and leaves it as it was found, whatever happens.
//!
//! It is restored on drop, before a panic's message, before the process is suspended, and by every
//! way out of the loop. It is asked nothing: sizes come from the kernel (ioctl_tty(2)).
//!
//! When the terminal vanishes (SIGHUP, or POLLHUP from a watcher that sleeps in poll(2)),
//! [`silence`] puts a pipe that never speaks over standard input and the null device over standard
//! output and error. crossterm 0.29 would otherwise spin on the dead descriptor for ever.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::{panic, thread};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Signal, getpid, getsid, kill_process};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stdin, stdout};
use rustix::termios::{
    Action, OptionalActions, QueueSelector, Termios, isatty, tcflow, tcflush, tcgetattr,
    tcgetwinsize, tcsetattr,
};
use tokio::sync::mpsc;

use crate::error::{Kind, Report};

/// What goes wrong around the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The terminal has vanished.
    HungUp,
    /// A thread has panicked; the terminal is restored.
    Panicked,
}

/// Holds the terminal while the screens are up.
#[derive(Debug)]
pub struct Guard {
    _watched: OwnedFd,
}

impl Guard {
    /// Sets the terminal up: raw, on its alternate screen, pastes marked, the cursor hidden. What
    /// goes wrong from then on comes out of the channel.
    ///
    /// # Errors
    ///
    /// When standard input is no terminal, or cannot be set.
    pub fn enter(mouse: bool) -> Result<(Self, mpsc::Receiver<Trouble>), Report> {
        let (tell, trouble) = mpsc::channel(4);
        set_up(mouse).map_err(|error| {
            Report::of(Kind::Usage, &error)
                .because("the screens need a terminal on standard input and output")
                .hint("use the commands: `breakglass --help` lists them")
        })?;
        restore_before_panics(tell.clone());
        let watched = watch(tell).map_err(|error| {
            restore();
            Report::of(Kind::Internal, &error)
        })?;
        Ok((Self { _watched: watched }, trouble))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Returns the size of the terminal, as the kernel has it.
#[must_use]
pub fn size() -> (u16, u16) {
    match tcgetwinsize(stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
        _ => SIZE_UNKNOWN,
    }
}

/// Restores the terminal and stops this process until somebody continues it; the terminal is to be
/// set up again then. Returns false, and does nothing, where nobody could continue it.
///
/// SIGSTOP rather than SIGTSTP: the latter is caught here.
#[must_use]
pub fn suspend() -> bool {
    // The leader of a session has no shell above it that could bring it back.
    if getsid(None).is_ok_and(|leader| leader == getpid()) {
        return false;
    }
    restore();
    kill_process(getpid(), Signal::STOP).is_ok()
}

/// Sets the terminal up again, after the process was stopped from outside.
pub fn resume(mouse: bool) {
    if set_up(mouse).is_err() {
        restore();
    }
}

/// Takes the terminal away from this process for good: it has vanished, and whoever reads or
/// writes there must neither spin nor fail.
pub fn silence() {
    UP.store(false, Ordering::SeqCst);
    if let Ok((read, write)) = rustix::pipe::pipe() {
        // The writing end stays open, or the reading end would speak of an end.
        std::mem::forget(write);
        let _ = dup2_stdin(&read);
    }
    if let Ok(null) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = dup2_stdout(&null);
        let _ = dup2_stderr(&null);
    }
}

/// The bytes that take the mouse from the terminal, or give it back: clicks and wheel only.
#[must_use]
pub const fn mouse_sequence(on: bool) -> &'static [u8] {
    if on { b"\x1b[?1000h\x1b[?1006h" } else { b"\x1b[?1006l\x1b[?1000l" }
}

/// Writes to the terminal while the screens are up; what comes later is swallowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tty;

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !UP.load(Ordering::SeqCst) {
            return Ok(bytes.len());
        }
        match rustix::io::write(stdout(), bytes.get(..PIECE).unwrap_or(bytes)) {
            Err(rustix::io::Errno::AGAIN) => {
                poll(&mut [PollFd::new(&stdout(), PollFlags::OUT)], None)?;
                Err(io::ErrorKind::Interrupted.into())
            }
            result => Ok(result?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn set_up(mouse: bool) -> io::Result<()> {
    if !isatty(stdout()) {
        return Err(rustix::io::Errno::NOTTY.into());
    }
    let mut termios = tcgetattr(stdin())?;
    if !UP.swap(true, Ordering::SeqCst) {
        *found() = Some(termios.clone());
    }
    termios.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &termios)?;
    let mut bytes = b"\x1b[?1049h\x1b[?2004h\x1b[?25l".to_vec();
    if mouse {
        bytes.extend_from_slice(mouse_sequence(true));
    }
    Tty.write_all(&bytes)
}

/// Puts everything back; safe to call more than once, and from a panic.
fn restore() {
    if !UP.load(Ordering::SeqCst) {
        return;
    }
    // A terminal that was held with ctrl-s must not hold up the way out.
    let _ = tcflow(stdout(), Action::OOn);
    let _ =
        Tty.write_all(b"\x1b[?2026l\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[m\x1b[?1049l\x1b[?25h");
    UP.store(false, Ordering::SeqCst);
    if let Some(termios) = found().take() {
        // What was typed for the screens must not reach the shell.
        let _ = tcflush(stdin(), QueueSelector::IFlush);
        let _ = tcsetattr(stdin(), OptionalActions::Now, &termios);
    }
}

fn restore_before_panics(tell: mpsc::Sender<Trouble>) {
    *panicked() = Some(tell);
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if UP.load(Ordering::SeqCst) {
                restore();
                let _ = panicked().as_ref().map(|tell| tell.try_send(Trouble::Panicked));
            }
            before(info);
        }));
    });
}

/// Starts the thread that sleeps until the terminal vanishes. It ends when the returned descriptor
/// is closed.
fn watch(tell: mpsc::Sender<Trouble>) -> io::Result<OwnedFd> {
    let (until, held) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    thread::spawn(move || {
        loop {
            // No event is asked for: only a hang-up or an error wakes this.
            let terminal = stdin();
            let mut watched = [
                PollFd::new(&terminal, PollFlags::empty()),
                PollFd::new(&until, PollFlags::empty()),
            ];
            match poll(&mut watched, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
                Ok(_) => break,
            }
        }
        let _ = tell.blocking_send(Trouble::HungUp);
    });
    Ok(held)
}

fn found() -> std::sync::MutexGuard<'static, Option<Termios>> {
    FOUND.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panicked() -> std::sync::MutexGuard<'static, Option<mpsc::Sender<Trouble>>> {
    PANICKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True while the screens are up.
static UP: AtomicBool = AtomicBool::new(false);

/// How the terminal was found.
static FOUND: Mutex<Option<Termios>> = Mutex::new(None);

static PANICKED: Mutex<Option<mpsc::Sender<Trouble>>> = Mutex::new(None);

static HOOK: Once = Once::new();

/// What a terminal is taken for that does not know its size.
const SIZE_UNKNOWN: (u16, u16) = (80, 24);

/// How much is written at once, so that a write that must stop does so soon.
const PIECE: usize = 4_096;

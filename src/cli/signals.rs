//! What the operator or the system sends to a verb that waits.

use async_trait::async_trait;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Kind, Report};

/// A signal that a verb answers instead of dying of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
}

impl Caught {
    /// The exit code of a verb that stops because of it: 128 and the signal's number.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Where signals come from: the process, or a test.
#[async_trait]
pub trait Signals: Send {
    /// From here on these signals are kept for [`Signals::next`]; others do what they do.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    fn listen(&mut self, which: &[Caught]) -> Result<(), Report>;

    /// Waits for the next signal. Dropping the future loses none.
    async fn next(&mut self) -> Caught;
}

/// The signals of this process.
#[derive(Debug, Default)]
pub struct ProcessSignals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

#[async_trait]
impl Signals for ProcessSignals {
    fn listen(&mut self, which: &[Caught]) -> Result<(), Report> {
        for caught in which {
            let (slot, kind) = match caught {
                Caught::Interrupt => (&mut self.interrupt, SignalKind::interrupt()),
                Caught::Terminate => (&mut self.terminate, SignalKind::terminate()),
                Caught::HangUp => (&mut self.hang_up, SignalKind::hangup()),
            };
            if slot.is_none() {
                *slot = Some(signal(kind).map_err(|error| {
                    Report::new(Kind::Internal, "cannot listen for signals")
                        .because(error.to_string())
                })?);
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Caught {
        tokio::select! {
            () = received(&mut self.interrupt) => Caught::Interrupt,
            () = received(&mut self.terminate) => Caught::Terminate,
            () = received(&mut self.hang_up) => Caught::HangUp,
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    let heard = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending::<()>().await;
    }
}

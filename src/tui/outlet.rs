//! The way to the terminal: one thread that writes, one buffer at a time.
//!
//! A terminal may take its time (a slow line, ctrl-s). Only this thread waits for it. The loop
//! makes no further frame until the last one is written, so frames are dropped and never pile up.

use std::io::{self, Write};
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::mpsc;

/// The way to the terminal.
#[derive(Debug)]
pub struct Outlet {
    buffers: blocking::SyncSender<Vec<u8>>,
    written: mpsc::Receiver<io::Result<()>>,
    busy: bool,
}

impl Outlet {
    /// Starts the thread that writes to `target`. It ends when the outlet is dropped.
    #[must_use]
    pub fn new(mut target: impl Write + Send + 'static) -> Self {
        let (buffers, queue) = blocking::sync_channel::<Vec<u8>>(1);
        let (done, written) = mpsc::channel(1);
        thread::spawn(move || {
            for buffer in queue {
                let result = target.write_all(&buffer).and_then(|()| target.flush());
                if done.blocking_send(result).is_err() {
                    break;
                }
            }
        });
        Self { buffers, written, busy: false }
    }

    /// True while a buffer is being written.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Starts to write a buffer. The outlet must not be busy; one that is drops the buffer.
    pub fn write(&mut self, buffer: Vec<u8>) {
        if !self.busy && !buffer.is_empty() {
            self.busy = self.buffers.try_send(buffer).is_ok();
        }
    }

    /// Waits until the buffer is written; for ever, while none is.
    ///
    /// # Errors
    ///
    /// When the terminal takes nothing any more.
    pub async fn written(&mut self) -> io::Result<()> {
        if !self.busy {
            return std::future::pending().await;
        }
        let result = self.written.recv().await;
        self.busy = false;
        result.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

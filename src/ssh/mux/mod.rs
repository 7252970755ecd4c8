//! Speaks with a running `ssh` over its control socket, as `ssh -O` does, without another process
//! each time.
//!
//! Every question has a time limit and every answer a size; an answer that makes no sense ends the
//! conversation. A connection that is held shows the end of that `ssh` at once.

mod wire;

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use self::wire::{Answer, Ask};
use crate::domain::target::Address;

/// A conversation with a running `ssh`.
#[derive(Debug)]
pub struct Mux {
    stream: UnixStream,
    number: u32,
}

/// Why a running `ssh` did not do as asked.
#[derive(Debug, Error)]
pub enum MuxError {
    /// Nobody listens on the control socket.
    #[error("its control socket does not answer: {0}")]
    Socket(#[from] io::Error),
    /// No answer in time: it hangs.
    #[error("it does not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// Not what OpenSSH says.
    #[error("it answers with {0}")]
    Garbage(String),
    /// It said no.
    #[error("{0}")]
    No(String),
}

impl Mux {
    /// Begins to speak with the `ssh` whose control socket that is.
    ///
    /// # Errors
    ///
    /// When nobody answers, or not as `ssh` does.
    pub async fn connect(socket: &Path) -> Result<Self, MuxError> {
        let greet = async {
            let mut mux = Self { stream: UnixStream::connect(socket).await?, number: 0 };
            mux.stream.write_all(&wire::hello()).await?;
            match mux.read().await? {
                Answer::Hello { version: wire::VERSION } => Ok(mux),
                other => Err(MuxError::Garbage(format!("{other:?} for a hello"))),
            }
        };
        within(ANSWER, greet).await
    }

    /// Sees whether it still serves.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn alive(&mut self) -> Result<(), MuxError> {
        within(ANSWER, self.ask(&Ask::Alive)).await
    }

    /// Tells it to end.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn terminate(mut self) -> Result<(), MuxError> {
        within(ANSWER, self.ask(&Ask::Terminate)).await
    }

    /// Makes it listen on a UNIX socket and pass each connection on to `target`.
    ///
    /// # Errors
    ///
    /// When it cannot listen there.
    pub async fn forward(&mut self, listen: &Path, target: &Address) -> Result<(), MuxError> {
        let listen = listen.to_string_lossy();
        let ask = Ask::Forward { listen: &listen, host: target.host(), port: target.port() };
        within(ANSWER, self.ask(&ask)).await
    }

    /// Opens one connection to `target` through it, and lets go of it again: true where the target
    /// took it, false where `ssh` or the far host said no. Why stands in the log of that `ssh`.
    ///
    /// # Errors
    ///
    /// When nobody knows within `limit`.
    pub async fn probe(mut self, target: &Address, limit: Duration) -> Result<bool, MuxError> {
        let flags = SocketFlags::CLOEXEC;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(io::Error::from)?;
        let opened = async {
            self.number += 1;
            let ask = Ask::Stdio { host: target.host(), port: target.port() };
            self.stream.write_all(&wire::ask(self.number, &ask)).await?;
            // One for its input, one for its output.
            self.give(far.as_fd()).await?;
            self.give(far.as_fd()).await?;
            self.answer().await
        };
        let opened = within(limit, opened).await;
        drop(near);
        match opened {
            Ok(()) => Ok(true),
            Err(MuxError::No(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until it has ended, or hangs up.
    pub async fn ended(&mut self) {
        let mut byte = [0; 64];
        while self.stream.read(&mut byte).await.is_ok_and(|count| count > 0) {}
    }

    async fn ask(&mut self, ask: &Ask<'_>) -> Result<(), MuxError> {
        self.number += 1;
        self.stream.write_all(&wire::ask(self.number, ask)).await?;
        self.answer().await
    }

    /// Waits for the answer to the last question.
    async fn answer(&mut self) -> Result<(), MuxError> {
        let number = self.number;
        loop {
            match self.read().await? {
                Answer::Ok { to } | Answer::Alive { to } | Answer::Opened { to }
                    if to == number =>
                {
                    return Ok(());
                }
                Answer::Denied { to, why } | Answer::Failed { to, why } if to == number => {
                    return Err(MuxError::No(why));
                }
                // Of an earlier question that was given up, or what nobody asked for.
                _ => {}
            }
        }
    }

    async fn read(&mut self) -> Result<Answer, MuxError> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).await?;
        let mut frame = vec![0; wire::length(head)?];
        self.stream.read_exact(&mut frame).await?;
        wire::answer(&frame)
    }

    /// Hands a descriptor over (SCM_RIGHTS), with the one byte that it travels with.
    async fn give(&self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let give = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let descriptors = [descriptor];
            if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::Error::other("no room for a descriptor"));
            }
            let byte = [IoSlice::new(&[0])];
            sendmsg(&self.stream, &byte, &mut control, SendFlags::NOSIGNAL)?;
            Ok(())
        };
        self.stream.async_io(Interest::WRITABLE, give).await
    }
}

async fn within<T>(
    limit: Duration,
    doing: impl Future<Output = Result<T, MuxError>>,
) -> Result<T, MuxError> {
    timeout(limit, doing).await.unwrap_or(Err(MuxError::Silent(limit)))
}

/// How long an answer may take that needs nobody but that `ssh`.
const ANSWER: Duration = Duration::from_secs(5);

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

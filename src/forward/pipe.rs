//! Pipes through which bulk bytes pass without being copied (splice(2)).
//!
//! A pipe costs two descriptors, and its pages count against what one user may have in pipes
//! (`pipe-user-pages-soft` in pipe(7), 64 MiB by default). So a process has few of them, and whoever
//! gets none copies: a pipe is never needed, only faster.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::forward::Conduit;
use crate::forward::room::{Place, Places};

/// Size of one pipe in bytes: as much as anybody may have (`pipe-max-size` in pipe(7)).
///
/// With the usual 64 KiB the tasks wake so often that nothing is won over copying.
const PIPE_BYTES: usize = 1024 * 1024;

/// Pipes of a process, the spare ones included: a quarter of what one user may have.
const PIPES_MAX: usize = 16;

/// Empty pipes kept for the next taker.
const SPARE_MAX: usize = 8;

/// The pipes of a process. A clone shares them.
#[derive(Debug, Clone)]
pub(super) struct Pipes {
    places: Places,
    spare: Arc<Mutex<Vec<Ends>>>,
}

/// A pipe, and the place that it takes.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    /// A pipe that was handed over has none: it is only emptied.
    write: Option<OwnedFd>,
    /// Bytes that are in it.
    held: usize,
    place: Place,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipes {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { places: Places::new(PIPES_MAX), spare: Arc::default() }
    }

    /// Takes an empty pipe. Nothing where all are taken, or the system gives none of this size.
    pub(super) fn take(&self) -> Option<Pipe> {
        let place = self.places.enter()?;
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Ends { read, write } = spare.or_else(|| Ends::make().ok())?;
        Some(Pipe { read, write: Some(write), held: 0, place })
    }

    /// Takes a pipe back that holds nothing; any other is closed with what is in it.
    pub(super) fn put(&self, pipe: Pipe) {
        let Pipe { read, write, held, place } = pipe;
        if let (Some(write), 0) = (write, held) {
            let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.len() < SPARE_MAX {
                spare.push(Ends { read, write });
            }
        }
        drop(place);
    }

    /// Takes in what [`Pipe::into_fd`] gave out, even where that is one too many.
    pub(super) fn resume(&self, read: OwnedFd, held: u64) -> Pipe {
        let held = usize::try_from(held).unwrap_or(usize::MAX);
        Pipe { read, write: None, held, place: self.places.stay() }
    }
}

impl Ends {
    fn make() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&write, PIPE_BYTES)?;
        Ok(Self { read, write })
    }
}

impl Pipe {
    /// Bytes that are in it.
    pub(super) fn held(&self) -> u64 {
        self.held as u64
    }

    /// Takes bytes out of the queue of a socket. The pipe must be empty: one that is full looks as
    /// a socket does that has nothing.
    ///
    /// Where nothing came, only a read tells why: an urgent byte of TCP stops a splice, which then
    /// looks like the end, and a system may have no splice for such a socket (`EINVAL`).
    pub(super) fn fill(&mut self, from: &Conduit) -> io::Result<()> {
        let Some(write) = &self.write else { return Ok(()) };
        match splice(from, None, write, None, PIPE_BYTES, HOW) {
            Ok(taken) => self.held += taken,
            Err(Errno::AGAIN | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Gives a socket as much as it takes. Returns how much that was, and what stopped it before
    /// the end.
    pub(super) fn pour(&mut self, to: &Conduit) -> (usize, Option<io::ErrorKind>) {
        let before = self.held;
        while self.held > 0 {
            let given = to.try_writing(|| Ok(splice(&self.read, None, to, None, self.held, HOW)?));
            match given {
                Ok(0) => return (before - self.held, Some(io::ErrorKind::WriteZero)),
                Ok(given) => self.held = self.held.saturating_sub(given),
                Err(error) => return (before - self.held, Some(error.kind())),
            }
        }
        (before, None)
    }

    /// Gives out the end that is read from, which is all that the bytes in it need.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.read
    }
}

const HOW: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[test]
    fn there_are_only_so_many_pipes_and_a_few_are_kept() {
        let pipes = Pipes::new();
        let mut taken: Vec<Pipe> = (0..PIPES_MAX).map(|_| pipes.take().unwrap()).collect();
        assert!(pipes.take().is_none());
        pipes.put(taken.pop().unwrap());
        taken.push(pipes.take().unwrap());
        assert!(pipes.take().is_none());
        taken.into_iter().for_each(|pipe| pipes.put(pipe));
        assert_eq!(pipes.spare.lock().unwrap().len(), SPARE_MAX);
    }

    #[test]
    fn a_pipe_that_was_handed_over_counts_and_is_not_kept() {
        let pipes = Pipes::new();
        let [first, second] = [0; 2].map(|_| pipes.take().unwrap().into_fd());
        let _taken: Vec<Pipe> = (1..PIPES_MAX).map(|_| pipes.take().unwrap()).collect();
        let (first, second) = (pipes.resume(first, 7), pipes.resume(second, 7));
        assert!(pipes.take().is_none());
        pipes.put(first);
        assert!(pipes.take().is_none(), "there was one too many");
        pipes.put(second);
        assert!(pipes.spare.lock().unwrap().is_empty());
        assert!(pipes.take().is_some());
    }

    #[tokio::test]
    async fn bytes_go_in_and_out_and_what_is_left_is_never_kept() {
        let (from, near) = UnixStream::pair().map(|(a, b)| (Conduit::Unix(a), b)).unwrap();
        let (to, far) = UnixStream::pair().map(|(a, b)| (Conduit::Unix(a), b)).unwrap();
        let pipes = Pipes::new();
        let mut pipe = pipes.take().unwrap();
        pipe.fill(&from).unwrap();
        assert_eq!(pipe.held(), 0);
        near.try_write(b"abcdef").unwrap();
        pipe.fill(&from).unwrap();
        assert_eq!(pipe.held(), 6);
        to.writable().await.unwrap();
        assert_eq!(pipe.pour(&to), (6, None));
        far.readable().await.unwrap();
        let mut heard = [0; 64];
        assert_eq!(far.try_read(&mut heard).unwrap(), 6);
        assert_eq!(&heard[..6], b"abcdef");

        near.try_write(b"lost").unwrap();
        pipe.fill(&from).unwrap();
        drop(far);
        assert_eq!(pipe.pour(&to), (0, Some(io::ErrorKind::BrokenPipe)));
        pipes.put(pipe);
        assert!(pipes.spare.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_pipe_that_holds_less_than_its_note_says_breaks_instead_of_waiting() {
        let (to, _far) = UnixStream::pair().map(|(a, b)| (Conduit::Unix(a), b)).unwrap();
        let pipes = Pipes::new();
        let mut pipe = pipes.resume(pipes.take().unwrap().into_fd(), 7);
        to.writable().await.unwrap();
        assert_eq!(pipe.pour(&to), (0, Some(io::ErrorKind::WriteZero)));
    }
}

//! Buffers that are held only while bytes flow.
//!
//! A relay takes a buffer when there is something to read and gives it back when there is not, by
//! dropping it. A few are kept for the next taker; the rest go back to the allocator, so that a
//! burst of a thousand connections does not stay in memory.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Size of one buffer in bytes. Beyond 64 KiB throughput on loopback hardly grows.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// Buffers kept for the next taker: a few busy connections in both directions.
const SPARE_MAX: usize = 8;

/// Where buffers come from; clones share the spares.
#[derive(Debug, Clone, Default)]
pub(super) struct BufferPool {
    spare: Arc<Mutex<Vec<Box<[u8]>>>>,
}

/// One buffer of [`BUFFER_BYTES`] bytes; goes back to its pool when dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    pool: BufferPool,
}

impl BufferPool {
    /// Takes a spare buffer, or makes one. What it holds is whatever was last read into it.
    pub(super) fn take(&self) -> Buffer {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = spare.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice());
        Buffer { bytes, pool: self.clone() }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut spare = self.pool.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_MAX {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_few_spares_and_frees_the_rest() {
        let pool = BufferPool::default();
        let taken: Vec<Buffer> = (0..100).map(|_| pool.take()).collect();
        assert!(taken.iter().all(|buffer| buffer.len() == BUFFER_BYTES));
        drop(taken);
        assert_eq!(pool.spare.lock().unwrap().len(), SPARE_MAX);
        let again = pool.take();
        assert_eq!(again.len(), BUFFER_BYTES);
        assert_eq!(pool.spare.lock().unwrap().len(), SPARE_MAX - 1);
    }
}

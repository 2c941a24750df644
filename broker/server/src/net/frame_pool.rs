//! Buffers for larger frames, reused so that steady traffic neither maps nor faults fresh memory.
//!
//! Size classes are powers of two from 64 KiB to 2 MiB. The pool keeps a bounded number of bytes and is
//! emptied by [`FramePool::trim`] when traffic has ceased.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;

const SMALLEST_CLASS_BYTES: usize = 64 * 1024;
/// Largest buffer that is kept for reuse.
pub(crate) const LARGEST_CLASS_BYTES: usize = 2 * 1024 * 1024;
/// Bytes kept for reuse over all classes.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// Free buffers.
#[derive(Debug, Default)]
pub(crate) struct FramePool {
    free: Mutex<Free>,
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct Free {
    classes: [Vec<Vec<u8>>; 6],
    bytes: usize,
}

/// A buffer being filled, later the owner of the frame's `Bytes`.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    pub(crate) bytes: Vec<u8>,
    pool: Option<Arc<FramePool>>,
}

impl FramePool {
    /// An empty buffer of at least `bytes` capacity; from the pool up to [`LARGEST_CLASS_BYTES`].
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> FrameBuffer {
        let Some(class) = class_of(bytes) else {
            return FrameBuffer { bytes: Vec::with_capacity(bytes), pool: None };
        };
        self.used.store(true, Relaxed);
        let reused = {
            let mut free = self.free.lock();
            let buffer = free.classes[class].pop();
            if buffer.is_some() {
                free.bytes -= class_bytes(class);
            }
            buffer
        };
        let bytes = reused.unwrap_or_else(|| Vec::with_capacity(class_bytes(class)));
        FrameBuffer { bytes, pool: Some(Arc::clone(self)) }
    }

    /// Frees what is kept if nothing was taken since the last call.
    pub(crate) fn trim(&self) {
        if !self.used.swap(false, Relaxed) {
            *self.free.lock() = Free::default();
        }
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let Some(class) = class_of(buffer.capacity()) else { return };
        if class_bytes(class) != buffer.capacity() {
            return;
        }
        buffer.clear();
        let mut free = self.free.lock();
        if free.bytes + class_bytes(class) <= KEPT_BYTES {
            free.bytes += class_bytes(class);
            free.classes[class].push(buffer);
        }
    }
}

impl AsRef<[u8]> for FrameBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

fn class_of(bytes: usize) -> Option<usize> {
    if bytes > LARGEST_CLASS_BYTES {
        return None;
    }
    let rounded = bytes.max(SMALLEST_CLASS_BYTES).next_power_of_two();
    Some((rounded / SMALLEST_CLASS_BYTES).trailing_zeros() as usize)
}

fn class_bytes(class: usize) -> usize {
    SMALLEST_CLASS_BYTES << class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_reused_and_trimmed_when_unused() {
        let pool = Arc::new(FramePool::default());
        let buffer = pool.take(100_000);
        let address = buffer.bytes.as_ptr();
        assert_eq!(buffer.bytes.capacity(), 128 * 1024);
        drop(buffer);
        assert_eq!(pool.take(70_000).bytes.as_ptr(), address);
        pool.trim();
        assert_eq!(pool.free.lock().bytes, 128 * 1024);
        pool.trim();
        assert_eq!(pool.free.lock().bytes, 0);
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_bound() {
        let pool = Arc::new(FramePool::default());
        let buffers: Vec<_> = (0..20).map(|_| pool.take(LARGEST_CLASS_BYTES)).collect();
        drop(buffers);
        assert_eq!(pool.free.lock().bytes, KEPT_BYTES);
        assert!(pool.take(LARGEST_CLASS_BYTES + 1).pool.is_none());
    }
}

//! A bound on the bytes that the process holds for all requests together: bodies, answers that are
//! read whole, events that have not ended.
//!
//! Bytes are taken as they are read, and not as somebody claims that they will come. The last of
//! them are kept for those who need few: who holds much already is refused first, so that large
//! requests never stand in the way of small ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;

use crate::core::refusal::Refusal;
use crate::telemetry::seldom::Seldom;

/// Up to here in bytes a request may take what there is. A call is rarely longer.
const SMALL: usize = 4 << 10;

/// Up to here in bytes a sixteenth is left to smaller ones; beyond, an eighth.
const MEDIUM: usize = 64 << 10;

/// The least by which a buffer grows, in bytes.
const STEP: usize = 16 << 10;

/// All that is held.
#[derive(Debug, Default)]
pub struct Buffers {
    taken: AtomicUsize,
    refused: AtomicU64,
    said: Seldom,
}

/// Bytes that one request holds; they are given back when this is dropped, in a panic, too.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Buffers>,
    bytes: usize,
    /// All that may be taken, as the configuration of the request says it.
    limit: usize,
}

impl Buffers {
    /// How many bytes are held.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How often there was no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A share with nothing in it. `limit` is for all shares together.
    pub(super) fn share(self: &Arc<Self>, limit: usize) -> Share {
        Share { of: Arc::clone(self), bytes: 0, limit }
    }
}

impl Share {
    /// From now on it is so large.
    ///
    /// # Errors
    /// [`Refusal::BuffersFull`] where there is not so much; the share stays as it is.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Refusal> {
        if self.try_resize(bytes) {
            return Ok(());
        }
        self.of.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(unsaid) = self.of.said.say() {
            let (held, limit) = (self.of.taken(), self.limit);
            tracing::warn!(
                event = "buffers.full",
                held,
                limit,
                wanted = bytes,
                unsaid,
                "what does not fit is answered 503; limits.buffers bounds it"
            );
        }
        Err(Refusal::BuffersFull)
    }

    fn try_resize(&mut self, bytes: usize) -> bool {
        let taken = &self.of.taken;
        if bytes > self.bytes {
            let (more, open) = (bytes - self.bytes, open_to(bytes, self.limit));
            let fits = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= open);
            if taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
                return false;
            }
        } else {
            taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How much of `limit` may be taken in all when a request of `bytes` takes it.
fn open_to(bytes: usize, limit: usize) -> usize {
    if bytes <= SMALL {
        limit
    } else if bytes <= MEDIUM {
        limit - limit / 16
    } else {
        // One alone gets as much as the longest body or list needs.
        (limit - limit / 8).max(bytes).min(limit)
    }
}

/// A body or an answer while it is read.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    share: Share,
    /// It will not be longer, as far as anybody says.
    expected: usize,
}

impl Buffer {
    /// An empty one; `expected` is what its sender says of its length.
    pub(super) fn new(share: Share, expected: Option<usize>) -> Self {
        Self { bytes: Vec::new(), share, expected: expected.unwrap_or(usize::MAX) }
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds what has been read.
    ///
    /// # Errors
    /// [`Refusal::BuffersFull`] where there is no room for it.
    pub(super) fn extend(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        let needed = self.bytes.len().saturating_add(chunk.len());
        if needed > self.bytes.capacity() {
            let twice = self.bytes.capacity().saturating_mul(2).max(STEP);
            let wanted = twice.min(self.expected).max(needed);
            // Rather exactly what is there than nothing.
            let wanted = if self.share.try_resize(wanted) {
                wanted
            } else {
                self.share.resize(needed)?;
                needed
            };
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// All of it. The share is given back when nobody has the bytes any more.
    pub(super) fn freeze(self) -> Bytes {
        shared(self.bytes, self.share)
    }
}

/// Bytes that hold `share` for as long as anybody has them.
pub(super) fn shared(bytes: impl AsRef<[u8]> + Send + 'static, share: Share) -> Bytes {
    Bytes::from_owner(Owner { bytes, _share: share })
}

struct Owner<B> {
    bytes: B,
    _share: Share,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Owner<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 16 << 20;

    #[test]
    fn what_is_taken_is_given_back_when_the_last_copy_goes() {
        let all = Arc::new(Buffers::default());
        let mut buffer = Buffer::new(all.share(LIMIT), None);
        for _ in 0..100 {
            buffer.extend(&[7; 1000]).unwrap();
        }
        assert!(all.taken() >= 100_000 && all.taken() <= 200_000, "{}", all.taken());
        let bytes = buffer.freeze();
        let copy = bytes.slice(5..10);
        drop(bytes);
        assert!(all.taken() >= 100_000);
        assert_eq!(copy, [7; 5].as_slice());
        drop(copy);
        assert_eq!(all.taken(), 0);
    }

    #[test]
    fn large_ones_leave_room_for_small_ones_however_many_they_are() {
        let all = Arc::new(Buffers::default());
        let full = |size: usize| {
            let mut held = Vec::new();
            loop {
                let mut share = all.share(LIMIT);
                if share.resize(size).is_err() {
                    return held;
                }
                held.push(share);
            }
        };
        let (large, medium) = (full(1 << 20), full(64 << 10));
        assert!(large.len() == 14 && medium.len() == 16, "{} {}", large.len(), medium.len());
        // An eighth, and a sixteenth: it is all of these.
        let small = full(SMALL);
        assert_eq!(small.len(), (1 << 20) / SMALL);
        assert_eq!(all.taken(), LIMIT);
        drop((large, medium, small));
        assert_eq!(all.taken(), 0);
    }

    #[test]
    fn one_alone_gets_all_that_it_may_have() {
        let all = Arc::new(Buffers::default());
        let mut share = all.share(LIMIT);
        share.resize(LIMIT).unwrap();
        assert!(share.resize(LIMIT + 1).is_err());
        share.resize(1).unwrap();
        assert_eq!(all.taken(), 1);
    }

    #[test]
    fn nothing_is_taken_for_what_is_only_claimed() {
        let all = Arc::new(Buffers::default());
        let mut buffer = Buffer::new(all.share(LIMIT), Some(4 << 20));
        buffer.extend(b"x").unwrap();
        assert!(all.taken() <= STEP);
        let mut exact = Buffer::new(all.share(LIMIT), Some(20_000));
        exact.extend(&[0; 9_000]).unwrap();
        exact.extend(&[0; 11_000]).unwrap();
        assert!(all.taken() <= STEP + 20_000);
    }
}

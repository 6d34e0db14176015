//! How much clients may send before it is read: HTTP/2's windows, as connections come and go.

use std::sync::Arc;

use parking_lot::Mutex;

/// What the windows of all connections add up to, beside [`LEAST`] for each.
const TOTAL: u32 = 64 << 20;
/// The largest window of a connection: a batch in few round trips.
const MOST: u32 = 16 << 20;
/// The smallest: some MB a second at a round trip of 50 ms.
const LEAST: u32 = 128 << 10;
/// The part of what is left that the next connection gets.
const PART: u32 = 4;

/// The bytes that all connections of a listener may hold unread: what is in a window is in memory, and in no other budget, until
/// somebody reads it. The first connections get large windows, more get smaller ones: a thousand of the largest would be 16 GiB.
#[derive(Clone, Debug)]
pub(crate) struct Windows(Arc<Mutex<u32>>);

/// A connection's window. What it took of all is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: u32,
    taken: u32,
    of: Windows,
}

impl Windows {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(TOTAL)))
    }

    /// The window of one more connection: a part of what is left, within bounds.
    pub(crate) fn open(&self) -> Window {
        let mut free = self.0.lock();
        let bytes = (*free / PART).clamp(LEAST, MOST);
        let taken = if bytes > LEAST { bytes } else { 0 };
        *free -= taken;
        Window { bytes, taken, of: self.clone() }
    }
}

impl Window {
    /// Bytes of all its streams that may be unread.
    pub(crate) fn connection_bytes(&self) -> u32 {
        self.bytes
    }

    /// The same of one stream: one that is not read must not stop all others.
    pub(crate) fn stream_bytes(&self) -> u32 {
        (self.bytes / 4).max(64 << 10)
    }

    /// The longest frame. One is kept until all of it is there, before anybody is asked: it must be small where windows are. Large
    /// ones are fewer copies.
    pub(crate) fn frame_bytes(&self) -> u32 {
        // The standard wants at least 16 KiB (RFC 9113, section 4.2).
        (self.bytes / 16).clamp(16 << 10, 1 << 20)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        *self.of.0.lock() += self.taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_large_and_all_together_are_bounded() {
        let windows = Windows::new();
        let all: Vec<Window> = (0..1_024).map(|_| windows.open()).collect();
        let first = &all[0];
        assert_eq!((first.connection_bytes(), first.stream_bytes(), first.frame_bytes()), (16 << 20, 4 << 20, 1 << 20));
        let last = &all[1_023];
        assert_eq!((last.connection_bytes(), last.stream_bytes(), last.frame_bytes()), (LEAST, 64 << 10, 16 << 10));
        let held = |window: &Window| u64::from(window.connection_bytes()) + u64::from(window.frame_bytes());
        let sum: u64 = all.iter().map(held).sum();
        assert!(sum <= 220 << 20, "{sum}");
        drop(all);
        assert_eq!(windows.open().connection_bytes(), MOST);
    }
}

use std::sync::Arc;

use loglake_chunk::Encoder;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What building a chunk needs beside its records: a compressor, and memory that serves chunk after chunk.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) encoder: Encoder,
    /// The lines of the block at work.
    pub(crate) lines: Vec<u8>,
}

/// Where chunks are built: as many at a time as it has places. A bench is kept for each place that was ever taken, with some
/// megabytes of memory.
#[derive(Debug)]
pub(crate) struct Workshop {
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Bench>>,
}

/// A place in the workshop, and the bench that stands there. Dropped, both are free again.
#[derive(Debug)]
pub(crate) struct Place {
    workshop: Arc<Workshop>,
    bench: Option<Bench>,
    _permit: OwnedSemaphorePermit,
}

impl Workshop {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(places)), idle: Mutex::default() })
    }

    /// Waits for a free place; first come, first served.
    pub(crate) async fn enter(self: &Arc<Self>) -> Place {
        let permit = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let bench = self.idle.lock().pop();
        Place { workshop: Arc::clone(self), bench, _permit: permit }
    }
}

impl Place {
    pub(crate) fn bench(&mut self) -> &mut Bench {
        self.bench.get_or_insert_with(|| Bench { encoder: Encoder::hot(), lines: Vec::new() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Before the permit goes, so that the next one finds it.
        self.workshop.idle.lock().extend(self.bench.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_no_more_benches_than_places_and_they_are_used_again() {
        let workshop = Workshop::new(2);
        for _ in 0..3 {
            let (mut first, mut second) = (workshop.enter().await, workshop.enter().await);
            first.bench().lines.reserve(100);
            second.bench().lines.reserve(100);
            assert_eq!(workshop.places.available_permits(), 0);
        }
        let idle = workshop.idle.lock();
        assert_eq!(idle.len(), 2);
        assert!(idle.iter().all(|bench| bench.lines.capacity() >= 100));
    }
}

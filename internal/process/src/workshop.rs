use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError};

use loglake_chunk::Encoder;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Error;

/// How much less a thread that builds chunks counts than others, as `nice` has it. Whoever waits for an acknowledgement or an answer
/// shall not wait for a compressor; where the machine has nothing else to do, it makes no difference.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// There is no lower one.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;

/// What building a chunk needs beside its records: a compressor, and memory that serves chunk after chunk.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) encoder: Encoder,
    /// The lines of the block at work.
    pub(crate) lines: Vec<u8>,
}

type Job = Box<dyn FnOnce(&mut Bench) + Send>;

/// Where chunks are built: threads of its own, each with a bench, some megabytes of memory once it was used. They end when it is
/// dropped.
#[derive(Debug)]
pub(crate) struct Workshop {
    jobs: Jobs,
}

#[derive(Debug)]
enum Jobs {
    Threads(Sender<Job>),
    /// Whoever asks works itself: for a simulation, in which everything happens in one order.
    InLine(Box<Mutex<Bench>>),
}

impl Bench {
    fn new() -> Self {
        Self { encoder: Encoder::hot(), lines: Vec::new() }
    }
}

impl Workshop {
    /// Starts `places` threads: as many chunks are built at a time.
    ///
    /// # Errors
    /// `Exhausted` when the system gives no more threads.
    pub(crate) fn new(places: usize) -> Result<Arc<Self>, Error> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(std::sync::Mutex::new(queue));
        for number in 0..places {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("chunks-{number}"));
            thread.spawn(move || work(&queue)).map_err(Error::Threads)?;
        }
        Ok(Arc::new(Self { jobs: Jobs::Threads(jobs) }))
    }

    /// One without threads.
    pub(crate) fn in_line() -> Arc<Self> {
        Arc::new(Self { jobs: Jobs::InLine(Box::new(Mutex::new(Bench::new()))) })
    }

    /// Does `work` at the next bench that is free; first come, first served.
    ///
    /// # Errors
    /// `Internal` when it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Bench) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let jobs = match &self.jobs {
            Jobs::Threads(jobs) => jobs,
            Jobs::InLine(bench) => return Ok(work(&mut bench.lock())),
        };
        let (done, is_done) = oneshot::channel();
        let job: Job = Box::new(move |bench| {
            // Nobody may wait for it any more.
            let _unwanted = done.send(work(bench));
        });
        jobs.send(job).map_err(|_| Error::Workshop)?;
        is_done.await.map_err(|_| Error::Workshop)
    }
}

/// What a thread does until there is nobody left to work for.
fn work(queue: &std::sync::Mutex<Receiver<Job>>) {
    give_way();
    let mut bench = Bench::new();
    loop {
        // The lock is held by the one who waits for the next job, and nothing panics under it.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        if catch_unwind(AssertUnwindSafe(|| job(&mut bench))).is_err() {
            // The hook has told what happened; whoever waits is told by the answer's end. What it left on the bench is not trusted.
            bench = Bench::new();
        }
    }
}

/// Lets other threads go first. (Elsewhere than on Linux it would be the whole process.)
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|now| rustix::process::setpriority_process(None, (now + NICE).min(LOWEST)))
    {
        tracing::debug!(%error, "threads that build chunks keep their priority");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn as_many_work_at_a_time_as_there_are_places_and_benches_are_used_again() {
        let workshop = Workshop::new(2).unwrap();
        let (entered, enters) = mpsc::channel();
        let (leave, leaves) = mpsc::channel::<()>();
        let leaves = Arc::new(std::sync::Mutex::new(leaves));
        let waiting: Vec<_> = (0..4)
            .map(|number| {
                let (workshop, entered, leaves) = (Arc::clone(&workshop), entered.clone(), Arc::clone(&leaves));
                tokio::spawn(async move {
                    let job = move |bench: &mut Bench| {
                        entered.send(number).unwrap();
                        leaves.lock().unwrap().recv().unwrap();
                        bench.lines.reserve(100);
                        bench.lines.capacity()
                    };
                    workshop.run(job).await.unwrap()
                })
            })
            .collect();
        let patience = Duration::from_secs(20);
        enters.recv_timeout(patience).unwrap();
        enters.recv_timeout(patience).unwrap();
        assert!(enters.recv_timeout(Duration::from_millis(100)).is_err(), "a third one works");
        (0..4).for_each(|_| leave.send(()).unwrap());
        for done in waiting {
            assert!(done.await.unwrap() >= 100);
        }
        let kept = workshop.run(|bench| bench.lines.capacity()).await.unwrap();
        assert!(kept >= 100, "{kept}");
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_next_one_finds_a_new_bench() {
        let workshop = Workshop::new(1).unwrap();
        let panicked = workshop.run(|bench| {
            bench.lines.push(7);
            assert!(bench.lines.is_empty(), "on purpose");
        });
        assert!(matches!(panicked.await, Err(Error::Workshop)));
        assert_eq!(workshop.run(|bench| bench.lines.len()).await.unwrap(), 0);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn whoever_builds_chunks_gives_way_and_nobody_else() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let there = Workshop::new(1).unwrap().run(move |_| nice()).await.unwrap();
        assert_eq!((there, nice()), ((before + NICE).min(LOWEST), before));
    }
}

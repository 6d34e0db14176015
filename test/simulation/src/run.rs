//! One run: a world, its processes, and what happens to them, all of it out of one seed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use bytes::Bytes;
use loglake_broker::Producer as _;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::client;
use crate::faults::{LATEST, Part, Rates};
use crate::judge;
use crate::memory_index;
use crate::mutation::Mutation;
use crate::processor::{self, Running};
use crate::trace::Trace;
use crate::world::World;

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A rule that a part breaks.
    pub mutation: Option<Mutation>,
    /// Prints each line of the trace as it comes.
    pub is_printed: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of all that happened.
    pub hash: u64,
    /// Lines of the trace.
    pub steps: usize,
    /// Records sent.
    pub sent: usize,
    /// Records acknowledged.
    pub acknowledged: usize,
    /// Readings of which every page said that it is complete.
    pub complete: usize,
    /// All readings.
    pub readings: usize,
}

/// What a run found.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}: {why}\n{}\nreplay: make soak SOAK='--seed {seed} --trace'", trace.join("\n"))]
pub struct Found {
    /// Where it began.
    pub seed: u64,
    /// What does not hold.
    pub why: String,
    /// The last lines of the trace.
    pub trace: Vec<String>,
}

/// Lines of the trace that a failure shows.
const SHOWN: usize = 120;

/// How long a run may take by the clock on the wall: most take a tenth of a second. Where something waits in a circle without
/// ever sleeping, simulated time stands still and no time-out within the run comes.
const ENDLESS: Duration = Duration::from_secs(300);

/// Ends the process when it lives longer than [`ENDLESS`]: nothing else stops a thread that never yields.
struct Watchdog {
    _called_off: mpsc::Sender<()>,
}

impl Watchdog {
    fn over(seed: u64) -> Self {
        let (called_off, ended) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(ENDLESS) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!(
                    "seed {seed}: it does not end within {ENDLESS:?}\nreplay: make soak SOAK='--seed {seed} --trace'"
                );
                std::process::abort();
            }
        });
        Self { _called_off: called_off }
    }
}

/// Runs `seed`. The process is aborted when that does not end.
///
/// # Errors
/// What was found.
pub fn run(seed: u64, options: Options) -> Result<Report, Box<Found>> {
    let _watchdog = Watchdog::over(seed);
    let kept: Rc<RefCell<Option<Trace>>> = Rc::default();
    let built = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let outcome = built.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = LocalSet::new().block_on(&runtime, live(seed, options, Rc::clone(&kept)));
        runtime.shutdown_background();
        outcome
    });
    outcome.map_err(|error| {
        let trace = kept.borrow().as_ref().map(|trace| trace.last(SHOWN)).unwrap_or_default();
        Box::new(Found { seed, why: format!("{error:#}"), trace })
    })
}

async fn live(seed: u64, options: Options, kept: Rc<RefCell<Option<Trace>>>) -> Result<Report> {
    let world = Arc::new(World::new(seed, options.mutation, options.is_printed).await?);
    kept.replace(Some(world.trace.clone()));
    let dice = &world.dice;
    let config = processor::settings(&world);
    world.trace.say("world", format_args!("partitions {}, trims {}, {config:?}", world.partitions, world.trims));
    let ingestors: Arc<[Router]> = [client::ingestor(&world, 0)?, client::ingestor(&world, 1)?].into();
    let queries = client::query_service(&world, 0).await?;
    let stop = CancellationToken::new();
    let mut clients = JoinSet::new();
    for number in 0..dice.within(1..4) {
        clients.spawn(writer(Arc::clone(&world), Arc::clone(&ingestors), number, stop.clone()));
    }
    for number in 0..dice.within(1..3) {
        clients.spawn(reader(Arc::clone(&world), queries.clone(), number, stop.clone()));
    }
    // Most histories are short: many of them find more than a few long ones do.
    let length = if dice.chance(100) { dice.millis(5_000..30_000) } else { dice.millis(2_000..7_000) };
    let ends = world.clock.elapsed() + length;
    let mut fate = Fate::begin(&world, config).await?;
    let (mut complete, mut readings) = (0, 0);
    let mut count = |ended: Result<Result<(usize, usize)>, tokio::task::JoinError>| -> Result<()> {
        let (some, all) = ended.context("a client panicked")??;
        complete += some;
        readings += all;
        Ok(())
    };
    while world.clock.elapsed() < ends {
        tokio::select! {
            biased;
            Some(ended) = clients.join_next() => count(ended)?,
            acted = fate.act() => acted?,
        }
    }
    world.trace.say("world", "heals");
    world.faults.heal();
    world.network.lose(0);
    stop.cancel();
    while let Some(ended) = clients.join_next().await {
        count(ended)?;
    }
    fate.restore().await?;
    // What is still on its way lands first.
    sleep(LATEST).await;
    judge::settle(&world).await?;
    judge::judge(&world, &queries).await?;
    fate.stop().await;
    judge::settle(&world).await.context("after everything was stopped")?;
    if dice.chance(200) {
        judge::fsck(&world).await?;
    }
    let (sent, acknowledged) = world.oracle.counts();
    let (hash, steps) = (world.trace.hash(), world.trace.len());
    Ok(Report { hash, steps, sent, acknowledged, complete, readings })
}

async fn writer(
    world: Arc<World>,
    ingestors: Arc<[Router]>,
    number: u64,
    stop: CancellationToken,
) -> Result<(usize, usize)> {
    let (dice, who) = (world.dice.fork(), format!("writer-{number}"));
    while !stop.is_cancelled() {
        sleep(dice.millis(10..800)).await;
        client::write(&world, &dice, &ingestors, &who).await?;
    }
    Ok((0, 0))
}

async fn reader(world: Arc<World>, surface: Router, number: u64, stop: CancellationToken) -> Result<(usize, usize)> {
    let (dice, who) = (world.dice.fork(), format!("reader-{number}"));
    let (mut complete, mut readings) = (0, 0);
    while !stop.is_cancelled() {
        sleep(dice.millis(100..3_000)).await;
        let read = client::read(&world, &dice, &surface, &who, &client::question(&dice)).await?;
        complete += usize::from(read != client::Read::Partial);
        readings += 1;
    }
    Ok((complete, readings))
}

/// What happens to processes and parts.
struct Fate {
    world: Arc<World>,
    config: loglake_process::Config,
    running: Vec<Running>,
    next: u64,
    /// What the index was once, for a failover that goes back to it.
    backup: Option<memory_index::State>,
}

impl Fate {
    async fn begin(world: &Arc<World>, config: loglake_process::Config) -> Result<Self> {
        let mut fate = Self { world: Arc::clone(world), config, running: Vec::new(), next: 0, backup: None };
        for _ in 0..world.dice.within(1..4) {
            fate.start().await?;
        }
        fate.weather();
        Ok(fate)
    }

    async fn start(&mut self) -> Result<()> {
        self.running.push(Running::start(&self.world, &self.config, self.next).await?);
        self.next += 1;
        Ok(())
    }

    /// Draws how often calls go wrong.
    fn weather(&self) {
        let dice = &self.world.dice;
        for part in [Part::Broker, Part::Store, Part::Index] {
            let rate = |most: u64| if dice.chance(500) { dice.within(0..most) } else { 0 };
            let rates =
                Rates { slow: rate(300), refused: rate(100), lost: rate(100), late: rate(50), flipped: rate(100) };
            self.world.trace.say("world", format_args!("{part:?} {rates:?}"));
            self.world.faults.set(part, rates);
        }
        self.world.network.lose(if dice.chance(300) { dice.within(0..500) } else { 0 });
    }

    fn any(&self) -> Option<usize> {
        let count = self.running.len() as u64;
        (count > 0).then(|| usize::try_from(self.world.dice.within(0..count)).unwrap_or(0))
    }

    /// Lets a while pass, then does one thing.
    async fn act(&mut self) -> Result<()> {
        let world = Arc::clone(&self.world);
        let dice = &world.dice;
        sleep(dice.millis(50..1_500)).await;
        self.running.retain(Running::is_running);
        match dice.within(0..13) {
            0 | 1 => {
                if let Some(at) = self.any() {
                    self.running.remove(at).crash(&world, dice.millis(0..5_000));
                }
                if dice.chance(700) {
                    self.start().await?;
                }
            }
            2 => self.start().await?,
            3 => {
                if let Some(at) = self.any() {
                    let leaving = self.running.remove(at);
                    let world = Arc::clone(&world);
                    tokio::task::spawn_local(async move { leaving.stop(&world).await });
                }
            }
            4 | 5 => {
                if let Some(at) = self.any() {
                    self.running[at].evict(&world, dice.millis(0..8_000)).await;
                }
            }
            6 => {
                world.trace.say("world", "the index loses everything");
                world.index.lose();
            }
            7 => match self.backup.take() {
                // The embedded index is one with its process and never goes back.
                Some(backup) if !world.trims => {
                    world.trace.say("world", "the index goes back");
                    world.index.go_back(backup);
                }
                _ => self.backup = Some(world.index.copy()),
            },
            8 => {
                let part = *dice.pick(&[Part::Broker, Part::Store, Part::Index]);
                let wait = dice.millis(100..6_000);
                world.trace.say("world", format_args!("{part:?} stalls for {wait:?}"));
                world.faults.stall(part, wait);
            }
            9 => world.network.reset(),
            10 => {
                let partition = u32::try_from(dice.within(0..u64::from(world.partitions)))?;
                world.trace.say("world", format_args!("something that is no batch comes into partition {partition}"));
                world.broker.log.append(partition, Bytes::from_static(b"no batch")).await?;
            }
            _ => self.weather(),
        }
        if self.running.is_empty() && dice.chance(500) {
            self.start().await?;
        }
        Ok(())
    }

    /// There is a processor again.
    async fn restore(&mut self) -> Result<()> {
        self.running.retain(Running::is_running);
        if self.running.is_empty() {
            self.start().await?;
        }
        Ok(())
    }

    async fn stop(&mut self) {
        for running in self.running.drain(..) {
            running.stop(&self.world).await;
        }
    }
}

/// Runs `seeds` one after the other until one finds something, or none does.
///
/// # Errors
/// The first find.
pub fn run_all(seeds: std::ops::Range<u64>, options: Options) -> Result<Vec<Report>> {
    seeds.map(|seed| run(seed, options).map_err(|found| anyhow!("{found}"))).collect()
}

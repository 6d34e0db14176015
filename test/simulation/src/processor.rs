//! Processors, and what can happen to them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use loglake_model::Readiness;
use loglake_process::{Config, Incoming, LostRecords, Parts, Processor, Surroundings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{FaultyMember, keep_seat};
use crate::faults::Life;
use crate::world::{CLUSTER, INCARNATION, World};

/// A processor that runs.
pub struct Running {
    host: String,
    life: Life,
    member: Arc<FaultyMember>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Settings of all processors of a run.
#[must_use]
pub fn settings(world: &World) -> Config {
    let dice = &world.dice;
    Config {
        cluster: CLUSTER.to_owned(),
        tail_listen: ([127, 0, 0, 1], 1).into(),
        tail_advertise: None,
        flush_bytes: dice.within(500..20_000),
        flush_interval: dice.millis(100..3_000),
        memory_bytes: dice.within(4 << 10..64 << 10),
        max_open_chunks: usize::try_from(dice.within(1..8)).expect("a small number"),
        window: Duration::from_secs(*dice.pick(&[900, 3600])),
        block_bytes: usize::try_from(dice.within(100..2_000)).expect("a small number"),
        tail_hold: dice.millis(1..5_000),
        // So often that short chains are folded too, and swept while writers still look at what is folded.
        fold_entries: dice.within(1..8),
        fold_grace: dice.millis(0..4_000),
        collect_interval: dice.millis(1_000..10_000),
        removed_grace: Duration::from_secs(60),
        on_lost_records: LostRecords::Halt,
        truncation_grace: Duration::from_secs(60),
        metric_tenants: 0,
    }
}

impl Running {
    /// Starts processor `number` on what is there.
    pub async fn start(world: &Arc<World>, config: &Config, number: u64) -> Result<Self> {
        let host = format!("processor-{number}");
        let life = Life::of(&host);
        world.trace.say(&host, "starts");
        let dice = world.dice.fork();
        let broker = world.broker_of(&life);
        let member = Arc::new(FaultyMember::join(broker.clone(), world.trace.clone(), dice.within(0..2_000)));
        let nonces = dice.fork();
        // Some machines are hours off.
        let skew_s = if dice.chance(150) { i64::try_from(dice.within(0..20_000))? - 10_000 } else { 0 };
        let clock = world.clock.ahead_by(skew_s * 1_000_000_000);
        let surroundings = Surroundings {
            incoming: Incoming::Memory(world.network.listen(&host)),
            nonce: Box::new(move || format!("{:016x}", nonces.number())),
            is_single_threaded: true,
        };
        let config = Config { tail_advertise: Some(format!("http://{host}")), ..config.clone() };
        let readiness = Readiness::default();
        let make_parts = {
            let (world, life, member) = (Arc::clone(world), life.clone(), Arc::clone(&member));
            move || Parts {
                consumer: member,
                reader: Arc::new(broker.clone()),
                trim: world.trims.then(|| Arc::new(broker) as _),
                store: world.store_of(&life),
                index: world.index_of(&life),
                incarnation: INCARNATION,
                clock: Arc::new(clock),
                internal: world.internal_key(),
                registry: prometheus::Registry::new(),
                ready: readiness.role("processor"),
            }
        };
        let shutdown = CancellationToken::new();
        let (stop, trace, name) = (shutdown.clone(), world.trace.clone(), host.clone());
        let task = tokio::spawn(async move {
            match Processor::within(config, make_parts(), surroundings).await {
                Ok(processor) => match processor.run(stop).await {
                    Ok(()) => trace.say(&name, "ended"),
                    Err(error) => trace.say(&name, format_args!("failed: {error}")),
                },
                Err(error) => trace.say(&name, format_args!("did not start: {error}")),
            }
        });
        Ok(Self { host, life, member, shutdown, task })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// Ends it between two steps; the broker notices after `session`.
    pub fn crash(self, world: &World, session: Duration) {
        world.trace.say(&self.host, format_args!("crashes, its session ends in {session:?}"));
        self.life.end();
        self.task.abort();
        world.network.cut(&self.host);
        tokio::spawn(keep_seat(self.member.seat(), session));
    }

    /// Stops it in order; what takes longer than the grace period is cut off.
    pub async fn stop(self, world: &World) {
        world.trace.say(&self.host, "is told to stop");
        self.shutdown.cancel();
        let mut task = self.task;
        if tokio::time::timeout(Duration::from_secs(30), &mut task).await.is_err() {
            world.trace.say(&self.host, "is cut off");
            self.life.end();
            task.abort();
        }
        world.network.cut(&self.host);
    }

    /// Loses its partitions to others, and learns of it after `wait`.
    pub async fn evict(&self, world: &World, wait: Duration) {
        world.trace.say(&self.host, format_args!("is thrown out of the group, and learns of it in {wait:?}"));
        self.member.evict(wait).await;
    }
}

//! A processor is cut from the store alone (a proxy) under a load that is larger than its memory: it buffers up to its cap,
//! pauses, does not grow, and goes on when the store is back. Nothing is refused meanwhile, for Kafka has room.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::proxy::{Tcp, TcpProxy};
use crate::rows::{Outcome, wait};
use crate::servers::local;
use crate::stack::{Wanted, metric};

const MIB: u64 = 1 << 20;
/// `processor.memory_bytes`.
const CAP: u64 = 16 * MIB;
/// What may be held past the cap: what a fetch brought at once, a partition (4 MiB and a message), and what librdkafka
/// fetched ahead of it (4 MiB a partition).
const ROOM: u64 = 4 * (5 + 5) * MIB;

/// How long the processor may take for what came in meanwhile.
const CATCH_UP: Duration = Duration::from_secs(180);

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let cut_for = Duration::from_secs(if lab.is_short { 12 } else { 60 });
    let wanted = Wanted::default().of(1, 0, 1).with("LOGLAKE_PROCESSOR_MEMORY_BYTES", "16MiB");
    let mut stack = lab.stack(&wanted).await?;
    let proxy = TcpProxy::start(0, local(stack.servers.minio.port)).await?;
    let endpoint = format!("http://{}", proxy.address);
    stack.add_with("processor", &[("S3_ENDPOINT", endpoint.as_str())]);
    stack.processors[0].wait_ready().await;
    let plan = Plan { batch: 40..60, text: 2_000..4_000, pause: Duration::from_millis(20), ..Plan::default() };
    // Reading all back all the time would be most of the work.
    let plan = Plan { watch_pause: Duration::from_secs(5), ..plan };
    let mut run = lab.begin(&stack.site(), plan);
    run.more(2_000).await?;
    let pid = stack.processors[0].process.id();
    let before = wait::resident_bytes(pid);
    let address = stack.processors[0].metrics.clone();
    let pauses = metric(&address, "loglake_process_pauses_total", "").await?;
    proxy.set(Tcp::BlackHole);
    let began = Instant::now();
    let (mut most, mut held) = (0, 0.0_f64);
    let mut paused = 0.0;
    // Until it has paused, and then for as long as told.
    while began.elapsed() < cut_for || paused == 0.0 && began.elapsed() < Duration::from_secs(180) {
        most = most.max(wait::resident_bytes(pid));
        held = held.max(metric(&address, "loglake_process_memory_bytes", "").await?);
        paused = metric(&address, "loglake_process_pauses_total", "").await? - pauses;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ensure!(proxy.fired() > 0, "the store was cut off");
    ensure!(paused > 0.0, "it never paused: {held} bytes held");
    ensure!(held as u64 <= CAP + ROOM, "{held} bytes are held where {CAP} are allowed");
    let grown = most.saturating_sub(before);
    // What is held, what is fetched ahead, and as much again for what is built of it.
    ensure!(grown <= 2 * (CAP + ROOM), "it grew by {} MiB from {} MiB", grown / MIB, before / MIB);
    let acknowledged = run.acknowledged();
    run.more(500).await?;
    proxy.set(Tcp::Pass);
    // By now Kafka holds minutes of a load that this processor is too small for: answers say that they lack it until it has caught up.
    run.stop_load().await;
    wait::metrics(&stack.processors, "loglake_process_lag_messages", "", CATCH_UP, |lag| lag == 0.0).await?;
    run.start_load();
    let verdict = run.finish().await?;
    let fired = format!("{paused} pauses, {} pieces or connections held", proxy.fired());
    Ok(Outcome::new(fired, verdict).noting(format!(
        "{acknowledged} records acknowledged by then; at most {:.0} MiB held of {} MiB; {} MiB resident before, {} MiB at most",
        held / MIB as f64,
        CAP / MIB,
        before / MIB,
        most / MIB
    )))
}

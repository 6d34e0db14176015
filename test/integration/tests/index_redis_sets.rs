//! The chunk index in a real Redis Cluster and behind real sentinels: the contract, and fail-overs under load.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use loglake_commit::{Chain, Claim, ENTRY_VERSION, Entry, apply, catch_up};
use loglake_index::redis::Config;
use loglake_index::{ChunkIndex, ChunkQuery, Error, RedisIndex, conformance};
use loglake_integration::RedisSet;
use loglake_model::{ChunkMeta, TenantId, TenantName, TimeRange};
use loglake_store::{MemoryStore, ObjectStore};

/// So many that each of three masters has some.
const PARTITIONS: u32 = 8;
const CLUSTER: &str = "sets";

async fn connect(servers: &RedisSet) -> RedisIndex {
    let config = Config {
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(1),
        ..Config::new(servers.address(), CLUSTER, 7)
    };
    RedisIndex::connect(config).await.unwrap()
}

#[allow(clippy::disallowed_methods, reason = "test")]
fn tenant() -> TenantId {
    TenantId::from_credential(TenantName::parse("t").unwrap())
}

/// The chunk that entry `seq` adds.
fn chunk(partition: u32, seq: u64) -> ChunkMeta {
    let at = i64::try_from(seq).unwrap();
    conformance::chunk("t", "s", at, at, &format!("{partition}-{seq}"))
}

/// Entry `seq`: it adds a chunk, and each third one also removes the one that its predecessor added.
fn entry(partition: u32, seq: u64, previous_hash: String) -> Entry {
    Entry {
        version: ENTRY_VERSION,
        seq,
        start: seq - 1,
        next: seq,
        adds: vec![chunk(partition, seq)],
        removes: if seq.is_multiple_of(3) { vec![chunk(partition, seq - 1)] } else { Vec::new() },
        nonce: format!("{partition}-{seq}"),
        writer: "test".to_owned(),
        leader_epoch: None,
        sessions: Vec::new(),
        quarantine: None,
        gap: None,
        previous_hash,
    }
}

/// What is live after entry `seq`: no more and no less.
fn live(partition: u32, seq: u64) -> BTreeSet<String> {
    (1..=seq).filter(|&n| n % 3 != 2 || n == seq).map(|n| chunk(partition, n).key).collect()
}

/// Chains in a bucket that nothing happens to, and their writers.
struct Lake {
    store: Arc<dyn ObjectStore>,
    index: Arc<RedisIndex>,
    stop: AtomicBool,
    /// Entries that are in the bucket and in the index, over all partitions.
    applied: AtomicU64,
    failures: AtomicU64,
    answers: AtomicU64,
}

impl Lake {
    fn new(index: RedisIndex) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::new(MemoryStore::new()),
            index: Arc::new(index),
            stop: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            answers: AtomicU64::new(0),
        })
    }

    fn chain(&self, partition: u32) -> Chain {
        Chain::new(Arc::clone(&self.store), CLUSTER, 1, partition)
    }

    /// Extends the chain and follows with the index as a processor does, until told to stop; returns the last seq.
    async fn write(self: Arc<Self>, partition: u32) -> u64 {
        let chain = self.chain(partition);
        let mut hash = String::new();
        let mut seq = 0;
        while !self.stop.load(Ordering::Relaxed) {
            seq += 1;
            let entry = entry(partition, seq, hash);
            hash = match chain.claim(&entry).await.unwrap() {
                Claim::Won(hash) => hash,
                Claim::Lost => panic!("there is one writer"),
            };
            while let Err(error) = apply(&chain, &*self.index, &entry).await {
                assert!(error.kind().is_retryable(), "{error}");
                self.failures.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.applied.fetch_add(1, Ordering::Relaxed);
            let name = format!("owner:{partition}");
            if let Err(error) = self.index.seize(&name, "test", "here", Duration::from_secs(10)).await {
                assert!(error.kind().is_retryable(), "{error}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        seq
    }

    /// Asks for all partitions at once, over and over; each answer is checked against the chain as it was at its watermark.
    async fn read(self: Arc<Self>) {
        let partitions: Vec<u32> = (0..PARTITIONS).collect();
        while !self.stop.load(Ordering::Relaxed) {
            let query = ChunkQuery { services: None, range: TimeRange::ALL, partitions: &partitions, most: usize::MAX };
            match self.index.chunks(&tenant(), &query).await {
                Ok(answers) => {
                    assert_eq!(answers.len(), partitions.len());
                    for answer in answers {
                        let Some(watermark) = answer.watermark else { continue };
                        assert_eq!(watermark.next, watermark.seq, "they change together");
                        let keys: BTreeSet<String> = answer.chunks.into_iter().map(|chunk| chunk.key).collect();
                        assert_eq!(keys, live(answer.partition, watermark.seq), "at {watermark:?}");
                        self.answers.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(error) => assert!(error.kind().is_retryable(), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `more` entries were applied from now on.
    async fn goes_on(&self, more: u64) {
        let goal = self.applied.load(Ordering::Relaxed) + more;
        for _ in 0..1_200 {
            if self.applied.load(Ordering::Relaxed) >= goal {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("entries are not applied any more: {} of {goal}", self.applied.load(Ordering::Relaxed));
    }

    /// Whether the index is at the end of each chain, with exactly what is live there. Nobody but a catching up mends it.
    async fn judge(&self, ends: &[u64]) {
        for (partition, &end) in (0..PARTITIONS).zip(ends) {
            let mut tries = 0;
            let watermark = loop {
                match catch_up(&self.chain(partition), &*self.index).await {
                    Ok(watermark) => break watermark,
                    Err(error) => assert!(error.kind().is_retryable() && tries < 200, "{error}"),
                }
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            assert_eq!(watermark.seq, end, "partition {partition}");
            let query =
                ChunkQuery { services: None, range: TimeRange::ALL, partitions: &[partition], most: usize::MAX };
            let answer = self.index.chunks(&tenant(), &query).await.unwrap().remove(0);
            let keys: BTreeSet<String> = answer.chunks.into_iter().map(|chunk| chunk.key).collect();
            assert_eq!(keys, live(partition, end));
            let (stored_at, stored) = self.index.stored_by_tenant(partition).await.unwrap().unwrap();
            let dump = self.index.dump(partition).await.unwrap().unwrap();
            assert_eq!((stored_at, stored), (watermark, loglake_index::stored_by_tenant(&dump.live)));
            let leases = self.index.leases(&[format!("owner:{partition}")]).await.unwrap();
            assert!(leases[0].as_ref().is_none_or(|lease| lease.value == "here"));
        }
    }

    /// Runs `fault` while all partitions are written and read, and judges afterwards.
    async fn survives(self: Arc<Self>, fault: impl AsyncFnOnce(&Lake)) {
        let writers: Vec<_> =
            (0..PARTITIONS).map(|partition| tokio::spawn(Arc::clone(&self).write(partition))).collect();
        let readers: Vec<_> = (0..2).map(|_| tokio::spawn(Arc::clone(&self).read())).collect();
        self.goes_on(100).await;
        fault(&self).await;
        self.stop.store(true, Ordering::Relaxed);
        let mut ends = Vec::new();
        for writer in writers {
            ends.push(writer.await.unwrap());
        }
        for reader in readers {
            reader.await.unwrap();
        }
        assert!(self.answers.load(Ordering::Relaxed) > 0);
        self.judge(&ends).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::cluster(dir.path());
    conformance::all(Arc::new(connect(&servers).await)).await;
    let per_master = servers.masters(&[]).into_iter().map(|port| RedisSet::ask(port, &["dbsize"]));
    assert!(per_master.into_iter().all(|keys| keys != "0"), "every master has some of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_behind_sentinels_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::sentinel(dir.path());
    conformance::all(Arc::new(connect(&servers).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_survives_the_loss_of_everything() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::cluster(dir.path());
    let index = connect(&servers).await;
    conformance::survives_loss(&index, 0, async || {
        for port in servers.masters(&[]) {
            assert_eq!(RedisSet::ask(port, &["flushall"]), "OK");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_of_a_cluster_is_survived_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::cluster(dir.path());
    let lake = Lake::new(connect(&servers).await);
    lake.survives(async |lake| {
        let dead = servers.masters(&[])[0];
        servers.kill(dead);
        servers.failed_over(&[dead], 3).await;
        lake.goes_on(300).await;
        assert!(lake.failures.load(Ordering::Relaxed) > 0, "the fault was felt");
        // It comes back as a replica, and takes the place of the one that took its.
        servers.start_again(dead);
        lake.goes_on(100).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_master_of_a_cluster_is_survived_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::cluster(dir.path());
    let lake = Lake::new(connect(&servers).await);
    lake.survives(async |lake| {
        let stalled = servers.masters(&[])[1];
        servers.signal(stalled, "STOP");
        servers.failed_over(&[stalled], 3).await;
        lake.goes_on(300).await;
        // It still thinks that it is a master until the others tell it.
        servers.signal(stalled, "CONT");
        lake.goes_on(100).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_may_move_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::cluster(dir.path());
    let lake = Lake::new(connect(&servers).await);
    lake.survives(async |lake| {
        let (from, to) = (servers.servers[0], servers.servers[1]);
        let ids = [from, to].map(|port| RedisSet::ask(port, &["cluster", "myid"]));
        let moved = std::process::Command::new("redis-cli")
            .args([
                "--cluster",
                "reshard",
                &format!("127.0.0.1:{from}"),
                "--cluster-from",
                &ids[0],
                "--cluster-to",
                &ids[1],
            ])
            .args(["--cluster-slots", "5461", "--cluster-yes", "--cluster-pipeline", "100"])
            .output()
            .unwrap();
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stdout));
        // What a node says of itself ends with its slots; they are gone, whatever stray keys it may still have.
        let nodes = RedisSet::ask(from, &["cluster", "nodes"]);
        let itself = nodes.lines().find(|line| line.contains("myself")).unwrap();
        assert_eq!(itself.split_whitespace().count(), 8, "all that it had lies elsewhere: {itself}");
        lake.goes_on(200).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_behind_sentinels_is_survived_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::sentinel(dir.path());
    let lake = Lake::new(connect(&servers).await);
    lake.survives(async |lake| {
        let dead = servers.masters(&[])[0];
        servers.kill(dead);
        servers.failed_over(&[dead], 1).await;
        lake.goes_on(300).await;
        assert!(lake.failures.load(Ordering::Relaxed) > 0, "the fault was felt");
        servers.start_again(dead);
        lake.goes_on(100).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_master_behind_sentinels_is_survived_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let servers = RedisSet::sentinel(dir.path());
    let lake = Lake::new(connect(&servers).await);
    lake.survives(async |lake| {
        let stalled = servers.masters(&[])[0];
        servers.signal(stalled, "STOP");
        servers.failed_over(&[stalled], 1).await;
        lake.goes_on(300).await;
        servers.signal(stalled, "CONT");
        lake.goes_on(100).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_master_that_would_evict_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = RedisSet::cluster(&dir.path().join("cluster"));
    let config = |servers: &RedisSet| Config::new(servers.address(), CLUSTER, 1);
    for port in cluster.masters(&[]) {
        RedisSet::ask(port, &["config", "set", "maxmemory-policy", "volatile-lru"]);
        let error = RedisIndex::connect(config(&cluster)).await.unwrap_err();
        let said = error.to_string();
        assert!(
            matches!(error, Error::Unfit(_)) && said.contains("volatile-lru") && said.contains("noeviction"),
            "{said}"
        );
        assert!(said.contains(&port.to_string()), "it names the server: {said}");
        RedisSet::ask(port, &["config", "set", "maxmemory-policy", "noeviction"]);
    }
    RedisIndex::connect(config(&cluster)).await.unwrap();
    drop(cluster);

    let sentinel = RedisSet::sentinel(&dir.path().join("sentinel"));
    let master = sentinel.masters(&[])[0];
    RedisSet::ask(master, &["config", "set", "maxmemory-policy", "allkeys-lfu"]);
    let error = RedisIndex::connect(config(&sentinel)).await.unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("allkeys-lfu")), "{error}");
    // Where CONFIG is forbidden, INFO tells as well.
    RedisSet::ask(master, &["acl", "setuser", "limited", "on", ">pass", "~*", "+@all", "-config"]);
    let limited = config(&sentinel).addr.replace("://", "://limited:pass@");
    let error = RedisIndex::connect(Config::new(limited.clone(), CLUSTER, 1)).await.unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("allkeys-lfu")), "{error}");
    RedisSet::ask(master, &["config", "set", "maxmemory-policy", "noeviction"]);
    RedisIndex::connect(Config::new(limited, CLUSTER, 1)).await.unwrap();

    let unknown = config(&sentinel).addr.replace("/main", "/other");
    let error = RedisIndex::connect(Config::new(unknown, CLUSTER, 1)).await.unwrap_err();
    assert!(error.kind().is_retryable(), "a master may yet be told of: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_is_not_taken_for_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = RedisSet::cluster(dir.path());
    let single = format!("127.0.0.1:{}", cluster.servers[0]);
    let error = RedisIndex::connect(Config::new(single, CLUSTER, 1)).await.unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("redis-cluster://")), "{error}");
}

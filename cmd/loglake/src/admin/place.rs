//! Finds the lake that a command is about, and opens it without disturbing who may be using it.

use std::sync::Arc;

use anyhow::Context as _;
use loglake_admin::{Lake, LiveIndex, Target};
use loglake_broker::embedded::{self, Closed};
use loglake_broker::{EmbeddedLog, Reader as _};
use loglake_index::{EmbeddedIndex, RedisIndex};
use loglake_model::SystemClock;
use loglake_service::{Config, Role, Sources, load};
use loglake_store::{FolderStore, ObjectStore};

use super::args::PlaceArgs;
use crate::data_folder::DataFolder;
use crate::parts;

/// What a command needs of the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// The bucket alone.
    Bucket,
    /// The index as well.
    Index,
}

/// A lake, and what must be held while it is used.
pub(crate) struct Place {
    pub(crate) lake: Lake,
    embedded: Option<Arc<EmbeddedIndex>>,
    /// Keeps `loglake dev` from starting on the folder meanwhile.
    lock: Option<Closed>,
    log: Option<Arc<EmbeddedLog>>,
}

impl Place {
    /// Makes durable what was changed.
    pub(crate) async fn close(&self) {
        if let Some(index) = &self.embedded
            && let Err(error) = index.close().await
        {
            tracing::warn!(%error, "index not closed in order; it is rebuilt when it lacks something");
        }
        if let Some(log) = &self.log {
            log.close().await;
        }
    }
}

/// Whether a data folder is meant, and the configuration that tells which lake.
pub(crate) fn config(args: PlaceArgs) -> anyhow::Result<(bool, Config)> {
    let sources = Sources::from(args);
    let is_set = |name: &str| sources.environment.iter().any(|(key, value)| key == name && !value.is_empty());
    let names_folder = sources.data.is_some() || is_set("LOGLAKE_DATA");
    let names_bucket = sources.file.is_some()
        || is_set("S3_BUCKET")
        || is_set("LOGLAKE_STORE_BUCKET")
        || sources.sets.iter().any(|set| set.starts_with("store.bucket="));
    let is_folder = names_folder || !names_bucket;
    let role = if is_folder { Role::Dev } else { Role::Admin };
    Ok((is_folder, load(role, &sources)?.0))
}

/// Opens the lake that `args` and the environment name.
pub(crate) async fn open(args: PlaceArgs, want: Want) -> anyhow::Result<Place> {
    let (is_folder, config) = config(args)?;
    if is_folder { data_folder(&config, want).await } else { cluster(&config, want).await }
}

async fn data_folder(config: &Config, want: Want) -> anyhow::Result<Place> {
    let folder = DataFolder::existing(&config.data)?;
    let path = || folder.path().display().to_string();
    // The log's lock first: with it nobody else has the index open, and half-written files are nobody's.
    let log = Closed::lock(&folder.log()).with_context(path)?;
    let objects = FolderStore::inspect(folder.objects()).with_context(path)?;
    let mut place = Place {
        lake: Lake {
            store: Arc::new(objects.clone()),
            cluster: config.cluster.as_str().to_owned(),
            index: None,
            folder: Some(objects),
            not_checked: Vec::new(),
        },
        embedded: None,
        lock: None,
        log: None,
    };
    let Some(log) = log else {
        place.lake.not_checked.push(format!(
            "the index and half-written files: `loglake dev` is running on {} and has them locked; stop it first",
            path()
        ));
        return Ok(place);
    };
    match life_of(&place.lake, Some(&log.topic().id)).await? {
        _ if want == Want::Bucket => place.lake.not_checked.push("the index: --bucket-only".to_owned()),
        // Nothing was ever committed under this topic: there is no index of it either.
        None => {}
        Some((incarnation, _)) => {
            let clock = Arc::new(SystemClock);
            let cluster = config.cluster.as_str();
            let index = EmbeddedIndex::open(&folder.index(), cluster, incarnation, clock).context("index")?;
            let index = Arc::new(index);
            let partitions = log.topic().partitions;
            let live = LiveIndex::new(incarnation, partitions, index.clone());
            place.lake.index = Some(live.with_older(place.lake.store.as_ref(), cluster).await?);
            place.embedded = Some(index);
        }
    }
    place.lock = Some(log);
    Ok(place)
}

/// Opens the cluster that `config` is of.
pub(crate) async fn cluster(config: &Config, want: Want) -> anyhow::Result<Place> {
    let store: Arc<dyn ObjectStore> = parts::store_as_it_is(config).await?;
    let cluster = config.cluster.as_str();
    let mut lake = Lake { store, cluster: cluster.to_owned(), index: None, folder: None, not_checked: Vec::new() };
    match life_of(&lake, None).await? {
        _ if want == Want::Bucket => lake.not_checked.push("the index: --bucket-only".to_owned()),
        None => lake.not_checked.push("the index: no processor or query service has used this bucket yet".to_owned()),
        Some((incarnation, partitions)) => {
            let addr = config.index.addr.as_ref().context("index.addr is not set")?;
            let index = RedisIndex::connect(parts::index_settings(config, addr.url(), incarnation)?).await;
            let index = index.with_context(|| format!("Redis (index.addr) at {addr:?}"))?;
            let live = LiveIndex::new(incarnation, partitions, Arc::new(index));
            lake.index = Some(live.with_older(lake.store.as_ref(), cluster).await?);
        }
    }
    Ok(Place { lake, embedded: None, lock: None, log: None })
}

/// Opens the lake that `args` and the environment name, and its log to be appended to.
pub(crate) async fn target(args: PlaceArgs) -> anyhow::Result<(Place, Target)> {
    let (is_folder, config) = config(args)?;
    let clock = Arc::new(SystemClock);
    let not_known = "nothing was ever committed under this topic; is it the right one?";
    if !is_folder {
        let place = cluster(&config, Want::Bucket).await?;
        let broker = parts::kafka(&config, "admin").await?;
        let topic = parts::topic(&*broker).await?;
        let (incarnation, _) = life_of(&place.lake, Some(&topic.id)).await?.context(not_known)?;
        return Ok((place, Target { producer: broker.clone(), reader: broker, incarnation, clock }));
    }
    let mut place = data_folder(&config, Want::Bucket).await?;
    let lock = place.lock.take().with_context(|| {
        format!("`loglake dev` is running on {} and has its log locked; stop it first", config.data.display())
    })?;
    let settings = embedded::Config {
        partitions: lock.topic().partitions,
        segment_bytes: config.broker.segment_bytes.0,
        max_bytes: config.broker.max_bytes.0,
        disk_reserve_bytes: config.broker.disk_reserve.map(|bytes| bytes.0),
        tail_bytes: config.broker.tail_bytes.as_usize(),
    };
    // The log takes the lock itself; whoever is faster now is told so.
    drop(lock);
    let (folder, for_log) = (DataFolder::existing(&config.data)?.log(), clock.clone());
    let log =
        tokio::task::spawn_blocking(move || EmbeddedLog::open(&folder, settings, for_log)).await?.context("log")?;
    let topic = log.topic().await?;
    let (incarnation, _) = life_of(&place.lake, Some(&topic.id)).await?.context(not_known)?;
    place.log = Some(log.clone());
    Ok((place, Target { producer: log.clone(), reader: log, incarnation, clock }))
}

/// Text that may come from anywhere, safe to show on a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The life of the topic with that id, or the newest one, and how many partitions it began with.
async fn life_of(lake: &Lake, topic_id: Option<&str>) -> anyhow::Result<Option<(u32, u32)>> {
    let lives = loglake_commit::lives(lake.store.as_ref(), &lake.cluster).await?;
    // One that cannot be read is told by the check itself.
    let mut lives = lives.into_iter().flatten();
    let found = lives.rfind(|life| topic_id.is_none_or(|id| life.topic_id == id));
    Ok(found.map(|life| (life.number, life.partitions)))
}

//! Where a row takes place.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use loglake_integration::Dev;
use rand::prelude::*;

use crate::load::Plan;
use crate::run::Run;
use crate::servers::Servers;
use crate::site::Site;
use crate::stack::{Stack, Wanted};

/// What a row gets: a folder, chance with a seed, and servers when it asks for them.
#[derive(Debug)]
pub struct Lab {
    /// The row's name.
    pub name: String,
    /// Where all chance comes from.
    pub seed: u64,
    /// Chance for the row itself.
    pub random: StdRng,
    /// Whether the row should do little, as a part of `make test`.
    pub is_short: bool,
    folder: tempfile::TempDir,
    servers: Shelf,
}

/// Servers that outlive a row; started by the first that needs them.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<tokio::sync::Mutex<Option<Arc<Servers>>>>);

impl Shelf {
    /// The servers.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn servers(&self) -> Result<Arc<Servers>> {
        let mut shelf = self.0.lock().await;
        if let Some(servers) = &*shelf {
            return Ok(Arc::clone(servers));
        }
        let servers = Arc::new(Servers::start().await?);
        *shelf = Some(Arc::clone(&servers));
        Ok(servers)
    }

    /// Stops them, when the last row that has them ends: a row broke them, or all is done.
    pub async fn clear(&self) {
        *self.0.lock().await = None;
    }
}

impl Lab {
    /// A lab for one row.
    ///
    /// # Errors
    /// When there is no room for its folder.
    pub fn new(name: &str, seed: u64, is_short: bool, servers: Shelf) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("loglake-fault").tempdir()?;
        Ok(Self { name: name.to_owned(), seed, random: StdRng::seed_from_u64(seed), is_short, folder, servers })
    }

    /// Its folder, gone with the lab.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder for who looks for the cause, and says where it is.
    pub fn keep(self) -> std::path::PathBuf {
        self.folder.keep()
    }

    /// Starts `loglake dev` in the folder, flushing often, with further environment.
    pub async fn dev(&self, env: &[(&str, &str)]) -> Dev {
        let mut all = DEV.to_vec();
        all.extend(env);
        Dev::start(&self.folder().join("data"), &all).await
    }

    /// Real Kafka, Redis and MinIO.
    ///
    /// # Errors
    /// When they do not start.
    pub async fn servers(&self) -> Result<Arc<Servers>> {
        self.servers.servers().await
    }

    /// Starts roles on real servers.
    ///
    /// # Errors
    /// When the servers do not start.
    pub async fn stack(&self, wanted: &Wanted) -> Result<Stack> {
        let servers = self.servers().await?;
        Stack::start(&servers, &self.name, wanted).await
    }

    /// Puts `site` under load and watch.
    pub fn begin(&mut self, site: &Site, plan: Plan) -> Run {
        Run::start(site, plan, self.random.random())
    }
}

/// What every `loglake dev` of a row is told: short intervals.
pub const DEV: [(&str, &str); 3] = [
    ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "2s"),
    ("LOGLAKE_PROCESSOR_TAIL_HOLD", "5s"),
    ("LOGLAKE_QUERY_TIMEOUT", "10s"),
];

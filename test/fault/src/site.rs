//! What a row's load and judge talk to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use loglake_integration::Dev;

/// Where an ingestor listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// gRPC, as a URL.
    pub grpc: String,
    /// HTTP, as a URL.
    pub http: String,
}

/// The addresses of what runs; shared, so that a row can change them under the load.
#[derive(Clone, Debug, Default)]
pub struct Site {
    ingestors: Arc<Mutex<Vec<Ingest>>>,
    queries: Arc<Mutex<Vec<String>>>,
    /// The environment and arguments with which `loglake admin` finds the same data.
    pub admin: Admin,
}

/// How `loglake admin` is run.
#[derive(Clone, Debug, Default)]
pub struct Admin {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Arguments after the command.
    pub args: Vec<String>,
}

impl Site {
    /// Of these addresses.
    pub fn new(ingestors: Vec<Ingest>, queries: Vec<String>, admin: Admin) -> Self {
        Self { ingestors: Arc::new(Mutex::new(ingestors)), queries: Arc::new(Mutex::new(queries)), admin }
    }

    /// Of one process with all roles.
    pub fn of_dev(dev: &Dev) -> Self {
        let ingest = Ingest { grpc: dev.ports.grpc_url(), http: dev.ports.ingest_url() };
        let data = dev.data().display().to_string();
        let admin = Admin { env: BTreeMap::new(), args: vec!["--data".to_owned(), data] };
        Self::new(vec![ingest], vec![dev.ports.query_url()], admin)
    }

    /// The ingestors.
    pub fn ingestors(&self) -> Vec<Ingest> {
        self.ingestors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The query services.
    pub fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on the load goes to these ingestors.
    pub fn set_ingestors(&self, ingestors: Vec<Ingest>) {
        *self.ingestors.lock().unwrap_or_else(PoisonError::into_inner) = ingestors;
    }

    /// From now on these query services are asked.
    pub fn set_queries(&self, queries: Vec<String>) {
        *self.queries.lock().unwrap_or_else(PoisonError::into_inner) = queries;
    }
}

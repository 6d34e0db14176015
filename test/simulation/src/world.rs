//! What outlives every process.

use std::sync::Arc;

use anyhow::Result;
use loglake_auth::internal::InternalKey;
use loglake_auth::keys::ClusterSecret;
use loglake_auth::session::SessionKey;
use loglake_auth::{Authenticator, Scope, new_token};
use loglake_broker::MemoryBroker;
use loglake_model::TenantName;
use loglake_store::MemoryStore;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::broker::{FaultyBroker, SharedBroker};
use crate::clock::SimulatedClock;
use crate::dice::Dice;
use crate::faults::{Faults, Life};
use crate::index::FaultyIndex;
use crate::memory_index::MemoryIndex;
use crate::mutation::Mutation;
use crate::network::Network;
use crate::oracle::{Oracle, TENANTS};
use crate::store::FaultyStore;
use crate::trace::Trace;

/// The name of the cluster.
pub const CLUSTER: &str = "simulated";
/// The only life of the topic.
pub const INCARNATION: u32 = 0;

/// What outlives every process.
#[derive(Debug)]
pub struct World {
    /// All chance.
    pub dice: Dice,
    /// The time.
    pub clock: SimulatedClock,
    /// What happened.
    pub trace: Trace,
    /// What goes wrong.
    pub faults: Faults,
    /// The bucket.
    pub store: Arc<MemoryStore>,
    /// The index.
    pub index: Arc<MemoryIndex>,
    /// The broker.
    pub broker: Arc<SharedBroker>,
    /// The wires.
    pub network: Network,
    /// What was sent.
    pub oracle: Oracle,
    /// How many partitions the topic has.
    pub partitions: u32,
    /// Whether the broker forgets what was flushed, as the embedded log does.
    pub trims: bool,
    /// Who is let in.
    pub auth: Arc<Authenticator>,
    /// A token of each tenant.
    pub tokens: Vec<String>,
    /// The rule that a part breaks.
    pub mutation: Option<Mutation>,
}

impl World {
    /// An empty world.
    ///
    /// # Errors
    /// When the tokens cannot be made.
    pub async fn new(seed: u64, mutation: Option<Mutation>, is_printed: bool) -> Result<Self> {
        let dice = Dice::new(seed);
        let clock = SimulatedClock::begin();
        let trace = Trace::new(clock, is_printed);
        let partitions = u32::try_from(dice.within(1..4))?;
        let log = MemoryBroker::new("simulated-topic", partitions, Arc::new(clock));
        let (mut tokens, mut known) = (Vec::new(), Vec::new());
        for tenant in TENANTS {
            let scopes = [Scope::Ingest, Scope::Query].into();
            let made = new_token(
                TenantName::parse(tenant)?,
                scopes,
                None,
                None,
                &mut StdRng::seed_from_u64(known.len() as u64),
            )?;
            tokens.push(made.text);
            known.push(made.token);
        }
        let store = Arc::new(MemoryStore::new());
        loglake_commit::incarnation(&*store, CLUSTER, "simulated-topic", partitions, &clock, false).await?;
        Ok(Self {
            faults: Faults::new(dice.fork(), trace.clone()),
            store,
            index: Arc::new(MemoryIndex::new(clock, mutation)),
            broker: Arc::new(SharedBroker { log, group: Mutex::default(), told: Mutex::default(), mutation }),
            network: Network::new(dice.fork()),
            oracle: Oracle::default(),
            partitions,
            trims: dice.chance(400),
            auth: Arc::new(Authenticator::with_tokens(known)?),
            tokens,
            mutation,
            trace,
            clock,
            dice,
        })
    }

    /// The key of the roles' calls to each other.
    #[must_use]
    pub fn internal_key(&self) -> InternalKey {
        InternalKey::new(&Self::secret())
    }

    /// What signs the tokens of sessions.
    #[must_use]
    pub fn session_key(&self) -> SessionKey {
        SessionKey::new(&Self::secret())
    }

    fn secret() -> ClusterSecret {
        ClusterSecret::from_bytes(&[7; 32]).expect("it is long enough")
    }

    /// The bucket as `life` sees it.
    #[must_use]
    pub fn store_of(&self, life: &Life) -> Arc<FaultyStore> {
        Arc::new(FaultyStore {
            inner: Arc::clone(&self.store),
            faults: self.faults.clone(),
            life: life.clone(),
            dice: self.dice.fork(),
            mutation: self.mutation,
        })
    }

    /// The index as `life` sees it.
    #[must_use]
    pub fn index_of(&self, life: &Life) -> Arc<FaultyIndex> {
        Arc::new(FaultyIndex { inner: Arc::clone(&self.index), faults: self.faults.clone(), life: life.clone() })
    }

    /// The broker as `life` sees it.
    #[must_use]
    pub fn broker_of(&self, life: &Life) -> FaultyBroker {
        FaultyBroker {
            shared: Arc::clone(&self.broker),
            faults: self.faults.clone(),
            life: life.clone(),
            dice: self.dice.fork(),
        }
    }
}

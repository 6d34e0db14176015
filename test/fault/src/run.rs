//! A site under load and watch, from the first record to the verdict.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::prelude::*;
use serde_json::json;

use crate::fsck;
use crate::judge::{Extent, Wrong, judge};
use crate::ledger::Ledger;
use crate::load::{Load, Plan};
use crate::probe;
use crate::read::Reader;
use crate::site::Site;
use crate::watch::Watch;

/// How long the last reading may wait for complete answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Load, watch and what they know.
#[derive(Debug)]
pub struct Run {
    /// Who sent what.
    pub ledger: Arc<Ledger>,
    /// Where it goes; its addresses may be changed.
    pub site: Site,
    /// What the load is like.
    pub plan: Plan,
    load: Option<Load>,
    watch: Option<Watch>,
    random: StdRng,
}

/// What came of it all.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Records sent.
    pub sent: u64,
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Records sent more than once, by writers whose repetitions are dropped.
    pub resent: u64,
    /// Records that came back.
    pub returned: u64,
    /// Whole walks of the background reader.
    pub walks: u64,
    /// Its errors and incomplete answers.
    pub errors: u64,
    /// How long fresh writes took to be readable after healing.
    pub healed: Duration,
}

impl Run {
    /// Starts load and watch with chance from `seed`.
    pub fn start(site: &Site, plan: Plan, seed: u64) -> Self {
        let ledger = Arc::new(Ledger::new(["alpha", "beta", "gamma"].map(str::to_owned).to_vec()));
        let load = Load::start(&ledger, site, &plan, seed);
        let watch = Watch::start(&ledger, site, seed ^ 1, plan.watch_pause);
        let random = StdRng::seed_from_u64(seed ^ 2);
        Self { ledger, site: site.clone(), plan, load: Some(load), watch: Some(watch), random }
    }

    /// Waits until `count` more records were acknowledged.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub async fn more(&self, count: u64) -> Result<()> {
        match &self.load {
            Some(load) => load.acknowledged_more(count, Duration::from_secs(60)).await,
            None => bail!("the load has ended"),
        }
    }

    /// How many records were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.ledger.counts().1
    }

    /// Errors and incomplete answers that the background reader had so far.
    pub fn watch_errors(&self) -> u64 {
        self.watch.as_ref().map_or(0, |watch| watch.seen().errors.load(Ordering::Relaxed))
    }

    /// Ends the load and waits for its outcomes; the watch goes on.
    pub async fn stop_load(&mut self) {
        if let Some(load) = self.load.take() {
            load.stop().await;
        }
    }

    /// Starts the load again after [`Run::stop_load`], on the same ledger.
    pub fn start_load(&mut self) {
        if self.load.is_none() {
            self.load = Some(Load::start(&self.ledger, &self.site, &self.plan, self.random.random()));
        }
    }

    /// The fault is over: waits for fresh writes to be readable, ends load and watch, reads everything back in both
    /// directions for every tenant, and checks the bucket.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub async fn finish(mut self) -> Result<Verdict> {
        let healed = probe::fresh(&self.ledger, &self.site).await?;
        self.stop_load().await;
        let mut verdict = Verdict { healed, ..Verdict::default() };
        let mut wrong: Vec<String> = Vec::new();
        if let Some(watch) = self.watch.take() {
            let seen = watch.stop().await;
            verdict.walks = seen.whole.load(Ordering::Relaxed);
            verdict.errors = seen.errors.load(Ordering::Relaxed);
            let of_watch = seen.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            wrong.extend(of_watch.iter().map(|wrong| format!("meanwhile: {wrong}")));
        }
        let ledger = Arc::clone(&self.ledger);
        for tenant in 0..ledger.tenants().len() {
            let (count, found) = self.judge(tenant).await?;
            verdict.returned += count;
            wrong.extend(found.iter().map(ToString::to_string));
        }
        (verdict.sent, verdict.acknowledged) = ledger.counts();
        verdict.resent = ledger.resent();
        wrong.extend(ledger.complaints().into_iter().map(|wrong| format!("a writer: {wrong}")));
        if !wrong.is_empty() {
            let shown: Vec<_> = wrong.iter().take(10).map(|text| text.chars().take(500).collect::<String>()).collect();
            bail!("{} wrong ({verdict:?}):\n  {}", wrong.len(), shown.join("\n  "));
        }
        fsck::clean(&self.site.admin)?;
        Ok(verdict)
    }

    /// Reads back all of a tenant, both ways.
    async fn judge(&mut self, tenant: usize) -> Result<(u64, Vec<Wrong>)> {
        let reader = Reader::new(&self.site);
        let name = self.ledger.tenants()[tenant].clone();
        let mut both = Vec::new();
        let mut wrong = Vec::new();
        for is_forward in [true, false] {
            let patience = Instant::now() + PATIENCE;
            let scan = reader.scan(&name, json!({}), is_forward, &mut self.random, patience).await;
            if let Some(text) = scan.unreadable {
                wrong.push(Wrong::Unreadable(text));
            } else if !scan.is_whole {
                let last = scan.errors.last().cloned().unwrap_or_default();
                bail!("no complete answer for {name} within {PATIENCE:?}: {last}");
            }
            wrong.extend(judge(&self.ledger, tenant, &scan.items, is_forward, Extent::All));
            both.push(scan.items);
        }
        both[1].reverse();
        if both[0] != both[1] {
            wrong.push(Wrong::Directions(both[0].len(), both[1].len()));
        }
        Ok((both[0].len() as u64, wrong))
    }
}

//! The commit protocol (`docs/commit-protocol.md`) as explicit-state models, explored exhaustively at small sizes.
//!
//! ```text
//! cargo test -p loglake-model-check      the small configurations, about a minute on one core
//! make model                             all of them, minutes; RESULTS.md keeps a table
//! make model MODEL='--trace NAME'        one of them, with the way to what it breaks
//! ```
//!
//! Every rule of the page is there twice: kept, in configurations that must hold, and left out, or done the obvious way, in
//! configurations that must break the property the rule is for. So a rule that nothing needs is found out, and so is a
//! property that nothing can break. [`cases`] lists all of them.
//!
//! # What is modelled
//!
//! - [`chain`]: one partition. Processors (zombies too) that seal, upload ahead, claim, lose, apply; creates that land late or
//!   lose their reply; merges and deletions; folding; the collector; loss and repair of the index; queries with H, T, floor and
//!   position; retention that runs past the tail, and gaps.
//! - [`folding`]: checkpoints that share segments, folders that stall, a sweeper, each in its own steps.
//! - [`sessions`]: a client session: numbers, parts, low mark and window, retries through any ingestor, late appends,
//!   give-ups, two processors, readers of the index and the tail.
//! - [`lineage`]: the broker under the chain: elections clean and unclean, logs that are cut and grow again, topics made anew,
//!   and queries over all that.
//! - [`routing`]: partitions are added while sessions live, and every part learns of it at another time.
//!
//! # Reductions, and why each loses no violation
//!
//! - **No clocks.** "After a grace" is "at any later moment once its condition holds"; a process that died is one that never
//!   moves again; a slow one is one that moves later. Whatever a clock could do wrong is among the interleavings.
//! - **Splitting where it matters.** Each model keeps what one group of rules is about, and takes the guarantees of the others
//!   as given: in `lineage` a claim is atomic and the index is the chain; in `routing` a chain is a function of its log. What is
//!   given there is what `chain` proves.
//! - **Exact readings are one step.** A reading of the chain that finds the same newest checkpoint before and after is what the
//!   chain was at its last GET. Configurations ending in `-in-steps` take it apart, and so do the naive ones ending in `-once`.
//! - **Prefixes.** Sealing any prefix of a full log is every lag of a consumer; folding any prefix of a chain is every slow
//!   folder.
//! - **A wrong actor stops.** A state in which an actor has already done wrong has no successors.
//! - **Symmetry.** Processors, and repairs, are alike and sorted. Ids that nothing knows any more are given out again.
//! - **Fingerprints.** Visited states are kept as hashes of 64 bits: among ten million states the chance that two have the same
//!   is about one in 400,000.
//!
//! Progress is not stateright's `eventually`, which misses violations where paths join or run in a circle: [`verdict::progress`]
//! keeps the graph and walks it backwards from the states where everything is done.
//!
//! # What is not
//!
//! Sizes beyond those of the table: a small scope finds most faults and proves nothing above it. The pages of listings; the
//! quarantine (an object named by an entry, collected like a chunk); objects of several clusters in one bucket; the embedded
//! mode's files; a Redis that goes back some seconds at a failover (a repair mends it; the grace of removed chunks is far
//! longer); append times that step back; broker messages that the retention of a *re-created* topic takes.

/// Every configuration that is checked.
pub mod cases;
pub mod chain;
pub mod folding;
pub mod lineage;
pub mod routing;
pub mod sessions;
/// A transition.
pub mod step;
/// Exploring a model, and what came out.
pub mod verdict;

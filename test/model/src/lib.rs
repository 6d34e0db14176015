//! The commit protocol as a state model, checked exhaustively at small sizes.

/// Every configuration that is checked.
pub mod cases;
pub mod chain;
pub mod lineage;
pub mod routing;
pub mod sessions;
/// A transition.
pub mod step;
/// Exploring a model, and what came out.
pub mod verdict;

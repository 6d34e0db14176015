//! Object stores: where chunks and chains rest.
//!
//! Start with [`ObjectStore`], the contract. [`FolderStore`] keeps objects as files of a local folder, [`MemoryStore`] in
//! memory for simulations, `S3Store` (feature `s3`) in any S3 store that honours conditional creates. [`Retrying`] wraps
//! one of them. [`self_test`] finds out at start whether a store keeps the contract; `conformance` (feature of that name)
//! is the suite that all of them pass.

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod fs;
pub mod key;
mod memory;
mod retrying;
#[cfg(feature = "s3")]
pub mod s3;
mod self_test;
mod traits;

pub use error::Error;
pub use fs::FolderStore;
pub use memory::MemoryStore;
pub use retrying::{Backoff, Retrying};
#[cfg(feature = "s3")]
pub use s3::S3Store;
pub use self_test::self_test;
pub use traits::{Create, Listing, Object, ObjectStore, PAGE, list_all};

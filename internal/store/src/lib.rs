//! Object stores: where chunks and chains rest.

mod error;
mod traits;

pub use error::Error;
pub use traits::{Create, Listing, Object, ObjectStore, list_all};

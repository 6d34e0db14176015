//! The surfaces' common language: the Protobuf types and services of `proto/`, the shape of errors, and the one table from
//! error kinds to gRPC and HTTP.
//!
//! Not here: the servers themselves (the roles have them) and what records look like inside (`loglake_model`). Start with
//! [`ingest::v1`] for what clients send, [`status`] for what an error becomes, [`Refusal`] for how to answer one.

mod convert;
mod descriptors;
mod error_body;
mod generated;
mod raw_batch;
mod refusal;
pub mod request_id;
pub mod status;

pub use descriptors::{ALL_DESCRIPTORS, FILE_DESCRIPTOR_SET};
pub use error_body::{ErrorBody, ErrorDetail};
pub use generated::{ingest, internal};
pub use raw_batch::RawBatch;
pub use refusal::Refusal;

//! What `build.rs` generates from `proto/`; the `.proto` files are the documentation.

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
/// How applications and shippers send records.
pub mod ingest {
    /// Version 1: `proto/loglake/ingest/v1/ingest.proto`.
    pub mod v1 {
        tonic::include_proto!("loglake.ingest.v1");
    }

    /// The server of version 1 again, for one that reads the records itself: see [`crate::RawBatch`].
    pub mod raw {
        include!(concat!(env!("OUT_DIR"), "/raw/loglake.ingest.v1.rs"));
    }
}

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
/// Calls between our own roles.
pub mod internal {
    /// Version 1: `proto/loglake/internal/v1/{admin,tail}.proto`.
    pub mod v1 {
        tonic::include_proto!("loglake.internal.v1");
    }
}

//! The role against its public surfaces: real sockets, real clients, a broker whose failures are directed by the test.

#![allow(clippy::unwrap_used, reason = "test")]

mod drain;
mod grpc;
mod grpc_faults;
mod harness;
mod http;
mod http_faults;
mod keys;
mod limits;
mod places;
mod sessions;
mod tenants;

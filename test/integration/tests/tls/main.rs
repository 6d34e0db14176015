//! Transport security with real programs: `loglake dev` with the certificates of `loglake certs dev`, the shipper, loglakectl, openssl.
#![allow(clippy::unwrap_used, reason = "a test")]

mod certs;
mod clients;
mod reload;
mod roles;
mod secured;
mod servers;

//! One typed configuration, put together from a file, the environment and flags; each beats the one before it.
//!
//! [`settings`] is the list of everything that can be set, with its default and what it does; the page
//! `docs/configuration.md` is made from it. [`load()`] reads all three sources and reports every fault at once.

mod amount;
mod certificate_row;
mod declare;
mod environment;
mod file;
mod key;
mod load;
mod mode;
mod place;
mod problem;
mod rows;
mod rules;
mod secret;
pub mod settings;
mod show;
mod span;
mod suggest;
mod token_row;
mod transport;
mod value;
mod values;

#[cfg(test)]
mod tests;

pub use amount::Bytes;
pub use certificate_row::CertificateRow;
pub use key::{Key, Shape};
pub use load::{Role, Sources, load};
pub use place::Place;
pub use problem::{Problem, Problems};
pub use secret::Secret;
pub use settings::{Config, keys};
pub use show::markdown;
pub use token_row::TokenRow;
pub use value::{Addresses, Advertised, ClusterName, LogFilter, LogFormat, LostRecords, RedisAddress, Value, Words};
pub use values::Shown;

//! Connections from outside: TLS on listeners, certificates that are read anew while everything runs, and places for as many
//! connections as a listener serves, of which idle ones give way.
//!
//! It knows no protocol above TLS and decides nothing about who may do what. Start with [`Entrance`], which accepts; what secures
//! its connections is a [`Tls`], made of [`Files`]. What a role that calls others trusts is [`Trust`].

mod attend;
mod entrance;
mod error;
mod files;
mod listen;
mod peer;
mod places;
mod prefaced;
mod stream;
mod tls;
mod trust;
mod validity;
mod working;

pub use attend::attend;
pub use entrance::{Connection, Entrance};
pub use error::Error;
pub use files::Files;
pub use listen::listen;
pub use places::{Crowded, Place, Places, Work, Worker};
pub use prefaced::Prefaced;
pub use stream::Stream;
pub use tls::{Acceptor, Reloaded, Speaks, Tls};
pub use trust::Trust;
pub use working::Working;

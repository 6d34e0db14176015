//! Writers of every kind.

mod answer;
mod http;
mod kind;
mod letter;
mod outstanding;
mod post;
mod session;
mod stream;
mod trial;
mod unary;
mod wire;

use std::time::Duration;

pub use kind::Kind;

pub(crate) use http::one;

use crate::load::Source;
use crate::site::Ingest;

/// After a failure, before the next attempt.
const AGAIN: Duration = Duration::from_millis(100);

/// Writes until it is told to stop and knows the outcome of what it sent, or has given up.
pub(crate) async fn run(source: Source) {
    match source.kind {
        Kind::Http | Kind::KeyedHttp => post::run(source, http::Http::default()).await,
        Kind::Unary | Kind::KeyedUnary => post::run(source, unary::Unary::default()).await,
        Kind::Stream => stream::run(source).await,
        Kind::Session => session::run(source).await,
    }
}

/// The ingestor whose turn it is.
fn target(source: &Source, turn: usize) -> Option<Ingest> {
    let all = source.site.ingestors();
    all.get((source.writer + turn) % all.len().max(1)).cloned()
}

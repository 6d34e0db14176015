//! The shipper that runs on every host, and the generator of realistic load.
//!
//! [`send`] reads text and NDJSON, [`generate`] makes records up; both fill a [`Sink`] with batches that [`deliver()`] brings
//! to the server over one gRPC stream, several in flight, again after a lost connection, until every record has its
//! answer. It links no Kafka, Redis or S3 client.
//!
//! Start reading with [`send::run`] and [`deliver()`].

mod batch;
pub mod deliver;
mod dice;
mod duration;
pub mod generate;
mod level_word;
mod lines;
mod ndjson;
mod report;
pub mod send;
mod text;

pub use batch::{Batch, BatchBuilder, Sink};
pub use deliver::{Options, Outcome, Refusal, Tally, Target, TlsFiles, Token, deliver};
pub use dice::Dice;
pub use duration::parse_duration;
pub use level_word::first_level;
pub use lines::{Line, LineReader};
pub use ndjson::{parse_line, render_line};
pub use report::{Progress, thousands};

//! What every record goes through between its decoder and its place in a message: it is validated, normalised and rendered
//! as its canonical line ([`loglake_model::line`]). No I/O; one [`Pipeline`] serves all threads.
//!
//! The rules, each with the fault of breaking it (`code`, field):
//!
//! | field | rule |
//! |---|---|
//! | `service` | required (`missing`); at most 128 bytes, 200 percent-encoded (`too_long`); no control characters (`invalid`) |
//! | `message` | required and not empty (`missing`); at most 256 KiB (`too_long`) |
//! | `timestamp` | missing: the time of receipt; not before 1970, not past 2262 (`invalid`), not more than `max_future` ahead (`too_far_ahead`), not older than `max_age` (`too_old`) |
//! | `trace_id`, `span_id`, `parent_span_id` | at most 256 bytes (`too_long`); 32 or 16 hexadecimal digits are lower-cased, others kept byte for byte |
//! | `host` | at most 256 bytes (`too_long`) |
//! | `tags` | at most 64 (`too_many`) of 256 bytes (`too_long`) |
//! | `attributes` | at most 256 (`too_many`), keys of 256 bytes (`too_long`); the decoder has seen to depth and repeated keys |
//! | `level` | an unknown spelling becomes the attribute `level_text`, at most 256 bytes (`too_long`) |
//! | all | a line of at most 512 KiB (`too_large`) |
//!
//! NUL, control and bidirectional characters are legal in texts and kept.

mod config;
mod pipeline;
mod raw;
mod render;
mod validate;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use pipeline::{Measured, Pipeline, Rendered};

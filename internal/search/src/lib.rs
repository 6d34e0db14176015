//! What a query asks of a record, decided on the raw bytes of its canonical line. No I/O.
//!
//! A [`Filter`] is a value: what was asked, as it travels between roles. [`Filter::compile`] makes a [`Matcher`] of it, which
//! looks at lines ([`Matcher::matches`]) and at whole blocks of them ([`Matcher::scan`]). All conditions must hold.
//!
//! A [`Tally`] counts what matched, by time step, service and level.
//!
//! Not here: time (a range is an argument of the scan), order, limits and tenants.

mod error;
mod field;
mod filter;
mod level_set;
mod limits;
mod literals;
mod matcher;
mod needle;
mod scan;
mod tally;
mod view;

pub use error::Error;
pub use field::{FieldFilter, FieldOp};
pub use filter::Filter;
pub use level_set::{InvalidLevel, LevelSet};
pub use limits::{
    MAX_FIELDS, MAX_NAME_BYTES, MAX_NEEDLE_BYTES, MAX_NEEDLES, MAX_REGEX_BYTES, MAX_SERVICES, MAX_TRACE_ID_BYTES,
};
pub use matcher::Matcher;
pub use scan::ScanStats;
pub use tally::{Counter, Steps, Tally};

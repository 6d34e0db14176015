//! What `product.md` of the design promises, to stand beside each figure. The bench prints both and fails for none.

use crate::send::Protocol;

/// The target of a query, of its first time after a start.
#[must_use]
pub fn query(name: &str) -> &'static str {
    match name {
        "rare substring" | "absent substring" => "<= 10 ms",
        "rare word" | "one trace" => "<= 5 ms",
        "newest 100 of a service with a phrase" | "newest 100 with a level" => "<= 10 ms",
        "counts by level in 5-minute steps" => "<= 5 ms",
        "regex with a literal, counted" | "regex without a literal, counted" => "<= 90 ms",
        _ => "",
    }
}

/// The target of the whole path's CPU, in gzip floors.
#[must_use]
pub fn floors(protocol: Protocol, is_stack: bool) -> &'static str {
    match (protocol, is_stack) {
        (Protocol::Grpc, false) => "<= 1.0 with ISA-L, 1.6 without",
        (Protocol::Http, false) => "<= 1.2 with ISA-L, 1.8 without",
        (_, true) => "<= 1.8 with ISA-L",
    }
}

/// The target of the 95th percentile of acknowledgements at half of saturation.
#[must_use]
pub fn acknowledgement(is_stack: bool) -> &'static str {
    if is_stack { "<= 25 ms" } else { "<= 10 ms" }
}

/// The target of the highest memory.
#[must_use]
pub fn memory(is_stack: bool) -> &'static str {
    if is_stack { "" } else { "<= 300" }
}

/// The target of bytes a record at rest, on the hard corpus of a million records: 1.45 times VictoriaLogs' 80.
pub const BYTES_AT_REST: &str = "<= 116";

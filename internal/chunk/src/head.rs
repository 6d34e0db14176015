use loglake_model::{Service, TenantName, Window};

/// Whose records a chunk holds, and from when. All of its records share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// Whose records these are.
    pub tenant: TenantName,
    /// The service that wrote them.
    pub service: Service,
    /// The window of event time that holds all of them.
    pub window: Window,
}

/// Where a chunk's records came from; kept in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flush of one partition of the log.
    Log {
        /// Which life of the topic.
        incarnation: u32,
        /// The partition.
        partition: u32,
        /// The lowest offset that any record came from.
        lowest_offset: u64,
        /// The highest offset that any record came from (included).
        highest_offset: u64,
    },
    /// A job (compaction, deletion …) that read other chunks.
    Job {
        /// The keys of the chunks it read, at most [`crate::MAX_JOB_INPUTS`] of at most [`crate::MAX_INPUT_BYTES`] bytes.
        inputs: Vec<String>,
    },
}

/// What a window must be for a chunk's sixtieths to be whole seconds.
pub(crate) fn is_sound(window: Window) -> bool {
    const MINUTE_NS: i64 = 60_000_000_000;
    const DAY_NS: i64 = 1_440 * MINUTE_NS;
    let length = window.length_ns;
    length > 0 && length % MINUTE_NS == 0 && DAY_NS % length == 0 && window.start_ns.rem_euclid(length) == 0
}

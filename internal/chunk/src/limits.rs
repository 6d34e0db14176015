//! The limits of the format. A writer refuses to pass them, a reader takes what passes them for damage.

/// How long a block's lines should be before it is compressed, in bytes; what a writer aims at unless it is told otherwise.
pub const BLOCK_TARGET_BYTES: usize = 1 << 20;

/// The most bytes of lines that one block may hold: a target of 4 MiB and then one longest line, every byte of it escaped.
pub const MAX_RAW_BLOCK_BYTES: usize = 8 << 20;

/// The most bytes of one stored block: what does not shrink grows by a few bytes in 64 KiB.
pub const MAX_STORED_BLOCK_BYTES: usize = MAX_RAW_BLOCK_BYTES + (1 << 16);

/// The most blocks of one chunk.
pub const MAX_BLOCKS: usize = 16_384;

/// The longest footer (filters, directory, locator), in bytes.
pub const MAX_FOOTER_BYTES: usize = 64 << 20;

/// The most inputs that the directory of a job's chunk names.
pub const MAX_JOB_INPUTS: usize = 4_096;

/// The longest name of an input, in bytes.
pub const MAX_INPUT_BYTES: usize = 1_024;

/// The longest FEXTRA field of a member, in bytes: DuckDB refuses a gzip header past 32,768.
pub const MAX_EXTRA_BYTES: usize = 32_000;

/// The most 5-grams that a [`crate::Probe`] tests; those of longer needles are left out, which only prunes less.
pub const MAX_PROBE_GRAMS: usize = 4_096;

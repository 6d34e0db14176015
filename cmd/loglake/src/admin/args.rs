use clap::{Args, Subcommand};

use crate::cli::DevArgs;

const PLACE: &str = "\
Which lake:
  --data DIR (or LOGLAKE_DATA)   the data folder of `loglake dev`
  --config FILE, or S3_BUCKET    a cluster: bucket and index as its roles have them
  nothing at all                 the data folder ./data";

const FSCK_EXAMPLES: &str = "\
Examples:
  loglake admin fsck                          checks ./data; stop `loglake dev` first to check its index as well
  loglake admin fsck --config loglake.toml    checks a cluster while it runs
  loglake admin fsck --deep                   reads every byte and counts every record
  loglake admin fsck --repair                 brings the index to what the bucket says, removes half-written files
  loglake admin fsck --json | jq .findings    for scripts

Exits with 0 when no fault stands, 1 when one does, 2 when the check could not be made, 64 for a wrong command line or
configuration.

What each finding means: docs/admin.md";

const REINDEX_EXAMPLES: &str = "\
Examples:
  loglake admin reindex --config loglake.toml                 all partitions
  loglake admin reindex --config loglake.toml --partition 3   one

The index is read from the bucket alone and replaced partition by partition, each in one step: queries go on and see the old
index or the new one. Exits with 0 when all was done, 1 when a partition could not be, 2 when it could not begin.";

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Checks that what is stored is whole: chains, chunks, quarantine and index.
    #[command(after_help = FSCK_EXAMPLES, after_long_help = [FSCK_EXAMPLES, "\n\n", PLACE].concat())]
    Fsck(FsckArgs),
    /// Builds the index anew from the bucket, while queries go on.
    #[command(after_help = REINDEX_EXAMPLES, after_long_help = [REINDEX_EXAMPLES, "\n\n", PLACE].concat())]
    Reindex(ReindexArgs),
}

#[derive(Args, Debug)]
pub(crate) struct FsckArgs {
    /// Reads every byte of every chunk: counts records, checks each line, and that no record is there twice.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Mends what can be mended safely: the index and half-written files. Never deletes or changes an object.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Looks at the bucket only: for when the index cannot be reached.
    #[arg(long, conflicts_with = "repair")]
    pub(crate) bucket_only: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: DevArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReindexArgs {
    /// Only this partition; may be given several times.
    #[arg(long, value_name = "N")]
    pub(crate) partition: Vec<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) place: DevArgs,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArgs {
    /// Prints one JSON document on the standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Shows no progress on the standard error stream.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

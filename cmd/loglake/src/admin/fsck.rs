use std::io::Write as _;

use loglake_admin::Options;

use super::args::FsckArgs;
use super::place::{self, Want};
use super::progress;

/// `loglake admin fsck`: whether no fault stands.
pub(crate) async fn run(args: FsckArgs) -> anyhow::Result<bool> {
    let want = if args.bucket_only { Want::Bucket } else { Want::Index };
    let place = place::open(args.place, want).await?;
    let options = Options { deep: args.deep, repair: args.repair, ..Options::default() };
    let progress = progress::shown(args.output);
    let report = loglake_admin::fsck(&place.lake, &options, progress.as_ref()).await?;
    place.close().await;
    let mut out = std::io::stdout().lock();
    if args.output.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(report.is_clean())
}

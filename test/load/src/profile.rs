//! Where a server's CPU goes, by sampling from outside: `perf record`, and its symbols grouped into stages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Serialize;

/// Samples a second and thread.
const FREQUENCY: &str = "997";
/// Functions that are told.
const FUNCTIONS: usize = 25;

/// A running `perf record`.
#[derive(Debug)]
pub(crate) struct Recording {
    child: Child,
    file: PathBuf,
}

/// Shares of a server's CPU, the largest first.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// Samples taken.
    pub samples: u64,
    /// By stage: share of all samples.
    pub stages: Vec<(String, f64)>,
    /// The functions with the most samples: share of all samples.
    pub functions: Vec<(String, f64)>,
}

/// Whether `perf` is there and may sample a process of ours.
///
/// # Errors
/// It is not; says what to do.
pub fn check() -> anyhow::Result<()> {
    let advice = "install it (Debian: apt-get install linux-perf), and allow it (sysctl kernel.perf_event_paranoid=1), or \
                  leave --profile out";
    let tried =
        Command::new("perf").args(["record", "-q", "-e", "cpu-clock", "-o", "/dev/null", "--", "true"]).output();
    let output = tried.with_context(|| format!("perf does not start: {advice}"))?;
    ensure!(output.status.success(), "perf may not sample: {advice}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl Recording {
    /// Begins to sample the process `id`, until it ends.
    pub(crate) fn begin(id: u32, file: &Path) -> anyhow::Result<Self> {
        let child = Command::new("perf")
            .args(["record", "-q", "-e", "cpu-clock", "-F", FREQUENCY, "-p", &id.to_string(), "-o"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting perf")?;
        Ok(Self { child, file: file.to_owned() })
    }

    /// Reads what was sampled, once the process has ended.
    pub(crate) fn end(mut self) -> anyhow::Result<Profile> {
        self.child.wait().context("waiting for perf")?;
        let output = Command::new("perf")
            .args(["report", "--stdio", "-q", "--no-children", "-s", "sym", "-F", "sample,sym", "-t", "|", "-i"])
            .arg(&self.file)
            .stdin(Stdio::null())
            .output()
            .context("starting perf")?;
        ensure!(output.status.success(), "perf report failed: {}", String::from_utf8_lossy(&output.stderr));
        let profile = Profile::of(&String::from_utf8_lossy(&output.stdout));
        ensure!(profile.samples > 0, "perf took no sample of the server");
        Ok(profile)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // After a failed run; one that ended already is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Profile {
    /// Groups lines of `samples|[k or .] symbol`.
    fn of(report: &str) -> Self {
        let mut functions: Vec<(String, u64)> = Vec::new();
        let mut stages: BTreeMap<&str, u64> = BTreeMap::new();
        for line in report.lines() {
            let Some((samples, symbol)) = line.split_once('|') else { continue };
            let Ok(samples) = samples.trim().parse::<u64>() else { continue };
            let (kind, name) = symbol.trim().split_once("] ").unwrap_or(("", symbol.trim()));
            let stage = if kind == "[k" { "kernel" } else { stage(name) };
            *stages.entry(stage).or_default() += samples;
            functions.push((if kind == "[k" { format!("[kernel] {name}") } else { name.to_owned() }, samples));
        }
        let all: u64 = stages.values().sum();
        let mut stages: Vec<_> = stages.into_iter().map(|(name, samples)| (name.to_owned(), samples)).collect();
        stages.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
        functions.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
        functions.truncate(FUNCTIONS);
        let share = |(name, samples): (String, u64)| (name, samples as f64 / all.max(1) as f64);
        Self {
            samples: all,
            stages: stages.into_iter().map(share).collect(),
            functions: functions.into_iter().map(share).collect(),
        }
    }
}

/// Marks of symbols and the stage that they belong to. The first mark that a symbol holds decides, so ours stand first: a generic
/// function of the standard library belongs to the crate it was made for.
const STAGES: [(&str, &[&str]); 14] = [
    (
        "filters",
        &[
            "loglake_chunk::text_filter",
            "loglake_chunk::filter",
            "loglake_chunk::fuse",
            "loglake_chunk::hash",
            "xorf::",
        ],
    ),
    ("chunk: lines walked, members, footers", &["loglake_chunk::"]),
    ("process: hold, sort, gather, flush", &["loglake_process::", "slice::sort"]),
    ("batch: build, read, check", &["loglake_batch::", "crc32c"]),
    ("decode", &["loglake_formats::", "loglake_api::", "prost::", "serde_json::"]),
    ("validate", &["loglake_pipeline::"]),
    ("lines", &["loglake_model::"]),
    ("ingest: route, answer", &["loglake_ingest::"]),
    (
        "broker, store, index",
        &[
            "loglake_broker::",
            "loglake_store::",
            "loglake_index::",
            "loglake_commit::",
            "rd_kafka",
            "rd_buf",
            "LZ4_",
            "lz4",
            "ZSTD_",
            "fjall::",
            "lsm_tree::",
            "redis::",
            "aws_",
        ],
    ),
    ("query", &["loglake_query::", "loglake_search::"]),
    ("gzip", &["deflate", "isal_", "encode_deflate", "huffman", "crc32_x86", "crc32_gzip"]),
    ("receive", &["h2::", "hyper", "tonic::", "tower", "axum::", "http::", "httparse::", "http_body"]),
    ("allocator", &["malloc", "free", "realloc", "calloc", "_int_malloc", "_int_free", "_int_realloc"]),
    ("runtime", &["tokio::", "tokio_", "futures_", "mio::", "parking_lot", "std::sys", "std::thread"]),
];

fn stage(symbol: &str) -> &'static str {
    if ["memcpy", "memmove", "memset", "memchr", "memcmp"].iter().any(|name| symbol.contains(name)) {
        return "copies and compares of memory";
    }
    let found = STAGES.iter().find(|(_, marks)| {
        marks.iter().any(|mark| {
            // Names of C functions are long enough to be found anywhere; the short ones stand first.
            if mark.ends_with("::") || mark.len() > 6 { symbol.contains(mark) } else { symbol.starts_with(mark) }
        })
    });
    found.map_or("else", |(stage, _)| stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_grouped_into_stages() {
        let report = "\n  60|[.] deflate_compress_fastest\n 20|[.] <loglake_chunk::text_filter::Scratch>::add\n\
            10|[k] tcp_sendmsg\n 6|[.] core::slice::sort::quicksort::<loglake_process::held::Row>\n 4|[.] __memmove_avx_unaligned_erms\n# x\n";
        let profile = Profile::of(report);
        let stages: Vec<(&str, u64)> =
            profile.stages.iter().map(|(name, share)| (name.as_str(), (share * 100.0).round() as u64)).collect();
        let want = [
            ("gzip", 60),
            ("filters", 20),
            ("kernel", 10),
            ("process: hold, sort, gather, flush", 6),
            ("copies and compares of memory", 4),
        ];
        assert_eq!(stages, want);
        assert_eq!((profile.samples, profile.functions[2].0.as_str()), (100, "[kernel] tcp_sendmsg"));
        assert_eq!(stage("_int_malloc"), "allocator");
        assert_eq!(stage("something"), "else");
    }
}

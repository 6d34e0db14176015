//! The figures as Markdown.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use loglake_agent::thousands;

use crate::bench::{Figures, Protocol};
use crate::corpus::{Kind, Settings};
use crate::machine::Machine;

/// Where and how figures were taken.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    /// The command line after `loglake-bench`.
    pub command: String,
    /// The machine.
    pub machine: Machine,
    /// How many rounds.
    pub rounds: usize,
}

/// What the file of results begins with; new figures go below it.
const HEAD: &str = "# Results of `make bench`\n\nNewest first. Costs are stated in **gzip floors**: the CPU of libdeflate level 1 alone, in 1 MiB blocks, over \
the lines that the\ncorpus becomes, measured before and after each ingest on the same machine. CPU is that of the server's process from start to exit,\n\
everything flushed, the client apart. Cold is the first query after a start of the server; the machine's page cache stays warm.\n";

/// Writes the figures of one corpus as a section of Markdown.
#[must_use]
pub fn section(setting: &Setting, corpus: &Settings, figures: &Figures) -> String {
    let Setting { date, command, machine, rounds } = setting;
    let kind = if corpus.kind == Kind::Hard { "hard" } else { "easy" };
    let mut text = format!("## {date}: {kind} corpus, {} records\n\n", thousands(corpus.records));
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "`make bench BENCH=\"{command}\"`, seed {}, medians of {rounds} rounds. {}, {} cores, {} MiB, Linux {}.\n\
         The floor: {:.2} us and {:.1} bytes a record, of lines of {:.0} bytes.\n",
        corpus.seed,
        machine.cpu,
        machine.cores,
        thousands(machine.memory_mib),
        machine.kernel,
        figures.floor(|floor| floor.us_per_record),
        figures.floor(|floor| floor.bytes_per_record),
        figures.line_bytes,
    );
    text.push_str(
        "| ingest | CPU, us a record | gzip floors | records/s | peak MiB | bytes a record at rest | chunks |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|\n");
    for (name, protocol) in [("gRPC stream", Protocol::Grpc), ("HTTP NDJSON", Protocol::Http)] {
        let of = |pick| figures.of(protocol, pick);
        let _ = writeln!(
            text,
            "| {name} | {:.2} | {:.2} | {} | {:.0} | {:.1} | {:.0} |",
            of(|ingest| ingest.us_per_record),
            of(|ingest| ingest.floors),
            thousands(of(|ingest| ingest.records_per_second) as u64),
            of(|ingest| ingest.peak_mib),
            of(|ingest| ingest.bytes_per_record),
            of(|ingest| ingest.chunks as f64),
        );
    }
    text.push_str("\n| query | cold, ms | then, ms |\n|---|---|---|\n");
    for name in figures.queries() {
        let (cold, warm) = figures.latency_ms(name);
        let _ = writeln!(text, "| {name} | {cold:.1} | {warm:.1} |");
    }
    text
}

/// Puts `section` below the head of the file of results, above the earlier ones; makes the file if it is not there.
///
/// # Errors
/// The file cannot be read or written.
pub fn write(path: &Path, section: &str) -> anyhow::Result<()> {
    let old = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let earlier = old.find("\n## ").map_or("", |at| &old[at..]);
    std::fs::write(path, format!("{HEAD}\n{section}{earlier}")).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_sections_stand_above_older_ones_and_the_head_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("RESULTS.md");
        write(&path, "## one\n\na\n").unwrap();
        write(&path, "## two\n\nb\n").unwrap();
        write(&path, "## three\n\nc\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{HEAD}\n## three\n\nc\n\n## two\n\nb\n\n## one\n\na\n"));
    }
}

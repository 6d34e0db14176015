//! The figures as Markdown.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use loglake_agent::thousands;

use crate::bench::{Figures, Ingest};
use crate::corpus::Kind;
use crate::machine::Machine;
use crate::profile::Profile;
use crate::queries::Way;
use crate::send::Protocol;
use crate::stats::median;
use crate::targets;

/// Where and how figures were taken.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Setting {
    /// `YYYY-MM-DD`, UTC.
    pub date: String,
    /// The command line after `loglake-bench`.
    pub command: String,
    /// The server's revision, or what else it calls itself.
    pub server: String,
    /// The machine.
    pub machine: Machine,
    /// How many rounds.
    pub rounds: usize,
    /// Whether the roles ran on real Kafka, Redis and MinIO.
    pub is_stack: bool,
}

/// What the file of results begins with; new figures go below it.
const HEAD: &str = "# Results of `make bench`

Newest first. Costs are stated in **gzip floors**: the CPU of libdeflate level 1 alone, in 1 MiB blocks, over the lines that the
corpus becomes, measured before and after each ingest on the same machine. CPU is that of our processes from start to exit, everything
flushed; the client, Kafka, Redis and MinIO apart. An acknowledgement is that of a batch of 1,000 records: saturated, from its sending;
at half of that rate, from when it was due. Memory by quarters is the median in each quarter of the time that records came. Cold is the
first query after a start of the server; the machine's page cache stays warm.
";

/// Parts of the CPU below this share of it are left out.
const LEAST_SHARE: f64 = 0.005;

/// Writes the figures of one corpus as a section of Markdown.
#[must_use]
pub fn section(setting: &Setting, figures: &Figures) -> String {
    let Setting { date, command, server, machine, rounds, is_stack } = setting;
    let corpus = &figures.corpus;
    let on = if *is_stack { ", three roles on Kafka, Redis and MinIO" } else { "" };
    let mut text = format!("## {date}: {} corpus, {} records{on}\n\n", corpus.kind.name(), thousands(corpus.records));
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "`make bench BENCH=\"{command}\"`, {server}, seed {}, medians of {rounds} round{}. {}, {} cores, {} MiB, Linux {}.\n\
         The floor: {:.2} us and {:.1} bytes a record, of lines of {:.0} bytes.\n",
        corpus.seed,
        if *rounds == 1 { "" } else { "s" },
        machine.cpu,
        machine.cores,
        thousands(machine.memory_mib),
        machine.kernel,
        figures.floor(|floor| floor.us_per_record),
        figures.floor(|floor| floor.bytes_per_record),
        figures.line_bytes,
    );
    ingests(&mut text, figures, *is_stack);
    acknowledgements(&mut text, figures, *is_stack);
    if !figures.latencies.is_empty() {
        queries(&mut text, figures);
    }
    budgets(&mut text, figures);
    text
}

fn ingests(text: &mut String, figures: &Figures, is_stack: bool) {
    text.push_str(
        "| ingest | CPU, us a record | gzip floors | target | records/s | peak MiB | target | memory, by quarters | bytes a record at rest \
         | target | chunks | index bytes a chunk |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for protocol in figures.protocols() {
        let of = |pick| figures.of(protocol, pick);
        let quarters: [fn(&Ingest) -> f64; 4] = [
            |ingest| ingest.memory.quarters_mib[0],
            |ingest| ingest.memory.quarters_mib[1],
            |ingest| ingest.memory.quarters_mib[2],
            |ingest| ingest.memory.quarters_mib[3],
        ];
        let growing = figures.ingests.iter().filter(|ingest| ingest.protocol == protocol && ingest.memory.is_growing());
        let rounds = figures.ingests.iter().filter(|ingest| ingest.protocol == protocol).count();
        let trend = if growing.count() * 2 > rounds { "growing" } else { "flat" };
        let _ = writeln!(
            text,
            "| {} | {:.2} | {:.2} | {} | {} | {:.0} | {} | {}: {trend} | {:.1} | {} | {:.0} | {:.0} |",
            protocol.name(),
            of(|ingest| ingest.us_per_record),
            of(|ingest| ingest.floors),
            targets::floors(protocol, is_stack),
            thousands(of(|ingest| ingest.records_per_second) as u64),
            of(|ingest| ingest.peak_mib),
            targets::memory(is_stack),
            quarters.map(|pick| format!("{:.0}", of(pick))).join(" "),
            of(|ingest| ingest.bytes_per_record),
            if figures.corpus.kind == Kind::Hard { targets::BYTES_AT_REST } else { "" },
            of(|ingest| ingest.chunks as f64),
            of(|ingest| ingest.index_bytes_per_chunk),
        );
    }
}

fn acknowledgements(text: &mut String, figures: &Figures, is_stack: bool) {
    text.push_str(
        "\n| acknowledgement, ms | records/s | p50 | p95 | p99 | target of p95 |\n|---|---|---|---|---|---|\n",
    );
    for protocol in figures.protocols() {
        if figures.halves.iter().any(|half| half.protocol == protocol) {
            let of = |pick| figures.at_half(protocol, pick);
            let _ = writeln!(
                text,
                "| {}, at half of saturation | {} | {:.1} | {:.1} | {:.1} | {} |",
                protocol.name(),
                thousands(of(|half| half.rate) as u64),
                of(|half| half.acknowledgements.p50),
                of(|half| half.acknowledgements.p95),
                of(|half| half.acknowledgements.p99),
                targets::acknowledgement(is_stack),
            );
        }
        let of = |pick| figures.of(protocol, pick);
        let _ = writeln!(
            text,
            "| {}, saturated | {} | {:.1} | {:.1} | {:.1} | |",
            protocol.name(),
            thousands(of(|ingest| ingest.records_per_second) as u64),
            of(|ingest| ingest.acknowledgements.p50),
            of(|ingest| ingest.acknowledgements.p95),
            of(|ingest| ingest.acknowledgements.p99),
        );
    }
}

fn queries(text: &mut String, figures: &Figures) {
    text.push_str("\n| query | cold, ms | then, ms | target, cold |\n|---|---|---|---|\n");
    for name in figures.queries() {
        let way = figures.latencies.iter().find(|latency| latency.name == name).map(|latency| latency.way);
        let target = targets::query(name);
        let _ = match way {
            Some(Way::NotThere) | None => writeln!(text, "| {name} | not there | not there | {target} |"),
            Some(way) => writeln!(
                text,
                "| {name}{} | {:.1} | {:.1} | {target} |",
                if way == Way::Paged { " (by paging)" } else { "" },
                figures.latency(name, |latency| latency.cold_ms),
                figures.latency(name, |latency| latency.warm_ms),
            ),
        };
    }
}

fn budgets(text: &mut String, figures: &Figures) {
    for protocol in figures.protocols() {
        let ingests: Vec<&Ingest> = figures.ingests.iter().filter(|ingest| ingest.protocol == protocol).collect();
        let Some(first) = ingests.first() else { continue };
        let floor = figures.floor(|floor| floor.us_per_record);
        let all = figures.of(protocol, |ingest| ingest.us_per_record);
        let _ = writeln!(text, "\n| CPU, {} | us a record | x floor |\n|---|---|---|", protocol.name());
        for (name, _) in &first.budget {
            let part = median(
                ingests
                    .iter()
                    .map(|ingest| ingest.budget.iter().find(|(other, _)| other == name).map_or(0.0, |(_, us)| *us)),
            );
            // Threads that did next to nothing are many.
            if part >= LEAST_SHARE * all {
                let _ = writeln!(text, "| {name} | {part:.2} | {:.2} |", part / floor);
            }
        }
        // Of the round in the middle: shares of different rounds would not add up.
        if let Some(profile) = &ingests[ingests.len() / 2].profile {
            sampled(text, profile, ingests[ingests.len() / 2]);
        }
    }
}

/// A profile as two tables: its shares of the ingest's CPU, in floors.
fn sampled(text: &mut String, profile: &Profile, ingest: &Ingest) {
    let _ = writeln!(text, "\n| stage, of {} samples | % | x floor |\n|---|---|---|", thousands(profile.samples));
    for (name, share) in &profile.stages {
        let _ = writeln!(text, "| {name} | {:.1} | {:.3} |", share * 100.0, share * ingest.floors);
    }
    text.push_str("\n| function | % | x floor |\n|---|---|---|\n");
    for (name, share) in &profile.functions {
        let _ =
            writeln!(text, "| `{}` | {:.1} | {:.3} |", name.replace('|', "\\|"), share * 100.0, share * ingest.floors);
    }
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

/// The names of `protocols`, as they are given on the command line.
#[must_use]
pub fn flags(protocols: &[Protocol]) -> String {
    let names = protocols.iter().map(|protocol| match protocol {
        Protocol::Grpc => "grpc",
        Protocol::Http => "http",
    });
    names.collect::<Vec<_>>().join(",")
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

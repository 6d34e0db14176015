//! Two programs in turn on the same corpus: ratios of their figures, with their spread over the rounds.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::bench::{self, Figures, Settings};
use crate::corpus::Corpus;
use crate::stats::median;

/// One figure of both programs.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// What it is.
    pub name: String,
    /// The base's median over the rounds.
    pub base: f64,
    /// The other's.
    pub new: f64,
    /// The median of new / base over the rounds.
    pub ratio: f64,
    /// The smallest and the largest of those.
    pub spread: (f64, f64),
}

/// Runs `base` and the settings' own program in turn, the other one first in every second round.
///
/// # Errors
/// As [`bench::run`].
pub async fn run(settings: &Settings, base: &Path, corpus: &Arc<Corpus>) -> anyhow::Result<Vec<Ratio>> {
    let with = |binary: &Path| Settings { binary: binary.to_owned(), rounds: 1, ..settings.clone() };
    let (base, new) = (with(base), with(&settings.binary));
    let mut rounds = Vec::new();
    for round in 0..settings.rounds {
        let base_first = round % 2 == 0;
        let mut sides = Vec::new();
        for is_base in [base_first, !base_first] {
            eprintln!("round {} of {}: {}", round + 1, settings.rounds, if is_base { "base" } else { "new" });
            sides.push((is_base, bench::run(if is_base { &base } else { &new }, corpus).await?));
        }
        sides.sort_by_key(|(is_base, _)| !is_base);
        let mut sides = sides.into_iter().map(|(_, figures)| values(&figures));
        rounds.extend(sides.next().zip(sides.next()));
    }
    Ok(ratios(&rounds))
}

type Values = Vec<(String, f64)>;

/// The figures that are compared, by name.
fn values(figures: &Figures) -> Values {
    let mut values = Vec::new();
    for protocol in figures.protocols() {
        let name = protocol.name();
        values.extend([
            (format!("{name}: gzip floors"), figures.of(protocol, |ingest| ingest.floors)),
            (format!("{name}: records/s"), figures.of(protocol, |ingest| ingest.records_per_second)),
            (format!("{name}: peak MiB"), figures.of(protocol, |ingest| ingest.peak_mib)),
            (format!("{name}: bytes a record at rest"), figures.of(protocol, |ingest| ingest.bytes_per_record)),
        ]);
        if !figures.halves.is_empty() {
            let p95 = figures.at_half(protocol, |half| half.acknowledgements.p95);
            values.push((format!("{name}: acknowledgement p95 at half of its saturation, ms"), p95));
        }
    }
    for query in figures.queries() {
        values.push((format!("{query}: cold, ms"), figures.latency(query, |latency| latency.cold_ms)));
        values.push((format!("{query}: then, ms"), figures.latency(query, |latency| latency.warm_ms)));
    }
    values
}

/// Ratios of all figures that both have, of rounds of (base, new).
fn ratios(rounds: &[(Values, Values)]) -> Vec<Ratio> {
    let Some((first, _)) = rounds.first() else { return Vec::new() };
    let of = |values: &Values, name: &str| {
        values.iter().find(|(other, _)| other == name).map_or(f64::NAN, |(_, value)| *value)
    };
    let each = first.iter().map(|(name, _)| {
        let pairs: Vec<(f64, f64)> = rounds.iter().map(|(base, new)| (of(base, name), of(new, name))).collect();
        let quotients = || pairs.iter().map(|(base, new)| new / base);
        Ratio {
            name: name.clone(),
            base: median(pairs.iter().map(|(base, _)| *base)),
            new: median(pairs.iter().map(|(_, new)| *new)),
            ratio: median(quotients()),
            spread: (quotients().fold(f64::NAN, f64::min), quotients().fold(f64::NAN, f64::max)),
        }
    });
    each.collect()
}

/// The ratios as a table of Markdown.
#[must_use]
pub fn table(ratios: &[Ratio]) -> String {
    let mut text = String::from("| figure | base | new | new / base | from .. to |\n|---|---|---|---|---|\n");
    for Ratio { name, base, new, ratio, spread: (from, to) } in ratios {
        // Writing to a String cannot fail.
        let _ = if ratio.is_nan() {
            let there = |value: &f64| if value.is_nan() { "not there".to_owned() } else { format!("{value:.2}") };
            writeln!(text, "| {name} | {} | {} | | |", there(base), there(new))
        } else {
            writeln!(text, "| {name} | {base:.2} | {new:.2} | {ratio:.3} | {from:.3} .. {to:.3} |")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_medians_with_their_spread() {
        let round = |base: f64, new: f64| (vec![("a".to_owned(), base)], vec![("a".to_owned(), new)]);
        let found = ratios(&[round(10.0, 5.0), round(20.0, 16.0), round(10.0, 6.0)]);
        assert_eq!((found[0].base, found[0].new, found[0].ratio, found[0].spread), (10.0, 6.0, 0.6, (0.5, 0.8)));
        assert!(table(&found).contains("| a | 10.00 | 6.00 | 0.600 | 0.500 .. 0.800 |"));
        let absent = ratios(&[round(f64::NAN, 5.0)]);
        assert!(table(&absent).contains("| a | not there | 5.00 | | |"));
    }
}

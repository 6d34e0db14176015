//! The records: lines of the sixteen Loghub samples as messages, with ids, hosts and attributes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use loglake_agent::{Batch, BatchBuilder, Dice, first_level, render_line};
use loglake_api::ingest::v1::{Batch as WireBatch, LogRecord};
use prost::Message as _;
use serde::Serialize;

use crate::needles::Needles;
use crate::variable::Line;

/// How much the records differ from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Every run of three or more digits and every hex id of a line is drawn anew.
    Hard,
    /// The lines as they are: they repeat.
    Easy,
}

impl Kind {
    /// Its name, as it is given on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Easy => "easy",
        }
    }
}

/// How a corpus is made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    /// Hard or easy.
    pub kind: Kind,
    /// How many records.
    pub records: u64,
    /// Decides every draw.
    pub seed: u64,
}

/// Records in a batch.
pub const BATCH_RECORDS: usize = 1_000;
/// Event time of the first record: 2026-01-01T00:00:00Z. A whole hour, so that windows are full.
pub const START_NS: i64 = 1_767_225_600_000_000_000;
/// Event time from the first to the last.
pub const SPAN_NS: i64 = 6 * 3_600_000_000_000;
/// No record is earlier or later than its turn by more than so many turns.
const JITTER_TURNS: u64 = 12;
const RECORDS_PER_TRACE: usize = 5;
const OPEN_TRACES: u64 = 64;
/// A batch larger than this is cut; no batch of this corpus is.
const BATCH_BYTES: usize = 8 << 20;

/// A corpus in memory, encoded.
#[derive(Debug)]
pub struct Corpus {
    /// What it was made with.
    pub settings: Settings,
    /// The records in the order in which they are sent.
    pub batches: Vec<Batch>,
    /// Records by service.
    pub services: BTreeMap<String, u64>,
    /// What is searched for, and how often it is there.
    pub(crate) needles: Needles,
    bodies: OnceLock<Vec<Bytes>>,
}

impl Corpus {
    /// Makes a corpus of the `*.log` files in the folder `loghub`.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn make(settings: Settings, loghub: &Path) -> anyhow::Result<Self> {
        let sources = sources(loghub, settings.kind)?;
        let mut maker = Maker::new(settings, sources);
        let mut builder = BatchBuilder::new("corpus", BATCH_RECORDS, BATCH_BYTES);
        let (mut batches, mut services) = (Vec::new(), BTreeMap::new());
        for at in 0..settings.records {
            let record = maker.record(at);
            *services.entry(record.service.clone()).or_insert(0) += 1;
            batches.extend(builder.push(&record, at + 1));
        }
        batches.extend(builder.take());
        let needles = Needles::choose(&batches)?;
        Ok(Self { settings, batches, services, needles, bodies: OnceLock::new() })
    }

    /// Records by service of so many batches, from the corpus' beginning, and from there again when it ends.
    ///
    /// # Errors
    /// Never for a corpus that was made here.
    pub fn services_of(&self, batches: usize) -> anyhow::Result<BTreeMap<String, u64>> {
        let (rounds, rest) = (batches / self.batches.len().max(1), batches % self.batches.len().max(1));
        let mut services: BTreeMap<String, u64> =
            self.services.iter().map(|(name, count)| (name.clone(), count * rounds as u64)).collect();
        for batch in &self.batches[..rest] {
            for record in records(batch)? {
                *services.entry(record.service).or_default() += 1;
            }
        }
        services.retain(|_, count| *count > 0);
        Ok(services)
    }

    /// The batches as bodies of NDJSON, rendered when they are first asked for.
    ///
    /// # Errors
    /// Never for a corpus that was made here.
    pub fn bodies(&self) -> anyhow::Result<&[Bytes]> {
        if let Some(bodies) = self.bodies.get() {
            return Ok(bodies);
        }
        let mut bodies = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let mut body = Vec::new();
            for record in records(batch)? {
                render_line(&mut body, &record);
            }
            bodies.push(Bytes::from(body));
        }
        Ok(self.bodies.get_or_init(|| bodies))
    }
}

/// Decodes the records of a batch.
///
/// # Errors
/// Never for batches of a corpus.
pub fn records(batch: &Batch) -> anyhow::Result<Vec<LogRecord>> {
    Ok(WireBatch::decode(batch.payload().clone()).context("decoding a batch of the corpus")?.records)
}

/// One service: its name and its lines, each with its level.
struct Source {
    name: String,
    lines: Vec<(i32, Line)>,
    next: usize,
}

fn sources(loghub: &Path, kind: Kind) -> anyhow::Result<Vec<Source>> {
    let reading = || format!("reading the Loghub samples in {}", loghub.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(loghub).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            paths.push(path);
        }
    }
    paths.sort();
    ensure!(!paths.is_empty(), "no *.log file in {}", loghub.display());
    let read = paths.into_iter().map(|path| {
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
            let level = first_level(line).map_or(0, |level| i32::from(level as u8));
            (level, if kind == Kind::Hard { Line::parse(line) } else { Line::verbatim(line) })
        });
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let source = Source { name, lines: lines.collect(), next: 0 };
        ensure!(!source.lines.is_empty(), "{} holds no lines", path.display());
        Ok(source)
    });
    read.collect()
}

struct Maker {
    settings: Settings,
    dice: Dice,
    sources: Vec<Source>,
    /// Running sums: the n-th service speaks an n-th as often as the first.
    weights: Vec<u64>,
    open: Vec<(String, Vec<String>)>,
}

impl Maker {
    fn new(settings: Settings, sources: Vec<Source>) -> Self {
        let mut sum = 0;
        let weights = (1..=sources.len() as u64).map(|rank| {
            sum += 1_000_000 / rank;
            sum
        });
        let weights = weights.collect();
        Self { settings, dice: Dice::new(settings.seed), sources, weights, open: Vec::new() }
    }

    fn record(&mut self, at: u64) -> LogRecord {
        let dice = &mut self.dice;
        let turn_ns = SPAN_NS.unsigned_abs() / self.settings.records.max(1);
        let jitter_ns = JITTER_TURNS * turn_ns;
        let offset_ns =
            (at * turn_ns + dice.below(2 * jitter_ns)).saturating_sub(jitter_ns).min(SPAN_NS.unsigned_abs() - 1);
        let source_at = dice.weighted(&self.weights);
        let source = &mut self.sources[source_at];
        let (level, line) = &source.lines[source.next];
        source.next = (source.next + 1) % source.lines.len();
        let mut record = LogRecord {
            timestamp_ns: START_NS.unsigned_abs() + offset_ns,
            level: *level,
            service: source.name.clone(),
            host: format!("{}-{:02}.node", source.name.to_ascii_lowercase(), dice.below(12)),
            ..LogRecord::default()
        };
        line.draw(dice, &mut record.message);
        let mut attributes = format!("{{\"region\":\"eu-{}\",\"pod\":\"", dice.between(1, 3));
        dice.hex(&mut attributes, 5);
        // Writing to a String cannot fail.
        let _ = write!(
            attributes,
            "\",\"status\":{},\"duration_ms\":{}",
            200 + dice.below(4) * 100,
            dice.between(1, 9_999)
        );
        attributes.push('}');
        record.attributes_json = attributes.into_bytes().into();

        let slot = dice.below(OPEN_TRACES) as usize;
        let slot = if slot < self.open.len() {
            slot
        } else {
            let mut id = String::with_capacity(32);
            dice.hex(&mut id, 32);
            self.open.push((id, Vec::new()));
            self.open.len() - 1
        };
        let (trace_id, spans) = &mut self.open[slot];
        record.trace_id.clone_from(trace_id);
        record.parent_span_id = dice.pick(spans).cloned().unwrap_or_default();
        dice.hex(&mut record.span_id, 16);
        spans.push(record.span_id.clone());
        if spans.len() == RECORDS_PER_TRACE {
            self.open.swap_remove(slot);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::PathBuf;

    use super::*;

    fn make(kind: Kind, records: u64, seed: u64) -> Corpus {
        let loghub = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/loghub");
        Corpus::make(Settings { kind, records, seed }, &loghub).unwrap()
    }

    fn all(corpus: &Corpus) -> Vec<LogRecord> {
        corpus.batches.iter().flat_map(|batch| records(batch).unwrap()).collect()
    }

    #[test]
    fn the_corpus_follows_its_seed_and_is_what_it_says() {
        const RECORDS: u64 = 6_000;
        let corpus = make(Kind::Hard, RECORDS, 1);
        let records = all(&corpus);
        assert!(records == all(&make(Kind::Hard, RECORDS, 1)));
        assert!(records != all(&make(Kind::Hard, RECORDS, 2)));
        assert_eq!((records.len(), corpus.batches.len(), corpus.services.len()), (6_000, 6, 16));
        let counts: Vec<u64> = corpus.services.values().copied().collect();
        assert_eq!(counts.iter().sum::<u64>(), RECORDS);
        assert!(counts[0] > 8 * counts[15] && counts[15] > 0, "{counts:?}");

        let twice = corpus.services_of(13).unwrap();
        assert_eq!((twice.values().sum::<u64>(), &corpus.services_of(6).unwrap()), (13_000, &corpus.services));

        let times: Vec<u64> = records.iter().map(|record| record.timestamp_ns).collect();
        let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*first >= START_NS.unsigned_abs() && *last < (START_NS + SPAN_NS).unsigned_abs());
        assert!(!times.is_sorted(), "nearly ascending, not quite");
        let mut highest = 0;
        for time in times {
            assert!(time + 2 * JITTER_TURNS * SPAN_NS.unsigned_abs() / RECORDS > highest);
            highest = highest.max(time);
        }

        let mut traces: HashMap<&str, usize> = HashMap::new();
        for record in &records {
            *traces.entry(&record.trace_id).or_default() += 1;
            let attributes: serde_json::Value = serde_json::from_slice(&record.attributes_json).unwrap();
            assert_eq!(attributes.as_object().unwrap().len(), 4);
        }
        assert!(traces.values().filter(|count| **count == 5).count() > 1_100);
    }

    #[test]
    fn easy_lines_are_those_of_the_samples() {
        let loghub = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/loghub");
        let apache = std::fs::read_to_string(loghub.join("Apache.log")).unwrap();
        let records = all(&make(Kind::Easy, 2_000, 1));
        let of_apache: Vec<&str> =
            records.iter().filter(|record| record.service == "Apache").map(|record| record.message.as_str()).collect();
        assert!(of_apache.len() > 100);
        assert!(of_apache.iter().zip(apache.lines()).all(|(got, want)| *got == want));
    }
}

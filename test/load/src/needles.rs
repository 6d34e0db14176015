//! The set of queries, chosen from a corpus, and how many records match each.

use std::collections::HashMap;

use anyhow::Context as _;
use loglake_agent::Batch;
use loglake_api::ingest::v1::LogRecord;
use regex::Regex;
use serde_json::{Value, json};

use crate::corpus::{START_NS, records};

/// A query of the set: what is asked, and how many records match.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    /// How many records match it in the whole corpus.
    pub(crate) matches: u64,
}

/// How a query is asked.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The newest hundred, of `POST /v1/query`: its body.
    Page(Value),
    /// Counts, of `POST /v1/aggregate`: its body.
    Histogram(Value),
    /// All matches counted: the filters. Of `POST /v1/aggregate`, or page by page where the server has none.
    Count(Value),
}

/// The queries, chosen from a corpus and counted in it by a plain scan.
#[derive(Clone, Debug)]
pub(crate) struct Needles(pub(crate) Vec<Needle>);

/// How many records a query asks for.
pub(crate) const LIMIT: u64 = 100;
const ABSENT: &str = "qzxwvkjqzx";
const PHRASE_SERVICE: &str = "HDFS";
const PHRASE: &str = "PacketResponder";
/// Five bytes or more that every match holds let blocks be passed over.
const REGEX_WITH_LITERAL: &str = "PacketResponder [0-2] for block blk_-?[0-9]+[05] terminating";
const REGEX_WITHOUT_LITERAL: &str = r"[0-9]{3}\.[0-9]{1,3}\.[0-9]{2}\.[0-9]{3}";
/// A part of a long number is this many digits.
const SUBSTRING: usize = 11;
/// Words shorter than this are not searched for.
const MIN_WORD: usize = 7;

type Matches = Box<dyn Fn(&LogRecord) -> bool>;

impl Needles {
    pub(crate) fn choose(batches: &[Batch]) -> anyhow::Result<Self> {
        let middle = batches.get(batches.len() / 2).context("an empty corpus")?;
        let middle = records(middle)?;
        let rare_part = middle.iter().find_map(inner_digits).context("no long number in the middle of the corpus")?;
        let rare_word = rarest_word(batches, &middle)?;
        let trace_id = middle.first().context("an empty batch")?.trace_id.clone();
        let contains = |text: &str| -> Matches {
            let text = text.to_owned();
            Box::new(move |record| record.message.contains(&text))
        };
        let page = |mut filters: Value| {
            filters["limit"] = json!(LIMIT);
            Ask::Page(filters)
        };
        let regex = |text: &str| -> anyhow::Result<(Ask, Matches)> {
            let regex = Regex::new(text).context("a regular expression of the bench")?;
            Ok((Ask::Count(json!({ "regex": text })), Box::new(move |record| regex.is_match(&record.message))))
        };
        let (with_literal, matches_with) = regex(REGEX_WITH_LITERAL)?;
        let (without_literal, matches_without) = regex(REGEX_WITHOUT_LITERAL)?;
        let of_trace = trace_id.clone();
        let set: Vec<(&'static str, Ask, Matches)> = vec![
            ("rare substring", page(json!({ "contains": rare_part })), contains(&rare_part)),
            ("absent substring", page(json!({ "contains": ABSENT })), contains(ABSENT)),
            ("rare word", page(json!({ "contains": rare_word })), contains(&rare_word)),
            ("one trace", page(json!({ "trace_id": trace_id })), Box::new(move |record| record.trace_id == of_trace)),
            (
                "newest 100 of a service with a phrase",
                page(json!({ "service": PHRASE_SERVICE, "contains": PHRASE })),
                Box::new(|record| record.service == PHRASE_SERVICE && record.message.contains(PHRASE)),
            ),
            ("newest 100 with a level", page(json!({ "level": "ERROR" })), Box::new(|record| record.level == 5)),
            ("counts by level in 5-minute steps", Ask::Histogram(histogram()), Box::new(|_| true)),
            ("regex with a literal, counted", with_literal, matches_with),
            ("regex without a literal, counted", without_literal, matches_without),
        ];
        let mut counts = vec![0; set.len()];
        for batch in batches {
            for record in records(batch)? {
                for (count, (_, _, matches)) in counts.iter_mut().zip(&set) {
                    *count += u64::from(matches(&record));
                }
            }
        }
        let needles = set.into_iter().zip(counts).map(|((name, ask, _), matches)| Needle { name, ask, matches });
        Ok(Self(needles.collect()))
    }
}

/// Counts by level in steps of five minutes, over everything.
pub(crate) fn histogram() -> Value {
    // A lower bound that holds everything, so that steps begin somewhere.
    json!({ "from_ts": START_NS, "step": "5m", "group_by": ["level"] })
}

/// A part from inside a long number of a message.
pub(crate) fn inner_digits(record: &LogRecord) -> Option<String> {
    let runs = record.message.split(|c: char| !c.is_ascii_digit());
    runs.filter(|run| run.len() >= SUBSTRING + 2).map(|run| run[1..=SUBSTRING].to_owned()).next()
}

/// The word of letters in the middle of the corpus that the fewest records hold.
fn rarest_word(batches: &[Batch], middle: &[LogRecord]) -> anyhow::Result<String> {
    let words = |message: &str, each: &mut dyn FnMut(&str)| {
        for word in message.split(|c: char| !c.is_ascii_alphanumeric()) {
            if word.len() >= MIN_WORD && word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                each(word);
            }
        }
    };
    let mut counts: HashMap<String, u64> = HashMap::new();
    for record in middle {
        words(&record.message, &mut |word| {
            counts.entry(word.to_owned()).or_default();
        });
    }
    // One batch in eight is enough to tell rare from common.
    for batch in batches.iter().step_by(8) {
        for record in records(batch)? {
            words(&record.message, &mut |word| {
                if let Some(count) = counts.get_mut(word) {
                    *count += 1;
                }
            });
        }
    }
    let rarest = counts.into_iter().min_by(|(a, count_a), (b, count_b)| count_a.cmp(count_b).then_with(|| a.cmp(b)));
    rarest.map(|(word, _)| word).context("no word in the middle of the corpus")
}

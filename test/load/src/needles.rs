use std::collections::HashMap;

use anyhow::Context as _;
use loglake_agent::Batch;
use loglake_api::ingest::v1::LogRecord;
use serde_json::{Value, json};

use crate::corpus::records;

/// A query of the set: what is asked, and how many records match.
#[derive(Clone, Debug)]
pub(crate) struct Needle {
    pub(crate) name: &'static str,
    /// The body of `POST /v1/query`.
    pub(crate) query: Value,
    /// How many records match it in the whole corpus.
    pub(crate) matches: u64,
}

/// The queries, chosen from a corpus and counted in it by a plain scan.
#[derive(Clone, Debug)]
pub(crate) struct Needles(pub(crate) Vec<Needle>);

/// How many records a query asks for.
pub(crate) const LIMIT: u64 = 100;
const ABSENT: &str = "qzxwvkjqzx";
const PHRASE_SERVICE: &str = "HDFS";
const PHRASE: &str = "PacketResponder";
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
        let of_trace = trace_id.clone();
        let set: Vec<(&'static str, Value, Matches)> = vec![
            ("rare substring", json!({ "contains": rare_part }), contains(&rare_part)),
            ("absent substring", json!({ "contains": ABSENT }), contains(ABSENT)),
            ("rare word", json!({ "contains": rare_word }), contains(&rare_word)),
            ("one trace", json!({ "trace_id": trace_id }), Box::new(move |record| record.trace_id == of_trace)),
            (
                "newest 100 of a service with a phrase",
                json!({ "service": PHRASE_SERVICE, "contains": PHRASE }),
                Box::new(|record| record.service == PHRASE_SERVICE && record.message.contains(PHRASE)),
            ),
            ("newest 100 with a level", json!({ "level": "ERROR" }), Box::new(|record| record.level == 5)),
        ];
        let mut counts = vec![0; set.len()];
        for batch in batches {
            for record in records(batch)? {
                for (count, (_, _, matches)) in counts.iter_mut().zip(&set) {
                    *count += u64::from(matches(&record));
                }
            }
        }
        let needles = set.into_iter().zip(counts).map(|((name, mut query, _), matches)| {
            query["limit"] = json!(LIMIT);
            Needle { name, query, matches }
        });
        Ok(Self(needles.collect()))
    }
}

/// A part from inside a long number of a message.
fn inner_digits(record: &LogRecord) -> Option<String> {
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

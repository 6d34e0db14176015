//! Knows what was sent and acknowledged, and judges answers by a plain scan of it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use rand::prelude::*;
use serde_json::{Value, json};

/// A record as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its service.
    pub service: String,
    /// Event time, ns UTC.
    pub timestamp_ns: i64,
    /// Canonical level, if any.
    pub level: Option<&'static str>,
    /// Its message.
    pub message: String,
    /// Its trace; empty for none.
    pub trace_id: String,
}

/// The levels, least severe first.
pub const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

/// A time as answers write it.
pub fn rfc3339(ns: i64) -> String {
    // Days since the epoch to a date, by counting: plain on purpose, it judges the server's own conversion.
    let (mut days, within) = (ns.div_euclid(86_400_000_000_000), ns.rem_euclid(86_400_000_000_000));
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut year = 1970;
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (seconds, nanos) = (within / 1_000_000_000, within % 1_000_000_000);
    format!(
        "{year:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{nanos:09}Z",
        month + 1,
        days + 1,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A query with the answer that a plain scan gives.
#[derive(Clone, Debug)]
pub struct Question {
    /// The body of `POST /v1/query`, without `limit` and `cursor`.
    pub body: Value,
    /// What it should find.
    pub expected: Vec<Sent>,
}

/// All that was acknowledged for one tenant.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    /// In the order sent.
    pub sent: Vec<Sent>,
}

impl Oracle {
    /// What `loglake-agent send --start START --step STEP FILE…` sends of `files`: the service is the file's name, times run
    /// on over all files, lines without their CR, no blank ones.
    pub fn of_files(files: &[PathBuf], start_ns: i64, step_ns: i64) -> Self {
        let mut sent = Vec::new();
        let mut at = start_ns;
        for file in files {
            let service = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = String::from_utf8_lossy(&std::fs::read(file).expect("the file reads")).into_owned();
            let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
            for line in lines.filter(|line| !line.trim().is_empty()) {
                sent.push(Sent {
                    service: service.clone(),
                    timestamp_ns: at,
                    level: level_word(line),
                    message: line.to_owned(),
                    trace_id: String::new(),
                });
                at += step_ns;
            }
        }
        Self { sent }
    }

    /// The sixteen files of Loghub.
    pub fn loghub() -> Vec<PathBuf> {
        let folder = crate::programs::root().join("test/data/loghub");
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let mut files: Vec<_> = entries
            .map(|entry| entry.expect("a folder's entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        files.sort();
        assert_eq!(files.len(), 16);
        files
    }

    /// Checks that `items` are all of `expected`, once each, in order, intact.
    ///
    /// # Panics
    /// With what is missing, foreign, twice or out of order.
    pub fn judge(question: &str, expected: &[Sent], items: &[Value], is_forward: bool) {
        let mut left = HashMap::<(String, &str, &str, Option<&str>, &str), i64>::new();
        for sent in expected {
            let key = (rfc3339(sent.timestamp_ns), &*sent.service, &*sent.message, sent.level, &*sent.trace_id);
            *left.entry(key).or_default() += 1;
        }
        let mut ids = HashSet::new();
        let mut last: Option<(String, [u64; 4])> = None;
        for item in items {
            let text = |key: &str| item[key].as_str().unwrap_or_default();
            let key = (
                text("timestamp").to_owned(),
                text("service"),
                text("message"),
                item["level"].as_str(),
                text("trace_id"),
            );
            let count = left.get_mut(&key).unwrap_or_else(|| panic!("{question}: was never sent: {item}"));
            *count -= 1;
            assert!(*count >= 0, "{question}: returned more often than sent: {item}");
            assert!(ids.insert(text("id").to_owned()), "{question}: id twice: {item}");
            let numbers: Vec<u64> = text("id").split('-').map(|part| part.parse().expect("a number")).collect();
            let place = (text("timestamp").to_owned(), numbers.try_into().expect("four numbers"));
            if let Some(last) = last {
                let in_order = if is_forward { last < place } else { last > place };
                assert!(in_order, "{question}: {place:?} after {last:?}");
            }
            last = Some(place);
        }
        let missing: Vec<_> = left.iter().filter(|(_, count)| **count > 0).take(5).collect();
        assert!(missing.is_empty(), "{question}: {} returned of {}; missing {missing:?}", items.len(), expected.len());
    }

    /// A random question whose answer is known, over all filters of the base.
    pub fn question(&self, random: &mut StdRng) -> Question {
        let mut body = json!({});
        let mut expected: Vec<Sent> = self.sent.clone();
        let any = self.sent.choose(random).expect("something was sent").clone();
        if random.random_bool(0.5) {
            let mut services = vec![any.service.clone()];
            if random.random_bool(0.3) {
                services.push(self.sent.choose(random).expect("something was sent").service.clone());
                body["services"] = json!(services);
            } else {
                body["service"] = json!(any.service);
            }
            expected.retain(|sent| services.contains(&sent.service));
        }
        if random.random_bool(0.4) {
            let first = self.sent.choose(random).expect("something was sent").timestamp_ns;
            let last = self.sent.choose(random).expect("something was sent").timestamp_ns;
            let (from, to) = (first.min(last), first.max(last));
            if random.random_bool(0.8) {
                body["from_ts"] = if random.random_bool(0.5) { json!(from) } else { json!(rfc3339(from)) };
                expected.retain(|sent| sent.timestamp_ns >= from);
            }
            if random.random_bool(0.8) {
                body["to_ts"] = if random.random_bool(0.5) { json!(to) } else { json!(rfc3339(to)) };
                expected.retain(|sent| sent.timestamp_ns < to);
            }
        }
        match random.random_range(0..6) {
            0 => {
                let level = any.level.unwrap_or("unknown");
                body["level"] = json!(level.to_uppercase());
                expected.retain(|sent| sent.level.unwrap_or("unknown") == level);
            }
            1 => {
                let level = *LEVELS.choose(random).expect("levels");
                body["min_level"] = json!(level);
                let rank = |level: &str| LEVELS.iter().position(|other| *other == level);
                expected.retain(|sent| sent.level.is_some_and(|of| rank(of) >= rank(level)));
            }
            _ => {}
        }
        let needle = |random: &mut StdRng, text: &str| {
            let chars: Vec<char> = text.chars().collect();
            let from = random.random_range(0..chars.len());
            let length = random.random_range(1..=12.min(chars.len() - from));
            chars[from..from + length].iter().collect::<String>()
        };
        if random.random_bool(0.6) {
            let first = needle(random, &any.message);
            if random.random_bool(0.3) {
                let second = needle(random, &any.message);
                expected.retain(|sent| sent.message.contains(&first) && sent.message.contains(&second));
                body["contains"] = json!([first, second]);
            } else {
                expected.retain(|sent| sent.message.contains(&first));
                body["contains"] = json!(first);
            }
        } else if random.random_bool(0.4) {
            let needle = needle(random, &any.message).to_ascii_uppercase();
            let folded = needle.to_ascii_lowercase();
            expected.retain(|sent| sent.message.to_ascii_lowercase().contains(&folded));
            body["icontains"] = json!(needle);
        }
        if !any.trace_id.is_empty() && random.random_bool(0.3) {
            expected.retain(|sent| sent.trace_id == any.trace_id);
            body["trace_id"] = json!(any.trace_id);
        }
        if random.random_bool(0.5) {
            body["direction"] = json!("forward");
        }
        Question { body, expected }
    }
}

/// The level by the first word that is one, in lower, upper or title case, as the shipper documents it.
fn level_word(line: &str) -> Option<&'static str> {
    let forms = |word: &str| {
        let upper = word.to_ascii_uppercase();
        let title = format!("{}{}", &upper[..1], &word[1..]);
        [word.to_owned(), upper, title]
    };
    let words: [(&'static str, &[&str]); 6] = [
        ("trace", &["trace"]),
        ("debug", &["debug"]),
        ("info", &["info", "notice"]),
        ("warn", &["warn", "warning"]),
        ("error", &["error", "err", "severe"]),
        ("fatal", &["fatal", "critical", "crit", "alert", "emerg", "emergency", "panic"]),
    ];
    line.split(|c: char| !c.is_alphanumeric() && c != '_').find_map(|word| {
        words
            .iter()
            .find(|(_, list)| list.iter().any(|known| forms(known).iter().any(|form| form == word)))
            .map(|(level, _)| *level)
    })
}

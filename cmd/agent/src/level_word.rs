use loglake_model::Level;

/// The words that count as a level in a line of text. Single letters and words of everyday prose (`ok`, `note`, `fail`) are
/// left out: they would be found where nobody meant a level.
const WORDS: &[&str] = &[
    "trace",
    "debug",
    "info",
    "notice",
    "warn",
    "warning",
    "error",
    "err",
    "severe",
    "crit",
    "critical",
    "alert",
    "emerg",
    "emergency",
    "fatal",
    "panic",
];
/// Length of the shortest and of the longest of them.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=9;

/// Finds the level of a line of text: its first word that is a level, written `error`, `ERROR` or `Error`, standing alone
/// (`[error]`, `INFO:`, but not `error_log` or `terror`). `None` when there is none.
///
/// ```
/// use loglake_agent::first_level;
/// use loglake_model::Level;
/// assert_eq!(first_level("[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok"), Some(Level::Info));
/// assert_eq!(first_level("a mirror of terrors"), None);
/// ```
#[must_use]
pub fn first_level(line: &str) -> Option<Level> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).find_map(level_of_word)
}

fn level_of_word(word: &str) -> Option<Level> {
    if !LENGTHS.contains(&word.len()) || !word.is_ascii() {
        return None;
    }
    let (first, rest) = word.split_at(1);
    let lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    let as_written = lower(rest) && (lower(first) || upper(first)) || upper(first) && upper(rest);
    let is_level = as_written && WORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
    if is_level { Level::from_text(word) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_level_of_the_model() {
        for word in WORDS {
            assert!(LENGTHS.contains(&word.len()) && Level::from_text(word).is_some(), "{word}");
            assert_eq!(first_level(word), Level::from_text(word));
            assert_eq!(first_level(&format!("12:00 [{}] x", word.to_uppercase())), Level::from_text(word));
        }
    }

    #[test]
    fn the_first_level_word_decides() {
        let cases = [
            ("2015-10-18 18:01:47,978 INFO [main] ERROR later", Some(Level::Info)),
            ("RAS KERNEL FATAL data TLB error interrupt", Some(Level::Fatal)),
            ("2016-09-28 04:30:30, Info                  CBS    Loaded", Some(Level::Info)),
            ("level=warning msg=x", Some(Level::Warn)),
            ("java.lang.Error: x", Some(Level::Error)),
            ("ünïcode→WARN←", Some(Level::Warn)),
            ("error_log terror errors eRRor ERRor 5error éerror E W I", None),
            ("", None),
        ];
        for (line, level) in cases {
            assert_eq!(first_level(line), level, "{line}");
        }
    }
}

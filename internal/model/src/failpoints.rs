//! Places where a test makes this process die, stall or fail: only in builds with the feature `failpoints`, never in a
//! release.
//!
//! A place is `failpoint!("flush.applied")`, or `fails!("ingest.appended")` where it can also answer with an error of its
//! own. Rules come once, at start-up, from `LOGLAKE_FAILPOINTS`:
//! ```text
//! rules  = rule *( ";" rule )
//! rule   = name "=" action [ "@" hit [ "+" ] ]     the hit-th time (from 1, which is what is meant without it), or from then on
//! action = "kill"            SIGKILL to itself
//!        | "stop"            SIGSTOP to itself: it stands still until somebody sends SIGCONT
//!        | "sleep(ms)"       blocks the thread
//!        | "error"           only where the list below says so
//! ```
//! Each firing writes a line to standard error first, so that a test can prove it: `failpoint flush.applied hit 3: kill`.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// The variable that the rules come from.
pub const VARIABLE: &str = "LOGLAKE_FAILPOINTS";

/// Every place, in the order a record passes them, and whether it can fail with an error.
pub const POINTS: &[(&str, bool)] = &[
    // The ingestor.
    ("ingest.decoded", false),
    ("ingest.appended", true),
    // The embedded log's writer.
    ("log.written", false),
    ("log.synced", false),
    ("log.file_written", false),
    ("log.ended", false),
    ("log.rolled", false),
    ("log.segment_removed", false),
    // A processor takes a partition over.
    ("takeover.chain_read", false),
    ("takeover.caught_up", false),
    ("takeover.opened", false),
    ("takeover.leased", false),
    // It consumes.
    ("worker.fetched", true),
    ("worker.held", false),
    ("worker.finishing", false),
    // It flushes.
    ("flush.begun", false),
    ("flush.chunk_built", false),
    ("flush.chunk_put", false),
    ("flush.chunks_put", false),
    ("flush.quarantine_put", false),
    ("flush.lost", false),
    ("flush.won", false),
    ("flush.applied", false),
    ("flush.committed", false),
    ("flush.trimmed", false),
    // It claims an entry.
    ("claim.begun", false),
    ("claim.created", true),
    // The index follows the chain.
    ("index.entry_applied", false),
    ("index.rebuilding", false),
    ("index.rebuilt", false),
    // The chain is folded, swept, and what nobody names is collected.
    ("fold.segment_put", false),
    ("fold.checkpoint_created", true),
    ("sweep.object_deleted", false),
    ("sweep.done", false),
    ("collect.object_deleted", false),
    // The folder as a store.
    ("folder.staged", false),
    ("folder.linked", false),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Kill,
    Stop,
    Sleep(Duration),
    Error,
}

#[derive(Debug)]
struct Rule {
    point: usize,
    action: Action,
    hit: u64,
    is_from_then_on: bool,
    hits: AtomicU64,
}

static RULES: OnceLock<Vec<Rule>> = OnceLock::new();

/// Takes the rules. Once a process; without it nothing ever fires.
///
/// # Errors
/// What is wrong with `text`, with the list of places when it names one that there is not; or that rules were taken before.
pub fn configure(text: &str) -> Result<(), String> {
    let rules = parse(text)?;
    RULES.set(rules).map_err(|_| "fail-points are configured already".to_owned())
}

/// The place of `name` in [`POINTS`]. At compile time: a name that is not in the list, or the wrong macro for it, does not
/// build.
#[must_use]
pub const fn place(name: &str, can_fail: bool) -> usize {
    let mut at = 0;
    while at < POINTS.len() {
        if is_same(POINTS[at].0.as_bytes(), name.as_bytes()) {
            assert!(POINTS[at].1 == can_fail, "failpoint! is for places that cannot fail, fails! for those that can");
            return at;
        }
        at += 1;
    }
    panic!("this place is not in loglake_model::failpoints::POINTS")
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Is at the place `point`: does what the rules say. Whether the place is to fail.
pub fn reach(point: usize) -> bool {
    let Some(rules) = RULES.get() else { return false };
    let mut fails = false;
    for rule in rules.iter().filter(|rule| rule.point == point) {
        let hit = rule.hits.fetch_add(1, Ordering::SeqCst) + 1;
        if hit == rule.hit || rule.is_from_then_on && hit > rule.hit {
            say(rule, hit);
            fails |= act(rule.action);
        }
    }
    fails
}

/// One write, before anything happens: the line is there, whole, also when the next thing is the end.
fn say(rule: &Rule, hit: u64) {
    let line = format!("failpoint {} hit {hit}: {}\n", POINTS[rule.point].0, rule.action);
    // A test that sees no line fails.
    let _unseen = std::io::stderr().lock().write_all(line.as_bytes());
}

fn act(action: Action) -> bool {
    let signal = |signal| kill_process(getpid(), signal).expect("a process may send itself signals");
    match action {
        Action::Kill => signal(Signal::KILL),
        Action::Stop => signal(Signal::STOP),
        Action::Sleep(time) => std::thread::sleep(time),
        Action::Error => return true,
    }
    false
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::Stop => f.write_str("stop"),
            Self::Sleep(time) => write!(f, "sleep({})", time.as_millis()),
            Self::Error => f.write_str("error"),
        }
    }
}

fn parse(text: &str) -> Result<Vec<Rule>, String> {
    text.split(';').map(str::trim).filter(|rule| !rule.is_empty()).map(parse_rule).collect()
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    let wrong = |what: &str| format!("{text:?}: {what}");
    let (name, rest) = text.split_once('=').ok_or_else(|| wrong("write NAME=ACTION@HIT"))?;
    let point = POINTS.iter().position(|(known, _)| *known == name).ok_or_else(|| {
        let known: Vec<&str> = POINTS.iter().map(|(known, _)| *known).collect();
        wrong(&format!("there is no such fail-point; there are {}", known.join(", ")))
    })?;
    let (action, hit) = rest.split_once('@').unwrap_or((rest, "1"));
    let milliseconds = action.strip_prefix("sleep(").and_then(|rest| rest.strip_suffix(')'));
    let action = match (action, milliseconds) {
        ("kill", _) => Action::Kill,
        ("stop", _) => Action::Stop,
        ("error", _) if POINTS[point].1 => Action::Error,
        ("error", _) => return Err(wrong("this one cannot fail with an error")),
        (_, Some(ms)) => Action::Sleep(Duration::from_millis(ms.parse().map_err(|_| wrong("how many milliseconds?"))?)),
        _ => return Err(wrong("the actions are kill, stop, sleep(MS) and error")),
    };
    let (hit, is_from_then_on) = hit.strip_suffix('+').map_or((hit, false), |hit| (hit, true));
    let hit = hit.parse().ok().filter(|hit| *hit > 0).ok_or_else(|| wrong("hits are counted from 1"))?;
    Ok(Rule { point, action, hit, is_from_then_on, hits: AtomicU64::new(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_say_what_where_and_when() {
        let rules = parse("flush.applied=kill@3; worker.fetched=sleep(200);ingest.appended=error@2+").unwrap();
        let read: Vec<_> =
            rules.iter().map(|rule| (POINTS[rule.point].0, rule.action, rule.hit, rule.is_from_then_on)).collect();
        let expected = [
            ("flush.applied", Action::Kill, 3, false),
            ("worker.fetched", Action::Sleep(Duration::from_millis(200)), 1, false),
            ("ingest.appended", Action::Error, 2, true),
        ];
        assert_eq!(read, expected);
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let unknown = parse("flush.aplied=kill").unwrap_err();
        assert!(unknown.contains("no such fail-point") && unknown.contains("flush.applied"), "{unknown}");
        for wrong in ["flush.applied", "flush.applied=die", "flush.applied=kill@0", "flush.applied=sleep(x)"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("flush.applied=error").unwrap_err().contains("cannot fail"));
    }

    #[test]
    fn names_are_unique_and_places_fire_at_their_hit() {
        let mut names: Vec<_> = POINTS.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), POINTS.len());

        assert!(!crate::fails!("worker.fetched"), "nothing is configured");
        configure("worker.fetched=error@2;ingest.appended=error@2+").unwrap();
        let hits: Vec<bool> = (0..4).map(|_| crate::fails!("worker.fetched")).collect();
        assert_eq!(hits, [false, true, false, false]);
        let hits: Vec<bool> = (0..4).map(|_| crate::fails!("ingest.appended")).collect();
        assert_eq!(hits, [false, true, true, true]);
        crate::failpoint!("flush.applied");
        assert!(configure("").is_err(), "once a process");
    }
}

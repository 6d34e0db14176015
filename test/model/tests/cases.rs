//! The small configurations: each rule holds, and each rule left out is found out.
//!
//! `LOGLAKE_MODEL_TRACE=1 cargo test -p loglake-model-check -- --nocapture` prints the way to each violation. The large ones
//! are for `make model`.

use loglake_model_check::cases::{Case, Expected, all};
use loglake_model_check::verdict::Verdict;

/// Far above what a small configuration needs.
const LIMIT: usize = 60_000_000;

fn run(case: &Case) -> Verdict {
    let verdict = case.run(LIMIT);
    if std::env::var_os("LOGLAKE_MODEL_TRACE").is_some() {
        for violation in &verdict.violations {
            println!("{}: {}\n  {}", case.name, violation.property, violation.trace.join("\n  "));
        }
    }
    verdict
}

fn quick(is_wanted: impl Fn(Expected) -> bool) -> Vec<Case> {
    let cases: Vec<Case> = all().into_iter().filter(|case| case.is_quick && is_wanted(case.expected)).collect();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn the_protocol_holds() {
    for case in quick(|expected| expected == Expected::Holds) {
        let verdict = run(&case);
        let found: Vec<_> = verdict.violations.iter().map(|violation| (violation.property, &violation.trace)).collect();
        assert!(case.is_met_by(&verdict), "{} ({} states): {found:#?}", case.name, verdict.states);
        assert!(verdict.states > 100, "{} explores next to nothing: {} states", case.name, verdict.states);
    }
}

#[test]
fn every_rule_left_out_breaks_what_it_is_for() {
    for case in quick(|expected| expected != Expected::Holds) {
        let verdict = run(&case);
        let found: Vec<_> = verdict.violations.iter().map(|violation| violation.property).collect();
        assert!(
            case.is_met_by(&verdict),
            "{} must end in {:?}, ended in {found:?} after {} states",
            case.name,
            case.expected,
            verdict.states
        );
        assert!(verdict.violations.iter().all(|violation| !violation.trace.is_empty()), "{} has no trace", case.name);
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = all().iter().map(|case| case.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

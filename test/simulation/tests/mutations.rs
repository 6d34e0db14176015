//! The simulation finds what it is for: each rule broken on purpose is noticed by some seed.

use loglake_simulation::mutation::Mutation;
use loglake_simulation::run::{Options, run};

/// Seeds tried before a mutation counts as not found.
const SEEDS: u64 = 200;

#[test]
fn every_broken_rule_is_found() {
    let mut unnoticed = Vec::new();
    for mutation in Mutation::ALL {
        let options = Options { mutation: Some(mutation), is_printed: false };
        match (0..SEEDS).find_map(|seed| run(seed, options).err()) {
            Some(found) => println!("{mutation:?}: seed {}: {}", found.seed, found.why),
            None => unnoticed.push(mutation),
        }
    }
    assert_eq!(unnoticed, [], "not noticed within {SEEDS} seeds");
}

//! A seed is a whole history.

use loglake_simulation::run::{Options, run};

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..30 {
        let first = run(seed, Options::default()).unwrap_or_else(|found| panic!("{found}"));
        let again = run(seed, Options::default()).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(first, again, "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_history() {
    let one = run(1, Options::default()).unwrap_or_else(|found| panic!("{found}"));
    let other = run(2, Options::default()).unwrap_or_else(|found| panic!("{found}"));
    assert_ne!(one.hash, other.hash);
}

//! Many histories, none of which may lose, repeat or mix up a record.

use loglake_simulation::run::{Options, run};

/// Each test is a thread of its own.
fn seeds_hold(seeds: std::ops::Range<u64>) {
    let (mut readings, mut complete, mut acknowledged) = (0, 0, 0);
    for seed in seeds.clone() {
        match run(seed, Options::default()) {
            Ok(report) => {
                readings += report.readings;
                complete += report.complete;
                acknowledged += report.acknowledged;
            }
            Err(found) => panic!("{found}"),
        }
    }
    // Faults so bad that nothing is ever answered would prove nothing.
    assert!(complete * 4 > readings, "only {complete} of {readings} readings were complete");
    assert!(acknowledged as u64 > 10 * (seeds.end - seeds.start), "only {acknowledged} records were acknowledged");
}

#[test]
fn the_first_thousand_seeds_hold() {
    seeds_hold(0..1_000);
}

#[test]
fn the_next_thousand_seeds_hold() {
    seeds_hold(1_000..2_000);
}

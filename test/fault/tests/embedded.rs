//! The short rows of one process.

use std::sync::Mutex;

use loglake_fault::lab::Shelf;
use loglake_fault::rows::ROWS;
use loglake_fault::runner;

/// One at a time: each starts processes that want the machine for themselves.
static ONE: Mutex<()> = Mutex::new(());

fn row(name: &str) {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let row = ROWS.iter().find(|row| row.name == name).expect("a row of this name");
    let seed =
        std::env::var("LOGLAKE_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("LOGLAKE_TEST_SEED={seed}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome = runtime.block_on(runner::once(*row, seed, true, &Shelf::default()));
    println!("{:?}", outcome.expect("the fault is survived"));
}

#[test]
fn killed_again_and_again() {
    row("embedded/kill");
}

#[test]
fn a_torn_tail_is_cut() {
    row("embedded/torn");
}

#[test]
fn a_flipped_bit_of_the_log_is_refused() {
    row("embedded/flipped");
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    row("embedded/full");
}

#[test]
fn a_read_only_folder_is_refused() {
    row("embedded/read-only");
}

#[test]
fn a_second_process_is_refused() {
    row("embedded/second");
}

#[test]
fn a_stepping_clock_changes_nothing() {
    row("clocks/stepping");
}

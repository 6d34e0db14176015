//! The short rows on real Kafka, Redis and MinIO, on one set of servers.

use loglake_fault::lab::Shelf;
use loglake_fault::rows::ROWS;
use loglake_fault::runner;

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_servers_are_survived() {
    let seed =
        std::env::var("LOGLAKE_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a number"));
    println!("LOGLAKE_TEST_SEED={seed}");
    let shelf = Shelf::default();
    let mut failed = Vec::new();
    // Those of one process have tests of their own.
    let is_own = |name: &str| name.starts_with("embedded/") || name == "clocks/stepping";
    for row in ROWS.iter().filter(|row| row.is_short && !is_own(row.name)) {
        let done = runner::record(*row, seed, true, &shelf).await;
        println!("{}: {done:?}", row.name);
        if !done.is_passed {
            failed.push(format!("{}: {}", row.name, done.note));
        }
    }
    shelf.clear().await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

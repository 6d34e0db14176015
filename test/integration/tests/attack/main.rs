//! A stranger and a tenant that means harm do what they can, on every port that clients have, while a well-behaved tenant is
//! served all the time: correctly, by a process that stays up, within a bound of memory, and without a panic.
//!
//! `make attack` does more of it: `LOGLAKE_TEST_ATTACK_SIZE` multiplies the sizes of floods. `LOGLAKE_TEST_ATTACK_ONLY` chooses attacks
//! by parts of their names, with commas between.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bombs;
mod crowd;
mod floods;
mod frames;
mod json;
mod names;
mod probe;
mod services;
mod site;
mod streams;
mod unread;
mod wire;

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use probe::Probe;
use site::Site;

type Attack = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How many times as much as in `make test`.
pub(crate) fn size() -> usize {
    std::env::var("LOGLAKE_TEST_ATTACK_SIZE").map_or(1, |text| text.parse().expect("a number"))
}

/// Runs an attack beside the probes, and says what it cost. Whether it went as it should: what it found was printed.
async fn went_well(site: &mut Site, what: &str, attack: impl Future<Output = ()> + Send + 'static) -> bool {
    let (began, cpu) = (Instant::now(), site.cpu());
    let attacked = tokio::spawn(attack).await;
    site.stands(what);
    println!(
        "{what}: {:.1} s, {:.1} s of the server's CPU, {} MiB resident, {} MiB at most",
        began.elapsed().as_secs_f64(),
        (site.cpu() - cpu).as_secs_f64(),
        site.resident_mib(),
        site.peak_mib()
    );
    attacked.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_well_behaved_tenant_is_served_under_every_attack() {
    let mut site = Site::start().await;
    let probe = Probe::start(&site);
    let target = || site.target();
    let attacks: [(&str, Attack); 6] = [
        ("names", Box::pin(names::run(target()))),
        ("http/1", Box::pin(wire::run(target()))),
        ("json and expressions", Box::pin(json::run(target()))),
        ("bombs", Box::pin(bombs::run(target()))),
        ("http/2 floods", Box::pin(frames::run(target()))),
        ("a flood of requests", Box::pin(floods::requests(target()))),
    ];
    let mut failed = Vec::new();
    let only = std::env::var("LOGLAKE_TEST_ATTACK_ONLY").unwrap_or_default();
    let is_chosen = |what: &str| only.split(',').any(|part| what.contains(part));
    for (what, attack) in attacks.into_iter().filter(|(what, _)| is_chosen(what)) {
        if !went_well(&mut site, what, attack).await {
            failed.push(what);
        }
    }
    println!("{}", probe.end().await);
    names::nothing_lies_elsewhere(&site);
    site.stop().await;
    assert!(failed.is_empty(), "above is said what went wrong: {failed:?}");
}

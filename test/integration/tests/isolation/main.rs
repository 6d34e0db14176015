//! Three tenants whose records differ in nothing but what is theirs, sent and read in a mixed order from a seed: no byte that
//! one of them, or nobody, is answered is another one's.
//!
//! `LOGLAKE_TEST_ISOLATION_SEED` repeats a run, `LOGLAKE_TEST_ISOLATION_ROUNDS` makes it longer.
#![allow(clippy::unwrap_used, reason = "a test")]

mod foreign;
mod reads;
mod sends;
mod tail;
mod tenant;
mod watch;

use loglake_integration::admin::admin;
use loglake_integration::ctl::{configured, done, rows};
use loglake_integration::{Client, Dev};
use rand::prelude::*;

use tenant::Tenant;
use watch::Watch;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[tokio::test]
async fn no_byte_of_any_answer_is_another_tenants() {
    let seed = number("LOGLAKE_TEST_ISOLATION_SEED", rand::random());
    println!("again with: LOGLAKE_TEST_ISOLATION_SEED={seed}");
    let rounds = number("LOGLAKE_TEST_ISOLATION_ROUNDS", 4);
    let mut rng = StdRng::seed_from_u64(seed);

    let folder = tempfile::tempdir().unwrap();
    let operator = configured("ops", "operator");
    let cache = folder.path().join("cache");
    let env = [
        ("LOGLAKE_AUTH_TOKENS", &*rows(&[&operator])),
        ("LOGLAKE_AUTH_REFRESH", "200ms"),
        ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h"),
        ("LOGLAKE_QUERY_CACHE_DIR", cache.to_str().unwrap()),
        // What it says at most, it may say to nobody's harm.
        ("LOGLAKE_LOG_LEVEL", "debug"),
    ];
    let mut dev = Dev::start(&folder.path().join("data"), &env).await;
    let url = dev.ports.query_url();
    // The third has all rights and no records.
    let mut tenants = ["amber", "beryl", "opal"].map(|name| Tenant::new(name, &mut rng));
    for tenant in &mut tenants {
        done(&url, &operator.text, &["tenants", "add", &tenant.name]);
        let token =
            |scopes| done(&url, &operator.text, &["--tenant", &tenant.name, "tokens", "add", "--scopes", scopes]);
        (tenant.token, tenant.admin) = (token("ingest,query"), token("admin"));
    }
    let watch = Watch::new(&tenants, &operator.text);
    for tenant in &tenants {
        sends::until_known(&dev, tenant).await;
    }

    for stage in ["held", "flushed", "restarted", "killed"] {
        match stage {
            "flushed" => {
                let tail = format!("127.0.0.1:{}", dev.ports.tail);
                let said = admin(&["flush", "--data", dev.data().to_str().unwrap(), "--tail", &tail], &[]);
                assert_eq!(said.code, 0, "{said:?}");
            }
            "restarted" => {
                dev.process.stop().await;
                watch.log(&dev.process.said());
                dev.restart().await;
            }
            "killed" => {
                watch.log(&dev.process.said());
                dev.process.kill();
                dev.restart().await;
            }
            _ => {}
        }
        for tenant in &mut tenants {
            tenant.session = None;
        }
        // What lies there now is read before more comes, then again when the caches know it.
        for _ in 0..2 {
            for tenant in &tenants {
                reads::all(&dev, &watch, tenant).await;
            }
        }
        let [amber, beryl, opal] = &mut tenants;
        for round in 0..rounds {
            let (mut one, mut other) = (StdRng::seed_from_u64(rng.random()), StdRng::seed_from_u64(rng.random()));
            let key = format!("{stage}-{round}");
            // Two at a time, each in an order of its own: what one is told does not wait for the other.
            let others = (amber.what_is_mine(), beryl.what_is_mine());
            tokio::join!(
                turn(&dev, &watch, amber, &others.1, &key, &mut one),
                turn(&dev, &watch, beryl, &others.0, &key, &mut other),
                reads::nothing(&dev, &watch, opal),
            );
        }
        foreign::look_the_same(&dev, &watch, &tenants).await;
        tail::is_for_roles(&dev, &watch, &tenants).await;
        for port in dev.ports.metrics {
            let client = Client::new(format!("http://127.0.0.1:{port}"));
            for path in ["/metrics", "/health", "/ready", "/nothing"] {
                watch.nobodys(path, &client.get(path).await.1);
            }
        }
    }
    dev.process.stop().await;
    watch.log(&dev.process.said());
    println!("{}", watch.summary());
}

/// Sends and reads in some order.
async fn turn(dev: &Dev, watch: &Watch, tenant: &mut Tenant, other: &tenant::Mine, key: &str, rng: &mut StdRng) {
    let mut is_read = [true, true, false, false];
    is_read.shuffle(rng);
    let mut sends = 0;
    for is_read in is_read {
        if is_read {
            reads::some(dev, watch, tenant, other, rng).await;
        } else {
            sends::some(dev, watch, tenant, &format!("{key}-{sends}"), rng).await;
            sends += 1;
        }
    }
}

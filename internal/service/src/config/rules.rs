//! What must hold between the values, and of each beyond its shape.

use std::net::SocketAddr;
use std::time::Duration;

use super::mode::is_world_readable;
use super::values::Values;
use super::{Bytes, Config, Role, Secret, keys, transport};

const MIB: u64 = 1 << 20;
/// How long the cluster secret must at least be, in bytes.
const SECRET_BYTES: usize = 32;

/// Notes everything that breaks a rule. Puts the secret of `cluster_secret_file` in its place.
pub(super) fn check(role: Role, config: &mut Config, values: &mut Values) {
    cluster_secret(config, values);
    needed(role, config, values);
    bounds(config, values);
    transport::check(config, values);
    listeners(role, config, values);
}

fn cluster_secret(config: &mut Config, values: &mut Values) {
    let key = "cluster_secret_file";
    let place = values.place(key);
    if let Some(path) = &config.cluster_secret_file {
        if config.cluster_secret.is_some() {
            values.problem(place, key, "is set beside cluster_secret; take one of them");
            return;
        }
        let read = std::fs::metadata(path).and_then(|metadata| Ok((metadata, std::fs::read_to_string(path)?)));
        match read {
            Err(error) => values.problem(place, key, format!("{} cannot be read: {error}", path.display())),
            Ok((metadata, _)) if is_world_readable(&metadata) => {
                values.problem(place, key, format!("everybody may read {0}; run: chmod 600 {0}", path.display()));
            }
            Ok((_, text)) => config.cluster_secret = Some(Secret::new(text.trim())),
        }
    }
    if let Some(secret) = config.cluster_secret.as_ref().filter(|secret| secret.expose().len() < SECRET_BYTES) {
        let key = if config.cluster_secret_file.is_some() { key } else { "cluster_secret" };
        let message = format!("has {} bytes; {SECRET_BYTES} or more are needed", secret.expose().len());
        values.problem(values.place(key), key, message);
    }
}

fn needed(role: Role, config: &Config, values: &mut Values) {
    if role == Role::Dev {
        return;
    }
    let mut need = |is_there: bool, name: &str| {
        let key = keys().find(|key| key.name == name).expect("the key is declared");
        let was_wrong = values.problems.iter().any(|problem| problem.key == name);
        if !is_there && !was_wrong {
            let variable = key.aliases.first().map_or_else(|| key.variable(), |alias| (*alias).to_owned());
            let message = format!("is needed by `loglake {}`; set {variable}, or {name} in the file", role.as_str());
            values.problem(values.place(name), name, message);
        }
    };
    if role != Role::Admin {
        need(config.broker.brokers.is_some(), "broker.brokers");
        need(config.cluster_secret.is_some() || config.cluster_secret_file.is_some(), "cluster_secret");
    }
    if role != Role::Ingestor || config.auth.required {
        // The ingestor keeps nothing in it, but finds the tokens there.
        need(config.store.bucket.is_some(), "store.bucket");
    }
    if role != Role::Ingestor {
        need(config.index.addr.is_some(), "index.addr");
    }
}

fn bounds(config: &Config, values: &mut Values) {
    let mut rule = |holds: bool, key: &str, message: &str| {
        if !holds {
            values.problem(values.place(key), key, message);
        }
    };
    let amount = |bytes: Bytes, low: u64, high: u64| (low..=high).contains(&bytes.0);
    let (processor, ingest, query, broker) = (&config.processor, &config.ingest, &config.query, &config.broker);
    let second = Duration::from_secs(1);
    let hour = Duration::from_secs(3600);

    rule((1..=1024).contains(&broker.partitions), "broker.partitions", "must be from 1 to 1024");
    rule((1..=32).contains(&broker.replication), "broker.replication", "must be from 1 to 32");
    let is_name = |text: &str| {
        (1..=200).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
    };
    rule(is_name(&broker.topic), "broker.topic", "must be 1 to 200 of A-Z a-z 0-9 . _ -");
    rule(is_name(&broker.group), "broker.group", "must be 1 to 200 of A-Z a-z 0-9 . _ -");
    rule((second..=hour).contains(&broker.session_timeout), "broker.session_timeout", "must be from 1s to 1h");
    rule(amount(broker.segment_bytes, MIB, 1024 * MIB), "broker.segment_bytes", "must be from 1MiB to 1GiB");
    rule(amount(broker.tail_bytes, MIB, 1024 * MIB), "broker.tail_bytes", "must be from 1MiB to 1GiB");
    rule(
        broker.max_bytes.0 >= 2 * broker.segment_bytes.0,
        "broker.max_bytes",
        "must be at least twice broker.segment_bytes",
    );

    let endpoint = config.store.endpoint.as_deref();
    let is_url =
        |url: &str| url.strip_prefix("http://").or(url.strip_prefix("https://")).is_some_and(|rest| !rest.is_empty());
    rule(endpoint.is_none_or(is_url), "store.endpoint", "must begin with http:// or https://");

    rule(amount(processor.flush_bytes, MIB, 4096 * MIB), "processor.flush_bytes", "must be from 1MiB to 4GiB");
    rule((second..=24 * hour).contains(&processor.flush_interval), "processor.flush_interval", "must be from 1s to 1d");
    rule(processor.memory_bytes.0 >= 16 * MIB, "processor.memory_bytes", "must be at least 16MiB");
    rule(
        (1..=1_000_000).contains(&processor.max_open_chunks),
        "processor.max_open_chunks",
        "must be from 1 to 1000000",
    );
    let minutes = processor.window.as_secs() / 60;
    let is_divisor = minutes > 0 && processor.window.as_millis() == u128::from(minutes) * 60_000 && 1440 % minutes == 0;
    rule(is_divisor, "processor.window", "must be whole minutes that divide a day, such as 15m, 1h or 1d");
    rule(amount(processor.block_bytes, MIB / 4, 4 * MIB), "processor.block_bytes", "must be from 256KiB to 4MiB");
    rule((Duration::ZERO..=hour).contains(&processor.tail_hold), "processor.tail_hold", "must be at most 1h");
    rule((1..=500).contains(&processor.fold_entries), "processor.fold_entries", "must be from 1 to 500");
    rule(processor.fold_grace <= 24 * hour, "processor.fold_grace", "must be at most 1d");
    let collects = (second..=168 * hour).contains(&processor.collect_interval);
    rule(collects, "processor.collect_interval", "must be from 1s to 7d");
    let is_reachable = processor.tail_advertise.is_some() || !processor.tail_listen.ip().is_unspecified();
    rule(
        is_reachable,
        "processor.tail_advertise",
        "is needed when processor.tail_listen is a wildcard: nobody can call that",
    );

    rule(
        amount(ingest.in_flight_bytes, 64 * MIB, 4095 * MIB),
        "ingest.in_flight_bytes",
        "must be from 64MiB to 4095MiB",
    );
    rule(ingest.max_future <= 24 * hour, "ingest.max_future", "must be at most 1d");
    rule(ingest.max_age.is_none_or(|age| !age.is_zero()), "ingest.max_age", "must be longer than 0s");
    rule((Duration::from_millis(1)..=hour).contains(&query.timeout), "query.timeout", "must be from 1ms to 1h");
    rule(amount(query.page_bytes, MIB, 256 * MIB), "query.page_bytes", "must be from 1MiB to 256MiB");
    rule(query.cache_disk_bytes.0 >= 64 * MIB, "query.cache_disk_bytes", "must be at least 64MiB");
    rule((1..=10_000).contains(&query.concurrent), "query.concurrent", "must be from 1 to 10000");
    let refresh = config.auth.refresh;
    let is_soon = (Duration::from_millis(100)..=Duration::from_secs(50)).contains(&refresh);
    rule(is_soon, "auth.refresh", "must be from 100ms to 50s, so that a token is revoked within a minute");
    rule(amount(query.plan_bytes, MIB, 1024 * 1024 * MIB), "query.plan_bytes", "must be from 1MiB to 1TiB");
    rule(amount(query.look_ahead_bytes, MIB, 1024 * MIB), "query.look_ahead_bytes", "must be from 1MiB to 1GiB");
    let is_fresh = (Duration::from_secs(10)..=24 * hour).contains(&config.oidc.refresh);
    rule(is_fresh, "oidc.refresh", "must be from 10s to 1d");
    let without = config.oidc.issuer.is_none();
    rule(!without || config.oidc.audience.is_empty(), "oidc.issuer", "is needed where the rest of [oidc] is set");
    let limits = &config.limits;
    rule((second..=hour).contains(&limits.ingest_burst), "limits.ingest_burst", "must be from 1s to 1h");
    rule(limits.services <= 1_000_000, "limits.services", "must be at most 1000000, 0 for no limit");
    rule(limits.new_services <= 1_000_000, "limits.new_services", "must be at most 1000000, 0 for no limit");
    rule(limits.windows <= 1_000_000, "limits.windows", "must be at most 1000000, 0 for no limit");
    rule(limits.attributes <= 256, "limits.attributes", "must be at most 256");
    rule(limits.query_concurrency <= 100_000, "limits.query_concurrency", "must be at most 100000, 0 for no limit");
    rule(limits.query_time <= 24 * hour, "limits.query_time", "must be at most 1d, 0s for no limit");
    for (key, bytes) in [("limits.ingest_bytes", limits.ingest_bytes), ("limits.query_bytes", limits.query_bytes)] {
        rule(bytes.0 <= 1 << 53, key, "must be at most 8192TiB, 0 for no limit");
    }
    let stored = limits.stored_bytes.0;
    rule(stored <= 1 << 60, "limits.stored_bytes", "must be at most 1048576TiB, 0 for no limit");
    rule(config.metrics.tenants <= 10_000, "metrics.tenants", "must be at most 10000");
}

/// Who listens where, by role.
fn listeners(role: Role, config: &Config, values: &mut Values) {
    let is_here = |of: Role| role == Role::Dev || role == of;
    let all: [(Role, &'static str, SocketAddr); 7] = [
        (Role::Ingestor, "ingest.grpc_listen", config.ingest.grpc_listen),
        (Role::Ingestor, "ingest.http_listen", config.ingest.http_listen),
        (Role::Ingestor, "metrics.ingestor_listen", config.metrics.ingestor_listen),
        (Role::Processor, "processor.tail_listen", config.processor.tail_listen),
        (Role::Processor, "metrics.processor_listen", config.metrics.processor_listen),
        (Role::Query, "query.listen", config.query.listen),
        (Role::Query, "metrics.query_listen", config.metrics.query_listen),
    ];
    let here: Vec<_> = all.into_iter().filter(|(of, _, _)| is_here(*of)).collect();
    for (at, (_, key, address)) in here.iter().enumerate() {
        let is_taken = |other: &&(Role, &str, SocketAddr)| address.port() != 0 && other.2 == *address;
        if let Some((_, other, _)) = here[..at].iter().find(is_taken) {
            values.problem(values.place(key), *key, format!("is {address}, the same as {other}"));
        }
        // Internal calls and probes are no way to a tenant's data: the first prove themselves, the second have none.
        let is_for_tenants = !key.starts_with("metrics.") && *key != "processor.tail_listen";
        let is_open = config.is_open() && !config.insecure;
        if is_for_tenants && is_open && !address.ip().is_loopback() {
            let message = format!(
                "is {address}, beyond this machine, and nobody needs a credential; set auth.tokens, auth.required or oidc.issuer, or insecure = true"
            );
            values.problem(values.place(key), *key, message);
        } else {
            transport::check_listener(config, key, *address, values);
        }
    }
}

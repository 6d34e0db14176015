use loglake_model::Level;
use loglake_model::Level::{Debug, Error, Fatal, Info, Trace, Warn};

/// What one kind of service says.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) lines: &'static [(Level, &'static str)],
}

impl Kind {
    /// The kind of the service at a place in the list of services.
    pub(super) fn of_service(at: usize) -> &'static Self {
        &KINDS[at % KINDS.len()]
    }
}

/// Every kind says something at every level.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "web-gateway",
        lines: &[
            (Info, "{ip} {method} {path} 200 {bytes} bytes {ms} ms"),
            (Info, "{ip} {method} {path} 304 0 bytes {few} ms"),
            (Info, "{ip} {method} {path}?page={few} 200 {bytes} bytes {ms} ms"),
            (Info, "keep-alive connection {id} from {ip}:{port} closed after {n} requests"),
            (Debug, "route {path} matched upstream pool {hex8} in {few} us"),
            (Trace, "read {bytes} bytes of request body from {ip}:{port}"),
            (Warn, "{ip} {method} {path} 404 {bytes} bytes {ms} ms"),
            (Warn, "client {ip} is over its request budget, {n} requests in {s} s"),
            (Error, "{method} {path} 502 upstream {ip}:{port} refused the connection"),
            (Error, "{method} {path} 504 upstream gave no answer within {ms} ms"),
            (Fatal, "no worker left to accept connections, listener on port {port} closes"),
        ],
    },
    Kind {
        name: "payments",
        lines: &[
            (Info, "payment {uuid} of {amount} authorised for order {id} in {ms} ms"),
            (Info, "payment {uuid} captured, settlement batch {id}"),
            (Info, "refund of {amount} issued for order {id} by {user}"),
            (Debug, "risk score {pct} for card fingerprint {hex16}"),
            (Trace, "acquirer message {hex8} sent, awaiting its answer"),
            (Warn, "payment {uuid} needs a second confirmation from {user}"),
            (Warn, "acquirer answered after {ms} ms, close to the limit"),
            (Error, "payment {uuid} declined: insufficient funds, order {id}"),
            (Error, "acquirer connection reset while capturing {uuid}, attempt {few}"),
            (Fatal, "ledger out of balance by {amount} in batch {id}, captures stopped"),
        ],
    },
    Kind {
        name: "orders-db",
        lines: &[
            (Info, "checkpoint complete: {n} buffers written in {ms} ms"),
            (Info, "autovacuum of table {table}: {n} pages removed, {id} tuples remain"),
            (Info, "connection from {ip}:{port} authorised for user {user}"),
            (Debug, "plan for query {hex16} on {table}: index scan, cost {n}"),
            (Trace, "page {id} of {table} read in {few} us"),
            (Warn, "statement {hex16} on {table} ran {ms} ms, returned {n} rows"),
            (Warn, "replica {ip} is {s} s behind"),
            (Error, "deadlock between transactions {id} and {id} on {table}, the younger one rolled back"),
            (Error, "unique constraint of {table} violated by key {id}"),
            (Fatal, "write-ahead log volume is full, {few} transactions aborted"),
        ],
    },
    Kind {
        name: "queue-broker",
        lines: &[
            (Info, "partition {topic}-{few} elected leader on broker {few}, epoch {n}"),
            (Info, "group {topic}-readers stable with {few} members, generation {n}"),
            (Info, "rolled segment of {topic}-{few} at offset {offset}"),
            (Debug, "fetch of {bytes} bytes from {topic}-{few} at {offset}"),
            (Trace, "append of {n} records to {topic}-{few}, base offset {offset}"),
            (Warn, "replica {few} of {topic}-{few} fell out of sync, {n} records behind"),
            (Warn, "member {uuid} of {topic}-readers missed its heartbeat for {s} s"),
            (Error, "produce to {topic}-{few} refused: fewer replicas in sync than wanted"),
            (Error, "segment of {topic}-{few} has a bad checksum at {offset}"),
            (Fatal, "log folder went offline after an I/O fault at offset {offset}"),
        ],
    },
    Kind {
        name: "auth",
        lines: &[
            (Info, "user {user} signed in from {ip} with a passkey"),
            (Info, "token {hex8} issued to {user}, valid for {n} minutes"),
            (Info, "session {uuid} of {user} ended"),
            (Debug, "claims of {user} resolved from {few} groups in {few} ms"),
            (Trace, "signature of token {hex8} checked with key {hex8}"),
            (Warn, "failed password for {user} from {ip} port {port}, attempt {few}"),
            (Warn, "sign-in of {user} from a new place: {ip}"),
            (Error, "token {hex8} refused: signed by an unknown key {hex8}"),
            (Error, "directory at {ip}:{port} gave no answer within {ms} ms"),
            (Fatal, "signing key {hex8} cannot be read, no tokens are issued"),
        ],
    },
    Kind {
        name: "cluster-node",
        lines: &[
            (Info, "pod {topic}-{hex8} scheduled, image pulled in {s} s"),
            (Info, "readiness probe of pod {topic}-{hex8} passed after {few} attempts"),
            (Info, "scaled {topic} from {few} to {few} replicas, load at {pct} %"),
            (Debug, "volume {uuid} mounted for pod {topic}-{hex8}"),
            (Trace, "cgroup of container {hex16}: {bytes} bytes resident"),
            (Warn, "pod {topic}-{hex8} restarted {few} times in {n} s, backing off"),
            (Warn, "node {ip} reports memory pressure at {pct} %"),
            (Error, "container {hex16} killed: out of memory at {bytes} bytes"),
            (Error, "image of {topic} could not be pulled: registry answered 503 after {ms} ms"),
            (Fatal, "node {ip} has not been heard of for {s} s, evicting {few} pods"),
        ],
    },
    Kind {
        name: "scheduler",
        lines: &[
            (Info, "job {job} started as run {id}"),
            (Info, "job {job} run {id} finished in {s} s, {n} items"),
            (Debug, "next run of {job} in {n} s"),
            (Trace, "tick {id}: {few} jobs due"),
            (Warn, "job {job} run {id} takes longer than usual: {s} s"),
            (Warn, "job {job} skipped, its run {id} is still under way"),
            (Error, "job {job} run {id} failed with exit code {few}: timeout after {s} s"),
            (Fatal, "lease on the schedule lost to {ip}, standing down"),
        ],
    },
    Kind {
        name: "cache",
        lines: &[
            (Info, "{n} {key} entries expired, {pct} % of memory in use"),
            (Info, "snapshot of {id} keys saved in {ms} ms"),
            (Debug, "miss for {key}:{id}, loaded in {ms} ms"),
            (Trace, "hit for {key}:{id}"),
            (Warn, "evicting {key} entries, memory at {pct} %"),
            (Warn, "slow command on {key}:{id}, {ms} ms"),
            (Error, "replica {ip}:{port} asked for a full resynchronisation"),
            (Error, "value of {key}:{id} is {bytes} bytes, past the limit"),
            (Fatal, "snapshot cannot be written, refusing writes"),
        ],
    },
    Kind {
        name: "search",
        lines: &[
            (Info, "query {hex8} matched {id} documents in {ms} ms"),
            (Info, "merged {few} segments into {hex8}, {bytes} bytes"),
            (Debug, "query {hex8} rewritten into {few} clauses"),
            (Trace, "segment {hex8} scanned, {n} postings"),
            (Warn, "query {hex8} of {user} cut off at {ms} ms, the answer is partial"),
            (Error, "shard {few} on {ip} did not answer query {hex8}"),
            (Error, "document {id} rejected: field price is not a number"),
            (Fatal, "index {hex8} is damaged, {few} shards lost"),
        ],
    },
    Kind {
        name: "mailer",
        lines: &[
            (Info, "message {hex16} to {user}@mail.test accepted by {ip} in {ms} ms"),
            (Info, "template order-confirmation rendered for order {id}, {bytes} bytes"),
            (Debug, "connection to {ip}:25 reused, {few} messages so far"),
            (Trace, "recipient {user}@mail.test resolved to {ip}"),
            (Warn, "message {hex16} deferred, mailbox of {user} is full, next attempt in {s} s"),
            (Error, "message {hex16} bounced: no such user {user}"),
            (Fatal, "spool holds {id} messages, accepting no more"),
        ],
    },
    Kind {
        name: "inventory",
        lines: &[
            (Info, "reserved {few} of item {id} for order {id}, {n} left"),
            (Info, "delivery {uuid} booked in, {n} items"),
            (Debug, "stock of item {id} recomputed from {n} movements"),
            (Trace, "price list row {id} unchanged"),
            (Warn, "item {id} is nearly sold out, {few} left"),
            (Warn, "count of item {id} differs by {few} from the books"),
            (Error, "reservation for order {id} failed: item {id} is sold out"),
            (Error, "warehouse at {ip}:{port} unreachable, attempt {few}"),
            (Fatal, "stock journal cannot be replayed past entry {id}"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dice;
    use crate::generate::template::Template;

    #[test]
    fn every_kind_speaks_at_every_level_and_all_variables_are_known() {
        for kind in KINDS {
            for level in Level::ALL {
                assert!(kind.lines.iter().any(|(of, _)| *of == level), "{} {level}", kind.name);
            }
            for (_, text) in kind.lines {
                let mut out = String::new();
                Template::parse(text).fill(&mut Dice::new(1), &mut out);
                assert!(!out.contains(['{', '}']), "{out}");
            }
        }
    }
}

use loglake_auth::{Audit, Deed};
use loglake_batch::LogBatch;
use loglake_broker::{MemoryBroker, Reader as _};
use loglake_model::{ManualClock, TenantName};

use super::*;

const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn note(audit: &Audit, target: &str) {
    let tenant = TenantName::parse("acme").unwrap();
    let (action, caller) = ("token.revoke", "token a of ops");
    audit.note(Deed { action, caller, tenant: Some(&tenant), target, request_id: "r" }, &Ok::<_, std::fmt::Error>(()));
}

/// The lines of all partitions.
async fn lines(broker: &Arc<MemoryBroker>, partitions: u32) -> Vec<serde_json::Value> {
    let mut lines = Vec::new();
    for partition in 0..partitions {
        for message in broker.read(partition, 0, 1_000, 64 << 20).await.unwrap().messages {
            let batch = LogBatch::decode(message.payload.clone()).unwrap();
            assert_eq!(batch.tenant().as_str(), AuditEntry::TENANT);
            for group in batch.groups() {
                for record in group.records() {
                    let range = record.line_range();
                    let line = &message.payload[range.start as usize..range.end as usize];
                    lines.push(serde_json::from_slice(line).unwrap());
                }
            }
        }
    }
    lines
}

#[tokio::test]
async fn what_is_noted_becomes_records_that_prove_themselves_also_what_waits_at_the_end() {
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let broker = MemoryBroker::new("t", 3, clock.clone());
    let (audit, trail) = Audit::new(clock.clone());
    (0..1_000).for_each(|n| note(&audit, &n.to_string()));
    let writer = AuditWriter { producer: broker.clone(), partitions: 3, clock, trail };
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    writer.run(shutdown).await.unwrap();
    let lines = lines(&broker, 3).await;
    assert_eq!(lines.len(), 1_000);
    let mut previous = String::new();
    for (n, line) in lines.iter().enumerate() {
        let attribute = |name: &str| line["attributes"][name].as_str().map(str::to_owned);
        let entry = AuditEntry::from_values(attribute).unwrap();
        assert_eq!((entry.target.as_str(), &entry.previous), (n.to_string().as_str(), &previous));
        previous = entry.hash();
        assert_eq!(attribute(AuditEntry::HASH), Some(previous.clone()));
        assert_eq!((line["service"].as_str(), line["level"].as_str()), (Some("audit"), Some("info")));
        assert_eq!(line["message"], format!("token a of ops: token.revoke done {n} of tenant acme"));
    }
}

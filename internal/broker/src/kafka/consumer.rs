use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::clients::{Clients, Opened};
use crate::kafka::context::refused;
use crate::kafka::native::{PartitionQueue, Polled};
use crate::kafka::offsets;
use crate::{Error, Fetched, Message, PartitionConsumer};

/// One partition of the data consumer, open at a position.
pub(super) struct OpenPartition {
    clients: Arc<Clients>,
    partition: u32,
    position: u64,
    opened: Opened,
    /// A message that was taken and did not fit.
    carried: Option<Message>,
    /// What the partition failed with, told by the next fetch.
    failure: Option<(RDKafkaErrorCode, String)>,
}

impl OpenPartition {
    pub(super) async fn open(clients: Arc<Clients>, partition: u32, offset: u64) -> Result<Self, Error> {
        let opened = clients.open(partition, offset).await?;
        Ok(Self { clients, partition, position: offset, opened, carried: None, failure: None })
    }

    /// Takes what the queue holds, up to `max_bytes` but at least one message. `None` when somebody else opened the partition.
    fn take(&mut self, max_bytes: usize) -> Option<Vec<Message>> {
        let Self { opened, carried, failure, position, .. } = self;
        opened.with(|queue| {
            let mut messages = Vec::new();
            let mut bytes = 0;
            while failure.is_none() {
                let message = match carried.take() {
                    Some(message) => message,
                    None => match queue.poll(Duration::ZERO) {
                        Some(Polled::Message(message)) => message,
                        Some(Polled::End(offset)) => {
                            *position = offset.max(*position);
                            continue;
                        }
                        Some(Polled::Failed(code, text)) => {
                            *failure = Some((code, text));
                            break;
                        }
                        None => break,
                    },
                };
                // Left over from before the partition was opened here.
                if message.offset < *position {
                    continue;
                }
                bytes += message.payload.len();
                if bytes > max_bytes && !messages.is_empty() {
                    *carried = Some(message);
                    break;
                }
                *position = message.offset + 1;
                messages.push(message);
            }
            messages
        })
    }

    /// What the partition failed with. It goes on only where nothing can have changed behind its back.
    async fn failed(&mut self, code: RDKafkaErrorCode, text: &str) -> Error {
        use RDKafkaErrorCode as Code;
        let partition = self.partition;
        match code {
            // The client has stopped fetching. The position may be there again by now, and mean another record: whoever
            // opened the partition compares the log with what it has before it opens it anew.
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
                let ends = match offsets::offsets(&self.clients, &[partition]).await {
                    Ok(ends) => ends,
                    Err(error) => return error,
                };
                let Some(ends) = ends.first() else { return Error::NoPartition(partition) };
                let (offset, earliest, latest) = (self.position, ends.earliest, ends.latest);
                if (earliest..=latest).contains(&offset) {
                    return Error::Unavailable(format!(
                        "the log of partition {partition} ended before offset {offset} for a moment or was cut short; it \
                         holds {earliest}..{latest} now"
                    ));
                }
                Error::OffsetOutOfRange { partition, offset, earliest, latest }
            }
            Code::BadMessage | Code::BadCompression | Code::InvalidMessage => Error::Corrupt {
                place: format!("topic {} partition {partition} offset {}", self.clients.config.topic, self.position),
                what: text.to_owned(),
            },
            Code::InvalidTimestamp => Error::Config(format!("topic {}: {text}", self.clients.config.topic)),
            code => {
                self.failure = None;
                refused(&self.clients.config.topic, &format!("partition {partition} cannot be read ({text})"), code)
            }
        }
    }
}

#[async_trait]
impl PartitionConsumer for OpenPartition {
    async fn fetch(&mut self, max_bytes: usize, wait: Duration) -> Result<Fetched, Error> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let before = self.position;
            let Some(messages) = self.take(max_bytes) else {
                return Err(Error::Unavailable(format!("partition {} was opened elsewhere", self.partition)));
            };
            if let Some((code, text)) = self.failure.clone().filter(|_| messages.is_empty()) {
                return Err(self.failed(code, &text).await);
            }
            let is_late = tokio::time::Instant::now() >= deadline;
            if !messages.is_empty() || self.position > before || is_late {
                let latest = self.opened.with(PartitionQueue::known_latest).flatten();
                let latest = latest.unwrap_or(0).max(self.position);
                return Ok(Fetched { messages, position: self.position, latest });
            }
            // Late or filled: either way look once more.
            let _ = tokio::time::timeout_at(deadline, self.opened.filled()).await;
        }
    }
}

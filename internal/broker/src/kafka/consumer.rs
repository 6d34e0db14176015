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

    /// Says what the partition failed with, and makes it go on if it can.
    async fn fail(&mut self, code: RDKafkaErrorCode, text: &str) -> Result<(), Error> {
        use RDKafkaErrorCode as Code;
        let partition = self.partition;
        match code {
            // The client has stopped fetching. A new leader may have trailed for a moment, so the position may be there by now.
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
                let ends = offsets::offsets(&self.clients, &[partition]).await?;
                let Some(ends) = ends.first() else { return Err(Error::NoPartition(partition)) };
                let (earliest, latest) = (ends.earliest, ends.latest);
                if self.position < earliest || self.position > latest {
                    return Err(Error::OffsetOutOfRange { partition, offset: self.position, earliest, latest });
                }
                self.opened = self.clients.open(partition, self.position).await?;
                self.failure = None;
                Ok(())
            }
            Code::BadMessage | Code::BadCompression | Code::InvalidMessage => Err(Error::Corrupt {
                place: format!("topic {} partition {partition} offset {}", self.clients.config.topic, self.position),
                what: text.to_owned(),
            }),
            Code::InvalidTimestamp => Err(Error::Config(format!("topic {}: {text}", self.clients.config.topic))),
            code => {
                self.failure = None;
                Err(refused(
                    &self.clients.config.topic,
                    &format!("partition {partition} cannot be read ({text})"),
                    code,
                ))
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
                self.fail(code, &text).await?;
                continue;
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

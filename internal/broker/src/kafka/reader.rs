use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::clients::Clients;
use crate::kafka::context::refused;
use crate::kafka::native::{PartitionQueue, Polled};
use crate::kafka::{blocking, offsets};
use crate::{Error, Fetched};

/// How long one look into the queue waits, so that the deadline is seen.
const LOOK: Duration = Duration::from_millis(200);

/// Reads `[from, to)` as far as it is written, with a consumer that nobody else uses meanwhile.
pub(super) async fn read(
    clients: &Arc<Clients>,
    partition: u32,
    from: u64,
    to: u64,
    max_bytes: usize,
) -> Result<Fetched, Error> {
    let number = i32::try_from(partition).map_err(|_| Error::NoPartition(partition))?;
    let ends = offsets::offsets(clients, &[partition]).await?;
    let Some(ends) = ends.first() else { return Err(Error::NoPartition(partition)) };
    let (earliest, latest) = (ends.earliest, ends.latest);
    if from < earliest || from > latest {
        return Err(Error::OffsetOutOfRange { partition, offset: from, earliest, latest });
    }
    let to = to.min(latest);
    if from >= to {
        return Ok(Fetched { messages: Vec::new(), position: from, latest });
    }
    let reader = clients.range_reader().await?;
    let read = move || {
        reader.with(number, from, |clients, queue| Range { clients, partition }.take(queue, from, to, max_bytes))
    };
    let fetched = blocking(read).await?;
    Ok(Fetched { latest: latest.max(fetched.position), ..fetched })
}

struct Range<'a> {
    clients: &'a Clients,
    partition: u32,
}

impl Range<'_> {
    fn take(&self, queue: &PartitionQueue, from: u64, to: u64, max_bytes: usize) -> Result<Fetched, Error> {
        let topic = &self.clients.config.topic;
        let deadline = Instant::now() + self.clients.config.request_timeout;
        let mut fetched = Fetched { messages: Vec::new(), position: from, latest: 0 };
        let mut bytes = 0;
        while fetched.position < to {
            match queue.poll(LOOK) {
                Some(Polled::Message(message)) if message.offset < fetched.position => {}
                Some(Polled::Message(message)) if message.offset >= to => fetched.position = to,
                Some(Polled::Message(message)) => {
                    bytes += message.payload.len();
                    if bytes > max_bytes && !fetched.messages.is_empty() {
                        break;
                    }
                    fetched.position = message.offset + 1;
                    fetched.messages.push(message);
                }
                // Holes up to the end.
                Some(Polled::End(offset)) => fetched.position = fetched.position.max(offset.min(to)),
                Some(Polled::Failed(
                    code @ (RDKafkaErrorCode::BadMessage
                    | RDKafkaErrorCode::BadCompression
                    | RDKafkaErrorCode::InvalidMessage),
                    text,
                )) => {
                    let place = format!("topic {topic} partition {} offset {}", self.partition, fetched.position);
                    return Err(Error::Corrupt { place, what: format!("{code}: {text}") });
                }
                Some(Polled::Failed(code, text)) => {
                    return Err(refused(topic, &format!("partition {} cannot be read ({text})", self.partition), code));
                }
                None if Instant::now() >= deadline => {
                    let what = format!("partition {} cannot be read", self.partition);
                    return Err(refused(topic, &what, RDKafkaErrorCode::OperationTimedOut));
                }
                None => {}
            }
        }
        Ok(fetched)
    }
}

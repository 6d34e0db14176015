use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _, Timestamp};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::kafka::config::Config;
use crate::kafka::context::{Logged, failed};
use crate::{Appended, Error};

/// Messages on their way take at most this many bytes together; past it callers wait.
const WAITING_BYTES: usize = 32 << 20;
/// What a message costs beside its payload, about.
const OVERHEAD_BYTES: usize = 512;
/// The most messages of a batch, in bytes.
const BATCH_BYTES: usize = 1_000_000;

type Native = ThreadedProducer<Deliveries, NoCustomPartitioner>;

/// Appends to the topic.
pub(super) struct Sender {
    config: Config,
    /// The largest batch that the topic takes, in bytes.
    batch_bytes: usize,
    room: Arc<Semaphore>,
    /// `None` only while it is dropped.
    producer: Mutex<Option<Arc<Native>>>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("topic", &self.config.topic).finish_non_exhaustive()
    }
}

/// Hands every delivery report to the one who waits for it.
struct Deliveries;

/// Who waits for a message.
struct Waiting {
    answer: oneshot::Sender<Result<Appended, KafkaError>>,
    /// Its room among what is on its way, whether anybody still waits or not.
    _room: OwnedSemaphorePermit,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Logged.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logged.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = Box<Waiting>;

    fn delivery(&self, report: &DeliveryResult<'_>, waiting: Box<Waiting>) {
        let answer = match report {
            Ok(message) => match (u64::try_from(message.offset()), message.timestamp()) {
                (Ok(offset), Timestamp::LogAppendTime(ms)) => {
                    Ok(Appended { offset, append_time_ns: ms.saturating_mul(1_000_000) })
                }
                // It is durable, but when nobody can say: it must not be acknowledged.
                _ => Err(KafkaError::MessageProduction(RDKafkaErrorCode::InvalidTimestamp)),
            },
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody to tell when the caller went away.
        let _ = waiting.answer.send(answer);
    }
}

impl Sender {
    pub(super) fn new(config: &Config, batch_bytes: usize) -> Result<Self, Error> {
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        let producer = Mutex::new(Some(Arc::new(connect(config, batch_bytes)?)));
        Ok(Self { config: config.clone(), batch_bytes, room, producer })
    }

    /// The topic's limit holds for a whole batch as it is sent: what does not compress grows a little, and has headers.
    pub(super) fn max_message_bytes(&self) -> usize {
        (self.batch_bytes - self.batch_bytes / 64 - 1_024).min(WAITING_BYTES / 2)
    }

    pub(super) async fn append(&self, partition: u32, payload: Bytes) -> Result<Appended, Error> {
        let max = self.max_message_bytes();
        if payload.len() > max {
            return Err(Error::TooLarge { bytes: payload.len(), max });
        }
        let closed = |_| Error::Unavailable("the producer is closed".to_owned());
        let bytes = u32::try_from(payload.len() + OVERHEAD_BYTES).expect("payloads are at most half of WAITING_BYTES");
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(closed)?;
        let producer = self.producer.lock().clone();
        let producer = producer.ok_or_else(|| Error::Unavailable("the producer is closed".to_owned()))?;
        let (answer, answered) = oneshot::channel();
        let sent = self.send(&producer, partition, &payload, Waiting { answer, _room: room }).await;
        let delivered = match sent {
            Ok(()) => answered.await.unwrap_or(Err(KafkaError::Canceled)),
            Err(error) => Err(error),
        };
        delivered.map_err(|error| {
            if producer.client().fatal_error().is_some() {
                self.replace(&producer);
            }
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => Error::TooLarge { bytes: payload.len(), max },
                Some(RDKafkaErrorCode::UnknownPartition) => Error::NoPartition(partition),
                _ => failed(&self.config.topic, "an append was not confirmed", &error),
            }
        })
    }

    /// Hands the message over; its queue has room for all that our own bound lets through, but waits all the same.
    async fn send(
        &self,
        producer: &Native,
        partition: u32,
        payload: &[u8],
        waiting: Waiting,
    ) -> Result<(), KafkaError> {
        let partition =
            i32::try_from(partition).map_err(|_| KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition))?;
        let mut record = BaseRecord::<(), [u8], _>::with_opaque_to(&self.config.topic, Box::new(waiting))
            .partition(partition)
            .payload(payload);
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// An idempotent producer that lost its place can never send again: a new one takes over.
    fn replace(&self, broken: &Arc<Native>) {
        let mut producer = self.producer.lock();
        if !producer.as_ref().is_some_and(|current| Arc::ptr_eq(current, broken)) {
            return;
        }
        match connect(&self.config, self.batch_bytes) {
            Ok(fresh) => {
                tracing::warn!(topic = self.config.topic, "kafka producer replaced after a fatal error");
                end(producer.replace(Arc::new(fresh)));
            }
            Err(error) => tracing::error!(%error, "kafka producer not replaced"),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        end(self.producer.get_mut().take());
    }
}

/// Lets go of a producer off the async threads: its end waits for its own thread.
fn end(producer: Option<Arc<Native>>) {
    let ending = std::thread::Builder::new().name("kafka-producer-end".to_owned()).spawn(move || drop(producer));
    if let Err(error) = ending {
        tracing::warn!(%error, "kafka producer ended in place");
    }
}

fn connect(config: &Config, batch_bytes: usize) -> Result<Native, Error> {
    let settings = config.producer(batch_bytes, batch_bytes.min(BATCH_BYTES));
    Native::from_config_and_context(&settings, Deliveries)
        .map_err(|error| Error::Config(format!("cannot make a Kafka producer: {error}")))
}

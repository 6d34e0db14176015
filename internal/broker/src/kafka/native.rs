//! What the safe interface of rdkafka lacks: a topic's id, the offset that the end of a partition stands at, and the known
//! latest offset. Everything unsafe of this crate is here.
#![allow(unsafe_code, reason = "librdkafka is C; each block says why it is sound")]

use std::ffi::{CStr, CString, c_void};
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{IsError as _, RDKafkaErrorCode};
use tokio::sync::watch;

use crate::Message;
use crate::kafka::context::Logged;
use crate::kafka::millis;

/// A consumer of partitions that were assigned by hand.
pub(super) type DataConsumer = BaseConsumer<Logged>;

/// What a topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) id: String,
    pub(super) partitions: u32,
}

/// Calls a destructor of the library when it goes out of scope.
struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    /// Takes over `pointer`; `None` for null.
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self(pointer, destroy))
    }

    fn ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the library's constructor that belongs to this destructor, is not null, is not
        // copied out of this module's functions, and is destroyed only here.
        unsafe { (self.1)(self.0.as_ptr()) }
    }
}

/// Asks Kafka what `topic` is, without making it. Blocks up to `timeout`.
///
/// # Errors
/// Kafka's code: `UnknownTopicOrPartition` when there is no such topic.
pub(super) fn describe_topic<C: ClientContext>(
    client: &Client<C>,
    topic: &CStr,
    timeout: Duration,
) -> Result<Description, RDKafkaErrorCode> {
    let no_memory = RDKafkaErrorCode::CriticalSystemResource;
    let rk = client.native_ptr();
    // SAFETY: `rk` is a live client for as long as `client` is borrowed. `topic` ends with a zero and is copied by the call.
    // Every object made here is destroyed by its `Owned`, in the reverse order of making, and none is used after that. What
    // the result event hands out (descriptions, ids, errors, texts) belongs to the event, which lives to the end of the
    // function, and is only read; the lengths are those that the library gives with the arrays.
    unsafe {
        let options = Owned::new(
            sys::rd_kafka_AdminOptions_new(rk, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
            sys::rd_kafka_AdminOptions_destroy,
        )
        .ok_or(no_memory)?;
        let set = sys::rd_kafka_AdminOptions_set_request_timeout(options.ptr(), millis(timeout), ptr::null_mut(), 0);
        if set.is_error() {
            return Err(set.into());
        }
        let mut names = [topic.as_ptr()];
        let topics = Owned::new(
            sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            sys::rd_kafka_TopicCollection_destroy,
        )
        .ok_or(no_memory)?;
        let queue = Owned::new(sys::rd_kafka_queue_new(rk), sys::rd_kafka_queue_destroy).ok_or(no_memory)?;
        sys::rd_kafka_DescribeTopics(rk, topics.ptr(), options.ptr(), queue.ptr());
        // The request has its own time-out, so the answer comes a little after it at the latest.
        let patience = millis(timeout.saturating_add(Duration::from_secs(1)));
        let event = Owned::new(sys::rd_kafka_queue_poll(queue.ptr(), patience), sys::rd_kafka_event_destroy)
            .ok_or(RDKafkaErrorCode::OperationTimedOut)?;
        let error = sys::rd_kafka_event_error(event.ptr());
        if error.is_error() {
            return Err(error.into());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event.ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::InvalidMessage);
        }
        let mut count = 0;
        let found = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if found.is_null() || count != 1 {
            return Err(RDKafkaErrorCode::InvalidMessage);
        }
        let description = *found;
        let error = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(description));
        if error.is_error() {
            return Err(error.into());
        }
        let id = sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(description));
        if id.is_null() {
            return Err(RDKafkaErrorCode::InvalidMessage);
        }
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(description, &raw mut partitions);
        Ok(Description {
            id: CStr::from_ptr(id).to_string_lossy().into_owned(),
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
        })
    }
}

/// What comes out of a partition's queue.
#[derive(Debug)]
pub(super) enum Polled {
    /// A message.
    Message(Message),
    /// The end of the partition stands at this offset now.
    End(u64),
    /// The partition cannot be read.
    Failed(RDKafkaErrorCode, String),
}

/// One partition's own queue of a consumer, apart from the consumer's others.
pub(super) struct PartitionQueue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: Arc<DataConsumer>,
    topic: CString,
    partition: i32,
    /// Counts how often the queue stopped being empty; the library holds a pointer to it.
    filled: Box<watch::Sender<u64>>,
}

// SAFETY: librdkafka's queues and clients may be used from any thread, also from several at once; the pointer is to such a
// queue, and everything else in the struct is Send and Sync by itself.
unsafe impl Send for PartitionQueue {}
// SAFETY: as above.
unsafe impl Sync for PartitionQueue {}

impl fmt::Debug for PartitionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionQueue").field("partition", &self.partition).finish_non_exhaustive()
    }
}

/// Runs on a thread of the library when a queue stops being empty.
unsafe extern "C" fn tell(_: *mut sys::rd_kafka_t, filled: *mut c_void) {
    // SAFETY: the pointer is the boxed sender of a `PartitionQueue`, which takes the callback away, under the queue's lock that
    // this runs under too, before it drops the box; senders may be used from any thread.
    unsafe { &*filled.cast::<watch::Sender<u64>>() }.send_modify(|count| *count = count.wrapping_add(1));
}

impl PartitionQueue {
    /// Splits the queue of `partition` off. To be called before the partition is assigned, and only once at a time for a
    /// consumer and partition. `None` when the library cannot.
    pub(super) fn split(consumer: Arc<DataConsumer>, topic: CString, partition: i32) -> Option<Self> {
        let filled = Box::new(watch::Sender::new(0));
        // SAFETY: the client is alive as long as `consumer` is, which the struct keeps; `topic` ends with a zero and is copied.
        // Forwarding to null makes messages stay in this queue. The callback's pointer is valid until `Drop` takes the callback
        // away, since the struct keeps `filled`.
        let queue = unsafe {
            let queue = NonNull::new(sys::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                topic.as_ptr(),
                partition,
            ))?;
            sys::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(tell), (&raw const *filled).cast_mut().cast());
            queue
        };
        Some(Self { queue, consumer, topic, partition, filled })
    }

    /// Changes whenever the queue stops being empty.
    pub(super) fn filled(&self) -> watch::Receiver<u64> {
        self.filled.subscribe()
    }

    /// Takes what is next, waiting at most `wait` for it.
    pub(super) fn poll(&self, wait: Duration) -> Option<Polled> {
        // SAFETY: the queue is alive until `Drop`. A message that is not null belongs to us, is read only while `message`
        // lives, and is destroyed with it. Payload and length come from the library, and a null payload is not looked at.
        // For an error the payload may be a text and is not looked at; the text is taken from the library's own function.
        unsafe {
            let message = Owned::new(
                sys::rd_kafka_consume_queue(self.queue.as_ptr(), millis(wait)),
                sys::rd_kafka_message_destroy,
            )?;
            let fields = &*message.ptr();
            if fields.err.is_error() {
                let code = RDKafkaErrorCode::from(fields.err);
                if code == RDKafkaErrorCode::PartitionEOF {
                    return Some(Polled::End(u64::try_from(fields.offset).unwrap_or(0)));
                }
                let text = sys::rd_kafka_message_errstr(message.ptr());
                let text =
                    if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() };
                return Some(Polled::Failed(code, text));
            }
            let payload = if fields.payload.is_null() {
                Bytes::new()
            } else {
                Bytes::copy_from_slice(std::slice::from_raw_parts(fields.payload.cast::<u8>(), fields.len))
            };
            let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            let append_time_ms = sys::rd_kafka_message_timestamp(message.ptr(), &raw mut kind);
            let epoch = sys::rd_kafka_message_leader_epoch(message.ptr());
            if kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME {
                let text = "a message has no append time of the broker (message.timestamp.type was changed)";
                return Some(Polled::Failed(RDKafkaErrorCode::InvalidTimestamp, text.to_owned()));
            }
            Some(Polled::Message(Message {
                offset: u64::try_from(fields.offset).unwrap_or(0),
                append_time_ns: append_time_ms.saturating_mul(1_000_000),
                leader_epoch: (epoch >= 0).then_some(epoch),
                payload,
            }))
        }
    }

    /// The partition's latest offset as the last fetch told it; `None` before the first.
    pub(super) fn known_latest(&self) -> Option<u64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive as long as `self.consumer` is, the topic ends with a zero, and both numbers live longer
        // than the call, which only fills them in.
        let error = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.consumer.client().native_ptr(),
                self.topic.as_ptr(),
                self.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        if error.is_error() { None } else { u64::try_from(high).ok() }
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: the queue is alive and destroyed only here. The callback goes first, under the queue's lock, so that none runs
        // when `filled` is dropped; the client outlives the queue because `self.consumer` is dropped after this.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

//! The suite that every broker passes: what the documentation of [`Producer`], [`Consumer`] and [`Reader`] promises.
//!
//! Each function starts from the offsets it finds, so that one topic serves them all. They panic on a broken promise.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use crate::{Assignment, Consumer, Error, Fetched, Message, Offsets, PartitionConsumer, Producer, Reader, Trim};

/// Long enough for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// A wait that is expected to pass without anything happening.
const QUIET: Duration = Duration::from_millis(300);

/// The broker under test.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "trait objects")]
pub struct Broker<'a> {
    /// Appends to the topic.
    pub producer: &'a dyn Producer,
    /// The only member of its group; has not been asked for its assignment yet.
    pub consumer: &'a dyn Consumer,
    /// Reads the topic.
    pub reader: &'a dyn Reader,
}

/// Runs the whole suite on a topic of at least two partitions.
///
/// # Panics
/// When a promise is broken.
pub async fn all(broker: Broker<'_>) {
    all_partitions_are_assigned_to_the_only_member(broker).await;
    // The assignment must be asked for all the time, and nothing changes it here.
    tokio::select! {
        change = broker.consumer.next_assignment() => panic!("the assignment changed without a reason: {change:?}"),
        () = while_assigned(broker) => {}
    }
}

async fn while_assigned(broker: Broker<'_>) {
    topic_and_offsets_are_told(broker).await;
    an_appended_message_is_there_when_append_returns(broker).await;
    order_and_append_times_rise(broker).await;
    concurrent_appends_all_get_an_offset_of_their_own(broker).await;
    payloads_come_back_as_they_were(broker).await;
    too_large_payloads_are_refused(broker).await;
    partitions_are_apart(broker).await;
    a_fetch_waits_for_what_is_appended(broker).await;
    a_quiet_fetch_returns_after_its_wait(broker).await;
    a_cancelled_fetch_loses_nothing(broker).await;
    a_fetch_keeps_to_its_bytes(broker).await;
    a_read_is_a_range(broker).await;
    positions_outside_of_the_log_are_refused(broker).await;
    partitions_that_are_not_there_are_refused(broker).await;
    a_partition_opens_anywhere_and_again(broker).await;
    commits_change_nothing(broker).await;
}

/// A payload that says where it belongs.
fn payload(test: &str, number: usize) -> Bytes {
    Bytes::from(format!("{test} {number:06}"))
}

async fn offsets(broker: Broker<'_>, partition: u32) -> Offsets {
    broker.reader.offsets(&[partition]).await.expect("offsets are told")[0]
}

async fn append(broker: Broker<'_>, partition: u32, payload: Bytes) -> u64 {
    let appended = timeout(PATIENCE, broker.producer.append(partition, payload)).await.expect("an append ends");
    appended.expect("an append works").offset
}

async fn append_many(broker: Broker<'_>, partition: u32, test: &str, count: usize) -> u64 {
    let first = append(broker, partition, payload(test, 0)).await;
    for number in 1..count {
        append(broker, partition, payload(test, number)).await;
    }
    first
}

async fn open(broker: Broker<'_>, partition: u32, offset: u64) -> Box<dyn PartitionConsumer> {
    timeout(PATIENCE, broker.consumer.open(partition, offset)).await.expect("an open ends").expect("a partition opens")
}

/// Fetches until `count` messages came.
async fn fetch_many(open: &mut dyn PartitionConsumer, count: usize) -> Vec<Message> {
    let deadline = Instant::now() + PATIENCE;
    let mut messages = Vec::new();
    while messages.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} messages came", messages.len());
        let fetched = open.fetch(1 << 20, Duration::from_secs(1)).await.expect("a fetch works");
        check(&fetched);
        messages.extend(fetched.messages);
    }
    messages
}

/// Reads until `to` is reached.
async fn read_all(reader: &dyn Reader, partition: u32, from: u64, to: u64) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut position = from;
    while position < to {
        let fetched = timeout(PATIENCE, reader.read(partition, position, to, 1 << 20)).await.expect("a read ends");
        let fetched = fetched.expect("a read works");
        check(&fetched);
        assert!(fetched.position > position, "a read of what is there moves on");
        position = fetched.position;
        messages.extend(fetched.messages);
    }
    assert_eq!(position, to);
    messages
}

/// What holds of every answer.
fn check(fetched: &Fetched) {
    assert!(fetched.messages.windows(2).all(|pair| pair[0].offset < pair[1].offset), "offsets rise");
    assert!(
        fetched.messages.last().is_none_or(|last| last.offset < fetched.position),
        "the position lies past the last"
    );
    assert!(fetched.latest >= fetched.position, "latest {} lies before {}", fetched.latest, fetched.position);
}

fn payloads(messages: &[Message]) -> Vec<Bytes> {
    messages.iter().map(|message| message.payload.clone()).collect()
}

/// The only member gets every partition.
///
/// # Panics
/// When it does not.
pub async fn all_partitions_are_assigned_to_the_only_member(broker: Broker<'_>) {
    let partitions = broker.reader.topic().await.expect("the topic is told").partitions;
    let mut mine = BTreeSet::new();
    while mine.len() < partitions as usize {
        match timeout(PATIENCE, broker.consumer.next_assignment()).await.expect("an assignment comes") {
            Ok(Assignment::Assigned(more)) => mine.extend(more),
            Ok(Assignment::Revoked(lost)) => mine.retain(|partition| !lost.contains(partition)),
            Err(error) => panic!("no assignment: {error}"),
        }
    }
    assert_eq!(mine, (0..partitions).collect());
}

async fn topic_and_offsets_are_told(broker: Broker<'_>) {
    let topic = broker.reader.topic().await.expect("the topic is told");
    assert!(topic.partitions >= 2, "the suite needs two partitions");
    assert!(!topic.id.is_empty());
    assert_eq!(broker.reader.topic().await.expect("the topic is told"), topic);
    let asked: Vec<u32> = (0..topic.partitions).rev().collect();
    let offsets = broker.reader.offsets(&asked).await.expect("offsets are told");
    assert_eq!(offsets.iter().map(|offsets| offsets.partition).collect::<Vec<_>>(), asked, "in the order asked");
    assert!(offsets.iter().all(|offsets| offsets.earliest <= offsets.latest));
    assert!(broker.reader.offsets(&[]).await.expect("none is fine").is_empty());
}

async fn an_appended_message_is_there_when_append_returns(broker: Broker<'_>) {
    for number in 0..20 {
        let offset = append(broker, 0, payload("there", number)).await;
        assert!(offsets(broker, 0).await.latest > offset, "what was acknowledged lies below latest");
        let read = read_all(broker.reader, 0, offset, offset + 1).await;
        assert_eq!(payloads(&read), [payload("there", number)]);
        assert_eq!(read[0].offset, offset);
    }
}

async fn order_and_append_times_rise(broker: Broker<'_>) {
    let mut appended = Vec::new();
    for number in 0..50 {
        appended.push(broker.producer.append(1, payload("order", number)).await.expect("an append works"));
    }
    assert!(appended.windows(2).all(|pair| pair[0].offset < pair[1].offset), "offsets rise");
    assert!(
        appended.windows(2).all(|pair| pair[0].append_time_ns <= pair[1].append_time_ns),
        "append times do not fall"
    );
    let read = read_all(broker.reader, 1, appended[0].offset, appended[49].offset + 1).await;
    assert_eq!(payloads(&read), (0..50).map(|number| payload("order", number)).collect::<Vec<_>>());
    for (message, appended) in read.iter().zip(&appended) {
        assert_eq!((message.offset, message.append_time_ns), (appended.offset, appended.append_time_ns));
    }
}

async fn concurrent_appends_all_get_an_offset_of_their_own(broker: Broker<'_>) {
    let before = offsets(broker, 0).await.latest;
    let appends = (0..200).map(|number| append(broker, 0, payload("concurrent", number)));
    let given = join_all(appends.collect()).await;
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 200, "no offset twice");
    let read = read_all(broker.reader, 0, before, offsets(broker, 0).await.latest).await;
    assert_eq!(read.len(), 200);
    for (number, offset) in given.iter().enumerate() {
        let message = read.iter().find(|message| message.offset == *offset).expect("the offset is there");
        assert_eq!(message.payload, payload("concurrent", number));
    }
}

/// Polls all of `futures` side by side.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_ready = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

async fn payloads_come_back_as_they_were(broker: Broker<'_>) {
    let max = broker.producer.max_message_bytes();
    assert!(max >= 900 << 10, "a whole batch fits");
    // Bytes that do not compress, so that a limit on compressed size would show.
    let mut word = 0x9e37_79b9_u32;
    let noise: Bytes = (0..max)
        .map(|_| {
            word ^= word << 13;
            word ^= word >> 17;
            word ^= word << 5;
            (word >> 24) as u8
        })
        .collect();
    for sent in [Bytes::new(), Bytes::from_static(&[0]), (0..=255).collect(), noise] {
        let offset = append(broker, 0, sent.clone()).await;
        let read = read_all(broker.reader, 0, offset, offset + 1).await;
        assert_eq!(read.len(), 1);
        assert!(read[0].payload == sent, "{} bytes came back otherwise", sent.len());
        let mut open = open(broker, 0, offset).await;
        assert!(fetch_many(&mut *open, 1).await[0].payload == sent, "{} bytes were fetched otherwise", sent.len());
    }
}

async fn too_large_payloads_are_refused(broker: Broker<'_>) {
    let before = offsets(broker, 0).await.latest;
    let max = broker.producer.max_message_bytes();
    let refused = broker.producer.append(0, Bytes::from(vec![b'x'; max + 1])).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { bytes, max: told }) if bytes == max + 1 && told == max),
        "{refused:?}"
    );
    assert_eq!(offsets(broker, 0).await.latest, before);
}

async fn partitions_are_apart(broker: Broker<'_>) {
    let (zero, one) = (offsets(broker, 0).await.latest, offsets(broker, 1).await.latest);
    for number in 0..20 {
        append(broker, (number % 2) as u32, payload("apart", number)).await;
    }
    for (partition, from) in [(0, zero), (1, one)] {
        let mut open = open(broker, partition, from).await;
        let fetched = fetch_many(&mut *open, 10).await;
        let wanted: Vec<_> = (0..10).map(|at| payload("apart", 2 * at + partition as usize)).collect();
        assert_eq!(payloads(&fetched), wanted);
    }
}

async fn a_fetch_waits_for_what_is_appended(broker: Broker<'_>) {
    let latest = offsets(broker, 0).await.latest;
    let mut open = open(broker, 0, latest).await;
    let late = async {
        tokio::time::sleep(QUIET).await;
        append(broker, 0, payload("late", 0)).await
    };
    let started = Instant::now();
    let (messages, offset) = tokio::join!(fetch_many(&mut *open, 1), late);
    assert_eq!((messages[0].offset, &messages[0].payload), (offset, &payload("late", 0)));
    assert!(started.elapsed() >= QUIET);
}

async fn a_quiet_fetch_returns_after_its_wait(broker: Broker<'_>) {
    let latest = offsets(broker, 0).await.latest;
    let mut open = open(broker, 0, latest).await;
    for wait in [QUIET, Duration::ZERO] {
        let fetched =
            timeout(PATIENCE, open.fetch(1 << 20, wait)).await.expect("it ends").expect("a quiet wait is no error");
        assert!(fetched.messages.is_empty());
        assert_eq!(fetched.position, latest);
    }
}

async fn a_cancelled_fetch_loses_nothing(broker: Broker<'_>) {
    let from = offsets(broker, 1).await.latest;
    let mut open = open(broker, 1, from).await;
    let mut got = Vec::new();
    let appends = async {
        for number in 0..100 {
            append(broker, 1, payload("cancelled", number)).await;
        }
    };
    let fetches = async {
        let deadline = Instant::now() + PATIENCE;
        while got.len() < 100 {
            assert!(Instant::now() < deadline, "only {} of 100 came", got.len());
            // Time and again the fetch is dropped before it is ready.
            if let Ok(fetched) = timeout(Duration::from_micros(200), open.fetch(1 << 20, PATIENCE)).await {
                got.extend(fetched.expect("a fetch works").messages);
            }
        }
    };
    tokio::join!(appends, fetches);
    assert_eq!(payloads(&got), (0..100).map(|number| payload("cancelled", number)).collect::<Vec<_>>());
}

async fn a_fetch_keeps_to_its_bytes(broker: Broker<'_>) {
    let kilobyte = |number: usize| Bytes::from(vec![number as u8; 1_000]);
    let from = append(broker, 0, kilobyte(0)).await;
    for number in 1..20 {
        append(broker, 0, kilobyte(number)).await;
    }
    let to = offsets(broker, 0).await.latest;
    let read = broker.reader.read(0, from, to, 4_500).await.expect("a read works");
    assert!((1..=5).contains(&read.messages.len()), "{} messages for 4,500 bytes", read.messages.len());
    assert!(read.position < to);
    let least = broker.reader.read(0, from, to, 1).await.expect("a read works");
    assert_eq!(least.messages.len(), 1, "at least one, however small the limit");
    let mut open = open(broker, 0, from).await;
    let mut got = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while got.len() < 20 {
        assert!(Instant::now() < deadline, "only {} of 20 came", got.len());
        let fetched = open.fetch(2_500, Duration::from_secs(1)).await.expect("a fetch works");
        check(&fetched);
        assert!(fetched.messages.len() <= 3, "{} messages for 2,500 bytes", fetched.messages.len());
        got.extend(fetched.messages);
    }
    assert_eq!(payloads(&got), (0..20).map(kilobyte).collect::<Vec<_>>());
}

async fn a_read_is_a_range(broker: Broker<'_>) {
    let from = append_many(broker, 1, "range", 10).await;
    let latest = offsets(broker, 1).await.latest;
    let some = read_all(broker.reader, 1, from + 2, from + 5).await;
    assert_eq!(payloads(&some), (2..5).map(|number| payload("range", number)).collect::<Vec<_>>());
    let none = broker.reader.read(1, from + 2, from + 2, 1 << 20).await.expect("an empty range is fine");
    assert!(none.messages.is_empty());
    assert_eq!(none.position, from + 2);
    let beyond = broker.reader.read(1, from + 8, latest + 100, 1 << 20).await.expect("a read works");
    assert_eq!(payloads(&beyond.messages), [payload("range", 8), payload("range", 9)]);
    assert_eq!(beyond.position, latest, "what is not written yet is not waited for");
    let end = broker.reader.read(1, latest, latest + 100, 1 << 20).await.expect("a read works");
    assert!(end.messages.is_empty());
    assert_eq!(end.position, latest);
}

async fn positions_outside_of_the_log_are_refused(broker: Broker<'_>) {
    let there = offsets(broker, 1).await;
    let mut beyond = open(broker, 1, there.latest + 1_000).await;
    let deadline = Instant::now() + PATIENCE;
    let refused = loop {
        assert!(Instant::now() < deadline, "a position beyond the end was never refused");
        match beyond.fetch(1 << 20, Duration::from_secs(1)).await {
            Ok(fetched) => assert!(fetched.messages.is_empty()),
            Err(error) => break error,
        }
    };
    let wanted = there.latest + 1_000;
    assert!(
        matches!(refused, Error::OffsetOutOfRange { partition: 1, offset, earliest, latest }
            if offset == wanted && earliest == there.earliest && latest == there.latest),
        "{refused:?}"
    );
    let again = beyond.fetch(1 << 20, Duration::from_secs(1)).await;
    assert!(matches!(again, Err(Error::OffsetOutOfRange { .. })), "it stays refused: {again:?}");
    let read = broker.reader.read(1, wanted, wanted + 1, 1 << 20).await;
    assert!(matches!(read, Err(Error::OffsetOutOfRange { .. })), "{read:?}");
}

async fn partitions_that_are_not_there_are_refused(broker: Broker<'_>) {
    let partitions = broker.reader.topic().await.expect("the topic is told").partitions;
    let is_refused = |error: Option<Error>| matches!(error, Some(Error::NoPartition(found)) if found == partitions);
    assert!(is_refused(broker.producer.append(partitions, Bytes::new()).await.err()));
    assert!(is_refused(broker.reader.offsets(&[0, partitions]).await.err()));
    assert!(is_refused(broker.reader.read(partitions, 0, 1, 1).await.err()));
    assert!(is_refused(broker.consumer.open(partitions, 0).await.err()));
}

async fn a_partition_opens_anywhere_and_again(broker: Broker<'_>) {
    let from = append_many(broker, 0, "again", 10).await;
    for start in [0, 5, 9, 3] {
        let mut open = open(broker, 0, from + start as u64).await;
        let messages = fetch_many(&mut *open, 10 - start).await;
        assert_eq!(payloads(&messages), (start..10).map(|number| payload("again", number)).collect::<Vec<_>>());
        assert_eq!(messages[0].offset, from + start as u64);
    }
    let (mut zero, mut one) = (open(broker, 0, from).await, open(broker, 1, offsets(broker, 1).await.latest).await);
    append(broker, 1, payload("other", 0)).await;
    let (first, second) = tokio::join!(fetch_many(&mut *zero, 10), fetch_many(&mut *one, 1));
    assert_eq!((first.len(), payloads(&second)), (10, vec![payload("other", 0)]));
}

async fn commits_change_nothing(broker: Broker<'_>) {
    let from = append_many(broker, 0, "commit", 3).await;
    broker.consumer.commit(0, from + 3).await.expect("a commit works");
    let mut open = open(broker, 0, from).await;
    assert_eq!(payloads(&fetch_many(&mut *open, 3).await), (0..3).map(|n| payload("commit", n)).collect::<Vec<_>>());
}

/// What [`leave_marks`] left behind.
#[derive(Clone, Debug)]
pub struct Marks {
    id: String,
    partitions: Vec<(Offsets, Vec<Message>)>,
}

/// Appends a little to every partition, for [`marks_are_there`] to find after a restart.
///
/// # Panics
/// When a promise is broken.
pub async fn leave_marks(producer: &dyn Producer, reader: &dyn Reader) -> Marks {
    let topic = reader.topic().await.expect("the topic is told");
    let mut partitions = Vec::new();
    for partition in 0..topic.partitions {
        let first = producer.append(partition, payload("mark", 0)).await.expect("an append works").offset;
        for number in 1..5 {
            producer.append(partition, payload("mark", number)).await.expect("an append works");
        }
        let offsets = reader.offsets(&[partition]).await.expect("offsets are told")[0];
        let messages = read_all(reader, partition, first, offsets.latest).await;
        assert_eq!(messages.len(), 5);
        partitions.push((offsets, messages));
    }
    Marks { id: topic.id, partitions }
}

/// Checks that the topic is the same one after a restart, and holds what was acknowledged, and goes on after it.
///
/// # Panics
/// When it does not.
pub async fn marks_are_there(producer: &dyn Producer, reader: &dyn Reader, marks: &Marks) {
    assert_eq!(reader.topic().await.expect("the topic is told").id, marks.id, "the same life of the topic");
    for (before, messages) in &marks.partitions {
        let after = reader.offsets(&[before.partition]).await.expect("offsets are told")[0];
        assert_eq!(after, *before);
        let read = read_all(reader, before.partition, messages[0].offset, before.latest).await;
        assert_eq!(read, *messages);
        let next = producer.append(before.partition, payload("after", 0)).await.expect("an append works");
        assert!(next.offset >= before.latest, "offsets never restart");
        assert!(read.iter().all(|message| message.append_time_ns <= next.append_time_ns));
    }
}

/// Checks that trimming forgets nothing above the mark, and that going backwards does nothing.
///
/// # Panics
/// When a promise is broken.
pub async fn trim_never_forgets_what_is_above_the_mark(producer: &dyn Producer, reader: &dyn Reader, trim: &dyn Trim) {
    let mut given = Vec::new();
    for number in 0..20 {
        given.push(producer.append(0, payload("trim", number)).await.expect("an append works").offset);
    }
    let before = reader.offsets(&[0]).await.expect("offsets are told")[0];
    trim.trim(0, given[10]).await.expect("a trim works");
    trim.trim(0, 0).await.expect("going backwards is fine");
    let after = reader.offsets(&[0]).await.expect("offsets are told")[0];
    assert_eq!(after.latest, before.latest);
    assert!((before.earliest..=given[10]).contains(&after.earliest));
    let read = read_all(reader, 0, given[10], after.latest).await;
    assert_eq!(payloads(&read), (10..20).map(|number| payload("trim", number)).collect::<Vec<_>>());
    if let Some(below) = after.earliest.checked_sub(1) {
        let refused = reader.read(0, below, after.latest, 1 << 20).await;
        assert!(
            matches!(refused, Err(Error::OffsetOutOfRange { earliest, .. }) if earliest == after.earliest),
            "{refused:?}"
        );
    }
}

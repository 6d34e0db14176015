//! The broker over a real Kafka.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use loglake_broker::conformance::{self, Broker};
use loglake_broker::kafka::Config;
use loglake_broker::{Assignment, Consumer, Error, KafkaBroker, Message, Producer, Reader};
use loglake_integration::{free_port, programs, stack::Native};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

/// Long enough for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

fn server(dir: &std::path::Path) -> Native {
    programs::tools(&["kafka"]);
    Native::start("kafka.sh", dir.to_owned())
}

fn config(server: &Native, topic: &str) -> Config {
    Config {
        brokers: server.address(),
        topic: topic.to_owned(),
        group: format!("group of {topic}"),
        partitions: 3,
        session_timeout: Duration::from_secs(6),
        ..Config::default()
    }
}

async fn connect(server: &Native, topic: &str) -> Arc<KafkaBroker> {
    KafkaBroker::connect(config(server, topic)).await.unwrap()
}

fn admin(server: &Native) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", server.address()).create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

async fn create(server: &Native, topic: &NewTopic<'_>) {
    admin(server).create_topics([topic], &options()).await.unwrap()[0].as_ref().unwrap();
}

/// Waits until `check` gives something.
async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn read_all(broker: &KafkaBroker, partition: u32) -> Vec<Message> {
    let ends = broker.offsets(&[partition]).await.unwrap()[0];
    let mut messages = Vec::new();
    let mut position = ends.earliest;
    while position < ends.latest {
        let fetched = broker.read(partition, position, ends.latest, 1 << 20).await.unwrap();
        assert!(fetched.position > position);
        position = fetched.position;
        messages.extend(fetched.messages);
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let broker = connect(&server, "conformance").await;
    conformance::all(Broker { producer: &*broker, consumer: &*broker, reader: &*broker }).await;
    let marks = conformance::leave_marks(&*broker, &*broker).await;
    broker.leave().await;
    drop(broker);
    let broker = connect(&server, "conformance").await;
    conformance::marks_are_there(&*broker, &*broker, &marks).await;
    assert!(read_all(&broker, 0).await.iter().all(|message| message.leader_epoch.is_some()));

    a_topic_made_anew_has_another_id_and_partitions_may_be_added(&server).await;
    a_topic_with_unfit_settings_is_refused(&server).await;
    what_retention_took_is_told(&server).await;
    the_end_of_a_partition_moves_the_position_past_holes(&server).await;
    partitions_that_are_opened_again_belong_to_the_last_opener(&server).await;
    many_appends_and_fetches_go_side_by_side(&server).await;
}

async fn a_topic_made_anew_has_another_id_and_partitions_may_be_added(server: &Native) {
    let broker = connect(server, "lives").await;
    let first = broker.topic().await.unwrap();
    assert_eq!(first.partitions, 3);
    assert_eq!(connect(server, "lives").await.topic().await.unwrap(), first);

    admin(server).create_partitions(&[NewPartitions::new("lives", 5)], &options()).await.unwrap()[0].as_ref().unwrap();
    let grown =
        until("five partitions", async || broker.topic().await.ok().filter(|topic| topic.partitions == 5)).await;
    assert_eq!(grown.id, first.id);
    let payload = Bytes::from_static(b"in the new one");
    until("an append to the new partition", async || broker.append(4, payload.clone()).await.ok()).await;
    assert_eq!(read_all(&broker, 4).await[0].payload, payload);

    admin(server).delete_topics(&["lives"], &options()).await.unwrap()[0].as_ref().unwrap();
    until("the topic is gone", async || matches!(broker.topic().await, Err(Error::NoTopic(_))).then_some(())).await;
    let again = until("a topic made anew", async || KafkaBroker::connect(config(server, "lives")).await.ok()).await;
    let second = again.topic().await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(broker.topic().await.unwrap(), second, "an old connection sees it too");
}

async fn a_topic_with_unfit_settings_is_refused(server: &Native) {
    let topic = |name, key, value| NewTopic::new(name, 1, TopicReplication::Fixed(1)).set(key, value);
    create(server, &topic("create-time", "message.timestamp.type", "CreateTime")).await;
    let refused = KafkaBroker::connect(config(server, "create-time")).await.unwrap_err();
    assert!(matches!(&refused, Error::Config(why) if why.contains("LogAppendTime")), "{refused}");
    let compacted = topic("compacted", "message.timestamp.type", "LogAppendTime").set("cleanup.policy", "compact");
    create(server, &compacted).await;
    let refused = KafkaBroker::connect(config(server, "compacted")).await.unwrap_err();
    assert!(matches!(&refused, Error::Config(why) if why.contains("cleanup.policy")), "{refused}");
    let many = Config { replication: 3, ..config(server, "too-many-replicas") };
    let refused = KafkaBroker::connect(many).await.unwrap_err();
    assert!(matches!(&refused, Error::Config(why) if why.contains("replicas")), "{refused}");
}

async fn what_retention_took_is_told(server: &Native) {
    let broker = connect(server, "retention").await;
    for number in 0..10_u8 {
        broker.append(0, Bytes::from(vec![number])).await.unwrap();
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("retention", 0, Offset::Offset(5)).unwrap();
    admin(server).delete_records(&list, &options()).await.unwrap();
    assert_eq!(broker.offsets(&[0]).await.unwrap()[0].earliest, 5);
    let is_told = |error: Error| {
        assert!(
            matches!(error, Error::OffsetOutOfRange { partition: 0, offset: 2, earliest: 5, latest: 10 }),
            "{error}"
        );
    };
    is_told(broker.read(0, 2, 10, 1 << 20).await.unwrap_err());
    let mut open = broker.open(0, 2).await.unwrap();
    is_told(until("a refusal", async || open.fetch(1 << 20, Duration::from_secs(1)).await.err()).await);
    is_told(open.fetch(1 << 20, Duration::from_secs(1)).await.unwrap_err());
    let mut open = broker.open(0, 5).await.unwrap();
    let fetched = until("messages", async || {
        let fetched = open.fetch(1 << 20, Duration::from_secs(1)).await.unwrap();
        (!fetched.messages.is_empty()).then_some(fetched)
    });
    assert_eq!(fetched.await.messages[0].offset, 5);
}

async fn the_end_of_a_partition_moves_the_position_past_holes(server: &Native) {
    let broker = connect(server, "holes").await;
    let address = server.address();
    // A committed transaction ends with a marker that takes an offset and is no message.
    let write = move || {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", address).set("transactional.id", "holes").create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        producer.send(BaseRecord::<(), [u8]>::to("holes").partition(0).payload(b"one")).unwrap();
        producer.commit_transaction(PATIENCE).unwrap();
    };
    tokio::task::spawn_blocking(write).await.unwrap();
    assert_eq!(
        until("the marker", async || Some(broker.offsets(&[0]).await.unwrap()[0].latest).filter(|at| *at > 1)).await,
        2
    );

    let read = broker.read(0, 0, 2, 1 << 20).await.unwrap();
    assert_eq!((read.messages.len(), read.position), (1, 2));
    let mut open = broker.open(0, 0).await.unwrap();
    let mut messages = Vec::new();
    until("the position behind the hole", async || {
        let fetched = open.fetch(1 << 20, Duration::from_secs(1)).await.unwrap();
        messages.extend(fetched.messages);
        (fetched.position == 2).then_some(())
    })
    .await;
    assert_eq!(messages.len(), 1);
    let offset = broker.append(0, Bytes::from_static(b"two")).await.unwrap().offset;
    assert_eq!(offset, 2);
    until("what came after", async || {
        let fetched = open.fetch(1 << 20, Duration::from_secs(1)).await.unwrap();
        fetched.messages.first().map(|message| assert_eq!((message.offset, &message.payload[..]), (2, &b"two"[..])))
    })
    .await;
}

async fn partitions_that_are_opened_again_belong_to_the_last_opener(server: &Native) {
    let broker = connect(server, "openers").await;
    for number in 0..50_u8 {
        broker.append(0, Bytes::from(vec![number])).await.unwrap();
    }
    let mut first = broker.open(0, 0).await.unwrap();
    until("a message", async || {
        (!first.fetch(1, Duration::from_secs(1)).await.unwrap().messages.is_empty()).then_some(())
    })
    .await;
    for start in [10, 40, 0] {
        let mut second = broker.open(0, start).await.unwrap();
        let refused = first.fetch(1 << 20, Duration::ZERO).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
        let mut got = Vec::new();
        until("all that follows", async || {
            let fetched = second.fetch(7, Duration::from_secs(1)).await.unwrap();
            got.extend(fetched.messages.into_iter().map(|message| message.offset));
            (got.len() as u64 >= 50 - start).then_some(())
        })
        .await;
        assert_eq!(got, (start..50).collect::<Vec<_>>());
        first = second;
    }
}

async fn many_appends_and_fetches_go_side_by_side(server: &Native) {
    let broker = connect(server, "load").await;
    let started = Instant::now();
    // More bytes than may be on their way at once, so that callers wait.
    let appends: Vec<_> = (0..150_u32)
        .map(|number| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move {
                let payload: Vec<u8> = (0..600_000_u32).map(|at| (at.wrapping_mul(number | 1) >> 7) as u8).collect();
                (number % 3, broker.append(number % 3, Bytes::from(payload)).await.unwrap().offset)
            })
        })
        .collect();
    let mut seen = BTreeMap::new();
    for partition in 0..3 {
        let mut open = broker.open(partition, 0).await.unwrap();
        let mut offsets = Vec::new();
        until("fifty messages", async || {
            let fetched = open.fetch(4 << 20, Duration::from_secs(1)).await.unwrap();
            assert!(fetched.messages.iter().all(|message| message.payload.len() == 600_000));
            offsets.extend(fetched.messages.into_iter().map(|message| message.offset));
            (offsets.len() >= 50).then_some(())
        })
        .await;
        assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]));
        seen.insert(partition, offsets);
    }
    for append in appends {
        let (partition, offset) = append.await.unwrap();
        assert!(seen[&partition].contains(&offset));
    }
    println!("150 appends of 600 kB and their fetches took {:?}", started.elapsed());
    for (what, count) in [("offsets", 100), ("read", 20), ("append", 100)] {
        let started = Instant::now();
        for _ in 0..count {
            match what {
                "offsets" => assert_eq!(broker.offsets(&[0, 1, 2]).await.unwrap().len(), 3),
                "read" => assert_eq!(broker.read(0, 3, 4, 1 << 20).await.unwrap().messages.len(), 1),
                _ => assert!(broker.append(0, Bytes::from_static(b"small")).await.unwrap().offset >= 50),
            }
        }
        println!("{what}: {:?} a call", started.elapsed() / count);
    }
}

/// Follows the changes of one member.
async fn follow(broker: &KafkaBroker, held: &mut BTreeSet<u32>, wanted: impl Fn(&BTreeSet<u32>) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !wanted(held) {
        match tokio::time::timeout_at(deadline, broker.next_assignment()).await {
            Ok(Ok(Assignment::Assigned(more))) => {
                assert!(
                    more.iter().all(|partition| held.insert(*partition)),
                    "assigned twice: {more:?} beside {held:?}"
                );
            }
            Ok(Ok(Assignment::Revoked(lost))) => {
                assert!(
                    lost.iter().all(|partition| held.remove(partition)),
                    "revoked and not held: {lost:?} of {held:?}"
                );
            }
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => panic!("not in time: only {held:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_the_group_divide_the_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let (first, second) = (connect(&server, "shared").await, connect(&server, "shared").await);
    let all: BTreeSet<u32> = (0..3).collect();
    let (mut one, mut two) = (BTreeSet::new(), BTreeSet::new());
    follow(&first, &mut one, |held| held.len() == 3).await;
    let started = Instant::now();
    tokio::join!(follow(&first, &mut one, |held| held.len() <= 2), follow(&second, &mut two, |held| !held.is_empty()));
    println!("divided after {:?}: {one:?} and {two:?}", started.elapsed());
    assert_eq!(&one | &two, all);
    assert!((&one & &two).is_empty());
    assert!(one.len() == 2 && two.len() == 1);

    for partition in 0..3 {
        first.append(partition, Bytes::from_static(b"x")).await.unwrap();
    }
    let mine = *one.first().unwrap();
    first.commit(mine, 1).await.unwrap();
    let started = Instant::now();
    first.leave().await;
    follow(&first, &mut one, BTreeSet::is_empty).await;
    follow(&second, &mut two, |held| held.len() == 3).await;
    println!("taken over after {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(5), "an orderly leave waits for no time-out");
    assert!(tokio::time::timeout(Duration::from_millis(500), first.next_assignment()).await.is_err(), "left for good");
    assert!(matches!(first.commit(mine, 1).await, Err(Error::Unavailable(_))));

    // A member that is dropped leaves too; one that comes back gets all of it again.
    drop(second);
    let third = connect(&server, "shared").await;
    let mut three = BTreeSet::new();
    follow(&third, &mut three, |held| held.len() == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_may_be_killed_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(dir.path());
    let settings = Config { request_timeout: Duration::from_secs(2), ..config(&server, "killed") };
    let broker = KafkaBroker::connect(settings).await.unwrap();
    let mut mine = BTreeSet::new();
    follow(&broker, &mut mine, |held| held.len() == 3).await;
    let mut open = broker.open(0, 0).await.unwrap();
    let before = broker.append(0, Bytes::from_static(b"before")).await.unwrap();
    let appending = {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move { broker.append(0, Bytes::from_static(b"while it is away")).await })
    };
    let dir_text = dir.path().to_str().unwrap();
    programs::script("kafka.sh", &["kill", dir_text]);
    let during = {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move { broker.append(0, Bytes::from_static(b"during")).await })
    };
    let refused = broker.offsets(&[0]).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    server.start_again();

    let mut acknowledged = vec![(before.offset, Bytes::from_static(b"before"))];
    for (append, payload) in [(appending, "while it is away"), (during, "during")] {
        match append.await.unwrap() {
            Ok(appended) => acknowledged.push((appended.offset, Bytes::from_static(payload.as_bytes()))),
            Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error}"),
        }
    }
    let after =
        until("an append works again", async || broker.append(0, Bytes::from_static(b"after")).await.ok()).await;
    acknowledged.push((after.offset, Bytes::from_static(b"after")));

    let mut fetched = Vec::new();
    until("the open partition goes on", async || {
        match open.fetch(1 << 20, Duration::from_secs(1)).await {
            Ok(more) => fetched.extend(more.messages.into_iter().map(|message| (message.offset, message.payload))),
            Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error}"),
        }
        fetched.iter().any(|(offset, _)| *offset >= after.offset).then_some(())
    })
    .await;
    assert!(fetched.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, none twice: {fetched:?}");
    assert!(acknowledged.iter().all(|message| fetched.contains(message)), "{acknowledged:?} in {fetched:?}");
    assert_eq!(broker.offsets(&[0]).await.unwrap()[0].latest, after.offset + 1);
}

#[tokio::test]
async fn a_kafka_that_is_not_there_is_unavailable_and_bad_settings_are_told_at_once() {
    let nowhere = Config {
        brokers: format!("127.0.0.1:{}", free_port()),
        request_timeout: Duration::from_secs(2),
        ..Config::default()
    };
    let started = Instant::now();
    let refused = KafkaBroker::connect(nowhere).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    assert!(started.elapsed() < Duration::from_secs(20));

    let wrong = Config { brokers: String::new(), topic: "a topic".to_owned(), partitions: 0, ..Config::default() };
    let refused = KafkaBroker::connect(wrong).await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, Error::Config(_)));
    assert!(text.contains("brokers") && text.contains("\"a topic\"") && text.contains("partitions"), "{text}");
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;

use crate::kafka::blocking;
use crate::kafka::clients::Clients;
use crate::kafka::context::{failed, is_passing};
use crate::{Error, Offsets};

/// How long to wait before asking again while the cluster elects.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks the partitions' leaders for both ends, each end in one request a leader; nothing is answered from a cache.
pub(super) async fn offsets(clients: &Arc<Clients>, partitions: &[u32]) -> Result<Vec<Offsets>, Error> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let end = |which: Offset| {
        let (clients, partitions) = (Arc::clone(clients), partitions.to_vec());
        blocking(move || ask(&clients, &partitions, which))
    };
    let (earliest, latest) = tokio::try_join!(end(Offset::Beginning), end(Offset::End))?;
    let ends = earliest.into_iter().zip(latest);
    Ok(partitions
        .iter()
        .zip(ends)
        .map(|(&partition, (earliest, latest))| Offsets { partition, earliest, latest })
        .collect())
}

/// One end of each partition, in the order asked. The protocol's "offset for a time" takes the two ends as special times.
fn ask(clients: &Clients, partitions: &[u32], which: Offset) -> Result<Vec<u64>, Error> {
    let topic = &clients.config.topic;
    let what = "the offsets cannot be read";
    let deadline = Instant::now() + clients.config.request_timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        let error = match ask_once(clients, partitions, which, left) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let is_passing = error.rdkafka_error_code().is_some_and(is_passing);
        if !is_passing || Instant::now() + PAUSE >= deadline {
            return Err(failed(topic, what, &error));
        }
        std::thread::sleep(PAUSE);
    }
}

fn ask_once(clients: &Clients, partitions: &[u32], which: Offset, timeout: Duration) -> Result<Vec<u64>, KafkaError> {
    let topic = &clients.config.topic;
    let unknown = || KafkaError::MetadataFetch(rdkafka::error::RDKafkaErrorCode::UnknownPartition);
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for &partition in partitions {
        let number = i32::try_from(partition).map_err(|_| unknown())?;
        if list.find_partition(topic, number).is_none() {
            list.add_partition_offset(topic, number, which)?;
        }
    }
    let list = clients.data().offsets_for_times(list, timeout)?;
    let mut answer = Vec::with_capacity(partitions.len());
    for &partition in partitions {
        let number = i32::try_from(partition).map_err(|_| unknown())?;
        let element = list.find_partition(topic, number).ok_or_else(unknown)?;
        element.error()?;
        match element.offset() {
            Offset::Offset(offset) if offset >= 0 => answer.push(u64::try_from(offset).map_err(|_| unknown())?),
            _ => return Err(KafkaError::MetadataFetch(rdkafka::error::RDKafkaErrorCode::OffsetNotAvailable)),
        }
    }
    Ok(answer)
}

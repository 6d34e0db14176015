use proptest::prelude::*;

use super::*;
use crate::Trim as _;

/// What may happen to a log.
#[derive(Clone, Debug)]
enum Step {
    /// That many appends at once, of that size, from that partition on in turn.
    Append {
        partition: u32,
        count: usize,
        bytes: usize,
    },
    Trim {
        partition: u32,
        share: u8,
    },
    /// Closed in order and opened again.
    Reopen,
    /// Opened as a power cut leaves it, with that many stray bytes at the end.
    Crash {
        stray: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u32, 1..8_usize, 0..3_000_usize).prop_map(|(partition, count, bytes)| Step::Append { partition, count, bytes }),
        3 => (0..3_u32, 0..=100_u8).prop_map(|(partition, share)| Step::Trim { partition, share }),
        1 => Just(Step::Reopen),
        1 => (0..200_usize).prop_map(|stray| Step::Crash { stray }),
    ]
}

/// Runs the steps against the log and a plain list a partition.
async fn run(steps: Vec<Step>) {
    let mut dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), &small()).unwrap();
    let mut wanted: Vec<Vec<Bytes>> = vec![Vec::new(); 3];
    let mut marks = [0_u64; 3];
    for (at, step) in steps.into_iter().enumerate() {
        match step {
            Step::Append { partition, count, bytes } => {
                let appends = (0..count).map(|number| {
                    let place = (partition + number as u32) % 3;
                    let payload = Bytes::from(vec![(at * 8 + number) as u8; bytes]);
                    let log = Arc::clone(&log);
                    let append = tokio::spawn({
                        let payload = payload.clone();
                        async move { log.append(place, payload).await.unwrap().offset }
                    });
                    (place, payload, append)
                });
                for (place, payload, append) in appends.collect::<Vec<_>>() {
                    let offset = usize::try_from(append.await.unwrap()).unwrap();
                    let list = &mut wanted[place as usize];
                    list.resize(list.len().max(offset + 1), Bytes::new());
                    list[offset] = payload;
                }
            }
            Step::Trim { partition, share } => {
                let below = wanted[partition as usize].len() as u64 * u64::from(share) / 100;
                log.trim(partition, below).await.unwrap();
                marks[partition as usize] = marks[partition as usize].max(below);
            }
            Step::Reopen => {
                log.close().await;
                log = open(dir.path(), &small()).unwrap();
            }
            Step::Crash { stray } => {
                let copy = snapshot(dir.path());
                log.close().await;
                let newest = segments(copy.path()).pop().unwrap();
                let mut bytes = std::fs::read(&newest).unwrap();
                bytes.resize(bytes.len() + stray, 0xa5);
                std::fs::write(&newest, bytes).unwrap();
                dir = copy;
                log = open(dir.path(), &small()).unwrap();
            }
        }
        for partition in 0..3 {
            let list = &wanted[partition as usize];
            let offsets = log.offsets(&[partition]).await.unwrap()[0];
            assert_eq!(offsets.latest, list.len() as u64);
            assert!(offsets.earliest <= marks[partition as usize], "nothing above the mark is forgotten");
            let messages = all(&log, partition).await;
            let payloads: Vec<_> = messages.into_iter().map(|message| message.payload).collect();
            assert_eq!(payloads, list[usize::try_from(offsets.earliest).unwrap()..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn behaves_like_a_list(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

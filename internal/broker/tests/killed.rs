//! The embedded log in a process of its own that is killed (SIGKILL) at any moment, again and again: everything it said was
//! acknowledged is there afterwards, at its offset, and a second process is kept out while it lives.
//!
//! Without the test harness, since this program is also the one that is killed.
#![allow(clippy::unwrap_used, reason = "a test, though without the harness")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use loglake_broker::embedded::Config;
use loglake_broker::{EmbeddedLog, Error, Producer as _, Reader as _, Trim as _};
use loglake_model::SystemClock;

const ROUNDS: u64 = 12;
const WRITERS: u32 = 6;
const PARTITIONS: u32 = 3;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("--append-until-killed") => runtime.block_on(append_for_ever(Path::new(&args[2]), &args[3])),
        _ => runtime.block_on(kill_again_and_again()),
    }
}

fn open(dir: &Path) -> Result<Arc<EmbeddedLog>, Error> {
    let config = Config {
        partitions: PARTITIONS,
        segment_bytes: 256 << 10,
        max_bytes: 1 << 30,
        disk_reserve_bytes: Some(0),
        ..Config::default()
    };
    EmbeddedLog::open(dir, config, Arc::new(SystemClock))
}

/// What a writer's message says; sizes differ so that groups end anywhere.
fn payload(round: &str, writer: u32, number: usize) -> Bytes {
    let mut text = format!("{round} {writer} {number} ");
    text.extend(std::iter::repeat_n('x', number * 37 % 3_000));
    Bytes::from(text)
}

/// Appends, and says so on the standard output after each acknowledgement: partition, offset, writer, number.
async fn append_for_ever(dir: &Path, round: &str) {
    let log = open(dir).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let (log, round) = (Arc::clone(&log), round.to_owned());
        tokio::spawn(async move {
            for number in 0.. {
                let partition = (writer + number as u32) % PARTITIONS;
                let offset = log.append(partition, payload(&round, writer, number)).await.unwrap().offset;
                let line = format!("{partition} {offset} {writer} {number};\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

async fn kill_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<(u32, u64), Bytes> = BTreeMap::new();
    let mut marks = [0_u64; PARTITIONS as usize];
    for round in 0..ROUNDS {
        let name = round.to_string();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--append-until-killed", dir.path().to_str().unwrap(), &name])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("the first acknowledgement comes").unwrap();
        let second_process = open(dir.path()).unwrap_err();
        assert!(second_process.to_string().contains("open in another process"), "{second_process}");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20 + round * 29));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in std::iter::once(Ok(first)).chain(lines) {
            let line = line.unwrap();
            // A line that the kill cut short has no end mark, and says nothing.
            let Some(line) = line.strip_suffix(';') else { continue };
            let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
            let [partition, offset, writer, number] = numbers[..] else { panic!("{line}") };
            let payload = payload(&name, u32::try_from(writer).unwrap(), usize::try_from(number).unwrap());
            let before = acknowledged.insert((u32::try_from(partition).unwrap(), offset), payload);
            assert!(before.is_none(), "offset {offset} of partition {partition} was given twice");
        }
        killer.join().unwrap();
        check(dir.path(), &acknowledged, &mut marks).await;
    }
    println!("{} acknowledged messages survived {ROUNDS} kills", acknowledged.len());
}

/// Checks what is there, and gives back the older half of it.
async fn check(dir: &Path, acknowledged: &BTreeMap<(u32, u64), Bytes>, marks: &mut [u64]) {
    let log = open(dir).unwrap();
    for partition in 0..PARTITIONS {
        let ends = log.offsets(&[partition]).await.unwrap()[0];
        let mark = &mut marks[partition as usize];
        assert!(ends.earliest <= *mark, "nothing above the mark is given back");
        let mut there = BTreeMap::new();
        let mut position = ends.earliest;
        while position < ends.latest {
            let fetched = log.read(partition, position, ends.latest, 1 << 20).await.unwrap();
            position = fetched.position;
            there.extend(fetched.messages.into_iter().map(|message| (message.offset, message.payload)));
        }
        for ((_, offset), payload) in acknowledged.range((partition, *mark)..=(partition, u64::MAX)) {
            let found = there.get(offset).unwrap_or_else(|| panic!("offset {offset} of partition {partition} is lost"));
            assert!(found == payload, "offset {offset} of partition {partition} holds something else");
        }
        *mark = ends.earliest.midpoint(ends.latest);
        log.trim(partition, *mark).await.unwrap();
    }
    log.close().await;
}

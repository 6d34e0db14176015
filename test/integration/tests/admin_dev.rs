//! `loglake admin` on a data folder of `loglake dev`.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use loglake_integration::admin::{admin, assert_folder_is_clean};
use loglake_integration::oracle::Sent;
use loglake_integration::{Client, Dev, Oracle, send};
use serde_json::json;

const START_NS: i64 = 1_772_323_200_000_000_000;

fn records(count: i64) -> Vec<Sent> {
    let sent = |n: i64| Sent {
        service: format!("service-{}", n % 3),
        timestamp_ns: START_NS + n * 1_000_000,
        level: Some("info"),
        message: format!("record number {n}"),
        trace_id: String::new(),
    };
    (0..count).map(sent).collect()
}

/// All files below `folder` whose names end with `ending`.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_data_folder_is_checked_while_it_runs_and_wholly_when_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.to_str().unwrap();
    let check = |more: &[&str]| admin(&[&["fsck", "--json", "--data", path], more].concat(), &[]);

    assert_eq!(check(&[]).code, 2, "there is no such folder");
    assert!(check(&[]).err.contains("is no data folder"), "{:?}", check(&[]));
    assert!(!data.exists(), "and none was made");

    let mut dev = Dev::start(&data, &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s")]).await;
    let sent = records(3_000);
    send::all(&dev.ports.grpc_url(), "default", &sent).await;
    let running = check(&["--deep"]);
    assert_eq!(running.code, 0, "{running:?}");
    assert!(running.json()["not_checked"][0].as_str().unwrap().contains("stop it first"), "{running:?}");
    dev.process.stop().await;

    let stopped = check(&["--deep"]);
    assert_eq!((stopped.code, stopped.codes()), (0, vec![]), "{stopped:?}");
    let totals = &stopped.json()["totals"];
    assert_eq!((totals["records"].as_u64(), stopped.json()["not_checked"].as_array().unwrap().len()), (Some(3_000), 0));
    assert_folder_is_clean(&data);
    let text = admin(&["fsck", "--data", path], &[]).out;
    assert!(text.ends_with("clean\n") && text.contains("3000 records"), "{text}");

    // The index is lost: found, mended, and the folder serves as before.
    std::fs::remove_dir_all(data.join("index")).unwrap();
    let lost = check(&[]);
    assert_eq!(lost.code, 1, "{lost:?}");
    assert!(lost.codes().iter().all(|code| code == "index-missing"), "{lost:?}");
    let mended = check(&["--repair"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    assert_eq!(check(&[]).codes(), [""; 0]);
    // So does building it anew.
    std::fs::remove_dir_all(data.join("index")).unwrap();
    let reindexed = admin(&["reindex", "--json", "--data", path], &[]);
    assert_eq!((reindexed.code, reindexed.json()[0]["outcome"].as_str()), (0, Some("replaced")), "{reindexed:?}");
    assert_eq!(check(&[]).codes(), [""; 0]);
    let wrong = admin(&["reindex", "--data", path, "--partition", "99"], &[]);
    assert!(wrong.code == 2 && wrong.err.contains("no such partition"), "{wrong:?}");
    dev.restart().await;
    let all = Client::new(dev.ports.query_url()).all(&json!({}), 1_000).await;
    Oracle::judge("after the index was built anew", &sent, &all, false);
    let refused = admin(&["reindex", "--data", path], &[]);
    assert!(refused.code == 2 && refused.err.contains("stop it first"), "{refused:?}");
    dev.process.stop().await;

    // A crash's half-written file.
    std::fs::write(data.join("objects/.tmp/left"), b"half").unwrap();
    assert_eq!((check(&[]).code, check(&[]).codes()), (0, vec!["stale-files".to_owned()]));
    assert_eq!(check(&["--repair"]).code, 0);
    assert!(!data.join("objects/.tmp/left").exists());

    // Damage that nobody can mend.
    let chunks = files(&data.join("objects/data"), ".ndjson.gz");
    let mut bytes = std::fs::read(&chunks[0]).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&chunks[0], &bytes).unwrap();
    assert_eq!(check(&[]).code, 0, "only reading all of it shows that");
    let damaged = check(&["--deep", "--repair"]);
    assert_eq!((damaged.code, damaged.codes()), (1, vec!["chunk-damaged".to_owned()]), "{damaged:?}");
    bytes[40] ^= 1;
    std::fs::write(&chunks[0], &bytes).unwrap();
    std::fs::remove_file(&chunks[1]).unwrap();
    assert_eq!(check(&[]).codes(), ["chunk-missing"]);
}

#[tokio::test]
async fn a_killed_process_leaves_a_clean_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut dev = Dev::start(&data, &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1s")]).await;
    for round in 0..3 {
        send::all(&dev.ports.grpc_url(), "default", &records(1_500)).await;
        tokio::time::sleep(std::time::Duration::from_millis(700 + round * 300)).await;
        dev.process.kill();
        assert_folder_is_clean(&data);
        dev.restart().await;
    }
    dev.process.stop().await;
    let said = admin(&["fsck", "--deep", "--json", "--data", data.to_str().unwrap()], &[]);
    assert_eq!(said.json()["totals"]["records"].as_u64(), Some(4_500), "{said:?}");
}

#[tokio::test]
async fn a_running_folder_is_flushed_on_request_and_its_quarantine_listed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.to_str().unwrap();
    let mut dev = Dev::start(&data, &[("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "1h")]).await;
    send::all(&dev.ports.grpc_url(), "default", &records(1_000)).await;
    let tail = format!("127.0.0.1:{}", dev.ports.tail);
    let flushed = admin(&["flush", "--data", path, "--tail", &tail], &[]);
    assert!(flushed.code == 0 && flushed.out.contains("flushed  offsets"), "{flushed:?}");
    let said = admin(&["fsck", "--deep", "--json", "--data", path], &[]);
    assert_eq!((said.code, said.json()["totals"]["records"].as_u64()), (0, Some(1_000)), "{said:?}");
    let again = admin(&["flush", "--data", path, "--json"], &[("LOGLAKE_PROCESSOR_TAIL_LISTEN".into(), tail.clone())]);
    assert!(again.code == 0 && again.json().as_array().unwrap().iter().all(|row| row["is_done"] == json!(true)));
    let listed = admin(&["quarantine", "list", "--data", path], &[]);
    assert!(listed.code == 0 && listed.out.contains("nothing is in quarantine"), "{listed:?}");
    let refused = admin(&["quarantine", "redrive", "--data", path], &[]);
    assert!(refused.code == 2 && refused.err.contains("stop it first"), "{refused:?}");

    dev.process.stop().await;
    let gone = admin(&["flush", "--data", path, "--tail", &tail], &[]);
    assert!(gone.code == 2 && gone.err.contains("is `loglake dev` running?"), "{gone:?}");
    let idle = admin(&["quarantine", "redrive", "--data", path], &[]);
    assert_eq!(idle.code, 0, "{idle:?}");
}

//! Three real brokers, each of them also a controller.

use std::path::Path;

use anyhow::{Result, ensure};
use loglake_integration::free_port;
use loglake_integration::stack::Native;

/// A cluster of three.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The brokers.
    pub(super) brokers: Vec<Native>,
}

impl Cluster {
    /// Starts them with their data below `folder`; `more` are properties of every broker.
    pub(super) fn start(folder: &Path, more: &[&str]) -> Result<Self> {
        // A broker's controller takes the port after the broker's.
        let ports: Vec<u16> = std::iter::repeat_with(free_port).take(3).collect();
        let voters: Vec<String> =
            ports.iter().zip(1..).map(|(port, node)| format!("{node}@127.0.0.1:{}", port + 1)).collect();
        let id: String = std::iter::repeat_with(|| char::from(b'a' + rand::random::<u8>() % 26)).take(22).collect();
        // Each waits for the quorum, so all start at once.
        let brokers = std::thread::scope(|scope| {
            let starting: Vec<_> = ports
                .iter()
                .zip(1..)
                .map(|(port, node)| {
                    let mut properties = vec![
                        format!("cluster.id={id}"),
                        format!("node.id={node}"),
                        format!("controller.quorum.voters={}", voters.join(",")),
                        "offsets.topic.replication.factor=3".to_owned(),
                        "broker.session.timeout.ms=4000".to_owned(),
                        "broker.heartbeat.interval.ms=1000".to_owned(),
                        "replica.lag.time.max.ms=4000".to_owned(),
                    ];
                    properties.extend(more.iter().map(|property| (*property).to_owned()));
                    let dir = folder.join(format!("kafka-{node}"));
                    scope.spawn(move || Native::start_with("kafka.sh", dir, *port, &properties))
                })
                .collect();
            starting.into_iter().filter_map(|broker| broker.join().ok()).collect::<Vec<_>>()
        });
        ensure!(brokers.len() == 3, "three brokers start");
        Ok(Self { brokers })
    }

    /// What clients begin with.
    pub(super) fn addresses(&self) -> String {
        self.brokers.iter().map(Native::address).collect::<Vec<_>>().join(",")
    }
}

//! The server under attack, and how it does.

use std::time::Duration;

use loglake_integration::Dev;
use loglake_integration::ctl::{Configured, configured, rows};
use loglake_integration::server::Ports;

/// What the process may have resident at any moment. Its own bounds: 192 MiB of lines held, 64 MiB of requests in flight at twice
/// their size, 80 MiB of caches, 16 MiB a message and core being decoded; the rest is the allocator's.
const MOST_MIB: u64 = 1_024;

pub(crate) struct Site {
    pub(crate) dev: Dev,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) good: Configured,
    pub(crate) evil: Configured,
    pub(crate) operator: Configured,
}

/// What an attack needs to know.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) ports: Ports,
    pub(crate) good: String,
    pub(crate) evil: String,
    pub(crate) operator: String,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more settings.
    pub(crate) async fn start_with(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let good = configured("good", "ingest,query");
        let (evil, operator) = (configured("evil", "ingest,query"), configured("ops", "operator"));
        let tokens = rows(&[&good, &evil, &operator]);
        let env = [("LOGLAKE_AUTH_TOKENS", &*tokens), ("LOGLAKE_PROCESSOR_FLUSH_INTERVAL", "20s")];
        let env = [&env[..], more].concat();
        let dev = Dev::start(&folder.path().join("data"), &env).await;
        Self { dev, folder, good, evil, operator }
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            ports: self.dev.ports,
            good: self.good.text.clone(),
            evil: self.evil.text.clone(),
            operator: self.operator.text.clone(),
        }
    }

    /// It runs, within its memory, and nothing in it has panicked.
    pub(crate) fn stands(&mut self, what: &str) {
        let ended = self.dev.process.ended();
        assert!(ended.is_none(), "{what}: it ended with {ended:?}:\n{}", self.dev.process.log_text());
        let said = self.dev.process.said();
        assert!(!said.contains("panicked"), "{what}:\n{said}");
        let most = self.peak_mib();
        assert!(most <= MOST_MIB, "{what}: it had {most} MiB resident, may have {MOST_MIB}");
    }

    fn status(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.dev.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0");
        line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
    }

    pub(crate) fn resident_mib(&self) -> u64 {
        self.status("VmRSS")
    }

    pub(crate) fn peak_mib(&self) -> u64 {
        self.status("VmHWM")
    }

    /// How many files and connections it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.dev.process.id())).unwrap().count()
    }

    /// The CPU that it has had.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.dev.process.id())).unwrap();
        // After the name, which is in brackets: the 12th and 13th are hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..=12].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    pub(crate) async fn stop(mut self) {
        self.dev.process.stop().await;
        let said = self.dev.process.said();
        assert!(!said.contains("panicked"), "{said}");
        for token in [&self.good, &self.evil, &self.operator] {
            assert!(!said.contains(token.text.rsplit('_').next().unwrap()), "a secret is in the log");
        }
        loglake_integration::admin::assert_folder_is_clean(self.dev.data());
    }
}

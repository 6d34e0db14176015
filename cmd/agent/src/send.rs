//! Reading files and standard input into records.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use loglake_model::Clock;
use tokio::fs::File;
use tokio::io::{AsyncBufRead, BufReader};

use crate::text::{Timeline, record_of};
use crate::{Line, LineReader, Refusal, Sink, Tally, parse_line};

/// The longest line that is read; longer ones are refused. More than the server takes for a message (256 KiB) or a record
/// (512 KiB), to leave that decision to it.
const MAX_LINE_BYTES: usize = 2 * 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// NDJSON where the first line of a file that is not blank is a JSON object, else text.
    Auto,
    /// Each line is a message.
    Text,
    /// Each line is a JSON object.
    Ndjson,
}

/// What to send and what to say of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The files in their order; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// How to read them.
    pub format: Format,
    /// The service; without it the file's name without its extension.
    pub service: Option<String>,
    /// The host, where a line names none.
    pub host: String,
    /// Event time of the first line that names none, ns UTC; lines are counted over all files, blank ones are not.
    pub start_ns: Option<i64>,
    /// Event time between two such lines.
    pub step: Option<Duration>,
}

/// Reads all of `source` into `sink`. Blank lines are skipped; a line that no record can be made of is counted and told in
/// `tally`, and does not stop the others.
///
/// # Errors
/// A file cannot be opened or read, is compressed, or its service is not known. What was read before it has been handed on.
pub async fn run(source: &Source, clock: &dyn Clock, sink: &mut Sink, tally: &Arc<Tally>) -> anyhow::Result<()> {
    for path in &source.files {
        service_of(source, path)?;
    }
    let mut timeline = Timeline::new(clock, source.start_ns, source.step);
    for path in &source.files {
        let service = service_of(source, path)?;
        let origin = if is_stdin(path) { "<stdin>".to_owned() } else { path.display().to_string() };
        if sink.begin(&origin).await.is_err() {
            return Ok(());
        }
        let mut reading = Reading { source, origin, service, sink: &mut *sink, tally, format: source.format };
        let taken = if is_stdin(path) {
            // A pipe is read like a file: on a thread where it may block.
            let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("opening standard input")?;
            reading.lines(buffered(File::from_std(stdin.into())), &mut timeline).await
        } else {
            let context = || format!("opening {}", path.display());
            let file = File::open(path).await.with_context(context)?;
            if file.metadata().await.with_context(context)?.is_dir() {
                bail!("{} is a folder; name the files in it", path.display());
            }
            reading.lines(buffered(file), &mut timeline).await
        };
        if !taken? {
            return Ok(());
        }
    }
    // A closed sink is reported by the delivery.
    let _ = sink.flush().await;
    Ok(())
}

fn buffered(mut file: File) -> BufReader<File> {
    file.set_max_buf_size(BUFFER_BYTES);
    BufReader::with_capacity(BUFFER_BYTES, file)
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn service_of(source: &Source, path: &Path) -> anyhow::Result<String> {
    if let Some(service) = &source.service {
        return Ok(service.clone());
    }
    if is_stdin(path) {
        // Lines of NDJSON may name theirs; the server says which do not.
        if source.format == Format::Text {
            bail!("standard input has no name to take the service from: give --service");
        }
        return Ok(String::new());
    }
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some(stem) if !stem.is_empty() => Ok(stem.to_owned()),
        _ => bail!("no service can be read from the name of {}: give --service", path.display()),
    }
}

struct Reading<'a> {
    source: &'a Source,
    origin: String,
    service: String,
    sink: &'a mut Sink,
    tally: &'a Arc<Tally>,
    format: Format,
}

impl Reading<'_> {
    /// Reads one input to its end; `false` when the sink is closed.
    async fn lines<R: AsyncBufRead + Unpin>(&mut self, input: R, timeline: &mut Timeline<'_>) -> anyhow::Result<bool> {
        let mut reader = LineReader::new(input, MAX_LINE_BYTES);
        loop {
            let read = match self.sink.flush_at() {
                Some(flush_at) => match tokio::time::timeout_at(flush_at, reader.next()).await {
                    Ok(read) => read,
                    Err(_) => {
                        if self.sink.flush().await.is_err() {
                            return Ok(false);
                        }
                        continue;
                    }
                },
                None => reader.next().await,
            };
            let line = match read.with_context(|| format!("reading {}", self.origin))? {
                Some(line) => line,
                None => return Ok(true),
            };
            let (place, bytes) = match line {
                Line::Whole(place, bytes) => (place, bytes),
                Line::TooLong(place, length) => {
                    self.tally.add_read();
                    let reason = format!("a line of {length} bytes; at most {MAX_LINE_BYTES} are read");
                    self.tally.add_unreadable(Refusal { origin: self.origin.clone(), place, reason });
                    continue;
                }
            };
            if place == 1 && is_compressed(bytes) {
                bail!("{0} is compressed: send it as `zcat {0} | loglake-agent send --service NAME -`", self.origin);
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            if !self.record(place, bytes, timeline).await? {
                return Ok(false);
            }
        }
    }

    async fn record(&mut self, place: u64, bytes: &[u8], timeline: &mut Timeline<'_>) -> anyhow::Result<bool> {
        if self.format == Format::Auto {
            let is_object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes).is_ok();
            self.format = if is_object { Format::Ndjson } else { Format::Text };
            if self.service.is_empty() && !is_object {
                bail!("standard input has no name to take the service from: give --service");
            }
        }
        self.tally.add_read();
        let record = if self.format == Format::Ndjson {
            match parse_line(bytes, &self.service, &self.source.host) {
                Ok(mut record) => {
                    if record.timestamp_ns == 0 {
                        record.timestamp_ns = timeline.next_ns().unsigned_abs();
                    }
                    record
                }
                Err(reason) => {
                    self.tally.add_unreadable(Refusal { origin: self.origin.clone(), place, reason });
                    return Ok(true);
                }
            }
        } else {
            let text = String::from_utf8_lossy(bytes);
            if matches!(text, std::borrow::Cow::Owned(_)) {
                self.tally.add_lossy();
            }
            record_of(&text, &self.service, &self.source.host, timeline.next_ns())
        };
        Ok(self.sink.push(&record, place).await.is_ok())
    }
}

/// Whether the bytes begin as gzip, zstd, bzip2 or xz do.
fn is_compressed(bytes: &[u8]) -> bool {
    [b"\x1f\x8b".as_slice(), b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"].iter().any(|magic| bytes.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use loglake_api::ingest::v1::{Batch as WireBatch, LogRecord};
    use loglake_model::ManualClock;
    use prost::Message as _;
    use tokio::sync::mpsc;

    use super::*;

    /// Reads `files` (name and content) and returns the records with their places, and the tally.
    async fn read(
        files: &[(&str, &[u8])],
        change: impl FnOnce(&mut Source),
    ) -> (Vec<(u64, LogRecord)>, Arc<Tally>, anyhow::Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let paths = files.iter().map(|(name, content)| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        });
        let mut source = Source {
            files: paths.collect(),
            format: Format::Auto,
            service: None,
            host: String::new(),
            start_ns: Some(100),
            step: None,
        };
        change(&mut source);
        let (sender, mut batches) = mpsc::channel(1_000);
        let tally = Arc::new(Tally::default());
        let mut sink = Sink::new(sender, 2, 10_000, Duration::from_secs(1));
        let ended = run(&source, &ManualClock::at(5), &mut sink, &tally).await;
        drop(sink);
        let mut records = Vec::new();
        while let Some(batch) = batches.recv().await {
            let decoded = WireBatch::decode(batch.payload.clone()).unwrap().records;
            records.extend(batch.places.iter().copied().zip(decoded));
        }
        (records, tally, ended)
    }

    #[tokio::test]
    async fn text_files_give_service_level_time_and_place() {
        let content = b"[error] one\r\n\r\n   \nINFO two\nthr\xffee";
        let (records, tally, ended) = read(&[("Apache.log", content), ("b.c.txt", b"x")], |source| {
            source.step = Some(Duration::from_nanos(10));
            source.host = "h".to_owned();
        })
        .await;
        ended.unwrap();
        let got: Vec<_> = records
            .iter()
            .map(|(place, record)| {
                (*place, record.service.as_str(), record.message.as_str(), record.level, record.timestamp_ns)
            })
            .collect();
        let want = [
            (1, "Apache", "[error] one", 5, 100),
            (4, "Apache", "INFO two", 3, 110),
            (5, "Apache", "thr\u{fffd}ee", 0, 120),
            (1, "b.c", "x", 0, 130),
        ];
        assert_eq!(got, want);
        assert_eq!((tally.counts().read, tally.counts().lossy), (4, 1));
        assert!(records.iter().all(|(_, record)| record.host == "h"));
    }

    #[tokio::test]
    async fn bad_lines_of_ndjson_are_told_and_the_rest_goes_on() {
        let content = b"{\"message\":\"a\",\"ts\":1700000000}\n{broken\n{\"message\":\"b\",\"service\":\"own\"}\n";
        let (records, tally, ended) = read(&[("app.ndjson", content)], |_| {}).await;
        ended.unwrap();
        let got: Vec<_> =
            records.iter().map(|(place, record)| (*place, record.service.as_str(), record.timestamp_ns)).collect();
        assert_eq!(got, [(1, "app", 1_700_000_000_000_000_000), (3, "own", 100)]);
        assert_eq!((tally.counts().read, tally.counts().unreadable), (3, 1));
        assert_eq!(tally.refusals()[0].place, 2);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error() {
        let (records, _, ended) = read(&[("a.log", b"x"), ("b.gz", b"\x1f\x8b\x08\x00")], |_| {}).await;
        assert!(ended.unwrap_err().to_string().contains("zcat") && records.len() <= 1);
        let (_, _, ended) = read(&[], |source| source.files = vec!["no-such-file".into()]).await;
        assert!(ended.is_err());
        let (_, _, ended) = read(&[], |source| {
            source.files = vec!["-".into()];
            source.format = Format::Text;
        })
        .await;
        assert!(ended.unwrap_err().to_string().contains("--service"));
    }

    #[tokio::test]
    async fn a_line_past_the_bound_is_refused_and_the_next_is_read() {
        let mut content = vec![b'x'; MAX_LINE_BYTES + 1];
        content.extend_from_slice(b"\nnext\n");
        let (records, tally, ended) = read(&[("a.log", &content)], |_| {}).await;
        ended.unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].0, tally.counts().unreadable), (2, 1));
    }
}

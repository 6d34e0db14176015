//! Chunks are open data: tools that know nothing of Loglake read exactly the lines.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use loglake_chunk::{ChunkBuilder, ChunkHead, Footer, Source, encode_block};
use loglake_integration::programs;
use loglake_model::{Level, RecordId, Service, TenantName, Window, line};

const BLOCK_BYTES: usize = loglake_chunk::BLOCK_TARGET_BYTES;

/// A chunk in the folder, and the lines that a reader must find in it.
struct Written {
    path: PathBuf,
    lines: Vec<u8>,
}

fn window() -> Window {
    Window::holding(1_700_000_000_000_000_000, Window::HOUR_NS)
}

/// The canonical line of the `n`-th record of a service.
fn canonical(service: &Service, message: &str, n: usize, count: usize) -> Vec<u8> {
    let since = i64::try_from(n).unwrap() * (Window::HOUR_NS / i64::try_from(count).unwrap());
    let level = Level::from_slot(n % 7);
    let mut out = Vec::new();
    line::begin(&mut out, window().start_ns + since + i64::try_from(n % 1_000).unwrap(), level, service.as_str());
    line::text_field(&mut out, "message", message);
    if n % 3 != 1 {
        let trace = (n as u64 / 5).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        line::text_field(&mut out, "trace_id", &format!("{trace:016x}{trace:016x}"));
        line::text_field(&mut out, "span_id", &format!("{:016x}", trace ^ n as u64));
    }
    if n.is_multiple_of(2) {
        out.extend_from_slice(b",\"tags\":[\"real\",\"loghub\"],\"attributes\":{\"line\":");
        out.extend_from_slice(n.to_string().as_bytes());
        out.extend_from_slice(b",\"ratio\":0.5,\"ok\":true,\"peer.name\":\"h\\\"\\\\\\u0001\\n");
        out.extend_from_slice("ü\u{2028}\"}".as_bytes());
    }
    out.push(b'}');
    let mut whole = Vec::new();
    let id = RecordId { incarnation: 1, partition: 3, offset: n as u64 / 100, index: u32::try_from(n % 100).unwrap() };
    line::append_with_id(&mut whole, &out, id);
    whole.push(b'\n');
    whole
}

/// Writes the messages of a service as one chunk below `root`.
fn write(root: &Path, service: &str, messages: &[String]) -> Written {
    let head = ChunkHead {
        tenant: TenantName::parse("acme").unwrap(),
        service: Service::parse(service).unwrap(),
        window: window(),
    };
    let source =
        Source::Log { incarnation: 1, partition: 3, lowest_offset: 0, highest_offset: messages.len() as u64 / 100 };
    let mut builder = ChunkBuilder::new(head.clone(), source);
    let (mut block, mut lines) = (Vec::new(), Vec::new());
    for (n, message) in messages.iter().enumerate() {
        block.extend_from_slice(&canonical(&head.service, message, n, messages.len()));
        if block.len() >= BLOCK_BYTES || n + 1 == messages.len() {
            builder.push(encode_block(&block, window()).unwrap());
            lines.append(&mut block);
        }
    }
    let chunk = builder.finish().unwrap();
    let folder = root.join(window().folder(&head.tenant, &head.service));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("1-3-17-0123456789abcdef.ndjson.gz");
    fs::write(&path, &chunk.bytes).unwrap();
    fs::write(folder.join("1-3-17-0123456789abcdef.expected"), &lines).unwrap();
    Written { path, lines }
}

/// Real logs, one chunk a system; all of them as one large chunk; and the smallest one.
fn corpus(root: &Path) -> Vec<Written> {
    let folder = programs::root().join("test/data/loghub");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    assert_eq!(files.len(), 16);
    let mut all = Vec::new();
    let mut chunks = Vec::new();
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let messages: Vec<String> = text.lines().map(str::to_owned).collect();
        chunks.push(write(root, file.file_stem().unwrap().to_str().unwrap(), &messages));
        all.extend(messages);
    }
    chunks.push(write(root, "all/of them", &all));
    chunks.push(write(root, "one", &["the only line".to_owned()]));
    chunks.push(write(root, "long", &["a".to_owned(), "x y".repeat(80_000), "b".to_owned()]));

    let large = fs::read(&chunks[16].path).unwrap();
    let footer = Footer::of_chunk(&large).unwrap();
    assert!(footer.blocks().len() > 4, "the large chunk has several blocks");
    chunks
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn script(name: &str) -> PathBuf {
    programs::root().join("test/integration/readers").join(name)
}

fn python() -> PathBuf {
    programs::tools(&["python"]).join("python/bin/python")
}

fn assert_lines(tool: &str, mut command: impl FnMut(&Path) -> Command) {
    let root = tempfile::tempdir().unwrap();
    for written in corpus(root.path()) {
        let output = run(&mut command(&written.path));
        assert!(output.stdout == written.lines, "{tool} reads other lines from {}", written.path.display());
    }
}

fn assert_values(tool: &str) {
    let root = tempfile::tempdir().unwrap();
    let chunks = corpus(root.path());
    let output = run(Command::new(python()).arg(script("values.py")).arg(tool).arg(root.path()));
    let compared = String::from_utf8_lossy(&output.stdout).lines().count();
    assert_eq!(compared, chunks.len(), "{tool} compared other chunks");
}

#[test]
fn zcat_reads_exactly_the_lines() {
    assert_lines("zcat", |path| {
        let mut command = Command::new("zcat");
        command.arg(path);
        command
    });
}

#[test]
fn python_gzip_reads_exactly_the_lines() {
    let python = python();
    assert_lines("python", |path| {
        let mut command = Command::new(&python);
        command.arg(script("lines.py")).arg(path);
        command
    });
}

#[test]
fn node_reads_exactly_the_lines() {
    programs::tools(&["node"]);
    for how in ["stream", "whole"] {
        assert_lines("node", |path| {
            let mut command = Command::new("node");
            command.arg(script("lines.js")).arg(path).arg(how);
            command
        });
    }
}

#[test]
fn duckdb_reads_exactly_the_values() {
    assert_values("duckdb");
}

#[test]
fn pyarrow_reads_exactly_the_values() {
    assert_values("pyarrow");
}

#[test]
fn pandas_reads_exactly_the_values() {
    assert_values("pandas");
}

#[test]
fn polars_reads_exactly_the_values() {
    assert_values("polars");
}

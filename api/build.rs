//! Generates the types and services of `proto/`, without `protoc`, and the descriptor sets that reflection serves.

use std::path::{Path, PathBuf};

use prost::Message as _;

/// What clients see: served by reflection.
const PUBLIC: [&str; 1] = ["loglake/ingest/v1/ingest.proto"];
/// What only our own roles call.
const INTERNAL: [&str; 2] = ["loglake/internal/v1/admin.proto", "loglake/internal/v1/tail.proto"];

/// The messages that are the same in both servers.
const SHARED: [&str; 7] = ["BatchResult", "IngestResponse", "Level", "LogRecord", "Open", "Opened", "RecordError"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/loglake");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let public = protox::compile(PUBLIC, ["proto"])?;
    std::fs::write(out.join("public.bin"), public.encode_to_vec())?;

    raw_server(public, &out.join("raw"))?;

    let all = protox::compile(PUBLIC.iter().chain(&INTERNAL), ["proto"])?;
    std::fs::write(out.join("all.bin"), all.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(all)?;
    Ok(())
}

/// Generates a second server of the public service, whose batches are `RawBatch`es.
fn raw_server(public: tonic_prost_build::FileDescriptorSet, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(out)?;
    let mut builder = tonic_prost_build::configure().bytes(".").build_client(false).out_dir(out);
    builder = builder.extern_path(".loglake.ingest.v1.Batch", "crate::RawBatch");
    for name in SHARED {
        builder = builder.extern_path(format!(".loglake.ingest.v1.{name}"), format!("crate::ingest::v1::{name}"));
    }
    Ok(builder.compile_fds(public)?)
}

//! Generates the types and services of `proto/`, without `protoc`, and the descriptor sets that reflection serves.

use std::path::PathBuf;

use prost::Message as _;

/// What clients see: served by reflection.
const PUBLIC: [&str; 1] = ["loglake/ingest/v1/ingest.proto"];
/// What only our own roles call.
const INTERNAL: [&str; 2] = ["loglake/internal/v1/admin.proto", "loglake/internal/v1/tail.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/loglake");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let public = protox::compile(PUBLIC, ["proto"])?;
    std::fs::write(out.join("public.bin"), public.encode_to_vec())?;

    let all = protox::compile(PUBLIC.iter().chain(&INTERNAL), ["proto"])?;
    std::fs::write(out.join("all.bin"), all.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(all)?;
    Ok(())
}

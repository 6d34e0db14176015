//! What the fuzz targets check, one module a target. Each has `run`, which takes any bytes, and `seeds`, which gives inputs made
//! by the real encoders to begin with. The first byte of an input says how the rest is read: 0 as the stored bytes
//! themselves, anything else as a description to build from ([`arbitrary`]).

pub mod batch;
pub mod body;
pub mod checkpoint;
pub mod chunk;
pub mod config;
pub mod credential;
pub mod cursor;
pub mod edit;
pub mod embedded_log;
pub mod entry;
pub mod frames;
pub mod log_batch;
pub mod memory;
pub mod question;
pub mod raw_record;
pub mod registry;
pub mod seal;
pub mod stored;

/// Writes `seeds` into the folder that the environment variable `FUZZ_SEEDS` names, if it does: before libFuzzer reads it.
///
/// # Panics
/// When that cannot be written.
pub fn write_seeds(seeds: &[Vec<u8>]) {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else { return };
    for (at, seed) in seeds.iter().enumerate() {
        let path = std::path::Path::new(&folder).join(format!("seed-{at}"));
        std::fs::write(path, seed).expect("the folder of the seeds can be written");
    }
}

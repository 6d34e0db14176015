#![no_main]

use loglake_fuzz::{chunk, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&chunk::seeds()), |data: &[u8]| chunk::run(data));

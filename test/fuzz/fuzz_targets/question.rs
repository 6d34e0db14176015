#![no_main]

use loglake_fuzz::{question, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&question::seeds()), |data: &[u8]| question::run(data));

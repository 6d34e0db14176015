#![no_main]

use loglake_fuzz::{stored, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&stored::seeds()), |data: &[u8]| stored::run(data));

#![no_main]

use loglake_fuzz::{frames, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&frames::seeds()), |data: &[u8]| frames::run(data));

#![no_main]

use loglake_fuzz::{body, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&body::seeds()), |data: &[u8]| body::run(data));

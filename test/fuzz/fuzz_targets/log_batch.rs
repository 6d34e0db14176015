#![no_main]

use loglake_fuzz::{log_batch, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&log_batch::seeds()), |data: &[u8]| log_batch::run(data));

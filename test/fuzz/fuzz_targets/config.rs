#![no_main]

use loglake_fuzz::{config, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&config::seeds()), |data: &[u8]| config::run(data));

#![no_main]

use loglake_fuzz::{embedded_log, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&embedded_log::seeds()), |data: &[u8]| embedded_log::run(data));

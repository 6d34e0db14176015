#![no_main]

use loglake_fuzz::{checkpoint, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&checkpoint::seeds()), |data: &[u8]| checkpoint::run(data));

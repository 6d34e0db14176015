#![no_main]

use loglake_fuzz::{registry, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&registry::seeds()), |data: &[u8]| registry::run(data));

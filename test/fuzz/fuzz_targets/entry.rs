#![no_main]

use loglake_fuzz::{entry, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&entry::seeds()), |data: &[u8]| entry::run(data));

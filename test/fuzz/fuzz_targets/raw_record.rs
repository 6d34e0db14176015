#![no_main]

use loglake_fuzz::{raw_record, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&raw_record::seeds()), |data: &[u8]| raw_record::run(data));

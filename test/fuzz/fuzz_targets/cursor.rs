#![no_main]

use loglake_fuzz::{cursor, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&cursor::seeds()), |data: &[u8]| cursor::run(data));

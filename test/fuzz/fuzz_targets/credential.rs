#![no_main]

use loglake_fuzz::{credential, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&credential::seeds()), |data: &[u8]| credential::run(data));

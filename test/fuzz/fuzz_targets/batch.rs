#![no_main]

use loglake_fuzz::{batch, write_seeds};

libfuzzer_sys::fuzz_target!(init: write_seeds(&batch::seeds()), |data: &[u8]| batch::run(data));

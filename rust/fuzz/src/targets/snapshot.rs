//! See `play_snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holdfast_fuzz::play_snapshot(bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| decoder_fuzz::family(&["draeger.medibus"], data));
